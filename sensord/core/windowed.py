"""A rule over a window: panes in, a value per key out at every pane's end, and up or down the ladder."""

from __future__ import annotations

import numpy as np

from sensord.core.aggregate import COMPONENTS, FINISH
from sensord.core.batch import Batch, Float64, Int64
from sensord.core.evaluator import Array, Emission, make_transition
from sensord.core.keys import KeyTable
from sensord.core.ladder import Ladder
from sensord.core.level import Level
from sensord.core.liveness import Liveness
from sensord.core.probe import Doubt, Sight
from sensord.core.rule import RISING, Aggregate, Rule
from sensord.core.window import LastPanes, Panes

_SLACK = 32
"""How many panes one ``take`` may span beyond the lateness."""


class WindowedRule:
    """See :class:`sensord.core.evaluator.Evaluator`.

    ``lateness`` and ``offset`` (of local time from UTC, so that hours and days are local ones) are ns; ``since`` is the
    journal instant at which the rule came into force. Pane ``p`` covers local time ``[p * every, (p + 1) * every)``
    and is sealed when journal time reaches its end plus the lateness; a reading that comes later than that is late.
    """

    def __init__(self, rule: Rule, table: KeyTable, lateness: int, offset: int, since: int) -> None:
        assert rule.value is not None
        self.rule, self.table, self.ladder = rule, table, Ladder(rule, len(table))
        self._value, self._every, self._lateness, self._offset = rule.value, rule.every, lateness, offset
        self._length = rule.window // rule.every
        self._depth = 1 << (lateness // rule.every + _SLACK + 2).bit_length()
        self._panes = {
            component.name: Panes(component, len(table), self._length, self._depth)
            for component in COMPONENTS[rule.value.aggregate]
        }
        self._last = (
            LastPanes(len(table), self._length, self._depth) if rule.value.aggregate is Aggregate.LAST else None
        )
        self._needs_full = rule.comparison not in RISING
        self._skips = not self._needs_full and rule.levels[0].threshold > 0
        self.since = since
        self.pane = self._pane_of(since - lateness)
        self.newest = self.pane - self._length - 1
        self._seen: tuple[int, int, Float64, Float64] | None = None

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
        self._seen = (at, end, value, window["count"])
        if self.ladder.settled(value):
            return []
        known = self._doubts(at, end, value, window["count"], liveness) == Doubt.NONE
        before = self.ladder.active
        emissions: list[Emission] = []
        for key in self.ladder.evaluate(end, value, known):
            levels = (int(before[key]), int(self.ladder.active[key]))
            seen = (float(value[key]), self.ladder.threshold(Level(max(levels))), int(window["count"][key]))
            emissions.append((at, 0, 0, order, int(key), make_transition(self, int(key), levels, (at, end), seen)))
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
        at, end, value, samples = self._seen
        doubt = Doubt(int(self._doubts(at, end, value, samples, liveness)[key]))
        seen = None if np.isnan(value[key]) else float(value[key])
        level = Level(int(self.ladder.active[key]))
        return Sight(at, end, seen, int(samples[key]), doubt, level, *self.ladder.clocks(key))

    def _sighted(self, at: int, liveness: Liveness) -> Array:
        """Which keys have at least one device that is heard; the others are blind, and blind is not quiet."""
        here = self.table.of_device[liveness.alive(at)]
        return np.bincount(here[here >= 0], minlength=len(self.table)) > 0

    def skip(self, to: int) -> None:
        """Jump over panes that end by the journal instant ``to`` when nothing can happen in them.

        That is so when the window is empty and stays empty, no clock runs, and an empty window meets no rung.
        """
        if self._skips and self.newest + self._length < self.pane and self.ladder.resting:
            self.pane = max(self.pane, self._pane_of(to - self._lateness))

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
        return state

    def numbers(self) -> dict[str, int]:
        """Return the scalar state by name."""
        return {"pane": self.pane, "newest": self.newest, "since": self.since}

    def restored(self, numbers: dict[str, int]) -> None:
        """Take the scalar state back."""
        self.pane, self.newest, self.since = numbers["pane"], numbers["newest"], numbers["since"]
        self.ladder.restored()
