"""Readings of one batch that wait, in arrival order, until time has come so far that they go into their panes."""

from __future__ import annotations

import numpy as np

from sensord.core.batch import Int64
from sensord.core.rules.evaluator import NEVER
from sensord.core.rules.summary import Readings


class Arrivals:
    """``next_at`` is when the first of those that wait arrived (ns); NEVER when none does."""

    def __init__(self, readings: Readings | None = None, received_at: Int64 | None = None) -> None:
        none = np.empty(0, np.int64)
        self._readings = Readings(none, none, none, none, np.empty(0)) if readings is None else readings
        self._received_at = none if received_at is None else received_at
        self._first = 0
        self._look()

    def _look(self) -> None:
        waiting = self._first < len(self._received_at)
        self.next_at = int(self._received_at[self._first]) if waiting else NEVER

    def before(self, at: int) -> Readings:
        """Return those that arrived before ``at``; they go on waiting."""
        stop = self._first
        if self.next_at < at:
            stop += int(np.searchsorted(self._received_at[self._first :], at))
        return self._readings.cut(self._first, stop)

    def drop(self, count: int) -> None:
        """So many have found their panes."""
        self._first += count
        self._look()
