"""Nonsense for everything that reads input: no exception but the one that is meant, and bounded in time and memory.

What needs structure to get anywhere; bytes of every kind go to ``targets.py``. ``FUZZ_EXAMPLES`` says how many.
"""

from __future__ import annotations

import json
import os
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensord.config.yamlfile import parse_yaml
from sensord.core.cases.notice import Notice, Trouble, decode_notice
from sensord.core.definition import decode_definition
from sensord.core.intake.codec import CODECS, Context
from sensord.core.intake.topic import TopicTemplate
from sensord.core.reading import Topic
from sensord.core.record import Group, Record, RecordKind
from sensord.core.site import Site, definition_record
from sensord.core.stream import Stream
from sensord.errors import ConfigError, DecodeError, Problem, SnapshotError, StoreError
from sensord.ingest.topics import KINDS, kind_of, sessions
from sensord.store.dayfile import decode_group, encode_records
from tests.core.street import START, definition

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
fuzzed = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))

_HOSTILE = st.sampled_from(
    [
        b"",
        b"null",
        b"[" * 5000,
        b'{"a":' * 5000,
        b'{"count":1e400}',
        b'{"count":NaN}',
        b'{"count":-0.0,"count":1}',
        b'{"seq":9007199254740993,"boot":-1}',
        b'{"at":"9999-12-31T23:59:60Z"}',
        b'{"at":1e308}',
        b'{"plate":"\xed\xa0\x80"}',
        b'{"plate":"' + "沪".encode() * 5000 + b'"}',
        b"\xff\xfe\x00",
        b"\x00" * 64,
    ]
)
_SCALAR = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20)
_VALUE = st.recursive(
    _SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner), max_leaves=8
)
_KEYS = (
    "count",
    "enter",
    "exit",
    "plate",
    "direction",
    "confidence",
    "value",
    "severity",
    "at",
    "boot",
    "seq",
    "device",
)
_MESSAGES = st.dictionaries(st.sampled_from(_KEYS), _VALUE, max_size=8).map(lambda body: json.dumps(body).encode())
PAYLOADS = _HOSTILE | st.binary(max_size=300) | _MESSAGES
_LEVEL = st.text(max_size=12) | st.sampled_from(["t", "C1", "crowd", "plate", "crowd-0", "+", "#", "$SYS", "commands"])
TOPICS = st.lists(_LEVEL, max_size=7).map("/".join)


@pytest.mark.parametrize("codec", sorted(CODECS))
@pytest.mark.parametrize("stream", [stream for stream in Stream if stream is not Stream.VISIT])  # made, not received
def test_a_codec_makes_readings_or_says_why_not(codec: str, stream: Stream) -> None:
    """Whatever the bytes: finite numbers, or a ``DecodeError`` with its reason."""
    context = Context("Asia/Shanghai")

    @given(PAYLOADS)
    @fuzzed
    def feed(payload: bytes) -> None:
        readings, reason = [], "none"
        try:
            readings = CODECS[codec](Topic("C1", stream, "crowd-0"), payload, context)
        except DecodeError as error:
            reason = error.reason
        assert reason
        assert all(isfinite(value) for reading in readings for value in reading.fields.values())

    feed()


@given(st.lists(st.tuples(TOPICS, PAYLOADS, st.booleans(), st.booleans()), max_size=6))
@fuzzed
def test_a_site_takes_any_message(messages: list[tuple[str, bytes, bool, bool]]) -> None:
    """Each becomes readings, an action or a dead letter; the state can be saved and restored afterwards."""
    site = Site()
    site.step(Group(1, (definition_record(definition(), START),)))
    records = tuple(Record(RecordKind.MESSAGE, START + n, *one) for n, one in enumerate(messages))
    step = site.step(Group(2, (*records, Record(RecordKind.TICK, START + 100))))
    assert len(step.dead) <= len(messages)
    assert Site.restored(site.snapshot()).snapshot() == site.snapshot()


