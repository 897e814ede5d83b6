"""Presence: passages in, visits out; who is inside, and how sure that is. Pure.

Cameras miss passages, so pairing follows stated rules (``Pairing`` names them; each is a row in the tests):

==================================  ===============================================================================
what is seen                        what is believed
==================================  ===============================================================================
in, outside before                  a visit begins
out, inside before                  the visit ends; how long it was is known
in, inside the same compound        its exit was missed: that visit ends now, without a length; another begins
in or out, inside another compound  its exit there was missed: that visit ends without a length
out, not inside                     a vehicle of the same family is inside, or one that was also read so when it came:
                                    that is it, misread once; else its entry was missed
inside for ``remember``             its exit was missed: the visit ends without a length
in two compounds sooner than        two vehicles with one plate
anyone drives there
out of where it was believed to     two vehicles with one plate: no exit was missed there, and the other vehicle was
have left, within a day of being    somewhere else meanwhile
seen elsewhere
unread or no plate                  changes the number inside, and by how much that may be wrong
==================================  ===============================================================================

Nobody drives faster than ``fastest``, as the crow flies between two gates; where it is not known how far they lie
apart, not in less than ``travel``.

A passage older than what is known of its vehicle (stored readings that come late) is counted and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

import msgspec

from sensord.core.instant import DAY, HOUR, SECOND
from sensord.core.place import PlaceKind, Places
from sensord.core.vehicles.passage import Passage, Read
from sensord.core.vehicles.tracking import Tracking

MOST_KNOWN = 500_000
"""So many vehicles are remembered; beyond it those not seen for longest are forgotten, and counted."""
MOST_INSIDE = 10_000
"""So many visits are followed per compound; beyond it the oldest ends, and is counted."""
MOST_TRACED, MOST_GHOSTS = 200_000, 20_000
"""So much is known in detail of vehicles of today, and of visits that seemed to be over; then the oldest tenth goes."""


_COMPOUND = PlaceKind.COMPOUND


class Pairing(StrEnum):
    """Why a passage was paired as it was: the named reason of a pairing."""

    ENTERED = "entered"
    LEFT = "left"
    LEFT_MISREAD = "left_misread"
    MISSED_ENTRY = "missed_entry"
    ANONYMOUS = "anonymous"
    HISTORY = "history"


class Visit(msgspec.Struct, array_like=True, gc=False):
    """A vehicle inside. ``read`` is its entry, ``entered_at`` event time, ``due`` when time next matters (ns).

    ``kin`` is everything under which it may be read when it leaves, besides its pseudonym.
    """

    read: Read
    entered_at: int
    due: int
    kin: list[int]
    nights: int = 0


class Trace(msgspec.Struct, array_like=True, gc=False):
    """What is known of a vehicle seen lately.

    ``gate`` is where it was last seen, ``inside`` where it is believed to be ("": nowhere). ``entries`` are its
    recent entries as (event time, compound), ``shorts`` the ends of its recent short visits.
    """

    last_at: int
    gate: str
    inside: str = ""
    entries: list[tuple[int, str]] = []
    shorts: list[int] = []


class Compound:
    """Who is inside one compound: ``visits`` by pseudonym, in order of entry; ``kin`` finds misread ones.

    ``anonymous`` is unread entries less unread exits since the night, ``missed`` the passages since then that must
    have been missed.
    """

    def __init__(self, parking: int | None) -> None:
        self.parking = parking
        self.visits: dict[int, Visit] = {}
        self._kin: dict[int, list[int]] = {}
        self.anonymous = self.missed = 0

    def add(self, token: int, visit: Visit) -> None:
        """Let a vehicle in."""
        self.visits[token] = visit
        for kin in visit.kin:
            self._kin.setdefault(kin, []).append(token)

    def remove(self, token: int) -> Visit | None:
        """Let a vehicle out; None when it is not inside."""
        visit = self.visits.pop(token, None)
        if visit is not None:
            for kin in visit.kin:
                relatives = self._kin[kin]
                relatives.remove(token)
                if not relatives:
                    del self._kin[kin]
        return visit

    def relate(self, token: int, kin: list[int]) -> None:
        """Note under what else a vehicle inside may be read."""
        visit = self.visits.get(token)
        if visit is not None:
            for one in kin:
                if one not in visit.kin:
                    visit.kin.append(one)
                    self._kin.setdefault(one, []).append(token)

    def who(self, passage: Passage) -> int:
        """The vehicle inside that a passage shows: itself, or one that may have been misread; else itself."""
        for read in passage.kept:
            if read.token in self.visits:
                return read.token
        for read in passage.kept:
            relatives = self._kin.get(read.token) or self._kin.get(read.family)
            if read.token and relatives:
                return relatives[0]
        return passage.best.token

    @property
    def inside(self) -> int:
        """How many vehicles are inside."""
        return max(len(self.visits) + self.anonymous, 0)

    @property
    def unsure(self) -> int:
        """By how many ``inside`` may be wrong."""
        return abs(self.anonymous) + self.missed


class Ghost(msgspec.Struct, array_like=True, gc=False):
    """A visit that was taken to be over at ``since`` (ns), because the vehicle was seen elsewhere."""

    visit: Visit
    since: int


class Ended(NamedTuple):
    """A visit that ended without an exit being seen."""

    compound: str
    token: int
    visit: Visit


class Seen(NamedTuple):
    """What a passage means. Lengths of time in ns (-1: unknown), the numbers as of after the passage."""

    pairing: Pairing
    token: int
    stay: int = -1
    away: int = -1
    visits: int = 0
    shorts: int = 0
    compounds: int = 0
    cloned: bool = False
    ended: tuple[Ended, ...] = ()


class Presence:
    """Pairs passages. It changes only by ``enter``, ``leave``, ``rename``, ``adopt``, ``expire`` and ``night``."""

    def __init__(self, tracking: Tracking, places: Places, marks: tuple[int, ...]) -> None:
        self._tracking, self._marks, self._places = tracking, (*marks, tracking.remember), places
        self._drives: dict[tuple[str, str], int] = {}
        self.compounds = {
            place.id: Compound(place.parking) for place in places.places if place.kind is PlaceKind.COMPOUND
        }
        self.begun = 0
        self.traces: dict[int, Trace] = {}
        self.ghosts: dict[tuple[str, int], Ghost] = {}
        self.known: dict[int, int] = {}
        self.forgotten = 0
        self._hour = 0

    # -- passages ----------------------------------------------------------------------------------------------------

    def enter(self, place: str, gate: str, passage: Passage) -> Seen:
        """A vehicle drove into the compound ``place`` by its ``gate``."""
        here, read, at = self.compounds[place], passage.best, passage.first_at
        token = read.token
        if not token:
            here.anonymous += 1
            return Seen(Pairing.ANONYMOUS, 0)
        trace, away = self._trace(token, at)
        if at < trace.last_at:
            return Seen(Pairing.HISTORY, token)
        self.ghosts.pop((place, token), None)
        cloned, ended = self._elsewhere(place, gate, trace, read, at)
        old = here.remove(token)
        if old is not None:
            self._missed_exit(here)
            ended = (*ended, Ended(place, token, old))
        if len(here.visits) >= MOST_INSIDE:
            oldest = next(iter(here.visits))
            self._forget_visit(place, oldest)
        here.add(token, Visit(read, at, self._next_due(at, read.received_at), passage.kin()))
        self._note(token, trace, gate, at)
        trace.inside = place
        trace.entries = [entry for entry in trace.entries[-63:] if entry[0] > at - self._tracking.recent]
        trace.entries.append((at, place))
        roamed = len({where for when, where in trace.entries if when > at - self._tracking.roaming})
        return Seen(Pairing.ENTERED, token, -1, away, len(trace.entries), 0, roamed, cloned, ended)

    def leave(self, place: str, gate: str, passage: Passage) -> Seen:
        """A vehicle drove out of the compound ``place`` by its ``gate``."""
        here, read, at = self.compounds[place], passage.best, passage.first_at
        if not read.token:
            here.anonymous -= 1
            return Seen(Pairing.ANONYMOUS, 0)
        token = here.who(passage)
        trace, _ = self._trace(token, at)
        if at < trace.last_at:
            return Seen(Pairing.HISTORY, token)
        visit, cloned, ended = here.remove(token), False, tuple[Ended, ...]()
        if trace.inside != place:
            ghost = self.ghosts.pop((place, token), None) if visit is None else None
            if ghost is not None and at - ghost.since < DAY:
                visit, cloned = ghost.visit, True
            elif visit is None:
                cloned, ended = self._elsewhere(place, gate, trace, read, at)
        else:
            trace.inside = ""
        if visit is None:
            self._missed_entry(here)
        self._note(token, trace, gate, at)
        if visit is None:
            return Seen(Pairing.MISSED_ENTRY, token, cloned=cloned, ended=ended)
        stay = at - visit.entered_at
        trace.shorts = [when for when in trace.shorts[-63:] if when > at - self._tracking.recent]
        if stay < self._tracking.short:
            trace.shorts.append(at)
        pairing = Pairing.LEFT if token == read.token else Pairing.LEFT_MISREAD
        return Seen(pairing, token, stay, -1, 0, len(trace.shorts), 0, cloned, ended)

    def _elsewhere(self, place: str, gate: str, trace: Trace, read: Read, at: int) -> tuple[bool, tuple[Ended, ...]]:
        """What it means that a vehicle is seen here that was last seen in another compound: (cloned, ended)."""
        if at - trace.last_at < self._drive(trace.gate, gate):
            return True, ()
        if not trace.inside or trace.inside == place:
            return False, ()
        other = self.compounds[trace.inside]
        visit = other.remove(read.token)
        if visit is None:
            return False, ()
        self._missed_exit(other)
        if len(self.ghosts) >= MOST_GHOSTS:
            limit = sorted(one.visit.entered_at for one in self.ghosts.values())[MOST_GHOSTS // 10]
            self.ghosts = {name: one for name, one in self.ghosts.items() if one.visit.entered_at > limit}
        self.ghosts[trace.inside, read.token] = Ghost(visit, at)
        ended = Ended(trace.inside, read.token, visit)
        trace.inside = ""
        return False, (ended,)

    def _drive(self, one: str, other: str) -> int:
        """The shortest time (ns) in which a vehicle gets from gate to gate; 0 within a compound."""
        known = self._drives.get((one, other))
        if known is None:
            known = self._drives[one, other] = self._shortest(one, other)
        return known

    def _shortest(self, one: str, other: str) -> int:
        places = self._places
        if one not in places.by_id or places.above(one, _COMPOUND) == places.above(other, _COMPOUND):
            return 0
        metres = places.metres(one, other)
        if metres is None:
            return self._tracking.travel
        return metres * 3600 * SECOND // (1000 * self._tracking.fastest)

    @staticmethod
    def _missed_exit(here: Compound) -> None:
        """An exit was missed: when an unread one was counted, that was it."""
        if here.anonymous < 0:
            here.anonymous += 1
        else:
            here.missed += 1

    @staticmethod
    def _missed_entry(here: Compound) -> None:
        if here.anonymous > 0:
            here.anonymous -= 1
        else:
            here.missed += 1

    # -- what is known of a vehicle ----------------------------------------------------------------------------------

    def _trace(self, token: int, at: int) -> tuple[Trace, int]:
        """Return the vehicle's trace, a new one if need be, and how long it was away (ns)."""
        trace = self.traces.get(token)
        if trace is not None:
            return trace, at - trace.last_at
        hour = self.known.get(token)
        # Never seen means: not since we began to look, and not for as long as we remember.
        away = min(at - self.begun, self._tracking.remember) if hour is None else at - hour * HOUR
        if len(self.traces) >= MOST_TRACED:
            limit = sorted(one.last_at for one in self.traces.values())[MOST_TRACED // 10]
            self.traces = {name: one for name, one in self.traces.items() if one.last_at > limit}
        trace = self.traces[token] = Trace(0, "")
        return trace, max(away, 0)

    def _note(self, token: int, trace: Trace, gate: str, at: int) -> None:
        trace.last_at, trace.gate = at, gate
        hour = at // HOUR
        if hour != self._hour:
            self._hour = hour  # one object for all who pass in this hour
        known = self.known
        known[token] = self._hour
        if len(known) > MOST_KNOWN:
            self._forget()

    def _forget(self) -> None:
        """Forget the tenth that was not seen for longest."""
        limit = sorted(self.known.values())[MOST_KNOWN // 10]
        kept = {token: hour for token, hour in self.known.items() if hour > limit}
        self.forgotten += len(self.known) - len(kept)
        self.known = kept

    def _forget_visit(self, place: str, token: int) -> None:
        self.compounds[place].remove(token)
        self.forgotten += 1
        trace = self.traces.get(token)
        if trace is not None and trace.inside == place:
            trace.inside = ""

    def rename(self, place: str, gate: str, token: int, passage: Passage) -> None:
        """The entry by ``gate`` that was read as ``token`` was this vehicle's: more readings say so."""
        here, read = self.compounds[place], passage.best
        visit = here.remove(token)
        if visit is None or read.token in here.visits:
            return
        visit.read, visit.kin = read, passage.kin()
        here.add(read.token, visit)
        self.known.pop(token, None)
        trace = self.traces.pop(token, None)
        mine, _ = self._trace(read.token, visit.entered_at)
        if trace is not None:
            mine.entries += trace.entries[-1:]
        mine.inside = place
        self._note(read.token, mine, gate, visit.entered_at)

    def adopt(self, former: int, token: int) -> None:
        """A vehicle known under the former key's pseudonym goes on under the new one's."""
        hour = self.known.pop(former, None)
        if hour is not None:
            self.known.setdefault(token, hour)
        trace = self.traces.pop(former, None)
        if trace is None or token in self.traces:
            return
        self.traces[token] = trace
        if trace.inside:
            here = self.compounds[trace.inside]
            visit = here.remove(former)
            if visit is not None:
                here.add(token, visit)

    # -- time --------------------------------------------------------------------------------------------------------

    def _next_due(self, entered_at: int, now: int) -> int:
        """The first instant after ``now`` at which the length of this visit reaches a mark."""
        return next(
            (entered_at + mark for mark in self._marks if entered_at + mark > now), entered_at + self._marks[-1] + HOUR
        )

    def dues(self) -> Iterator[tuple[int, str, int]]:
        """Yield (due, compound, token) of everyone inside."""
        for place, here in self.compounds.items():
            for token, visit in here.visits.items():
                yield visit.due, place, token

    def expire(self, place: str, token: int, due: int) -> tuple[Visit, bool] | None:
        """Let a visit reach its mark at ``due``; return it and whether it is believed to be over.

        None when there is nothing (any more) to be said at that instant.
        """
        here = self.compounds[place]
        visit = here.visits.get(token)
        if visit is None or visit.due != due:
            return None
        if due - visit.entered_at >= self._tracking.remember:
            self._forget_visit(place, token)
            self.forgotten -= 1
            self._missed_exit(here)
            return visit, True
        visit.due = self._next_due(visit.entered_at, due)
        return visit, False

    def redue(self, now: int) -> None:
        """Find everybody's next instant anew: the marks have changed."""
        for here in self.compounds.values():
            for visit in here.visits.values():
                visit.due = self._next_due(visit.entered_at, now)

    def night(self, now: int) -> None:
        """Begin the day's balance anew, and forget what is past remembering."""
        for here in self.compounds.values():
            here.anonymous = here.missed = 0
        recent = now - max(self._tracking.recent, self._tracking.roaming)
        self.traces = {token: trace for token, trace in self.traces.items() if trace.inside or trace.last_at > recent}
        self.ghosts = {key: ghost for key, ghost in self.ghosts.items() if ghost.since > now - DAY}
        oldest = (now - self._tracking.remember) // HOUR
        self.known = {token: hour for token, hour in self.known.items() if hour >= oldest}
