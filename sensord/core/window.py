"""Windows of equal panes, for all keys of a rule at once.

A window is ``length`` panes wide and ends with a pane; panes are aligned to absolute time, so a result never depends on
when the process started or how readings were cut into batches. Each pane keeps a few *components* per key (count, sum,
least, greatest, last); the window's component is their combination, found in constant time per pane by the two-pass
scheme of van Herk and Gil-Werman (1992/93): panes are grouped in blocks of ``length``; a window that ends inside a
block is the rest of the block before (a suffix, computed once per block) and the beginning of this one (a running
prefix)::

      block b-1 (suffixes)      block b (panes so far)
    |  .  .  [x  x  x  x ]|[x  x  x ]  .  .  .  |
               ^ suffix from here  ^ prefix to here     -> window of 7 panes

Sums are always formed in this fixed grouping, element by element, so that results are the same bits in every run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sensord.core.batch import Float64, Int64

Combine = Callable[..., Float64]

_LOWEST = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Component:
    """A mergeable part of an aggregate: its neutral element, and how readings and panes join."""

    name: str
    neutral: float
    join: np.ufunc


COUNT = Component("count", 0.0, np.add)
SUM = Component("sum", 0.0, np.add)
LEAST = Component("least", np.inf, np.minimum)
GREATEST = Component("greatest", -np.inf, np.maximum)


class Panes:
    """One component over the open panes and the current window of ``keys`` keys.

    ``open`` has shape (depth, keys): panes that still take readings, pane ``p`` in row ``p % depth``. ``block`` has
    shape (length, keys): above the current position the panes of this block, below it the suffixes of the block
    before.
    """

    def __init__(self, component: Component, keys: int, length: int, depth: int) -> None:
        self.component = component
        self.open = np.full((depth, keys), component.neutral)
        self.block = np.full((length, keys), component.neutral)
        self.prefix = np.full(keys, component.neutral)

    def add(self, cells: Int64, values: Float64 | float) -> None:
        """Join readings into open panes, one by one in arrival order; ``cells`` index the flattened ``open``."""
        self.component.join.at(self.open.reshape(-1), cells, values)

    def seal(self, pane: int) -> Float64:
        """Close ``pane`` (the next one in line) and return the window that ends with it, shape (keys,)."""
        depth, length = len(self.open), len(self.block)
        join, position = self.component.join, pane % length
        row = self.open[pane % depth]
        self.block[position] = row
        if position == 0:
            self.prefix[:] = row
        else:
            join(self.prefix, row, out=self.prefix)
        row[:] = self.component.neutral
        if position == length - 1:
            for below in range(length - 2, -1, -1):
                join(self.block[below], self.block[below + 1], out=self.block[below])
            return self.prefix.copy()
        window: Float64 = join(self.block[position + 1], self.prefix)
        return window

    def arrays(self) -> dict[str, Float64]:
        """The state by name, for snapshots (the live arrays, not copies)."""
        return {"open": self.open, "block": self.block, "prefix": self.prefix}


class LastPanes:
    """The value with the greatest event time of each pane (the later arrival wins a tie), and so of the window.

    Shapes as in :class:`Panes`, twice: the times (int64 ns) and the values.
    """

    def __init__(self, keys: int, length: int, depth: int) -> None:
        self.open_at = np.full((depth, keys), _LOWEST)
        self.open_value = np.full((depth, keys), np.nan)
        self.block_at = np.full((length, keys), _LOWEST)
        self.block_value = np.full((length, keys), np.nan)

    def add(self, cells: Int64, event_at: Int64, values: Float64) -> None:
        """Take readings in arrival order."""
        times, kept = self.open_at.reshape(-1), self.open_value.reshape(-1)
        np.maximum.at(times, cells, event_at)
        newest = event_at == times[cells]
        kept[cells[newest]] = values[newest]

    def seal(self, pane: int) -> Float64:
        """Close ``pane`` and return the newest value of the window that ends with it (NaN: none)."""
        row, position = pane % len(self.open_at), pane % len(self.block_at)
        self.block_at[position], self.block_value[position] = self.open_at[row], self.open_value[row]
        self.open_at[row], self.open_value[row] = _LOWEST, np.nan
        # Panes do not overlap in time, so the newest of the window is the newest of its newest non-empty pane.
        newest = np.argmax(self.block_at, axis=0)
        value: Float64 = self.block_value[newest, np.arange(self.block_at.shape[1])]
        return value

    def arrays(self) -> dict[str, Float64 | Int64]:
        """The state by name, for snapshots."""
        return {
            "open_at": self.open_at,
            "open_value": self.open_value,
            "block_at": self.block_at,
            "block_value": self.block_value,
        }
