"""Intake: from journaled records to a batch. Pure and deterministic; its state is part of every snapshot.

A message passes, in this order: topic -> registered device; retained? -> codec -> claimed device -> duplicate (by boot
and sequence, or content) -> clock -> columns. What fails becomes a dead letter with a named
reason; the payload itself stays in the journal and nowhere else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from sensord.core.batch import CLOCK_SUSPECT, Batch, Bools, Float64, Int8, Int32, Int64, tick
from sensord.core.definition import Definition
from sensord.core.intake import spoken
from sensord.core.intake.clock import Clock
from sensord.core.intake.codec import Context, native
from sensord.core.intake.memory import Memories, Memory
from sensord.core.intake.repeats import Repeats
from sensord.core.intake.rows import ALONE, Messages, Rows, read_rows
from sensord.core.intake.topic import Route, TopicTemplate, all_routes, unknown_topic
from sensord.core.place import Places
from sensord.core.record import Action, Receipt, Record, RecordKind
from sensord.core.stream import FIELDS, LABELS, Stream
from sensord.core.vehicles.plate import without_plates
from sensord.core.vehicles.pseudonym import Pseudonymiser
from sensord.core.vehicles.sighting import Identifier, Sighting, sightings
from sensord.errors import DecodeError

_CODES = {name: {word: code for code, word in enumerate(label.words)} for name, label in LABELS.items()}
_NAN = float("nan")


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be used: its position in its group, and why. Never its payload."""

    index: int
    received_at: int
    topic: str
    reason: str
    detail: str


class _Saved(msgspec.Struct, array_like=True):
    """The intake's state as it is saved: memories by device id, and the readings counted so far."""

    memories: dict[str, Memory]
    readings: int


@dataclass(slots=True)
class Decoded:
    """What came of some records: the batch, actions with the number of readings before each, dead letters, counts.

    ``counts`` is keyed by (stream, outcome). ``gaps`` counts, by device id, messages that devices numbered and that did
    not come before their successors, ``filled`` those of them that came after all.
    """

    batch: Batch
    actions: list[tuple[int, int, Action | Receipt]]
    dead: list[DeadLetter]
    counts: Counter[tuple[str, str]]
    gaps: Counter[str] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)


