"""The camera readings of a batch, and which of them only say again what the one before said. Pure.

Cameras trigger more than once, so about every second reading shows the plate of the reading before it at the same gate
and in the same direction (a *lane*). Such a stretch is found for the whole batch at once, with columns; the tracker
looks at its first reading and takes the rest (a *run*) together where that cannot make a difference. Where it could,
it takes them one by one: ``Reads`` has both.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from sensord.core.batch import Batch, Bools, Int8, Int64
from sensord.core.stream import Stream
from sensord.core.vehicles.passage import Read
from sensord.core.vehicles.visitrow import nobody

_LABELS = ("direction", "class", "province", "energy", "list")


class Run(NamedTuple):
    """Readings that follow a first one in its lane, with its plate, none of them further than ``merge`` from the last.

    ``start`` and ``stop`` say where their rows stand in ``Reads.members``; ``best`` is the surest (of several, the
    first) when it is surer than the first one. ``last_at`` is the event time of the last.
    """

    start: int
    stop: int
    best: Read | None
    sure: bool
    last_at: int
    last_received_at: int


_make_run, _make_read = partial(tuple.__new__, Run), partial(tuple.__new__, Read)
"""Values are made of rows of columns by the hundred thousand: this way without a call of Python's for each."""


class Reads:
    """The readings of cameras whose direction is known and whose gate belongs to a compound.

    ``gate_of`` int64 (devices,) is the number of a device's gate, -1: none that is followed. A *row* is a position in
    ``positions``, which are those in the batch.
    """

    def __init__(self, batch: Batch, gate_of: Int64, names: list[str], merge: int) -> None:
        rows = np.flatnonzero(batch.stream == Stream.PLATE)
        direction = batch.labels.get("direction")
        if direction is None or not len(rows):
            rows = rows[:0]
        else:
            rows = rows[(gate_of[batch.device[rows]] >= 0) & (direction[rows] >= 0)]
        self.positions, self._batch, self._names = rows, batch, names
        self._sightings = (batch.sightings or nobody(len(batch))).select(rows)
        confidence = batch.fields.get("confidence")
        self._confidence = np.ones(len(rows)) if confidence is None else confidence[rows]
        self._labels = [self._column(name) for name in _LABELS]
        self.heads = np.arange(len(rows))
        self.members = self.heads[:0]
        self.runs: dict[int, Run] = {}
        if len(rows) > 1:
            self._find_runs(gate_of, merge)

    def _column(self, name: str) -> Int8:
        codes = self._batch.labels.get(name)
        return np.full(len(self.positions), -1, np.int8) if codes is None else codes[self.positions]

    def made(self, rows: Int64) -> Iterator[Read]:
        """Make the readings of some rows."""
        at, batch, seen = self.positions[rows], self._batch, self._sightings
        columns = [batch.received_at[at].tolist(), batch.event_at[at].tolist()]
        columns += [list(map(self._names.__getitem__, batch.device[at].tolist())), self._confidence[rows].tolist()]
        columns += seen.who[rows].T.tolist()
        masks = seen.masks
        columns += [seen.sure[rows].tolist(), [masks[row] for row in rows.tolist()]]
        columns += [codes[rows].tolist() for codes in self._labels]
        return map(_make_read, zip(*columns, strict=True))

    def one(self, row: int) -> Read:
        """Make the reading of one row."""
        return next(self.made(np.array([row])))

    def _find_runs(self, gate_of: Int64, merge: int) -> None:
        """Find the first readings of all stretches (``heads``), and what follows each (``runs``, by head)."""
        batch, rows = self._batch, self.positions
        lane = gate_of[batch.device[rows]] * 2 + self._labels[0]
        order = np.argsort(lane, kind="stable")
        lane, token, event_at = lane[order], self._sightings.who[order, 0], batch.event_at[rows[order]]
        gap = np.diff(event_at)
        again = (lane[1:] == lane[:-1]) & (token[1:] == token[:-1]) & (token[1:] != 0) & (gap >= 0) & (gap <= merge)
        follows: Bools = np.concatenate([[False], again])
        if not again.any():
            return
        self.heads = np.sort(order[~follows])
        member = order[follows]
        # Stretches of members, in the order of lanes: each begins after a reading that follows nobody.
        first = np.flatnonzero(follows & ~np.concatenate([[False], follows[:-1]]))
        number = np.cumsum(~follows[:-1] & follows[1:])[np.flatnonzero(follows) - 1] - 1
        begins = np.searchsorted(number, np.arange(len(first)))
        confidence = self._confidence[member]
        surest = np.maximum.reduceat(confidence, begins)
        hits = np.flatnonzero(confidence == surest[number])
        best = member[hits[np.unique(number[hits], return_index=True)[1]]]
        surer = surest > self._confidence[order[first - 1]]
        made = self.made(best[surer])
        sure = np.logical_or.reduceat(self._sightings.sure[member], begins)
        ends = np.append(begins[1:], len(member))
        last = rows[member[ends - 1]]
        self.members = member
        columns = [begins.tolist(), ends.tolist(), [next(made) if better else None for better in surer.tolist()]]
        columns += [sure.tolist(), batch.event_at[last].tolist(), batch.received_at[last].tolist()]
        self.runs = dict(zip(order[first - 1].tolist(), map(_make_run, zip(*columns, strict=True)), strict=True))
