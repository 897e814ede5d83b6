"""Anonymising: no plate, number or remark is left, and what was decided stays what it was."""

from __future__ import annotations

import gzip
import os
import re
import stat
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from sensord.core.cases.case import Case, State
from sensord.core.cases.mute import Maintenance
from sensord.core.cases.notice import Notice, Trouble, Used, decode_notice
from sensord.core.definition import decode_definition
from sensord.core.intake.codec.native import Plate
from sensord.core.level import Level
from sensord.core.people.duty import Shift
from sensord.core.record import Record, RecordKind, Scope
from sensord.core.site import definition_record
from sensord.core.vehicles.plate import PlateRead, PlateTable, recognise
from sensord.core.vehicles.tracking import KeyArea, PlateAreas
from sensord.recordings.anonymise import Pseudonyms, anonymise
from sensord.recordings.recording import groups
from sensord.recordings.work import WHOLE, changed, export, merged
from tests.core.traffic import START, definition, rule
from tests.recordings.parts import decisions, journal, live

KEY = b"k" * 32
AREAS = PlateAreas(("沪",), (KeyArea("皖K"),))
TRUE = ("沪A12345", "苏E12345", "皖K23456", "粤B1234D")


@pytest.mark.parametrize(
    "plate",
    [
        *TRUE,
        "沪AD12345",
        "粤Z1234港",
        "沪22478领",
        "使123456",
        "WJ警00081",
        "沪A1234学",
        "京A12345D",
        "苏E·1234O",
        "临皖K1234",
        "garbled",
    ],
)
def test_a_made_up_plate_keeps_its_class(plate: str) -> None:
    """Every form of plate becomes another one of the same class and province, the same one every time."""
    table, read = PlateTable(AREAS), PlateRead(plate, 1.0)
    made, _ = Pseudonyms(KEY, AREAS, {}).plate(read, 0)
    assert made == Pseudonyms(KEY, AREAS, {}).plate(read, 0)[0]
    assert made != plate
    assert table.classify(made, 1.0, 0) == table.classify(plate, 1.0, 0)
    assert Pseudonyms(b"another" * 5, AREAS, {}).plate(read, 0)[0] != made or "?" in made


@pytest.mark.parametrize("plate", [None, "苏E12345"])
def test_a_plate_in_the_word_for_a_colour_goes(plate: str | None) -> None:
    """A gateway may fill its fields in another order than was agreed."""
    said = Plate(plate=plate, direction="in", color="皖K13579")
    made = Pseudonyms(KEY, AREAS, {}).message(said, "camera", 0)
    assert made.color == "***"


def test_an_area_that_is_a_plate_goes() -> None:
    """Earlier versions took a whole plate for the beginning of one; its vehicle is one of elsewhere then."""
    areas = PlateAreas(("沪", "沪A12345"), (KeyArea("皖K23456"), KeyArea("皖K")))
    recorded = definition_record(definition(plates=areas), START)
    (made,) = anonymise([recorded], KEY)
    assert decode_definition(made.payload).plates == PlateAreas(("沪",), (KeyArea("皖K"),))
    assert not [plate for plate in TRUE if plate.encode() in made.payload]
    (kept,) = anonymise([recorded], None)
    assert decode_definition(kept.payload).plates == areas


@pytest.mark.parametrize(
    ("plate", "colour"), [("蓝苏E12345", ""), ("苏E-12345", "blue"), ("苏E-12345", "2"), ("苏ED12345", "2")]
)
def test_a_made_up_plate_keeps_its_colour(plate: str, colour: str) -> None:
    """The colour may stand in front of the plate, and may say what a hyphen is."""
    said = Plate(plate=plate, direction="in", color=colour)
    made = Pseudonyms(KEY, AREAS, {"camera": {"2": "blue"}}).message(said, "camera", 0)
    reads = [
        PlateRead(plate, 1.0, colour=colour.replace("2", "blue")),
        PlateRead(made.plate, 1.0, 1.0, made.color or ""),
    ]
    sorts = [PlateTable(AREAS).sort(one, recognise(one.text, one.colour), 0) for one in reads]
    assert sorts[0] == sorts[1]
    assert sorts[0][0] == "out_of_town"


