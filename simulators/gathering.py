"""How people come together: a crowd's rise, plateau and fall, and the shapes that scenarios speak of.

====================  ==================================================================================
shape                 what it is
====================  ==================================================================================
``market``            fills slowly, stays full for most of its length, empties slowly
``school_gate``       parents wait: fills over half of its length, then is gone within minutes
``queue``             a queue for bookings: grows steadily, is served in steps, so that it goes down in steps
``festival``          waves: three crowds in a row, each higher than the one before
``crush``             dense already, then people press in from behind until it is dangerous, and nobody gets out
====================  ==================================================================================

The proportions are illustrative, not measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

import numpy as np

from sensord.core.batch import Float64, Int64
from sensord.core.instant import SECOND

Shape = Literal["market", "school_gate", "queue", "festival", "crush"]


@dataclass(frozen=True, slots=True)
class Crowd:
    """A crowd in one lane; times are ns since the scenario's start, ``peak`` is people/m2."""

    lane: str
    start: int
    rise: int
    peak: float
    hold: int
    fall: int

    @property
    def end(self) -> int:
        """When the last of the crowd has gone."""
        return self.start + self.rise + self.hold + self.fall

    def density(self, at: int) -> float:
        """Return the people/m2 that the crowd adds at ``at``: an S-shaped rise, a plateau, such a fall."""
        return float(self.densities(np.array([at]))[0])

    def densities(self, at: Int64) -> Float64:
        """As :meth:`density`, for many instants at once."""
        share = np.where(
            at < self.start + self.rise,
            (at - self.start) / self.rise,
            1.0 - (at - self.start - self.rise - self.hold) / self.fall,
        )
        share = np.clip(share, 0.0, 1.0)
        return self.peak * share * share * (3.0 - 2.0 * share)


def gather(shape: Shape, lane: str, start: int, length: int, peak: float, dice: Random) -> list[Crowd]:
    """Return the crowds that make a shape of ``length`` (ns) with the greatest density ``peak`` (people/m2)."""

    def part(begin: float, rise: float, height: float, hold: float, fall: float) -> Crowd:
        """Times in shares of the length."""
        times = (max(round(share * length), SECOND) for share in (rise, hold, fall))
        rising, holding, falling = times
        return Crowd(lane, start + round(begin * length), rising, peak * height, holding, falling)

    if shape == "market":
        return [part(0, 0.2, 1, 0.55, 0.25)]
    if shape == "school_gate":
        return [part(0, 0.55, 1, 0.3, 0.15)]
    if shape == "queue":
        steps = 4
        return [part(0.02 * n, 0.4, 1 / steps, 0.1 + 0.12 * (steps - 1 - n), 0.05) for n in range(steps)]
    if shape == "festival":
        heights = (0.6, 0.8, 1.0)
        return [part(0.33 * n + dice.uniform(0, 0.02), 0.08, height, 0.12, 0.1) for n, height in enumerate(heights)]
    return [part(0, 0.3, 0.4, 0.6, 0.1), part(0.35, 0.2, 0.6, 0.35, 0.1)]
