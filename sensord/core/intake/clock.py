"""Device clocks: from a device's stamp to event time, judged from the journal alone.

The *age* of a reading is ``received_at - stamp``. A device's smallest age over a trailing stretch is its clock's offset
plus the fastest way here; ``event time = stamp + offset``. So a constant skew is corrected, and a backlog that drains
late keeps its own times. What cannot be told (no stamp, an implausible one, a clock that was set) is taken at its
arrival and flagged: a wrong clock must never make fresh readings late, for that would be blindness.

The trailing stretch is six buckets of ten minutes in which the device *spoke*: after an outage of hours the offset from
before it still holds, and the stored readings are recognised as old.

How an age that has grown is told apart (each is a row in the tests):

====================================  ===========================  ============================
what the device did                   how it looks                 judged
====================================  ===========================  ============================
drains a backlog after an outage      long silence, then stamps    event time = stamp + offset,
                                      that run ahead of arrivals   late
is a camera, and was held up          a period missed, then an age event time = stamp + offset
                                      no longer than the silence
the same, for less than a period      the first cannot be told     arrival, suspect; so is what was
                                      from a clock that was set    said within a period after it
its clock was set back                the usual pace of arrivals,  arrival, suspect; the offset
                                      an age that stays grown      is learnt anew
its clock was set forward             the age shrinks              smaller minimum, at once
its clock is another one every time   the usual pace of arrivals   arrival, suspect
====================================  ===========================  ============================

Many devices send several readings at once. Such a *burst* begins after a silence, and is judged by its first reading,
against the first of the burst before. What is usual is learnt from the bursts before: how long the silence is, and how
old the first reading. The smallest age of a burst shows what its last reading says of the clock. Where no burst comes
to the usual age, and their smallest ages stay alike, the offset is learnt anew, whatever each of them was taken for: a
backlog catches up, a clock that was set does not.

Of a device that is heard for the first time, its clock is taken for right: what is old is stored readings, and late.
The next burst settles it: at the same age it shows that the clock is wrong, while stored readings run ahead; of a clock
that is too far behind to be learnt all of that burst is taken at its arrival, and of each one after it that is not a
minute older. What is, is judged as with any clock: it may have been stored, unless it is older by more than the silence
before it: then the clock has begun anew. Only the first thing that somebody reports is taken at its arrival: nobody
says it again.

Cameras tell of single events, and each has to have one time in all its readings; other devices say how things are, and
the next reading makes up for one that is late. So stalls of a few periods matter with cameras only, and a clock that is
another one every time cannot be taken for one with other devices.

A camera's vehicles have a clock of their own *beside* that of its other messages: signs of life may come from a gateway
whose clock is another. They say that the way here is open all the same, and, where both clocks were alike until now and
theirs still is right, that a vehicle's stamp that is behind was stored.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sensord.core.instant import DAY, HOUR, MINUTE, SECOND

BUCKET = 10 * MINUTE
BUCKETS = 6
PLAUSIBLE = 12 * HOUR
"""An age beyond this is never learnt as an offset: it is no skew but nonsense (a day ahead, a dead battery)."""
ANCIENT = 366 * DAY
"""No device stores readings for so long: a clock that restarted at its epoch."""
STEADY = 3
"""So many readings or bursts in a row whose age has grown alike prove that the clock was set."""
PROOF = MINUTE
"""Bursts have to be alike for so long, or for as long as they are old: a small mistake does no harm.

