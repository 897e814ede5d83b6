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

Cameras tell of single events, and each has to have one time in all its readings; other devices say how things are, and
the next reading makes up for one that is late. So stalls of a few periods matter with cameras only, and a clock that is
another one every time cannot be taken for one with other devices.

A camera's vehicles have a clock of their own *beside* that of its other messages: signs of life may come from a gateway
whose clock is another. They say that the way here is open all the same, and, where both clocks were alike until now and
theirs still is right, that a vehicle's stamp that is behind was stored.
"""

from __future__ import annotations

import msgspec

from sensord.core.instant import DAY, HOUR, MINUTE, SECOND

BUCKET = 10 * MINUTE
BUCKETS = 6
PLAUSIBLE = 12 * HOUR
"""At first sight, an age beyond this is no skew but nonsense (a day ahead, a dead battery)."""
ANCIENT = 366 * DAY
"""No device stores readings for so long: a clock that restarted at its epoch."""
STEADY = 3
"""So many readings in a row whose age has grown alike prove that the clock was set, not that a backlog drains."""


class Clock(msgspec.Struct, array_like=True):
    """What is known of one device's clock; all times ns. ``minima`` are (bucket, smallest age), newest last.

    ``stored``: the last reading was judged to be history. ``offset`` is the least of the minima (0: there are none).
    ``held`` is the stamp of a reading that was taken at its arrival although its age had grown, and may have begun a
    backlog (0: there is none).
    """

    minima: list[tuple[int, int]] = []
    last_stamp: int = 0
    last_received: int = 0
    last_age: int = 0
    steady: int = 0
    stored: bool = False
    offset: int = 0
    held: int = 0

    def __post_init__(self) -> None:
        """Work out the offset: states saved by earlier versions lack it."""
        self.offset = min((minimum for _, minimum in self.minima), default=0)

    def beside(self) -> Clock:
        """A clock of other messages of the device, of which no more is known than of this one."""
        return Clock(list(self.minima), last_age=self.offset)

    def event_time(
        self,
        stamp: int | None,
        received_at: int,
        period: int,
        tolerance: int,
        other: Clock | None = None,
        *,
        camera: bool = False,
    ) -> tuple[int, bool]:
        """Return (event time <= ``received_at``, suspect?) and learn from the reading.

        ``period`` is the device's expected period (ns): silence much longer than it announces a backlog. ``tolerance``
        (ns) is by how much an age may grow without anyone wondering: the stream's allowed lateness. Of a ``camera``'s
        vehicles ``other`` is the clock of what it says beside.
        """
        if stamp is None or not -PLAUSIBLE < (age := received_at - stamp) < ANCIENT:
            return received_at, True
        if not self.minima:
            if age > PLAUSIBLE:
                return received_at, True
            return self._accept(stamp, received_at, age, age)
        if age - self.offset <= tolerance:
            held, self.held = self.held and stamp - self.held, 0
            accepted = self._accept(stamp, received_at, age, self.offset)
            return (received_at, False) if 0 < held <= _pace(period) else accepted
        return self._judge_grown(stamp, received_at, age, period, tolerance, other, camera=camera)

    def _accept(self, stamp: int, received_at: int, age: int, offset: int) -> tuple[int, bool]:
        bucket, newest = received_at // BUCKET, self.minima[-1] if self.minima else (-1, 0)
        if bucket != newest[0] or age < newest[1]:
            self._learn(bucket, age)
        self.last_stamp, self.last_received, self.last_age = stamp, received_at, age
        self.steady, self.stored = 0, False
        return (received_at if age < offset else stamp + offset), False

    def _judge_grown(
        self,
        stamp: int,
        received_at: int,
        age: int,
        period: int,
        tolerance: int,
        other: Clock | None,
        *,
        camera: bool,
    ) -> tuple[int, bool]:
        """Decide: a stored reading that comes late, or a clock that was set?"""
        silence, advance, offset = received_at - self.last_received, stamp - self.last_stamp, self.offset
        constant = abs(age - self.last_age) <= tolerance
        running_ahead = 2 * advance > 3 * max(silence, SECOND // 10)
        goes_on = self.held != 0 and 0 <= stamp - self.held <= _pace(period)
        if goes_on:
            # What follows one that was taken at its arrival stays with it.
            fresh = True
        elif min(period, 5 * SECOND) <= 2 * silence and not (
            self._held_up(received_at, age, period, tolerance, other, camera=camera)
        ):
            # The usual pace: history only as the continuation of history.
            fresh = not (running_ahead and self.stored)
            self.held = stamp if camera else 0
        else:
            # A burst, or the first after a long silence.
            fresh = constant and not running_ahead
        steady = self.steady + 1 if fresh and constant and not (goes_on and running_ahead) else 0
        if steady >= STEADY:
            self.minima, self.offset, self.held = [], 0, 0
            if age <= PLAUSIBLE:
                self._accept(stamp, received_at, age, age)
            return received_at, True
        self._remember(stamp, received_at, age, steady, stored=not fresh)
        if fresh:
            return received_at, True
        return stamp + offset, False

    def _held_up(
        self, received_at: int, age: int, period: int, tolerance: int, other: Clock | None, *, camera: bool
    ) -> bool:
        """Whether more than its age speaks for it that a reading comes late.

        That is a long silence, or of a camera one that misses a period: then the first after a reading of the usual
        age is no older than the silence, for what was said before that came through. Or the other clock shows it.
        """
        quiet, grown = received_at - self.last_received, age - self.offset
        if other is not None:
            known, quiet = self.last_received > 0, min(quiet, received_at - other.last_received)
            right = other.last_age - other.offset <= tolerance and quiet <= _pace(period)
            if other.stored or (known and right and abs(self.offset - other.offset) <= tolerance):
                return True
        first = self.last_age - self.offset <= tolerance and grown <= quiet + tolerance
        return quiet > (_pace(period) if camera and first else 3 * period)

    def _learn(self, bucket: int, age: int) -> None:
        """Note the smallest age of a bucket: a new one, or a smaller one of the newest."""
        if self.minima and self.minima[-1][0] == bucket:
            self.minima[-1] = (bucket, age)
        else:
            self.minima = [*self.minima[1 - BUCKETS :], (bucket, age)]
        self.offset = min(minimum for _, minimum in self.minima)

    def _remember(self, stamp: int, received_at: int, age: int, steady: int, *, stored: bool = False) -> None:
        self.last_stamp, self.last_received, self.last_age = stamp, received_at, age
        self.steady, self.stored = steady, stored


def _pace(period: int) -> int:
    """The longest silence (ns) of a device of which no message is missing: its period, and some play."""
    return period + period // 4
