"""Finds plates that differ in one character from a given one, without a look at every plate. Pure.

Two plates are neighbours (``pseudonym.neighbours``) when one of the eight hashes of their neighbourhoods is the same at
the same place, or when what stands for a whole plate of seven characters is any hash of the other. So names are kept
under (place, hash).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sensord.core.vehicles.pseudonym import neighbours

_HASH = 0xFFFF
_BITS = 16
_WHOLE = 4
"""The place, of eight, that holds the hash of a whole plate which has seven characters."""

Neighbourhood = tuple[int, int]
"""``early`` and ``late`` of an ``Identity``."""


class Nearby:
    """Names by the neighbourhoods of their plates; a name has one. ``names`` has them all."""

    def __init__(self, known: Iterable[tuple[int, Neighbourhood]] = ()) -> None:
        self.names: dict[int, Neighbourhood] = {}
        self._placed: dict[int, list[int]] = {}
        for name, neighbourhood in known:
            self.put(name, *neighbourhood)

    def put(self, name: int, early: int, late: int) -> None:
        """Note a name, or another neighbourhood of it."""
        self.drop(name)
        self.names[name] = early, late
        for place in _places(early, late):
            self._placed.setdefault(place, []).append(name)

    def drop(self, name: int) -> None:
        """Forget a name, if it is there."""
        if (neighbourhood := self.names.pop(name, None)) is None:
            return
        for place in _places(*neighbourhood):
            names = self._placed[place]
            names.remove(name)
            if not names:
                del self._placed[place]

    def near(self, early: int, late: int) -> set[int]:
        """The names whose plates differ in one character from the one that has this neighbourhood."""
        found = set[int]().union(*(self._placed.get(place, ()) for place in _asked(early, late)))
        return {name for name in found if neighbours(early, late, *self.names[name])}


def _hashes(early: int, late: int) -> list[int]:
    """The eight hashes in the order of their places."""
    return [word >> shift & _HASH for word in (early, late) for shift in range(0, 4 * _BITS, _BITS)]


def _places(early: int, late: int) -> Iterator[int]:
    """Under what a name stands."""
    return (place << _BITS | one for place, one in enumerate(_hashes(early, late)))


def _asked(early: int, late: int) -> set[int]:
    """Under what its neighbours stand."""
    hashes = _hashes(early, late)
    whole = hashes[_WHOLE]
    beside = {_WHOLE << _BITS | one for one in hashes} | {place << _BITS | whole for place in range(len(hashes))}
    return beside | set(_places(early, late))
