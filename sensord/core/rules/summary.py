"""Summaries: what a pane keeps of its readings, per key, so that panes can be joined into a window.

A summary is a few columns; joining is done element by element, in the fixed grouping of ``window.py``, so that results
are the same bits in every run. Each class says what it keeps, how readings and panes join, and what the value is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64, Int64
from sensord.core.rules.rule import Aggregate, Value

Columns = dict[str, Float64]
"""Columns by name, each of shape (..., keys); ``count`` is always among them."""

NONE = -np.inf
"""As a time in a column: no reading."""


class Readings:
    """Readings on their way into panes: all of shape (n,), in arrival order.

    ``cells`` index the flattened open panes, ``keys`` and ``panes`` say which; ``within`` is the event time after the
    start of its pane (ns).
    """

    def __init__(self, cells: Int64, keys: Int64, panes: Int64, within: Int64, values: Float64) -> None:
        self.cells, self.keys, self.panes, self.within, self.values = cells, keys, panes, within, values

    def cut(self, start: int, stop: int) -> Readings:
        """The readings ``start <= i < stop``; nothing is copied."""
        part = slice(start, stop)
        return Readings(self.cells[part], self.keys[part], self.panes[part], self.within[part], self.values[part])

    def select(self, rows: NDArray[np.bool_], cells: Int64) -> Readings:
        """The readings that are marked in ``rows``, with other cells (of all readings)."""
        return Readings(cells[rows], self.keys[rows], self.panes[rows], self.within[rows], self.values[rows])


class Summary(Protocol):
    """One aggregate's way to summarise."""

    neutral: dict[str, float]

    @property
    def pivot(self) -> Float64 | None:
        """What each key's values are counted from, float64 (keys,), see ``set_pivots``; None: from zero."""
        ...

    def add(self, open_panes: Columns, readings: Readings) -> None:
        """Join readings into open panes (flattened columns), one by one in arrival order."""
        ...

    def join(self, earlier: Columns, later: Columns) -> Columns:
        """Join two summaries of which one lies earlier."""
        ...

    def run(self, columns: Columns, *, back: bool = False) -> Columns:
        """Join row after row along the axis before the keys: row n becomes the join of all rows up to it.

        ``back``: of all rows from it on. The grouping is that of joining one row at a time.
        """
        ...

    def shift(self, columns: Columns, panes: float | Float64) -> Columns:
        """Count times from so many panes earlier; what keeps no times returns the columns as they are."""
        ...

    def value(self, window: Columns) -> Float64:
        """The window's value per key (NaN: none)."""
        ...


def _run(join: np.ufunc, column: NDArray[Any], *, back: bool) -> NDArray[Any]:
    turned = column[..., ::-1, :] if back else column
    joined: NDArray[Any] = join.accumulate(turned, axis=-2)
    return joined[..., ::-1, :] if back else joined


_JOINS: dict[str, np.ufunc] = {"count": np.add, "sum": np.add, "least": np.minimum, "greatest": np.maximum}
_NEUTRAL = {"count": 0.0, "sum": 0.0, "least": np.inf, "greatest": -np.inf}


class Plain:
    """Count, and at most one of sum, least and greatest."""

    def __init__(self, part: str, finish: Callable[[Columns], Float64]) -> None:
        names = ("count", part) if part else ("count",)
        self.neutral = {name: _NEUTRAL[name] for name in names}
        self.pivot: Float64 | None = None
        self._finish = finish

    def add(self, open_panes: Columns, readings: Readings) -> None:
        """See :class:`Summary`."""
        for name, column in open_panes.items():
            _JOINS[name].at(column, readings.cells, 1.0 if name == "count" else readings.values)

    def join(self, earlier: Columns, later: Columns) -> Columns:
        """See :class:`Summary`."""
        return {name: _JOINS[name](earlier[name], later[name]) for name in earlier}

    def run(self, columns: Columns, *, back: bool = False) -> Columns:
        """See :class:`Summary`."""
        return {name: _run(_JOINS[name], column, back=back) for name, column in columns.items()}

    def shift(self, columns: Columns, panes: float | Float64) -> Columns:
        """No times are kept."""
        return columns

    def value(self, window: Columns) -> Float64:
        """See :class:`Summary`."""
        return self._finish(window)


