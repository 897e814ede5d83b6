r"""Where a value is heading: the level that it is expected to have some time from now, by a robust straight line.

The slope is that of Theil (1950) and Sen (1968): the median of the slopes between all pairs of points; the line goes
through the median of what is left. Up to 29 % of the points may be anything without moving it. A slope counts only
when it is *steady*: of all pairs of points, those that agree with it must outnumber the others by half of all pairs
(Kendall's tau of one half or more). So noise does not page, and the sorting is done for few keys only.

::

    threshold  - - - - - - - - - - - - - - - -*- - -     the forecast crosses: warn now, one level lower
                                          .´  :
                                      .´      :
    value      .  . .   . . . .  . o o        :
               |<------ over ----->|<-within->|
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64
from sensord.core.rules.derived import Bools
from sensord.core.rules.rule import RISING, Rule

POINTS = 31
"""The line goes through at most so many points (465 pairs), evenly spaced over the stretch that is looked back on."""
STEADY = 0.5
"""The least |Kendall's tau| of a trend. ``bench/derived.py`` compares with others, and with least squares and Holt."""


class Heading:
    """The trend of one rule. See :class:`sensord.core.rules.derived.Derivation`.

    ``history`` float64 (panes, keys) holds the window's values of the last ``over``, the pane that ends at ``end`` in
    row ``end // every % panes``; NaN where the value was unknown. A key takes 8 bytes a pane. ``steady`` is the least
    |tau| of a slope that counts.
    """

    def __init__(self, rule: Rule, keys: int) -> None:
        assert rule.trend is not None
        self.steady = STEADY
        self._every, self._within = rule.every, rule.trend.within / rule.every
        self._rising = rule.comparison in RISING
        panes = rule.trend.over // rule.every + 1
        stride = -(-(panes - 1) // (POINTS - 1))
        self._ages = np.arange(0, panes, stride)
        self._newer, self._older = np.triu_indices(len(self._ages), 1)
        self.history = np.full((panes, keys), np.nan)
        self._known = np.zeros(keys, np.intp)

    def derive(self, end: int, value: Float64, known: Bools) -> tuple[Float64, Bools]:
        """Return the expected values, never on the quiet side of where the line stands now."""
        row, panes = self._row(end), len(self.history)
        self.history[row] = np.where(known, value, np.nan)
        points = self.history[(row - self._ages) % panes]
        self._known = len(points) - np.isnan(points).sum(axis=0)
        slope = self._slope(points)
        now = _median(points + slope * self._ages[:, None])
        ahead = slope * self._within
        expected = now + (np.maximum(ahead, 0.0) if self._rising else np.minimum(ahead, 0.0))
        return expected, known & ~self.learning()

    def _row(self, end: int) -> int:
        return end // self._every % len(self.history)

    def _slope(self, points: Float64) -> Float64:
        """Return the slope per pane of the keys that have a steady one, zero for the others."""
        agree = np.zeros(points.shape[1], np.int32)
        with np.errstate(invalid="ignore"):
            for newer in range(len(points) - 1):
                point, older = points[newer], points[newer + 1 :]
                signs = (point > older).view(np.int8) - (point < older).view(np.int8)
                agree += np.add.reduce(signs, axis=0, dtype=np.int32)
        pairs = self._known * (self._known - 1) / 2
        slope = np.zeros(points.shape[1])
        steady = np.flatnonzero((np.abs(agree) >= self.steady * pairs) & (pairs > 0))
        lags = (self._ages[self._older] - self._ages[self._newer])[:, None]
        chosen = points[:, steady]
        slope[steady] = _median((chosen[self._newer] - chosen[self._older]) / lags)
        return slope

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
        """Return for which keys less than half of the points are known."""
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
