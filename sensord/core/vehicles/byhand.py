"""Who is inside a compound, counted by hand: what is written down of it, and how rules hear. Pure.

Cameras miss passages, and so the number drifts; whoever has walked through the compound knows better. From then on the
number is theirs (``compound.Compound.count`` says how it goes on), and whoever is known to be inside stays known.
"""

from __future__ import annotations

import msgspec

from sensord.core.batch import Batch, tick
from sensord.core.place import PlaceKind, Places
from sensord.core.stream import EVENT, Stream
from sensord.core.vehicles.tracker import Tracker
from sensord.core.vehicles.visit import NO_NUMBERS
from sensord.core.vehicles.visitrow import LABELS as COLUMNS
from sensord.core.vehicles.visitrow import merged, pack_row


class ByHand(msgspec.Struct, frozen=True):
    """At the instant ``at`` (ns) somebody has counted ``inside`` vehicles in a compound; ``before`` were believed."""

    at: int
    compound: str
    before: int
    inside: int


def cameras(places: Places, compound: str) -> list[int]:
    """The cameras of a compound, as positions in the registry."""
    found = (number for number, device in enumerate(places.devices) if device.stream is Stream.PLATE)
    return [one for one in found if places.above(places.devices[one].place, PlaceKind.COMPOUND) == compound]


def reading(tracker: Tracker, compound: str, at: int) -> Batch:
    """What rules hear of a compound in which somebody has just counted: a reading of each camera, of no vehicle."""
    here = tracker.presence.compounds[compound]
    words = [EVENT.words.index("counted") if name == EVENT.name else -1 for name in COLUMNS]
    asked = cameras(tracker.places, compound)
    rows = (pack_row(0, at, at, 0, at, *NO_NUMBERS, number, *here.amounts, *words) for number in asked)
    return merged(tick(at), bytearray().join(rows), [""] * len(asked), tracker.parking)
