"""What is remembered of every device, and what it says of new readings: is one a repeat, and when was it true?

``Memory`` knows one device and judges one reading after the other. In a big group most readings are *usual*: the next
number of the same boot, an age that the clock has explained before. These are judged all at once, for which the few
numbers that they change are kept in columns; a device is at home either in its ``Memory`` or in the columns, and moves
when it must. Both ways come to the same state and the same verdicts (``tests/core/test_memory.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np

from sensord.core.batch import Bools, Int64
from sensord.core.intake.clock import ANCIENT, BUCKET, PLAUSIBLE, SHORT, Clock
from sensord.core.intake.codec.context import NONE
from sensord.core.intake.precedence import goes_ahead, history, overtaken_at
from sensord.core.intake.repeats import LEAP, Number, Repeats

MANY = 48
"""Fewer devices than this in a group are judged one reading after the other."""
_LEAPT = -2
"""No boot: the last number that named none was too far from those before."""
_FAR = 2**62
"""No usual stamp (ns) is beyond; its age could not be told in a column."""


class Memory(msgspec.Struct, array_like=True):
    """What is remembered of one device: clock, messages that may be repeated, last boot and sequence number.

    ``lead`` is the newest stamp (ns) without a number that came ahead of its turn; 0: none is ahead. ``sights`` is the
    clock of the vehicles that a camera sees; None: it has seen none.
    """

    clock: Clock
    repeats: Repeats
    boot: int = -1
    seq: int = -1
    lead: int = 0
    sights: Clock | None = None

    def event_time(self, one: _Arrival, stamp: int | None) -> tuple[int, bool]:
        """Return (event time, suspect?) of a reading that is no repeat, and learn from it."""
        if not one.sight:
            camera, finding = self.sights is not None, one.finding
            return self.clock.event_time(
                stamp, one.received_at, one.period, one.tolerance, camera=camera, finding=finding
            )
        if self.sights is None:
            self.sights = self.clock.beside()
        return self.sights.event_time(stamp, one.received_at, one.period, one.tolerance, self.clock, camera=True)

    def numbered(self, boot: int, seq: int) -> tuple[Number, int]:
        """Take a message's number; returns what it is to those before, and how many it leaves out."""
        found = self.repeats.numbered(boot, seq)
        newest = self.repeats.windows[-1]
        self.boot, self.seq = newest.boot, newest.edges[-1] - 1
        return found

    def missed(self, seq: int) -> tuple[bool, int]:
        """Take the number of a message that names no boot; returns whether it leapt, and how many it leaves out."""
        known, missing = self.boot in (0, _LEAPT) and self.seq >= 0, seq - self.seq - 1
        far = known and abs(missing) > LEAP
        leapt = far and self.boot != _LEAPT  # where each is far from the one before they count no messages
        self.seq = max(self.seq, seq) if known and not far else seq
        self.boot = _LEAPT if far else 0
        return leapt, max(missing, 0) if known and not far else 0

    def is_usual(self) -> bool:
        """Whether the next reading may be usual: the clock is settled, and numbers are those of the newest boot.

        While a number that came ahead is remembered none is: the next one in its turn makes an end of that.
        """
        windows = self.repeats.windows
        if not windows or not self.clock.is_plain():
            return False
        newest = windows[-1]
        return newest.boot == self.boot and newest.edges[-1] == self.seq + 1 and not newest.leads


@dataclass(slots=True)
class Judged:
    """The verdicts on rows, each (n,): is it a repeat, its event time (ns), is that in doubt.

    ``gaps`` counts, by device, the numbers that were left out, ``filled`` those of them that came after all, ``leaps``
    the numbers that were too far from all before to say that something was left out. ``failed`` are readings that could
    not be judged: the device, the arrival, and the mistake of ours.
    """

    repeated: Bools
    event_at: Int64
    suspect: Bools
    gaps: Counter[int] = field(default_factory=Counter)
    filled: Counter[int] = field(default_factory=Counter)
    leaps: Counter[int] = field(default_factory=Counter)
    failed: list[tuple[int, int, Exception]] = field(default_factory=list)


