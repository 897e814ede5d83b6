"""A rule over a window: panes in, a value per key out at every pane's end, and up or down the ladder."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sensord.core.aggregate import COMPONENTS, FINISH
from sensord.core.baseline import Usual
from sensord.core.batch import Batch, Float64, Int64
from sensord.core.derived import Bools, Derivation
from sensord.core.evaluator import Array, Emission, make_transition
from sensord.core.instant import utc_offset
from sensord.core.keys import KeyTable
from sensord.core.ladder import Ladder
from sensord.core.level import Level
from sensord.core.liveness import Liveness
from sensord.core.probe import Doubt, Sight
from sensord.core.rule import RISING, Aggregate, Rule
from sensord.core.trend import Heading
from sensord.core.window import LastPanes, Panes

_SLACK = 32
"""How many panes one ``take`` may span beyond the lateness."""


class _Seen(NamedTuple):
    """What the last evaluation had before it: times (ns), values, readings, and what was derived from the values."""

    at: int
    end: int
    value: Float64
    samples: Float64
    derived: Float64 | None = None
    judged: Bools | None = None


class WindowedRule:
    """See :class:`sensord.core.evaluator.Evaluator`.

    ``lateness`` (ns) is the stream's; panes are aligned to the standard time of ``zone``; ``since`` is the journal
    instant at which the rule came into force. Pane ``p`` covers local time ``[p * every, (p + 1) * every)``
    and is sealed when journal time reaches its end plus the lateness; a reading that comes later than that is late.
    """

    def __init__(self, rule: Rule, table: KeyTable, lateness: int, zone: str, since: int) -> None:
        assert rule.value is not None
        self.rule, self.table, self.ladder = rule, table, Ladder(rule, len(table))
        self._value, self._every, self._lateness, self._offset = rule.value, rule.every, lateness, utc_offset(zone)
        self._length = rule.window // rule.every
        self._depth = 1 << (lateness // rule.every + _SLACK + 2).bit_length()
        self._panes = {
            component.name: Panes(component, len(table), self._length, self._depth)
            for component in COMPONENTS[rule.value.aggregate]
        }
        self._last = (
            LastPanes(len(table), self._length, self._depth) if rule.value.aggregate is Aggregate.LAST else None
        )
        self._derivation = derivation_of(rule, len(table), zone)
        self._needs_full = rule.comparison not in RISING
        self._skips = not self._needs_full and rule.levels[0].threshold > 0
        if self._derivation is not None and not rule.min_samples:
            self._skips = False  # an empty window is a zero, and there is something to learn from it
        self.since = since
        self.pane = self._pane_of(since - lateness)
        self.newest = self.pane - self._length - 1
        self._seen: _Seen | None = None

    def _pane_of(self, instant: int) -> int:
        return (instant + self._offset) // self._every

    def _end_of(self, pane: int) -> int:
        return (pane + 1) * self._every - self._offset

    @property
    def due(self) -> int:
        """The journal instant at which the next pane is sealed."""
        return self._end_of(self.pane) + self._lateness

    @property
    def stretch(self) -> int:
        """The open panes bound how much time one ``take`` may span."""
        return _SLACK * self._every

    def take(self, order: int, batch: Batch) -> list[Emission]:
        """Put readings into their panes; the late ones stay out."""
        keys = self.table.of_device[batch.device]
        panes = (batch.event_at + self._offset) // self._every
        fits = (keys >= 0) & self._unsealed(panes, batch)
        for mask in self.table.matches(batch):
            fits &= mask
        values: Float64 | None = None
        if self._value.field is not None:
            values = batch.fields.get(self._value.field)
            if values is None:
                return []
            fits &= ~np.isnan(values)
        event_at = batch.event_at
        if not fits.all():
            keys, panes, event_at = keys[fits], panes[fits], event_at[fits]
            values = None if values is None else values[fits]
        if len(keys):
            self.newest = max(self.newest, int(panes.max()))
            cells = (panes & (self._depth - 1)) * len(self.table) + keys
            for name, pane in self._panes.items():
                pane.add(cells, 1.0 if name == "count" or values is None else values)
            if self._last is not None and values is not None:
                self._last.add(cells, event_at, values)
        return []

    def timely(self, batch: Batch) -> Array:
        """Return which readings fall into a pane that is not sealed yet."""
        return self._unsealed((batch.event_at + self._offset) // self._every, batch)

    def _unsealed(self, panes: Int64, batch: Batch) -> Array:
        return (panes + 1) * self._every + (self._lateness - self._offset) > batch.received_at

    def evaluate(self, order: int, liveness: Liveness) -> list[Emission]:
        """Seal the next pane and evaluate the window that ends with it."""
        pane, at, end = self.pane, self.due, self._end_of(self.pane)
        window = {name: panes.seal(pane) for name, panes in self._panes.items()}
        if self._last is not None:
            window["last"] = self._last.seal(pane)
        self.pane += 1
        value = FINISH[self._value.aggregate](window, self._value, self.rule.window)
        samples = window["count"]
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
        before = self.ladder.active
        emissions: list[Emission] = []
        for key in map(int, self.ladder.evaluate(seen.end, value, known)):
            levels = (int(before[key]), int(self.ladder.active[key]))
            shown: tuple[float, float | None] = (float(seen.value[key]), self.ladder.threshold(Level(max(levels))))
            if self._derivation is not None:
                shown = self._derivation.shown(key, *shown)
            made = make_transition(self, key, levels, (seen.at, seen.end), (*shown, int(seen.samples[key])))
            emissions.append((seen.at, 0, 0, order, key, made))
        return emissions

    def _doubts(self, at: int, end: int, value: Float64, samples: Float64, liveness: Liveness) -> Array:
        """Why each key's value is unknown, int8 ``Doubt`` (keys,); the gravest reason counts."""
        doubts = np.zeros(len(self.table), np.int8)
        doubts[np.isnan(value)] = Doubt.NO_VALUE
        doubts[samples < self.rule.min_samples] = Doubt.TOO_FEW
        if self._needs_full and end - self.since < self.rule.window:
            doubts[:] = Doubt.WARMING_UP
        doubts[~self._sighted(at, liveness)] = Doubt.BLIND
        return doubts

    def look(self, key: int, liveness: Liveness) -> Sight:
        """Say what the window that was sealed last held for a key."""
        assert self._seen is not None
        at, end, value, samples, derived, judged = self._seen
        doubt = Doubt(int(self._doubts(at, end, value, samples, liveness)[key]))
        if doubt is Doubt.NONE and judged is not None and not judged[key]:
            doubt = Doubt.LEARNING
        seen = None if np.isnan(value[key]) else float(value[key])
        measured = None if derived is None or doubt is not Doubt.NONE else float(derived[key])
        level = Level(int(self.ladder.active[key]))
        return Sight(at, end, seen, int(samples[key]), doubt, level, *self.ladder.clocks(key), measured)

    def _sighted(self, at: int, liveness: Liveness) -> Array:
        """Which keys have at least one device that is heard; the others are blind, and blind is not quiet."""
        here = self.table.of_device[liveness.alive(at)]
        return np.bincount(here[here >= 0], minlength=len(self.table)) > 0

    def skip(self, to: int) -> None:
        """Jump over panes that end by the journal instant ``to`` when nothing can happen in them.

        That is so when the window is empty and stays empty, no clock runs, and an empty window meets no rung.
        """
        if self._skips and self.newest + self._length < self.pane and self.ladder.resting:
            pane = max(self.pane, self._pane_of(to - self._lateness))
            if self._derivation is not None:
                self._derivation.skip(range(self._end_of(self.pane), self._end_of(pane), self._every))
            self.pane = pane

    def learning(self) -> Bools:
        """Return for which keys too little has been seen yet to say anything."""
        return np.zeros(len(self.table), np.bool_) if self._derivation is None else self._derivation.learning()

    def active(self) -> Array:
        """Return the level of each key."""
        return self.ladder.active

    def arrays(self) -> dict[str, Array]:
        """Return the live state arrays by name."""
        state: dict[str, Array] = {f"ladder.{name}": array for name, array in self.ladder.arrays().items()}
        for name, panes in self._panes.items():
            state |= {f"{name}.{part}": array for part, array in panes.arrays().items()}
        if self._last is not None:
            state |= {f"last.{part}": array for part, array in self._last.arrays().items()}
        if self._derivation is not None:
            state |= {f"derived.{part}": array for part, array in self._derivation.arrays().items()}
        return state

    def numbers(self) -> dict[str, int]:
        """Return the scalar state by name."""
        return {"pane": self.pane, "newest": self.newest, "since": self.since}

    def restored(self, numbers: dict[str, int]) -> None:
        """Take the scalar state back."""
        self.pane, self.newest, self.since = numbers["pane"], numbers["newest"], numbers["since"]
        self.ladder.restored()
        if self._derivation is not None:
            self._derivation.restored()


def derivation_of(rule: Rule, keys: int, zone: str) -> Derivation | None:
    """Return what stands between the rule's values and its ladder: a baseline, a trend, or nothing."""
    if rule.baseline is not None:
        return Usual(rule.baseline, keys, zone)
    return None if rule.trend is None else Heading(rule, keys)
