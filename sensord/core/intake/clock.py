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
its clock was set back                the usual pace of arrivals,  arrival, suspect; the offset
                                      an age that stays grown      is learnt anew
its clock was set forward             the age shrinks              smaller minimum, at once
its clock is another one every time   the usual pace of arrivals   arrival, suspect
====================================  ===========================  ============================
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
    """

    minima: list[tuple[int, int]] = []
    last_stamp: int = 0
    last_received: int = 0
    last_age: int = 0
    steady: int = 0
    stored: bool = False
    offset: int = 0

    def __post_init__(self) -> None:
        """Work out the offset: states saved by earlier versions lack it."""
        self.offset = min((minimum for _, minimum in self.minima), default=0)

    def event_time(self, stamp: int | None, received_at: int, period: int, tolerance: int) -> tuple[int, bool]:
        """Return (event time <= ``received_at``, suspect?) and learn from the reading.

        ``period`` is the device's expected period (ns): silence much longer than it announces a backlog. ``tolerance``
        (ns) is by how much an age may grow without anyone wondering: the stream's allowed lateness.
        """
        if stamp is None or not -PLAUSIBLE < (age := received_at - stamp) < ANCIENT:
            return received_at, True
        if not self.minima:
            if age > PLAUSIBLE:
                return received_at, True
            return self._accept(stamp, received_at, age, age)
        if age - self.offset <= tolerance:
            return self._accept(stamp, received_at, age, self.offset)
        return self._judge_grown(stamp, received_at, age, self.offset, period, tolerance)

    def _accept(self, stamp: int, received_at: int, age: int, offset: int) -> tuple[int, bool]:
        bucket, newest = received_at // BUCKET, self.minima[-1] if self.minima else (-1, 0)
        if bucket != newest[0] or age < newest[1]:
            self._learn(bucket, age)
        self.last_stamp, self.last_received, self.last_age = stamp, received_at, age
        self.steady, self.stored = 0, False
        return (received_at if age < offset else stamp + offset), False

    def _judge_grown(
        self, stamp: int, received_at: int, age: int, offset: int, period: int, tolerance: int
    ) -> tuple[int, bool]:
        """Decide: a stored reading that comes late, or a clock that was set?"""
        silence, advance = received_at - self.last_received, stamp - self.last_stamp
        constant = abs(age - self.last_age) <= tolerance
        running_ahead = 2 * advance > 3 * max(silence, SECOND // 10)
        if min(period, 5 * SECOND) <= 2 * silence <= 6 * period:
            # The usual pace: history only as the continuation of history.
            fresh = not (running_ahead and self.stored)
        else:
            # A burst, or the first after a long silence.
            fresh = constant and not running_ahead
        steady = self.steady + 1 if fresh and constant else 0
        if steady >= STEADY:
            self.minima, self.offset = [], 0
            if age <= PLAUSIBLE:
                self._accept(stamp, received_at, age, age)
            return received_at, True
        self._remember(stamp, received_at, age, steady, stored=not fresh)
        if fresh:
            return received_at, True
        return stamp + offset, False

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