class _Columns:
    """The numbers that usual readings change, int64 (devices,); ``here`` says which devices are at home here."""

    def __init__(self, devices: int) -> None:
        self.here = np.zeros(devices, np.bool_)
        self.boot, self.next, self.bucket, self.least, self.offset = np.zeros((5, devices), np.int64)
        self.stamp, self.received, self.age, self.pause = np.zeros((4, devices), np.int64)

    def take(self, device: int, memory: Memory) -> None:
        """Let a device that is usual move in."""
        clock = memory.clock
        self.here[device] = True
        self.boot[device], self.next[device] = memory.boot, memory.seq + 1
        self.bucket[device], self.least[device] = clock.minima[-1]
        self.offset[device], self.stamp[device] = clock.offset, clock.last_stamp
        self.received[device], self.age[device] = clock.last_received, clock.last_age
        self.pause[device] = clock.pause

    def give(self, device: int, memory: Memory) -> None:
        """Let a device move out, into its memory."""
        clock, following = memory.clock, int(self.next[device])
        self.here[device] = False
        memory.seq = following - 1
        memory.repeats.windows[-1].edges[-1] = following
        clock.minima[-1] = (int(self.bucket[device]), int(self.least[device]))
        clock.offset, clock.last_stamp = int(self.offset[device]), int(self.stamp[device])
        clock.last_received, clock.last_age = int(self.received[device]), int(self.age[device])
        clock.pause = int(self.pause[device])


