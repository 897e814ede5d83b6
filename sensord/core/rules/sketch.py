"""Windows that count in how many different ways, or how often, values occur: ``distinct`` and ``percentile``.

Both keep tables with a row per (key, bucket) instead of a cell per key, so that memory follows what was really seen,
and is bounded. Both are exact sums of whole numbers, so results do not depend on how readings were cut into batches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64, Int64
from sensord.core.rules.session import Sessions
from sensord.core.rules.summary import Readings
from sensord.core.rules.window import Ahead, Array, Table, Window

MOST = 256
"""Up to so many different values a window is counted exactly; beyond, with a standard error of 1/sqrt(254) = 6.3 %."""
GROWTH = 1.02
"""Width of a percentile's buckets: the value given is within (GROWTH - 1) / (GROWTH + 1) < 1 % of a true reading."""
_SMALLEST, _BUCKETS = 1e-6, 2400
"""Buckets from 1e-6 to over 1e14; what is nearer to zero counts as zero, what is further out as the last bucket."""


def _edges() -> Float64:
    """Products of IEEE doubles: the same on every machine, as logarithms would not be."""
    edges = [_SMALLEST]
    while len(edges) < _BUCKETS:
        edges.append(edges[-1] * GROWTH)
    return np.array(edges)


_EDGES = _edges()
_MIDDLE = _EDGES * (2.0 * GROWTH / (GROWTH + 1.0))
"""What stands for a bucket, whose width is at most 1 % to either side."""


def buckets_of(values: Float64) -> Int64:
    """Return the bucket of each value: 0 for zero, positive above it, negative below."""
    found = np.searchsorted(_EDGES, np.abs(values), side="right").astype(np.int64)
    return np.where(values < 0, -found, found)


def represent(buckets: Int64) -> Float64:
    """Return the value that stands for each bucket."""
    middle = _MIDDLE[np.maximum(np.abs(buckets) - 1, 0)]
    return np.where(buckets == 0, 0.0, np.where(buckets < 0, -middle, middle))


def hashed(values: Float64) -> NDArray[np.uint64]:
    """Mix the bits of each value into 64 that look random (the finaliser of SplitMix64, Steele and others 2014)."""
    bits = (values + 0.0).view(np.uint64).copy()
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return bits ^ (bits >> np.uint64(31))


class _Tabled:
    """Readings of open panes as a table of (pane, key, mark, count), sorted, each row once."""

    still = True

    def __init__(self, keys: int, length: int, depth: int, gap: int) -> None:
        self._keys, self.length, self.depth = keys, gap or length, depth
        self._sessions = Sessions(keys, gap) if gap else None
        self._waiting: list[tuple[Int64, Int64, Array]] = []
        self._open: Table = _empty(np.int64)

    def _mark(self, values: Float64) -> Array:
        raise AssertionError("a subclass says what it keeps of a value")  # pragma: no cover

    def add(self, readings: Readings) -> None:
        """Take readings."""
        self._waiting.append((readings.panes, readings.keys, self._mark(readings.values)))

    def _settle(self) -> None:
        """Sort what waits into the table."""
        if self._waiting:
            panes, keys, marks = (np.concatenate(column) for column in zip(*self._waiting, strict=True))
            self._waiting = []
            added = {"pane": panes, "key": keys, "mark": marks, "count": np.ones(len(panes), np.int64)}
            self._open = _joined(self._open, added)

    def _take_pane(self, pane: int) -> Table:
        """Remove a pane's rows from the table and return them."""
        self._settle()
        mine = self._open["pane"] == pane
        taken = {name: column[mine] for name, column in self._open.items()}
        if mine.any():
            self._open = {name: column[~mine] for name, column in self._open.items()}
        return taken

    def ahead(self, pane: int, count: int, readings: Readings) -> Ahead | None:
        """See :class:`sensord.core.rules.window.Window`."""
        return None

    def arrays(self) -> dict[str, Array]:
        """Where sessions stand, if there are any."""
        return self._sessions.arrays() if self._sessions is not None else {}


