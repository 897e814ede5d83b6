"""What rules want to hear of visits besides passages: stays that reach a length, and nights. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sensord.core.instant import HOUR
from sensord.core.level import Level
from sensord.core.place import PlaceKind, Places
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.rule import RISING, Rule
from sensord.core.rules.thresholds import Thresholds
from sensord.core.stream import (
    CERTAINTY,
    DIRECTION,
    ENERGY,
    EVENT,
    LISTED,
    PLATE_CLASS,
    PROVINCE,
    Stream,
)
from sensord.core.vehicles.visit import Visit


def sees(rule: Rule, event: str) -> bool:
    """Whether a rule looks at readings of this event."""
    return rule.stream is Stream.VISIT and event in rule.where.get("event", EVENT.words)


class Lengths:
    """The lengths of stay at which rules want to hear of a vehicle.

    They are the thresholds of rules on ``stay``, as they apply to what a camera sees: another place's ``overrides`` are
    none of its. ``marks`` has all of them (ns), by compound, ascending; ``others`` has, by rule and camera (its
    position in the registry), the lengths (hours, as readings say them) that are marks of other rules alone.
    """

    def __init__(self, rules: Iterable[Rule], places: Places) -> None:
        self._rules = {rule.id: rule for rule in rules if _wants(rule)}
        self._rungs: dict[tuple[str, str], dict[str, list[tuple[int, Level]]]] = {}
        found: dict[str, set[int]] = {}
        for rule in self._rules.values():
            for device, place, hours in _thresholds(rule, places):
                lengths = [round(each * HOUR) for each in hours]
                levels = [rung.level for rung in rule.levels]
                rungs = self._rungs.setdefault((rule.id, place), {})
                rungs[device] = list(zip(lengths, levels, strict=True))
                found.setdefault(place, set()).update(lengths)
        self.marks = {place: tuple(sorted(mark for mark in marks if mark > 0)) for place, marks in found.items()}
        self.others: dict[str, dict[int, frozenset[float]]] = {}
        for (name, place), cameras in self._rungs.items():
            for camera, own in cameras.items():
                theirs = found[place].difference(mark for mark, _ in own)
                if theirs:
                    number = places.device_index[camera]
                    self.others.setdefault(name, {})[number] = frozenset(mark / HOUR for mark in theirs)

    def news(self, before: Lengths, place: str, visit: Visit, stay: int) -> list[str]:
        """The rules that have more to say of a visit to ``place`` that has lasted so long (ns) than ``before``."""
        return [
            one for one in self._rules if self.level(one, place, visit, stay) > before.level(one, place, visit, stay)
        ]

    def level(self, name: str, place: str, visit: Visit, stay: int) -> Level:
        """The level at which a rule speaks of a visit; none when there is no such rule, or it is not about it.

        A camera that has gone, or another name, counts as the others of the compound; without any nothing is said.
        """
        cameras = self._rungs.get((name, place), {})
        rungs = [cameras[visit.read.device]] if visit.read.device in cameras else cameras.values()
        reached = [level for each in rungs for mark, level in each if mark <= stay]
        return max(reached) if reached and _is_about(self._rules[name], visit) else Level.NONE


def _wants(rule: Rule) -> bool:
    on_stays = rule.value is not None and rule.value.field == "stay" and rule.comparison in RISING
    return on_stays and sees(rule, "staying")


def _is_about(rule: Rule, visit: Visit) -> bool:
    """Whether a rule's ``where`` asks for what a visit is."""
    read = visit.read
    codes = {
        DIRECTION: read.direction, PLATE_CLASS: read.sort, PROVINCE: read.province, ENERGY: read.energy,
        LISTED: read.listed, CERTAINTY: visit.certainty,
    }  # fmt: skip
    asked = ((label, code) for label, code in codes.items() if label.name in rule.where)
    return all(code >= 0 and label.words[code] in rule.where[label.name] for label, code in asked)


def _thresholds(rule: Rule, places: Places) -> Iterator[tuple[str, str, list[float]]]:
    """Yield each camera that the rule looks at, its compound, and the rule's thresholds for what is seen there."""
    table = KeyTable(rule, places)
    enter = Thresholds(rule, len(table), table, places).enter
    for device, key in zip(places.devices, table.of_device.tolist(), strict=True):
        compound = places.above(device.place, PlaceKind.COMPOUND)
        if compound is not None and key >= 0:
            yield device.id, compound, enter[:, key].tolist()
