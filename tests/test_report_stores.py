"""A report from real stores: a morning through the real core into the real databases, then due, made, told, deleted.

The morning is known by construction, so every number of the report is compared with what was put into the journal.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from sensord.config.channels import MqttChannel, Smtp
from sensord.config.load import Loaded, load, with_keys
from sensord.config.settings import Rollups
from sensord.core.alert import Transition
from sensord.core.cases.notification import REPORT, Notification
from sensord.core.cases.reports import ReportTable, Span, span_of
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND, parse_instant
from sensord.core.level import Level
from sensord.core.points import Points
from sensord.core.record import Action, Group, Record, RecordKind
from sensord.core.site import Site, action_record, definition_record
from sensord.core.token import word
from sensord.core.vehicles.pseudonym import Pseudonymiser
from sensord.drivers.dayreport import DayReport
from sensord.drivers.tabular import FORMS
from sensord.errors import DeliveryError, StoreError
from sensord.notify.filled import FilledChannel
from sensord.ports import Cursor, Entry
from sensord.reporting import PATIENCE, Reporter, ReportTask
from sensord.reportmessages import ReportFiles, ReportFiller, with_files
from sensord.store.reports import ReportFolder
from sensord.store.rollups import RollupSink
from sensord.store.state import StateStore
from sensord.telemetry.metrics import PrometheusMeter
from tests.config.rejection import STREET
from tests.core.street import grouped

FIVE, DUE = parse_instant("2026-11-24 05:00"), parse_instant("2026-11-24 07:30")
NAME = "morning-20261124T0730"
CROWD = (FIVE + HOUR, FIVE + HOUR + 10 * MINUTE)
SILENCE = (FIVE + 90 * MINUTE, FIVE + 105 * MINUTE)
PLATES = ("苏E24680", "皖K13579", "粤B24681", "沪A12345", "沪B67890")


@dataclass
class Morning:
    """The stores after the morning, and what was put in."""

    loaded: Loaded
    directory: Path
    state: StateStore
    groups: list[Group]
    changes: list[Transition]

    def reporter(self) -> Reporter:
        """What makes reports of these stores."""
        return Reporter(lambda: self.loaded, self.state.history, self.directory)

    def task(self, now: int) -> ReportTask:
        """The task, at an instant."""
        return ReportTask(self.reporter(), self.state.history, lambda: self.loaded, PrometheusMeter(), lambda: now)


def _records(loaded: Loaded) -> Iterator[Record]:
    """The lane fills at six and is answered for; its sensor falls silent at half past; five cars drive in, two out."""
    yield definition_record(loaded.definition, FIVE)
    for number in range(150 * 6):
        at = FIVE + number * 10 * SECOND
        if not SILENCE[0] < at < SILENCE[1]:
            inside = CROWD[0] <= at < CROWD[1]
            count = 417 if at == CROWD[0] + 5 * MINUTE else 400 if inside else 20
            payload = json.dumps({"count": count, "boot": 1, "seq": number}).encode()
            yield Record(RecordKind.MESSAGE, at, "linfen/C01/crowd/crowd-001", payload)
        if number % 60 == 0 and number < 60 * 7:
            way, plate = ("in", PLATES[number // 60]) if number < 300 else ("out", PLATES[number // 60 - 5])
            payload = json.dumps({"plate": plate, "direction": way, "confidence": 0.99}).encode()
            yield Record(RecordKind.MESSAGE, at + SECOND, "linfen/C01/plate/cam-C01-N", payload)
        if at == CROWD[0] + 4 * MINUTE:
            case = "L001-crowd-20261124T060102"
            yield action_record(Action("acknowledge", case, "居委干部-01"), at + 2 * SECOND)
    yield Record(RecordKind.TICK, DUE - SECOND)
    yield Record(RecordKind.TICK, DUE + SECOND)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Group], list[Transition]]:
    """The small street's folder with the state of that morning; the journal, and how alarms changed."""
    base = tmp_path_factory.mktemp("morning")
    folder, directory = shutil.copytree(STREET, base / "street"), base / "street" / "state"
    path = folder / "sensord.yaml"
    path.write_text(f"{path.read_text(encoding='utf-8')}state_dir: state\n", encoding="utf-8")
    with (folder / "dispatch.yaml").open("a", encoding="utf-8") as file:
        file.write('reports: [{id: morning, at: ["07:30"], tell: [cadre, volunteer]}]\n')
    directory.mkdir()
    loaded = with_keys(load(path), FIVE)
    state, sink, points = StateStore(directory), RollupSink(directory, Rollups()), Points()
    site = Site(None, dict(loaded.secrets))
    groups, changes = grouped(list(_records(loaded)), [30], loaded.definition), []
    for group in groups:
        step = site.step(group)
        state.apply(step)
        changes += step.transitions
        made = points.points(group, [*step.transitions, *step.events])
        asyncio.run(sink.write(made, Cursor(group.seq, 0, b"")))
    asyncio.run(sink.close())
    state.close()
    return folder, groups, changes


