"""The tree of places and the sensors that stand in it.

::

    street ── block ── grid ── micro_grid ── lane
                         └──── compound ──── gate

A *grid* is a residential grid. A lane hangs below its micro-grid and also names the compound that it lies in; a gate
hangs below its compound and also names the micro-grid whose people answer for it. Everything below a grid stays within
that grid, so a street partitions exactly by grid.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from sensord.core.instant import SECOND
from sensord.core.stream import Stream

_METRES_PER_DEGREE = 111_320
"""Of a great circle: 40,075 km of equator by 360 degrees."""
_WHICH_GATE = re.compile(
    r"|[ ·，]*([东南西北中前后正侧大主]{0,2}|[0-9一二三四五六七八九十]+号)门"
    r"|,? ((north|south|east|west|main|front|back|rear|side)[ -]?){0,2}gate( [0-9a-z])?",
    re.IGNORECASE,
)
"""What follows a compound's name in that of a gate which says where it is. A gate on 保德路 is not one of 保德."""
_LONGER_NAME = re.compile(r"路|街|大道| (road|street)\b|(?<=[0-9a-z])[0-9a-z]", re.IGNORECASE)
"""What makes another name of a compound's that a lane's begins with: 保德路12弄 is not in 保德, nor 2弄10号 in 2弄1."""


class PlaceKind(StrEnum):
    """A level of the place tree."""

    STREET = "street"
    BLOCK = "block"
    GRID = "grid"
    MICRO_GRID = "micro_grid"
    COMPOUND = "compound"
    LANE = "lane"
    GATE = "gate"


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """One node. ``parent`` is the id of the node above; ``compound``/``micro_grid`` are the second ties (see above).

    ``micro_grids`` (compounds only) lists what the compound covers. ``area_m2`` is what a lane's sensor looks at;
    ``parking`` is a number of parking spaces, ``capacity`` how many people the place holds. ``position`` (compounds and
    gates) is (latitude, longitude) in degrees. ``neighbours`` (grids) are the grids beside it, whatever their block;
    of two it is enough that one names the other.
    """

    id: str
    kind: PlaceKind
    name: str
    name_en: str = ""
    parent: str | None = None
    compound: str | None = None
    micro_grid: str | None = None
    micro_grids: tuple[str, ...] = ()
    area_m2: float | None = None
    parking: int | None = None
    capacity: int | None = None
    position: tuple[float, float] | None = None
    neighbours: tuple[str, ...] = ()

    def label(self, language: str) -> str:
        """The place's name in ``zh`` or ``en`` (falls back to the Chinese name)."""
        return self.name if language == "zh" else self.name_en or self.name


class Device(msgspec.Struct, frozen=True, omit_defaults=True):
    """A registered sensor: which stream it feeds, where it stands, how often it must be heard (ns).

    ``colours`` is what a camera's words or numbers for colours mean: pairs of its word and ours.
    """

    id: str
    stream: Stream
    place: str
    period: int
    codec: str = "native"
    colours: tuple[tuple[str, str], ...] = ()

    @property
    def deadline(self) -> int:
        """Silence (ns) after which the device counts as silent: three periods, at least ten seconds."""
        return max(3 * self.period, 10 * SECOND)


