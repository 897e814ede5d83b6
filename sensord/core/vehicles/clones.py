"""One plate on two vehicles: what no single vehicle can do, and when that is sure enough to be said. Pure.

===============================================  ======================================================================
what is seen                                     what it means
===============================================  ======================================================================
in two compounds sooner than anybody drives      two vehicles
out of where it was believed to have left,       two vehicles: no exit was missed there, and the other one was somewhere
within a day of being seen elsewhere             else meanwhile
seen elsewhere while a visit lasted that was     the same, found out when it leaves
under a misreading of its plate
===============================================  ======================================================================

A misread stranger looks like that, too: read as a plate that is somewhere else, it seems to be in two places. So each
of the two sides needs a *witness*: a passage that is certain, or a visit both of whose ends show the plate. What lacks
one is a *suspicion*; it is said when the visit that it is about ends under the same plate, and forgotten after a day.

Nobody drives faster than ``fastest``, as the crow flies between two gates; where it is not known how far they lie
apart, not in less than ``travel``.
"""

from __future__ import annotations

from collections.abc import Iterable

from sensord.core.instant import DAY, SECOND
from sensord.core.place import PlaceKind, Places
from sensord.core.vehicles.passage import CERTAIN, Passage
from sensord.core.vehicles.tracking import Tracking
from sensord.core.vehicles.visit import Ghost, Suspicion, Visit

MOST_GHOSTS = 20_000
"""So many visits that seemed to be over are known, and so many suspicions; then the oldest tenth goes."""


class Drives:
    """How long it takes at the least to drive from gate to gate."""

    def __init__(self, tracking: Tracking, places: Places) -> None:
        self._tracking, self._places = tracking, places
        self._known: dict[tuple[str, str], int] = {}

    def least(self, one: str, other: str) -> int:
        """The shortest time (ns) in which a vehicle gets from gate to gate; -1 within a compound."""
        known = self._known.get((one, other))
        if known is None:
            known = self._known[one, other] = self._shortest(one, other)
        return known

    def _shortest(self, one: str, other: str) -> int:
        places = self._places
        if places.above(one, PlaceKind.COMPOUND) == places.above(other, PlaceKind.COMPOUND):
            return -1
        metres = places.metres(one, other)
        if metres is None:
            return self._tracking.travel
        return metres * 3600 * SECOND // (1000 * self._tracking.fastest)


class Clones:
    """The visits that seemed to be over because the vehicle was seen elsewhere, and what is suspected of whom."""

    def __init__(self) -> None:
        self.ghosts: dict[tuple[str, int], Ghost] = {}
        self.suspicions: dict[int, Suspicion] = {}
        self._kin: dict[tuple[str, int], list[int]] = {}

    # -- visits that seemed to be over ---------------------------------------------------------------------------------

    def keep(self, place: str, token: int, ghost: Ghost) -> None:
        """The visit to ``place`` seems to be over."""
        if len(self.ghosts) >= MOST_GHOSTS:
            limit = sorted(one.since for one in self.ghosts.values())[MOST_GHOSTS // 10]
            self._drop([name for name, one in self.ghosts.items() if one.since <= limit])
        self.take(place, token)
        self.ghosts[place, token] = ghost
        for kin in ghost.visit.kin:
            self._kin.setdefault((place, kin), []).append(token)

    def take(self, place: str, token: int) -> Ghost | None:
        """Return such a visit and know no more of it; None when there is none."""
        ghost = self.ghosts.get((place, token))
        if ghost is not None:
            self._drop([(place, token)])
        return ghost

    def relative(self, place: str, passage: Passage) -> int:
        """The vehicle that a passage out of ``place`` shows, if only in one reading of several; 0: none.

        Also one that was certain when it came there, and that the passage may show misread.
        """
        for read in passage.kept:
            if (place, read.token) in self.ghosts:
                return read.token
        for read in passage.kept:
            known = self._kin.get((place, read.token)) or self._kin.get((place, read.family)) or ()
            sure = [token for token in known if self.ghosts[place, token].visit.certainty == CERTAIN]
            if read.token and sure:
                return min(sure)  # not the first that came: a restart would not know which that was
        return 0

    def _drop(self, names: list[tuple[str, int]]) -> None:
        for place, token in names:
            for kin in self.ghosts.pop((place, token)).visit.kin:
                known = self._kin[place, kin]
                known.remove(token)
                if not known:
                    del self._kin[place, kin]

    # -- what is suspected ---------------------------------------------------------------------------------------------

    def judge(self, token: int, at: int, sides: Iterable[tuple[str, bool]]) -> bool:
        """Two sides (compound, whether it has a witness) contradict each other: whether that is said at once."""
        lacking = [place for place, witnessed in sides if not witnessed]
        if lacking:
            if len(self.suspicions) >= MOST_GHOSTS:
                limit = sorted(one.at for one in self.suspicions.values())[MOST_GHOSTS // 10]
                self.suspicions = {name: one for name, one in self.suspicions.items() if one.at > limit}
            self.suspicions[token] = Suspicion(at, lacking)
        return not lacking

    def settled(self, place: str, token: int, visit: Visit) -> bool:
        """A visit has ended under its plate: whether a suspicion has all its witnesses by that.

        It has not when the visit began under another plate: then it is the suspicion itself that speaks of its end.
        """
        suspicion = self.suspicions.get(token)
        if suspicion is None or place not in suspicion.lacking or visit.entered_at > suspicion.at or visit.misread:
            return False
        suspicion.lacking.remove(place)
        if not suspicion.lacking:
            del self.suspicions[token]
        return not suspicion.lacking

    def take_back(self, token: int, at: int) -> None:
        """The passage at ``at`` was another vehicle's: what was suspected because of it is not."""
        suspicion = self.suspicions.get(token)
        if suspicion is not None and suspicion.at == at:
            del self.suspicions[token]

    def adopt(self, former: int, token: int, places: Iterable[str]) -> None:
        """A vehicle goes on under another pseudonym, because the key was changed."""
        for place in places:
            if (ghost := self.take(place, former)) is not None:
                self.keep(place, token, ghost)
        if (suspicion := self.suspicions.pop(former, None)) is not None:
            self.suspicions[token] = suspicion

    def night(self, now: int) -> None:
        """Forget what is a day old."""
        self._drop([name for name, ghost in self.ghosts.items() if ghost.since <= now - DAY])
        self.suspicions = {token: one for token, one in self.suspicions.items() if one.at > now - DAY}
