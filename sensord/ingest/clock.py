"""The clock that stamps arrivals: the host's time, made safe against being set.

Journal time drives every window, absence and escalation, so it must neither stop nor leap when somebody (or
NTP) sets the host's clock by an hour. Rules:

- It never goes back, across restarts either (``floor`` is the journal's newest instant).
- While the host's clock and the time that really passed disagree by more than ``STEP``, it *slews*: at half
  speed while it is ahead of the host's clock, at double speed while it is behind. An hour is absorbed in one
  or two hours, during which a wait of five minutes lasts ten, or two and a half; no sensor seems silent and
  no alert clears by the jump itself.
- Until the first reading of a run (``arrival``) it follows the host forward at once: a box without a clock of its own
  starts in the past, and NTP comes a moment later. Afterwards it does not, however far: a step forward cannot be taken
  back, and would end every wait at once. People are told (``core/cases/notice``), and a restart makes the step.
- Time while the host slept counts as a jump of the host's clock, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from sensord.core.instant import SECOND

STEP = 2 * SECOND
"""Smaller disagreements are followed at once (forwards) or waited out (backwards)."""
WRONG = 60 * SECOND
"""By so much our time and the host's clock may differ; beyond it people are told, and nothing is deleted by age."""
CATCH_UP = 24
"""After a start what is past its keeping goes no faster than so many times the time that really passes."""


class ArrivalClock:
    """Call it for the instant of an arrival, ns since the epoch. Safe from any thread."""

    def __init__(
        self,
        floor: int = 0,
        wall: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """``floor`` is the newest instant in the journal: the first stamp is not before it."""
        self._wall = wall
        self._steady = steady
        self._lock = Lock()
        self._ticks = steady()
        self._begun = False
        self._now = max(floor, wall())

    def __call__(self) -> int:
        """Return the instant of now; never less than the one before."""
        with self._lock:
            ticks, wall = self._steady(), self._wall()
            elapsed = ticks - self._ticks
            self._ticks = ticks
            apart = wall - (self._now + elapsed)
            if apart > STEP and self._begun:
                self._now = min(self._now + 2 * elapsed, wall)
            elif apart < -STEP:
                self._now = max(self._now + elapsed // 2, wall)
            else:
                self._now = max(self._now, wall)
            return self._now

    def arrival(self) -> int:
        """As calling it, for a message: from now on time does not leap."""
        instant = self()
        self._begun = True
        return instant

    @property
    def apart(self) -> int:
        """By how much the host's clock is ahead of ours (ns; negative: behind): far from 0 once somebody has set it."""
        with self._lock:
            return self._wall() - (self._now + self._steady() - self._ticks)


class KeepingClock:
    """The instant by which what is past its keeping is deleted, ns since the epoch. Safe from any thread.

    A clock that is wrong for a moment must not delete what is lost for good. So it is journal time, and none at all
    while the host's clock and ours are apart. A host that starts with a wrong clock leads journal time with it; from
    where the run before has left it, this one follows by a day an hour, until somebody has set the host's right. Where
    it stands outlives a restart (``store/keepingtime.py``), so starts in a row are no faster.
    """

    def __init__(self, clock: ArrivalClock, before: int, steady: Callable[[], int] = time.monotonic_ns) -> None:
        """``before`` is where it stood before this start (ns); 0: nothing was kept, and what will be is of our time."""
        self._clock, self._steady = clock, steady
        self._before, self._began = before, steady()

    def __call__(self) -> int | None:
        """Return the instant; None while nothing may be deleted by its age."""
        if abs(self._clock.apart) > WRONG:
            return None
        now = self._clock()
        return min(now, self._before + CATCH_UP * (self._steady() - self._began)) if self._before else now