class Distinct(_Tabled):
    """How many different values a window holds: the k smallest hashes, each with the pane that last had it.

    (k minimum values: Bar-Yossef and others 2002.) Of more than ``MOST`` + 1 hashes, one may be forgotten as soon as so
    many smaller ones live at least as long: it can never again be among the smallest of a window.
    """

    def __init__(self, keys: int, samples: Window, gap: int = 0) -> None:
        super().__init__(keys, samples.length, samples.depth, gap)
        self._samples = samples
        self._open = _empty(np.uint64)
        self._live: Table = _empty(np.uint64)

    def add(self, readings: Readings) -> None:
        """Take readings; how many there were is counted beside."""
        super().add(readings)
        self._samples.add(readings)

    def _mark(self, values: Float64) -> Array:
        return hashed(values)

    def seal(self, pane: int) -> tuple[Float64, Float64]:
        """Return the (number of different values, number of readings) per key."""
        _, samples = self._samples.seal(pane)
        taken = self._take_pane(pane)
        live = self._live
        if self._sessions is None:
            live = _kept(live, live["pane"] > pane - self.length)
        else:
            over = self._sessions.seal(pane, np.bincount(taken["key"], minlength=self._keys) > 0)
            live = _kept(live, ~over[live["key"]])
        if len(taken["key"]):
            live = _newest(live, taken)
        sizes = np.bincount(live["key"], minlength=self._keys)
        crowded = np.flatnonzero(sizes > 2 * (MOST + 1))
        if len(crowded):
            live = _kept(live, _needed(live, crowded))
            sizes = np.bincount(live["key"], minlength=self._keys)
        self._live = live
        return self._estimate(sizes), samples

    def _estimate(self, sizes: Int64) -> Float64:
        estimate = sizes.astype(np.float64)
        starts = np.cumsum(sizes) - sizes
        for key in np.flatnonzero(sizes > MOST):
            greatest = int(self._live["mark"][starts[key] + MOST - 1])
            estimate[key] = float(MOST - 1) * 2.0**64 / float(greatest)
        return estimate

    def arrays(self) -> dict[str, Array]:
        """See :class:`sensord.core.rules.window.Window`."""
        return super().arrays() | {f"samples.{name}": array for name, array in self._samples.arrays().items()}

    def tables(self) -> dict[str, Table]:
        """See :class:`sensord.core.rules.window.Window`."""
        self._settle()
        return {"open": self._open, "live": self._live}

    def restored(self, tables: dict[str, Table], keys: int) -> None:
        """See :class:`sensord.core.rules.window.Window`."""
        self._open = _joined(_empty(np.uint64), tables["open"])
        live, self._keys = tables["live"], keys
        order = np.lexsort((live["mark"], live["key"]))
        self._live = {name: column[order] for name, column in live.items()}


class Percentile(_Tabled):
    """A percentile by nearest rank, over buckets that grow by two per cent (after DDSketch: Masson and others 2019)."""

    def __init__(self, keys: int, length: int, depth: int, rank: float, gap: int = 0) -> None:
        super().__init__(keys, length, depth, gap)
        self._rank = rank / 100.0
        self._panes: Table = _empty(np.int64)
        self._window: Table = _empty(np.int64)

    def _mark(self, values: Float64) -> Array:
        return buckets_of(values)

    def seal(self, pane: int) -> tuple[Float64, Float64]:
        """Return the (percentile, number of readings) per key."""
        taken = self._take_pane(pane)
        if self._sessions is None:
            self._slide(pane, taken)
        else:
            over = self._sessions.seal(pane, np.bincount(taken["key"], minlength=self._keys) > 0)
            self._window = _joined(_kept(self._window, ~over[self._window["key"]]), _at_once(taken, 1))
        return self._ranked()

    def _slide(self, pane: int, taken: Table) -> None:
        """Add the new pane to the window and take away the one that has left it."""
        gone = self._panes["pane"] <= pane - self.length
        left = {name: column[gone] for name, column in self._panes.items()}
        if len(taken["key"]) or len(left["key"]):
            self._window = _joined(self._window, _at_once(taken, 1), _at_once(left, -1))
            stays = _kept(self._panes, ~gone)
            self._panes = {name: np.concatenate((stays[name], taken[name])) for name in taken}

    def _ranked(self) -> tuple[Float64, Float64]:
        table = self._window
        per_key: Float64 = np.bincount(table["key"], table["count"], minlength=self._keys).astype(np.float64)
        value = np.full(self._keys, np.nan)
        heard = np.flatnonzero(per_key)
        if len(heard):
            running = np.cumsum(table["count"])
            before = np.concatenate(([0.0], np.cumsum(per_key)))[:-1]
            wanted = before[heard] + np.maximum(np.ceil(self._rank * per_key[heard]), 1.0)
            value[heard] = represent(table["mark"][np.searchsorted(running, wanted, side="left")])
        return value, per_key

    def tables(self) -> dict[str, Table]:
        """See :class:`sensord.core.rules.window.Window`."""
        self._settle()
        held = self._window if self._sessions is not None else self._panes
        return {"open": self._open, "held": held}

    def restored(self, tables: dict[str, Table], keys: int) -> None:
        """See :class:`sensord.core.rules.window.Window`."""
        self._keys = keys
        self._open = _joined(_empty(np.int64), tables["open"])
        if self._sessions is None:
            self._panes = tables["held"]
        self._window = _joined(_empty(np.int64), _at_once(tables["held"], 1))


