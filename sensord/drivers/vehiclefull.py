"""Which compounds are nearly full, and where the nearest free parking spaces are, for the report on vehicles. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from sensord.core.place import Places

if TYPE_CHECKING:
    from sensord.drivers.vehiclereport import Line

FULL = 90
"""From so many percent of its parking spaces on a compound is nearly full."""
NEAREST = 3
"""So many compounds with free spaces are named."""


class Balance(msgspec.Struct, frozen=True):
    """A compound that is nearly full, and the nearest with free spaces: (compound, free), nearest first.

    ``reliable`` is whether that is so for sure.
    """

    compound: str
    free: int
    nearest: tuple[tuple[str, int], ...]
    reliable: bool = True


def balance(places: Places, compounds: dict[str, Line]) -> Iterable[Balance]:
    """Find the compounds that are nearly full, and where the nearest free spaces are. Where nobody sees, nobody knows.

    Near is what the tree of places knows: the same grid, then the same block, then the street; among equals where
    most is free. Nobody is sent to where the number is not reliable.
    """
    known = {name: line for name, line in compounds.items() if line.parking and line.inside is not None}
    free = {name: line.parking - (line.inside or 0) for name, line in known.items()}
    for name, line in known.items():
        if _is_full(line):
            others = [
                other for other, there in known.items() if other != name and there.reliable and not _is_full(there)
            ]
            others.sort(key=lambda other: (places.nearness(name, other), -free[other], other))
            nearest = tuple((other, free[other]) for other in others[:NEAREST])
            yield Balance(name, free[name], nearest, line.reliable)


def _is_full(line: Line) -> bool:
    """Whether a compound is nearly full; in whole numbers, for 90 of 100 are 90 %."""
    return 100 * (line.inside or 0) >= FULL * line.parking