def test_different_plates_stay_different() -> None:
    """A thousand plates become (nearly) a thousand: numbers of vehicles stay right."""
    pseudonyms = Pseudonyms(KEY, AREAS, {})
    assert len({pseudonyms.plate(PlateRead(f"沪A{number:05d}", 1.0), 0) for number in range(1000)}) > 990


def test_an_export_holds_no_person(tmp_path: Path) -> None:
    """No plate, no telephone number, no remark in any file of an export; readings included."""
    export(journal(), tmp_path / "out", (0, 2**62), KEY)
    text = "".join(
        gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_bytes().decode("latin-1")
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    )
    assert not [plate for plate in TRUE if plate in text or plate.encode("unicode_escape").decode() in text]
    assert "13800000000" not in text
    assert re.search("沪A", text)


def test_a_definition_holds_no_plate_that_people_wrote() -> None:
    """Not in the name of a rule or a place, nor in a message, a runbook, a label or a remark; identifiers stay."""
    watch = replace(
        rule("watch", None, 1.0, {"event": ("passed",)}, runbook="见到沪A12345不要上前"),
        name={"zh": "盯防沪A12345"},
        message={"zh": "{place}：沪A 12345 来了，{vehicle}。"},
        labels={"of": "苏E12345"},
    )
    report = Maintenance("m", Scope(rules=("watch",)), Shift("m", 0, 60), START, "值班-01", "沪A12345 车主报备")
    street, *places = definition().places
    named = (replace(street, name="沪A12345", name_en="粤B1234D"), *places)
    written = definition(rules=(watch,), maintenance=(report,), places=named)
    (record,) = anonymise([definition_record(written, START)], KEY)
    assert not re.search("A ?12345|E12345|B1234D|车主", record.payload.decode())
    left = decode_definition(record.payload)
    assert (left.rules[0].name["zh"], left.rules[0].message["zh"]) == ("盯防***", "{place}:*** 来了,{vehicle}。")
    assert [one.id for one in left.places] == [one.id for one in written.places]
    plain = decode_definition(next(anonymise([definition_record(written, START)], None)).payload)
    assert (plain.rules, plain.maintenance[0].note) == (written.rules, ""), "only the remark goes without a key"


def test_decisions_stay() -> None:
    """The same transitions and cases come of an anonymised journal (remarks and addresses apart)."""
    records = journal()
    ours, theirs = (
        [line for line in text.splitlines() if line.startswith(b'{"id"') and b"happening" not in line]
        for text in (decisions(groups(anonymise(records, KEY))), live(records))
    )
    assert ours == theirs


def test_texts_and_the_unreadable_go() -> None:
    """A report loses its text and author; what cannot be read is replaced, and stays unreadable."""
    report = {"severity": "red", "text": "call 13800000000", "by": "Li"}
    topic = "linfen/C1/report/r1"
    records = [
        Record(RecordKind.MESSAGE, 1, topic, msgspec.json.encode(report)),
        Record(RecordKind.MESSAGE, 2, "linfen/C1/plate/c1", "{沪A12345".encode()),
        Record(RecordKind.MESSAGE, 3, "unknown/topic", "沪A12345".encode()),
    ]
    payloads = [record.payload for record in anonymise(records, KEY)]
    assert msgspec.json.decode(payloads[0]) == {"severity": "red", "place": "", "code": "", "text": "", "by": ""}
    assert set(payloads[1]) == set(payloads[2]) == {ord("!")}


