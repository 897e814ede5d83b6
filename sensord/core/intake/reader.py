"""The half of the intake that remembers nothing: what some records say by themselves, as columns. Pure.

Whoever has the definition can read ahead, in another process, too; what comes of it depends on these records alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from operator import attrgetter

import msgspec
import numpy as np

from sensord.core.batch import Bools, Int8, Int32, Int64, Sightings
from sensord.core.definition import Definition
from sensord.core.failure import Failures, Part
from sensord.core.intake import spoken
from sensord.core.intake.codec import Context, native
from sensord.core.intake.rows import ALONE, Messages, RowReader, Rows
from sensord.core.intake.topic import Route, TopicTemplate, all_routes, unknown_topic
from sensord.core.place import Places
from sensord.core.record import Action, Receipt, Record, RecordKind, kinds
from sensord.core.stream import LABELS
from sensord.core.vehicles.blot import without_plates
from sensord.core.vehicles.pseudonym import Pseudonymiser
from sensord.core.vehicles.sighting import Identifier, Sighting, sightings
from sensord.errors import DecodeError

_CODES = {name: {word: code for code, word in enumerate(label.words)} for name, label in LABELS.items()}
_NAN = float("nan")
_NOWHERE = -1
"""Stands for the route of a topic that has none."""
_TOPIC, _RETAINED, _RECEIVED = map(attrgetter, ("topic", "retained", "received_at"))
_AHEAD, _AGAIN = map(attrgetter, ("ahead", "duplicate"))


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be used: its position in its group, and why. Never its payload."""

    index: int
    received_at: int
    topic: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Aside:
    """What is no reading: actions beside the positions of their records, dead letters, what was retained or failed."""

    actions: list[tuple[int, int, Action | Receipt]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    retained: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: Failures = field(default_factory=Failures)


@dataclass(frozen=True, slots=True)
class Read:
    """What some records say. Columns are (n,), a row for each reading, repeats included.

    ``position`` int64 is where the reading's message is among the records, ``device`` int64 its position in the
    registry, ``stream`` int64, ``ahead`` (bool) whether it came ahead of its turn, ``again`` (bool) whether the broker
    says that it sends it again; labels, sightings and spots are those of a batch.
    """

    position: Int64
    received_at: Int64
    device: Int64
    stream: Int64
    ahead: Bools
    again: Bools
    rows: Rows
    labels: dict[str, Int8]
    sightings: Sightings | None
    spot: Int32 | None
    aside: Aside


class Reader:
    """Reads records under one definition. Without a ``pseudonymiser`` vehicles are sorted and not told apart."""

    def __init__(self, definition: Definition, places: Places, pseudonymiser: Pseudonymiser | None) -> None:
        self._places = places
        self._identifier = Identifier(definition.plates, pseudonymiser)
        self._readings_topic = TopicTemplate(definition.topics)
        self._commands_topic = TopicTemplate(definition.commands)
        people = frozenset(person.id for person in definition.people)
        self._names = spoken.Names(people, places.by_id, definition.zone)
        routes = all_routes(definition)
        self._numbers = {topic: route.number for topic, route in routes.items()}
        self._routes = list(routes.values())
        senders = [route.device for route in self._routes]
        together = np.array([_together(route) for route in self._routes], np.int64)
        self._row_reader = RowReader(self._routes, senders, together, Context.of(definition.zone, places.devices))
        areas = [places.by_id[device.place].area_m2 for device in places.devices]
        self._areas = np.array([_NAN if area is None else area for area in areas], np.float64)
        self._streams = np.array([route.stream for route in self._routes], np.int64)
        self._devices = np.array([route.index for route in self._routes], np.int64)

    def read(self, records: Sequence[Record], first: int = 0) -> Read:
        """Read records; ``first`` is the position of the first in its group. Never raises for bad input.

        Nor for a mistake of ours that some of them bring about: these become dead letters ``internal``.
        """
        try:
            return self._read(records, first)
        except Exception as error:  # noqa: BLE001  # whatever it is: it must not keep people from hearing of the rest
            culprits = self._culprits(records) or {
                place: error for place, record in enumerate(records) if record.kind == RecordKind.MESSAGE
            }
        spared = [_nothing(record) if place in culprits else record for place, record in enumerate(records)]
        read = self._read(spared, first)
        for place, mistake in culprits.items():
            record, known = records[place], records[place].topic in self._numbers
            what, detail = record.topic if known else "a record", type(mistake).__name__
            read.aside.failures.caught(Part.MESSAGE, what, record.received_at, mistake)
            letter = DeadLetter(first + place, record.received_at, record.topic if known else "", "internal", detail)
            read.aside.dead.append(letter)
        read.aside.dead.sort(key=_index)
        return read

    def _culprits(self, records: Sequence[Record], start: int = 0) -> dict[int, Exception]:
        """The positions of the records that cannot be read, counted from ``start``, with what that raises."""
        try:
            self._read(records, 0)
        except Exception as error:  # noqa: BLE001  # it is told by whoever asks
            if len(records) == 1:
                return {start: error}
            half = len(records) // 2
            return self._culprits(records[:half], start) | self._culprits(records[half:], start + half)
        return {}

    def _read(self, records: Sequence[Record], first: int) -> Read:
        aside = Aside()
        messages = self._sorted_out(records, first, aside)
        positions = messages.positions.tolist()

        def refuse(at: int, error: DecodeError) -> None:
            aside.dead.append(_refused(first + positions[at], messages.records[at], error))

        rows = self._row_reader.read(messages, refuse, aside.failures)
        aside.dead.sort(key=_index)
        received_at = np.array(list(map(_RECEIVED, messages.records)), np.int64)[rows.at]
        number = messages.number[rows.at]
        device, fields = self._devices[number], rows.fields
        if "count" in fields:
            fields["density"] = fields["count"] / self._areas[device]
        labels, seen = self._labels(rows, received_at)
        position, stream, spot = messages.positions[rows.at], self._streams[number], self._spots(rows)
        ahead, again = (np.array(list(map(said, messages.records)), np.bool_)[rows.at] for said in (_AHEAD, _AGAIN))
        seen_by = sightings(seen, received_at)
        return Read(position, received_at, device, stream, ahead, again, rows, labels, seen_by, spot, aside)

    def _sorted_out(self, records: Sequence[Record], first: int, aside: Aside) -> Messages:
        """Return the messages of registered devices; put everything else aside."""
        number = np.array(list(map(self._numbers.get, map(_TOPIC, records), repeat(_NOWHERE))), np.int64)
        odd = _odd(records, number)
        for position in odd:
            try:
                self._put_aside(position, records[position], int(number[position]), aside)
            except DecodeError as error:
                aside.dead.append(_refused(first + position, records[position], error))
        positions = np.arange(len(records))
        if odd:
            positions = np.delete(positions, odd)
            records, number = [records[position] for position in positions.tolist()], number[positions]
        return Messages(positions, records, number)

    def _put_aside(self, position: int, record: Record, number: int, aside: Aside) -> None:
        """Take what is no reading: what a person or a channel said; raises ``DecodeError``."""
        told = position, record.received_at
        if record.kind == RecordKind.ACTION:
            aside.actions.append((*told, spoken.action(record, self._names)))
        elif record.kind == RecordKind.RECEIPT:
            aside.actions.append((*told, spoken.receipt(record.payload)))
        elif record.kind == RecordKind.MESSAGE and number != _NOWHERE:
            aside.retained[self._routes[number].stream.word, "retained"] += 1
        elif record.kind == RecordKind.MESSAGE:
            parts = self._commands_topic.parts(record.topic)
            if parts is None:
                raise unknown_topic(self._readings_topic.parts(record.topic), self._places)
            action = spoken.command(record.payload, parts["case"], parts.get("user"), self._names)
            if not record.retained:
                aside.actions.append((*told, action))

    def _labels(self, rows: Rows, received_at: Int64) -> tuple[dict[str, Int8], dict[int, Sighting]]:
        """Sort and identify what cameras saw; return label columns, and who was seen in which row."""
        labels, seen = dict[str, Int8](), dict[int, Sighting]()
        for row, reading in rows.single:
            words = reading.labels
            if reading.plate is not None:
                sighting = self._identifier.see(reading.plate, int(received_at[row]))
                seen[row], words = sighting, words | sighting.labels
            for name, word in words.items():
                if name in _CODES:
                    column = labels.setdefault(name, np.full(len(rows), -1, np.int8))
                    column[row] = _CODES[name].get(word, -1)
        return labels, seen

    def _spots(self, rows: Rows) -> Int32 | None:
        """The places that findings name; None when none does."""
        named = [(row, self._places.index[one.spot]) for row, one in rows.single if one.spot is not None]
        if not named:
            return None
        spots = np.full(len(rows), -1, np.int32)
        for row, spot in named:
            spots[row] = spot
        return spots


def _together(route: Route) -> int:
    """The stream whose messages are decoded together with those of a route."""
    return route.stream if route.codec is native.decode and route.stream in native.NUMBERS else ALONE


def _odd(records: Sequence[Record], number: Int64) -> list[int]:
    """The positions of all that is no live message of a registered device: mostly none."""
    if kinds(records) <= {RecordKind.MESSAGE} and not any(map(_RETAINED, records)) and number.min(initial=0) > _NOWHERE:
        return []
    message = RecordKind.MESSAGE
    return [
        position
        for position, (record, route) in enumerate(zip(records, number.tolist(), strict=True))
        if route == _NOWHERE or record.kind != message or record.retained
    ]


def _nothing(record: Record) -> Record:
    """A record that says nothing, in the place of another."""
    return Record(RecordKind.TICK, record.received_at)


def _index(letter: DeadLetter) -> int:
    return letter.index


def _refused(index: int, record: Record, error: DecodeError) -> DeadLetter:
    """Say why a record could not be used. A stranger's topic may hold anything, a plate too."""
    topic, detail = without_plates(record.topic[:200]), without_plates(error.detail[:200])
    return DeadLetter(index, record.received_at, topic, error.reason, detail)
