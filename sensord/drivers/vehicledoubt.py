"""Where a report must not say for sure how many vehicles are inside, and where people counted them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sensord.core.place import PlaceKind, Places
from sensord.core.vehicles.byhand import ByHand
from sensord.core.vehicles.tracking import Tracking
from sensord.drivers.vehiclespan import Window

if TYPE_CHECKING:
    from sensord.drivers.vehiclereport import Eyes, Line

_ABOVE = (PlaceKind.COMPOUND, PlaceKind.GRID, PlaceKind.BLOCK, PlaceKind.STREET)


def doubt(
    places: Places,
    eyes: Eyes,
    lines: Mapping[tuple[PlaceKind, str], Line],
    at: int,
    tracking: Tracking,
    by_hand: Iterable[ByHand] = (),
) -> None:
    """Say of every place whether who is inside at the instant ``at`` may be wrong by more than is said.

    A silence is felt for as long as a visit without an end is believed: who left meanwhile is still counted, who came
    is not. Who stood there before anybody looked is missing for as long as a vehicle that does not move is remembered:
    after that no number would hold it. Where somebody has counted ``by_hand``, what was before that is in no doubt.
    """
    counted = {one.compound: one.at for one in by_hand if one.at <= at}
    for gate in eyes.blind:
        compound = places.above(gate, PlaceKind.COMPOUND)
        if compound is None:
            continue
        known = counted.get(compound, 0)
        lately = eyes.unknown(gate, Window(max(at - tracking.believed, known), at)) > 0
        begun = eyes.begun.get(gate, 0)
        begun = begun if begun > known else 0
        for kind in _ABOVE:
            if (above := places.above(gate, kind)) is not None:
                line = lines[kind, above]
                line.doubted |= lately
                line.begun = max(line.begun, begun if at - tracking.remember < begun < at else 0)


def correct(places: Places, lines: Mapping[tuple[PlaceKind, str], Line], by_hand: Iterable[ByHand]) -> None:
    """Say of every place how often, and by how much, people have corrected who is inside."""
    for one in by_hand:
        for kind in _ABOVE:
            if one.compound in places.by_id and (above := places.above(one.compound, kind)) is not None:
                lines[kind, above].by_hand += 1
                lines[kind, above].corrected += one.inside - one.before
