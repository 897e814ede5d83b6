"""The window of the last N readings of each key, whatever time they took; looked at when a pane is sealed.

Readings are ordered by event time, those of equal time by arrival. Until N were heard the window is what there is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64
from sensord.core.rules.rule import Aggregate, Value
from sensord.core.rules.sketch import buckets_of, represent
from sensord.core.rules.summary import Readings
from sensord.core.rules.window import Ahead, Array, Table


class Recent:
    """See :class:`sensord.core.rules.window.Window`. ``ring`` and ``times`` have shape (N, keys)."""

    still = False
    """What it holds stays, however long ago it came: that no reading comes does not say that nothing is met."""

    def __init__(self, value: Value, keys: int, readings: int, every: int, depth: int) -> None:
        self._value, self._every, self.depth, self.length = value, every, depth, 1
        self._ring = np.full((readings, keys), np.nan)
        self._times = np.zeros((readings, keys), np.int64)
        self._heard = np.zeros(keys, np.int64)
        self._open: Table = {"pane": _NONE, "key": _NONE, "at": _NONE, "value": np.empty(0)}
        self._waiting: list[Readings] = []
        self._now = np.full(keys, np.nan)

    def add(self, readings: Readings) -> None:
        """Take readings."""
        self._waiting.append(readings)

    def _settle(self) -> None:
        if self._waiting:
            columns = [(one.panes, one.keys, one.panes * self._every + one.within, one.values) for one in self._waiting]
            self._waiting = []
            added = zip(("pane", "key", "at", "value"), zip(*columns, strict=True), strict=True)
            self._open = {name: np.concatenate((self._open[name], *parts)) for name, parts in added}

    def seal(self, pane: int) -> tuple[Float64, Float64]:
        """Return the (value, number of readings) per key."""
        self._settle()
        mine = self._open["pane"] == pane
        if mine.any():
            taken = {name: column[mine] for name, column in self._open.items()}
            self._open = {name: column[~mine] for name, column in self._open.items()}
            self._push(taken)
        return self._now.copy(), np.minimum(self._heard, len(self._ring)).astype(np.float64)

    def _push(self, taken: Table) -> None:
        """Append a pane's readings to the ring of each key and compute the keys that changed."""
        order = np.lexsort((taken["at"], taken["key"]))
        keys, at, values = (taken[name][order] for name in ("key", "at", "value"))
        new = np.ones(len(keys), np.bool_)
        new[1:] = keys[1:] != keys[:-1]
        starts = np.flatnonzero(new)
        sizes = np.diff(np.append(starts, len(keys)))
        place = np.arange(len(keys)) - np.repeat(starts, sizes)
        kept = place >= np.repeat(sizes, sizes) - len(self._ring)
        slots = (self._heard[keys] + place) % len(self._ring)
        self._ring[slots[kept], keys[kept]] = values[kept]
        self._times[slots[kept], keys[kept]] = at[kept]
        self._heard[keys[starts]] += sizes
        self._compute(keys[starts])

    def _compute(self, keys: NDArray[np.int64]) -> None:
        """Compute the value of some keys from their readings, oldest first, with NaN above those that are missing."""
        size = len(self._ring)
        count = np.minimum(self._heard[keys], size)
        rows = (self._heard[keys] - size + np.arange(size)[:, None]) % size
        values, times = self._ring[rows, keys], self._times[rows, keys]
        there = np.arange(size)[:, None] >= size - count
        values = np.where(there, values, np.nan)
        self._now[keys] = _AGGREGATES[self._value.aggregate](_Columns(self._value, values, times, there))

    def ahead(self, pane: int, count: int, readings: Readings) -> Ahead | None:
        """See :class:`sensord.core.rules.window.Window`."""
        return None

    def arrays(self) -> dict[str, Array]:
        """See :class:`sensord.core.rules.window.Window`."""
        return {"ring": self._ring, "times": self._times, "heard": self._heard}

    def tables(self) -> dict[str, Table]:
        """See :class:`sensord.core.rules.window.Window`."""
        self._settle()
        return {"open": self._open}

    def restored(self, tables: dict[str, Table], keys: int) -> None:
        """See :class:`sensord.core.rules.window.Window`."""
        self._open = tables["open"]
        heard = np.flatnonzero(self._heard)
        if len(heard):
            self._compute(heard)


