r"""Occupancy: how many are inside, from those who entered and those who left.

Counting errors add up (a real counter stood at -7,141), so the sum is disciplined: at ``anchor`` (a time of day at
which nobody is expected, 04:00) it starts again from zero, and it never goes below zero. What was corrected is *drift*,
and is reported: ``residue`` is what stood at the last anchor, ``clamped`` what was cut off below zero since then.

::

    inside     __/‾‾‾\__/‾‾‾‾‾‾‾\____|
                                 ^ residue at the anchor 04:00, then zero
"""

from __future__ import annotations

import msgspec
import numpy as np

from sensord.core.batch import Float64
from sensord.core.instant import DAY
from sensord.core.rules.summary import Plain, Readings
from sensord.core.rules.window import Ahead, Array, Open, Table


class Drift(msgspec.Struct, frozen=True):
    """What the counting of one key was off by: at the last anchor, and below zero since then (people or vehicles)."""

    rule: str
    key: str
    residue: float
    clamped: float


class Occupancy:
    """See :class:`sensord.core.rules.window.Window`; all state float64 or int64, (keys,).

    The window is the day so far; ``samples`` counts the readings in it.
    """

    still = False
    length = 1

    def __init__(self, keys: int, every: int, depth: int, anchor: int) -> None:
        self._every, self.depth, self._anchor = every, depth, anchor
        self._open = Open(Plain("sum", lambda window: window["sum"]), keys, depth)
        self.inside, self.residue, self.clamped = np.zeros(keys), np.zeros(keys), np.zeros(keys)
        self._samples, self._day = np.zeros(keys), np.zeros(keys, np.int64)

    def add(self, readings: Readings) -> None:
        """Take readings; the values are those who entered less those who left."""
        self._open.add(readings)

    def seal(self, pane: int) -> tuple[Float64, Float64]:
        """Return (how many are inside, number of readings since the anchor) per key.

        Within a pane only the sum counts, so that the order of crossings that were reported together does not matter.
        """
        held = self._open.seal(pane)
        day = (pane * self._every - self._anchor) // DAY
        if len(self._day) and self._day[0] != day:
            # After a silence of days nobody has been inside since the anchor before the last one.
            self.residue = np.where(self._day == day - 1, self.inside, 0.0)
            self.inside = np.zeros_like(self.inside)
            self.clamped, self._samples = np.zeros_like(self.clamped), np.zeros_like(self._samples)
            self._day[:] = day
        inside = self.inside + held["sum"]
        self.clamped = self.clamped + np.maximum(-inside, 0.0)
        self.inside = np.maximum(inside, 0.0)
        self._samples = self._samples + held["count"]
        return self.inside.copy(), self._samples.copy()

    def ahead(self, pane: int, count: int, readings: Readings) -> Ahead | None:
        """See :class:`sensord.core.rules.window.Window`."""
        return None

    def arrays(self) -> dict[str, Array]:
        """See :class:`sensord.core.rules.window.Window`."""
        state: dict[str, Array] = {f"open.{name}": column for name, column in self._open.columns.items()}
        own = {"inside": self.inside, "residue": self.residue, "clamped": self.clamped}
        return state | own | {"samples": self._samples, "day": self._day}

    def tables(self) -> dict[str, Table]:
        """Everything is in the arrays."""
        return {}

    def restored(self, tables: dict[str, Table], keys: int) -> None:
        """Keys that are new begin with the day that the others are in."""
        if len(self._day):
            self._day[:] = self._day.max()
