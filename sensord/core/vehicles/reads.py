"""The camera readings of a batch, and which of them only say again what the one before said. Pure.

Cameras trigger more than once, so about every second reading shows the plate of the reading before it at the same gate
and in the same direction (a *lane*). Such a stretch is found for the whole batch at once, with columns; the tracker
looks at its first reading and takes the rest (a *run*) together where that cannot make a difference. Where it could,
it takes them one by one: ``Reads`` has both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sensord.core.batch import Batch, Bools, Int8, Int64
from sensord.core.stream import Stream
from sensord.core.vehicles.passage import Read
from sensord.core.vehicles.visitrow import nobody

_LABELS = ("direction", "class", "province", "energy", "list")


class Run(NamedTuple):
    """Readings that follow a first one in its lane, with its plate, none of them further than ``merge`` from the last.

    ``members`` are their rows, ``best`` is the surest (of several, the first) when it is surer than the first one.
    """

    members: list[int]
    best: Read | None
    sure: bool
    last_event_at: int
    last_received_at: int


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
        return map(Read._make, zip(*columns, strict=True))

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
        last = member[np.append(begins[1:], len(member)) - 1]
        rest = [part.tolist() for part in np.split(member, begins[1:])]
        found = map(
            Run._make,
            zip(
                rest,
                [next(made) if better else None for better in surer.tolist()],
                sure.tolist(),
                batch.event_at[rows[last]].tolist(),
                batch.received_at[rows[last]].tolist(),
                strict=True,
            ),
        )
        self.runs = dict(zip(order[first - 1].tolist(), found, strict=True))