@given(st.sampled_from([RecordKind.ACTION, RecordKind.DEFINITION, RecordKind.RECEIPT, RecordKind.NOTICE]), PAYLOADS)
@fuzzed
def test_a_site_survives_any_record_of_our_own(kind: RecordKind, payload: bytes) -> None:
    """A record that a later version wrote, or damage, is a dead letter and no end of the daemon."""
    site = Site()
    site.step(Group(1, (definition_record(definition(), START), Record(kind, START + 1, "", payload))))


@given(TOPICS)
@fuzzed
def test_any_topic_has_a_kind(topic: str) -> None:
    """One of the few that are labels of a metric; and a template takes it apart or does not."""
    assert kind_of("t/{compound}/{kind}/{device}", "t/commands/by/{user}/{case}")(topic) in KINDS
    template = TopicTemplate("t/{compound}/{kind}/{device}")
    parts = template.parts(topic)
    assert parts is None or template.fill(**parts) == topic
    assert sessions("t/{compound}/{kind}/{device}", "t/commands/by/{user}/{case}", "sensord")


@given(_HOSTILE | st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
@fuzzed
def test_any_file_is_yaml_or_a_mistake_with_its_place(raw: bytes) -> None:
    """Nothing but ``ConfigError``, with line and column."""
    problems: list[Problem] = []
    try:
        parse_yaml(raw, "fuzz.yaml")
    except ConfigError as error:
        problems = error.problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)


@given(PAYLOADS)
@fuzzed
def test_bytes_that_are_no_state_are_refused(raw: bytes) -> None:
    """Snapshots, journal rows, definitions and notices say that they are none."""
    with pytest.raises(SnapshotError):
        Site.restored(raw)
    with pytest.raises(StoreError):
        decode_group(1, raw, Path("journal-2026-01-01.db"))
    for decode in (decode_definition, decode_notice):
        with pytest.raises((msgspec.DecodeError, UnicodeDecodeError, RecursionError)):
            decode(raw)


@given(st.integers(0, 10_000), st.integers(1, 255))
@fuzzed
def test_a_damaged_row_or_snapshot_is_noticed(place: int, flip: int) -> None:
    """A byte that was turned over never yields another state or other records."""
    site = Site()
    site.step(Group(1, (definition_record(definition(), START),)))
    for whole, read in (
        (site.snapshot(), Site.restored),
        (encode_records([Record(RecordKind.MESSAGE, START, "t", b"x" * 90)]), lambda raw: decode_group(1, raw, Path())),
    ):
        damaged = bytearray(whole)
        damaged[place % len(damaged)] ^= flip
        with pytest.raises((SnapshotError, StoreError)):
            read(bytes(damaged))


@pytest.mark.parametrize("fault", ["a place without its parent", "a circle", "no such zone", "a device nowhere"])
def test_a_definition_that_contradicts_itself_changes_nothing(fault: str) -> None:
    """It is a dead letter with its reason, and the definition before stays in force, whole."""
    whole = definition()
    places = {place.id: place for place in whole.places}
    match fault:
        case "a place without its parent":
            places.pop("B1")
        case "a circle":
            places["B1"] = msgspec.structs.replace(places["B1"], parent="G1")
    changes: dict[str, Any] = {"places": tuple(places.values())}
    if fault == "no such zone":
        changes = {"zone": "Asia/Nowhere"}
    elif fault == "a device nowhere":
        changes = {"devices": (msgspec.structs.replace(whole.devices[0], place="nowhere"),)}
    site, other = Site(whole), Site(whole)
    other.step(Group(1, (Record(RecordKind.TICK, START),)))
    step = site.step(Group(1, (definition_record(msgspec.structs.replace(whole, **changes), START),)))
    assert [letter.reason for letter in step.dead] == ["bad_definition"]
    assert site.snapshot() == other.snapshot()


def test_a_notice_reads_back() -> None:
    """What the fuzzer refuses is not everything."""
    notice = Notice(Trouble.DISK_FULL, active=True)
    assert decode_notice(msgspec.json.encode(notice)) == notice
