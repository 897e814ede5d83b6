"""How long visits last: when their length reaches a mark, and when one without an end is believed no longer. Pure.

``presence`` has the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache

from sensord.core.instant import DAY, HOUR, MINUTE, SECOND
from sensord.core.place import PlaceKind, Places
from sensord.core.vehicles.acquaintance import Acquaintance
from sensord.core.vehicles.clones import Clones
from sensord.core.vehicles.compound import Compound
from sensord.core.vehicles.nearby import Nearby
from sensord.core.vehicles.passage import DOUBTFUL, Read
from sensord.core.vehicles.tracking import Tracking
from sensord.core.vehicles.visit import Ended, Numbers, Trace, Visit

AT_HOME = 3
"""A vehicle that was inside over night on so many visits lives here."""
COURIER = 3
"""One that made so many short visits on the day before its last entry comes and goes."""
STORED = 15 * MINUTE
"""A mark that had passed when a stored entry arrived falls due so much later (ns): the exit may be stored as well."""
HELD_UP = 30 * SECOND
"""So long (ns) after a stored entry arrived it is told of, if the vehicle is inside: its exit may be close behind."""


class Lasting(Acquaintance):
    """Who is inside the ``compounds``, and what becomes of that as time goes by.

    ``marks`` are the lengths (ns) that rules want to hear of, by compound, and the longest that a visit can have.
    ``homes`` has how many visits of each went over night.
    """

    def __init__(self, tracking: Tracking, places: Places, marks: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(tracking)
        self.compounds = {
            place.id: Compound(place.parking) for place in places.places if place.kind is PlaceKind.COMPOUND
        }
        self.marks = {place: (*marks.get(place, ()), tracking.remember) for place in self.compounds}
        self.clones = Clones()
        self.homes: dict[int, int] = {}

    def _forget_visit(self, place: str, token: int) -> None:
        self._drop_visit(place, token)
        self.forgotten += 1

    def _drop_visit(self, place: str, token: int) -> None:
        self.compounds[place].remove(token)
        trace = self.traces.get(token)
        if trace is not None and trace.inside == place:
            trace.inside = ""

    def _next_due(self, place: str, entered_at: int, now: int) -> int:
        """The first instant after ``now`` at which the length of this visit to ``place`` reaches a mark."""
        stay, marks = now - entered_at, self.marks[place]
        return entered_at + next((mark for mark in marks if mark > stay), marks[-1] + HOUR)

    def dues(self) -> Iterator[tuple[int, str, int]]:
        """Yield (due, compound, token) of everyone inside."""
        for place, here in self.compounds.items():
            for token, visit in here.visits.items():
                yield visit.due, place, token

    def disclose(self, place: str, token: int, due: int) -> tuple[Visit, Numbers] | None:
        """An entry that is to be told of at ``due``, if there is one, and the vehicle's numbers."""
        visit = self.compounds[place].visits.get(token)
        if visit is None or visit.due != due or visit.untold is None:
            return None
        numbers, visit.due, visit.untold = visit.untold.numbers, max(visit.untold.due, due + 1), None
        return visit, numbers

    def expire(self, place: str, token: int, due: int) -> tuple[Visit, bool] | None:
        """Let a visit reach its mark at ``due``; return it and whether it is believed to be over.

        None when there is nothing (any more) to be said at that instant.
        """
        here = self.compounds[place]
        visit = here.visits.get(token)
        if visit is None or visit.due != due:
            return None
        if due - visit.entered_at >= self._tracking.remember:
            self._over(place, token, due)
            return visit, True
        visit.due = self._next_due(place, visit.entered_at, due)
        return visit, False

    def redue(self, now: int, before: Mapping[str, tuple[int, ...]]) -> None:
        """Find everybody's next instant anew: the marks were those of ``before``."""
        for place, here in self.compounds.items():
            old = before.get(place, ())
            for visit in here.visits.values():
                waits = visit.untold or visit
                if waits.due - visit.entered_at in old:  # not while a stored entry's mark waits
                    waits.due = self._next_due(place, visit.entered_at, now)

    def dusk(self, now: int) -> list[Ended]:
        """The night hour: count the night to everyone inside, and end the visits that are believed no longer."""
        ended: list[Ended] = []
        couriers = cache(self._couriers)
        for place, here in self.compounds.items():
            for token, visit in list(here.visits.items()):
                visit.nights += 1
                if visit.nights == 1:
                    self.homes[token] = self.homes.get(token, 0) + 1
                lives_here = self.homes.get(token, 0) >= AT_HOME
                here.doubt(visit, doubted=not lives_here and now - max(visit.entered_at, here.counted_at) >= DAY)
                if visit.stranger and any(self._passed_since(twin, visit) for twin in visit.twins):
                    self._drop_visit(place, token)
                    ended.append(Ended(place, token, visit, twice=True))
                elif not lives_here and (self._is_over(token, visit, now) or self._was_courier(visit, couriers)):
                    self._over(place, token, now)
                    ended.append(Ended(place, token, visit))
        return ended

    def _passed_since(self, token: int, visit: Visit) -> bool:
        """Whether a vehicle has passed anywhere after the entry that began a visit: whoever was inside is not now."""
        trace = self.traces.get(token)
        return trace is not None and trace.last_at > visit.entered_at + self._tracking.merge

    def _is_over(self, token: int, visit: Visit, now: int) -> bool:
        """Whether the visit of a vehicle that does not live here is believed no longer."""
        if now - visit.entered_at >= self._tracking.believed:
            return True
        # Not sooner: within a day it may be one of two vehicles with one plate.
        aliases = visit.kin if visit.stranger and now - visit.entered_at >= DAY else ()
        if any(self._passed_since(alias, visit) for alias in aliases):
            return True
        trace, lately = self.traces.get(token), visit.entered_at - self._tracking.recent
        return trace is not None and sum(lately < when <= visit.entered_at for when in trace.shorts) >= COURIER

    def _errand(self, trace: Trace, at: int, stay: int, shown: Read) -> None:
        """A visit of ``stay`` ns ended at ``at``: note it if it was short. ``shown`` is a reading of the vehicle."""
        lately = at - self._tracking.recent
        trace.shorts = [when for when in trace.shorts[-63:] if when > lately]
        if stay < self._tracking.short:
            trace.shorts.append(at)
            if len(trace.shorts) >= COURIER:
                trace.courier = shown.province, shown.early, shown.late

    def _couriers(self) -> Nearby:
        """Who comes and goes."""
        return Nearby((name, one.courier[1:]) for name, one in self.traces.items() if one.courier is not None)

    def _was_courier(self, visit: Visit, couriers: Callable[[], Nearby]) -> bool:
        """Whether a visit under a doubtful plate, never seen before, is one of these, which has passed since."""
        if not visit.stranger or visit.certainty != DOUBTFUL:
            return False
        read, since = visit.read, visit.entered_at + self._tracking.merge
        near = (self.traces[token] for token in couriers().near(read.early, read.late))
        return any(one.last_at > since and one.courier and one.courier[0] == read.province for one in near)

    def _over(self, place: str, token: int, now: int) -> None:
        """A visit is believed to be over: its exit was missed."""
        here = self.compounds[place]
        visit = here.visits[token]
        self._drop_visit(place, token)
        here.missed_exit(visit, now)

    def night(self, now: int) -> None:
        """Begin a day, and forget what is past remembering."""
        for here in self.compounds.values():
            here.night(-(-self._tracking.believed // DAY))
            here.lapse(now - self._tracking.remember)
        recent = now - max(self._tracking.recent, self._tracking.roaming)
        self.traces = {token: trace for token, trace in self.traces.items() if trace.inside or trace.last_at > recent}
        self.clones.night(now)
        oldest = (now - self._tracking.remember) // HOUR
        for token in [token for token, hour in self.known.items() if hour < oldest]:
            del self.known[token]
        self.homes = {token: nights for token, nights in self.homes.items() if token in self.known}
