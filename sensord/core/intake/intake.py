"""Intake: from journaled records to a batch. Pure and deterministic; its state is part of every snapshot.

A message passes, in this order: topic -> registered device; retained? duplicate? -> codec -> claimed device ->
duplicate (by boot and sequence, or content) -> clock -> columns. What fails becomes a dead letter with a named
reason; the payload itself stays in the journal and nowhere else.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import msgspec
import numpy as np

from sensord.core.batch import CLOCK_SUSPECT, Batch
from sensord.core.definition import Definition
from sensord.core.intake.clock import Clock
from sensord.core.intake.codec import CODECS, Codec, Context
from sensord.core.intake.repeats import Repeats
from sensord.core.place import Device, PlaceKind, Places
from sensord.core.reading import Reading, Topic
from sensord.core.record import Action, Receipt, Record, RecordKind, Scope
from sensord.core.stream import BY_WORD, FIELDS, LABELS, Stream
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


class _Memory(msgspec.Struct, array_like=True):
    """What is remembered of one device: clock, messages that may be repeated, last boot and sequence number."""

    clock: Clock
    repeats: Repeats
    boot: int = -1
    seq: int = -1


class _Saved(msgspec.Struct, array_like=True):
    """The intake's state as it is saved: memories by device id, and the readings counted so far."""

    memories: dict[str, _Memory]
    readings: int


@dataclass(frozen=True, slots=True)
class _Route:
    """Where a topic leads; with it, what is needed for each of its messages, found once.

    ``accepted`` and ``late`` are the keys of counts, ``area`` is the place's in m2.
    """

    index: int
    device: Device
    topic: Topic
    codec: Codec
    tolerance: int
    area: float | None
    word: str
    accepted: tuple[str, str]
    late: tuple[str, str]


class TopicTemplate:
    """A topic with ``{part}`` segments; matches concrete topics and fills itself in."""

    def __init__(self, template: str) -> None:
        self._segments = template.split("/")

    def parts(self, topic: str) -> dict[str, str] | None:
        """Take a topic apart, or return None when it is not of this form."""
        segments = topic.split("/")
        if len(segments) != len(self._segments):
            return None
        found = {}
        for pattern, segment in zip(self._segments, segments, strict=True):
            if pattern.startswith("{"):
                found[pattern[1:-1]] = segment
            elif pattern != segment:
                return None
        return found

    def fill(self, **parts: str) -> str:
        """Write the topic with these parts in place."""
        return "/".join(parts[part[1:-1]] if part.startswith("{") else part for part in self._segments)


@dataclass(slots=True)
class Decoded:
    """What came of some records: the batch, actions with the number of readings before each, dead letters, counts.

    ``positions`` holds, per reading, its record's position in the group. ``counts`` is keyed by (stream, outcome).
    """

    batch: Batch
    actions: list[tuple[int, int, Action | Receipt]]
    dead: list[DeadLetter]
    positions: list[int]
    counts: Counter[tuple[str, str]]
    gaps: int


@dataclass(slots=True)
class _Columns:
    """Readings being collected, a list per column."""

    stream: list[int] = field(default_factory=list)
    device: list[int] = field(default_factory=list)
    event_at: list[int] = field(default_factory=list)
    received_at: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)
    marks: list[dict[str, str]] = field(default_factory=list)
    seen: list[Sighting | None] = field(default_factory=list)

    def batch(self, now: int) -> Batch:
        present = dict.fromkeys(name for row in self.rows for name in row)
        marked = dict.fromkeys(name for row in self.marks for name in row)
        received_at = np.array(self.received_at, np.int64)
        return Batch(
            now,
            np.array(self.stream, np.int8),
            np.array(self.device, np.int32),
            np.array(self.event_at, np.int64),
            received_at,
            np.array(self.flags, np.int8),
            {
                name: np.array([row.get(name, _NAN) for row in self.rows], np.float64)
                for name in FIELDS
                if name in present
            },
            {
                name: np.array([codes.get(row.get(name, ""), -1) for row in self.marks], np.int8)
                for name, codes in _CODES.items()
                if name in marked
            },
            sightings(self.seen, received_at),
        )


