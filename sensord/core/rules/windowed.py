"""A rule over a window: panes in, a value per key out at every pane's end, and up or down the ladder."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sensord.core.batch import Batch, Float64
from sensord.core.level import Level
from sensord.core.rules.arrivals import Arrivals
from sensord.core.rules.baseline import Usual
from sensord.core.rules.counter import Counters
from sensord.core.rules.derived import Bools, Derivation
from sensord.core.rules.evaluator import NEVER, Array, Emission, Setting, make_transition
from sensord.core.rules.gather import window_of
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.ladder import Ladder
from sensord.core.rules.liveness import Liveness
from sensord.core.rules.occupancy import Drift, Occupancy
from sensord.core.rules.probe import Doubt, Sight
from sensord.core.rules.rule import RISING, Aggregate, Rule
from sensord.core.rules.summary import Readings
from sensord.core.rules.thresholds import Thresholds, capacities
from sensord.core.rules.trend import Heading
from sensord.core.rules.window import Table
from sensord.core.stream import DIRECTION, Stream

_SLACK = 12
"""So many panes further than the next one may be open."""
_FEW, _MOST_CELLS = 4, 1 << 15
"""So many panes are worth sealing at once, and at most panes times keys: what fits into a processor's cache."""
_GROWS = (Aggregate.COUNT, Aggregate.MAX, Aggregate.LAST, Aggregate.DISTINCT, Aggregate.DELTA, Aggregate.OCCUPANCY)
"""What a window that is not yet full can understate, but never overstate."""


class _Seen(NamedTuple):
    """What the last evaluation had before it: times (ns), values, readings, and what was derived from the values."""

    at: int
    end: int
    value: Float64
    samples: Float64
    derived: Float64 | None = None
    judged: Bools | None = None


