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

import heapq
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

import numpy as np

from sensord.core.batch import Batch
from sensord.core.definition import Definition
from sensord.core.instant import DAY, HOUR, utc_offset
from sensord.core.place import PlaceKind, Places
from sensord.core.rules.rule import RISING, Rule
from sensord.core.stream import EVENT, Stream
from sensord.core.vehicles.passage import DECIDED, LATER, WAIT, Passage, Passages, Read
from sensord.core.vehicles.presence import Compound, Ended, Presence, Seen
from sensord.core.vehicles.tally import Occupancy
from sensord.core.vehicles.trackerstate import CLOCK, SETTLE, STAY, Due, load, save, schedule
from sensord.core.vehicles.visitrow import NOTHING, Numbers, VisitRow, merged, nobody

_PASSED, _STAYING, _OVERNIGHT, _ENDED, _CLONED = range(len(EVENT.words))
_IN = 0
_LABELS = ("direction", "class", "province", "energy", "list")


class Tracker:
    """Follows the vehicles of a definition. Without site keys there is nobody to follow, and batches pass unchanged."""

    def __init__(self, definition: Definition, places: Places) -> None:
        self.on = bool(definition.plate_keys)
        self._tracking, self._offset = definition.tracking, utc_offset(definition.zone)
        self._devices = [device.id for device in places.devices]
        self._numbers = places.device_index
        self._gates = [device.place for device in places.devices]
        above = [places.above(device.place, PlaceKind.COMPOUND) for device in places.devices]
        self._compound = {gate: place for gate, place in zip(self._gates, above, strict=True) if place is not None}
        self.passages = Passages(definition.tracking)
        self.presence = Presence(definition.tracking, places, _marks(definition.rules))
        self._nights = any(_sees(rule, "overnight") for rule in definition.rules)
        self.dues: list[Due] = []
        self.clock = 0
        self._rows: list[VisitRow] = []
        self._arrivals: list[int] = []
        self._place = 0
        self.counts = Counter[tuple[str, str]]()
        self.occupancy: list[Occupancy] = []
        """Who was inside at every full local hour since this was last emptied."""

    def begin(self, at: int) -> None:
        """Begin to look at the journal instant ``at`` (ns), unless that was long ago."""
        if self.on and not self.clock:
            self.presence.begun = at
            self.clock = self._next_hour(at)
            heapq.heappush(self.dues, (self.clock, CLOCK, "", 0))

    def _next_hour(self, at: int) -> int:
        return ((at + self._offset) // HOUR + 1) * HOUR - self._offset

    @property
    def gates(self) -> frozenset[str]:
        """The gates (or other places with a camera) whose passages are followed."""
        return frozenset(self._compound)

    def carry_over(self, old: Tracker, at: int) -> None:
        """Take over, at the journal instant ``at``, the state of the tracker of the definition before.

        A visit that began at a camera which is gone goes on as if it had begun at another of its compound.
        """
        load(self, save(old))
        cameras = {
            self._compound[gate]: device
            for device, gate in zip(self._devices, self._gates, strict=True)
            if gate in self._compound
        }
        for place, here in self.presence.compounds.items():
            for visit in here.visits.values():
                if visit.read.device not in self._numbers and place in cameras:
                    visit.read = visit.read._replace(device=cameras[place])
        self.presence.redue(at)
        schedule(self)

    # -- a batch -----------------------------------------------------------------------------------------------------

    def take(self, batch: Batch) -> Batch:
        """Return the batch with what is to be said of vehicles in it; ``counts`` and ``occupancy`` grow."""
        if not self.on:
            return batch
        self.begin(int(batch.received_at[0]) if len(batch) else batch.now)
        self._rows, self._arrivals, self._place = [], batch.received_at.tolist(), 0
        for position, gate, read in self._reads(batch):
            if self.dues[0][0] <= read.received_at:
                self._advance(read.received_at)
            self._take(position + 1, gate, read)
        if self.dues[0][0] <= batch.now:
            self._advance(batch.now)
        self._count()
        return merged(batch, self._rows) if self._rows else batch

    def _count(self) -> None:
        """Add what passages and presence counted since they were last asked."""
        forgotten = self.presence.forgotten + self.passages.forgotten
        for name, amount in (("merged", self.passages.merged), ("forgotten", forgotten)):
            if amount:
                self.counts["visit", name] += amount
        self.passages.merged = self.passages.forgotten = self.presence.forgotten = 0

    def _reads(self, batch: Batch) -> Iterable[tuple[int, str, Read]]:
        """Yield the camera readings: position in the batch, gate, reading."""
        rows = np.flatnonzero(batch.stream == Stream.PLATE)
        if not len(rows):
            return
        none = np.full(len(rows), -1)
        labels = [(batch.labels[name][rows] if name in batch.labels else none).tolist() for name in _LABELS]
        confidence = batch.fields["confidence"][rows] if "confidence" in batch.fields else np.ones(len(rows))
        seen = (batch.sightings or nobody(len(batch))).select(rows)
        devices = batch.device[rows].tolist()
        reads = map(
            Read._make,
            zip(
                batch.received_at[rows].tolist(),
                batch.event_at[rows].tolist(),
                map(self._devices.__getitem__, devices),
                confidence.tolist(),
                *(column.tolist() for column in seen.who.T),
                seen.sure.tolist(),
                seen.masks,
                *labels,
                strict=True,
            ),
        )
        for position, gate, read in zip(rows.tolist(), map(self._gates.__getitem__, devices), reads, strict=True):
            if gate in self._compound and read.direction >= 0:
                yield position, gate, read

    def _take(self, position: int, gate: str, read: Read) -> None:
        if read.former and read.former in self.presence.known:
            self.presence.adopt(read.former, read.token)
        passage, what = self.passages.take(gate, read)
        if what == DECIDED:
            self._decide(position, read.received_at, gate, passage)
        elif what == WAIT:
            heapq.heappush(self.dues, (passage.due, SETTLE, gate, read.direction))
        elif what == LATER and read.direction == _IN:
            self._correct(gate, passage)

    def _correct(self, gate: str, passage: Passage) -> None:
        """A vehicle that was let in was read again, under another pseudonym."""
        place = self._compound[gate]
        if passage.best.token != passage.decided:
            self.presence.rename(place, gate, passage.decided, passage)
            passage.decided = passage.best.token
        else:
            self.presence.compounds[place].relate(passage.decided, passage.kin())

    # -- time --------------------------------------------------------------------------------------------------------

    def _advance(self, to: int) -> None:
        """Let happen what is due at or before ``to``, each at its own instant."""
        happen = (self._settle, self._stay, self._strike)
        while self.dues[0][0] <= to:
            at, kind, where, what = heapq.heappop(self.dues)
            # Before the first reading that arrives at or after that instant.
            self._place = bisect_left(self._arrivals, at, self._place)
            happen[kind](self._place, at, where, what)

    def _settle(self, position: int, at: int, gate: str, direction: int) -> None:
        for passage in self.passages.due(gate, direction, at):
            self._decide(position, at, gate, passage)

    def _stay(self, position: int, at: int, place: str, token: int) -> None:
        reached = self.presence.expire(place, token, at)
        if reached is None:
            return
        visit, over = reached
        if over:
            self._end(position, at, Ended(place, token, visit))
            return
        heapq.heappush(self.dues, (visit.due, STAY, place, token))
        stay = (at - visit.entered_at) / HOUR
        self._say(position, at, at, _STAYING, visit.read, token, self.presence.compounds[place], Numbers(stay=stay))

    def _strike(self, position: int, at: int, _where: str, _what: int) -> None:
        """A full local hour: note who is inside; at night, say who stays, and begin the day's balance anew."""
        self.clock = self._next_hour(at)
        heapq.heappush(self.dues, (self.clock, CLOCK, "", 0))
        for place, here in self.presence.compounds.items():
            self.occupancy.append(Occupancy(at, place, here.inside, here.unsure))
        if (at + self._offset) % DAY // HOUR != self._tracking.night // HOUR:
            return
        for here in self.presence.compounds.values():
            for token, visit in here.visits.items():
                visit.nights += 1
                if self._nights:
                    nights = Numbers(nights=visit.nights)
                    self._say(position, at, at, _OVERNIGHT, visit.read, token, here, nights)
        self.presence.night(at)

    # -- what is said ------------------------------------------------------------------------------------------------

    def _decide(self, position: int, at: int, gate: str, passage: Passage) -> None:
        """A passage is what it is: pair it, and say so."""
        read, place = passage.best, self._compound[gate]
        passage.decided = read.token
        pair = self.presence.enter if read.direction == _IN else self.presence.leave
        seen = pair(place, gate, passage)
        self.counts["visit", seen.pairing.value] += 1
        for ended in seen.ended:
            self._end(position, at, ended)
        here = self.presence.compounds[place]
        if read.direction == _IN and (visit := here.visits.get(seen.token)) is not None and seen.token:
            heapq.heappush(self.dues, (visit.due, STAY, place, seen.token))
        self._pass(position, at, passage, seen, here)
        if seen.cloned:
            self._say(position, at, passage.first_at, _CLONED, read, seen.token, here)

    def _pass(self, position: int, at: int, passage: Passage, seen: Seen, here: Compound) -> None:
        numbers = NOTHING
        if seen.away >= 0:
            numbers = Numbers(days_away=seen.away / DAY, visits=seen.visits, compounds=seen.compounds)
        elif seen.stay >= 0:
            numbers = Numbers(stay=seen.stay / HOUR, short_visits=seen.shorts)
        self._say(position, at, passage.first_at, _PASSED, passage.best, seen.token, here, numbers)

    def _end(self, position: int, at: int, ended: Ended) -> None:
        """A visit is over, and nobody saw the vehicle leave."""
        self.counts["visit", "missed_exit"] += 1
        here = self.presence.compounds[ended.compound]
        self._say(position, at, at, _ENDED, ended.visit.read, ended.token, here)

    def _say(
        self,
        position: int,
        at: int,
        event_at: int,
        event: int,
        read: Read,
        token: int,
        here: Compound,
        numbers: Numbers = NOTHING,
    ) -> None:
        """Make a reading at ``at`` of what happened at ``event_at``; ``here`` is the compound that it is about."""
        device = self._numbers.get(read.device)
        if device is None:  # the camera that saw it come is gone, and its compound has no other
            return
        inside = here.inside
        filled = 100.0 * inside / here.parking if here.parking else math.nan
        labels = (event, read.direction, read.sort, read.province, read.energy, read.listed)
        times = (min(event_at, at), at, token, read.received_at)
        self._rows.append((position, device, *times, read.mask, *labels, *numbers, inside, here.unsure, filled))


def _sees(rule: Rule, event: str) -> bool:
    """Whether a rule looks at readings of this event."""
    return rule.stream is Stream.VISIT and event in rule.where.get("event", EVENT.words)


def _marks(rules: Iterable[Rule]) -> tuple[int, ...]:
    """The lengths of stay (ns) at which a rule wants to hear of a vehicle: the thresholds of rules on ``stay``."""
    marks = {
        round(rung.threshold * HOUR)
        for rule in rules
        if _sees(rule, "staying") and rule.value is not None and rule.value.field == "stay"
        if rule.comparison in RISING
        for rung in rule.levels
    }
    return tuple(sorted(mark for mark in marks if mark > 0))