@pytest.fixture
def morning(built: tuple[Path, list[Group], list[Transition]], tmp_path: Path) -> Iterator[Morning]:
    """A copy of it for one test."""
    folder, groups, changes = built
    loaded = load(shutil.copytree(folder, tmp_path / "street") / "sensord.yaml")
    directory = loaded.resolve(loaded.settings.state_dir)
    state = StateStore(directory)
    yield Morning(loaded, directory, state, groups, changes)
    state.close()


def _messages(morning: Morning) -> list[Notification]:
    """Everybody's message about the report, as the outbox holds it."""
    entries = morning.state.outbox.claim("people", DUE + HOUR, 100)
    return [entry.notification for entry in entries if span_of(entry.notification.event) is not None]


def test_the_report_is_made_told_and_deleted(morning: Morning) -> None:
    """Due by the core's decision; its files hold the morning's numbers, and so does each one's message."""
    morning.task(DUE + 2 * SECOND).turn()
    folder = ReportFolder(morning.directory)
    assert folder.names() == [], "late readings and undecided passages are waited for"
    morning.task(DUE + MINUTE).turn()
    assert folder.names() == [NAME]
    files = {path.name for path in (morning.directory / "reports" / NAME).iterdir()}
    assert files == {
        "report.json",
        *(f"{tongue}.{form}" for tongue in ("zh", "en") for form in ("txt", "md", "html", "message")),
    }
    _check_numbers(msgspec.json.decode(folder.read(NAME, "report.json") or b"", type=DayReport), morning)
    sent = _Sent()
    channel = FilledChannel(sent, ReportFiller(folder, lambda: DUE + MINUTE))
    for message in _messages(morning):
        assert message.text == REPORT, "the decision is the core's; the numbers are filled in on delivery"
        asyncio.run(channel.send(Entry(message, 1, False)))
    messages = [one.notification for one in sent.entries]
    assert {one.receiver for one in messages} == {"居委干部-01", "志愿者-01", "志愿者-02"}
    texts = {one.language: one.text for one in messages}
    assert "立案 11（红色 0、橙色 1、黄色 0、蓝色 10）" in texts["zh"]
    assert "未响应最多：居委干部-01 10/11、志愿者-01 10/10、志愿者-02 1/1" in texts["zh"]
    assert "最多 417 人，弄1，2026-11-24 06:05" in texts["zh"]
    assert "5 in (no data of a week before), 2 out" in texts["en"]
    os.utime(morning.directory / "reports" / NAME, ns=(FIVE, FIVE))
    morning.task(FIVE + 731 * DAY).turn()
    assert folder.names() == []


class _Sent:
    """A channel that keeps what it is given."""

    name = "people"

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def send(self, entry: Entry) -> str:
        """Keep it."""
        self.entries.append(entry)
        return ""

    async def close(self) -> None:
        """Nothing."""


