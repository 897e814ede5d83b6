"""What comes from devices and from operators over the broker: payloads, topics, plates, commands."""

from __future__ import annotations

from math import isfinite

from sensord.core.intake.codec import CODECS, Context
from sensord.core.intake.topic import TopicTemplate
from sensord.core.reading import Reading, Topic
from sensord.core.record import Group, Record, RecordKind
from sensord.core.site import Site, definition_record
from sensord.core.stream import SOURCE, Stream
from sensord.core.vehicles.blot import without_plates
from sensord.core.vehicles.plate import mask, recognise
from sensord.core.vehicles.platekind import PlateKind
from sensord.errors import DecodeError
from sensord.ingest.client import Listener
from sensord.ingest.topics import KINDS, kind_of, sessions
from tests.core.street import START, definition
from tests.fuzz.target import Target, each
from tests.ingest.raw import GOOD, hearing, packet, publish

_CONTEXT = Context("Asia/Shanghai")
_READINGS, _COMMANDS = "t/{compound}/{kind}/{device}", "t/commands/by/{user}/{case}"
_KIND_OF = kind_of(_READINGS, _COMMANDS)
_PLATES = each(
    "沪A12345", "沪AD12345", "WJ京1234J", "使123456", "粤Z1234港", "ＢＡ１２３４５", "临沪A1234", "沪 A·1234 学"
)
_PAYLOADS = each(
    '{"device":"crowd-0","at":"2026-11-24T12:00:00+08:00","boot":1,"seq":2,"count":3,"enter":1,"exit":0}',
    '{"plate":"沪A12345","direction":"in","confidence":0.97,"color":"blue","characters":[0.9,0.99],"at":1763900000000}',
    '{"value":1e308,"at":1e15,"boot":9007199254740992}',
    '{"severity":"red","code":"fire","by":"inspector-1","text":"x"}',
    '{"battery":50,"signal":-70.5,"uptime":3600}',
    '{"count":NaN}',
    b'{"plate":"\xed\xa0\x80"}',
    "[" * 1200,
    '{"count":1,"count":-1}',
)


def _codec(name: str, stream: Stream) -> Target:
    topic, decode = Topic("C1", stream, "crowd-0"), CODECS[name]

    def feed(payload: bytes) -> None:
        readings: list[Reading] = []
        reason = "decoded"
        try:
            readings = decode(topic, payload, _CONTEXT)
        except DecodeError as error:
            reason = error.reason
        assert reason.isidentifier()
        assert all(isfinite(value) for reading in readings for value in reading.fields.values())

    return Target(f"codec-{name}-{stream.word}", feed, _PAYLOADS)


def _topic(data: bytes) -> None:
    """A topic has a kind that may be a label, and a template takes it apart and puts it together again."""
    topic = data.decode("utf-8", "replace")
    assert _KIND_OF(topic) in KINDS
    template = TopicTemplate(_READINGS)
    parts = template.parts(topic)
    assert parts is None or template.fill(**parts) == topic
    assert sessions(_READINGS, _COMMANDS, "sensord")


def _packet(data: bytes) -> None:
    """A PUBLISH (its flags, then what follows its length) costs nothing but itself: the one behind it is heard."""
    with hearing(Listener) as say:
        assert say(packet(0x30 | ord(data[:1] or b"0") & 0x0F, data[1:]) + GOOD)[-1].payload == b"!"


def _plate(data: bytes) -> None:
    """Recognising twice is recognising once; what is masked does not give the plate away; texts lose their plates."""
    raw = data.decode("utf-8", "replace")
    plate = recognise(raw)
    assert recognise(plate.text, plate.colour).text == plate.text
    assert not plate.text or plate.text not in mask(plate)
    left = recognise(without_plates(raw))
    assert left.kind in _NO_PLATE or not any(character.isdigit() for character in left.text)


_NO_PLATE = (PlateKind.UNREAD, PlateKind.NONE, PlateKind.ARMY)
"""Army plates cannot be told from device names in texts."""
_LINES = {b"r": RecordKind.MESSAGE, b"a": RecordKind.ACTION, b"p": RecordKind.RECEIPT, b"n": RecordKind.NOTICE}


class _Street:
    """One site for many inputs: it must take whatever comes, in any order, and must not grow with it."""

    def __init__(self) -> None:
        self._site: Site | None = None
        self._steps = 0

    def __call__(self, data: bytes) -> None:
        """A line is a record: its kind, the topic, a space, the payload. ``d`` brings a definition."""
        if self._site is None or self._steps > 2_000:
            self._site, self._steps = Site(), 1
            self._site.step(Group(1, (definition_record(definition(), START),)))
        self._steps += 1
        at = START + self._steps * 1_000_000_000
        records = [_record(line, at) for line in data.split(b"\n")[:20]]
        step = self._site.step(Group(self._steps, (*records, Record(RecordKind.TICK, at))))
        assert len(step.dead) <= len(records)
        if self._steps % 500 == 0:
            state = self._site.snapshot()
            assert Site.restored(state).snapshot() == state
            assert len(state) < 2_000_000


def _record(line: bytes, at: int) -> Record:
    kind = _LINES.get(line[:1], RecordKind.MESSAGE)
    topic, _, payload = line[1:].partition(b" ")
    return Record(kind, at, topic.decode("utf-8", "replace"), payload, line[:1] == b"R", line[:1] == b"D")


_MARKED = (b"\x26\x00\x01a\x00\x03\xef\xbb\xbf", b"\x03\x00\x03\xef\xbb\xbf", b"\x0b\x01\x02\x00\x00\x00\x09\x01\x01")
"""Properties of a message: for anybody's use, a content type, and some numbers."""
_PACKETS = (
    *(publish(b"t/C1/crowd/crowd-0", b'{"count":3}', properties, 9) for properties in _MARKED),
    publish(b"t/C1/plate/camera-0", b""),
)
_CASE = "G1-L1-crowd-20231114T221320"
_STREET = each(
    b'rt/C1/crowd/crowd-0 {"count":90,"boot":1,"seq":1}\nrt/C1/crowd/crowd-0 {"count":90,"boot":1,"seq":2}',
    b'rt/C1/plate/camera-0 {"plate":"\xe6\xb2\xaaA12345","direction":"in"}\nDt/C1/plate/camera-0 {}',
    b'rt/C1/status/crowd-0 {"battery":4}\nRt/C1/crowd/crowd-0 {"count":9}',
    f'rt/commands/by/居委干部-1/{_CASE} {{"verb":"acknowledge","note":"x"}}',
    f'a {{"verb":"silence","case":"s","by":"x","note":"y","until":{2**62},"scope":{{"places":["G1"]}}}}',
    f'p {{"key":"{_CASE}:1:居委干部-1:wecom","delivery":"failed"}}',
    'n {"trouble":"disk_full","active":true}',
)

TARGETS = (
    *(_codec(name, stream) for name in sorted(CODECS) for stream in Stream if stream not in SOURCE),
    Target("topic", _topic, each("t/C1/crowd/crowd-0", "t/commands/x", "+/#", "$SYS/broker", "")),
    Target("packet", _packet, tuple(whole[:1] + whole[2:] for whole in _PACKETS)),
    Target("plate", _plate, _PLATES),
    Target("site", _Street(), _STREET),
)
