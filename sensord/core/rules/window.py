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

What comes of many panes can be looked at *ahead*, all at once: a batch of a replay brings hours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64
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

    def ahead(self, pane: int, count: int, readings: Readings) -> Ahead | None:
        """Look at what sealing ``count`` panes from ``pane`` (the next one) on would give; None: one by one only.

        The readings are those for these panes that were not added yet; their cells are ``(own - pane) * keys + key``.
        """
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

    def ahead(self, pane: int, count: int, readings: Readings) -> Columns:
        """Return what ``count`` panes from ``pane`` on hold once the readings are in them, shape (count, keys).

        The panes stay as they are; the readings' cells count from ``pane``.
        """
        known = (pane + np.arange(min(count, self.depth))) % self.depth
        held: Columns = {}
        for name, column in self.columns.items():
            held[name] = np.full((count, column.shape[1]), self._summary.neutral[name])
            held[name][: len(known)] = column[known]
        self._summary.add({name: column.reshape(-1) for name, column in held.items()}, readings)
        return held

    def empty(self, pane: int, count: int) -> None:
        """Empty ``count`` panes from ``pane`` on."""
        known = (pane + np.arange(min(count, self.depth))) % self.depth
        for name, column in self.columns.items():
            column[known] = self._summary.neutral[name]


class Ahead(NamedTuple):
    """What sealing the next panes one by one would give: values and samples, both float64 (panes, keys).

    Nothing is sealed until ``take`` is called with how many of them are.
    """

    value: Float64
    samples: Float64
    take: Callable[[int], None]


class Summarised:
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
        return {f"open.{name}": column for name, column in self._open.columns.items()}

    def tables(self) -> dict[str, Table]:
        """Everything is in the arrays."""
        return {}

    def restored(self, tables: dict[str, Table], keys: int) -> None:
        """Everything is in the arrays."""

    def ahead(self, pane: int, count: int, readings: Readings) -> Ahead | None:
        """See :class:`Window`."""
        return None


class Sliding(Summarised):
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
        self._keep(self._block, self._summary.run(rows, back=True))

    def ahead(self, pane: int, count: int, readings: Readings) -> Ahead:
        """See :class:`Window`: whole blocks at once, joined in the grouping in which ``seal`` joins pane by pane."""
        length, first = self.length, pane % self.length
        last = first + count
        blocks = -(-last // length)
        place = ((first + np.arange(count)) % length).astype(np.float64)[:, None]
        held = self._summary.shift(self._open.ahead(pane, count, readings), place)
        rows: Columns = {}
        for name, column in self._block.items():
            flat = np.full((blocks * length, column.shape[1]), self._summary.neutral[name])
            flat[:first], flat[first:last] = column[:first], held[name]
            rows[name] = flat.reshape(blocks, length, -1)
        prefix = self._summary.run(rows)
        suffix = self._summary.run(self._summary.shift(rows, float(-length)), back=True)
        before = {name: np.concatenate([self._block[name][None], column[:-1]]) for name, column in suffix.items()}
        inside = self._summary.join(
            {name: column[:, 1:] for name, column in before.items()},
            {name: column[:, :-1] for name, column in prefix.items()},
        )
        window = {
            name: np.concatenate([inside[name], column[:, -1:]], axis=1).reshape(blocks * length, -1)[first:last]
            for name, column in prefix.items()
        }

        def take(sealed: int) -> None:
            block, position = divmod(first + sealed, length)
            for name, column in self._block.items():
                column[position:] = (suffix[name][block - 1] if block else column)[position:]
                if position:
                    column[:position] = rows[name][block, :position]
                self._prefix[name][...] = prefix[name].reshape(blocks * length, -1)[first + sealed - 1]
            self._open.empty(pane, sealed)

        return Ahead(self._summary.value(window), window["count"], take)

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
