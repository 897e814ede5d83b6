"""Who is on duty, as plain values for programs: what ``sensord roster now`` and the API show."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sensord.core.definition import Definition
from sensord.core.instant import format_instant
from sensord.core.people.present import Away, OnDuty, Post, posts
from sensord.core.people.roster import Roster
from sensord.core.place import Places

Plain = dict[str, Any]


def describe(
    definition: Definition, places: Places, undeliverable: Collection[tuple[str, str]], at: int, place: str = ""
) -> Plain:
    """Describe who is on duty at an instant (ns), for the whole street or for one place; addresses are in none of it.

    Raises ``KeyError`` for a place that is none.
    """
    roster = Roster(definition.staff, places, definition.duty, definition.zone)
    roster.undeliverable = undeliverable
    found = posts(roster, places, at, places.by_id[place].id if place else "")
    shown = [_Shown(definition, places).post(post) for post in found]
    return {"at": format_instant(at, definition.zone), "place": place or None, "posts": shown}


class _Shown:
    """Writes posts with the names of one definition."""

    def __init__(self, definition: Definition, places: Places) -> None:
        self._zone, self._places = definition.zone, places
        self._roles = {role.id: role.name for role in definition.roles}

    def post(self, post: Post) -> Plain:
        names = self._roles.get(post.role, {})
        return {
            "role": post.role,
            "role_name": names.get("zh", post.role),
            "role_name_en": names.get("en") or names.get("zh", post.role),
            "place": post.place,
            "place_name": self._places.name(post.place, "zh"),
            "place_name_en": self._places.name(post.place, "en"),
            "people": [self._person(one) for one in post.people],
            "away": [self._away(one) for one in post.away],
            "next": self._instant(post.next),
        }

    def _person(self, one: OnDuty) -> Plain:
        return {
            "person": one.person,
            "shift": one.shift or None,
            "until": self._instant(one.until),
            "stands_in_for": one.stands_in_for or None,
            "channels": one.channels,
            "failing": one.failing,
        }

    def _away(self, one: Away) -> Plain:
        until = self._instant(one.until)
        return {"person": one.person, "reason": one.reason, "until": until, "stands_in": one.stands_in or None}

    def _instant(self, at: int) -> str | None:
        return format_instant(at, self._zone) if at else None
