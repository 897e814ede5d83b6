"""Who answers for which place, and is on duty and reachable.

That contacts are thought not to deliver makes more people hear, never fewer: what went wrong may have been the channel,
for a minute. So whoever is nearest is told in any case, and the nearest who can be reached besides.

People appear as roles (``居委干部-03``), never by name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice

import msgspec

from sensord.core.people.duty import Duty, DutyTable
from sensord.core.place import PlaceKind, Places


class Contact(msgspec.Struct, frozen=True, omit_defaults=True):
    """A way to reach someone: a channel of the configuration, and this person's address on it, if it needs one.

    ``after`` (ns) makes it a second way: used only when the first ways have not delivered for so long.
    """

    channel: str
    address: str = ""
    after: int = 0


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """Someone on the roster: ``role`` is a role of the dispatch plan, ``serves`` a place id.

    ``shifts`` are shift ids; without any, and without a rotation, the person is always on duty.
    """

    id: str
    role: str
    serves: str
    contacts: tuple[Contact, ...]
    language: str = "zh"
    shifts: tuple[str, ...] = ()


def without(person: Person, channels: Collection[str]) -> Person:
    """The same by other channels than these; the first way that is left waits for no other."""
    left = tuple(contact for contact in person.contacts if contact.channel not in channels)
    if left and all(contact.after for contact in left):
        left = (msgspec.structs.replace(left[0], after=0), *left[1:])
    return msgspec.structs.replace(person, contacts=left)


class Roster:
    """Looks people up by role, place and instant; who has no contact at all is found for nothing.

    ``undeliverable`` holds the contacts (person, channel) that are known not to deliver; it belongs to the case book
    and changes while the roster is in use.
    """

    def __init__(self, people: tuple[Person, ...], places: Places, duty: Duty | None = None, zone: str = "UTC") -> None:
        self.people = people
        self.by_id = {person.id: person for person in people}
        self.table = DutyTable(duty or Duty(), {person.id: person.shifts for person in people}, zone)
        self.undeliverable: Collection[tuple[str, str]] = ()
        self._places = places
        self._by_post: dict[tuple[str, str], list[Person]] = {}
        for person in sorted((one for one in people if one.contacts), key=lambda person: person.id):
            self._by_post.setdefault((person.role, person.serves), []).append(person)
        self._circles: dict[tuple[str, bool], list[frozenset[str]]] = {}

    def responsible(self, role: str, place: str, at: int) -> list[Person]:
        """People of ``role`` who answer for ``place`` and are on duty at ``at``; who can be reached come first.

        Those nearest to it, and of the nearest circle where anybody can be reached those who can. Sorted by id within
        a circle, so that the answer does not depend on the order of the file. Empty when nobody is on duty anywhere.
        """
        circles = [self._in(role, circle, at) for circle in self._circle(place, wide=False)]
        reached = next(filter(None, (list(filter(self.reachable, circle)) for circle in circles)), [])
        return _each_once(reached, next(filter(None, circles), []))

    def nearest(self, role: str, place: str, at: int, count: int, avoid: Collection[str] = ()) -> list[Person]:
        """Up to ``count`` of ``role``, on duty, from the nearest grid outwards, but those to avoid.

        When some of these cannot be reached, the nearest ``count`` who can come before them, so that it may be twice as
        many. After the place's own grid come its neighbours as ``places.yaml`` states them, then the other grids whose
        distance is known, then its block and the street. Of several grids the nearer comes first, where positions say.
        """
        near = list(islice(self._outwards(role, place, at, avoid), count))
        return _each_once(islice(filter(self.reachable, self._outwards(role, place, at, avoid)), count), near)

    def _outwards(self, role: str, place: str, at: int, avoid: Collection[str]) -> Iterator[Person]:
        seen = set(avoid)
        for circle in self._circle(place, wide=True):
            for person in self._in(role, circle, at):
                if person.id not in seen:
                    seen.add(person.id)
                    yield person

    def reachable(self, person: Person) -> bool:
        """Whether some contact of the person is not known to fail."""
        return any((person.id, contact.channel) not in self.undeliverable for contact in person.contacts)

    def _in(self, role: str, circle: Iterable[str], at: int) -> list[Person]:
        found = [person for post in circle for person in self._by_post.get((role, post), ())]
        return sorted((one for one in found if self.table.on_duty(one.id, at)), key=lambda person: person.id)

    def _circle(self, place: str, *, wide: bool) -> list[frozenset[str]]:
        """The circles around a place; wide ones take in all that lies in them: neighbours, too."""
        if (place, wide) not in self._circles:
            circles = self._places.responsible(place)
            if wide:
                circles = [circles[0], *self._widening(place)]
            self._circles[place, wide] = circles
        return self._circles[place, wide]

    def _widening(self, place: str) -> Iterator[frozenset[str]]:
        above = self._places.path(place)
        grid = above.get(PlaceKind.GRID)
        if grid is not None:
            yield self._places.within(grid)
            for grids in self._near(place, grid):
                yield frozenset().union(*(self._places.within(one) for one in grids))
        yield from (self._places.within(above[kind]) for kind in (PlaceKind.BLOCK, PlaceKind.STREET) if kind in above)

    def _near(self, place: str, grid: str) -> Iterator[frozenset[str]]:
        """The other grids, nearest first: the stated neighbours, then those whose distance is known."""
        stated = self._places.beside(grid)
        yield from self._places.outwards(place, stated)
        yield stated
        every = (one.id for one in self._places.places if one.kind is PlaceKind.GRID)
        yield from self._places.outwards(place, (one for one in every if one != grid and one not in stated))


def _each_once(*people: Iterable[Person]) -> list[Person]:
    return list({person.id: person for some in people for person in some}.values())
