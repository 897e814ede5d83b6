"""How far behind we are: at the broker, in the queue, in the journal; and whether that is much.

The broker does not say how long its queue for us is. So a small numbered message, an *echo*, is published each second
to a topic that the session of the readings subscribes to: it waits as they do, and its return tells how long that took.
It counts as returned when everything before it is durable. What the core has still to step comes on top.

An echo counts from when the broker has taken it, and only while the session of the readings is connected: a broker that
hangs or is away is no backlog, and who sends too much is not to be looked for then.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Protocol

from sensord.ports import Meter

OPEN, CLOSE = 3.0, 1.0
"""Seconds behind from which we are pressed, and below which we are no more."""
AHEAD_OF_CORE = 2
"""Groups that may be journaled before the core has stepped them, while we are pressed."""
HOPELESS = 60.0
"""Seconds behind from which the core is not pressed by what comes in, but works off an old journal: nothing is gained
then by leaving readings at the broker."""
_MOST = 7200
"""Echoes that are waited for: two hours' worth. Beyond that the oldest count, and no new ones are sent."""
_DIGITS = 18
"""Of an echo's number at most: Python refuses to read thousands of them."""


class Echoes:
    """Which echoes have not returned. Safe from any thread; times are seconds of a clock that never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._run = time.time_ns()  # echoes of an earlier run may still wait at the broker
        self._number = self._back = 0
        self._waiting: deque[tuple[int, float]] = deque()

    def next(self) -> bytes | None:
        """Make the next echo's payload; None while too many are waited for."""
        with self._lock:
            if len(self._waiting) >= _MOST:
                return None
            self._number += 1
            return b"%d %d" % (self._run, self._number)

    def taken(self, number: int) -> None:
        """Note that the broker has taken this one: it is waited for from now on, unless it is back already."""
        with self._lock:
            if number > self._back:
                self._waiting.append((number, self._clock()))

    def number(self, payload: bytes) -> int:
        """Read the number of an echo; 0 when it is none that we have sent in this run."""
        run, _, text = payload.partition(b" ")
        if run != b"%d" % self._run or len(text) > _DIGITS or not text.isdigit():
            return 0
        number = int(text)
        with self._lock:
            return number if number <= self._number else 0

    def returned(self, number: int) -> None:
        """Note that this one has come back, and with it all before it: one that did not was lost."""
        with self._lock:
            self._back = max(self._back, number)
            while self._waiting and self._waiting[0][0] <= number:
                self._waiting.popleft()

    def forget(self) -> None:
        """Wait for none of those that were sent: they will not come, or tell nothing when they do."""
        with self._lock:
            self._back = self._number
            self._waiting.clear()

    @property
    def age(self) -> float:
        """For how long the oldest has waited; 0 when all are back."""
        with self._lock:
            return self._clock() - self._waiting[0][1] if self._waiting else 0.0


class Follower(Protocol):
    """Whoever steps what is journaled: how far it is behind the journal, in seconds and in groups."""

    @property
    def behind(self) -> float:
        """Seconds."""
        ...

    @property
    def groups_behind(self) -> int:
        """Groups."""
        ...


class Backlog:
    """Implements ``ports.Pressure``. ``look`` is called once in a while, by one thread; the rest is safe from any."""

    def __init__(self, echoes: Echoes, core: Follower, meter: Meter, connected: Callable[[], bool]) -> None:
        """``connected`` says whether the session of the readings is."""
        self._echoes, self._core, self._meter, self._connected = echoes, core, meter, connected
        self.seconds, self.pressed = 0.0, False

    def look(self) -> None:
        """Measure, and decide."""
        if not self._connected():
            self._echoes.forget()
        waiting = self._echoes.age
        self.seconds = waiting + self._core.behind
        self.pressed = self.seconds > (CLOSE if self.pressed else OPEN)
        self._meter.gauge("mqtt_echo_seconds", waiting)
        self._meter.gauge("reading_age_seconds", self.seconds)

    def holds(self) -> bool:
        """Whether readings in their turn should wait at the broker, lest they be in the way of fresh ones."""
        return self.pressed and self._core.groups_behind > AHEAD_OF_CORE and self._core.behind < HOPELESS
