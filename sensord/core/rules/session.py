"""A window without a fixed length: the current session of each key. It goes on until ``gap`` panes are empty.

::

    |x  x  .  x  .  .  .  .  x  x|       gap 3: a session of 4 panes, then silence, then another
    [session   ]             [session
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64, Int64
from sensord.core.rules.summary import Columns, Readings, Summary
from sensord.core.rules.window import Ahead, Array, Summarised


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

    def ahead(self, pane: int, occupied: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Int64, Int64]:
        """Look at what ``seal`` would do pane by pane, shapes (panes, keys): (begins, start, newest).

        Where ``start`` is greater than ``newest`` there is no session.
        """
        panes = pane + np.arange(len(occupied))[:, None]
        latest = np.maximum.accumulate(np.concatenate([self.newest[None], np.where(occupied, panes, 0)]))
        begins = occupied & (panes - latest[:-1] > self._gap)
        over = ~occupied & (panes - latest[1:] >= self._gap)
        start = np.maximum.accumulate(np.concatenate([self.start[None], np.where(begins, panes, 0)]))[1:]
        return begins, np.where(over, 1, start), np.where(over, 0, latest[1:])

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
        begins, start, newest = self._sessions.ahead(pane, held > 0)
        running = np.cumsum(np.concatenate([self._sum["count"][None], held]), axis=0)
        before = np.maximum.accumulate(np.where(begins, running[:-1], 0.0))
        number = np.where(start > newest, 0.0, running[1:] - before)

        def take(sealed: int) -> None:
            self._sessions.start[:], self._sessions.newest[:] = start[sealed - 1], newest[sealed - 1]
            self._sum["count"][:] = number[sealed - 1]
            self._open.empty(pane, sealed)

        window = {"count": number}
        return Ahead(self._summary.value(window), number, take)

    def arrays(self) -> dict[str, Array]:
        """See :class:`Window`."""
        return super().arrays() | self._sessions.arrays() | {f"sum.{name}": col for name, col in self._sum.items()}
