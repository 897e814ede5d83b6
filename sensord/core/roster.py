"""Who answers for which place. People appear as roles (``居委干部-03``), never by name."""

from __future__ import annotations

import msgspec

from sensord.core.place import Places


class Contact(msgspec.Struct, frozen=True, omit_defaults=True):
    """A way to reach someone: a channel of the configuration, and this person's address on it, if it needs one."""

    channel: str
    address: str = ""


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """Someone on the roster: ``role`` is a role of the dispatch plan, ``serves`` a place id."""

    id: str
    role: str
    serves: str
    contacts: tuple[Contact, ...]
    language: str = "zh"


class Roster:
    """Looks people up by role and place."""

    def __init__(self, people: tuple[Person, ...], places: Places) -> None:
        self.people = people
        self._places = places
        self._by_post: dict[tuple[str, str], list[Person]] = {}
        for person in people:
            self._by_post.setdefault((person.role, person.serves), []).append(person)

    def responsible(self, role: str, place: str) -> list[Person]:
        """People of ``role`` who answer for ``place``: those nearest to it; each wider circle is the fallback.

        Sorted by id, so that the answer does not depend on the order of the file. Empty when nobody anywhere does.
        """
        for circle in self._places.responsible(place):
            found = [person for post in circle for person in self._by_post.get((role, post), ())]
            if found:
                return sorted(found, key=lambda person: person.id)
        return []
