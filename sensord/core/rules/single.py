"""A rule without a window: each reading by itself, in journal order.

A reading that meets a rung keeps it for ``clear.for``; the level falls when no reading has met its rung for so long. A
reading whose event time is further back than the stream's lateness raises nothing: it is history, unless what it says
still stands. So does one that was taken outside the rule's active times.

What happened is over by itself. How something stands is not known where nobody looks: there a rung is kept while a
sensor of the key is blind, or has said nothing since it last met the rung, and its time begins anew.

::

    reading     9 9 9 1 1               9 9 9 . . . . . . 1 1 1
    level      [.......clear.for|      [...........keeps|clear.for|

A rule on how many vehicles are inside does not know that while nobody is followed; nor, once they are again, before
nobody can stand there any more who is in no number: until then a level is kept, and too few raise nothing.

With ``each`` the alert speaks of every vehicle: while it is active, a vehicle that has not met it within ``clear.for``,
or meets a higher level than it has, is another transition, of the level that this vehicle met, however grave the one
before it was.
Of inspections it speaks of every finding likewise: each of them is another.
"""

from __future__ import annotations

import numpy as np

from sensord.core.alert import Vehicle, unwatched
from sensord.core.batch import STANDS, Batch, Float64, Int32, Int64
from sensord.core.instant import SECOND
from sensord.core.level import Level
from sensord.core.rules.coming import Coming
from sensord.core.rules.evaluator import NEVER, Array, Emission, Setting, make_transition
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.ladder import UNSET
from sensord.core.rules.liveness import Bools, Liveness
from sensord.core.rules.probe import Doubt, Sight
from sensord.core.rules.rule import RISING, Rule
from sensord.core.rules.thresholds import Thresholds, capacities, compare
from sensord.core.rules.window import Table
from sensord.core.stream import Stream
from sensord.core.token import number, word

_MOST_MET = 1024
"""So many vehicles are remembered per active alert before those that met it long ago are forgotten."""


LAST_MET = "last_met"
"""The name, among the arrays of a state, of what devices said last; states of earlier versions lack it."""