class Places:
    """The tree with its look-ups, all computed once; immutable.

    Raises ``KeyError`` for an id that does not exist, ``ValueError`` for places that lie in a circle. The configuration
    is validated before it gets here.
    """

    def __init__(self, places: Iterable[Place], devices: Iterable[Device]) -> None:
        self.places: tuple[Place, ...] = tuple(places)
        self.devices: tuple[Device, ...] = tuple(devices)
        self.by_id = {place.id: place for place in self.places}
        self.index = {place.id: number for number, place in enumerate(self.places)}
        self.device_index = {device.id: index for index, device in enumerate(self.devices)}
        self.of_stream: dict[Stream, list[int]] = {}
        for index, device in enumerate(self.devices):
            self.of_stream.setdefault(device.stream, []).append(index)
        self._above = {place.id: self._climb(place) for place in self.places}
        below: dict[str, set[str]] = {place.id: set() for place in self.places}
        for place in self.places:
            for ancestor in self._above[place.id].values():
                below[ancestor].add(place.id)
        for place in self.places:
            below[place.id].update(place.micro_grids)
        self._below = {place: frozenset(lower) for place, lower in below.items()}

    def _climb(self, place: Place) -> dict[PlaceKind, str]:
        above = {place.kind: place.id}
        for tie in (place.compound, place.micro_grid):
            if tie is not None:
                above[self.by_id[tie].kind] = tie
        node = place
        for _ in range(len(PlaceKind)):
            if node.parent is None:
                return above
            node = self.by_id[node.parent]
            above.setdefault(node.kind, node.id)
        raise ValueError(f"{place.id} lies in itself, or deeper than there are kinds of places")

    def name(self, place: str, language: str) -> str:
        """What people are told that a place is, in ``zh`` or ``en``.

        A gate or lane with its compound, as others have one of the same name (one that is called as the whole street
        tells nothing more); a place that is no more by its id.
        """
        found = self.by_id.get(place)
        if found is None:
            return place
        name, lies_in = found.label(language), found.kind in (PlaceKind.GATE, PlaceKind.LANE)
        compound = self.above(place, PlaceKind.COMPOUND) if lies_in else None
        if compound is None:
            return name
        before, street = self.by_id[compound].label(language), self.above(place, PlaceKind.STREET)
        told = _says(name, before, found.kind) or (street is not None and before == self.by_id[street].label(language))
        return name if told else f"{before} {name}"

    def above(self, place: str, kind: PlaceKind) -> str | None:
        """The node of that kind at or above ``place``, or None (a grid has no lane above it)."""
        return self._above[place].get(kind)

    def path(self, place: str) -> dict[PlaceKind, str]:
        """Every node at or above ``place`` by kind, the ties to compound and micro-grid included."""
        return dict(self._above[place])

    def position(self, place: str) -> tuple[float, float] | None:
        """Where a place lies: where it says itself, else where its compound does; None when neither says so."""
        compound = self._above[place].get(PlaceKind.COMPOUND, place)
        return self.by_id[place].position or self.by_id[compound].position

    def metres(self, one: str, other: str) -> int | None:
        """How far two places lie apart as the crow flies, in whole metres; None when that is not known."""
        here, there = self.position(one), self.position(other)
        if here is None or there is None:
            return None
        # On the few kilometres of a subdistrict the earth is flat; whole metres are the same on every machine.
        north = here[0] - there[0]
        east = (here[1] - there[1]) * math.cos(math.radians(here[0]))
        return round(math.hypot(north, east) * _METRES_PER_DEGREE)

    def nearness(self, one: str, other: str) -> tuple[int, int]:
        """By what the nearest of several places is found: the grid, block or street in common, then the metres.

        Where both say where they lie, the metres alone count.
        """
        metres = self.metres(one, other)
        if metres is not None:
            return 0, metres
        near = (PlaceKind.GRID, PlaceKind.BLOCK, PlaceKind.STREET)
        shared = (step for step, kind in enumerate(near) if self.above(one, kind) == self.above(other, kind))
        return 1 + next(shared, len(near)), 0

    def beside(self, grid: str) -> frozenset[str]:
        """The grids that are stated to lie beside a grid."""
        named = {place.id for place in self.places if grid in place.neighbours}
        return frozenset(named.union(self.by_id[grid].neighbours))

    def outwards(self, place: str, grids: Iterable[str]) -> list[frozenset[str]]:
        """Residential grids in the order of how far they lie from a place; those equally far are together.

        A grid lies where its compounds do. Those of which the distance is not known are left out.
        """
        far: dict[int, set[str]] = {}
        here = self._located(place)
        for grid in grids:
            apart = [self.metres(one, other) for one in here for other in self._located(grid)]
            known = [metres for metres in apart if metres is not None]
            if known:
                far.setdefault(min(known), set()).add(grid)
        return [frozenset(far[metres]) for metres in sorted(far)]

    def _located(self, place: str) -> list[str]:
        """The places with a position that stand for a place: itself, or the compounds that lie in it or cover it."""
        if self.position(place) is not None:
            return [place]
        compounds = (one for one in self.places if one.kind is PlaceKind.COMPOUND and one.position is not None)
        return [one.id for one in compounds if one.id in self._below[place] or place in one.micro_grids]

    def within(self, place: str) -> frozenset[str]:
        """Every node at or below ``place``; a compound contains the micro-grids that it covers."""
        return self._below[place]

    def responsible(self, place: str) -> list[frozenset[str]]:
        """Where to look for people who answer for ``place``, nearest first.

        First the place with all that lies in it and its micro-grid, then its residential grid, its block, the street.
        """
        above = self._above[place]
        near = self._below[place] | ({above[PlaceKind.MICRO_GRID]} if PlaceKind.MICRO_GRID in above else set())
        order = (PlaceKind.GRID, PlaceKind.BLOCK, PlaceKind.STREET)
        return [near, *(frozenset({above[kind]}) for kind in order if kind in above)]


def _says(name: str, compound: str, kind: PlaceKind) -> bool:
    """Whether a gate's or lane's name says in which compound it is."""
    if not name.startswith(compound):
        return False
    if kind is PlaceKind.GATE:
        return _WHICH_GATE.fullmatch(name, len(compound)) is not None
    return _LONGER_NAME.match(name, len(compound)) is None