class Intake:
    """Turns records into batches. ``decode`` is the whole interface, besides saving and restoring its state.

    Without a ``pseudonymiser`` plates are sorted into classes, and vehicles are not told apart.
    """

    def __init__(self, definition: Definition, places: Places, pseudonymiser: Pseudonymiser | None = None) -> None:
        self._places = places
        self._context = Context(definition.zone)
        self._identifier = Identifier(definition.plates, pseudonymiser)
        self._readings_topic = TopicTemplate(definition.topics)
        self._commands_topic = TopicTemplate(definition.commands)
        self._people = frozenset(person.id for person in definition.people)
        self._routes = all_routes(definition, places)
        self._memories = Memories([Memory(Clock(), Repeats()) for _ in places.devices])
        areas = [places.by_id[device.place].area_m2 for device in places.devices]
        self._areas = np.array([_NAN if area is None else area for area in areas], np.float64)
        self._tolerances = np.array([definition.lateness_of(stream) for stream in Stream], np.int64)
        self._streams = np.array([route.stream for route in self._routes.values()], np.int64)
        self._together = np.array([_together(route) for route in self._routes.values()], np.int64)
        self._devices = np.array([route.index for route in self._routes.values()], np.int64)
        self.readings = 0

    def decode(self, records: Sequence[Record], now: int, first: int = 0) -> Decoded:
        """Decode the messages and actions among ``records``; ``now`` is the journal time that they bring.

        ``first`` is the position of the first record in its group (for dead letters). Never raises for bad input.
        """
        out = Decoded(tick(now), [], [], Counter())
        messages = self._sorted_out(records, first, out)
        positions = messages.positions

        def refuse(at: int, error: DecodeError) -> None:
            _refuse(first + positions[at], messages.records[at], error, out)

        rows = read_rows(messages, self._together, self._context, refuse)
        kept = self._kept(rows, messages, now, out) if rows.at else []
        self.readings += len(kept)
        if out.actions:
            before = [positions[rows.at[row]] for row in kept]
            out.actions = [(bisect_left(before, position), at, told) for position, at, told in out.actions]
        out.dead.sort(key=_position)
        return out

    def _sorted_out(self, records: Sequence[Record], first: int, out: Decoded) -> Messages:
        """Return the messages of registered devices; note everything else."""
        routes, kind = list(map(self._routes.get, [record.topic for record in records])), int(RecordKind.MESSAGE)
        odd = [
            position
            for position, (record, route) in enumerate(zip(records, routes, strict=True))
            if route is None or record.kind != kind or record.retained
        ]
        for position in odd:
            record, route = records[position], routes[position]
            if route is not None and record.kind == kind:
                out.counts[route.stream.word, "retained"] += 1
                continue
            try:
                self._told(position, record, out)
            except DecodeError as error:
                _refuse(first + position, record, error, out)
        positions: Sequence[int] = range(len(records))
        if odd:
            positions = sorted(set(positions).difference(odd))
            records, routes = [records[place] for place in positions], [routes[place] for place in positions]
        leading = [route for route in routes if route is not None]  # every one
        return Messages(positions, records, leading, np.array([route.number for route in leading], np.int64))

    def _told(self, position: int, record: Record, out: Decoded) -> None:
        """Take what a person or a channel said, with its record's position; raises ``DecodeError``."""
        if record.kind == RecordKind.ACTION:
            out.actions.append((position, record.received_at, spoken.action(record.payload)))
        elif record.kind == RecordKind.RECEIPT:
            out.actions.append((position, record.received_at, spoken.receipt(record.payload)))
        elif record.kind == RecordKind.MESSAGE:
            parts = self._commands_topic.parts(record.topic)
            if parts is None:
                raise unknown_topic(self._readings_topic.parts(record.topic), self._places)
            action = spoken.command(record.payload, parts["case"], parts["user"], self._people)
            if not record.retained:
                out.actions.append((position, record.received_at, action))

    def _kept(self, rows: Rows, messages: Messages, now: int, out: Decoded) -> list[int]:
        """Judge the rows, make the batch of those that are no repeats, and count; return which are kept."""
        number = messages.number[rows.at]
        received_at = np.array([record.received_at for record in messages.records], np.int64)[rows.at]
        device, stream = self._devices[number], self._streams[number]
        tolerance = self._tolerances[stream]
        judged = self._memories.judge(rows, messages, device, received_at, tolerance)
        new, late = ~judged.repeated, judged.event_at + tolerance < received_at
        outcomes = {"duplicate": judged.repeated, "late": new & late, "accepted": new & ~late}
        if judged.suspect.any():
            outcomes["clock_suspect"] = judged.suspect & np.array([stamp is not None for stamp in rows.stamps])
        fields, kept = rows.fields, np.flatnonzero(new)
        for told, by_position in ((out.gaps, judged.gaps), (out.filled, judged.filled)):
            for index, amount in by_position.items():
                if amount:
                    told[self._places.devices[index].id] += amount
        _count(stream, outcomes, out.counts)
        if len(kept) < len(rows):
            stream, device, received_at = stream[kept], device[kept], received_at[kept]
            fields = {name: column[kept] for name, column in fields.items()}
        labels, seen = self._labels(rows, kept.tolist(), received_at)
        flags = np.where(judged.suspect, np.int8(CLOCK_SUSPECT), np.int8(0))
        out.batch = Batch(
            now,
            stream.astype(np.int8),
            device.astype(np.int32),
            judged.event_at[kept],
            received_at,
            flags[kept],
            self._fields(fields, device),
            labels,
            sightings(seen, received_at),
            self._spots(rows, kept.tolist()),
        )
        return kept.tolist()

    def _spots(self, rows: Rows, kept: list[int]) -> Int32 | None:
        """The places that findings name, for the rows that are kept; None when none does."""
        named = {row: reading.spot for row, reading in rows.single if reading.spot is not None}
        if not named:
            return None
        return np.array([self._places.index[named[row]] if row in named else -1 for row in kept], np.int32)

    def _fields(self, fields: dict[str, Float64], device: Int64) -> dict[str, Float64]:
        """Add the density; leave out what no reading has."""
        if "count" in fields:
            fields["density"] = fields["count"] / self._areas[device]
        return {name: fields[name] for name in FIELDS if name in fields and not np.isnan(fields[name]).all()}

    def _labels(self, rows: Rows, kept: list[int], received_at: Int64) -> tuple[dict[str, Int8], list[Sighting | None]]:
        """Sort and identify what cameras saw; return label columns, and who was seen, for the rows that are kept."""
        count, labels, seen = len(kept), dict[str, Int8](), list[Sighting | None]()
        for row, reading in rows.single:
            place = bisect_left(kept, row)
            if place == count or kept[place] != row or (reading.plate is None and not reading.labels):
                continue
            words = reading.labels
            if reading.plate is not None:
                sighting = self._identifier.see(reading.plate, int(received_at[place]))
                seen = seen or [None] * count
                seen[place], words = sighting, words | sighting.labels
            for name, word in words.items():
                if name in _CODES:
                    column = labels.setdefault(name, np.full(count, -1, np.int8))
                    column[place] = _CODES[name].get(word, -1)
        return {name: labels[name] for name in _CODES if name in labels}, seen

    def save(self) -> bytes:
        """Return the state as bytes."""
        memories = {
            device.id: memory for device, memory in zip(self._places.devices, self._memories.all(), strict=True)
        }
        return msgspec.msgpack.encode(_Saved(memories, self.readings))

    def restore(self, state: bytes) -> None:
        """Take the state back; devices that it does not know start afresh, devices that are gone are forgotten."""
        saved = msgspec.msgpack.decode(state, type=_Saved)
        self.readings = saved.readings
        self._memories = Memories(
            [saved.memories.get(device.id) or Memory(Clock(), Repeats()) for device in self._places.devices]
        )


def _together(route: Route) -> int:
    """The stream whose messages are decoded together with those of a route."""
    return route.stream if route.codec is native.decode and route.stream in native.NUMBERS else ALONE


def _position(letter: DeadLetter) -> int:
    return letter.index


def _refuse(index: int, record: Record, error: DecodeError, out: Decoded) -> None:
    """Say why a record could not be used. A stranger's topic may hold anything, a plate too."""
    topic, detail = without_plates(record.topic[:200]), without_plates(error.detail[:200])
    out.dead.append(DeadLetter(index, record.received_at, topic, error.reason, detail))


def _count(stream: Int64, outcomes: dict[str, Bools], counts: Counter[tuple[str, str]]) -> None:
    """Count the rows of each outcome by stream."""
    for outcome, which in outcomes.items():
        if which.any():
            for one, amount in zip(Stream, np.bincount(stream[which], minlength=len(Stream)).tolist(), strict=True):
                if amount:
                    counts[one.word, outcome] += amount