class SingleRule:
    """See ``evaluator.Evaluator``. ``met_at`` int64 ns (rungs, keys): the last reading per rung, or when it was kept.

    ``last_met`` bool (rungs, devices) is whether the last that a device said meets each rung (no events: 0 rungs).
    ``met_by`` holds, of an active key, when each vehicle met it last, and its highest level; or its last finding by
    number (rules with ``each``).
    """

    def __init__(self, rule: Rule, table: KeyTable, setting: Setting, lateness: int) -> None:
        assert rule.value is not None
        self.rule, self.table, self._lateness = rule, table, lateness
        self._field, self._schedule = rule.value.field, setting.schedule(rule)
        self._lasting = rule.lasting
        self._hold = max(rule.clear.hold, SECOND)
        """A definition that was made of no files may hold less: for no time at all a reading would be met for ever."""
        self.thresholds = Thresholds(rule, len(table), table, setting.places)
        self._capacity = None if rule.percent_of is None else capacities(rule.percent_of, table, setting.places)
        self.met_at = np.full((len(rule.levels), len(table)), UNSET)
        self.levels = np.zeros(len(table), np.int8)
        self.last_met = np.zeros((len(rule.levels) if self._lasting else 0, len(table.devices)), np.bool_)
        self.met_by: dict[int, dict[int, tuple[int, int]]] = {}
        self._due = NEVER
        self._looked_at = 0
        self._rising = rule.comparison in RISING
        self._whole_from = np.zeros(len(table), np.int64)
        """From when on (ns) the number of vehicles in each key lacks nobody; of rules on others nothing is known."""
        if rule.on_presence and not setting.followed:
            self._whole_from += NEVER - self._hold
        self._followed = setting.followed

    @property
    def due(self) -> int:
        """The first instant at which a level runs out."""
        return self._due

    def settle(self) -> None:
        """Nothing waits."""

    def take(self, order: int, batch: Batch) -> list[Emission]:
        """Look at each reading that arrives before ``due``, as it is then; those that come after wait to be taken.

        Only those that meet a rung cost more than a comparison.
        """
        batch = batch.cut(0, int(np.searchsorted(batch.received_at, self._due)), batch.now)
        values = np.ones(len(batch)) if self._field is None else batch.fields.get(self._field)
        if values is None or not len(self.table):
            return []
        keys = self.table.of(batch)
        if not (keys >= 0).any():
            return []
        if self._capacity is not None:
            values = values * 100.0 / self._capacity[keys]
        timely = (keys >= 0) & self.timely(batch)
        with np.errstate(invalid="ignore"):
            meets = timely & self._meets_any(values, keys)
        if not self._rising:
            meets &= batch.received_at >= self._whole_from[keys]
        if meets.any() and self._schedule:
            meets &= np.array([self._schedule.at(int(at)) for at in batch.event_at], np.bool_)
        emissions: list[Emission] = []
        for reading in np.flatnonzero(meets):
            at = int(batch.received_at[reading])
            if at >= self._due:
                break
            emissions += self._meet(order, int(reading), int(keys[reading]), values, at, batch)
        if self._lasting:
            said = np.flatnonzero(timely & ~np.isnan(values) & (batch.received_at < self._due))
            for index, last in enumerate(self.last_met):
                last[batch.device[said]] = self._meets(index, values[said], keys[said])  # of several, the last one
        return emissions

    def timely(self, batch: Batch) -> Array:
        """Return which readings are not history yet."""
        stands: Array = (batch.flags & STANDS) != 0
        return stands | (batch.event_at + self._lateness >= batch.received_at)

    def _meets(self, index: int, values: Float64, keys: Int32) -> Bools:
        thresholds = self.thresholds
        return compare(thresholds.comparison, values, thresholds.enter[index][keys], thresholds.enter_low[index][keys])

    def _meets_any(self, values: Float64, keys: Int32) -> Bools:
        thresholds = self.thresholds
        return compare(thresholds.comparison, values, thresholds.easiest[keys], thresholds.easiest_low[keys])

    def _meet(self, order: int, reading: int, key: int, values: Float64, at: int, batch: Batch) -> list[Emission]:
        value, previous = float(values[reading]), int(self.levels[key])
        level, threshold = 0, None
        for index, rung in enumerate(self.rule.levels):
            if self._meets(index, values[reading : reading + 1], np.array([key], np.int32))[0]:
                self.met_at[index, key] = at
                level, threshold = int(rung.level), self.thresholds.of(index, key, value)
        self._due = min(self._due, max(at, int(self._whole_from[key])) + self._hold)
        vehicle = self._vehicle(batch, reading)
        another = self.rule.each and vehicle is not None and self._is_another(key, number(vehicle.id), at, level)
        finding = self._count(key, at, level) if self.rule.each and self.rule.stream is Stream.REPORT else 0
        if level <= previous and not another and not finding:
            return []
        self.levels[key] = max(level, previous)
        step = (min(level, previous), level)
        made = make_transition(self, key, step, (at, at), (value, threshold, 1), vehicle, finding=finding)
        return [(at, 1, reading, order, key, made)]

    def _vehicle(self, batch: Batch, reading: int) -> Vehicle | None:
        """The vehicle that a reading is about, if it was identified."""
        seen = batch.sightings
        if seen is None or not (token := int(seen.who[reading, 0])):
            return None
        event_at = int(batch.event_at[reading])
        came_at = event_at if event_at + self._lateness < batch.received_at[reading] else 0
        return Vehicle(word(token), seen.masks[reading], int(seen.seen_at[reading]), came_at)

    def _count(self, key: int, at: int, level: int) -> int:
        """The number of a finding among those of the active alert, from 1 on."""
        count = max(self.met_by.get(key, ()), default=0) + 1
        self.met_by[key] = {count: (at, level)}
        return count

    def _is_another(self, key: int, token: int, at: int, level: int) -> bool:
        """Whether this vehicle has not met the active alert lately, or not at this level; it has now."""
        met, since = self.met_by.setdefault(key, {}), at - self._hold
        if len(met) >= _MOST_MET:
            self.met_by[key] = met = {other: one for other, one in met.items() if one[0] > since}
        last, highest = met.get(token, (UNSET, 0))
        highest = highest if last > since else 0
        met[token] = at, max(level, highest)
        return level > highest

    def evaluate(self, order: int, liveness: Liveness) -> list[Emission]:
        """Lower every level that runs out now, but keep what may go on unseen."""
        at = self._looked_at = self._due
        over = self._ends() <= at
        kept = over & self._may_go_on(at, liveness)
        self.met_at[over & ~kept], self.met_at[kept] = UNSET, at
        emissions: list[Emission] = []
        for key in np.flatnonzero(over.any(axis=0)):
            left = np.flatnonzero(self.met_at[:, key] != UNSET)
            level = int(self.rule.levels[left[-1]].level) if len(left) else 0
            previous = int(self.levels[key])
            if level < previous:
                self.levels[key] = level
                if not level:
                    self.met_by.pop(int(key), None)
                made = make_transition(self, int(key), (previous, level), (at, at), (float("nan"), None, 0))
                if not level and self._lasting and not self._schedule.at(at):
                    made = unwatched(made)
                emissions.append((at, 0, 0, order, int(key), made))
        self._due = self._next()
        return emissions

    def _may_go_on(self, at: int, liveness: Liveness) -> Bools:
        """Where nobody can say that a rung is not met any more, bool (rungs, keys) or (1, 1)."""
        if not self._lasting or not self._schedule.at(at):
            return np.zeros((1, 1), np.bool_)
        blind = self.table.among(self._blind(at, liveness))
        return np.stack([blind | self.table.among(last) for last in self.last_met])

    def _blind(self, at: int, liveness: Liveness) -> Bools:
        return self.table.watching & ~liveness.alive(at)

    def look(self, key: int, liveness: Liveness) -> Sight:
        """Say when a reading last met each rung; there is no value but that of each reading."""
        met = tuple(None if at == UNSET else at for at in self.met_at[:, key].tolist())
        level = Level(int(self.levels[key]))
        doubt, unseen = Doubt.NONE, tuple[str, ...]()
        if level and self.met_at[:, key].max() < self._whole_from[key]:
            doubt = Doubt.RECOUNTED if self._followed else Doubt.BLIND
        elif level and self._lasting and (unseen := self.table.marked(key, self._blind(self._looked_at, liveness))):
            doubt = Doubt.PARTLY_BLIND if len(unseen) < self.table.counted()[key] else Doubt.BLIND
        return Sight(self._looked_at, self._looked_at, None, 0, doubt, level, met, unseen=unseen)

    def _ends(self) -> Int64:
        """When each rung of each key runs out (ns)."""
        return np.where(self.met_at == UNSET, NEVER, np.maximum(self.met_at, self._whole_from) + self._hold)

    def _next(self) -> int:
        return int(self._ends().min(initial=NEVER))

    def hold(self, liveness: Liveness) -> None:
        """Learn from when on the numbers of vehicles inside lack nobody; what is unknown lowers nothing."""
        if self.rule.on_presence and self._followed:
            self._whole_from = self.table.greatest(liveness.whole_from)
            self._due = self._next()

    def run_on(self, met: Int64, last_met: Bools, at: int) -> None:
        """Let the levels run on that keys have from another version of the rule, each last ``met`` (ns; UNSET: never).

        None of them runs out before ``at``, when this version came into force. A device whose last word met some level,
        bool (levels, devices), is taken to have met those that its key has.
        """
        own = np.array([[rung.level] for rung in self.rule.levels], np.int8)
        self.met_at = np.where(own <= self.levels, np.maximum(met, at - self._hold), UNSET)
        levels = np.append(self.levels, Level.NONE)[self.table.of_device]
        for level, last in zip(own[:, 0], self.last_met, strict=False):  # of events there are none
            last[:] = last_met.any(axis=0) & (levels >= level)

    def skip(self, coming: Coming, *, watched: bool) -> None:
        """There is no grid to skip on."""

    def active(self) -> Array:
        """Return the level of each key."""
        return self.levels

    def arrays(self) -> dict[str, Array]:
        """Return the live state arrays by name."""
        return {"met_at": self.met_at, "levels": self.levels}

    def device_arrays(self) -> dict[str, Array]:
        """Return the live state of each device."""
        return {LAST_MET: self.last_met} if self._lasting else {}

    def tables(self) -> dict[str, Table]:
        """Return who met the active alerts, in the order in which they came."""
        rows = [(key, token, *one) for key, met in self.met_by.items() for token, one in met.items()]
        columns = np.array(rows, np.int64).reshape(-1, 4).T
        return {"met_by": dict(zip(("key", "vehicle", "at", "level"), columns, strict=True))} if self.rule.each else {}

    def numbers(self) -> dict[str, int]:
        """Everything is in the arrays."""
        return {}

    def restored(self, numbers: dict[str, int], tables: dict[str, Table]) -> None:
        """Recompute when the first level runs out, and take back who met the active alerts."""
        self.met_by = {}
        if "met_by" in tables:
            met = tables["met_by"]
            met.setdefault("level", self.levels[met["key"]])  # earlier versions did not hold it
            columns = (met[name].tolist() for name in ("key", "vehicle", "at", "level"))
            for key, token, at, level in zip(*columns, strict=True):
                self.met_by.setdefault(key, {})[token] = at, level
        self._due = self._next()
