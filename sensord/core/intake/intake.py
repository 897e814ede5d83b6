"""Intake: from journaled records to a batch. Pure and deterministic; its state is part of every snapshot.

A message passes, in this order: topic -> registered device; retained? -> codec -> claimed device -> duplicate (by boot
and sequence, or content) -> clock -> columns. What fails becomes a dead letter with a named
reason; the payload itself stays in the journal and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from sensord.core.batch import CLOCK_SUSPECT, Batch, Int64, tick
from sensord.core.definition import Definition
from sensord.core.failure import Failures, Part
from sensord.core.intake.clock import ANCIENT, PLAUSIBLE, Clock
from sensord.core.intake.codec.context import NONE
from sensord.core.intake.memory import Arrivals, Judged, Memories, Memory
from sensord.core.intake.reader import DeadLetter, Read, Reader
from sensord.core.intake.repeats import Repeats, passages
from sensord.core.place import Places
from sensord.core.record import Action, Receipt, Record
from sensord.core.stream import FIELDS, LABELS, Stream
from sensord.core.vehicles.pseudonym import Pseudonymiser
from sensord.decoders import msgpack_decoder


class _Saved(msgspec.Struct, array_like=True):
    """The intake's state as it is saved: memories by device id, and the readings counted so far."""

    memories: dict[str, Memory]
    readings: int


_SAVED = msgpack_decoder(_Saved)


@dataclass(slots=True)
class Decoded:
    """What came of some records: the batch, actions with the number of readings before each, dead letters, counts.

    ``counts`` is keyed by (stream, outcome). ``gaps`` counts, by device id, messages that devices numbered and that did
    not come before their successors, ``filled`` those of them that came after all, ``leaps`` numbers too far from all
    before to be counted so. ``failures`` are of single messages.
    """

    batch: Batch
    actions: list[tuple[int, int, Action | Receipt]]
    dead: list[DeadLetter]
    counts: Counter[tuple[str, str]]
    gaps: Counter[str] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)
    leaps: Counter[str] = field(default_factory=Counter)
    failures: Failures = field(default_factory=Failures)


class Intake:
    """Turns records into batches. ``decode`` is the whole interface, besides saving and restoring its state.

    It has two halves that may be far apart: the ``reader`` remembers nothing, and can be ahead; ``judge`` must be told
    everything in order. Without a ``pseudonymiser`` plates are sorted into classes, and vehicles are not told apart.
    """

    def __init__(self, definition: Definition, places: Places, pseudonymiser: Pseudonymiser | None = None) -> None:
        self.reader = Reader(definition, places, pseudonymiser)
        self._places = places
        self._memories = Memories([Memory(Clock(), Repeats()) for _ in places.devices])
        self._periods = np.array([device.period for device in places.devices], np.int64)
        self._tolerances = np.array([definition.lateness_of(stream) for stream in Stream], np.int64)
        self.readings = 0

    def decode(self, records: Sequence[Record], now: int, first: int = 0) -> Decoded:
        """Decode the messages and actions among ``records``; ``now`` is the journal time that they bring.

        ``first`` is the position of the first record in its group (for dead letters). Never raises for bad input.
        """
        return self.judge(self.reader.read(records, first), now)

    def judge(self, read: Read, now: int) -> Decoded:
        """Hold what was read against what is remembered, and learn from it."""
        aside, batch = read.aside, tick(now)
        gaps, filled, leaps = Counter[str](), Counter[str](), Counter[str]()
        counts, kept = Counter(aside.retained), np.arange(0)
        if len(read.rows):
            tolerance = self._tolerances[read.stream]
            judged = self._memories.judge(_arrivals(read, self._periods, tolerance))
            _count(read, judged, tolerance, counts)
            for device, at, error in judged.failed:
                aside.failures.caught(Part.MESSAGE, self._places.devices[device].id, at, error)
            kept = np.flatnonzero(~judged.repeated)
            gaps, filled, leaps = map(self._by_device, (judged.gaps, judged.filled, judged.leaps))
            batch = _batch(read, judged, kept, now)
        self.readings += len(kept)
        before = np.searchsorted(read.position[kept], [position for position, _, _ in aside.actions]).tolist()
        actions = [(place, at, told) for place, (_, at, told) in zip(before, aside.actions, strict=True)]
        return Decoded(batch, actions, aside.dead, counts, gaps, filled, leaps, aside.failures)

    def _by_device(self, amounts: Counter[int]) -> Counter[str]:
        """Count by id what is counted by position."""
        return Counter({self._places.devices[index].id: amount for index, amount in amounts.items() if amount})

    def save(self) -> bytes:
        """Return the state as bytes."""
        memories = {
            device.id: memory for device, memory in zip(self._places.devices, self._memories.all(), strict=True)
        }
        return msgspec.msgpack.encode(_Saved(memories, self.readings))

    def restore(self, state: bytes) -> None:
        """Take the state back; devices that it does not know start afresh, devices that are gone are forgotten."""
        saved = _SAVED.decode(state)
        self.readings = saved.readings
        self._memories = Memories(
            [saved.memories.get(device.id) or Memory(Clock(), Repeats()) for device in self._places.devices]
        )


