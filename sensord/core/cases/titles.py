"""What rules and plans are called. One that is gone keeps its title as long as a case, or what waits, speaks of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from sensord.core.cases.builtin import built_in
from sensord.core.cases.case import Case
from sensord.core.cases.damping import Damped
from sensord.core.cases.message import Names
from sensord.core.definition import Definition
from sensord.core.place import Places

Named = Mapping[str, Mapping[str, str]]


class Titles(msgspec.Struct, frozen=True):
    """The titles, by id and language, of the rules and plans that are no part of the definition any more."""

    rules: dict[str, Mapping[str, str]] = {}
    plans: dict[str, Mapping[str, str]] = {}


def names_of(definition: Definition, places: Places, gone: Titles) -> Names:
    """What texts call things under a definition."""
    rules, plans = _titles(definition)
    return Names(places, {**gone.plans, **plans}, {**gone.rules, **rules}, definition.zone)


def titles_gone(before: Names, now: Definition, cases: Iterable[Case], damped: Damped) -> Titles:
    """The titles to be kept when the definition ``now`` follows one under which things had the names ``before``."""
    rules, plans = _titles(now)
    spoken, went_by = set[str](), {one.policy for outlet in damped.outlets.values() for one in outlet.waiting}
    for case in cases:
        spoken.update(_rules_of(case))
        went_by.add(case.policy)
    return Titles(_left(before.rules, rules, spoken), _left(before.plans, plans, went_by))


def _titles(definition: Definition) -> tuple[Named, Named]:
    rules = {rule.id: rule.name for rule in (*definition.rules, *built_in(definition))}
    return rules, {policy.id: policy.name for policy in definition.policies}


def _left(before: Named, now: Named, wanted: set[str]) -> dict[str, Mapping[str, str]]:
    return {name: before[name] for name in sorted(wanted) if name in before and name not in now}


def _rules_of(case: Case) -> Iterator[str]:
    """The rules that a message about a case may name: that of its text, and those of whose alerts people heard."""
    yield case.rule
    for told in case.told.values():
        yield from told.rules
    for one in (*case.untold, *case.standing, *(way.about for way in case.fallbacks.values())):
        if one is not None:
            yield one.rule
