"""The camera readings of a batch, and which of them only say again what the one before said. Pure.

Cameras trigger more than once, so about every second reading shows the plate of the reading before it at the same gate
and in the same direction (a *lane*). Such a stretch is found for the whole batch at once, with columns; the tracker
looks at its first reading and takes the rest (a *run*) together where that cannot make a difference. Where it could,
it takes them one by one: ``Reads`` has both.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap
from typing import NamedTuple

import numpy as np

from sensord.core.batch import Batch, Bools, Int8, Int64, Texts, by_number
from sensord.core.stream import Stream
from sensord.core.vehicles.passage import UNREAD, Read
from sensord.core.vehicles.tracking import Tracking
from sensord.core.vehicles.visitrow import nobody

_LABELS = ("direction", "class", "province", "energy", "list")


class Run(NamedTuple):
    """What follows a first reading in its lane: readings of its plate, none further than ``merge`` from the last.

    ``start`` and ``stop`` say where their rows stand in ``Reads.members`` (equal: nothing follows). ``best`` is the
    surest (of several, the first) when it is surer than the first reading; ``sure`` whether one of them is.
    ``last_at`` is the event time of the last.
    """

    start: int
    stop: int
    best: Read | None
    sure: bool
    last_at: int
    last_received_at: int


class Runs(NamedTuple):
    """The runs of all first readings as columns; ``more`` is how many readings follow.

    ``whole``: it is one passage, where none before it is still open.
    """

    start: Int64
    more: list[int]
    best: list[Read | None]
    sure: Bools
    last_at: list[int]
    last_received_at: Int64
    whole: list[bool]

    def run(self, number: int) -> Run:
        """The run of one first reading."""
        start, sure, end = int(self.start[number]), bool(self.sure[number]), int(self.last_received_at[number])
        return Run(start, start + self.more[number], self.best[number], sure, self.last_at[number], end)


class _Lanes(NamedTuple):
    """Readings sorted by lane, within a lane by arrival.

    ``lane`` and ``order`` (rows) are per reading, and so is ``follows``: whether it goes with the one before it.
    ``first`` and ``last`` say where each stretch of them begins and ends.
    """

    lane: Int64
    order: Int64
    follows: Bools
    first: Int64
    last: Int64

    @property
    def number(self) -> Int64:
        """The stretch of each reading."""
        return np.cumsum(~self.follows) - 1


class Reads:
    """The readings of cameras whose direction is known and whose gate belongs to a compound.

    ``gate_of`` int64 (devices,) is the number of a device's gate, -1: none that is followed. A *row* is a position in
    ``positions``, which are those in the batch.
    """

    def __init__(self, batch: Batch, gate_of: Int64, names: Texts, tracking: Tracking) -> None:
        rows = np.flatnonzero(batch.stream == Stream.PLATE)
        direction = batch.labels.get("direction")
        if direction is None or not len(rows):
            rows = rows[:0]
        else:
            rows = rows[(gate_of[batch.device[rows]] >= 0) & (direction[rows] >= 0)]
        self.positions, self._batch, self._names = rows, batch, names
        self._sightings = batch.sightings or nobody(len(batch))
        confidence = batch.fields.get("confidence")
        self._confidence = np.ones(len(rows)) if confidence is None else confidence[rows]
        self._labels = [self._column(name) for name in _LABELS]
        self.heads, self.members, self.runs = rows[:0], rows[:0], Runs(rows[:0], [], [], rows[:0] > 0, [], rows[:0], [])
        self._made: dict[int, Read] = {}
        if len(rows):
            self._find_runs(gate_of, tracking)

    def _column(self, name: str) -> Int8:
        codes = self._batch.labels.get(name)
        return np.full(len(self.positions), -1, np.int8) if codes is None else codes[self.positions]

    def made(self, rows: Int64) -> Iterator[Read]:
        """Make the readings of some rows."""
        at, batch, seen = self.positions[rows], self._batch, self._sightings
        columns = [batch.received_at[at].tolist(), batch.event_at[at].tolist()]
        columns += [self._names[batch.device[at]].tolist(), self._confidence[rows].tolist()]
        columns += seen.who[at].T.tolist()
        columns += [seen.sure[at].tolist(), seen.masks[at].tolist()]
        columns += [codes[rows].tolist() for codes in self._labels]
        return starmap(Read, zip(*columns, strict=True))

    def one(self, row: int) -> Read:
        """The reading of one row."""
        return self._made.get(row) or next(self.made(np.array([row])))

    def _find_runs(self, gate_of: Int64, tracking: Tracking) -> None:
        """Find the first reading of each stretch (``heads``), and what follows it (``runs``)."""
        batch, rows = self._batch, self.positions
        lane = gate_of[batch.device[rows]] * 2 + self._labels[0]
        order = by_number(lane)
        lane, token, event_at = lane[order], self._sightings.who[rows[order], 0], batch.event_at[rows[order]]
        gap = np.diff(event_at)
        again = (lane[1:] == lane[:-1]) & (token[1:] == token[:-1]) & (token[1:] != 0)
        follows: Bools = np.concatenate([[False], again & (gap >= 0) & (gap <= tracking.merge)])
        first = np.flatnonzero(~follows)
        lanes = _Lanes(lane, order, follows, first, np.append(first[1:], len(order)) - 1)
        sure = np.logical_or.reduceat(self._sightings.sure[rows[order]] & follows, first)
        whole = self._whole(lanes, sure, tracking)
        self.heads, self.members = order[first], order
        arrival = np.argsort(self.heads)
        self.heads = self.heads[arrival]
        first, last, surest = first[arrival], lanes.last[arrival], self._surest(lanes)[arrival]
        end, better = order[last], np.flatnonzero(surest != first)
        best: list[Read | None] = [None] * len(first)
        for number, read in zip(better.tolist(), self.made(order[surest[better]]), strict=True):
            best[number] = read
        self.runs = Runs(
            first + 1,
            (last - first).tolist(),
            best,
            sure[arrival],
            batch.event_at[rows[end]].tolist(),
            batch.received_at[rows[end]],
            whole[arrival].tolist(),
        )

    def _surest(self, lanes: _Lanes) -> Int64:
        """Where the surest reading of each stretch stands, the first of several."""
        confidence, number = self._confidence[lanes.order], lanes.number
        hits = np.flatnonzero(confidence == np.maximum.reduceat(confidence, lanes.first)[number])
        return hits[np.flatnonzero(np.diff(number[hits], prepend=-1))]

    def _whole(self, lanes: _Lanes, sure: Bools, tracking: Tracking) -> Bools:
        """Which stretches are one passage whatever comes between, if none before them in the lane is still open.

        They are over before they are decided, or were decided by their first reading. ``sure`` is whether a reading
        after the first one is: that would decide an entry.
        """
        arrival, seen, order = self._batch.received_at, self._sightings, lanes.order
        first = order[lanes.first]
        head, last = self.positions[first], self.positions[order[lanes.last]]
        inward, in_time = self._labels[0][first] == 0, arrival[last] < arrival[head] + tracking.settle
        whole = (inward & seen.sure[head]) | (in_time & ~(inward & sure))
        self._foresee(lanes, ~whole)
        legible = (seen.who[head, 0] != 0) & (self._labels[1][first] != UNREAD)
        result: Bools = whole & legible & (seen.who[head, 1] == 0)
        return result

    def _foresee(self, lanes: _Lanes, singly: Bools) -> None:
        """Make the readings that will be looked at one by one, all at once."""
        rows = lanes.order[lanes.follows & singly[lanes.number]]
        self._made = dict(zip(rows.tolist(), self.made(rows), strict=True))