def _empty(mark: type[np.generic]) -> Table:
    none = np.empty(0, np.int64)
    return {"pane": none, "key": none, "mark": np.empty(0, mark), "count": none}


def _kept(table: Table, mask: NDArray[np.bool_]) -> Table:
    return table if mask.all() else {name: column[mask] for name, column in table.items()}


def _at_once(table: Table, sign: int) -> Table:
    """A table without its panes, with counts times ``sign``."""
    return {**table, "pane": np.zeros(len(table["pane"]), np.int64), "count": sign * table["count"]}


def _joined(*tables: Table) -> Table:
    """Put tables together, sorted by (pane, key, mark); counts of equal rows add up, and zeros vanish."""
    both = {name: np.concatenate([table[name] for table in tables]) for name in ("pane", "key", "mark", "count")}
    if not len(both["key"]):
        return both
    if both["mark"].dtype == np.int64:
        # One number that sorts like the three; sorting what is mostly in order already is quick.
        panes = both["pane"] - both["pane"].min()
        code = (panes * (int(both["key"].max()) + 1) + both["key"]) * (2 * _BUCKETS + 1) + both["mark"] + _BUCKETS
        order = np.argsort(code, kind="stable")
        code = code[order]
        new = np.r_[True, code[1:] != code[:-1]]
    else:
        order = np.lexsort((both["mark"], both["key"], both["pane"]))
        columns = [both[name][order] for name in ("pane", "key", "mark")]
        new = np.r_[True, np.any([column[1:] != column[:-1] for column in columns], axis=0)]
    starts = np.flatnonzero(new)
    counts = np.add.reduceat(both["count"][order], starts)
    rows, there = order[starts], counts != 0
    if not there.all():
        rows, counts = rows[there], counts[there]
    return {"pane": both["pane"][rows], "key": both["key"][rows], "mark": both["mark"][rows], "count": counts}


def _newest(live: Table, taken: Table) -> Table:
    """Join live hashes, sorted by (key, hash), with those of a newer pane: of equal ones the newer pane stays."""
    both = {name: np.concatenate((live[name], taken[name])) for name in live}
    order = np.lexsort((-both["pane"], both["mark"], both["key"]))
    both = {name: column[order] for name, column in both.items()}
    new = np.ones(len(order), np.bool_)
    new[1:] = (both["key"][1:] != both["key"][:-1]) | (both["mark"][1:] != both["mark"][:-1])
    return _kept(both, new)


def _needed(live: Table, crowded: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Mark the hashes that some future window may count among its ``MOST`` + 1 smallest."""
    needed = np.ones(len(live["key"]), np.bool_)
    for key in crowded:
        rows = np.flatnonzero(live["key"] == key)
        panes = live["pane"][rows]
        for position in range(MOST + 1, len(rows)):
            needed[rows[position]] = np.count_nonzero(panes[:position] >= panes[position]) <= MOST
    return needed
