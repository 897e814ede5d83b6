"""From a camera's reading of a plate to what the core keeps: labels, a pseudonym, and a mask. The plate ends here.

Pure. The results for a few plates are kept, because a camera that triggers twice sends the same plate twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from sensord.core.batch import Int64, Sightings
from sensord.core.token import number
from sensord.core.vehicles.plate import Plate, PlateRead, PlateTable, Verdict, mask, recognise
from sensord.core.vehicles.platekind import PlateKind, nearly
from sensord.core.vehicles.pseudonym import NOBODY, Identity, Pseudonymiser
from sensord.core.vehicles.tracking import PlateAreas, Watched, stretch

_KEPT = 4096


class Sighting(NamedTuple):
    """What is kept of one reading: labels by name, who it is (``NOBODY`` when unread), the mask, and the verdict."""

    labels: dict[str, str]
    identity: Identity
    mask: str
    sure: bool


class Identifier:
    """Sorts and identifies. Without a ``pseudonymiser`` vehicles are sorted only: everyone is ``NOBODY``."""

    def __init__(self, areas: PlateAreas, pseudonymiser: Pseudonymiser | None) -> None:
        self._table, self._pseudonymiser = PlateTable(areas), pseudonymiser
        self._watch: dict[int, list[Watched]] = {}
        for one in areas.watch:
            self._watch.setdefault(number(one.vehicle), []).append(one)
        self._kept: dict[tuple[str, str], tuple[Plate, Identity, str, str]] = {}
        self._from = self._until = 0

    def see(self, read: PlateRead, at: int) -> Sighting:
        """Return what is kept of a reading that arrived at ``at`` (ns)."""
        if not self._from <= at < self._until:
            self._turn(at)
        seen = read.text or "", read.colour
        plate, who, listed, masked = self._kept.get(seen) or self._look(seen, at)
        sort, verdict = self._table.sort(read, plate, at)
        if verdict is Verdict.UNREAD:
            # Nobody is sorted on a guess; but a plate that was half seen twice is the same plate.
            return Sighting({"class": sort, "list": "other"}, who, "", False)
        if not plate.text:
            return Sighting({"class": sort, "list": "other"}, NOBODY, "", False)
        labels = {"class": sort, "energy": "new_energy" if plate.new_energy else "fuel", "list": listed}
        if plate.province:
            labels["province"] = plate.province
        return Sighting(labels, who, masked, verdict is Verdict.SURE)

    def _turn(self, at: int) -> None:
        """Forget what was kept: a key or an entry of the watch list has begun or ended."""
        edges = [edge for entries in self._watch.values() for one in entries for edge in (one.since, one.until)]
        if self._pseudonymiser is not None:
            edges += self._pseudonymiser.edges()
        self._from, self._until = stretch(edges, at)
        self._kept.clear()

    def _look(self, seen: tuple[str, str], at: int) -> tuple[Plate, Identity, str, str]:
        """Recognise and identify a plate by its text and colour; every one once in a while."""
        plate = recognise(*seen)
        who = self._identify(plate, at)
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        found = self._kept[seen] = plate, who, "watch" if self._watched(who, at) else "other", mask(plate)
        return found

    def _identify(self, plate: Plate, at: int) -> Identity:
        """Who a plate is; of one that is nearly a plate only what it may be, and of anything else nobody."""
        if self._pseudonymiser is None or plate.kind is PlateKind.NONE:
            return NOBODY
        if plate.kind is not PlateKind.UNREAD:
            return self._pseudonymiser.identify(plate.text, at)
        return self._pseudonymiser.locate(plate.text, at) if nearly(plate.text) else NOBODY

    def _watched(self, who: Identity, at: int) -> bool:
        """Whether one of the entries of a vehicle is valid, under whichever of its pseudonyms it stands."""
        entries = (one for token in (who.token, who.former) for one in self._watch.get(token, ()))
        return any(one.since <= at < one.until for one in entries)


def sightings(seen: Mapping[int, Sighting], received_at: Int64) -> Sightings | None:
    """Make the columns of a batch's sightings, of those by row; None when there is none."""
    if not seen:
        return None
    count = len(received_at)
    who = np.full((count, len(NOBODY)), NOBODY, np.int64)
    sure, masks = np.zeros(count, np.bool_), np.full(count, "", np.object_)
    for row, one in seen.items():
        who[row], sure[row], masks[row] = one.identity, one.sure, one.mask
    return Sightings(who, received_at, sure, masks)
