"""What a batch still brings while time goes by in it: who will be heard until when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sensord.core.batch import DERIVED, Batch, Int64
from sensord.core.rules.evaluator import NEVER
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.liveness import Bools, Liveness

if TYPE_CHECKING:
    from sensord.core.rules.stuck import StuckRule


class Coming:
    """The arrivals of ``batch`` from position ``noted`` on; ``liveness`` knows of those before.

    ``to`` is the instant that the batch brings, ``quiet`` that of the next arrival, or ``to`` (ns).
    """

    def __init__(self, batch: Batch, noted: int, liveness: Liveness, stuck: Sequence[StuckRule]) -> None:
        self._batch, self._noted, self._stuck = batch, noted, stuck
        self.liveness = liveness
        self.to = batch.now
        self.quiet = min(int(batch.received_at[noted]), self.to) if noted < len(batch) else self.to

    def certain(self, table: KeyTable) -> int:
        """Until before which instant ``alive`` can say who is heard among a table's devices; 0: it cannot.

        A rule that holds devices for stuck may change that whenever it is evaluated, and each reading of such a device;
        and where a device can speak of several places, not only its own is alive by it.
        """
        if table.firsts is None:
            return 0
        due = NEVER
        for rule in self._stuck:
            if (rule.table.sources & table.sources).any():
                due = 0 if rule.frozen.any() else min(due, rule.due)
        return due

    def alive(self, instants: Int64, table: KeyTable) -> Bools:
        """Return which keys have a device that is alive just before each of these instants (ns), bool (instants, keys).

        The instants are such that ``certain`` allows.
        """
        batch, liveness = self._batch, self.liveness
        assert table.firsts is not None
        bases = table.firsts // table.width
        sources = np.flatnonzero(bases >= 0)
        until = np.full((len(instants), len(table) // table.width), np.iinfo(np.int64).min)
        np.maximum.at(until[0], bases[sources], liveness.heard_at[sources] + liveness.deadline[sources])
        stop = self._noted + int(np.searchsorted(batch.received_at[self._noted :], instants[-1]))
        part = slice(self._noted, stop)
        devices, received_at = batch.device[part], batch.received_at[part]
        speaks = (bases[devices] >= 0) & (batch.flags[part] & DERIVED == 0)
        devices, received_at = devices[speaks], received_at[speaks]
        cells = np.searchsorted(instants, received_at, side="right") * until.shape[1] + bases[devices]
        np.maximum.at(until.reshape(-1), cells, received_at + liveness.deadline[devices])
        alive = instants[:, None] < np.maximum.accumulate(until, axis=0)
        return np.repeat(alive, table.width, axis=1)
