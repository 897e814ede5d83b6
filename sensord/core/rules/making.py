"""Makes the evaluator of each rule, at the start and when one begins anew."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from sensord.core.alert import Change
from sensord.core.batch import Int8
from sensord.core.definition import Definition
from sensord.core.instant import utc_offset
from sensord.core.place import Places
from sensord.core.rules.absence import AbsenceRule
from sensord.core.rules.combination import CombinedRule, in_order
from sensord.core.rules.evaluator import Emission, Evaluator, Setting
from sensord.core.rules.keys import KeyTable, PlaceTable
from sensord.core.rules.paneclock import PaneClock
from sensord.core.rules.rule import Rule
from sensord.core.rules.single import SingleRule
from sensord.core.rules.stuck import StuckRule
from sensord.core.rules.windowed import WindowedRule


class Maker:
    """Makes evaluators for the rules of a definition; ``only`` and ``followed`` are those of the engine."""

    def __init__(self, definition: Definition, places: Places, only: frozenset[str] | None, *, followed: bool) -> None:
        self._definition, self._places, self._only = definition, places, only
        numbers = [int.from_bytes(hashlib.blake2b(one.id.encode(), digest_size=6).digest()) for one in places.devices]
        offset = utc_offset(definition.zone)
        self._setting = Setting(
            *(places, definition.zone, offset, definition.calendar, np.array(numbers, np.float64), PaneClock(offset)),
            followed=followed,
        )

    def all(self, since: int) -> list[Evaluator]:
        """The evaluators of all rules, in their order, as of the journal instant ``since``."""
        rules = self._definition.rules
        made = {number: self.make(rule, since) for number, rule in enumerate(rules) if rule.combination is None}
        for number in in_order(rules):
            made[number] = self.combine(rules[number], made.values())
        return [made[number] for number in range(len(rules))]

    def make(self, rule: Rule, since: int) -> Evaluator:
        """The evaluator of a rule that is no combination."""
        table, setting = KeyTable(rule, self._places, self._only), self._setting
        lateness = self._definition.lateness_of(rule.stream)
        if rule.absent:
            return AbsenceRule(rule, table, setting, since)
        if rule.stuck is not None:
            return StuckRule(rule, table, setting, since)
        if rule.every:
            return WindowedRule(rule, table, setting, lateness, since)
        return SingleRule(rule, table, setting, lateness)

    def combine(self, rule: Rule, made: Iterable[Evaluator]) -> CombinedRule:
        """The evaluator of a combination, those that it looks at being among those that are made."""
        assert rule.combination is not None
        names = {part.rule for part in rule.combination.parts}
        parts = [evaluator.table for evaluator in made if evaluator.rule.id in names]
        return CombinedRule(rule, PlaceTable(rule, parts, self._places), self._setting)


class Told:
    """The levels of each rule's keys, as whoever hears of transitions knows them.

    A rule that fails may hold levels that it never came to tell.
    """

    def __init__(self, evaluators: Iterable[Evaluator]) -> None:
        self._levels: list[Int8] = [evaluator.active().astype(np.int8) for evaluator in evaluators]

    def hear(self, emissions: Iterable[Emission]) -> None:
        """Take what is told; another vehicle leaves the level of its alert as it is."""
        for _, _, _, order, key, transition in emissions:
            if transition.change is not Change.ANOTHER:
                self._levels[order][key] = transition.level

    def of(self, order: int) -> Int8:
        """The levels of a rule's keys."""
        return self._levels[order]
