"""A rule over a window: a value per key out of its panes at every pane's end, and up or down the ladder."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sensord.core.alert import unwatched
from sensord.core.batch import Batch, Float64
from sensord.core.level import Level
from sensord.core.rules.baseline import Usual
from sensord.core.rules.coming import Coming
from sensord.core.rules.derived import Bools, Derivation
from sensord.core.rules.evaluator import Array, Emission, Setting, make_transition
from sensord.core.rules.inpart import GROWS, InPart
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.ladder import Ladder
from sensord.core.rules.liveness import Liveness
from sensord.core.rules.occupancy import Drift
from sensord.core.rules.panes import Outlook, Panes, Sealed
from sensord.core.rules.probe import Doubt, Sight
from sensord.core.rules.rule import RISING, Aggregate, Rule
from sensord.core.rules.thresholds import Thresholds
from sensord.core.rules.trend import Heading
from sensord.core.rules.window import Table
from sensord.core.stream import Stream

_FEW, _MOST_CELLS = 4, 1 << 16
"""So many panes are worth sealing at once, and at most panes times keys: what fits into a processor's cache."""
_SPARED = 1024
"""What is spared of a pane that is not sealed by itself is worth looking at so many cells."""
_CHANGE = (Aggregate.RATE, Aggregate.DELTA, Aggregate.SLOPE, Aggregate.STDDEV, Aggregate.DISTINCT)
"""What says by how much a number changes, and so does not lack whoever stands still."""


UNIT = "derived.unit"
"""The name, among the arrays of a state, of the unit of what was learnt; states of earlier versions lack it."""


class _Seen(NamedTuple):
    """What the last evaluation had before it: the window, and what was derived from its values."""

    window: Sealed
    derived: Float64 | None = None
    judged: Bools | None = None


