"""What rules want to hear of visits besides passages: stays that reach a length, and nights. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from sensord.core.instant import HOUR
from sensord.core.rules.rule import RISING, Rule
from sensord.core.stream import EVENT, Stream


def sees(rule: Rule, event: str) -> bool:
    """Whether a rule looks at readings of this event."""
    return rule.stream is Stream.VISIT and event in rule.where.get("event", EVENT.words)


def marks_of(rules: Iterable[Rule]) -> tuple[int, ...]:
    """The lengths of stay (ns) at which a rule wants to hear of a vehicle: the thresholds of rules on ``stay``."""
    found = {
        round(rung.threshold * HOUR)
        for rule in rules
        if sees(rule, "staying") and rule.value is not None and rule.value.field == "stay"
        if rule.comparison in RISING
        for rung in rule.levels
    }
    return tuple(sorted(mark for mark in found if mark > 0))
