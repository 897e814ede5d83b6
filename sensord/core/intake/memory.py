"""What is remembered of every device, and what it says of new readings: is one a repeat, and when was it true?

``Memory`` knows one device and judges one reading after the other. In a big group most readings are *usual*: the next
number of the same boot, an age that the clock has explained before. These are judged all at once, for which the few
numbers that they change are kept in columns; a device is at home either in its ``Memory`` or in the columns, and moves
when it must. Both ways come to the same state and the same verdicts (``tests/core/test_memory.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from sensord.core.batch import Bools, Int64
from sensord.core.intake.clock import ANCIENT, BUCKET, PLAUSIBLE, Clock
from sensord.core.intake.precedence import goes_ahead, history, overtaken_at
from sensord.core.intake.repeats import Repeats, fingerprint
from sensord.core.intake.rows import Messages, Rows

MANY = 48
"""Fewer devices than this in a group are judged one reading after the other."""
_FAR = 2**62
"""Stands for what a reading does not say; and no usual number is beyond."""


class Memory(msgspec.Struct, array_like=True):
    """What is remembered of one device: clock, messages that may be repeated, last boot and sequence number.

    ``lead`` is the newest stamp (ns) without a number that came ahead of its turn; 0: none is ahead.
    """

    clock: Clock
    repeats: Repeats
    boot: int = -1
    seq: int = -1
    lead: int = 0

    def missed(self, boot: int, seq: int) -> int:
        """Count the messages that the device numbered and that never came, between its previous one and this one."""
        if boot != self.boot:
            self.boot, self.seq = boot, seq
            return 0
        missing = seq - self.seq - 1 if self.seq >= 0 else 0
        self.seq = max(self.seq, seq)
        return max(missing, 0)

    def is_usual(self) -> bool:
        """Whether the next reading may be usual: the clock is settled, and numbers are those of the newest boot."""
        windows = self.repeats.windows
        if not windows or not self.clock.minima or self.clock.steady or self.clock.stored:
            return False
        newest = windows[-1]
        return newest.boot == self.boot and newest.edges[-1] == self.seq + 1 and not newest.leads


@dataclass(slots=True)
class Judged:
    """The verdicts on rows, each (n,): is it a repeat, its event time (ns), is that in doubt; and gaps in numbers."""

    repeated: Bools
    event_at: Int64
    suspect: Bools
    gaps: int = 0


class _Columns:
    """The numbers that usual readings change, int64 (devices,); ``here`` says which devices are at home here."""

    def __init__(self, devices: int) -> None:
        self.here = np.zeros(devices, np.bool_)
        self.boot, self.next, self.bucket, self.least, self.offset, self.stamp, self.received, self.age = np.zeros(
            (8, devices), np.int64
        )

    def take(self, device: int, memory: Memory) -> None:
        """Let a device that is usual move in."""
        clock = memory.clock
        self.here[device] = True
        self.boot[device], self.next[device] = memory.boot, memory.seq + 1
        self.bucket[device], self.least[device] = clock.minima[-1]
        self.offset[device], self.stamp[device] = clock.offset, clock.last_stamp
        self.received[device], self.age[device] = clock.last_received, clock.last_age

    def give(self, device: int, memory: Memory) -> None:
        """Let a device move out, into its memory."""
        clock, following = memory.clock, int(self.next[device])
        self.here[device] = False
        memory.seq = following - 1
        memory.repeats.windows[-1].edges[-1] = following
        clock.minima[-1] = (int(self.bucket[device]), int(self.least[device]))
        clock.offset, clock.last_stamp = int(self.offset[device]), int(self.stamp[device])
        clock.last_received, clock.last_age = int(self.received[device]), int(self.age[device])


class Memories:
    """The memories of all devices, by their position in the registry."""

    def __init__(self, memories: Sequence[Memory]) -> None:
        self._memories, self._columns = memories, _Columns(len(memories))

    def all(self) -> Sequence[Memory]:
        """Return every device's memory as it stands."""
        for device in np.flatnonzero(self._columns.here).tolist():
            self._columns.give(device, self._memories[device])
        return self._memories

    def judge(self, rows: Rows, messages: Messages, device: Int64, received_at: Int64, tolerance: Int64) -> Judged:
        """Judge the rows in order of arrival, and learn from them; the columns are (n,), the tolerance is in ns."""
        count = len(rows)
        judged = Judged(np.zeros(count, np.bool_), np.zeros(count, np.int64), np.zeros(count, np.bool_))
        left = np.arange(count)
        if count >= MANY:
            ahead = np.array([record.ahead for record in messages.records], np.bool_)[rows.at]
            numbers = _numbers(rows, device, received_at, tolerance, ahead)
            while len(left) >= MANY:
                # Every device's first reading of those that are left, so that none overtakes another of its device.
                first = np.unique(device[left], return_index=True)[1]
                if len(first) < MANY:
                    break
                usual = self._usual(left[first], numbers, judged)
                for row in np.sort(left[first][~usual]).tolist():
                    self._one(row, rows, messages, judged, settle=True)
                left = np.delete(left, first)
        for row in left.tolist():
            self._one(row, rows, messages, judged)
        return judged

    def _usual(self, rows: Int64, numbers: _Numbers, judged: Judged) -> Bools:
        """Judge those of the rows (of a device each) that are usual; return which."""
        columns, device, age = self._columns, numbers.device[rows], numbers.age[rows]
        received, stamp, offset = numbers.received_at[rows], numbers.stamp[rows], columns.offset[device]
        usual: Bools = (
            columns.here[device]
            & ~numbers.ahead[rows]
            & (columns.boot[device] == numbers.boot[rows])
            & (columns.next[device] == numbers.seq[rows])
            & (age > -PLAUSIBLE)
            & (age < ANCIENT)
            & (age - offset <= numbers.tolerance[rows])
            & (columns.bucket[device] == received // BUCKET)
        )
        if not usual.all():
            rows, device, age, received = rows[usual], device[usual], age[usual], received[usual]
            stamp, offset = stamp[usual], offset[usual]
        judged.event_at[rows] = stamp + np.minimum(offset, age)
        columns.next[device] += 1
        columns.least[device] = np.minimum(columns.least[device], age)
        columns.offset[device] = np.minimum(offset, age)
        columns.stamp[device], columns.received[device], columns.age[device] = stamp, received, age
        return usual

    def _one(self, row: int, rows: Rows, messages: Messages, judged: Judged, *, settle: bool = False) -> None:
        """Judge one row; with ``settle`` its device moves into the columns if the next reading may be usual."""
        at, nth = rows.at[row], rows.nth[row]
        route, record, memory = messages.routes[at], messages.records[at], self._memories[messages.routes[at].index]
        if self._columns.here[route.index]:
            self._columns.give(route.index, memory)
        stamp, boot, seq = rows.stamps[row], rows.boots[row], rows.seqs[row]
        number = None if boot is None or seq is None else (boot, seq)
        known = stamp is not None or seq is not None or record.duplicate
        identity = fingerprint(nth, record.topic, record.payload) if known and number is None else 0
        overtaken = 0 if record.ahead else overtaken_at(memory, number, stamp, record.received_at)
        if nth and number is not None and (rows.boots[row - 1], rows.seqs[row - 1]) == number:
            repeated = bool(judged.repeated[row - 1])  # readings of one message that have one number in common
        elif record.ahead:
            repeated = not goes_ahead(memory, number, stamp, identity, record.received_at)
        elif number is not None:
            repeated = memory.repeats.numbered(*number)
        else:
            repeated = known and memory.repeats.content(identity)
        if seq is not None and not record.ahead and (not repeated or memory.repeats.newest == boot):
            judged.gaps += memory.missed(boot or 0, seq)
        if repeated:
            judged.repeated[row] = True
        elif overtaken:
            judged.event_at[row], judged.suspect[row] = history(memory.clock, stamp, record.received_at, overtaken)
        else:
            judged.event_at[row], judged.suspect[row] = memory.clock.event_time(
                stamp, record.received_at, route.period, route.tolerance
            )
        if settle and memory.is_usual():
            self._columns.take(route.index, memory)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Rows as int64 columns, in the words of ``Rows``; ``age`` is arrival less stamp (ns)."""

    device: Int64
    boot: Int64
    seq: Int64
    stamp: Int64
    age: Int64
    received_at: Int64
    tolerance: Int64
    ahead: Bools


def _numbers(rows: Rows, device: Int64, received_at: Int64, tolerance: Int64, ahead: Bools) -> _Numbers:
    boot, seq, stamp = _column(rows.boots), _column(rows.seqs), _column(rows.stamps)
    return _Numbers(device, boot, seq, stamp, received_at - stamp, received_at, tolerance, ahead)


def _column(values: Sequence[int | None]) -> Int64:
    return np.array([-_FAR if value is None or not -_FAR < value < _FAR else value for value in values], np.int64)