class WindowedRule:
    """See :class:`sensord.core.rules.evaluator.Evaluator`.

    ``lateness`` (ns) is the stream's; ``since`` is the journal instant at which the rule came into force. ``warm_at``
    is the journal instant from which a rule that was changed while running speaks again in full.
    """

    def __init__(self, rule: Rule, table: KeyTable, setting: Setting, lateness: int, since: int) -> None:
        assert rule.value is not None
        self.rule, self.table, self._aggregate = rule, table, rule.value.aggregate
        self.ladder = Ladder(rule, len(table), Thresholds(rule, len(table), table, setting.places))
        self._schedule, self._lateness, self._offset = setting.schedule(rule), lateness, setting.offset
        self._panes = Panes(rule, table, setting, lateness, since)
        self._derivation, self._unit = derivation_of(rule, len(table), setting), self._panes.unit
        self._unfollowed = rule.stream is Stream.VISIT and not setting.followed
        self._present = rule.on_presence and self._aggregate not in _CHANGE
        self._rising = rule.comparison in RISING
        self._in_part = InPart(rule, table)
        lowest = float(self.ladder.thresholds.easiest.min(initial=np.inf))
        self._quiet_when_empty = rule.min_samples > 0 or (self._rising and lowest > 0)
        if self._derivation is not None and not rule.min_samples:
            self._quiet_when_empty = False  # an empty window is a zero, and there is something to learn from it
        self.since, self.warm_at = since, since
        self._devices = table.counted()
        self._seen: _Seen | None = None
        length = max(rule.window, rule.session) // rule.every
        self._besides = 2 * length  # the blocks in which the first and the last of many panes lie
        self._most = max(_MOST_CELLS // max(len(table), 1), _FEW)
        self._reach = self._least = min(max(2 * _FEW, length), self._most)
        self._eventful = -1
        """The pane in which something happens, as was found by looking ahead: that one is sealed by itself."""

    @property
    def due(self) -> int:
        """The journal instant at which the next pane is sealed."""
        return self._panes.due

    def take(self, order: int, batch: Batch) -> list[Emission]:
        """Find the panes of readings."""
        self._panes.take(batch)
        return []

    def settle(self) -> None:
        """Put what still waits into its panes."""
        self._panes.settle()

    def timely(self, batch: Batch) -> Array:
        """Return which readings fall into a pane that is not sealed yet."""
        return self._panes.timely(batch)

    # -- evaluation --------------------------------------------------------------------------------------------------

    def evaluate(self, order: int, liveness: Liveness) -> list[Emission]:
        """Seal the next pane and evaluate the window that ends with it."""
        window = self._panes.seal()
        value = window.value
        self._seen = _Seen(window)
        if self._derivation is None:
            if self.ladder.settled(value):
                return []
            value, doubts = self._judge(window, liveness)
            return self._climb(order, self._seen, value, doubts == Doubt.NONE)
        known = self._judge(window, liveness)[1] == Doubt.NONE
        derived, judged = self._derivation.derive(window.end, value, known)
        self._seen = _Seen(window, derived, judged)
        emissions = self._climb(order, self._seen, derived, judged)
        self._derivation.settle(value, known, self.ladder.met)
        return emissions

    def _climb(self, order: int, seen: _Seen, value: Float64, known: Bools) -> list[Emission]:
        """Move the ladder by ``value``, and say what changed in terms of what was seen."""
        if self._derivation is not None and self.ladder.settled(np.where(known, value, np.nan)):
            return []
        at, end = seen.window.at, seen.window.end
        before, asleep = self.ladder.active, not self._schedule.at(end)
        emissions: list[Emission] = []
        for key in map(int, self.ladder.evaluate(end, value, known, asleep=asleep, spent=self._spent(seen.window))):
            levels = (int(before[key]), int(self.ladder.active[key]))
            # A level that fell is held against its own threshold; what is over, against that which it left.
            threshold = self.ladder.threshold(Level(levels[1] or levels[0]), key, float(value[key]))
            shown: tuple[float, float | None] = (float(value[key]), threshold)
            if self._derivation is not None:
                shown = self._derivation.shown(key, float(seen.window.value[key]), threshold)
            of_window = (*shown, int(seen.window.samples[key]))
            flapping = self.ladder.flaps(key, end)
            made = make_transition(self, key, levels, (at, end), of_window, flapping=flapping)
            if asleep and not levels[1] and not self.ladder.agrees(key, value, known, self._schedule.at):
                made = unwatched(made)
            emissions.append((at, 0, 0, order, key, made))
        return emissions

    def _spent(self, window: Sealed) -> Bools | None:
        """Of what a trend has nothing to warn, bool (rungs, keys): the value is there already, or does not go there."""
        if not isinstance(self._derivation, Heading):
            return None
        return self.ladder.each_met(window.value) | ~self._derivation.coming

    def _judge(self, window: Sealed, liveness: Liveness) -> tuple[Float64, Array]:
        """Each key's value, and why it is unknown, int8 ``Doubt`` (keys,); the gravest reason counts.

        Of what is seen in part, the value is the least that it can be.
        """
        at, end, value, samples = window
        doubts = np.zeros(len(self.table), np.int8)
        doubts[np.isnan(value)] = Doubt.NO_VALUE
        doubts[self._too_few(value, samples)] = Doubt.TOO_FEW
        if self._filling(end):
            doubts[:] = Doubt.WARMING_UP
        if at < self.warm_at:
            doubts[~self._warm_enough(value)] = Doubt.WARMING_UP
        alive = liveness.alive(at)
        if self.table.shared and not alive[self.table.watching].all():
            missed = self.table.total(~alive, self._in_part.missed)
            value = self._in_part.least(value, samples, missed)
            doubts[(missed > 0) & ~self._enough(value)] = Doubt.PARTLY_BLIND
        doubts[~self.table.among(alive) | self._unfollowed] = Doubt.BLIND
        if self._present and at < liveness.recounted:
            anew = self.table.among(at < liveness.whole_from)
            doubts[(doubts == Doubt.NONE) & anew & ~self._at_least(value)] = Doubt.RECOUNTED
        return value, doubts

    def _at_least(self, value: Float64) -> Array:
        """Where as many as are known to be inside raise or keep a level, so that more could only raise it more."""
        if not self._rising or self._derivation is not None:
            return np.zeros(len(value), np.bool_)
        return self.ladder.stands(value)

    def _enough(self, value: Float64) -> Array:
        """Where what is seen raises or keeps a level, so that whatever is not seen could only raise it more.

        ``value`` has the shape (keys,) or (evaluations, keys).
        """
        return self.ladder.stands(value) if self._in_part.suffices else np.zeros(value.shape, np.bool_)

    def _too_few(self, value: Float64, samples: Float64) -> Array:
        """Where too few readings leave the value unknown; shapes as of ``_enough``."""
        few: Array = samples < self.rule.min_samples
        return few & ~self._enough(value) if self._in_part.of_each else few

    def _filling(self, end: int) -> bool:
        """Whether the window is not yet full, and would say too little to a rule on little."""
        return not self._rising and end - self.since < self.rule.window

    def _warm_enough(self, value: Float64) -> Array:
        """While warming up: only what raises or keeps a level, and no fuller window could take back, is known."""
        if not self._rising or self._aggregate not in GROWS or self._derivation is not None:
            return np.zeros(len(value), np.bool_)
        return self.ladder.stands(value)

    def warm_up(self, at: int) -> None:
        """Begin a quiet warm-up at ``at``: active levels stay as they are until a whole window has been seen."""
        self.warm_at = self._panes.whole_from(at) + self._lateness

    def learn_from(self, other: WindowedRule) -> None:
        """Know what another evaluator of this rule has learnt of what is usual."""
        if isinstance(self._derivation, Usual) and isinstance(other._derivation, Usual):
            learnt = other._derivation.arrays()
            for name, array in self._derivation.arrays().items():
                array[:] = learnt[name]
            self._derivation.restored()

    def look(self, key: int, liveness: Liveness) -> Sight:
        """Say what the window that was sealed last held for a key."""
        assert self._seen is not None
        window, derived, judged = self._seen
        at, end, _, samples = window
        value, doubts = self._judge(window, liveness)
        doubt = Doubt(int(doubts[key]))
        if doubt is Doubt.NONE and judged is not None and not judged[key]:
            doubt = Doubt.LEARNING
        if not self._schedule.at(end):
            doubt = Doubt.ASLEEP
        return Sight(
            at,
            end,
            None if np.isnan(value[key]) else float(value[key]),
            int(samples[key]),
            doubt,
            Level(int(self.ladder.active[key])),
            *self.ladder.clocks(key),
            None if derived is None or doubt is not Doubt.NONE else float(derived[key]),
            self.ladder.flaps(key, end),
            self.table.marked(key, self.table.watching & ~liveness.alive(at)) if doubt is Doubt.PARTLY_BLIND else (),
        )

    # -- haste -------------------------------------------------------------------------------------------------------

    def skip(self, coming: Coming, *, watched: bool) -> None:
        """Jump over panes in an empty window, and seal at once those in which no level changes."""
        before = -1
        while before < self._panes.pane != self._eventful and self.due <= coming.to:
            before = self._panes.pane
            if self._panes.empty:
                self._jump(coming)
            if not watched and self._derivation is None:
                self._hasten(coming)

    def _jump(self, coming: Coming) -> None:
        """Jump over panes that end before any reading, when nothing can happen in them.

        That is so when the window is empty and stays empty, and either nothing is active and an empty window meets no
        rung, or every further value is unknown: too few readings, or nobody is heard until then. An unknown value
        changes nothing once no clock runs; but active times that end would.
        """
        to, still = coming.to, self._panes.still
        if not (still and self._quiet_when_empty and self.ladder.resting):
            if self._schedule or not self.ladder.idle:
                return
            if not (still and self.rule.min_samples > 0):
                to = coming.quiet
                if self.due > to or coming.may_hear(self.table.sources, self.due):
                    return
        ends = self._panes.jump(to)
        if self._derivation is not None:
            self._derivation.skip(ends)

    def _hasten(self, coming: Coming) -> None:
        """Seal many panes at once, as far as no level changes in them."""
        whole = min(self._panes.until(coming.to), self._most)
        enough = min(whole, self._reach)
        if enough < _FEW or (enough + self._besides) * len(self.table) > enough * _SPARED:
            return
        to = coming.to if self.ladder.resting else min(coming.to, self._foreseeable(coming))
        count = min(self._panes.until(to), enough)
        if count < 1:
            return
        outlook = self._panes.outlook(count, whole)
        if outlook is None:
            self._reach = 0
            return
        eventless = self._uneventful(outlook, coming)
        if eventless:
            self._panes.pass_by(eventless)
        if eventless == len(outlook.ends):
            self._reach = min(2 * self._reach, self._most)
        else:
            self._reach, self._eventful = max(eventless, self._least), self._panes.pane

    def _foreseeable(self, coming: Coming) -> int:
        """Until which instant only values, and who is heard, decide how an active level goes on; 0: more does."""
        end = self._panes.due - self._lateness
        if self._schedule or self._unfollowed or self._filling(end):
            return 0
        known_from = max(self.warm_at, coming.liveness.recounted if self._present else 0)
        if self._panes.due < known_from or self.ladder.often.size:
            return 0
        return coming.certain(self.table) - 1

    def _uneventful(self, outlook: Outlook, coming: Coming) -> int:
        """Count the panes before the first in which something happens; the ladder's clocks go on by these.

        While nothing is active and no clock runs, that is the first with a value that meets a rung.
        """
        if self.ladder.resting:
            met = self.ladder.meeting(outlook.value)
            return len(outlook.ends) if met is None else met
        instants, value = outlook.ends + self._lateness, outlook.value
        known = ~np.isnan(value) & ~self._too_few(value, outlook.samples)
        silent = coming.silent(instants, self.table)
        known &= silent < self._devices
        if self.table.shared and silent.any():
            missed = coming.silent(instants, self.table, self._in_part.missed)
            value = self._in_part.least(value, outlook.samples, missed)
            known &= (missed == 0) | self._enough(value)
        return self.ladder.pass_by(outlook.ends, value, known)

    # -- views and state ---------------------------------------------------------------------------------------------

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds of each key."""
        return self.ladder.thresholds

    def learning(self) -> Bools:
        """Return for which keys too little has been seen yet to say anything."""
        return np.zeros(len(self.table), np.bool_) if self._derivation is None else self._derivation.learning()

    def drifts(self) -> list[Drift]:
        """What an occupancy rule had to correct, per key."""
        return self._panes.drifts(self.rule.id)

    def active(self) -> Array:
        """Return the level of each key."""
        return self.ladder.active

    def arrays(self) -> dict[str, Array]:
        """Return the live state arrays by name."""
        state: dict[str, Array] = {f"ladder.{name}": array for name, array in self.ladder.arrays().items()}
        if self._derivation is not None:
            state |= {f"derived.{part}": array for part, array in self._derivation.arrays().items()}
            state[UNIT] = self._unit
        return state | {f"window.{name}": array for name, array in self._panes.arrays().items()}

    def device_arrays(self) -> dict[str, Array]:
        """Return the live state of each device."""
        return self._panes.device_arrays()

    def tables(self) -> dict[str, Table]:
        """Return the live state that is not one cell per key."""
        return self._panes.tables()

    def numbers(self) -> dict[str, int]:
        """Return the scalar state by name."""
        panes = {"pane": self._panes.pane, "newest": self._panes.newest, "since": self.since, "warm_at": self.warm_at}
        return panes | {"lateness": self._lateness, "offset": self._offset}

    def restored(self, numbers: dict[str, int], tables: dict[str, Table]) -> None:
        """Take the rest of the state back; the lateness may have been another one until now."""
        now, longer = self.since, self._lateness - numbers.get("lateness", self._lateness)
        self.since, self.warm_at = numbers["since"], numbers["warm_at"]
        if self.warm_at > now:
            self.warm_at += longer
        self._panes.restored(numbers["pane"], numbers["newest"], tables)
        passed = self._panes.pass_over(now)
        self.ladder.restored()
        if self._derivation is not None:
            self._convert(self._derivation)
            self._derivation.restored()
            self._derivation.skip(passed)

    def _convert(self, derivation: Derivation) -> None:
        """Have what was learnt in the unit of now: the place may hold more than it did, or be asked for percent now."""
        factor = self._unit / self._panes.unit
        if (factor != 1.0).any():
            derivation.rescale(np.where(np.isnan(factor), 1.0, factor))
        self._unit = self._panes.unit

    def counts_alike(self, numbers: dict[str, int]) -> bool:
        """Whether the panes of a state count in the local time of now (states of earlier versions do not say)."""
        return numbers.get("offset", self._offset) == self._offset


def derivation_of(rule: Rule, keys: int, setting: Setting) -> Derivation | None:
    """Return what stands between the rule's values and its ladder: a baseline, a trend, or nothing."""
    if rule.baseline is not None:
        return Usual(rule.baseline, keys, setting.zone, setting.schedule(rule).workday)
    return None if rule.trend is None else Heading(rule, keys)
