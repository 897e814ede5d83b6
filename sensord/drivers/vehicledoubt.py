"""Where a report must not say for sure how many vehicles are inside. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sensord.core.place import PlaceKind, Places
from sensord.core.vehicles.tracking import Tracking
from sensord.drivers.vehiclespan import Window

if TYPE_CHECKING:
    from sensord.drivers.vehiclereport import Eyes, Line

_ABOVE = (PlaceKind.COMPOUND, PlaceKind.GRID, PlaceKind.BLOCK, PlaceKind.STREET)


def doubt(places: Places, eyes: Eyes, lines: Mapping[tuple[PlaceKind, str], Line], at: int, tracking: Tracking) -> None:
    """Say of every place whether who is inside at the instant ``at`` may be wrong by more than is said.

    A silence is felt for as long as a visit without an end is believed: who left meanwhile is still counted, who came
    is not. Who stood there before anybody looked is missing for as long as a vehicle that does not move is remembered:
    after that no number would hold it.
    """
    for gate in eyes.blind:
        if places.above(gate, PlaceKind.COMPOUND) is None:
            continue
        lately = eyes.unknown(gate, Window(at - tracking.believed, at)) > 0
        begun = eyes.begun.get(gate, 0)
        for kind in _ABOVE:
            if (above := places.above(gate, kind)) is not None:
                line = lines[kind, above]
                line.doubted |= lately
                line.begun = max(line.begun, begun if at - tracking.remember < begun < at else 0)
