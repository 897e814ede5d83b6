"""The tracker: a batch with camera readings in, the same batch with readings of the stream ``visit`` among them out.

It stands between intake and engine, so that the rule language sees passages and visits like any other reading, and it
sees the whole street, because vehicles drive from one compound to another. Pure; its state is part of every snapshot,
and it holds no plate.

Derived readings are flagged ``DERIVED`` (they are no sign of life of a camera) and stand where they became known: right
after the reading that decides them, or, when time decides (a doubtful passage settles, a stay reaches a rule's
threshold, the night comes), before the first reading that arrives at or after that instant. So it does not matter how
the journal is cut into batches.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from heapq import heappop, heappush

import numpy as np
from msgspec.structs import replace

from sensord.core.batch import Batch
from sensord.core.definition import Definition
from sensord.core.instant import DAY, HOUR, utc_offset
from sensord.core.place import PlaceKind, Places
from sensord.core.stream import EVENT, Stream
from sensord.core.vehicles.compound import Compound
from sensord.core.vehicles.lasting import HELD_UP, STORED
from sensord.core.vehicles.lookout import Lookout
from sensord.core.vehicles.marks import Lengths, sees
from sensord.core.vehicles.passage import CERTAIN, DECIDED, LATER, SURER, WAIT, Passage, Passages, Read
from sensord.core.vehicles.presence import Presence
from sensord.core.vehicles.reads import Reads, Run
from sensord.core.vehicles.stays import Stays
from sensord.core.vehicles.tally import SLOT, Occupancy
from sensord.core.vehicles.trackerstate import Due, load, save, schedule
from sensord.core.vehicles.visit import NO_NUMBERS, Ended, Numbers, Pairing, Seen, Visit
from sensord.core.vehicles.visitrow import merged, pack_row

_PASSED, _STAYING, _OVERNIGHT, _ENDED, _CLONED, _RECOGNISED, _ = range(len(EVENT.words))
_IN = 0
_NAN = math.nan


class Tracker:
    """Follows the vehicles of a definition. Without site keys there is nobody to follow, and batches pass unchanged."""

    def __init__(self, definition: Definition, places: Places, *, on: bool = True) -> None:
        self.on = on and bool(definition.plate_keys)
        self._tracking, self._offset = definition.tracking, utc_offset(definition.zone)
        self._lateness = definition.lateness_of(Stream.VISIT)
        self._devices = np.array([device.id for device in places.devices], np.object_)
        self.places, self._numbers = places, places.device_index
        gates = [device.place for device in places.devices]
        above = [places.above(gate, PlaceKind.COMPOUND) for gate in gates]
        self._gate = dict(zip(self._devices, gates, strict=True))
        cameras = (device.stream is Stream.PLATE for device in places.devices)
        lanes = zip(gates, above, cameras, strict=True)
        self._compound = {gate: place for gate, place, camera in lanes if camera and place is not None}
        numbers = {gate: number for number, gate in enumerate(sorted(self._compound))}
        self._gate_of = np.array([numbers.get(gate, -1) for gate in gates] or [-1], np.int64)
        spaces = [None if place is None else places.by_id[place].parking for place in above]
        self.parking = np.array([amount or _NAN for amount in spaces], np.float64)
        self.passages = Passages(definition.tracking)
        self.lengths = Lengths(definition.rules, places)
        self.presence = Presence(definition.tracking, places, self.lengths.marks)
        self._nights = any(sees(rule, "overnight") for rule in definition.rules)
        self.settling: list[Due] = []
        self.stays = Stays(self.presence.compounds, self._offset)
        self.lookout = Lookout(definition.plates)
        self._due = 0
        self._rows = bytearray()
        self._masks: list[str] = []
        self._arrivals: list[int] = []
        self._place = 0
        self._pairings = [0] * len(Pairing)
        self.counts = Counter[tuple[str, str]]()
        self.occupancy: list[Occupancy] = []
        """Who was inside at every full local quarter of an hour since this was last emptied."""

    def begin(self, at: int) -> None:
        """Begin to look at the journal instant ``at`` (ns), unless that was long ago."""
        if self.on and not self.stays.edge:
            self.stays.begin(self.stays.quarter(at))
            self.lookout.begin(at)
            self.look_ahead()

    def inside(self, at: int) -> list[Occupancy]:
        """Who is inside every compound, as it is to be written down for the instant ``at`` (ns)."""
        return [Occupancy(at, place, here.inside, here.unsure) for place, here in self.presence.compounds.items()]

    @property
    def gates(self) -> frozenset[str]:
        """The gates (or other places with a camera) whose passages are followed."""
        return frozenset(self._compound)

    def carry_over(self, old: Tracker, at: int) -> None:
        """Take over, at the journal instant ``at``, the state of the tracker of the definition before.

        Without site keys everything is forgotten: nobody would notice who leaves meanwhile.
        """
        if not self.on:
            return
        load(self, save(old), old.places)
        self.presence.redue(at, old.presence.marks)
        self.lookout.look(self.presence.compounds, self.passages.every(), at)
        schedule(self)

    # -- a batch -----------------------------------------------------------------------------------------------------

    def take(self, batch: Batch) -> Batch:
        """Return the batch with what is to be said of vehicles in it; ``counts`` and ``occupancy`` grow."""
        if not self.on:
            return batch
        self.begin(int(batch.received_at[0]) if len(batch) else batch.now)
        self._rows, self._masks, self._arrivals, self._place = bytearray(), [], batch.received_at.tolist(), 0
        if len(batch):
            self._take(Reads(batch, self._gate_of, self._devices, self._tracking))
        if self._due <= batch.now:
            self._advance(batch.now, len(batch))
        self._count()
        return merged(batch, self._rows, self._masks, self.parking) if self._rows else batch

    def _count(self) -> None:
        """Add what passages and presence counted since they were last asked."""
        counted = [(pairing.word, self._pairings[pairing]) for pairing in Pairing]
        counted += [("merged", self.passages.merged), ("forgotten", self.presence.forgotten + self.passages.forgotten)]
        for name, amount in counted:
            if amount:
                self.counts["visit", name] += amount
        self.passages.merged = self.passages.forgotten = self.presence.forgotten = 0
        self._pairings = [0] * len(Pairing)

    def _take(self, reads: Reads) -> None:
        """Take the readings in order; what only says again what was just said is taken with it."""
        heads, positions = reads.heads.tolist(), (reads.positions[reads.heads] + 1).tolist()
        singly, runs, made = list[int](), reads.runs, reads.made(reads.heads)
        columns = range(len(heads)), heads, positions, made, runs.more, runs.best, runs.last_at, runs.whole
        for number, row, position, read, more, best, last_at, whole in zip(*columns, strict=True):
            while singly and singly[0] < row:
                self._singly(reads, heappop(singly))
            if self._due <= read.received_at:
                self._advance(read.received_at, position)
            if whole and self._pass(position, read, more, best, last_at):
                continue
            passage = self._see(position, read)
            if more and not self._again(passage, read, run := runs.run(number)):
                for member in reads.members[run.start : run.stop].tolist():
                    heappush(singly, member)
        while singly:
            self._singly(reads, heappop(singly))

    def _pass(self, position: int, read: Read, more: int, best: Read | None, last_at: int) -> bool:
        """Take a whole passage at once; False when the one before it in the lane is still open."""
        gate = self._gate[read.device]
        passage = self.passages.alone(gate, read, more, last_at)
        if passage is None:
            return False
        if passage.due:
            self._wait(gate, passage)
        else:
            self._decide(position, read.received_at, gate, passage)
        if best is not None:
            passage.kept[0] = best
        return True

    def _singly(self, reads: Reads, row: int) -> None:
        read, position = reads.one(row), int(reads.positions[row]) + 1
        if self._due <= read.received_at:
            self._advance(read.received_at, position)
        self._see(position, read)

    def _again(self, passage: Passage, read: Read, run: Run) -> bool:
        """Take a run with its first reading, unless something might happen in between that depends on which came."""
        if passage.kept[0].token != read.token or passage.last_at != read.event_at or not passage.best.legible:
            return False
        entering = read.direction == _IN
        if passage.due:
            if run.last_received_at >= passage.due or (entering and run.sure):
                return False
        elif passage.certainty != CERTAIN or (entering and passage.decided != read.token):
            return False  # it was decided, and becomes certain, or another vehicle's
        self.passages.repeat(passage, run.stop - run.start, run.last_at, run.best)
        return True

    def _see(self, position: int, read: Read) -> Passage:
        """Take one reading; ``position`` is where in the batch its consequences stand."""
        if read.former and read.former in self.presence.known:
            moved = self.presence.adopt(read.former, read.token)
            if moved is not None:
                self._await(moved[0], read.token, moved[1])
        gate = self._gate[read.device]
        passage, what = self.passages.take(gate, read)
        if what == DECIDED:
            self._decide(position, read.received_at, gate, passage)
        elif what == WAIT:
            self._wait(gate, passage)
        elif what == LATER:
            self._correct(position, gate, passage, read.received_at)
        elif what == SURER:
            self._recognise(position, read.received_at, gate, passage)
        return passage

    def _correct(self, position: int, gate: str, passage: Passage, at: int) -> None:
        """A passage that was decided was read again, under another pseudonym, or legibly for the first time."""
        place, direction, token = self._compound[gate], passage.best.direction, passage.best.token
        if not passage.decided:
            if passage.first_at >= (here := self.presence.compounds[place]).counted_at:
                here.anonymous -= 1 if direction == _IN else -1
            self._decide(position, at, gate, passage, _RECOGNISED)
        elif direction == _IN and token != passage.decided:
            visits, gone = self.presence.rename(place, gate, passage, at)
            for where, who, visit in visits:
                self._await(where, who, visit)
            for ended in gone:
                self._end(position, at, ended)
            passage.decided = token
            if visits or gone:
                self._recognise(position, at, gate, passage)
        elif direction == _IN:
            self.presence.compounds[place].relate(passage.decided, passage.kin())

    def _recognise(self, position: int, at: int, gate: str, passage: Passage) -> None:
        """Say of a passage that was decided who it is, now that this is known, or certain."""
        place, presence = self._compound[gate], self.presence
        seen, here = presence.recognise(place, passage), presence.compounds[place]
        if seen.pairing is Pairing.HISTORY and passage.last_at + self._lateness < at:
            return  # nobody came, or is inside any more
        self._tell(position, at, _RECOGNISED, passage.best, passage.last_at, here, seen)

    def _wait(self, gate: str, passage: Passage) -> None:
        """A passage is decided when it is due."""
        heappush(self.settling, (passage.due, gate, passage.kept[0].direction))
        self._due = min(self._due, passage.due)

    # -- time --------------------------------------------------------------------------------------------------------

    def look_ahead(self) -> None:
        """Find the next instant at which time brings anything."""
        due, settling, near = min(self.stays.edge, self.lookout.due), self.settling, self.stays.near
        if settling and settling[0][0] < due:
            due = settling[0][0]
        if near and near[0][0] < due:
            due = near[0][0]
        self._due = due

    def _advance(self, to: int, before: int) -> None:
        """Let happen what is due at or before ``to``, each at its own instant.

        The readings of the batch that arrive earlier stand at positions below ``before``.
        At one instant doubtful passages settle, stays reach marks, lists begin, the quarter strikes: in this order.
        """
        settling, arrivals = self.settling, self._arrivals
        while (at := self._due) <= to:
            # The position before the first reading that arrives at or after that instant, which never falls.
            position = self._place = bisect_left(arrivals, at, self._place, before)
            if settling and settling[0][0] == at:
                _, gate, direction = heappop(settling)
                self._settle(position, at, gate, direction)
            elif (near := self.stays.near) and near[0][0] == at:
                _, place, token = heappop(near)
                self._stay(position, at, place, token)
            elif self.lookout.due == at:
                for found in self.lookout.look(self.presence.compounds, self.passages.every(), at):
                    self._await(*found)
            else:
                self._strike(position, at)
            self.look_ahead()

    def _settle(self, position: int, at: int, gate: str, direction: int) -> None:
        """Decide the passages of a lane that are due, in the order in which they began."""
        for passage in self.passages.open[direction].get(gate, ()):
            if 0 < passage.due <= at:
                passage.due = 0
                self._decide(position, at, gate, passage)

    def _await(self, place: str, token: int, visit: Visit) -> None:
        """Note when time matters next to a visit."""
        if self.stays.note(visit.due, place, token):
            self._due = min(self._due, visit.due)

    def _stay(self, position: int, at: int, place: str, token: int) -> None:
        here = self.presence.compounds[place]
        if disclosed := self.presence.disclose(place, token, at):
            visit, numbers = disclosed
            self._await(place, token, visit)
            self._say(position, at, _RECOGNISED, visit.read, (visit.entered_at, visit.certainty, token), here, numbers)
            return
        reached = self.presence.expire(place, token, at)
        if reached is None:
            return
        visit, over = reached
        if over:
            self._end(position, at, Ended(place, token, visit))
            return
        self._await(place, token, visit)
        stay = ((at - visit.entered_at) / HOUR, _NAN, _NAN, _NAN, _NAN, _NAN)
        self._say(position, at, _STAYING, visit.read, (at, visit.certainty, token), here, stay)

    def _strike(self, position: int, at: int) -> None:
        """A full local quarter: note who is inside; at night, say who stays, and begin the day's balance anew."""
        self.stays.turn()
        self.occupancy += self.inside(at)
        if (at + self._offset) % DAY // SLOT != self._tracking.night // SLOT:
            return
        for ended in self.presence.dusk(at):
            self._end(position, at, ended)
        for here in self.presence.compounds.values():
            for token, visit in here.visits.items():
                if self._nights:
                    nights = (_NAN, float(visit.nights), _NAN, _NAN, _NAN, _NAN)
                    self._say(position, at, _OVERNIGHT, visit.read, (at, visit.certainty, token), here, nights)
        self.presence.night(at)

    # -- what is said ------------------------------------------------------------------------------------------------

    def _decide(self, position: int, at: int, gate: str, passage: Passage, event: int = _PASSED) -> None:
        """A passage is what it is: pair it, and say so."""
        place, presence, read = self._compound[gate], self.presence, passage.kept[0]
        here = presence.compounds[place]
        passage.decided, held = read.token, here.balance if passage.first_at < here.counted_at else None
        seen = presence.leave(place, gate, passage) if read.direction else presence.enter(place, gate, passage)
        if here.counted_at:
            here.settle(held)
        self._pairings[seen.pairing] += 1
        for ended in seen.ended:
            self._end(position, at, ended)
        event_at = passage.last_at if event == _RECOGNISED else passage.told_as_of(at, self._lateness, self._tracking)
        visit = seen.visit
        if visit is not None:
            if visit.due <= at:
                visit.due = at + STORED
            if event == _PASSED and event_at + self._lateness < at:
                visit.tell(at + HELD_UP, seen.numbers)
            self._await(place, seen.token, visit)
        self._tell(position, at, event, read, event_at, here, seen)

    def _tell(self, position: int, at: int, event: int, read: Read, event_at: int, here: Compound, seen: Seen) -> None:
        """Say what a passage means that ``read`` shows, and that was at ``event_at``."""
        if seen.shown is not None:
            read = replace(seen.shown, device=read.device, direction=read.direction)
        what = event_at, seen.certainty, seen.token
        self._say(position, at, event, read, what, here, seen.numbers)
        if seen.cloned:
            self._say(position, at, _CLONED, read, what, here)

    def _end(self, position: int, at: int, ended: Ended) -> None:
        """A visit is over, and nobody saw the vehicle leave, or there was none."""
        self.counts["visit", "read_twice" if ended.twice else "missed_exit"] += 1
        here, visit = self.presence.compounds[ended.compound], ended.visit
        self._say(position, at, _ENDED, visit.read, (at, visit.certainty, ended.token), here)

    def _say(
        self,
        position: int,
        at: int,
        event: int,
        read: Read,
        what: tuple[int, int, int],
        here: Compound,
        numbers: Numbers = NO_NUMBERS,
    ) -> None:
        """Make a reading at ``at`` about a vehicle that the camera's reading ``read`` shows, and a compound.

        ``what`` is when it happened (ns), how certain it is who it was, and the vehicle's pseudonym.
        """
        device = self._numbers.get(read.device)
        if device is None:  # its compound has no camera any more
            return
        event_at, certainty, token = what
        stay, nights, away, visits, shorts, compounds = numbers
        # What the reading says of the vehicle is the end of it: direction, class, province, energy, list.
        self._rows += pack_row(
            position,
            event_at,
            at,
            token,
            read.received_at,
            stay,
            nights,
            away,
            visits,
            shorts,
            compounds,
            device,
            len(here.visits),
            here.anonymous,
            here.counted,
            here.doubtful,
            here.spread,
            event,
            read.direction,
            read.sort,
            read.province,
            read.energy,
            read.listed,
            certainty,
        )
        self._masks.append(read.mask)