class Edge:
    """The value with the greatest event time (``last``: the later arrival wins a tie) or the least (``first``)."""

    def __init__(self, *, last: bool) -> None:
        self._last = last
        self.pivot: Float64 | None = None
        self.neutral = {"count": 0.0, "at": NONE if last else np.inf, "kept": np.nan}

    def add(self, open_panes: Columns, readings: Readings) -> None:
        """See :class:`Summary`; ``at`` counts ns within the pane."""
        cells, at = readings.cells, readings.within.astype(np.float64)
        np.add.at(open_panes["count"], cells, 1.0)
        before = open_panes["at"][cells]
        (np.maximum if self._last else np.minimum).at(open_panes["at"], cells, at)
        wins = at == open_panes["at"][cells]
        if self._last:
            open_panes["kept"][cells[wins]] = readings.values[wins]
        else:
            # Of equal times the first arrival counts: it is written last, and replaces nothing that was there.
            wins &= at < before
            open_panes["kept"][cells[wins][::-1]] = readings.values[wins][::-1]

    def join(self, earlier: Columns, later: Columns) -> Columns:
        """Panes do not overlap in time: the later one wins where it has a reading, or the earlier one."""
        winner, other = (later, earlier) if self._last else (earlier, later)
        has = winner["count"] > 0
        joined = {name: np.where(has, winner[name], other[name]) for name in ("at", "kept")}
        return {"count": earlier["count"] + later["count"], **joined}

    def run(self, columns: Columns, *, back: bool = False) -> Columns:
        """See :class:`Summary`: of the rows that have a reading the last wins, or the first."""
        count = columns["count"]
        rows = np.arange(count.shape[-2])[:, None]
        none = -1 if self._last else len(rows)
        found = _run(np.maximum if self._last else np.minimum, np.where(count > 0, rows, none), back=back)
        winner = np.where(found == none, rows, found)
        kept = {name: np.take_along_axis(columns[name], winner, axis=-2) for name in ("at", "kept")}
        return {"count": _run(np.add, count, back=back), **kept}

    def shift(self, columns: Columns, panes: float | Float64) -> Columns:
        """Times are compared within a pane only."""
        return columns

    def value(self, window: Columns) -> Float64:
        """See :class:`Summary`."""
        return window["kept"]


class Spread:
    """The sample standard deviation, from sums about a pivot: each key's first reading ever, so nothing cancels out."""

    neutral = {"count": 0.0, "sum": 0.0, "squares": 0.0}  # noqa: RUF012

    def __init__(self, keys: int) -> None:
        self.pivot = np.full(keys, np.nan)

    def add(self, open_panes: Columns, readings: Readings) -> None:
        """See :class:`Summary`."""
        centred = readings.values - self.pivot[readings.keys]
        np.add.at(open_panes["count"], readings.cells, 1.0)
        np.add.at(open_panes["sum"], readings.cells, centred)
        np.add.at(open_panes["squares"], readings.cells, centred * centred)

    def join(self, earlier: Columns, later: Columns) -> Columns:
        """See :class:`Summary`."""
        return {name: earlier[name] + later[name] for name in earlier}

    def run(self, columns: Columns, *, back: bool = False) -> Columns:
        """See :class:`Summary`."""
        return {name: _run(np.add, column, back=back) for name, column in columns.items()}

    def shift(self, columns: Columns, panes: float | Float64) -> Columns:
        """No times are kept."""
        return columns

    def value(self, window: Columns) -> Float64:
        """The square root of the sum of squared distances from the mean, divided by count - 1; NaN below two."""
        count = window["count"]
        enough = count > 1
        some = np.where(enough, count, 2.0)
        squares = window["squares"] - window["sum"] * window["sum"] / some
        return np.where(enough, np.sqrt(np.maximum(squares, 0.0) / (some - 1.0)), np.nan)


