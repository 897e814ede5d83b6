"""The 24-hour report on vehicles, as data: per gate, compound and grid, by hour and by day, beside a week before.

It adds up what the core counted (``core.tally``), so a replay of the same journal gives the same numbers. Kinds
(local, out-of-town ...) are those of arrivals, so they add up to ``inward``. ``inside`` is what the core believed at
the end of the day, with ``unsure``, by how many that may be wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

import msgspec

from sensord.core.definition import Definition
from sensord.core.instant import HOUR, from_datetime, to_datetime, zone_info
from sensord.core.place import PlaceKind, Places
from sensord.core.vehicles.tally import ELSEWHERE, Occupancy, PassageCount

KINDS = (PlaceKind.STREET, PlaceKind.GRID, PlaceKind.COMPOUND, PlaceKind.GATE)
DAYS = 8
"""So many days are listed: the day itself, and back to the same weekday before."""
FULL = 0.9
"""From this share of its parking spaces on a compound is nearly full."""
NEAREST = 3


class Line(msgspec.Struct):
    """The numbers of one place. ``before_in``, ``before_out``: the same weekday a week before.

    ``provinces`` and ``cities`` count the vehicles from elsewhere by the first one and two characters of their plates.
    """

    place: str
    kind: str
    inward: int = 0
    outward: int = 0
    local: int = 0
    out_of_town: int = 0
    key_area: int = 0
    special: int = 0
    none: int = 0
    unread: int = 0
    new_energy: int = 0
    provinces: dict[str, int] = {}
    cities: dict[str, int] = {}
    inside: int = 0
    unsure: int = 0
    parking: int = 0
    before_in: int = 0
    before_out: int = 0


class Stretch(msgspec.Struct, frozen=True):
    """The passages of one hour or one day that begins at ``start`` (ns)."""

    start: int
    inward: int
    outward: int
    out_of_town: int


class Balance(msgspec.Struct, frozen=True):
    """A compound that is nearly full, and the nearest with free spaces: (compound, free), nearest first."""

    compound: str
    free: int
    nearest: tuple[tuple[str, int], ...]


class VehicleReport(msgspec.Struct, frozen=True):
    """The report of one local day; ``lines`` are ordered street, grids, compounds, gates."""

    day: str
    start: int
    end: int
    zone: str
    lines: tuple[Line, ...]
    hourly: tuple[Stretch, ...]
    daily: tuple[Stretch, ...]
    balance: tuple[Balance, ...]

    @property
    def street(self) -> Line:
        """The numbers of the street as a whole."""
        return self.lines[0]


def span(day: date, zone: str) -> tuple[int, int]:
    """Return (beginning of the first listed day, end of the day), in ns: what ``build`` needs the counts of."""
    return _midnight(day - timedelta(days=DAYS - 1), zone), _midnight(day + timedelta(days=1), zone)


def build(
    definition: Definition, day: date, counts: Iterable[PassageCount], occupancy: Iterable[Occupancy]
) -> VehicleReport:
    """Add up a day. ``counts`` span what :func:`span` says; ``occupancy`` is that at the end of the day."""
    places = Places(definition.places, definition.devices)
    start, end = _midnight(day, definition.zone), _midnight(day + timedelta(days=1), definition.zone)
    whole = [one for one in counts if one.gate in places.by_id]
    lines = add_up(places, [one for one in whole if start <= one.hour < end])
    week_before = _midnight(day - timedelta(days=DAYS - 2), definition.zone)
    for one in (one for one in whole if one.hour < week_before):
        for line in _above(places, lines, one.gate):
            line.before_in += one.count if one.direction == "in" else 0
            line.before_out += one.count if one.direction == "out" else 0
    _fill_occupancy(places, lines, occupancy)
    hours = [start + number * HOUR for number in range((end - start) // HOUR)]
    days = [_midnight(day - timedelta(days=back), definition.zone) for back in range(DAYS - 1, -1, -1)]
    return VehicleReport(
        day.isoformat(),
        start,
        end,
        definition.zone,
        tuple(lines.values()),
        tuple(_stretch(whole, at, at + HOUR) for at in hours),
        tuple(_stretch(whole, at, until) for at, until in zip(days, [*days[1:], end], strict=True)),
        tuple(balance(places, {line.place: line for line in lines.values() if line.kind == PlaceKind.COMPOUND})),
    )


def add_up(places: Places, passages: Iterable[PassageCount]) -> dict[str, Line]:
    """Add up passages per place: the street, grids, compounds and gates, in this order."""
    lines = {
        place.id: Line(place.id, place.kind.value) for kind in KINDS for place in places.places if place.kind is kind
    }
    for one in passages:
        if one.gate in places.by_id:
            for line in _above(places, lines, one.gate):
                _count(line, one)
    return lines


def _midnight(day: date, zone: str) -> int:
    return from_datetime(datetime.combine(day, time(), zone_info(zone)))


def day_before(now: int, zone: str) -> date:
    """The local day before the instant ``now`` (ns)."""
    return to_datetime(now, zone).date() - timedelta(days=1)


def _above(places: Places, lines: dict[str, Line], gate: str) -> list[Line]:
    return [lines[place] for kind in KINDS if (place := places.above(gate, kind)) is not None]


def _count(line: Line, one: PassageCount) -> None:
    if one.direction == "out":
        line.outward += one.count
        return
    line.inward += one.count
    setattr(line, one.sort, getattr(line, one.sort) + one.count)
    line.new_energy += one.count if one.energy == "new_energy" else 0
    if one.sort in ELSEWHERE and one.province:
        province, prefix = one.province[:1], one.province
        line.provinces[province] = line.provinces.get(province, 0) + one.count
        if prefix != province:
            line.cities[prefix] = line.cities.get(prefix, 0) + one.count


def _fill_occupancy(places: Places, lines: dict[str, Line], occupancy: Iterable[Occupancy]) -> None:
    inside = {one.compound: one for one in occupancy if one.compound in places.by_id}
    for place in places.places:
        if place.kind is not PlaceKind.COMPOUND:
            continue
        one = inside.get(place.id, Occupancy(0, place.id, 0, 0))
        for kind in KINDS[:-1]:
            above = places.above(place.id, kind)
            if above is not None:
                line = lines[above]
                line.inside, line.unsure = line.inside + one.inside, line.unsure + one.unsure
                line.parking += place.parking or 0


def _stretch(counts: Iterable[PassageCount], start: int, end: int) -> Stretch:
    sums = Counter[str]()
    for one in counts:
        if start <= one.hour < end:
            sums[one.direction] += one.count
            if one.direction == "in" and one.sort in ("out_of_town", "key_area"):
                sums["out_of_town"] += one.count
    return Stretch(start, sums["in"], sums["out"], sums["out_of_town"])


def balance(places: Places, compounds: dict[str, Line]) -> Iterable[Balance]:
    """Find the compounds that are nearly full, and where the nearest free spaces are.

    Near is what the tree of places knows: the same grid, then the same block, then the street; among equals where
    most is free.
    """
    free = {name: line.parking - line.inside for name, line in compounds.items() if line.parking}
    for name, line in compounds.items():
        if line.parking and line.inside >= FULL * line.parking:
            others = [other for other in free if other != name and free[other] > (1 - FULL) * compounds[other].parking]
            others.sort(key=lambda other: (places.nearness(name, other), -free[other], other))
            yield Balance(name, free[name], tuple((other, free[other]) for other in others[:NEAREST]))