_NONE = np.empty(0, np.int64)


class _Columns:
    """Columns of readings, oldest first, shape (N, keys); ``there`` marks those that exist, the rest is NaN.

    Sums run down the rows one by one, so that a column's result does not depend on its neighbours.
    """

    def __init__(self, value: Value, values: Float64, times: NDArray[np.int64], there: NDArray[np.bool_]) -> None:
        self.value, self.values, self.times, self.there = value, values, times, there
        self.filled = np.where(there, values, 0.0)
        self.count: Float64 = there.sum(axis=0).astype(np.float64)
        self.some = np.maximum(self.count, 1.0)

    def mean(self) -> Float64:
        return np.where(self.count > 0, _total(self.filled) / self.some, np.nan)

    def extreme(self, reduce: np.ufunc, neutral: float) -> Float64:
        found: Float64 = reduce.reduce(np.where(self.there, self.values, neutral), axis=0)
        return np.where(self.count > 0, found, np.nan)

    def last(self) -> Float64:
        return _row(self.values, np.full(self.values.shape[1], len(self.values) - 1))

    def first(self) -> Float64:
        return _row(self.values, np.argmax(self.there, axis=0))

    def distinct(self) -> Float64:
        different = np.diff(np.sort(self.values, axis=0), axis=0) > 0
        return _total(different.astype(np.float64)) + (self.count > 0)

    def percentile(self) -> Float64:
        inside = np.where(self.there, self.values, np.inf)
        ordered = np.sort(represent(buckets_of(inside)), axis=0)
        wanted = np.maximum(np.ceil(self.value.rank / 100.0 * self.count), 1.0).astype(np.int64) - 1
        return np.where(self.count > 0, _row(ordered, wanted), np.nan)

    def deviation(self) -> Float64:
        centred = np.where(self.there, self.values - _total(self.filled) / self.some, 0.0)
        spread = np.sqrt(_total(centred * centred) / np.maximum(self.count - 1.0, 1.0))
        return np.where(self.count > 1, spread, np.nan)

    def slope(self) -> Float64:
        time = np.where(self.there, (self.times - self.times[-1]) / self.value.per, 0.0)
        time = np.where(self.there, time - _total(time) / self.some, 0.0)
        below = _total(time * time)
        above = _total(time * np.where(self.there, self.filled - _total(self.filled) / self.some, 0.0))
        known = (self.count > 1) & (below > 0.0)
        return np.divide(above, below, out=np.full_like(below, np.nan), where=known)


_AGGREGATES: dict[Aggregate, Callable[[_Columns], Float64]] = {
    Aggregate.COUNT: lambda columns: columns.count,
    Aggregate.SUM: lambda columns: _total(columns.filled),
    Aggregate.DELTA: lambda columns: _total(columns.filled),
    Aggregate.MEAN: _Columns.mean,
    Aggregate.MIN: lambda columns: columns.extreme(np.minimum, np.inf),
    Aggregate.MAX: lambda columns: columns.extreme(np.maximum, -np.inf),
    Aggregate.LAST: _Columns.last,
    Aggregate.FIRST: _Columns.first,
    Aggregate.DISTINCT: _Columns.distinct,
    Aggregate.PERCENTILE: _Columns.percentile,
    Aggregate.STDDEV: _Columns.deviation,
    Aggregate.SLOPE: _Columns.slope,
}


def _total(rows: Float64) -> Float64:
    total = np.zeros(rows.shape[1])
    for row in rows:
        total += row
    return total


def _row(values: Float64, rows: NDArray[np.intp]) -> Float64:
    """One value of each column."""
    picked: Float64 = values[rows, np.arange(values.shape[1])]
    return picked