class Slope:
    """The least-squares slope over event time, per ``per`` ns. Times are in panes, values about a pivot."""

    neutral = {"count": 0.0, "t": 0.0, "v": 0.0, "tt": 0.0, "tv": 0.0}  # noqa: RUF012

    def __init__(self, keys: int, every: int, per: int) -> None:
        self.pivot = np.full(keys, np.nan)
        self._every, self._scale = every, per / every

    def add(self, open_panes: Columns, readings: Readings) -> None:
        """See :class:`Summary`."""
        value = readings.values - self.pivot[readings.keys]
        time = readings.within / self._every
        for name, amount in (("count", np.ones_like(time)), ("t", time), ("v", value)):
            np.add.at(open_panes[name], readings.cells, amount)
        np.add.at(open_panes["tt"], readings.cells, time * time)
        np.add.at(open_panes["tv"], readings.cells, time * value)

    def join(self, earlier: Columns, later: Columns) -> Columns:
        """See :class:`Summary`; both count time from the same instant."""
        return {name: earlier[name] + later[name] for name in earlier}

    def run(self, columns: Columns, *, back: bool = False) -> Columns:
        """See :class:`Summary`."""
        return {name: _run(np.add, column, back=back) for name, column in columns.items()}

    def shift(self, columns: Columns, panes: float | Float64) -> Columns:
        """See :class:`Summary`: t becomes t + panes."""
        count, t, v, tt, tv = (columns[name] for name in ("count", "t", "v", "tt", "tv"))
        return {
            "count": count,
            "t": t + count * panes,
            "v": v,
            "tt": tt + 2.0 * panes * t + panes * panes * count,
            "tv": tv + panes * v,
        }

    def value(self, window: Columns) -> Float64:
        """NaN below two readings, or when all have the same time."""
        count, t, v, tt, tv = (window[name] for name in ("count", "t", "v", "tt", "tv"))
        below = count * tt - t * t
        # Times that are equal leave nothing but rounding below the line.
        known = (count > 1) & (below > 1e-9 * count * count)
        slope = np.divide(count * tv - t * v, below, out=np.full_like(below, np.nan), where=known)
        return slope * self._scale


def set_pivots(pivot: Float64, readings: Readings) -> None:
    """Make a key's first reading its pivot, in the order of arrival and whatever pane it falls into."""
    new = np.isnan(pivot[readings.keys])
    if new.any():
        # Written backwards, so that of a key's readings the first arrival stays.
        pivot[readings.keys[new][::-1]] = readings.values[new][::-1]


def summary_of(value: Value, keys: int, every: int, window: int) -> Summary:
    """Make the summary of an aggregate that panes can hold; ``every`` and ``window`` are ns."""
    if value.aggregate in (Aggregate.LAST, Aggregate.FIRST):
        return Edge(last=value.aggregate is Aggregate.LAST)
    if value.aggregate is Aggregate.STDDEV:
        return Spread(keys)
    if value.aggregate is Aggregate.SLOPE:
        return Slope(keys, every, value.per)
    per_window = value.per / window if value.per and window else 1.0
    part, finish = {
        Aggregate.COUNT: ("", lambda window: window["count"]),
        Aggregate.SUM: ("sum", lambda window: window["sum"]),
        Aggregate.DELTA: ("sum", lambda window: _where_any(window, window["sum"])),
        Aggregate.RATE: ("sum", lambda window: window["sum"] * per_window),
        Aggregate.MEAN: ("sum", _mean),
        Aggregate.TOTAL: ("sum", _mean),
        Aggregate.MIN: ("least", lambda window: _where_any(window, window["least"])),
        Aggregate.MAX: ("greatest", lambda window: _where_any(window, window["greatest"])),
    }[value.aggregate]
    return Plain(part, finish)


def _mean(window: Columns) -> Float64:
    count = window["count"]
    return np.divide(window["sum"], count, out=np.full_like(count, np.nan), where=count > 0)


def _where_any(window: Columns, value: Float64) -> Float64:
    return np.where(window["count"] > 0, value, np.nan)
