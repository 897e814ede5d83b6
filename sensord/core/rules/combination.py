"""Rules about alerts: several at one place, one after the other, or one that did not follow. Pure bookkeeping.

A part is *on* at a place while one of its alerts there (or below) stands at its level or higher. Combinations look at
the engine's own transitions, in their one true order, instant by instant::

    all: [A, B], within: 5m       A ####........          on at both, or at one and less than 5 m ago at the other
                                  B ........####
                                          ^ raised

    sequence: [A, B], within: 5m  A is raised, then B no more than 5 m after it    (holds as long as B is on)

    after: A, not: B, within: 5m  A is raised |.... 5 m ....|raised                (unless B is on or raised by then)

What was raised ends once its condition has not held for ``clear.for``. ``after``/``not`` is an event, not a state: it
ends ``clear.for`` after the deadline, or at once when B is raised after all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sensord.core.alert import Change, Transition, unwatched
from sensord.core.batch import Batch
from sensord.core.level import Level
from sensord.core.place import PlaceKind
from sensord.core.rules.coming import Coming
from sensord.core.rules.evaluator import NEVER, Array, Emission, Evaluator, Setting, make_transition
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.ladder import UNSET
from sensord.core.rules.liveness import Liveness
from sensord.core.rules.probe import Doubt, Sight
from sensord.core.rules.rule import Logic, Rule
from sensord.core.rules.window import Table


class CombinedRule:
    """See :class:`sensord.core.rules.evaluator.Evaluator`; the engine also calls ``hear`` and ``judge``.

    Per part and key, shape (parts, keys): ``on`` int32 the alerts that are on (derived from the parts, never saved),
    ``last_on`` int64 ns the instant at which the part ceased to be on, ``chain`` int64 ns the raise of the first part
    that a sequence has come here from. Per key: ``levels``; ``matched``, the sequence is complete and its last part
    still on; ``armed``, the raise that a deadline counts from; ``ended``, since when the condition does not hold.
    """

    def __init__(self, rule: Rule, table: KeyTable, setting: Setting) -> None:
        assert rule.combination is not None
        self.rule, self.table, self._places = rule, table, setting.places
        self._logic, self._within = rule.combination.logic, rule.combination.within
        self._parts = rule.combination.parts
        self._index = {key: number for number, key in enumerate(table.keys)}
        shape = (len(self._parts), len(table))
        self.on = np.zeros(shape, np.int32)
        self.last_on, self.chain = np.full(shape, UNSET), np.full(shape, UNSET)
        self.unseen = np.zeros(shape, np.bool_)
        self.levels, self.matched = np.zeros(len(table), np.int8), np.zeros(len(table), np.bool_)
        self._looked_at = 0
        self.armed, self.ended = np.full(len(table), UNSET), np.full(len(table), UNSET)

    # -- what the parts say ------------------------------------------------------------------------------------------

    def _key_of(self, place: str) -> int | None:
        above = self._places.above(place, PlaceKind(self.rule.by)) if place in self._places.by_id else None
        return None if above is None else self._index.get(above)

    def adopt(self, part: Evaluator) -> None:
        """Count the alerts of a part that are active; called when the engine starts or is restored."""
        for number, wanted in enumerate(self._parts):
            if wanted.rule != part.rule.id:
                continue
            for key in np.flatnonzero(part.active() >= int(wanted.at_least)):
                mine = self._key_of(part.table.places[key])
                if mine is not None:
                    self.on[number, mine] += 1

    def hear(self, transitions: Sequence[Transition]) -> list[int]:
        """Take the transitions of one instant, in the order of the parts; return the keys that they concern."""
        concerned = set()
        for number, part in enumerate(self._parts):
            for transition in transitions:
                key = self._key_of(transition.place) if transition.rule == part.rule else None
                before, after = transition.previous >= part.at_least, transition.level >= part.at_least
                if key is None or before == after:
                    continue
                concerned.add(key)
                self.on[number, key] += 1 if after else -1
                if after:
                    self._began(number, key, transition.at)
                elif self.on[number, key] == 0:
                    self.last_on[number, key] = transition.at
                self.unseen[number, key] = transition.change is Change.UNWATCHED
        return sorted(concerned)

    def forget(self, gone: Sequence[Transition], at: int) -> None:
        """Take note of alerts withdrawn with their rule; ``on`` counts them no longer, and nobody saw them end."""
        for number, part in enumerate(self._parts):
            for transition in gone:
                key = self._key_of(transition.place) if transition.rule == part.rule else None
                was_on = transition.previous >= part.at_least
                if key is not None and was_on and not self.on[number, key]:
                    self.last_on[number, key], self.unseen[number, key] = at, True

    def run_on(self, at: int) -> None:
        """Let active levels run on from another evaluator of this rule: what they stood on was on until ``at``."""
        active = self.levels > 0
        self.last_on[active & (self.on == 0)] = at
        self.matched[:] = active

    def _began(self, number: int, key: int, at: int) -> None:
        """A part was raised: the next link of a sequence, the beginning or the end of a wait."""
        if self._logic is Logic.SEQUENCE:
            start = at if number == 0 else int(self.chain[number - 1, key])
            if start != UNSET and at - start <= self._within:
                self.chain[number, key] = start
                self.matched[key] |= number == len(self._parts) - 1
        elif self._logic is Logic.MISSING:
            if number == 0 and self.armed[key] == UNSET and not self.on[1, key]:
                self.armed[key] = at
            elif number == 1:
                self.armed[key] = UNSET

    # -- what follows from it ----------------------------------------------------------------------------------------

    def judge(self, order: int, keys: Iterable[int], at: int) -> list[Emission]:
        """Decide, at the instant ``at``, about keys whose parts have changed or whose time has come."""
        self._looked_at = at
        return [emission for key in keys for emission in self._judge(order, key, at)]

    def answer(self, order: int, heard: Sequence[Transition], at: int) -> tuple[list[int], list[Emission]]:
        """Take the transitions of an instant, and time; return the keys that are looked at, and the outcome."""
        keys = sorted({*self.hear(heard), *self.keys_due(at)})
        return keys, self.judge(order, keys, at)

    def review(self, order: int, changes: tuple[Sequence[Transition], Sequence[Transition]], at: int) -> list[Emission]:
        """Look at every key anew; ``changes`` are alerts that are gone with their rules, and transitions besides."""
        gone, heard = changes
        self.forget(gone, at)
        self.hear(heard)
        return self.judge(order, range(len(self.table)), at)

    def look(self, key: int, liveness: Liveness) -> Sight:
        """Say which parts are on, and when each of the others was last on."""
        on, last = self.on[:, key], self.last_on[:, key]
        last_on = tuple(
            None if count or at == UNSET else at for count, at in zip(on.tolist(), last.tolist(), strict=True)
        )
        parts, level = float(np.count_nonzero(on)), Level(int(self.levels[key]))
        at, stand = self._looked_at, tuple(bool(count) for count in on)
        return Sight(at, at, parts, 0, Doubt.NONE, level, last_on, on=stand)

    def _judge(self, order: int, key: int, at: int) -> list[Emission]:
        active = self.levels[key] > 0
        if self._logic is Logic.MISSING and self._overdue(key, at):
            self.ended[key] = at  # an event holds for an instant
            return [] if active else self._move(order, key, int(self.rule.levels[0].level), at)
        if self._holds(key, at):
            self.ended[key] = UNSET
            return [] if active else self._move(order, key, int(self.rule.levels[0].level), at)
        if not active:
            return []
        if self.ended[key] == UNSET:
            self.ended[key] = at
        answered = self._logic is Logic.MISSING and self.on[1, key] > 0
        if answered or at - self.ended[key] >= self.rule.clear.hold:
            return self._move(order, key, 0, at)
        return []

    def _overdue(self, key: int, at: int) -> bool:
        if self.armed[key] == UNSET or at - self.armed[key] < self._within:
            return False
        self.armed[key] = UNSET
        return True

    def _holds(self, key: int, at: int) -> bool:
        on = self.on[:, key] > 0
        if self._logic is Logic.ANY:
            return bool(on.any())
        if self._logic is Logic.ALL:
            last = self.last_on[:, key]
            return bool((on | ((last != UNSET) & (at - np.maximum(last, 0) < self._within))).all())
        self.matched[key] &= on[-1]
        return bool(self.matched[key])

    def _move(self, order: int, key: int, level: int, at: int) -> list[Emission]:
        previous = int(self.levels[key])
        self.levels[key] = level
        if not level:
            self.ended[key] = UNSET
        seen = (float(np.count_nonzero(self.on[:, key])), float(len(self.on)), 0)
        made = make_transition(self, key, (previous, level), (at, at), seen)
        if not level and (self.unseen[:, key] & (self.on[:, key] == 0)).any():
            made = unwatched(made)
        return [(at, 0, 0, order, key, made)]

    def _dues(self) -> Array:
        """Per key, the next instant at which time alone changes something."""
        dues = np.full(len(self.table), NEVER)
        ends = self.ended != UNSET
        dues[ends] = self.ended[ends] + self.rule.clear.hold
        waits = self.armed != UNSET
        dues[waits] = np.minimum(dues[waits], self.armed[waits] + self._within)
        if self._logic is Logic.ALL:
            fading = (self.on == 0) & (self.levels > 0) & (self.ended == UNSET) & (self.last_on != UNSET)
            fades = np.where(fading, np.where(fading, self.last_on, 0) + self._within, NEVER)
            dues = np.minimum(dues, fades.min(axis=0, initial=NEVER))
        return dues

    @property
    def due(self) -> int:
        """The next instant at which a condition ends, a deadline passes, or a level runs out."""
        return int(self._dues().min(initial=NEVER))

    def keys_due(self, at: int) -> list[int]:
        """The keys whose time has come at ``at``."""
        return [int(key) for key in np.flatnonzero(self._dues() <= at)]

    # -- the rest of an evaluator ------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Nothing waits."""

    def take(self, order: int, batch: Batch) -> list[Emission]:
        """Readings do not concern it."""
        return []

    def timely(self, batch: Batch) -> Array:
        """Readings do not concern it."""
        return np.ones(len(batch), np.bool_)

    def evaluate(self, order: int, liveness: Liveness) -> list[Emission]:
        """Judge the keys that are due."""
        at = self.due
        return self.judge(order, self.keys_due(at), at)

    def skip(self, coming: Coming, *, watched: bool) -> None:
        """There is no grid to skip on."""

    def active(self) -> Array:
        """Return the level of each key."""
        return self.levels

    def arrays(self) -> dict[str, Array]:
        """Return the live state arrays by name."""
        per_part: dict[str, Array] = {"last_on": self.last_on, "chain": self.chain, "unseen": self.unseen}
        per_key: dict[str, Array] = {"levels": self.levels, "matched": self.matched}
        return per_part | per_key | {"armed": self.armed, "ended": self.ended}

    def device_arrays(self) -> dict[str, Array]:
        """Devices do not concern it."""
        return {}

    def tables(self) -> dict[str, Table]:
        """Everything is in the arrays."""
        return {}

    def numbers(self) -> dict[str, int]:
        """Everything is in the arrays."""
        return {}

    def restored(self, numbers: dict[str, int], tables: dict[str, Table]) -> None:
        """Everything is in the arrays; what is on, the engine says."""


def in_order(rules: Sequence[Rule]) -> list[int]:
    """Positions of the combinations among ``rules``, each after those that it looks at.

    Raises ``ValueError`` with the ids of a circle when there is one.
    """
    position = {rule.id: number for number, rule in enumerate(rules) if rule.combination is not None}
    done: list[int] = []

    def visit(rule: Rule, trail: tuple[str, ...]) -> None:
        if rule.id in trail:
            raise ValueError(" -> ".join((*trail[trail.index(rule.id) :], rule.id)))
        if rule.combination is None or position[rule.id] in done:
            return
        for part in rule.combination.parts:
            if part.rule in position:
                visit(rules[position[part.rule]], (*trail, rule.id))
        done.append(position[rule.id])

    for number in position.values():
        visit(rules[number], ())
    return done
