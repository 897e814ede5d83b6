"""A rule on sensors that are heard but say nothing: a value that does not move, or is exactly zero, for too long.

(In the field an outage was reported as true zeros for weeks.) A device that is held for stuck is blind: its place is
``unknown``, and no rule takes its silence of movement for calm. The first reading that moves gives it its sight back.

::

    value  5 7 7 7 7 7 7 7 7 4       tolerance 0, for: 30s, a reading every 5 s
             |----- 30s ----|        stuck here
                             ^       and sound again
"""

from __future__ import annotations

import numpy as np

from sensord.core.alert import unwatched
from sensord.core.batch import Batch, Float64, Int32, Int64, by_number
from sensord.core.instant import SECOND
from sensord.core.level import Level
from sensord.core.rules.coming import Coming
from sensord.core.rules.evaluator import Array, Emission, Setting, make_transition
from sensord.core.rules.grid import GridRule
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.ladder import UNSET
from sensord.core.rules.liveness import Bools, Liveness
from sensord.core.rules.probe import Doubt, Sight
from sensord.core.rules.rule import Rule

_SOON = float(np.finfo(np.float64).max)


class StuckRule(GridRule):
    """See :class:`sensord.core.rules.evaluator.Evaluator`.

    A key is stuck when *all* of its devices that are heard are, and at least one is heard: silence is the absence
    rule's affair. Per device: ``value`` the reading from which movement is measured, ``moved_at`` and ``zero_at``
    the arrival from which the value has stood still, or has been zero (ns; UNSET: never heard, or not zero). A silence
    longer than the device's deadline starts both anew. Looked at on a fixed grid of a tenth of the shorter time, in
    whole seconds.
    """

    def __init__(self, rule: Rule, table: KeyTable, setting: Setting, since: int) -> None:
        assert rule.stuck is not None
        self._stuck = rule.stuck
        shortest = min(hold for hold in (self._stuck.hold, self._stuck.zero) if hold)
        super().__init__(rule, table, setting, since, shortest)
        count = len(table.of_device)
        self._mine = table.of_device >= 0
        self.value = np.full(count, np.nan)
        self.seen_at, self.moved_at, self.zero_at = (np.full(count, UNSET) for _ in range(3))
        self._deadline = np.array([device.deadline for device in setting.places.devices], np.int64)
        self.frozen: Bools = np.zeros(count, np.bool_)

    def timely(self, batch: Batch) -> Array:
        """Stillness is judged by arrival."""
        return np.ones(len(batch), np.bool_)

    def hold(self, other: StuckRule) -> None:
        """Hold for stuck what another evaluator of this rule does, until it moves."""
        self.frozen[:] = stuck = other.frozen
        mine = self.value, self.seen_at, self.moved_at, self.zero_at
        for array, theirs in zip(mine, (other.value, other.seen_at, other.moved_at, other.zero_at), strict=True):
            array[stuck] = theirs[stuck]

    def look(self, key: int, liveness: Liveness) -> Sight:
        """Say for how many seconds the least still of a key's devices has stood."""
        at = self._looked_at
        seconds, _ = self._longest(at, key, liveness.heard(at) & self._mine)
        doubt = Doubt.ASLEEP if not self._schedule.at(at) else Doubt.BLIND if np.isnan(seconds) else Doubt.NONE
        level = Level(int(self.ladder.active[key]))
        value = None if np.isnan(seconds) else seconds
        return Sight(at, at, value, 0, doubt, level, *self.ladder.clocks(key))

    def observe(self, batch: Batch) -> None:
        """Take the readings that arrived before the next instant of the grid, in arrival order."""
        values = batch.fields.get(self._stuck.field)
        if values is None:
            return
        mine = self._mine[batch.device] & (batch.stream == self.rule.stream) & ~np.isnan(values)
        if mine.any():
            order = np.flatnonzero(mine)[by_number(batch.device[mine])]
            self._note(batch.device[order], values[order], batch.received_at[order])

    def _note(self, device: Int32, value: Float64, at: Int64) -> None:
        """Take readings that are sorted by device, and within a device by arrival."""
        first, last = np.ones(len(device), np.bool_), np.ones(len(device), np.bool_)
        first[1:] = last[:-1] = device[1:] != device[:-1]
        seen = np.where(first, self.seen_at[device], np.roll(at, 1))
        back = (seen == UNSET) | (at - np.maximum(seen, 0) > self._deadline[device])
        if self._stuck.tolerance:
            moved = self._moved(device, value, back)
        else:
            moved = back | (value != np.where(first, self.value[device], np.roll(value, 1)))
            self.value[device[last]] = value[last]
        self.moved_at[device[moved]] = at[moved]  # of several, the last one stays
        self.frozen[device[moved]] = False
        nonzero = value != 0.0
        after = ~nonzero & (back | np.where(first, self.zero_at[device] == UNSET, np.roll(nonzero, 1)))
        self.zero_at[device[after]] = at[after]
        self.zero_at[device[last & nonzero]] = UNSET
        self.seen_at[device[last]] = at[last]

    def _moved(self, device: Int32, value: Float64, back: Bools) -> Bools:
        """Movement beyond the tolerance is measured from where the last movement ended, reading by reading."""
        moved = back.copy()
        for index in range(len(device)):
            if moved[index] or not abs(value[index] - self.value[device[index]]) <= self._stuck.tolerance:
                moved[index] = True
                self.value[device[index]] = value[index]
        return moved

    def evaluate(self, order: int, liveness: Liveness) -> list[Emission]:
        """Compare how long each device has stood still with what it may."""
        at = self._looked_at = self.due
        self._slot += 1
        asleep = not self._schedule.at(at)
        share = self._shares(at)
        heard = liveness.heard(at) & self._mine
        if liveness.unsure_at == at:
            return []  # what is stuck stays so
        self.frozen[:] = heard & (share >= 1.0) & (not asleep)
        liveness.mark_stuck(self.rule.id, self.frozen)
        if self.ladder.resting and not self.frozen.any():
            return []
        value = np.full(len(self.table), _SOON)
        np.minimum.at(value, self.table.of_device[heard], share[heard])
        known = value < _SOON
        before = self.ladder.active
        emissions: list[Emission] = []
        for key in self.ladder.evaluate(at, value, known, asleep=asleep):
            levels = (int(before[key]), int(self.ladder.active[key]))
            seconds, allowed = self._longest(at, int(key), heard)
            seen = (seconds, allowed, 0)
            made = make_transition(self, int(key), levels, (at, at), seen)
            if asleep and not levels[1] and not self.ladder.agrees(int(key), value, known, self._schedule.at):
                made = unwatched(made)
            emissions.append((at, 0, 0, order, int(key), made))
        return emissions

    def _shares(self, at: int) -> Float64:
        """Per device, how much of what it may it has stood still, or been zero: the greater of the two."""
        share = np.zeros(len(self.value))
        for since, allowed in ((self.moved_at, self._stuck.hold), (self.zero_at, self._stuck.zero)):
            if allowed:
                stood = np.where(since == UNSET, 0.0, (at - np.where(since == UNSET, at, since)) / allowed)
                share = np.maximum(share, stood)
        return share

    def _longest(self, at: int, key: int, heard: Bools) -> tuple[float, float | None]:
        """For a transition's text: seconds that the key's least still device has stood, and what it may (s)."""
        own = np.flatnonzero(heard & (self.table.of_device == key))
        if not len(own):
            return float("nan"), None
        device = own[np.argmin(self._shares(at)[own])]
        share = float(self._shares(at)[device])
        hold, zero = self._stuck.hold, self._stuck.zero
        still = (at - self.moved_at[device]) / hold if hold else 0.0
        allowed = hold if hold and share == still else zero
        return share * allowed / SECOND, allowed / SECOND

    def skip(self, coming: Coming, *, watched: bool) -> None:
        """In silence nothing gets stuck: jump once every device's fate is settled."""
        if coming.quiet < self.due + self._every or self._schedule or self.frozen.any() or not self.ladder.idle:
            return
        if not coming.may_hear(self._mine, self.due):
            self._slot = max(self._slot, coming.quiet // self._every)

    def device_arrays(self) -> dict[str, Array]:
        """Return the live state of each device."""
        state: dict[str, Array] = {"value": self.value, "seen_at": self.seen_at, "moved_at": self.moved_at}
        return state | {"zero_at": self.zero_at, "frozen": self.frozen}