def spoken(plate: str) -> list[Record]:
    """A plate in every text of what people and gateways say, at two other places than they have for it, and aside."""
    scope = {name: [plate] for name in ("places", "rules", "policies", "people")} | {"labels": {plate: plate}}
    action = {"verb": plate, "case": plate, "by": plate, "via": plate, "note": plate, "scope": scope, "aside": plate}
    receipt = {"key": f"{plate}:1:x:y", "delivery": "sent", "aside": plate}
    case = Case(plate, plate, plate, "G1", plate, State.FILED, Level.RED, Level.RED, 1, acknowledged_by=plate)
    notice = Notice(Trouble.STATE_LOST, active=True, orphans=(case,), used=Used({plate: 1}))
    return [
        Record(RecordKind.ACTION, 1, "", msgspec.json.encode(action)),
        Record(RecordKind.MESSAGE, 2, f"linfen/commands/by/{plate}/{plate}", msgspec.json.encode(action)),
        Record(RecordKind.RECEIPT, 3, "", msgspec.json.encode(receipt)),
        Record(RecordKind.ACTION, 4, "", msgspec.json.encode({"case": plate})),
        Record(RecordKind.RECEIPT, 5, "", msgspec.json.encode({"key": plate, "delivery": plate})),
        Record(RecordKind.NOTICE, 6, "", msgspec.json.encode(notice)),
    ]


def test_what_people_and_gateways_said_holds_no_plate() -> None:
    """Whichever text holds one; what has no proper form is replaced, and stays without it."""
    made = list(anonymise(spoken("苏E22222"), KEY))
    assert not [record for record in made if "E22222" in record.topic or b"E22222" in record.payload]
    action, command, receipt = (msgspec.json.decode(record.payload) for record in made[:3])
    stars = ["***"]
    assert action["scope"] == {
        "places": stars, "rules": stars, "policies": stars, "labels": {"***": "***"}, "people": stars
    }  # fmt: skip
    assert {action[name] for name in ("verb", "case", "by", "via", "note")} == {"***"}
    assert (command["verb"], command["note"], command["scope"]) == ("***", "***", action["scope"])
    assert receipt == {"key": "***:1:x:y", "delivery": "sent"}
    assert all(set(record.payload) == {ord("!")} for record in made[3:5])
    assert decode_notice(made[5].payload).orphans[0].acknowledged_by == "***"
    with_plates = list(anonymise(spoken("苏E22222"), None))
    assert not [record for record in with_plates if b"E22222" in record.payload]


def test_a_silence_stays_a_silence() -> None:
    """Its remark goes, and that there was one stays, for nothing is silenced without."""
    said = msgspec.json.encode({"verb": "silence", "case": "", "by": "x", "note": "call 13800000000", "until": 5})
    (record,) = anonymise([Record(RecordKind.ACTION, 1, "", said)], KEY)
    assert (msgspec.json.decode(record.payload)["note"], b"138" in record.payload) == ("***", False)


def test_when_somebody_counted_stays() -> None:
    """Without it the count would be none; in another command, or when it is no time, it may say whose it likes."""
    topic, when, name = "linfen/commands/by/p/C1", "2026-11-24T22:00:00+08:00", "门卫-C01"
    said = [("count", when), ("acknowledge", name), ("count", name)]
    bodies = [msgspec.json.encode({"verb": verb, "vehicles": 3, "at": at}) for verb, at in said]
    made = list(anonymise([Record(RecordKind.MESSAGE, 1, topic, body) for body in bodies], KEY))
    assert [msgspec.json.decode(record.payload)["at"] for record in made[:2]] == [when, None]
    assert set(made[2].payload) == {ord("!")}


@pytest.mark.parametrize(("key", "modes"), [(None, {0o600, 0o700}), (KEY, {0o644, 0o755})])
def test_copies_of_true_plates_are_for_nobody_else(tmp_path: Path, key: bytes | None, modes: set[int]) -> None:
    """A part of a recording, or several as one, is as private as what it was made of."""
    before = os.umask(0o022)
    try:
        export(journal(), tmp_path / "whole", WHOLE, key, readings=False)
        changed(tmp_path / "whole", tmp_path / "part", WHOLE, None, (), None, readings=False)
        merged([tmp_path / "whole"], tmp_path / "both", readings=False)
    finally:
        os.umask(before)
    for name in ("whole", "part", "both"):
        paths = [tmp_path / name, *(tmp_path / name).rglob("*")]
        assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == modes