class Memories:
    """The memories of all devices, by their position in the registry."""

    def __init__(self, memories: Sequence[Memory]) -> None:
        self._memories, self._columns = list(memories), _Columns(len(memories))

    def all(self) -> Sequence[Memory]:
        """Return every device's memory as it stands."""
        for device in np.flatnonzero(self._columns.here).tolist():
            self._columns.give(device, self._memories[device])
        return self._memories

    def judge(self, arrivals: Arrivals) -> Judged:
        """Judge readings in order of arrival, and learn from them."""
        count = len(arrivals.device)
        judged = Judged(np.zeros(count, np.bool_), np.zeros(count, np.int64), np.zeros(count, np.bool_))
        left = np.arange(count)
        while len(left) >= MANY:
            # Every device's first reading of those that are left, so that none overtakes another of its device.
            first = np.unique(arrivals.device[left], return_index=True)[1]
            if len(first) < MANY:
                break
            usual = self._usual(left[first], arrivals, judged)
            for one in arrivals.each(np.sort(left[first][~usual])):
                self._one(one, judged)
                self._settle(one.device)
            left = np.delete(left, first)
        for one in arrivals.each(left):
            self._one(one, judged)
        return judged

    def _usual(self, rows: Int64, arrivals: Arrivals, judged: Judged) -> Bools:
        """Judge those of the rows (of a device each) that are usual; return which."""
        columns, device, stamp = self._columns, arrivals.device[rows], arrivals.stamp[rows]
        received, offset = arrivals.received_at[rows], columns.offset[device]
        age = received - stamp
        usual: Bools = (
            columns.here[device]
            & ~arrivals.ahead[rows]
            & ~arrivals.sight[rows]
            & (columns.boot[device] == arrivals.boot[rows])
            & (columns.next[device] == arrivals.seq[rows])
            & (stamp > -_FAR)
            & (stamp < _FAR)
            & (age > -PLAUSIBLE)
            & (age < ANCIENT)
            & (age - offset <= arrivals.tolerance[rows])
            & (columns.bucket[device] == received // BUCKET)
        )
        if not usual.all():
            rows, device, age, received = rows[usual], device[usual], age[usual], received[usual]
            stamp, offset = stamp[usual], offset[usual]
        judged.event_at[rows] = stamp + np.minimum(offset, age)
        columns.next[device] += 1
        columns.least[device] = np.minimum(columns.least[device], age)
        columns.offset[device] = np.minimum(offset, age)
        columns.pause[device] = _pauses(
            received - columns.received[device], arrivals.period[rows], columns.pause[device]
        )
        columns.stamp[device], columns.received[device], columns.age[device] = stamp, received, age
        return usual

    def _one(self, one: _Arrival, judged: Judged) -> None:
        """Judge one reading. One that cannot be judged counts as of its arrival, and its device is new to us."""
        try:
            self._learn(one, judged)
        except Exception as error:  # noqa: BLE001  # whatever it is: other devices must be heard
            judged.failed.append((one.device, one.received_at, error))
            judged.repeated[one.row] = False
            judged.event_at[one.row], judged.suspect[one.row] = one.received_at, True
            self._memories[one.device] = Memory(Clock(), Repeats())
            self._columns.here[one.device] = False

    def _learn(self, one: _Arrival, judged: Judged) -> None:
        """Judge one reading, and learn from it."""
        memory = self._memories[one.device]
        if self._columns.here[one.device]:
            self._columns.give(one.device, memory)
        stamp = None if one.stamp == NONE else one.stamp
        number = None if NONE in (one.boot, one.seq) else (one.boot, one.seq)
        overtaken = 0 if one.ahead else overtaken_at(memory, number, stamp, one.received_at)
        if number is None:
            repeated = self._known(one, memory, judged)
        elif one.follows:  # the readings of one message have their number in common
            repeated = bool(judged.repeated[one.row - 1])
        else:
            found, missing = memory.numbered(*number)
            repeated = found is Number.REPEATED
            judged.filled[one.device] += found is Number.FILLING
            judged.leaps[one.device] += found is Number.LEAPT
            judged.gaps[one.device] += missing
            if one.ahead and not repeated:
                memory.repeats.lead(*number, one.received_at)
        if repeated or (one.passage != NONE and memory.repeats.passage(one.passage, one.received_at)):
            judged.repeated[one.row] = True
        elif overtaken:
            when = history(memory.clock, stamp, one.received_at, overtaken)
            judged.event_at[one.row], judged.suspect[one.row] = when
        else:
            when = memory.event_time(one, stamp)
            judged.event_at[one.row], judged.suspect[one.row] = when

    def _known(self, one: _Arrival, memory: Memory, judged: Judged) -> bool:
        """Say whether a reading without a number of its own is a repeat, or one that has to wait for its turn."""
        if one.ahead:
            return not goes_ahead(memory, None if one.stamp == NONE else one.stamp, one.identity)
        if memory.repeats.sent_again(one.identity, one.received_at, marked=one.again):
            return True
        if (one.stamp != NONE or one.seq != NONE) and memory.repeats.content(one.identity):
            return True
        if one.seq != NONE:
            leapt, missing = memory.missed(one.seq)
            judged.gaps[one.device] += missing
            judged.leaps[one.device] += leapt
        return False

    def _settle(self, device: int) -> None:
        """Let a device move into the columns if its next reading may be usual."""
        if self._memories[device].is_usual():
            self._columns.take(device, self._memories[device])


def _pauses(silence: Int64, period: Int64, before: Int64) -> Int64:
    """``usual_pause`` of many devices, where a burst begins."""
    short = np.minimum(period, SHORT)
    after = np.minimum(np.maximum(silence, before - before // 4), 2 * np.maximum(before, short))
    return np.where(2 * silence >= short, after, before)


class _Arrival(NamedTuple):
    """One of the ``Arrivals``, with its row."""

    row: int
    device: int
    received_at: int
    stamp: int
    boot: int
    seq: int
    identity: int
    follows: bool
    period: int
    tolerance: int
    ahead: bool
    again: bool
    sight: bool
    finding: bool
    passage: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Readings as they arrived: columns (n,), int64 in the words of ``Rows``, ``device`` the position in the registry.

    ``follows`` (bool): it is of the same message as the one before, and has the same number. ``period`` is the
    device's, ``tolerance`` by how much an age may grow (ns). ``ahead`` (bool): it came ahead of its turn; ``again``
    (bool): the broker says that it sends it again; ``sight`` (bool): it is of a vehicle that a camera saw; ``finding``
    (bool): somebody reports it; ``passage`` is what that passage is known by (``NONE``: by nothing).
    """

    device: Int64
    received_at: Int64
    stamp: Int64
    boot: Int64
    seq: Int64
    identity: Int64
    follows: Bools
    period: Int64
    tolerance: Int64
    ahead: Bools
    again: Bools
    sight: Bools
    finding: Bools
    passage: Int64

    def each(self, rows: Int64) -> Iterator[_Arrival]:
        """The readings of these rows, one by one."""
        columns = (self.device, self.received_at, self.stamp, self.boot, self.seq, self.identity)
        kinds = (self.ahead, self.again, self.sight, self.finding)
        more = (self.follows, self.period, self.tolerance, *kinds, self.passage)
        return map(_Arrival, rows.tolist(), *(column[rows].tolist() for column in (*columns, *more)))