def _arrivals(read: Read, periods: Int64, tolerance: Int64) -> Arrivals:
    rows = read.rows
    follows = rows.nth > 0
    if follows.any():
        follows &= (rows.boot == np.roll(rows.boot, 1)) & (rows.seq == np.roll(rows.seq, 1))
    numbers = (rows.stamp, rows.boot, rows.seq, rows.identity)
    allowed = periods[read.device], tolerance
    kinds = read.ahead, read.again, read.stream == Stream.PLATE, read.stream == Stream.REPORT
    return Arrivals(read.device, read.received_at, *numbers, follows, *allowed, *kinds, _passages(read))


def _passages(read: Read) -> Int64:
    """What the passages of vehicles are known by that have a pseudonym, a direction and a stamp."""
    found, seen, direction = np.full(len(read.rows), NONE), read.sightings, read.labels.get("direction")
    if seen is None or direction is None:
        return found
    stamp = read.rows.stamp
    # One that is impossible may be the same for every passage of a camera whose clock stands still.
    times = (stamp > read.received_at - ANCIENT) & (stamp < read.received_at + PLAUSIBLE)
    rows = np.flatnonzero((seen.who[:, 0] != 0) & (direction >= 0) & times)
    found[rows] = passages(seen.who[rows, 0], direction[rows].astype(np.int64), read.rows.stamp[rows])
    return found


def _batch(read: Read, judged: Judged, kept: Int64, now: int) -> Batch:
    """The rows that are no repeats, without columns that none of them has anything in."""
    flags = np.where(judged.suspect, np.int8(CLOCK_SUSPECT), np.int8(0))
    stream, device = read.stream.astype(np.int8), read.device.astype(np.int32)
    fields, event_at = read.rows.fields, judged.event_at
    whole = Batch(
        now, stream, device, event_at, read.received_at, flags, fields, read.labels, read.sightings, read.spot
    )
    batch = whole if len(kept) == len(whole) else whole.select(kept)
    fields = {name: batch.fields[name] for name in FIELDS if name in fields and not np.isnan(batch.fields[name]).all()}
    labels = {name: batch.labels[name] for name in LABELS if name in batch.labels and (batch.labels[name] >= 0).any()}
    return replace(batch, fields=fields, labels=labels)


def _count(read: Read, judged: Judged, tolerance: Int64, counts: Counter[tuple[str, str]]) -> None:
    """Count the rows of each outcome by stream."""
    new, late = ~judged.repeated, judged.event_at + tolerance < read.received_at
    outcomes = {"duplicate": judged.repeated, "late": new & late, "accepted": new & ~late}
    if judged.suspect.any():
        outcomes["clock_suspect"] = judged.suspect & (read.rows.stamp != NONE)
    for outcome, which in outcomes.items():
        if which.any():
            amounts = np.bincount(read.stream[which], minlength=len(Stream)).tolist()
            counts.update({(one.word, outcome): amount for one, amount in zip(Stream, amounts, strict=True) if amount})
