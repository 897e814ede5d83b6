"""Who answers for each micro-grid in the days to come: is there somebody on duty and reachable at every minute?

Duty changes only at known instants (shifts, rotations, changes), so looking once between each two of them is looking
at every minute. People are looked for level by level: the micro-grid, its residential grid, its block, the street.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from itertools import pairwise

import msgspec

from sensord.core.people.roster import Person, Roster
from sensord.core.place import PlaceKind, Places

CIRCLES = (PlaceKind.MICRO_GRID, PlaceKind.GRID, PlaceKind.BLOCK, PlaceKind.STREET)


class Hole(msgspec.Struct, frozen=True):
    """From ``start`` to ``end`` (ns) nobody answers for the micro-grid ``place``, at any level."""

    place: str
    start: int
    end: int


class Coverage(msgspec.Struct):
    """What was found. ``fallback`` counts, per circle, the nanoseconds x micro-grids that it had to answer for."""

    micro_grids: int
    start: int
    end: int
    holes: list[Hole]
    fallback: dict[PlaceKind, int]


def cover(roster: Roster, places: Places, roles: Collection[str], start: int, end: int) -> Coverage:
    """Look through [start, end) (ns): people of ``roles``, for every micro-grid."""
    micro_grids = [place.id for place in places.places if place.kind is PlaceKind.MICRO_GRID]
    circles = {place: places.responsible(place) for place in micro_grids}
    people = [person for person in roster.people if person.role in roles and roster.reachable(person)]
    instants = [*roster.table.boundaries(start, end), end]
    open_since: dict[str, int] = {}
    holes: list[Hole] = []
    fallback: Counter[PlaceKind] = Counter()
    for since, until in pairwise(instants):
        posts = _posts(people, roster, since)
        for place in micro_grids:
            depth = next((depth for depth, circle in enumerate(circles[place]) if not posts.isdisjoint(circle)), None)
            if depth is not None:
                fallback[CIRCLES[depth]] += until - since
                if place in open_since:
                    holes.append(Hole(place, open_since.pop(place), since))
            else:
                open_since.setdefault(place, since)
    holes += [Hole(place, since, end) for place, since in open_since.items()]
    return Coverage(
        len(micro_grids), start, end, sorted(holes, key=lambda hole: (hole.start, hole.place)), dict(fallback)
    )


def _posts(people: list[Person], roster: Roster, at: int) -> frozenset[str]:
    return frozenset(person.serves for person in people if roster.table.on_duty(person.id, at))
