"""Who answers for each micro-grid in the days to come: is there somebody on duty and reachable at every minute?

That is asked of each plan by itself: whom only the plan for parking names is nobody for a crowd.

Duty changes only at known instants (shifts, rotations, changes), and so does who is out of reach (until a contact that
failed is tried again): looking once between each two of them is looking at every minute. People are looked for level by
level: the micro-grid, its residential grid, its block, the street.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial
from itertools import pairwise

import msgspec

from sensord.core.people.roster import Person, Roster
from sensord.core.place import PlaceKind, Places

Failed = Mapping[tuple[str, str], int]
"""Contacts (person, channel) that do not deliver, each with the instant (ns) at which it is tried again."""
CIRCLES = (PlaceKind.MICRO_GRID, PlaceKind.GRID, PlaceKind.BLOCK, PlaceKind.STREET)


class Hole(msgspec.Struct, frozen=True):
    """From ``start`` to ``end`` (ns) nobody of ``plan`` answers for the micro-grid ``place``, at any level."""

    place: str
    start: int
    end: int
    plan: str = ""


class Coverage(msgspec.Struct):
    """What was found. ``fallback`` counts, per circle, the nanoseconds x micro-grids x plans that it answers for."""

    micro_grids: int
    start: int
    end: int
    holes: list[Hole]
    fallback: dict[PlaceKind, int]
    plans: int = 1


def cover(
    roster: Roster,
    places: Places,
    plans: Mapping[str, Collection[str]],
    start: int,
    end: int,
    failed: Failed | None = None,
) -> Coverage:
    """Look through [start, end) (ns): people of each plan's roles, for every micro-grid.

    Whom only contacts that ``failed`` would reach is nobody until one of these is tried again.
    """
    one_plan = partial(_cover, roster, places, start, end, failed or {})
    found = [one_plan(plan, frozenset(roles)) for plan, roles in plans.items()]
    holes = sorted((hole for one in found for hole in one.holes), key=lambda hole: (hole.start, hole.place, hole.plan))
    fallback = sum((Counter(one.fallback) for one in found), Counter[PlaceKind]())
    micro_grids = sum(place.kind is PlaceKind.MICRO_GRID for place in places.places)
    return Coverage(micro_grids, start, end, holes, dict(fallback), len(plans))


def _cover(
    roster: Roster, places: Places, start: int, end: int, failed: Failed, plan: str, roles: Collection[str]
) -> Coverage:
    micro_grids = [place.id for place in places.places if place.kind is PlaceKind.MICRO_GRID]
    circles = {place: places.responsible(place) for place in micro_grids}
    people = [person for person in roster.people if person.role in roles]
    again = {at for at in failed.values() if start < at < end}
    instants = [*sorted({*roster.table.boundaries(start, end), *again}), end]
    open_since: dict[str, int] = {}
    holes: list[Hole] = []
    fallback: Counter[PlaceKind] = Counter()
    for since, until in pairwise(instants):
        posts = _posts(people, roster, failed, since)
        for place in micro_grids:
            depth = next((depth for depth, circle in enumerate(circles[place]) if not posts.isdisjoint(circle)), None)
            if depth is not None:
                fallback[CIRCLES[depth]] += until - since
                if place in open_since:
                    holes.append(Hole(place, open_since.pop(place), since, plan))
            else:
                open_since.setdefault(place, since)
    holes += [Hole(place, since, end, plan) for place, since in open_since.items()]
    return Coverage(len(micro_grids), start, end, holes, dict(fallback))


def _posts(people: list[Person], roster: Roster, failed: Failed, at: int) -> frozenset[str]:
    on_duty = (person for person in people if roster.table.on_duty(person.id, at))
    return frozenset(person.serves for person in on_duty if _reachable(person, failed, at))


def _reachable(person: Person, failed: Failed, at: int) -> bool:
    return any(failed.get((person.id, contact.channel), at) <= at for contact in person.contacts)
