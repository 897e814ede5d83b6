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


class Centred:
    """Sums about a pivot: a value among those that are summed, so that neither its size nor what has left cancels out.

    Of a pane that is its first arrival's; of panes joined one after the other, that of the one they begin with.
    """

    neutral: dict[str, float]

    def add(self, open_panes: Columns, readings: Readings) -> None:
        """See :class:`Summary`."""
        cells, pivot = readings.cells, open_panes["pivot"]
        # Written backwards, so that of a cell's readings the first arrival stays.
        new = np.flatnonzero(open_panes["count"][cells] == 0)[::-1]
        pivot[cells[new]] = readings.values[new]
        np.add.at(open_panes["count"], cells, 1.0)
        for name, amount in self._amounts(readings, readings.values - pivot[cells]).items():
            np.add.at(open_panes[name], cells, amount)

    def _amounts(self, readings: Readings, centred: Float64) -> Columns:
        """What each reading adds to which column, ``centred`` being its value less the pivot."""
        raise NotImplementedError

    def _moved(self, columns: Columns, by: Float64) -> Columns:
        """The columns, of values that are all greater by so much."""
        raise NotImplementedError

    def _about(self, pivot: Float64, columns: Columns) -> Columns:
        return {**self._moved(columns, columns["pivot"] - pivot), "pivot": pivot}

    def join(self, earlier: Columns, later: Columns) -> Columns:
        """See :class:`Summary`."""
        pivot = np.where(earlier["count"] > 0, earlier["pivot"], later["pivot"])
        moved = self._about(pivot, later)
        return {name: pivot if name == "pivot" else earlier[name] + moved[name] for name in earlier}

    def run(self, columns: Columns, *, back: bool = False) -> Columns:
        """See :class:`Summary`."""
        some = columns["count"] > 0
        begin = some.shape[-2] - 1 - some[..., ::-1, :].argmax(axis=-2) if back else some.argmax(axis=-2)
        pivot = np.take_along_axis(columns["pivot"], np.expand_dims(begin, -2), axis=-2)
        moved = self._about(pivot, columns)
        joined = {name: pivot if name == "pivot" else _run(np.add, moved[name], back=back) for name in columns}
        return {**joined, "pivot": np.where(joined["count"] > 0, pivot, 0.0)}


class Spread(Centred):
    """The sample standard deviation."""

    neutral = {"count": 0.0, "pivot": 0.0, "sum": 0.0, "squares": 0.0}  # noqa: RUF012

    def _amounts(self, readings: Readings, centred: Float64) -> Columns:
        return {"sum": centred, "squares": centred * centred}

    def _moved(self, columns: Columns, by: Float64) -> Columns:
        more = columns["count"] * by
        squares = columns["squares"] + by * (2.0 * columns["sum"] + more)
        return {"count": columns["count"], "sum": columns["sum"] + more, "squares": squares}

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


class Slope(Centred):
    """The least-squares slope over event time, per ``per`` ns. Times are in panes."""

    neutral = {"count": 0.0, "pivot": 0.0, "t": 0.0, "v": 0.0, "tt": 0.0, "tv": 0.0}  # noqa: RUF012

    def __init__(self, every: int, per: int) -> None:
        self._every, self._scale = every, per / every

    def _amounts(self, readings: Readings, centred: Float64) -> Columns:
        time = readings.within / self._every
        return {"t": time, "v": centred, "tt": time * time, "tv": time * centred}

    def _moved(self, columns: Columns, by: Float64) -> Columns:
        v, tv = columns["v"] + columns["count"] * by, columns["tv"] + columns["t"] * by
        return {**columns, "v": v, "tv": tv}

    def shift(self, columns: Columns, panes: float | Float64) -> Columns:
        """See :class:`Summary`: t becomes t + panes."""
        count, t, v, tt, tv = (columns[name] for name in ("count", "t", "v", "tt", "tv"))
        return {
            **columns,
            "t": t + count * panes,
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


def summary_of(value: Value, every: int, window: int) -> Summary:
    """Make the summary of an aggregate that panes can hold; ``every`` and ``window`` are ns."""
    if value.aggregate in (Aggregate.LAST, Aggregate.FIRST):
        return Edge(last=value.aggregate is Aggregate.LAST)
    if value.aggregate is Aggregate.STDDEV:
        return Spread()
    if value.aggregate is Aggregate.SLOPE:
        return Slope(every, value.per)
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
