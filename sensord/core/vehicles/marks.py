"""What rules want to hear of visits besides passages: stays that reach a length, and nights. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sensord.core.instant import HOUR
from sensord.core.place import PlaceKind, Places
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.rule import RISING, Rule
from sensord.core.rules.thresholds import Thresholds
from sensord.core.stream import EVENT, Stream


def sees(rule: Rule, event: str) -> bool:
    """Whether a rule looks at readings of this event."""
    return rule.stream is Stream.VISIT and event in rule.where.get("event", EVENT.words)


def marks_of(rules: Iterable[Rule], places: Places) -> dict[str, tuple[int, ...]]:
    """The lengths of stay (ns) at which a rule wants to hear of a vehicle, by compound, ascending.

    They are the thresholds of rules on ``stay``, as they apply there: another place's ``overrides`` are none of its.
    """
    found: dict[str, set[int]] = {}
    for rule in rules:
        if not sees(rule, "staying") or rule.value is None or rule.value.field != "stay":
            continue
        if rule.comparison in RISING:
            for place, hours in _thresholds(rule, places):
                found.setdefault(place, set()).update(round(each * HOUR) for each in hours)
    return {place: tuple(sorted(mark for mark in marks if mark > 0)) for place, marks in found.items()}


def _thresholds(rule: Rule, places: Places) -> Iterator[tuple[str, list[float]]]:
    """Yield the compound of each device that the rule looks at, and the rule's thresholds for what is seen there."""
    table = KeyTable(rule, places)
    enter = Thresholds(rule, len(table), table, places).enter
    for device, key in zip(places.devices, table.of_device.tolist(), strict=True):
        compound = places.above(device.place, PlaceKind.COMPOUND)
        if compound is not None and key >= 0:
            yield compound, enter[:, key].tolist()