def _check_numbers(report: DayReport, morning: Morning) -> None:
    lanes = {lane.lane: lane for lane in report.lanes or ()}
    counts = [
        json.loads(one.payload)["count"] for group in morning.groups for one in group.records if "crowd" in one.topic
    ]
    lane = lanes["L001"]
    assert (lane.peak, lane.peak_at, lane.density) == (max(counts), CROWD[0] + 5 * MINUTE, round(417 / 180, 2))
    level, seconds = Level.NONE, Counter[str]()
    for second in range(FIVE // SECOND, DUE // SECOND):
        changed = [one for one in morning.changes if one.rule == "lane-crowding" and one.at // SECOND == second]
        level = changed[-1].level if changed else level
        seconds[level.word] += 1
    assert lane.levels == {word: seconds[word] * SECOND for word in ("blue", "yellow", "orange", "red")}
    assert lane.levels["orange"] > 10 * MINUTE
    night, silence = FIVE - (DUE - DAY), SILENCE[1] - SILENCE[0]
    assert lane.unknown == night + silence - 30 * SECOND, "blind until five, and again from 30 s after it fell silent"
    assert (lanes["L002"].peak, lanes["L002"].unknown) == (None, DAY), "never heard is not quiet"
    street = report.vehicles.street
    assert street.counted is not None
    assert (street.counted.inward, street.counted.outward, street.counted.local) == (5, 2, 2)
    assert street.counted.out_of_town == 3
    assert street.provinces == {"苏": 1, "皖": 1, "粤": 1}
    assert (report.vehicles.start, report.vehicles.end) == (DUE - DAY, DUE), "to the quarter of an hour"
    # A camera is believed for three minutes after each of its messages: seven, ten minutes apart; the other has none.
    assert (street.gates, street.unseen, street.unknown) == (2, 2, 2 * DAY - 7 * 3 * MINUTE)
    assert street.before is None, "nobody looked a week before"
    crowd = next(case for case in report.case_list if case.place == "L001")
    assert (crowd.peak, report.cases.acknowledge) == (
        "orange",
        round((crowd.acknowledged_at - crowd.opened_at) / MINUTE, 1),
    )
    assert report.cases.opened == len(report.case_list) == sum(report.cases.levels.values())
    assert {one.person for one in report.silent} >= {"志愿者-01"}


def test_no_vehicle_is_in_a_report(morning: Morning) -> None:
    """No plate, no mask of one and no pseudonym: in no form, in no message, whoever reads it."""
    morning.task(DUE + MINUTE).turn()
    definition = morning.loaded.definition
    who = Pseudonymiser(definition.plate_keys, definition.tracking.overlap, morning.loaded.secrets)
    hidden = [
        text for plate in PLATES for text in (plate, plate[2:], plate[-3:], word(who.identify(plate, FIVE).token))
    ]
    files = {path.name: path.read_text(encoding="utf-8") for path in (morning.directory / "reports" / NAME).iterdir()}
    span, maker, kept = Span("vehicles", DUE - DAY, DUE), morning.reporter().vehicles, morning.reporter().kept
    for language in ("zh", "en"):
        for form in (*FORMS, "json"):
            files[f"vehicles.{language}.{form}"] = maker.printed(maker.make(span, DUE + MINUTE), form, language)
        for table in get_args(ReportTable):
            files[f"{language}.{table}"] = (kept.read(NAME, "csv", language, table) or b"").decode()
    assert len(files) == 1 + 2 * 4 + 2 * (4 + 9)
    assert all(files.values())
    for name, text in files.items():
        # Three digits may be an instant's or a code's, too; then they stand in a longer number.
        assert [one for one in hidden if re.search(rf"(?<![0-9]){re.escape(one)}(?![0-9])", text)] == [], name


def _rows(morning: Morning, table: ReportTable | None, language: str = "en") -> list[dict[str, str]]:
    """One table of the kept report as a program reads it."""
    found = morning.reporter().kept.read(NAME, "csv", language, table)
    assert found is not None
    return list(csv.DictReader(found.decode("utf-8-sig").splitlines(), strict=True))


def test_a_kept_report_is_read_as_tables(morning: Morning) -> None:
    """Each a CSV of its own, of the data that are kept; without a name the one at a glance."""
    morning.task(DUE + MINUTE).turn()
    report = msgspec.json.decode(morning.reporter().folder.read(NAME, "report.json") or b"", type=DayReport)
    glance = {row["item"]: row["value"] for row in _rows(morning, None)}
    assert [glance[name] for name in ("opened", "orange", "blue")] == ["11", "1", "10"]
    assert glance["minutes_to_acknowledge"] == str(report.cases.acknowledge)
    assert [row["id"] for row in _rows(morning, "cases")] == [case.id for case in report.case_list]
    (crowd,) = (row for row in _rows(morning, "cases", "zh") if row["编号"] == "L001-crowd-20261124T060102")
    assert (crowd["地点"], crowd["最高级别"], crowd["立案时间"]) == ("弄1", "橙色", "2026-11-24T06:01:02+08:00")
    pages, unanswered = Counter[str](), Counter[str]()
    for row in _rows(morning, "silent"):
        pages[row["person"]] += int(row["pages"])
        unanswered[row["person"]] += int(row["unanswered"])
    assert pages == {"居委干部-01": 11, "志愿者-01": 10, "志愿者-02": 1}
    assert unanswered == {"居委干部-01": 10, "志愿者-01": 10, "志愿者-02": 1}
    lanes = {row["place"]: row for row in _rows(morning, "lanes")}
    assert [lanes["L001"][name] for name in ("most_people", "people_per_m2")] == ["417", "2.32"]
    assert (lanes["L002"]["most_people"], lanes["L002"]["minutes_unknown"]) == ("", "1440.0")
    assert lanes["L001"]["minutes_orange"] == f"{(report.lanes or ())[0].levels['orange'] / MINUTE:.1f}"
    street = next(row for row in _rows(morning, "vehicles") if row["kind"] == "street")
    assert (street["inward"], street["out_of_town"], street["before_inward"]) == ("5", "3", "")
    assert {row["prefix"][0] for row in _rows(morning, "provinces")} == {"苏", "皖", "粤"}
    for table in get_args(ReportTable):
        heads = [morning.reporter().kept.read(NAME, "csv", tongue, table) or b"" for tongue in ("zh", "en")]
        assert len({text.decode().splitlines()[0].count(",") for text in heads}) == 1, table


def test_a_kept_report_that_is_damaged_says_so(morning: Morning) -> None:
    """Its data are no report: no table comes of it; one that is not there is none."""
    morning.task(DUE + MINUTE).turn()
    for content in (b"\xff\0", b"{}", b'{"name": 1}'):
        (morning.directory / "reports" / NAME / "report.json").write_bytes(content)
        with pytest.raises(StoreError, match="cannot be read"):
            morning.reporter().kept.read(NAME, "csv", "zh")
    assert morning.reporter().kept.read("day-20200101", "csv", "zh") is None


def test_files_go_with_the_message(morning: Morning) -> None:
    """In its language: the page, and a CSV for each table; none of a damaged report, and none with other messages."""
    morning.task(DUE + MINUTE).turn()
    kept, sent = morning.reporter().kept, _Sent()
    mail = Smtp(name="people", host="localhost", sender="a@example.org", attach=("html", "csv"))
    channel = with_files(sent, mail, kept)
    assert with_files(sent, msgspec.structs.replace(mail, attach=()), kept) is sent
    assert with_files(sent, MqttChannel(name="people"), kept) is sent
    messages = {one.language: one for one in _messages(morning)}
    for message in messages.values():
        asyncio.run(channel.send(Entry(message, 1, False)))
    for language, entry in zip(messages, sent.entries, strict=True):
        files = {file.name: file for file in entry.attachments}
        assert set(files) == {f"{NAME}.html", *(f"{NAME}-{table}.csv" for table in get_args(ReportTable))}
        assert files[f"{NAME}.html"].content == kept.folder.read(NAME, f"{language}.html")
        assert files[f"{NAME}-cases.csv"].content == kept.read(NAME, "csv", language, "cases")
        assert {file.media_type for file in files.values()} == {"text/html", "text/csv"}
    other = msgspec.structs.replace(messages["zh"], event="alert:1")
    assert ReportFiles(kept, ("html", "csv")).files(other) == ()
    (morning.directory / "reports" / NAME / "report.json").write_bytes(b"{")
    assert [file.name for file in ReportFiles(kept, ("csv", "txt")).files(messages["en"])] == [f"{NAME}.txt"]
    shutil.rmtree(morning.directory / "reports")
    assert ReportFiles(kept, ("html", "csv")).files(messages["en"]) == ()


def test_a_message_waits_for_its_report_and_goes_without_in_the_end(morning: Morning) -> None:
    """Tried again while the report is not there; after five minutes it says where the report will be."""
    message = _messages(morning)[0]
    folder = ReportFolder(morning.directory)
    with pytest.raises(DeliveryError) as refused:
        ReportFiller(folder, lambda: DUE + MINUTE).fill(message)
    assert refused.value.retryable
    late = ReportFiller(folder, lambda: DUE + PATIENCE).fill(message)
    assert NAME in late.text
    assert REPORT not in late.text


def test_roll_ups_that_lag_are_waited_for(morning: Morning) -> None:
    """The report is made once they have come as far as the core had; if they never do, after five minutes."""
    reporter = morning.reporter()
    assert not reporter.waits(len(morning.groups))
    assert reporter.waits(len(morning.groups) + 1)
    now = [DUE + MINUTE]
    reporter.waits = lambda seq: True  # type: ignore[method-assign]
    task = ReportTask(reporter, morning.state.history, lambda: morning.loaded, PrometheusMeter(), lambda: now[0])
    task.turn()
    assert reporter.folder.names() == []
    now[0] += PATIENCE
    task.turn()
    assert reporter.folder.names() == [NAME]


class Pressed:
    """As the test says."""

    pressed = True


@pytest.mark.parametrize("passes", [True, False])
def test_reports_give_way_while_more_comes_in_than_is_taken(morning: Morning, passes: bool) -> None:
    """Pressed, none is made; it is as soon as that is over, and after five minutes even so."""
    reporter, pressure, now = morning.reporter(), Pressed(), [DUE + MINUTE]
    loaded, meter = lambda: morning.loaded, PrometheusMeter()
    task = ReportTask(reporter, morning.state.history, loaded, meter, lambda: now[0], pressure=pressure)
    task.turn()
    assert reporter.folder.names() == []
    if passes:
        pressure.pressed = False
    else:
        now[0] += PATIENCE
    task.turn()
    assert reporter.folder.names() == [NAME]


def test_a_report_that_cannot_be_made_is_tried_again_a_minute_later(morning: Morning) -> None:
    """It ends nothing else: not the task, not the daemon."""
    reporter, now, meter = morning.reporter(), [DUE + MINUTE], PrometheusMeter()
    task = ReportTask(reporter, morning.state.history, lambda: morning.loaded, meter, lambda: now[0])
    tried: list[int] = []

    def fail(span: Span, at: int) -> None:
        tried.append(at)
        raise ZeroDivisionError

    keep, reporter.keep = reporter.keep, fail  # type: ignore[assignment,method-assign]
    for seconds in (0, 2, 59, 60):
        now[0] = DUE + MINUTE + seconds * SECOND
        task.turn()
    assert tried == [DUE + MINUTE, DUE + 2 * MINUTE]
    assert meter.value("report_failures_total") == 2
    reporter.keep = keep  # type: ignore[method-assign]
    now[0] += MINUTE
    task.turn()
    assert reporter.folder.names() == [NAME]


def test_without_roll_ups_nothing_is_said_of_crowds(morning: Morning) -> None:
    """No table of quiet lanes, but the words that there are no data."""
    settings = msgspec.structs.replace(morning.loaded.settings, sinks=())
    bare = replace(morning, loaded=replace(morning.loaded, settings=settings))
    report, pages = bare.reporter().make(Span("latest", DUE - DAY, DUE), DUE)
    assert report.lanes is None
    assert "没有数据" in pages["zh"].message()
    assert "Crowds, by lane" not in [table.title for table in pages["en"].document().tables]
