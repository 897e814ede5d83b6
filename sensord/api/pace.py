"""How often somebody may ask: token buckets by name, in memory that is bounded however many names there are."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MOST_NAMES = 4096
"""So many names are remembered; the one that was not heard for longest is forgotten, and begins with a full bucket."""


@dataclass(frozen=True, slots=True)
class Rate:
    """``burst`` requests at once, then ``per_second``."""

    burst: int
    per_second: float


class Pace:
    """The buckets of one rate. ``clock`` returns seconds and never goes back."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, name: str) -> int:
        """Take one from the bucket of ``name``; returns 0, or after how many whole seconds there is one again."""
        now = self._clock()
        left, seen = self._buckets.pop(name, (float(self._rate.burst), now))
        left = min(float(self._rate.burst), left + (now - seen) * self._rate.per_second)
        late = 0 if left >= 1 else math.ceil((1 - left) / self._rate.per_second)
        self._buckets[name] = (left if late else left - 1, now)
        if len(self._buckets) > MOST_NAMES:
            self._buckets.popitem(last=False)
        return late
