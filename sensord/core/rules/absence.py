"""A rule on silence: every registered device must be heard; one that never was is silent from the start."""

from __future__ import annotations

import numpy as np

from sensord.core.alert import unwatched
from sensord.core.batch import Batch, Float64
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.rules.coming import Coming
from sensord.core.rules.evaluator import Array, Emission, Setting, make_transition
from sensord.core.rules.grid import GridRule
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.liveness import Liveness
from sensord.core.rules.probe import Doubt, Sight
from sensord.core.rules.rule import Rule


class AbsenceRule(GridRule):
    """See :class:`sensord.core.rules.evaluator.Evaluator`.

    A key is silent when *all* of its devices are: the value is the shortest silence among them, in units of each one's
    allowed silence (``absent`` periods), so 1 is the threshold. Looked at on a fixed grid of a tenth of the shortest
    allowed silence, in whole seconds.
    """

    def __init__(self, rule: Rule, table: KeyTable, setting: Setting, since: int) -> None:
        self._devices = np.flatnonzero(table.of_device >= 0)
        self._keys = table.of_device[self._devices]
        periods = np.array([setting.places.devices[index].period for index in self._devices], np.float64)
        self._allowed = periods * rule.absent
        shortest = int(self._allowed.min()) if len(self._allowed) else MINUTE
        super().__init__(rule, table, setting, since, shortest)

    def timely(self, batch: Batch) -> Array:
        """No reading is too late for a rule that has no window."""
        return np.ones(len(batch), np.bool_)

    def evaluate(self, order: int, liveness: Liveness) -> list[Emission]:
        """Compare every key's silence with what it is allowed."""
        at = self._looked_at = self.due
        self._slot += 1
        silence = (at - liveness.heard_at[self._devices]).astype(np.float64)
        shares = silence / self._allowed
        if self.ladder.resting and not (shares >= 1.0).any():
            return []
        share, shortest = self._least(shares), self._least(silence)
        before = self.ladder.active
        emissions: list[Emission] = []
        known, asleep = np.ones(len(self.table), np.bool_), not self._schedule.at(at)
        for key in self.ladder.evaluate(at, share, known, asleep=asleep):
            levels = (int(before[key]), int(self.ladder.active[key]))
            seconds = float(shortest[key]) / SECOND
            seen = (seconds, seconds / float(share[key]) if share[key] else None, 0)
            made = make_transition(self, int(key), levels, (at, at), seen)
            if asleep and not levels[1] and not self.ladder.agrees(int(key), share, known, self._schedule.at):
                made = unwatched(made)
            emissions.append((at, 0, 0, order, int(key), made))
        return emissions

    def look(self, key: int, liveness: Liveness) -> Sight:
        """Say for how many seconds a key was silent; ``value`` is the shortest silence of its devices."""
        at = self._looked_at
        silence = at - liveness.heard_at[self._devices[self._keys == key]]
        doubt = Doubt.NONE if self._schedule.at(at) else Doubt.ASLEEP
        level = Level(int(self.ladder.active[key]))
        return Sight(at, at, float(silence.min()) / SECOND, 0, doubt, level, *self.ladder.clocks(key))

    def _least(self, per_device: Float64) -> Float64:
        """The least among each key's devices."""
        least = np.full(len(self.table), np.inf)
        np.minimum.at(least, self._keys, per_device)
        return least

    def skip(self, coming: Coming, *, watched: bool) -> None:
        """Jump to the first instant at which a key that is not yet silent can become so."""
        quiet = coming.quiet
        if quiet < self.due + self._every or self._schedule or not len(self.table):
            return
        heard_at, awake = coming.liveness.heard_at[self._devices], self.ladder.active == 0
        if (self._least((self.due - heard_at) / self._allowed)[~awake] < 1.0).any():
            return  # a silent key was heard again and is about to be cleared
        ends = np.full(len(self.table), np.iinfo(np.int64).min)
        np.maximum.at(ends, self._keys, heard_at + self._allowed.astype(np.int64))
        first = min(int(ends[awake].min(initial=quiet)), quiet)
        self._slot = max(self._slot, first // self._every)

    def device_arrays(self) -> dict[str, Array]:
        """Arrivals are the engine's."""
        return {}
