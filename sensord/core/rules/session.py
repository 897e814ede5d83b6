"""A window without a fixed length: the current session of each key. It goes on until ``gap`` panes are empty.

::

    |x  x  .  x  .  .  .  .  x  x|       gap 3: a session of 4 panes, then silence, then another
    [session   ]             [session
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64, Int64, by_number
from sensord.core.rules.summary import Columns, Readings, Summary
from sensord.core.rules.window import Ahead, Array, Summarised


class _Steps(NamedTuple):
    """The panes that hold something, sorted by key; the first of each key is the latest one before those looked at.

    ``key`` and ``at`` (int64: the pane, counted from the first that is looked at) say which; ``start`` is the pane in
    which its session began, ``number`` (float64) what the session holds with this pane.
    """

    key: Int64
    at: Int64
    start: Int64
    number: Float64

    def spread(self, shape: tuple[int, ...], gap: int) -> Float64:
        """What each key's session holds at each pane's end, float64 (panes, keys): 0 where it is over."""
        panes, keys = shape
        since = np.maximum(self.at, 0)
        until = np.where(np.diff(self.key, append=keys) > 0, panes, np.append(since[1:], panes))
        lasts = np.maximum(np.minimum(until, self.at + gap) - since, 0)
        numbers = np.stack([self.number, np.zeros(len(since))], axis=1)
        return np.repeat(numbers, np.stack([lasts, until - since - lasts], axis=1).reshape(-1)).reshape(keys, panes).T


class Sessions:
    """Where each key's session stands: ``start`` and ``newest`` are panes, int64 (keys,); none: start > newest."""

    def __init__(self, keys: int, gap: int) -> None:
        self._gap = gap
        self.start: Int64 = np.ones(keys, np.int64)
        self.newest: Int64 = np.zeros(keys, np.int64)

    def seal(self, pane: int, occupied: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Move on to ``pane``; return the keys whose session, if they had one, is over and no longer counts."""
        over = pane - self.newest >= self._gap + occupied
        self.start[over] = 1
        self.newest[over] = 0
        begins = occupied & (self.start > self.newest)
        self.start[begins] = pane
        self.newest[occupied] = pane
        return over

    def ahead(self, pane: int, held: Float64, before: Float64) -> _Steps:
        """Look at what ``seal`` would do pane by pane, from ``pane`` on.

        ``held`` float64 (panes, keys) is how much each pane holds, ``before`` (keys,) how much the sessions so far.
        """
        cells, everyone, none = np.flatnonzero(held), np.arange(len(before)), self.start > self.newest
        at, key = np.divmod(cells, len(before))
        # A key without a session: as if its last one had just ended.
        latest = np.where(none, -self._gap - 1, self.newest - pane)
        order = by_number(np.concatenate([everyone, key]))
        columns = (everyone, key), (latest, at), (before, held.reshape(-1)[cells])
        key, at, count = (np.concatenate(column)[order] for column in columns)
        new = np.diff(key, prepend=-1) > 0
        begins = new | (np.diff(at, prepend=0) > self._gap)
        first = np.maximum.accumulate(np.where(begins, np.arange(len(at)), 0))
        start, total = np.where(new, self.start[key], pane + at), np.cumsum(count)
        return _Steps(key, at, start[first], total - (total - count)[first])

    def take(self, pane: int, sealed: int, steps: _Steps) -> Float64:
        """Move on by so many panes, as was seen; return what each key's session holds then."""
        latest = np.zeros(len(self.start), np.int64)
        passed = np.flatnonzero(steps.at < sealed)
        latest[steps.key[passed]] = passed  # the last one of a key stays
        at = steps.at[latest]
        over = sealed - 1 - at >= self._gap
        self.start[:] = np.where(over, 1, steps.start[latest])
        self.newest[:] = np.where(over, 0, pane + at)
        return np.where(over, 0.0, steps.number[latest])

    def arrays(self) -> dict[str, Array]:
        """The state by name."""
        return {"session.start": self.start, "session.newest": self.newest}


class Session(Summarised):
    """The current session's summary, one per key."""

    def __init__(self, summary: Summary, keys: int, gap: int, depth: int) -> None:
        super().__init__(summary, keys, gap, depth)
        self._sessions = Sessions(keys, gap)
        self._sum: Columns = {name: np.full(keys, value) for name, value in summary.neutral.items()}

    def seal(self, pane: int) -> tuple[Float64, Float64]:
        """See :class:`Window`."""
        held = self._open.seal(pane)
        over = self._sessions.seal(pane, held["count"] > 0)
        for name, column in self._sum.items():
            column[over] = self._summary.neutral[name]
        start = np.where(self._sessions.start > self._sessions.newest, pane, self._sessions.start)
        held = self._summary.shift(held, (pane - start).astype(np.float64))
        for name, joined in self._summary.join(self._sum, held).items():
            self._sum[name][...] = joined
        window = {name: column.copy() for name, column in self._sum.items()}
        return self._summary.value(window), window["count"]

    def ahead(self, pane: int, count: int, readings: Readings) -> Ahead | None:
        """See :class:`Window`; only whole numbers can be added in another order, and so only counts are."""
        if set(self._sum) != {"count"}:
            return None
        held = self._open.ahead(pane, count, readings)["count"]
        steps = self._sessions.ahead(pane, held, self._sum["count"])
        number = steps.spread(held.shape, self.length)

        def take(sealed: int) -> None:
            self._sum["count"][:] = self._sessions.take(pane, sealed, steps)
            self._open.empty(pane, sealed)

        window = {"count": number}
        return Ahead(self._summary.value(window), number, take)

    def arrays(self) -> dict[str, Array]:
        """See :class:`Window`."""
        return super().arrays() | self._sessions.arrays() | {f"sum.{name}": col for name, col in self._sum.items()}