For the same reason what has grown older by no more is taken for now where the clock is nonsense.
"""
SHORT = 5 * SECOND
"""A burst begins after a silence of half of this, or half a shorter period; twice as long a burst is another one."""


class Burst(msgspec.Struct, array_like=True):
    """Readings that come together, none of them of the usual age so far; all times ns.

    ``stamp`` and ``at`` (its arrival) are the first one's, which was ``taken`` at its arrival, or not. ``least`` is the
    smallest age.
    """

    stamp: int
    at: int
    least: int
    taken: bool = False


class Row(msgspec.Struct, array_like=True):
    """``bursts`` that came one after the other ``since`` (ns), each with a smallest age of about ``floor`` (ns).

    Where that is beyond what is learnt, it is the first one's, and none of the others was catching up. Of a clock that
    is nonsense it is that of the last one that was taken at its arrival: such a clock may go wrong as well.
    """

    floor: int
    since: int
    bursts: int = 1


class Clock(msgspec.Struct, array_like=True):
    """What is known of one device's clock; all times ns. ``minima`` are (bucket, smallest age), newest last.

    ``stored``: the last reading was judged to be history. ``offset`` is the least of the minima (0: there are none).
    ``held`` is the stamp of a reading that was taken at its arrival although its age had grown, and may have begun a
    backlog (0: there is none). ``pause`` is the usual silence before a burst, ``spread`` by how much the first reading
    of the last burst was too old, if that came to the usual age.
    """

    minima: list[tuple[int, int]] = []
    last_stamp: int = 0
    last_received: int = 0
    last_age: int = 0
    steady: int = 0
    stored: bool = False
    offset: int = 0
    held: int = 0
    pause: int = 0
    spread: int = 0
    burst: Burst | None = None
    row: Row | None = None

    def __post_init__(self) -> None:
        """Work out the offset: states saved by earlier versions lack it."""
        self.offset = min((minimum for _, minimum in self.minima), default=0)

    def beside(self) -> Clock:
        """A clock of other messages of the device, of which no more is known than of this one."""
        return Clock(list(self.minima), last_age=self.offset)

    def is_plain(self) -> bool:
        """Whether all is known and nothing in doubt: what is of the usual age next changes a few numbers only."""
        doubt = self.steady or self.stored or self.held or self.spread or self.burst or self.row
        return not doubt and bool(self.minima)

    def event_time(
        self,
        stamp: int | None,
        received_at: int,
        period: int,
        tolerance: int,
        other: Clock | None = None,
        *,
        camera: bool = False,
        finding: bool = False,
    ) -> tuple[int, bool]:
        """Return (event time <= ``received_at``, suspect?) and learn from the reading.

        ``period`` is the device's expected period (ns): silence much longer than it announces a backlog. ``tolerance``
        (ns) is by how much an age may grow without anyone wondering: the stream's allowed lateness. Of a ``camera``'s
        vehicles ``other`` is the clock of what it says beside. A ``finding`` is what somebody reports.
        """
        if stamp is None or not -PLAUSIBLE < (age := received_at - stamp) < ANCIENT:
            return received_at, True
        silence, burst, pause = received_at - self.last_received, self.burst, self.pause
        begins = 2 * silence >= min(period, SHORT)
        if begins and self.last_received:
            self.pause = usual_pause(silence, period, pause)
        if burst is not None and (begins or received_at - burst.at > 2 * SHORT):
            begins = True
            self._close(burst, received_at, tolerance)
        if not self.minima and finding:
            return self._accept(stamp, received_at, age, age) if age <= PLAUSIBLE else (received_at, True)
        if age - self.offset > tolerance:
            one = _Grown(stamp, received_at, age, period, tolerance, max(period, pause), begins, camera)
            return self._judge_grown(one, burst if begins else None, other)
        if self.burst is not None:
            self.spread = min(self.burst.at - self.burst.stamp - self.offset, self.pause)
        elif begins:
            self.spread = 0
        if self.held:
            # What goes on from a reading that was taken at its arrival stays with it.
            held, self.held = stamp - self.held, 0
            return self._accept(stamp, received_at, age, age if 0 < held <= _pace(period) else self.offset)
        return self._accept(stamp, received_at, age, self.offset if self.minima else age)

    def _accept(self, stamp: int, received_at: int, age: int, offset: int) -> tuple[int, bool]:
        bucket, newest = received_at // BUCKET, self.minima[-1] if self.minima else (-1, 0)
        if bucket != newest[0] or age < newest[1]:
            self._learn(bucket, age)
        self.burst = self.row = None
        self.last_stamp, self.last_received, self.last_age, self.steady, self.stored = stamp, received_at, age, 0, False
        return (received_at if age < offset else stamp + offset), False

    def _close(self, burst: Burst, received_at: int, tolerance: int) -> None:
        """A burst is over that did not come to the usual age. What stays as it is, is no backlog."""
        self.burst, row = None, self.row
        if row is None or not self._is_like(burst, row, tolerance):
            self.row = Row(burst.least, burst.at)
            return
        row.bursts += 1
        if self._is_nonsense(burst.least) and burst.taken and burst.least - row.floor <= PROOF:
            row.floor = burst.least
        lasted, caught_up = received_at - row.since, row.floor - burst.least
        proven = row.bursts >= STEADY and lasted >= min(PROOF, row.floor - self.offset) and 8 * caught_up <= lasted
        if proven and burst.least <= PLAUSIBLE:
            self._forget()
            self._learn(received_at // BUCKET, burst.least)

    def _is_like(self, burst: Burst, row: Row, tolerance: int) -> bool:
        """Whether a burst is as old as those of a row.

        Where no offset is learnt it is enough that none catches up, and that no two of now stay a minute older.
        """
        if self._is_nonsense(min(burst.least, row.floor)):
            anew = burst.taken and self.steady > 0 and burst.least - row.floor > PROOF
            return not anew and not _runs_ahead(burst.at - burst.least - (row.since - row.floor), burst.at - row.since)
        return abs(burst.least - row.floor) <= tolerance

    def _judge_grown(self, one: _Grown, before: Burst | None, other: Clock | None) -> tuple[int, bool]:
        """Decide: a stored reading that comes late, or a clock that was set? ``before`` is the burst that is over."""
        stamp, received_at, age, _, tolerance, *_ = one
        known, offset = bool(self.minima), self.offset
        last_age, begun = (self.last_age, self.burst) if before is None else (before.at - before.stamp, before)
        constant = abs(age - last_age) <= tolerance
        ahead = _runs_ahead(stamp - self.last_stamp, received_at - self.last_received)
        if begun is not None:
            ahead = _runs_ahead(stamp - begun.stamp, received_at - begun.at) or (ahead and not one.begins)
        goes_on = self.held != 0 and 0 <= stamp - self.held <= _pace(one.period)
        follows = not one.begins and self._follows(one)
        fresh = goes_on or follows or self._is_fresh(one, other, constant=constant, ahead=ahead)
        if one.begins:
            self.burst = Burst(stamp, received_at, age, fresh)
        elif self.burst is not None:
            self.burst.least = min(self.burst.least, age)
        steady = self.steady
        if not follows:
            steady = steady + 1 if fresh and constant and not (goes_on and ahead) else 0
        if steady >= (STEADY if known or not one.begins else 1) and age <= PLAUSIBLE:
            self._forget()
            self._accept(stamp, received_at, age, age)
            return received_at, known
        self.last_stamp, self.last_received, self.last_age = stamp, received_at, age
        self.steady, self.stored = steady, not fresh
        return (received_at, True) if fresh else (stamp + offset, False)

    def _follows(self, one: _Grown) -> bool:
        """Whether a reading belongs to a burst that was taken at its arrival: it holds what was said since the last.

        How long that may be is learnt slowly. It matters not where the clock is nonsense, and as it was before; but
        what is older than the first of the burst was stored.
        """
        burst = self.burst
        if burst is None or not burst.taken or one.camera:
            return False
        since = one.stamp - burst.stamp
        return abs(since) <= _pace(self.pause) or (self._is_nonsense(one.age) and self.steady > 0 and since > 0)

    def _is_nonsense(self, age: int) -> bool:
        """Whether a clock of which nothing is known is so far behind that nothing will be."""
        return not self.minima and age > PLAUSIBLE

    def _is_fresh(self, one: _Grown, other: Clock | None, *, constant: bool, ahead: bool) -> bool:
        """Whether a reading that stands for itself is to be taken at its arrival."""
        row = self.row if self._is_nonsense(one.age) else None
        if row is not None and row.bursts > 1 and one.age - row.floor <= PROOF:
            return True
        if one.begins and not self._held_up(one, other):
            # The usual pace: history only as the continuation of history, or as the usual beginning of a burst.
            self.held = one.stamp if one.camera else 0
            usual = self.spread and one.age - self.offset <= self.spread + one.tolerance and not one.camera
            return not usual and not (ahead and self.stored)
        if one.camera and not one.begins and not self.minima:
            return self.burst is not None and self.burst.taken  # a passage has one time
        # A burst, or the first after a long silence.
        return (constant and not ahead) or (row is not None and self._began_anew(one, row, other))

    def _began_anew(self, one: _Grown, row: Row, other: Clock | None) -> bool:
        """Whether a nonsense clock has become another one during a silence: what was stored would be less old.

        That is known of the first after a word of the usual age, if all that was said before has come through.
        """
        followed = one.begins and self.last_age - row.floor <= PROOF and (other is None or not other.stored)
        return row.bursts > 1 and followed and one.age - row.floor > one.received_at - self.last_received + PROOF

    def _held_up(self, one: _Grown, other: Clock | None) -> bool:
        """Whether more than its age speaks for it that a reading comes late.

        That is a long silence, or of a camera one that misses a period: then the first after a reading of the usual
        age is no older than the silence, for what was said before that came through. Or the other clock shows it.
        """
        received_at, period, tolerance = one.received_at, one.period, one.tolerance
        quiet, grown = received_at - self.last_received, one.age - self.offset
        if other is not None:
            known, quiet = self.last_received > 0, min(quiet, received_at - other.last_received)
            right = other.last_age - other.offset <= tolerance and quiet <= _pace(period)
            if other.stored or (known and right and abs(self.offset - other.offset) <= tolerance):
                return True
        if not one.camera:
            return quiet > 3 * one.pause
        first = self.last_age - self.offset <= tolerance and grown <= quiet + tolerance
        return quiet > (_pace(period) if first else 3 * period)

    def _learn(self, bucket: int, age: int) -> None:
        """Note the smallest age of a bucket: a new one, or a smaller one of the newest."""
        if self.minima and self.minima[-1][0] == bucket:
            self.minima[-1] = (bucket, age)
        else:
            self.minima = [*self.minima[1 - BUCKETS :], (bucket, age)]
        self.offset = min(minimum for _, minimum in self.minima)

    def _forget(self) -> None:
        """The clock is another one from now on."""
        self.minima, self.offset, self.held, self.steady, self.row = [], 0, 0, 0, None


class _Grown(NamedTuple):
    """A reading whose age is beyond what is known of the clock; all times ns.

    ``pause`` is the silence that is usual before it; it ``begins`` a burst, or not.
    """

    stamp: int
    received_at: int
    age: int
    period: int
    tolerance: int
    pause: int
    begins: bool
    camera: bool


def usual_pause(silence: int, period: int, before: int) -> int:
    """The silence (ns) that is usual before a burst, after one more: a longer one may be an outage, but not often."""
    return min(max(silence, before - before // 4), 2 * max(before, min(period, SHORT)))


def _runs_ahead(advance: int, elapsed: int) -> bool:
    """Whether stamps run faster than arrivals (both ns): what was stored is being sent."""
    return 2 * advance > 3 * max(elapsed, SECOND // 10)


def _pace(period: int) -> int:
    """The longest silence (ns) of a device of which no message is missing: its period, and some play."""
    return period + period // 4