class WindowedRule:
    """See :class:`sensord.core.rules.evaluator.Evaluator`.

    ``lateness`` (ns) is the stream's; ``since`` is the journal instant at which the rule came into force. Pane ``p``
    covers local time ``[p * every, (p + 1) * every)`` and is sealed when journal time reaches its end plus the
    lateness; a reading that comes later than that is late. ``warm_at`` is the journal instant from which a rule that
    was changed while running speaks again in full.
    """

    def __init__(self, rule: Rule, table: KeyTable, setting: Setting, lateness: int, since: int) -> None:
        assert rule.value is not None
        self.rule, self.table, self._value = rule, table, rule.value
        self.ladder = Ladder(rule, len(table), Thresholds(rule, len(table), table, setting.places))
        self._schedule = setting.schedule(rule)
        self._every, self._lateness, self._offset = rule.every, lateness, setting.offset
        self._falls = setting.panes
        self._depth = 1 << (lateness // rule.every + _SLACK + 2).bit_length()
        self._window = window_of(rule, len(table), self._depth)
        self._counters = (
            Counters(len(table.of_device), setting.offset) if rule.value.aggregate is Aggregate.DELTA else None
        )
        self._device_numbers = setting.device_numbers
        self._capacity = None if rule.percent_of is None else capacities(rule.percent_of, table, setting.places)
        self._derivation = derivation_of(rule, len(table), setting)
        self._rising = rule.comparison in RISING
        lowest = float(self.ladder.thresholds.enter[0].min(initial=np.inf))
        self._quiet_when_empty = rule.min_samples > 0 or (self._rising and lowest > 0)
        if self._derivation is not None and not rule.min_samples:
            self._quiet_when_empty = False  # an empty window is a zero, and there is something to learn from it
        self.since, self.warm_at = since, since
        self.pane = self._pane_of(since - lateness)
        self.newest = self.pane - self._window.length - 1
        self._seen: _Seen | None = None
        self._arrivals = Arrivals()
        self._reach = 2 * _FEW

    def _pane_of(self, instant: int) -> int:
        return (instant + self._offset) // self._every

    def _end_of(self, pane: int) -> int:
        return (pane + 1) * self._every - self._offset

    @property
    def due(self) -> int:
        """The journal instant at which the next pane is sealed."""
        return self._end_of(self.pane) + self._lateness

    def take(self, order: int, batch: Batch) -> list[Emission]:
        """Find the panes of readings, which go there as time goes by; the late ones stay out."""
        values = self._values(batch)
        if values is None:
            return []
        keys = self.table.of(batch)
        panes, within, unsealed = self._falls.of(batch, self._every, self._lateness)
        fits = (keys >= 0) & unsealed
        fits &= ~np.isnan(values)
        if self._counters is not None:
            chosen = np.flatnonzero(fits)
            values = np.full(len(batch), np.nan)
            of, at = batch.device[chosen], batch.event_at[chosen]
            values[chosen] = self._counters.added(of, at, batch.fields[self._value.field or ""][chosen])
            fits &= ~np.isnan(values)
        received_at = batch.received_at
        if not fits.all():
            keys, panes, within, values = keys[fits], panes[fits], within[fits], values[fits]
            received_at = received_at[fits]
        cells = (panes & (self._depth - 1)) * len(self.table) + keys
        self._arrivals = Arrivals(Readings(cells, keys.astype(np.int64), panes, within, values), received_at)
        return []

    def settle(self) -> None:
        """Put what still waits into its panes."""
        self._admit(NEVER)

    def _admit(self, before: int) -> None:
        """Put what arrived before an instant into its panes."""
        if self._arrivals.next_at < before:
            self._add(self._arrivals.before(before))

    def _add(self, readings: Readings) -> None:
        self._arrivals.drop(len(readings.cells))
        self.newest = max(self.newest, int(readings.panes.max()))
        self._window.add(readings)

    def timely(self, batch: Batch) -> Array:
        """Return which readings fall into a pane that is not sealed yet."""
        return self._falls.of(batch, self._every, self._lateness).unsealed

    def _values(self, batch: Batch) -> Float64 | None:
        """What is aggregated of each reading; None when no reading has it."""
        if self._value.field == "device":
            return self._device_numbers[batch.device]
        if self._value.field == "vehicle":
            return _vehicles(batch)
        if self._value.field is not None:
            return batch.fields.get(self._value.field)
        if self._value.aggregate is not Aggregate.OCCUPANCY:
            return np.ones(len(batch))
        if self.rule.stream is Stream.PLATE:
            codes = batch.labels.get(DIRECTION.name)
            return None if codes is None else np.choose(codes + 1, (np.nan, 1.0, -1.0))
        nothing = np.full(len(batch), np.nan)
        enter, leave = batch.fields.get("enter", nothing), batch.fields.get("exit", nothing)
        net = np.nan_to_num(enter) - np.nan_to_num(leave)
        return np.where(np.isnan(enter) & np.isnan(leave), np.nan, net)

    def evaluate(self, order: int, liveness: Liveness) -> list[Emission]:
        """Seal the next pane and evaluate the window that ends with it."""
        at, end = self.due, self._end_of(self.pane)
        if self._arrivals.next_at < at:
            self._admit(at + _SLACK * self._every)
        value, samples = self._window.seal(self.pane)
        self.pane += 1
        if self._capacity is not None:
            value = value * 100.0 / self._capacity
        self._seen = _Seen(at, end, value, samples)
        if self._derivation is None:
            if self.ladder.settled(value):
                return []
            known = self._doubts(at, end, value, samples, liveness) == Doubt.NONE
            return self._climb(order, self._seen, value, known)
        known = self._doubts(at, end, value, samples, liveness) == Doubt.NONE
        derived, judged = self._derivation.derive(end, value, known)
        self._seen = _Seen(at, end, value, samples, derived, judged)
        emissions = self._climb(order, self._seen, derived, judged)
        self._derivation.settle(value, known, self.ladder.met)
        return emissions

    def _climb(self, order: int, seen: _Seen, value: Float64, known: Bools) -> list[Emission]:
        """Move the ladder by ``value``, and say what changed in terms of what was seen."""
        if self._derivation is not None and self.ladder.settled(np.where(known, value, np.nan)):
            return []
        before, asleep = self.ladder.active, not self._schedule.at(seen.end)
        emissions: list[Emission] = []
        for key in map(int, self.ladder.evaluate(seen.end, value, known, asleep=asleep)):
            levels = (int(before[key]), int(self.ladder.active[key]))
            threshold = self.ladder.threshold(Level(max(levels)), key, float(value[key]))
            shown: tuple[float, float | None] = (float(seen.value[key]), threshold)
            if self._derivation is not None:
                shown = self._derivation.shown(key, *shown)
            flapping = self.ladder.flaps(key, seen.end)
            of_window = (*shown, int(seen.samples[key]))
            made = make_transition(self, key, levels, (seen.at, seen.end), of_window, flapping=flapping)
            emissions.append((seen.at, 0, 0, order, key, made))
        return emissions

    def _doubts(self, at: int, end: int, value: Float64, samples: Float64, liveness: Liveness) -> Array:
        """Why each key's value is unknown, int8 ``Doubt`` (keys,); the gravest reason counts."""
        doubts = np.zeros(len(self.table), np.int8)
        doubts[np.isnan(value)] = Doubt.NO_VALUE
        doubts[samples < self.rule.min_samples] = Doubt.TOO_FEW
        if not self._rising and end - self.since < self.rule.window:
            doubts[:] = Doubt.WARMING_UP
        if at < self.warm_at:
            doubts[~self._warm_enough(value)] = Doubt.WARMING_UP
        doubts[~self.table.among(liveness.alive(at))] = Doubt.BLIND
        return doubts

    def look(self, key: int, liveness: Liveness) -> Sight:
        """Say what the window that was sealed last held for a key."""
        assert self._seen is not None
        at, end, value, samples, derived, judged = self._seen
        doubt = Doubt(int(self._doubts(at, end, value, samples, liveness)[key]))
        if doubt is Doubt.NONE and judged is not None and not judged[key]:
            doubt = Doubt.LEARNING
        if not self._schedule.at(end):
            doubt = Doubt.ASLEEP
        seen = None if np.isnan(value[key]) else float(value[key])
        measured = None if derived is None or doubt is not Doubt.NONE else float(derived[key])
        level = Level(int(self.ladder.active[key]))
        return Sight(
            at,
            end,
            seen,
            int(samples[key]),
            doubt,
            level,
            *self.ladder.clocks(key),
            measured,
            self.ladder.flaps(key, end),
        )

    def _warm_enough(self, value: Float64) -> Array:
        """While warming up: only what would raise a key, and that a fuller window could not take back, is known."""
        if not self._rising or self._value.aggregate not in _GROWS or self._derivation is not None:
            return np.zeros(len(value), np.bool_)
        with np.errstate(invalid="ignore"):
            return np.array(self.ladder.thresholds.meets(0, value) & (self.ladder.active == 0))

    def warm_up(self, at: int) -> None:
        """Begin a quiet warm-up at ``at``: active levels stay as they are until a whole window has been seen."""
        self.warm_at = at + (self.rule.window or self.rule.session) + self._lateness

    def skip(self, to: int, quiet: int, liveness: Liveness, *, watched: bool) -> None:
        """Jump over panes in an empty window, and seal at once those in which nothing happens."""
        before = -1
        while before < self.pane and self.due <= to:
            before = self.pane
            if self.newest + self._window.length < self.pane:
                self._jump(min(to, self._arrivals.next_at), quiet, liveness)
            if not watched and self._derivation is None and self.ladder.resting:
                self._hasten(min(self._pane_of(to - self._lateness) - self.pane, self._reach))

    def _jump(self, to: int, quiet: int, liveness: Liveness) -> None:
        """Jump over panes that end by the journal instant ``to``, before any reading, when nothing can happen in them.

        That is so when the window is empty and stays empty, and either nothing is active and an empty window meets no
        rung, or every further value is unknown: too few readings, or nobody is heard until then. An unknown value
        changes nothing once no clock runs; but active times that end would.
        """
        if not (self._window.still and self._quiet_when_empty and self.ladder.resting):
            if self._schedule or not self.ladder.idle:
                return
            if not (self._window.still and self.rule.min_samples > 0):
                to = min(to, quiet)
                if self.due > to or self.table.among(liveness.heard(self.due)).any():
                    return
        pane = max(self.pane, self._pane_of(to - self._lateness))
        if self._derivation is not None:
            self._derivation.skip(range(self._end_of(self.pane), self._end_of(pane), self._every))
        self.pane = pane

    def _hasten(self, count: int) -> None:
        """Seal so many panes at once, or as many of them as meet no rung: while nothing is active, nothing happens."""
        while count >= _FEW:
            arrived = self._arrivals.before(self._end_of(self.pane + count - 1) + self._lateness)
            soon = arrived.panes < self.pane + count
            cells = (arrived.panes - self.pane) * len(self.table) + arrived.keys
            ahead = self._window.ahead(self.pane, count, arrived.select(soon, cells))
            if ahead is None:
                self._reach = 0
                return
            value = ahead.value if self._capacity is None else ahead.value * 100.0 / self._capacity
            met = self.ladder.meeting(value)
            if met is None:
                ahead.take()
                self.pane += count
                self._reach = min(2 * self._reach, max(_MOST_CELLS // max(len(self.table), 1), _FEW))
                self._later(arrived, soon)
                return
            count, self._reach = met, max(met, 2 * _FEW)

    def _later(self, arrived: Readings, taken: Bools) -> None:
        """Of what has arrived the rest is for later panes."""
        if len(taken) and not taken.all():
            self._window.add(arrived.select(~taken, arrived.cells))
        if len(taken):
            self.newest = max(self.newest, int(arrived.panes.max()))
            self._arrivals.drop(len(taken))

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds of each key."""
        return self.ladder.thresholds

    def learning(self) -> Bools:
        """Return for which keys too little has been seen yet to say anything."""
        return np.zeros(len(self.table), np.bool_) if self._derivation is None else self._derivation.learning()

    def drifts(self) -> list[Drift]:
        """What an occupancy rule had to correct, per key."""
        window = self._window
        if not isinstance(window, Occupancy):
            return []
        pairs = zip(self.table.keys, window.residue.tolist(), window.clamped.tolist(), strict=True)
        return [Drift(self.rule.id, key, residue, clamped) for key, residue, clamped in pairs]

    def active(self) -> Array:
        """Return the level of each key."""
        return self.ladder.active

    def arrays(self) -> dict[str, Array]:
        """Return the live state arrays by name."""
        state: dict[str, Array] = {f"ladder.{name}": array for name, array in self.ladder.arrays().items()}
        if self._derivation is not None:
            state |= {f"derived.{part}": array for part, array in self._derivation.arrays().items()}
        return state | {f"window.{name}": array for name, array in self._window.arrays().items()}

    def device_arrays(self) -> dict[str, Array]:
        """Return the live state of each device."""
        return {} if self._counters is None else {"at": self._counters.at, "value": self._counters.value}

    def tables(self) -> dict[str, Table]:
        """Return the live state that is not one cell per key."""
        return self._window.tables()

    def numbers(self) -> dict[str, int]:
        """Return the scalar state by name."""
        return {"pane": self.pane, "newest": self.newest, "since": self.since, "warm_at": self.warm_at}

    def restored(self, numbers: dict[str, int], tables: dict[str, Table]) -> None:
        """Take the rest of the state back."""
        self.pane, self.newest = numbers["pane"], numbers["newest"]
        self.since, self.warm_at = numbers["since"], numbers["warm_at"]
        self._window.restored(tables, len(self.table))
        self.ladder.restored()
        if self._derivation is not None:
            self._derivation.restored()


def derivation_of(rule: Rule, keys: int, setting: Setting) -> Derivation | None:
    """Return what stands between the rule's values and its ladder: a baseline, a trend, or nothing."""
    if rule.baseline is not None:
        return Usual(rule.baseline, keys, setting.zone, setting.schedule(rule).workday)
    return None if rule.trend is None else Heading(rule, keys)


def _vehicles(batch: Batch) -> Float64 | None:
    """A number for each identified vehicle, of 53 bits of its pseudonym; NaN for the others."""
    if batch.sightings is None:
        return None
    who = batch.sightings.who[:, 0]
    return np.where(who == 0, np.nan, (who >> 10).astype(np.float64))
