"""Windows of equal panes, for all keys of a rule at once.

Panes are ``every`` wide and aligned to absolute time, so a result never depends on when the process started or how
readings were cut into batches. Each keeps a *summary* per key (``summary.py``).

A *sliding* window is ``length`` panes wide and ends with a pane; it is found in constant time per pane by the two-pass
scheme of van Herk and Gil-Werman (1992/93): panes are grouped in blocks of ``length``; a window that ends inside a
block is the rest of the block before (a suffix, computed once per block) and the beginning of this one (a running
prefix)::

      block b-1 (suffixes)      block b (panes so far)
    |  .  .  [x  x  x  x ]|[x  x  x ]  .  .  .  |
               ^ suffix from here  ^ prefix to here     -> window of 7 panes

A *session* goes on until ``gap`` panes in a row are empty::

    |x  x  .  x  .  .  .  .  x  x|       gap 3: a session of 4 panes, then silence, then another
    [session   ]             [session
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64, Int64
from sensord.core.rules.summary import Columns, Readings, Summary

Array = NDArray[Any]
Table = dict[str, Array]
"""Columns of equal length; ``key`` is among them. For state that is not one cell per key."""


class Window(Protocol):
    """Takes readings into open panes and gives a value when a pane is sealed.

    ``still``: a further empty pane changes neither value nor samples once ``length`` panes were empty.
    """

    depth: int
    length: int
    still: bool

    def add(self, readings: Readings) -> None:
        """Take readings, none of them late; their cells are ``pane % depth * keys + key``."""
        ...

    def seal(self, pane: int) -> tuple[Float64, Float64]:
        """Close ``pane`` (the next one in line); return the (value, samples) of the window that ends with it."""
        ...

    def arrays(self) -> dict[str, Array]:
        """Return the live state with keys along the last axis."""
        ...

    def tables(self) -> dict[str, Table]:
        """Return the rest of the state."""
        ...

    def restored(self, tables: dict[str, Table], keys: int) -> None:
        """Take the tables back, after the arrays were filled; ``keys`` is the number of keys."""
        ...


class Open:
    """The panes that still take readings: pane ``p`` in row ``p % depth`` of each column, shape (depth, keys)."""

    def __init__(self, summary: Summary, keys: int, depth: int) -> None:
        self._summary, self.depth = summary, depth
        self.columns: Columns = {name: np.full((depth, keys), value) for name, value in summary.neutral.items()}

    def add(self, readings: Readings) -> None:
        """Take readings."""
        self._summary.add({name: column.reshape(-1) for name, column in self.columns.items()}, readings)

    def seal(self, pane: int) -> Columns:
        """Empty a pane and return what it held."""
        row = pane % self.depth
        held = {name: column[row].copy() for name, column in self.columns.items()}
        for name, column in self.columns.items():
            column[row] = self._summary.neutral[name]
        return held


class _Summarised:
    """What windows over summaries share."""

    still = True

    def __init__(self, summary: Summary, keys: int, length: int, depth: int) -> None:
        self._summary, self.length, self.depth = summary, length, depth
        self._open = Open(summary, keys, depth)

    def add(self, readings: Readings) -> None:
        """See :class:`Window`."""
        self._open.add(readings)

    def arrays(self) -> dict[str, Array]:
        """See :class:`Window`."""
        state: dict[str, Array] = {f"open.{name}": column for name, column in self._open.columns.items()}
        pivot = getattr(self._summary, "pivot", None)
        return state if pivot is None else {**state, "pivot": pivot}

    def tables(self) -> dict[str, Table]:
        """Everything is in the arrays."""
        return {}

    def restored(self, tables: dict[str, Table], keys: int) -> None:
        """Everything is in the arrays."""


class Sliding(_Summarised):
    """See the module. ``block`` has shape (length, keys): above the position panes, below it suffixes."""

    def __init__(self, summary: Summary, keys: int, length: int, depth: int) -> None:
        super().__init__(summary, keys, length, depth)
        self._block: Columns = {name: np.full((length, keys), value) for name, value in summary.neutral.items()}
        self._prefix: Columns = {name: np.full(keys, value) for name, value in summary.neutral.items()}

    def seal(self, pane: int) -> tuple[Float64, Float64]:
        """See :class:`Window`."""
        position = pane % self.length
        held = self._summary.shift(self._open.seal(pane), float(position))
        for name, column in self._block.items():
            column[position] = held[name]
        self._keep(self._prefix, held if position == 0 else self._summary.join(self._prefix, held))
        if position == self.length - 1:
            self._sum_up()
            window = {name: column.copy() for name, column in self._prefix.items()}
        else:
            rest = {name: column[position + 1] for name, column in self._block.items()}
            window = self._summary.join(rest, self._prefix)
        return self._summary.value(window), window["count"]

    def _sum_up(self) -> None:
        """Turn a full block into suffixes, with times counted from the beginning of the next block."""
        rows = self._summary.shift(self._block, float(-self.length))
        self._keep(self._block, rows)
        for below in range(self.length - 2, -1, -1):
            row = {name: column[below] for name, column in self._block.items()}
            after = {name: column[below + 1] for name, column in self._block.items()}
            for name, joined in self._summary.join(row, after).items():
                self._block[name][below] = joined

    @staticmethod
    def _keep(state: Columns, columns: Columns) -> None:
        """Write into the arrays that snapshots hold."""
        for name, column in columns.items():
            if state[name] is not column:
                state[name][...] = column

    def arrays(self) -> dict[str, Array]:
        """See :class:`Window`."""
        block = {f"block.{name}": column for name, column in self._block.items()}
        return super().arrays() | block | {f"prefix.{name}": column for name, column in self._prefix.items()}


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

    def arrays(self) -> dict[str, Array]:
        """The state by name."""
        return {"session.start": self.start, "session.newest": self.newest}


class Session(_Summarised):
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

    def arrays(self) -> dict[str, Array]:
        """See :class:`Window`."""
        return super().arrays() | self._sessions.arrays() | {f"sum.{name}": col for name, col in self._sum.items()}
