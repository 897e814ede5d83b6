"""Which pane each reading falls into, worked out once for all rules whose panes are alike.

A batch goes from rule to rule; most rules of a street have panes of the same length and the same lateness. What was
worked out last is kept until another batch comes: it is no state, and changes no result.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Batch, Int64


class Falls(NamedTuple):
    """Per reading: its pane, its place in the pane (ns), and whether the pane is not sealed yet."""

    pane: Int64
    within: Int64
    unsealed: NDArray[np.bool_]


class PaneClock:
    """Panes are aligned to local time: ``offset`` (ns) is the zone's standard offset from UTC."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self._batch: Batch | None = None
        self._known: dict[tuple[int, int], Falls] = {}

    def of(self, batch: Batch, every: int, lateness: int) -> Falls:
        """Return where the readings of a batch fall among panes of ``every`` ns that wait for ``lateness`` ns."""
        if batch is not self._batch:
            self._batch, self._known = batch, {}
        found = self._known.get((every, lateness))
        if found is None:
            local = batch.event_at + self.offset
            pane = local // every
            begin = pane * every
            unsealed = begin + (every + lateness - self.offset) > batch.received_at
            found = self._known[every, lateness] = Falls(pane, local - begin, unsealed)
        return found