class Intake:
    """Turns records into batches. ``decode`` is the whole interface, besides saving and restoring its state.

    Without a ``pseudonymiser`` plates are sorted into classes, and vehicles are not told apart.
    """

    def __init__(self, definition: Definition, places: Places, pseudonymiser: Pseudonymiser | None = None) -> None:
        self._definition = definition
        self._places = places
        self._context = Context(definition.zone)
        self._identifier = Identifier(definition.plates, pseudonymiser)
        self._readings_topic = TopicTemplate(definition.topics)
        self._commands_topic = TopicTemplate(definition.commands)
        self._people = frozenset(person.id for person in definition.people)
        self._routes = dict(self._all_routes())
        self._memories = [_Memory(Clock(), Repeats()) for _ in places.devices]
        self.readings = 0

    def _all_routes(self) -> list[tuple[str, _Route]]:
        routes = []
        for index, device in enumerate(self._places.devices):
            place = self._places.by_id[device.place]
            compound = self._places.above(device.place, PlaceKind.COMPOUND) or device.place
            for stream in dict.fromkeys((device.stream, Stream.STATUS)):
                topic = Topic(compound, stream, device.id)
                text = self._readings_topic.fill(compound=compound, kind=stream.word, device=device.id)
                # A device's own stream speaks its codec; signs of life are always in the native format.
                codec = CODECS[device.codec if stream is device.stream else "native"]
                tolerance = self._definition.lateness_of(stream)
                word = stream.word
                keys = (word, (word, "accepted"), (word, "late"))
                routes.append((text, _Route(index, device, topic, codec, tolerance, place.area_m2, *keys)))
        return routes

    def decode(self, records: tuple[Record, ...], now: int, first: int = 0) -> Decoded:
        """Decode the messages and actions among ``records``; ``now`` is the journal time that they bring.

        ``first`` is the position of the first record in its group (for dead letters). Never raises for bad input.
        """
        columns = _Columns()
        out = Decoded(columns.batch(now), [], [], [], Counter(), 0)
        for index, record in enumerate(records, first):
            try:
                self._one(index, record, columns, out)
            except DecodeError as error:
                out.dead.append(_dead_letter(index, record, error))
        out.batch = columns.batch(now)
        return out

    def _one(self, index: int, record: Record, columns: _Columns, out: Decoded) -> None:
        if record.kind == RecordKind.ACTION:
            out.actions.append((len(columns.device), record.received_at, _action(record.payload)))
        elif record.kind == RecordKind.RECEIPT:
            out.actions.append((len(columns.device), record.received_at, _receipt(record.payload)))
        elif record.kind == RecordKind.MESSAGE:
            route = self._routes.get(record.topic)
            if route is None:
                action = self._command(record)
                if not record.retained:
                    out.actions.append((len(columns.device), record.received_at, action))
            elif record.retained:
                out.counts[route.topic.stream.word, "retained"] += 1
            else:
                self._message(index, record, route, columns, out)

    def _message(self, index: int, record: Record, route: _Route, columns: _Columns, out: Decoded) -> None:
        memory = self._memories[route.index]
        received_at, tolerance = record.received_at, route.tolerance
        readings = route.codec(route.topic, record.payload, self._context)
        for reading in readings:
            if reading.claims is not None and reading.claims != route.device.id:
                raise DecodeError("other_device", "the payload names another device than its topic")
        for reading, repeated in zip(readings, _repeated(memory.repeats, readings, record), strict=True):
            if repeated:
                out.counts[route.word, "duplicate"] += 1
                continue
            if reading.seq is not None:
                out.gaps += _count_gap(memory, reading.boot or 0, reading.seq)
            event_at, suspect = memory.clock.event_time(reading.stamp, received_at, route.device.period, tolerance)
            out.counts[route.late if event_at + tolerance < received_at else route.accepted] += 1
            if suspect and reading.stamp is not None:
                out.counts[route.word, "clock_suspect"] += 1
            fields = reading.fields
            if "count" in fields and route.area is not None:
                fields["density"] = fields["count"] / route.area
            columns.stream.append(route.topic.stream)
            columns.device.append(route.index)
            columns.event_at.append(event_at)
            columns.received_at.append(received_at)
            columns.flags.append(CLOCK_SUSPECT if suspect else 0)
            columns.rows.append(fields)
            seen = None if reading.plate is None else self._identifier.see(reading.plate, received_at)
            columns.marks.append(reading.labels if seen is None else reading.labels | seen.labels)
            columns.seen.append(seen)
            out.positions.append(index)
            self.readings += 1

    def _command(self, record: Record) -> Action:
        """Read a person's command, or raise ``DecodeError`` saying why the topic or the text is not usable.

        Who speaks is told by the topic, for the broker's access list holds each account to its own.
        """
        parts = self._commands_topic.parts(record.topic)
        if parts is None:
            raise self._unknown_topic(record.topic)
        try:
            command = _COMMAND.decode(record.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError("bad_command", str(error)) from None
        if command.by not in ("", parts["user"]):
            raise DecodeError("other_user", "the payload names somebody else than its topic")
        if parts["user"] not in self._people:
            raise DecodeError("unknown_user", "the topic names nobody of the roster")
        return command.action(parts["case"], parts["user"])

    def _unknown_topic(self, topic: str) -> DecodeError:
        parts = self._readings_topic.parts(topic)
        if parts is None:
            return DecodeError("unknown_topic", "the topic has not the form of the configured template")
        if parts["kind"] not in BY_WORD:
            return DecodeError("unknown_kind", "the topic names no known kind of reading")
        index = self._places.device_index.get(parts["device"])
        if index is None:
            return DecodeError("unknown_device", "the device is not registered in places.yaml")
        device = self._places.devices[index]
        if parts["kind"] not in (device.stream.word, Stream.STATUS.word):
            return DecodeError("wrong_stream", f"the device is registered for {device.stream.word}")
        return DecodeError("wrong_place", "the device is registered at another compound")

    def save(self) -> bytes:
        """Return the state as bytes."""
        memories = {device.id: memory for device, memory in zip(self._places.devices, self._memories, strict=True)}
        return msgspec.msgpack.encode(_Saved(memories, self.readings))

    def restore(self, state: bytes) -> None:
        """Take the state back; devices that it does not know start afresh, devices that are gone are forgotten."""
        saved = msgspec.msgpack.decode(state, type=_Saved)
        self.readings = saved.readings
        self._memories = [
            saved.memories.get(device.id) or _Memory(Clock(), Repeats()) for device in self._places.devices
        ]


class _Command(msgspec.Struct, frozen=True):
    """What a person publishes to a command topic of theirs; ``by`` is not needed, and never anybody else."""

    verb: str
    by: str = ""
    note: str = ""
    until: int = 0
    scope: Scope | None = None

    def action(self, case: str, user: str) -> Action:
        """Make it the user's action on that case."""
        return Action(self.verb, case, user, "mqtt", self.note[:500], self.until, self.scope)


_COMMAND = msgspec.json.Decoder(_Command)
_ACTION = msgspec.json.Decoder(Action)
_RECEIPT = msgspec.json.Decoder(Receipt)


def _action(payload: bytes) -> Action:
    try:
        return _ACTION.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError("bad_action", str(error)) from None


def _receipt(payload: bytes) -> Receipt:
    try:
        return _RECEIPT.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError("bad_receipt", str(error)) from None


def _repeated(repeats: Repeats, readings: list[Reading], record: Record) -> list[bool]:
    """Recognise repeats by (boot, seq), or by content when the content has a stamp or number of its own.

    Readings of one message may have one number in common: they are repeats together.
    """
    first = readings[0] if readings else None
    if first is not None and len(readings) == 1 and first.boot is not None and first.seq is not None:
        return [repeats.numbered(first.boot, first.seq)]
    verdicts: list[bool] = []
    for nth, reading in enumerate(readings):
        if reading.boot is not None and reading.seq is not None:
            same = nth and (reading.boot, reading.seq) == (readings[nth - 1].boot, readings[nth - 1].seq)
            verdicts.append(verdicts[-1] if same else repeats.numbered(reading.boot, reading.seq))
        elif reading.stamp is not None or reading.seq is not None or record.duplicate:
            text = f"{nth} {record.topic}\0".encode() + record.payload
            identity = -1 - int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "big")
            verdicts.append(repeats.content(identity))
        else:
            verdicts.append(False)
    return verdicts


def _count_gap(memory: _Memory, boot: int, seq: int) -> int:
    """Count the messages that a device numbered and that never came, between its previous one and this one."""
    missing = max(seq - memory.seq - 1, 0) if boot == memory.boot and memory.seq >= 0 else 0
    if boot != memory.boot or seq > memory.seq:
        memory.boot, memory.seq = boot, seq
    return missing


def _dead_letter(index: int, record: Record, error: DecodeError) -> DeadLetter:
    """Say why a record could not be used. A stranger's topic may hold anything, a plate too."""
    topic, detail = without_plates(record.topic[:200]), without_plates(error.detail[:200])
    return DeadLetter(index, record.received_at, topic, error.reason, detail)
