"""Whom we look out for: vehicles on the watch list and those of key areas, among those that came in before. Pure.

Who comes in is sorted by the lists as they are then. When a list is changed, or the ``since`` of one of its entries
comes, those who are inside are held against it, and whoever is found is told of. Nothing is taken back when an entry
ends. Of a plate nothing is known here but its mask, so an area is found when its prefix is shown by that: province and
letter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from sensord.core.stream import LISTED, PLATE_CLASS
from sensord.core.token import number
from sensord.core.vehicles.compound import Compound
from sensord.core.vehicles.passage import Passage, Read
from sensord.core.vehicles.tracking import FOREVER, PlateAreas, Watched
from sensord.core.vehicles.visit import NO_NUMBERS, Visit

_WATCH, _KEY_AREA = LISTED.words.index("watch"), PLATE_CLASS.words.index("key_area")
_COMMON = tuple(PLATE_CLASS.words.index(word) for word in ("local", "out_of_town"))


class Lookout:
    """The lists of a definition. ``looked_at`` is when those inside were last held against them, ``due`` when next."""

    def __init__(self, areas: PlateAreas) -> None:
        self._key = areas.key
        self._watch: dict[int, list[Watched]] = {}
        for one in areas.watch:
            self._watch.setdefault(number(one.vehicle), []).append(one)
        self._begins = sorted({area.since for area in areas.key} | {one.since for one in areas.watch})
        self.looked_at, self.due = 0, FOREVER

    def begin(self, at: int) -> None:
        """Begin at the instant ``at`` (ns): what came before was sorted by the lists."""
        later = bisect_right(self._begins, at)
        self.looked_at, self.due = at, self._begins[later] if later < len(self._begins) else FOREVER

    def look(
        self, compounds: Mapping[str, Compound], passages: Iterable[Passage], at: int
    ) -> list[tuple[str, int, Visit]]:
        """Sort anew, at the instant ``at`` (ns), who is inside or passes just now.

        Returns the visits that are to be told of now, each with its compound and pseudonym.
        """
        self.begin(at)
        prefixes = tuple(area.prefix for area in self._key if area.since <= at < area.until)
        for passage in passages:
            passage.kept = [self._sorted(read, read.token, prefixes, at) for read in passage.kept]
        found = list[tuple[str, int, Visit]]()
        for place, here in compounds.items():
            for token, visit in here.visits.items():
                read = self._sorted(visit.read, token, prefixes, at)
                if read is not visit.read:
                    visit.read = read
                    visit.tell(at, NO_NUMBERS)
                    found.append((place, token, visit))
        return found

    def _sorted(self, read: Read, token: int, prefixes: tuple[str, ...], at: int) -> Read:
        """The reading of a vehicle as it would be sorted at ``at``; itself when nothing has come to it."""
        sort, listed = read.sort, read.listed
        if sort in _COMMON and read.mask.partition("·")[0].removeprefix("临").startswith(prefixes):
            sort = _KEY_AREA
        if read.legible and self._watched({token, read.token, read.former}, at):
            listed = _WATCH
        return read if (sort, listed) == (read.sort, read.listed) else replace(read, sort=sort, listed=listed)

    def _watched(self, tokens: set[int], at: int) -> bool:
        entries = (one for token in tokens for one in self._watch.get(token, ()))
        return any(one.since <= at < one.until for one in entries)
