r"""The alert ladder of one rule, for all its keys at once: value in, level changes out.

Going up: a rung applies once its comparison has held at every evaluation for the rung's ``hold``. Going down: a rung is
left once the value has stayed beyond threshold and margin for ``clear.hold``. A value that is not known moves nothing
and restarts both clocks: what is blind neither alarms nor clears.

::

    value   ______/^^^^^^^^^^^\___________
    rung          |hold|                        hold   = the rung's ``for``
    active             [ORANGE .........]
    quiet                      |clear.for|      (the value is below threshold - margin)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64, Int8, Int64
from sensord.core.level import Level
from sensord.core.rule import RISING, Comparison, Rule

UNSET = np.iinfo(np.int64).min

Bools = NDArray[np.bool_]

COMPARE = {
    Comparison.ABOVE: np.greater,
    Comparison.AT_LEAST: np.greater_equal,
    Comparison.BELOW: np.less,
    Comparison.AT_MOST: np.less_equal,
}


class Ladder:
    """The levels of ``keys`` keys.

    ``active`` int8 (keys,); ``since`` and ``quiet`` int64 ns (rungs, keys), UNSET while a clock does not run.
    """

    def __init__(self, rule: Rule, keys: int) -> None:
        rungs = rule.levels
        self.rungs = tuple(rung.level for rung in rungs)
        self._meets = COMPARE[rule.comparison]
        self._thresholds = [rung.threshold for rung in rungs]
        sign = -1.0 if rule.comparison in RISING else 1.0
        self._exits = [rung.threshold + sign * margin for rung, margin in zip(rungs, rule.clear.margin, strict=True)]
        self._holds = [rung.hold for rung in rungs]
        self._clear_hold = rule.clear.hold
        self.active = np.zeros(keys, np.int8)
        self.since = np.full((len(rungs), keys), UNSET)
        self.quiet = np.full((len(rungs), keys), UNSET)
        self._busy = False

    @property
    def resting(self) -> bool:
        """Nothing is active and no clock runs."""
        return not self._busy

    @property
    def met(self) -> Bools:
        """Which keys have, as of the last evaluation, a value that meets a rung."""
        met: Bools = (self.since != UNSET).any(axis=0)
        return met

    def threshold(self, level: Level) -> float | None:
        """The threshold of a rung, or None for ``Level.NONE``."""
        return self._thresholds[self.rungs.index(level)] if level in self.rungs else None

    def settled(self, value: Float64) -> bool:
        """Whether these values can change nothing: nothing is active, no clock runs, and none meets the lowest rung."""
        with np.errstate(invalid="ignore"):
            return not self._busy and not bool(self._meets(value, self._thresholds[0]).any())

    def evaluate(self, at: int, value: Float64, known: Bools) -> NDArray[np.intp]:
        """Move every key at the instant ``at``; return the keys whose level changed. ``active`` holds the new levels.

        ``value`` float64 (keys,) may hold NaN where ``known`` is False.
        """
        with np.errstate(invalid="ignore"):
            before = self.active.copy()
            up = self._climb(at, value, known)
            down = self._descend(at, value, known)
        self.active = np.maximum(up, down)
        self._busy = bool(self.active.any() or (self.since != UNSET).any())
        return np.flatnonzero(self.active != before)

    def _climb(self, at: int, value: Float64, known: Bools) -> Int8:
        """The highest rung whose comparison has held long enough."""
        reached = np.zeros_like(self.active)
        for index, level in enumerate(self.rungs):
            meets = self._meets(value, self._thresholds[index]) & known
            since = self.since[index]
            _run(since, meets, at)
            reached[meets & (at - np.where(meets, since, at) >= self._holds[index])] = level
        return reached

    def _descend(self, at: int, value: Float64, known: Bools) -> Int8:
        """The level that the quiet clocks still support: the highest rung at or below the active one not yet left."""
        supported = np.zeros_like(self.active)
        for index, level in enumerate(self.rungs):
            calm = known & ~self._meets(value, self._exits[index])
            quiet = self.quiet[index]
            _run(quiet, calm, at)
            left = calm & (at - np.where(calm, quiet, at) >= self._clear_hold)
            supported[(self.active >= level) & ~left] = level
        return supported

    def clocks(self, key: int) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
        """Return since when, per rung, a key meets it and is calm of it; None where a clock does not run."""
        since, quiet = (
            tuple(None if start == UNSET else start for start in clock[:, key].tolist())
            for clock in (self.since, self.quiet)
        )
        return since, quiet

    def arrays(self) -> dict[str, Int8 | Int64]:
        """The state by name, for snapshots."""
        return {"active": self.active, "since": self.since, "quiet": self.quiet}

    def restored(self) -> None:
        """Recompute what is derived, after the arrays were filled from a snapshot."""
        self._busy = bool(self.active.any() or (self.since != UNSET).any())


def _run(clock: Int64, holds: Bools, at: int) -> None:
    """Start the clock where the condition begins to hold, and stop it where it does not."""
    clock[holds & (clock == UNSET)] = at
    clock[~holds] = UNSET
