"""How right the core is about simulated vehicles: passages, visits, overstays and clones held against the truth.

*Passage*: right when exactly one was decided at its gate, in its direction, within the twenty seconds that readings
are merged for. *Visit*: right when every end that a camera saw was paired with the right vehicle's other end, and
every end that no camera saw is known to have been missed. *Overstay*: a stay reached the limit, and the core said so.
*Clone*: a plate that two vehicles carry; found, of those that can be (``Truth.findable``), and of all. *Inside*: how
many vehicles that came while we looked are in a compound at a full hour, and whether the core said so within its own
uncertainty.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from sensord.core.batch import Batch
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, SECOND
from sensord.core.intake.intake import Intake
from sensord.core.place import PlaceKind, Places
from sensord.core.record import Record
from sensord.core.stream import DIRECTION, EVENT, PLATE_CLASS, Stream
from sensord.core.vehicles.plate import recognise
from sensord.core.vehicles.pseudonym import Pseudonymiser, Secrets
from sensord.core.vehicles.tally import Occupancy
from sensord.core.vehicles.tracker import Tracker
from simulators.traffic import Drive, Stay, Truth

NEAR = 20 * SECOND
GROUP = 2000


@dataclass(frozen=True, slots=True)
class Said:
    """One derived reading: what the core said. ``entered_at`` (ns) is 0 when it does not say.

    ``number`` is the hours or nights that a vehicle stays (NaN: it does not say), ``sort`` the class of its plate.
    """

    at: int
    event: str
    gate: str
    compound: str
    inward: bool
    token: int
    entered_at: int
    number: float
    sort: str


@dataclass(slots=True)
class Score:
    """Hits, what was true, and what was said; ``wrong`` holds the misses for whoever wants to look.

    ``true_said`` is how much of what was said is true, where that is not the number of hits.
    """

    hits: int = 0
    true: int = 0
    said: int = 0
    wrong: list[object] = field(default_factory=list)
    true_said: int | None = None

    @property
    def precision(self) -> float:
        """The share of what was said that is true."""
        true = self.hits if self.true_said is None else self.true_said
        return true / self.said if self.said else 1.0

    @property
    def recall(self) -> float:
        """The share of what is true that was said."""
        return self.hits / self.true if self.true else 1.0


@dataclass(slots=True)
class Inside:
    """Hours of compounds: how many there were, vehicles that were inside and were said to be, and how sure that was."""

    hours: int = 0
    true: int = 0
    said: int = 0
    within: int = 0
    unsure: int = 0

    def add(self, true: int, one: Occupancy) -> None:
        """Judge one compound at one hour."""
        self.hours += 1
        self.true += true
        self.said += one.inside
        self.within += abs(one.inside - true) <= one.unsure
        self.unsure += one.unsure

    @property
    def bias(self) -> float:
        """The share by which too many are said to be inside."""
        return self.said / self.true - 1.0

    @property
    def covered(self) -> float:
        """The share of the hours at which the truth is no further off than the core said it might be."""
        return self.within / self.hours


def listen(
    definition: Definition, secrets: Secrets, records: Iterable[Record], occupancy: list[Occupancy] | None = None
) -> list[Said]:
    """Run intake and tracker over records and return everything that was said of vehicles.

    ``occupancy`` grows by who was inside at every full hour.
    """
    places = Places(definition.places, definition.devices)
    pseudonymiser = Pseudonymiser(definition.plate_keys, definition.tracking.overlap, secrets)
    intake, tracker = Intake(definition, places, pseudonymiser), Tracker(definition, places)
    said: list[Said] = []
    waiting: list[Record] = []
    for record in records:
        waiting.append(record)
        if len(waiting) >= GROUP:
            said += _said(tracker.take(intake.decode(tuple(waiting), record.received_at).batch), places)
            waiting.clear()
    if waiting:
        said += _said(tracker.take(intake.decode(tuple(waiting), waiting[-1].received_at).batch), places)
    if occupancy is not None:
        occupancy += tracker.occupancy
    return said


def _said(batch: Batch, places: Places) -> list[Said]:
    found = []
    seen = batch.sightings
    for row in np.flatnonzero(batch.stream == Stream.VISIT).tolist():
        assert seen is not None
        gate = places.devices[int(batch.device[row])].place
        at, stay = int(batch.event_at[row]), float(batch.fields["stay"][row])
        event = EVENT.words[int(batch.labels["event"][row])]
        entered = at - round(stay * HOUR) if not math.isnan(stay) else 0
        inward = DIRECTION.words[int(batch.labels["direction"][row])] == "in"
        compound = places.above(gate, PlaceKind.COMPOUND) or ""
        number = float(batch.fields["nights"][row]) if event == "overnight" else stay
        sort = PLATE_CLASS.words[int(batch.labels["class"][row])]
        found.append(Said(at, event, gate, compound, inward, int(seen.who[row, 0]), entered, number, sort))
    return found


class Judge:
    """Holds what was said against the truth. ``skew`` is what the clocks' correction may leave (ns)."""

    def __init__(self, truth: Truth, said: list[Said], pseudonymiser: Pseudonymiser, start: int, end: int) -> None:
        self._truth, self._said, self._start, self._end = truth, said, start, end
        self._who = pseudonymiser
        self._tokens: dict[str, int] = {}

    def token(self, plate: str) -> int:
        """The pseudonym of a true plate."""
        if plate not in self._tokens:
            self._tokens[plate] = self._who.identify(recognise(plate).text, self._start).token
        return self._tokens[plate]

    def passages(self) -> Score:
        """Match decided passages to the drives that a camera saw, each once, nearest first come."""
        score, waiting = Score(), defaultdict[tuple[str, bool], list[Said]](list)
        for one in self._said:
            if one.event == "passed":
                waiting[one.gate, one.inward].append(one)
                score.said += 1
        for drive in self._truth.drives():
            if drive.seen:
                score.true += 1
                near = waiting[drive.gate, drive.inward]
                found = next((one for one in near if abs(one.at - drive.at) <= NEAR and self._is(one, drive)), None)
                found = found or next((one for one in near if abs(one.at - drive.at) <= NEAR), None)
                if found is None:
                    score.wrong.append(drive)
                    continue
                score.hits += 1
                near.remove(found)
        return score

    def _is(self, one: Said, drive: Drive) -> bool:
        return one.token == self.token(drive.plate)

    def visits(self, *, strict: bool = False) -> Score:
        """Judge the visits of vehicles that both came and left while we looked.

        With ``strict`` a visit counts only when both ends were paired, although a camera may have missed one.
        """
        outs, ins = self._passed()
        score = Score(said=sum(one.entered_at > 0 for ones in outs.values() for one in ones))
        for stay in self._truth.stays:
            if stay.exit is None or stay.entry.at < self._start:
                continue
            if not (stay.entry.seen or stay.exit.seen) and not strict:
                continue
            score.true += 1
            if self._right(stay, outs, ins, strict=strict):
                score.hits += 1
            else:
                score.wrong.append(stay)
        return score

    def _passed(self) -> tuple[dict[str, list[Said]], dict[tuple[str, int], list[Said]]]:
        """The exits by gate, and the entries by compound and vehicle."""
        outs, ins = defaultdict[str, list[Said]](list), defaultdict[tuple[str, int], list[Said]](list)
        for one in self._said:
            if one.event == "passed" and one.inward:
                ins[one.compound, one.token].append(one)
            elif one.event == "passed":
                outs[one.gate].append(one)
        return outs, ins

    def _right(
        self, stay: Stay, outs: dict[str, list[Said]], ins: dict[tuple[str, int], list[Said]], *, strict: bool
    ) -> bool:
        entry, leave = stay.entry, stay.exit
        assert leave is not None
        left = [one for one in outs[leave.gate] if abs(one.at - leave.at) <= NEAR]
        if entry.seen and leave.seen:
            return any(one.entered_at and abs(one.entered_at - entry.at) <= NEAR for one in left)
        if strict:
            return False
        if leave.seen:  # the entry was missed: the exit must stand alone
            return any(not one.entered_at and self._is(one, leave) for one in left)
        # The exit was missed: the vehicle must have come, and no exit may be paired with its entry.
        came = any(abs(one.at - entry.at) <= NEAR for one in ins[entry.compound, self.token(entry.plate)])
        exits = (one for ones in outs.values() for one in ones if one.entered_at and one.compound == entry.compound)
        return came and not any(abs(one.entered_at - entry.at) <= NEAR for one in exits)

    def overstays(self, limit: int) -> Score:
        """Judge the warnings of stays that reached ``limit`` (ns)."""
        score = Score()
        warned = [one for one in self._said if one.event == "staying"]
        score.said = len(warned)
        for stay in self._truth.stays:
            ends = stay.exit.at if stay.exit is not None else self._end
            if stay.entry.at < self._start or not stay.entry.seen or stay.entry.at + limit >= min(ends, self._end):
                continue
            score.true += 1
            at, compound = stay.entry.at + limit, stay.entry.compound
            found = [one for one in warned if one.compound == compound and abs(one.at - at) <= NEAR]
            if found:
                score.hits += 1
                warned.remove(found[0])
            else:
                score.wrong.append(stay)
        return score

    def warnings(self, said: Iterable[Said], moments: Callable[[Stay], Iterable[int]]) -> Score:
        """Judge what was said of vehicles that stay; ``moments`` are when it should be said of a stay (ns).

        What is said is true when that vehicle is inside that compound at that moment. It should be said of every stay,
        also of one whose entry no camera saw.
        """
        stays, score, right = defaultdict[tuple[int, str], list[Stay]](list), Score(), 0
        heard = defaultdict[tuple[int, str], list[int]](list)
        for stay in self._truth.stays:
            stays[self.token(stay.entry.plate), stay.entry.compound].append(stay)
        for one in said:
            score.said += 1
            heard[one.token, one.compound].append(one.at)
            right += any(self._lasts(stay, one.at) for stay in stays[one.token, one.compound])
        for who, ones in stays.items():
            due = [
                at for stay in ones for at in moments(stay) if self._start < at < self._end and self._lasts(stay, at)
            ]
            score.true += len(due)
            score.hits += sum(any(abs(at - other) <= NEAR for other in heard[who]) for at in due)
        score.true_said = right
        return score

    @staticmethod
    def _lasts(stay: Stay, at: int) -> bool:
        return stay.entry.at - NEAR <= at and (stay.exit is None or at < stay.exit.at + NEAR)

    def inside(self, occupancy: Iterable[Occupancy], since: int) -> Inside:
        """Judge who was said to be inside at the full hours from ``since`` (ns) on, while vehicles were driving."""
        ins, outs, found = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list), Inside()
        for drive in self._truth.drives():
            (ins if drive.inward else outs)[drive.compound].append(drive.at)
        for one in occupancy:
            if since <= one.at < self._end and one.at % HOUR == 0:
                true = bisect_right(ins[one.compound], one.at) - bisect_right(outs[one.compound], one.at)
                found.add(true, one)
        return found

    def clones(self, findable: set[str] | None = None) -> Score:
        """Judge which plates were said to be carried by two vehicles; ``findable``: look for these only."""
        said = {one.token for one in self._said if one.event == "cloned"}
        every = {self.token(plate) for plate in self._truth.clones}
        true = every if findable is None else {self.token(plate) for plate in findable}
        return Score(len(said & true), len(true), len(said), list((true - said) | (said - every)), len(said & every))
