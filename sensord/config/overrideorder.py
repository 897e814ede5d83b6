"""Finds where the thresholds that apply together do not ascend with the levels.

A key below several overridden places takes each level's threshold from the nearest that gives it, and the rest from
the rule: each override may fit the rule, and two of them not each other. So the ladder is looked at wherever one is
made: at every overridden place, where a key may come to be; and at every key of the rule, if several may apply to one,
or something is wrong, to say for how many it is so. What no key can take is no part of it: a rule by grid knows nothing
of lanes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sensord.config.ladder import Ladder, out_of_order
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.rules.keys import ITSELF, KeyTable
from sensord.core.rules.rule import LevelSpec, Override, Rule
from sensord.core.rules.thresholds import applying

_OWN = ""
"""Stands for the rule itself where others are places."""


@dataclass(slots=True)
class Disorder:
    """Two levels out of order: the override to look at first, what is wrong with it, and all the keys where it is so.

    ``keys`` are places and devices. What is at odds with one and the same wider threshold is one mistake.
    """

    place: str
    message: str
    keys: set[str] = field(default_factory=set)


def disorders(ladder: Ladder, overrides: Sequence[Override], rule: Rule, places: Places | None) -> Iterable[Disorder]:
    """Return what is out of order under the ``overrides`` of a ``rule`` whose own thresholds are ``ladder``."""
    overrides = applicable(overrides, rule, places)
    faults: dict[tuple[str, Level], Disorder] = {}
    anywhere = {rung.level for one in overrides for rung in one.levels}

    def look(found: Sequence[Override], key: str) -> None:
        names = [*(one.place for one in found), _OWN]
        rungs = [_rung(found, own) for own in ladder.levels]
        for (lower_at, lower), (upper_at, upper) in itertools.pairwise(rungs):
            near, far = sorted((lower_at, upper_at), key=names.index)
            if near == _OWN:
                continue
            if places is None and far == _OWN and (lower if lower_at == _OWN else upper).level in anywhere:
                continue  # without the tree nobody knows whether another override gives it here
            given = ("" if lower_at == near else lower_at, "" if upper_at == near else upper_at)
            fault = out_of_order(ladder.comparison, lower, upper, given)
            if fault is not None:
                wider = _OWN if near == far else far
                faults.setdefault((wider, upper.level), Disorder(near, f"{near}: {fault}")).keys.add(key)

    for found, key in _overridden(overrides, places):
        look(found, key)
    for found, key in _keys(overrides, rule, places) if faults or _may_meet(overrides, places) else ():
        look(found, key)
    return faults.values()


def applicable(overrides: Sequence[Override], rule: Rule, places: Places | None) -> list[Override]:
    """Return those of the overrides that keys of the rule can take: of a place of the kind ``by``, or one above it.

    A rule by device takes those of devices and of all places. Without the tree nobody knows, and all are returned.
    """
    if places is None or rule.by == "device":
        return list(overrides)
    homes = (place.id for place in places.places if rule.by in (ITSELF, place.kind))
    reached = {name for home in homes for name in places.path(home).values()}
    return [one for one in overrides if one.place in reached]


def _overridden(overrides: Sequence[Override], places: Places | None) -> Iterator[tuple[Sequence[Override], str]]:
    """Yield the overrides that apply, the nearest first, at each overridden place, where a key may come to be."""
    if places is None:
        yield from (([one], one.place) for one in overrides)
        return
    by_place = {one.place: one for one in overrides}
    for name in by_place:
        if name in places.by_id:
            yield applying(by_place, "", name, places), name
        elif name in places.device_index:
            yield applying(by_place, name, places.devices[places.device_index[name]].place, places), name


def _may_meet(overrides: Sequence[Override], places: Places | None) -> bool:
    """Whether several may apply to one key: it lies in one place of each kind."""
    if places is None:
        return False
    found = (places.by_id.get(one.place) for one in overrides)
    return len({place.kind if place is not None else None for place in found}) > 1


def _keys(overrides: Sequence[Override], rule: Rule, places: Places | None) -> Iterator[tuple[Sequence[Override], str]]:
    """Yield the same for each key of the rule."""
    if places is not None:
        by_place, table = {one.place: one for one in overrides}, KeyTable(rule, places)
        for device, place in zip(table.devices_of, table.places, strict=True):
            yield applying(by_place, device, place, places), device or place


def _rung(found: Sequence[Override], own: LevelSpec) -> tuple[str, LevelSpec]:
    """Who decides a level's threshold, and what it is."""
    given = ((one.place, rung) for one in found for rung in one.levels if rung.level == own.level)
    return next(given, (_OWN, own))
