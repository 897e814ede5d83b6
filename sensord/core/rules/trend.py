r"""Where a value is heading: the level that it is expected to have some time from now, by a robust straight line.

There is a trend when the values are *steady*: when of all pairs of points those that rise outnumber those that fall by
half of all pairs (Kendall's tau of one half or more); so noise does not page, and sorting is done for few keys only.
The slope is that of Theil (1950) and Sen (1968), the median of the slopes between all pairs, and the line goes through
the median of what is left. A crowd forms in ten minutes, faster than a line through all points turns: where the newest
third of them is *sharp* (tau of 0.8), the line goes through these alone. Nothing is coming while they do not go the
rule's way, nor where the value is there already: others tell of that, and a warning that stood is over.

::

    threshold  - - - - - - - - - - - - - - - -*- - -     the forecast crosses: warn now, one level lower
                                          .´  :
                                      .´      :
    value      .  . .   . . .  o o o          :
               |<---- over ---->|<- within -->|
                          |<--->| the newest third
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64
from sensord.core.rules.derived import Bools
from sensord.core.rules.rule import RISING, Rule

POINTS = 31
"""At most so many points (465 pairs) are looked at, evenly spaced over the stretch that is looked back on."""
LEAST = 4
"""The newest third are so many at least."""
FURTHEST = 2
"""No line is followed for more than so many times as long as it is."""
SHARP = 0.8
"""The least tau of the newest third that are looked at alone."""
STEADY = 0.5
"""The least |Kendall's tau| of a trend. ``bench/derived.py`` compares with others, and with least squares and Holt."""


class Heading:
    """The trend of one rule. See :class:`sensord.core.rules.derived.Derivation`.

    ``history`` float64 (panes, keys) holds the window's values of the last ``over``, the pane that ends at ``end`` in
    row ``end // every % panes``; NaN where the value was unknown. A key takes 8 bytes a pane. ``steady`` is the least
    |tau| of a trend; ``coming`` bool (keys,): there was one when it was looked at last, the rule's way.
    """

    def __init__(self, rule: Rule, keys: int) -> None:
        assert rule.trend is not None
        self.steady = STEADY
        self._every, self._within = rule.every, rule.trend.within / rule.every
        self._way = 1 if rule.comparison in RISING else -1
        panes = rule.trend.over // rule.every + 1
        stride = -(-(panes - 1) // (POINTS - 1))
        self._ages = np.arange(0, panes, stride)
        self._newest = max((len(self._ages) - 1) // 3 + 1, LEAST)
        self._soon = min(self._within, float(FURTHEST * self._ages[self._newest - 1]))
        self.coming = np.zeros(keys, np.bool_)
        self.history = np.full((panes, keys), np.nan)
        self._known = np.zeros(keys, np.intp)

    def derive(self, end: int, value: Float64, known: Bools) -> tuple[Float64, Bools]:
        """Return the expected values: those of now where nothing is coming."""
        row, panes = self._row(end), len(self.history)
        self.history[row] = np.where(known, value, np.nan)
        points = self.history[(row - self._ages) % panes]
        newest = points[: self._newest]
        counted, lately = (len(part) - np.isnan(part).sum(axis=0) for part in (points, newest))
        self._known = np.where(2 * lately > len(newest), counted, 0)
        # Few keys are steady, and the rest of the work is for these.
        steady = np.flatnonzero(self._agrees(points, self._known, self.steady))
        recent, soon = self._line(newest[:, steady], self._soon)
        whole, later = self._line(points[:, steady], self._within)
        sharp = self._agrees(newest[:, steady], lately[steady], SHARP)
        soon = np.where(sharp, soon, -self._way * np.inf)
        later = np.where(self._way * whole > 0.0, later, -self._way * np.inf)
        expected = self._way * np.maximum(self._way * soon, self._way * later)
        coming = (self._way * recent > 0.0) & np.isfinite(expected)
        self.coming = np.zeros(len(value), np.bool_)
        self.coming[steady] = coming
        found = value.copy()
        found[steady[coming]] = expected[coming]
        return found, known & ~self.learning()

    def _row(self, end: int) -> int:
        return end // self._every % len(self.history)

    def _agrees(self, points: Float64, known: NDArray[np.intp], least: float) -> Bools:
        """Whether of all pairs of each column's points those that go the rule's way are so many more than the others.

        ``least`` is that number as a share of all pairs.
        """
        agree = np.zeros(points.shape[1], np.int32)
        with np.errstate(invalid="ignore"):
            for newer in range(len(points) - 1):
                point, older = points[newer], points[newer + 1 :]
                signs = (point > older).view(np.int8) - (point < older).view(np.int8)
                agree += np.add.reduce(signs, axis=0, dtype=np.int32)
        pairs = known * (known - 1) / 2
        return (self._way * agree >= least * pairs) & (pairs > 0)

    def _line(self, points: Float64, ahead: float) -> tuple[Float64, Float64]:
        """Return the slope per pane of the line through each column, and where it leads in so many panes."""
        newer, older = np.triu_indices(len(points), 1)
        ages = self._ages[: len(points), None]
        slope = _median((points[newer] - points[older]) / (ages[older] - ages[newer]))
        return slope, _median(points + slope * ages) + slope * ahead

    def settle(self, value: Float64, known: Bools, alarmed: Bools) -> None:
        """The history has it already."""

    def shown(self, key: int, value: float, threshold: float | None) -> tuple[float, float | None]:
        """Return the value of now and the threshold that it is heading for."""
        return value, threshold

    def skip(self, ends: range) -> None:
        """Note panes whose value was unknown."""
        for end in ends[-len(self.history) :]:
            self.history[self._row(end)] = np.nan

    def learning(self) -> Bools:
        """Return for which keys less than half of the points are known, or of the newest of them."""
        return self._known * 2 <= len(self._ages)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the live state arrays by name."""
        return {"history": self.history, "known": self._known}

    def rescale(self, factor: Float64) -> None:
        """See :class:`sensord.core.rules.derived.Derivation`."""
        self.history *= factor

    def restored(self) -> None:
        """Everything is in the arrays."""


def _median(values: Float64) -> Float64:
    """The median of each column, of what is a number in it (NaN: nothing is)."""
    ordered = np.sort(values, axis=0)
    count = len(ordered) - np.isnan(ordered).sum(axis=0)
    column = np.arange(ordered.shape[1])
    upper = ordered[np.minimum(count // 2, len(ordered) - 1), column]
    middle: Float64 = (ordered[np.maximum(count - 1, 0) // 2, column] + upper) / 2.0
    return np.where(count > 0, middle, np.nan)
