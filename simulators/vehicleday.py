"""Vehicles at the gates of a street whose cameras also say that they are alive, and fall silent when told to.

``Traffic`` knows vehicles only; here its readings are told as numbered messages of cameras (so that one delivered twice
is known), with signs of life between them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from heapq import merge

import msgspec

from sensord.core.definition import Definition
from sensord.core.instant import DAY, MINUTE
from sensord.core.intake.topic import TopicTemplate
from sensord.core.place import PlaceKind, Places
from sensord.core.record import Group, Record, RecordKind
from sensord.core.site import definition_record
from sensord.core.stream import Stream
from simulators.traffic import Faults, Traffic

PULSE = MINUTE
"""So far apart are a camera's signs of life."""
Silences = Mapping[str, tuple[int, int]]
"""Camera -> when it says nothing, [from, to) in ns."""


def watched(
    definition: Definition, start: int, days: int, vehicles: int, *, silences: Silences, seed: int = 1
) -> Iterator[Record]:
    """Yield the messages of vehicles and cameras in order of arrival, and a tick a minute, as a journal holds them."""
    traffic = Traffic(definition, start, days, vehicles, faults=Faults(skew=0), seed=seed)
    streams = (_numbered(traffic.records()), _pulses(definition, start, start + days * DAY))
    for record in merge(*streams, key=lambda record: record.received_at):
        since, until = silences.get(record.topic.rpartition("/")[2], (0, 0))
        if not since <= record.received_at < until:
            yield record


def _numbered(records: Iterator[Record]) -> Iterator[Record]:
    """Number each camera's messages instead of stamping them; one that comes again has the number that it had."""
    numbers: dict[str, dict[bytes, int]] = {}
    for record in records:
        if record.kind != RecordKind.MESSAGE:
            yield record
            continue
        known = numbers.setdefault(record.topic, {})
        said = {**json.loads(record.payload), "boot": 1, "seq": known.setdefault(record.payload, len(known))}
        del said["at"]
        yield msgspec.structs.replace(record, payload=json.dumps(said, ensure_ascii=False).encode())


def _pulses(definition: Definition, start: int, end: int) -> Iterator[Record]:
    places = Places(definition.places, definition.devices)
    template = TopicTemplate(definition.topics)
    topics = [
        template.fill(
            compound=places.above(device.place, PlaceKind.COMPOUND) or "", kind=Stream.STATUS.word, device=device.id
        )
        for device in definition.devices
        if device.stream is Stream.PLATE
    ]
    for at in range(start - PULSE, end, PULSE):
        for number, topic in enumerate(topics):
            yield Record(RecordKind.MESSAGE, at + number, topic, b'{"uptime": %d}' % (at // 1_000_000_000))


def journal(definition: Definition, start: int, records: Iterator[Record], size: int = 200) -> Iterator[Group]:
    """Cut records into groups; the definition stands before all signs of life."""
    group, seq = [definition_record(definition, start - PULSE)], 0
    for record in records:
        group.append(record)
        if len(group) >= size:
            seq += 1
            yield Group(seq, tuple(group))
            group = []
    yield Group(seq + 1, tuple(group))
