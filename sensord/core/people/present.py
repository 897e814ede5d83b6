"""Who is on duty at an instant: post by post, till when, over which channels, who is away and who stands in.

A *post* is a role at a place of the roster. Of a place those posts count that answer for it: its own with all below it,
then its residential grid's, its block's, the street's.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sensord.core.instant import DAY
from sensord.core.people.duty import Change
from sensord.core.people.roster import Person, Roster
from sensord.core.place import Places

AHEAD = 14 * DAY
"""So far is looked for the end of somebody's duty, and for somebody who comes to an empty post."""


class OnDuty(msgspec.Struct, frozen=True):
    """Somebody on duty: in which shift ("": always, or by a change), until when (ns; 0: not within ``AHEAD``).

    ``channels`` are those that are thought to work, ``failing`` those that are known not to deliver.
    """

    person: str
    shift: str
    until: int
    stands_in_for: str
    channels: tuple[str, ...]
    failing: tuple[str, ...]


class Away(msgspec.Struct, frozen=True):
    """Somebody whom a change of the plan takes off duty, why, until when (ns), and who stands in ("": nobody)."""

    person: str
    reason: str
    until: int
    stands_in: str


class Post(msgspec.Struct, frozen=True):
    """A role at a place: who is on duty, and who is away.

    Of a post where nobody is on duty ``next`` is when somebody comes (ns; 0: not within ``AHEAD``).
    """

    role: str
    place: str
    people: tuple[OnDuty, ...]
    away: tuple[Away, ...]
    next: int = 0


def posts(roster: Roster, places: Places, at: int, place: str = "") -> list[Post]:
    """Return the posts of the roster at an instant, or those that answer for ``place``, nearest first."""
    found: dict[tuple[str, str], list[Person]] = {}
    for person in _of(roster, places, place):
        found.setdefault((person.role, person.serves), []).append(person)
    edges = roster.table.boundaries(at, at + AHEAD)[1:]
    return [_post(roster, role, serves, people, at, edges) for (role, serves), people in found.items()]


def _of(roster: Roster, places: Places, place: str) -> Iterator[Person]:
    if not place:
        yield from roster.people
        return
    for circle in places.responsible(place):
        yield from (person for person in roster.people if person.serves in circle)


def _post(roster: Roster, role: str, place: str, people: list[Person], at: int, edges: list[int]) -> Post:
    on_duty = tuple(_on_duty(roster, one, at, edges) for one in people if roster.table.on_duty(one.id, at))
    changes = ((one.id, roster.table.change_at(one.id, at)) for one in people)
    away = tuple(_away(one, change) for one, change in changes if change is not None and change.off == one)
    comes = (edge for edge in edges if any(roster.table.on_duty(one.id, edge) for one in people))
    return Post(role, place, on_duty, away, 0 if on_duty else next(comes, 0))


def _on_duty(roster: Roster, person: Person, at: int, edges: list[int]) -> OnDuty:
    until = next((edge for edge in edges if not roster.table.on_duty(person.id, edge)), 0)
    change = roster.table.change_at(person.id, at)
    channels = [contact.channel for contact in person.contacts]
    failing = tuple(one for one in channels if (person.id, one) in roster.undeliverable)
    return OnDuty(
        person=person.id,
        shift=roster.table.shift_at(person.id, at) or "",
        until=until,
        stands_in_for=change.off if change is not None else "",
        channels=tuple(one for one in channels if one not in failing),
        failing=failing,
    )


def _away(person: str, change: Change) -> Away:
    return Away(person, change.reason.value, change.end, change.on)
