"""What a batch still brings while time goes by in it: who will be heard until when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sensord.core.batch import Batch, Int64, by_number
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

    def may_hear(self, devices: Bools, at: int) -> bool:
        """Whether any of some devices, bool (devices,), is heard just before ``at``, or it cannot be told."""
        return bool((self.liveness.heard(at) & devices).any()) or self.liveness.unsure_at == at

    def certain(self, table: KeyTable) -> int:
        """Until before which instant ``silent`` can say who is heard among a table's devices; 0: it cannot.

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

    def silent(self, instants: Int64, table: KeyTable, weight: Int64 | None = None) -> Int64:
        """Return how many of each key's devices are silent just before each of these instants (ns; instants, keys).

        With ``weight`` int64 (devices,): the sum of their weights. The instants are such that ``certain`` allows. After
        each arrival a device is silent from its deadline on, until it is heard again: at the instants from ``begins``
        until before ``ends``.
        """
        batch, liveness = self._batch, self.liveness
        assert table.firsts is not None
        bases = table.firsts // table.width
        sources = np.flatnonzero(bases >= 0)
        stop = self._noted + int(np.searchsorted(batch.received_at[self._noted :], instants[-1]))
        part = slice(self._noted, stop)
        speaks = (bases[batch.device[part]] >= 0) & liveness.tells(batch, part)
        devices = np.concatenate([sources, batch.device[part][speaks]])
        heard_at = np.concatenate([liveness.heard_at[sources], batch.received_at[part][speaks]])
        order = by_number(devices)
        devices, heard_at = devices[order], heard_at[order]
        again = np.append(np.where(devices[1:] == devices[:-1], heard_at[1:], NEVER), NEVER)
        due = heard_at + liveness.deadline[devices]
        late = np.flatnonzero(again >= due)
        begins, ends = np.searchsorted(instants, due[late]), np.searchsorted(instants, again[late], side="right")
        changes = np.zeros((len(instants) + 1, len(table) // table.width), np.int64)
        weighs = 1 if weight is None else weight[devices[late]]
        np.add.at(changes, (begins, bases[devices[late]]), weighs)
        np.subtract.at(changes, (ends, bases[devices[late]]), weighs)
        return np.repeat(np.cumsum(changes[:-1], axis=0), table.width, axis=1)
