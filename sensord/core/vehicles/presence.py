"""Presence: passages in, visits out; who is inside, and how sure that is. Pure.

Cameras miss passages, so pairing follows stated rules (``visit.Pairing`` names them; each is a row in the tests):

==================================  ===============================================================================
what is seen                        what is believed
==================================  ===============================================================================
in, outside before                  a visit begins
out, inside before                  the visit ends; how long it was is known
in, inside the same compound        its exit was missed: that visit ends now, without a length; another begins
in or out, inside another compound  its exit there was missed: that visit ends without a length
out, not inside                     a vehicle of the same family is inside, or one that was also read so when it came:
                                    that is it, misread once, unless both are known and certain; so is one that was
                                    never seen before, or the only one, if the plate that leaves is in doubt and
                                    unknown, and differs in one character; otherwise its entry was missed
inside at night, does not live      its exit was missed, if it has been inside for ``believed``, or if it only comes and
here                                goes: the visit ends without a length
inside for ``remember``             its exit was missed, even if it lives here
inside at night, never seen before  it was that one, read twice: in two sure readings that differ in one character, or
it came; another came in the same   in two that both differ in one from what left
moment, and has gone since
inside at night, in doubt, never    it was that one, and its exit was missed
seen before; one character from
one of its province that comes and
goes, and has passed since
inside at night for a day, never    it was that one, and its exit was missed; within a day it may be the other of two
seen before; it was also read as    vehicles with one plate
one that has been seen since
out, inside under a misreading      when it came under a plate never seen before, and leaves under one that was, or that
                                    is certain where the other was in doubt: it came under this one
what no single vehicle can do       two vehicles with one plate (``clones.py`` says what that is, and when it is sure)
out, one character illegible        the one inside that has all its other characters, if there is one such and no more
unread or no plate                  changes the number inside, and by how much that may be wrong; so it does on the next
                                    days, until something explains it, for as long as a visit is ``believed``
==================================  ===============================================================================

A vehicle *lives here* when it was inside over night on ``lasting.AT_HOME`` visits (as long as it is remembered); it
*comes and goes* when it made ``lasting.COURIER`` short visits on the day before it came. Every visit longer than a day
of a vehicle that does not live here may be over, and makes the number inside unsure by one; what else does is said in
``compound.Compound``.

A passage older than what is known of its vehicle (stored readings that come late) is counted and changes nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from sensord.core.instant import DAY, HOUR
from sensord.core.place import PlaceKind, Places
from sensord.core.vehicles.clones import Drives
from sensord.core.vehicles.lasting import Lasting
from sensord.core.vehicles.passage import CERTAIN, DOUBTFUL, Before, Passage
from sensord.core.vehicles.tracking import Tracking
from sensord.core.vehicles.visit import Ended, Ghost, Numbers, Pairing, Seen, Trace, Visit

MOST_INSIDE = 10_000
"""So many visits are followed per compound; beyond it the oldest ends, and is counted."""

_COMPOUND = PlaceKind.COMPOUND
_NONE: tuple[Ended, ...] = ()
_ENTERED, _LEFT, _LEFT_MISREAD, _MISSED_ENTRY, _, _HISTORY = Pairing
_ANONYMOUS = Seen(Pairing.ANONYMOUS, 0, -1)
_NAN = math.nan


def _arrived(away: int, visits: int, compounds: int) -> Numbers:
    """The numbers of a vehicle that comes: ns since it was seen, its visits and compounds with this one."""
    return _NAN, _NAN, away / DAY, visits, _NAN, compounds


class Presence(Lasting):
    """Pairs passages. It changes by ``enter``, ``leave``, ``rename``, ``adopt``, ``expire``, ``dusk`` and ``night``."""

    def __init__(self, tracking: Tracking, places: Places, marks: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(tracking, places, marks)
        self._places, self._drives = places, Drives(tracking, places)

    # -- passages ----------------------------------------------------------------------------------------------------

    def enter(self, place: str, gate: str, passage: Passage) -> Seen:
        """A vehicle drove into the compound ``place`` by its ``gate``."""
        here, read, at = self.compounds[place], passage.kept[0], passage.first_at
        token = read.token
        if not token:
            here.anonymous += 1
            return _ANONYMOUS
        trace, hour, certainty = self.traces.get(token), self.known.get(token), passage.certainty
        away = self._away(hour, at) if trace is None else at - trace.last_at
        if away < 0:
            return Seen(_HISTORY, token, certainty)
        if trace is None:
            trace = self._new_trace(token)
        if hour is not None:
            passage.before = Before(hour, trace.last_at, trace.gate, trace.inside, trace.witnessed)
        if self.clones.ghosts:
            self.clones.take(place, token)
        cloned, ended, visits = False, _NONE, here.visits
        if trace.gate and trace.gate != gate:
            cloned, ended = self._elsewhere(place, gate, trace, token, at, certainty == CERTAIN)
        if token in visits:
            old = here.remove(token)
            assert old is not None
            here.missed_exit(old, at)
            ended = (*ended, Ended(place, token, old))
        if len(visits) >= MOST_INSIDE:
            self._forget_visit(place, next(iter(visits)))
        visit = Visit(read, at, at + self.marks[place][0], certainty, passage.kin(), 0, hour is None)
        here.add(token, visit, passage.twin)
        self._note(token, trace, gate, at, certainty == CERTAIN)
        trace.inside = place
        if not trace.entries:
            trace.entries = [(at, place)]
            return Seen(_ENTERED, token, certainty, _arrived(away, 1, 1), cloned, ended, visit)
        since, lately = at - self._tracking.roaming, at - self._tracking.recent
        trace.entries = [entry for entry in trace.entries[-63:] if entry[0] > lately]
        roamed = len({where for when, where in trace.entries if when > since} | {place})
        trace.entries.append((at, place))
        return Seen(_ENTERED, token, certainty, _arrived(away, len(trace.entries), roamed), cloned, ended, visit)

    def leave(self, place: str, gate: str, passage: Passage) -> Seen:
        """A vehicle drove out of the compound ``place`` by its ``gate``."""
        here, mine, at = self.compounds[place], passage.kept[0].token, passage.first_at
        token, cloned, ended, certainty = mine, False, _NONE, passage.certainty
        if token not in here.visits:
            token, cloned, ended = self._who(place, passage)
            if not token:
                here.anonymous -= 1
                return _ANONYMOUS
            if not mine:
                passage.decided, certainty = token, DOUBTFUL
        trace = self.traces.get(token)
        if at < trace.last_at if trace is not None else self._seen_after(token, at):
            return Seen(_HISTORY, mine, certainty)
        trace = trace or self._trace(token)
        visit, itself = here.remove(token), token == mine
        sure, shows = itself and certainty == CERTAIN, itself or passage.shows(token)
        if visit is not None and shows and self.clones.suspicions:
            cloned = self.clones.settled(place, token, visit) or cloned
        if trace.inside == place:
            trace.inside = ""
        elif visit is None:
            visit, cloned, ended = self._left_before(place, gate, trace, token, passage)
        if visit is None:
            here.missed_entry()
            self._note(token, trace, gate, at, sure)
            return Seen(_MISSED_ENTRY, mine, certainty, cloned=cloned, ended=ended)
        # A visit that began misread has one end that shows the plate: that has to be certain.
        self._note(token, trace, gate, at, shows and (sure or not visit.misread))
        stay = at - visit.entered_at
        if trace.shorts or stay < self._tracking.short:
            self._errand(trace, at, stay, passage.kept[0] if itself else visit.read)
        pairing = _LEFT if itself and not visit.misread else _LEFT_MISREAD
        other = None if itself else visit.read
        numbers = stay / HOUR if stay >= 0 else _NAN, _NAN, _NAN, _NAN, len(trace.shorts), _NAN
        return Seen(pairing, token, certainty, numbers, cloned, ended, None, other)

    def recognise(self, place: str, passage: Passage) -> Seen:
        """A passage that was decided is certain now, or another vehicle's: what it means, as of now."""
        at, token, certainty = passage.first_at, passage.best.token, passage.certainty
        trace, here = self.traces.get(token), self.compounds[place]
        visit = here.visits.get(token)
        if trace is None or visit is None or passage.best.direction or visit.entered_at != at:
            return Seen(_HISTORY, token, certainty)
        here.show(token, passage.best, certainty)
        if certainty == CERTAIN and trace.last_at == at:
            trace.witnessed = at
        before, since = passage.before, at - self._tracking.roaming
        seen_at = at - self._tracking.remember if before is None else before.last_at or before.hour * HOUR
        roamed = len({where for when, where in trace.entries if when > since})
        return Seen(_ENTERED, token, certainty, _arrived(max(at - seen_at, 0), len(trace.entries), roamed))

    def _left_before(
        self, place: str, gate: str, trace: Trace, token: int, passage: Passage
    ) -> tuple[Visit | None, bool, tuple[Ended, ...]]:
        """Somebody leaves who was not inside: (the visit that seemed to be over, cloned, ended)."""
        at, ghost = passage.first_at, self.clones.take(place, token)
        if ghost is not None and at - ghost.since < DAY:
            return ghost.visit, self.clones.judge(token, at, [(ghost.elsewhere, trace.witnessed >= ghost.since)]), _NONE
        if not trace.gate:
            return None, False, _NONE
        sure = passage.certainty == CERTAIN and passage.kept[0].token == token
        return None, *self._elsewhere(place, gate, trace, token, at, sure)

    def _who(self, place: str, passage: Passage) -> tuple[int, bool, tuple[Ended, ...]]:
        """The vehicle that a passage out of ``place`` shows, and what its having been there means: (cloned, ended)."""
        here, mine = self.compounds[place], passage.kept[0].token
        if not mine:
            return here.only_near(passage), False, _NONE
        token = here.who(passage)
        if token == mine:
            if token in here.visits or token in self.traces or token in self.known:
                return token, False, _NONE
            who = self.clones.relative(place, passage)
            if not who and passage.certainty == DOUBTFUL:
                who = here.only_near(passage)
            return who or token, False, _NONE
        visit, known_later = here.visits[token], self._seen_after(mine, passage.first_at)
        # Of two readings the one that was seen before is right; where neither was, the one that is certain.
        surer = visit.certainty == DOUBTFUL and passage.certainty == CERTAIN
        if not visit.stranger and mine in self.known and visit.certainty == passage.certainty == CERTAIN:
            return mine, False, _NONE  # both are known, and neither is in doubt: they are two
        here.pair_all(token, passage, self._tracking.settle)
        if not visit.stranger or known_later or not (mine in self.known or surer):
            return token, False, _NONE
        return mine, *self._own(place, token, passage)

    def _own(self, place: str, token: int, passage: Passage) -> tuple[bool, tuple[Ended, ...]]:
        """The visit of ``token`` was that of the vehicle which leaves now, misread when it came."""
        here, mine = self.compounds[place], passage.kept[0].token
        visit = here.remove(token)
        assert visit is not None
        # One of its readings when it came may have shown the plate all the same: then both ends do.
        sure = passage.certainty == CERTAIN or mine in visit.kin
        self._take_back(token, None, visit.entered_at)
        visit.misread = True
        here.add(mine, visit)
        trace = self._trace(mine)
        elsewhere = self._places.above(trace.gate, _COMPOUND) if trace.gate else None
        gate = self._places.device_index.get(visit.read.device)
        if elsewhere is None or elsewhere == place or gate is None:
            return False, _NONE
        if trace.last_at > visit.entered_at:
            sides = [(elsewhere, trace.witnessed >= visit.entered_at), (place, sure)]
            return self.clones.judge(mine, passage.first_at, sides), _NONE
        return self._elsewhere(place, self._places.devices[gate].place, trace, mine, visit.entered_at, sure)

    def _elsewhere(
        self, place: str, gate: str, trace: Trace, token: int, at: int, sure: bool
    ) -> tuple[bool, tuple[Ended, ...]]:
        """What it means that a vehicle is seen here that was last seen in another compound: (cloned, ended).

        ``sure`` is whether it is certain that it is this vehicle.
        """
        drive = self._drives.least(trace.gate, gate)
        if drive < 0:
            return False, ()
        if at - trace.last_at < drive:
            there = self._places.above(trace.gate, _COMPOUND) or ""
            return self.clones.judge(token, at, [(there, trace.witnessed >= trace.last_at), (place, sure)]), ()
        if not trace.inside or trace.inside == place:
            return False, ()
        other = self.compounds[trace.inside]
        visit = other.remove(token)
        if visit is None:
            return False, ()
        other.missed_exit(visit, at)
        self.clones.keep(trace.inside, token, Ghost(visit, at, place))
        ended = Ended(trace.inside, token, visit)
        trace.inside = ""
        return False, (ended,)

    # -- what is known of a vehicle ----------------------------------------------------------------------------------

    def _take_back(self, token: int, before: Before | None, at: int) -> Visit | None:
        """The entry at ``at`` was not this vehicle's: know of it what was known before.

        Returns its visit elsewhere that seemed to be over, and goes on.
        """
        self.clones.take_back(token, at)
        trace = self.traces.get(token)
        if trace is not None and trace.last_at > at:
            self._passed_anyway(token, trace, at)
            return None
        self.traces.pop(token, None)
        if before is None:
            self.known.pop(token, None)
            return None
        self.known[token] = before.hour
        if trace is None or not before.last_at:
            return None
        earlier = [entry for entry in trace.entries if entry[0] != at]
        back = Trace(before.last_at, before.gate, "", earlier, trace.shorts, before.witnessed, trace.courier)
        self.traces[token] = back
        where, ghost = self.compounds.get(before.inside), self.clones.ghosts.get((before.inside, token))
        if where is not None and token in where.visits:  # two vehicles, one plate: the other one never left
            back.inside = before.inside
            return None
        if where is None or ghost is None or ghost.since != at:
            return None
        self.clones.take(before.inside, token)
        where.came_back()
        where.add(token, ghost.visit)
        back.inside = before.inside
        return ghost.visit

    def _passed_anyway(self, token: int, trace: Trace, at: int) -> None:
        """As ``_take_back``, of a vehicle that has passed since: what is known of it by that stays."""
        trace.entries = [entry for entry in trace.entries if entry[0] != at]
        if trace.inside and token not in self.compounds[trace.inside].visits:
            trace.inside = ""

    def rename(
        self, place: str, gate: str, passage: Passage, now: int
    ) -> tuple[list[tuple[str, int, Visit]], tuple[Ended, ...]]:
        """The entry by ``gate`` was another vehicle's than it was decided with: more readings, at ``now`` (ns), say so.

        Returns the visits that go on by that, each with its compound and pseudonym: that of the vehicle, and that of
        the one it was taken for, if that one is inside elsewhere. And the visits that are over by that: those of the
        vehicle as for ``enter``, or the one that was misread, when the vehicle had come already or has passed since.
        """
        here, token, at, read = self.compounds[place], passage.decided, passage.first_at, passage.best
        visit, before = here.visits.get(token), passage.before
        if visit is None or visit.entered_at != at:  # it is over, or this one never began
            return [], _NONE
        here.remove(token)
        visits, other = list[tuple[str, int, Visit]](), self._take_back(token, before, at)
        here.rename_twin(token, read.token)
        if before is not None and other is not None:
            other.due, other.untold = self._next_due(before.inside, other.entered_at, now), None
            visits.append((before.inside, token, other))
        if self._seen_after(read.token, at) or (read.token in here.visits and self._just_came(read.token, gate, at)):
            return visits, (Ended(place, token, visit, twice=True),)
        mine = self._trace(read.token)
        return [(place, read.token, visit), *visits], self._enter_renamed(place, gate, passage, visit, mine)

    def _just_came(self, token: int, gate: str, at: int) -> bool:
        """Whether a vehicle that is inside came by this gate at the moment ``at``, too."""
        trace = self.traces.get(token)
        return trace is not None and trace.gate == gate and at - trace.last_at <= self._tracking.merge

    def _enter_renamed(self, place: str, gate: str, passage: Passage, visit: Visit, trace: Trace) -> tuple[Ended, ...]:
        """As ``enter``: the visit is that of the vehicle which the passage shows now. Returns what is over by that."""
        here, token, at = self.compounds[place], passage.best.token, visit.entered_at
        passage.before = self._before(token, trace)
        visit.read, visit.certainty, visit.kin = passage.best, passage.certainty, passage.kin()
        visit.stranger = passage.before is None
        self.clones.take(place, token)
        # Two places at once are said when the visit ends under the plate: then it has a witness.
        ended = self._elsewhere(place, gate, trace, token, at, sure=False)[1] if trace.gate else _NONE
        if (old := here.remove(token)) is not None:
            here.missed_exit(old, at)
            ended = (*ended, Ended(place, token, old))
        here.add(token, visit)
        trace.entries += [(at, place)]
        trace.inside = place
        self._note(token, trace, gate, at, passage.certainty == CERTAIN)
        return ended

    def adopt(self, former: int, token: int) -> tuple[str, Visit] | None:
        """A vehicle known under the former key's pseudonym goes on under the new one's. Returns its visit."""
        hour = self.known.pop(former, None)
        if hour is not None:
            self.known[token] = max(hour, self.known.get(token, hour))
        nights = self.homes.pop(former, 0)
        if nights:
            self.homes[token] = self.homes.get(token, 0) + nights
        for compound in self.compounds.values():
            compound.rename_twin(former, token)
            compound.rename_kin(former, token)
        trace = self.traces.pop(former, None)
        if trace is None or token in self.traces:
            return None
        self.traces[token] = trace
        self.clones.adopt(former, token, self.compounds)
        here = self.compounds.get(trace.inside)
        visit = here.remove(former) if here is not None else None
        if here is None or visit is None:
            return None
        here.remove(token)  # of somebody who is there under both, the trace of one was forgotten
        here.add(token, visit)
        return trace.inside, visit
