"""Passages: which readings of a gate's cameras are one vehicle driving through. Pure.

Cameras send a passage more than once (trigger and periodic, a standing vehicle, a second camera), and misread a
character now and then. Readings at one gate and direction are one passage when they are no further apart than ``merge``
and have the same pseudonym or family (they differ only where cameras confuse characters). Within ``settle`` they may
differ in any one character, unless both are sure: two sure readings of other plates are two vehicles, however close
behind each other (``twin`` notes those that one misread character would explain, too). A reading without a legible
plate belongs to the passage beside it. The pseudonym that most readings
agree on wins, then the surest; the others are kept beside it, so that the vehicle is recognised when it leaves under
one of them.

A sure reading decides an entry at once, for there somebody may have to be told; an exit, and an entry that is in doubt,
is decided after ``settle``; one that nobody can read, after ``merge``, for a vehicle that rolls up to a barrier is read
better there. A vehicle that stands in a lane, with no other behind it, is one passage for as long as it is read every
minute. What comes after a passage was decided can make it surer, or show another vehicle: then that is said, too::

    readings   A(0.97)         B(0.6)  B(0.8)        C(0.6)   C(0.95)
    entries    A!              |..settle..|B!        |........C!
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sensord.core.instant import MINUTE
from sensord.core.stream import CERTAINTY, PLATE_CLASS
from sensord.core.vehicles.pseudonym import neighbours
from sensord.core.vehicles.tracking import Tracking

CERTAIN, DOUBTFUL = range(len(CERTAINTY.words))
UNREAD = PLATE_CLASS.words.index("unread")
MOST_KEPT = 4
"""So many pseudonyms are kept of one passage."""
MOST_OPEN = 200
"""So many passages of one gate and direction may still get readings: no gate lets through more vehicles in the time."""


_STANDING = MINUTE
"""A vehicle that is read in a lane again within this time, with no other behind it, has not gone from there."""


class Read(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One reading of a camera. Times ns; ``token`` to ``late`` as in ``Identity``; the rest label codes."""

    received_at: int
    event_at: int
    device: str
    confidence: float
    token: int
    former: int
    family: int
    early: int
    late: int
    sure: bool
    mask: str
    direction: int
    sort: int
    province: int
    energy: int
    listed: int

    @property
    def legible(self) -> bool:
        """Whether it shows who it is well enough to be sorted."""
        return self.token != 0 and self.sort != UNREAD


class Before(msgspec.Struct, array_like=True, gc=False):
    """What was known of a vehicle before a passage: the hour and (0: not lately) the instant it was seen, and where.

    ``witnessed`` as in ``Trace``.
    """

    hour: int
    last_at: int
    gate: str
    inside: str
    witnessed: int


class Passage(msgspec.Struct, array_like=True, gc=False):
    """A passage that may still get readings. ``due`` (ns) is when it is decided at the latest; 0: it is decided.

    ``kept`` are the surest readings under each pseudonym and ``votes`` how many there were; the best comes first.
    ``first_at`` and ``last_at`` are event times of its first and its latest reading; ``decided`` is the pseudonym that
    it was decided with, and ``before`` what was known of that vehicle until then (None: it was not known). ``twin`` is
    the pseudonym of the passage just before, one character from this one: both may be one vehicle (0: there is none).
    """

    kept: list[Read]
    votes: list[int]
    first_at: int
    last_at: int
    due: int
    decided: int = 0
    before: Before | None = None
    twin: int = 0

    @property
    def best(self) -> Read:
        """The reading that counts."""
        return self.kept[0]

    @property
    def certainty(self) -> int:
        """How far it can be trusted who this is, as the code of the label: -1 when nobody knows who it is.

        It is certain when the best reading is sure, or when two readings agree.
        """
        best = self.kept[0]
        if not best.token:
            return -1
        return CERTAIN if best.sure or self.votes[0] > 1 else DOUBTFUL

    def told_as_of(self, at: int, lateness: int, tracking: Tracking) -> int:
        """The event time (ns) at which rules hear of it, when it is decided at ``at``: that of its beginning.

        Where it waited to be legible, so long that this is history to them, it is when it was read best, or was over.
        """
        if at - self.first_at <= lateness:
            return self.first_at
        best = self.best
        return best.event_at if best.legible else max(best.event_at, self.first_at + tracking.merge - tracking.settle)

    def shows(self, token: int) -> bool:
        """Whether one of the readings at least is of this pseudonym."""
        return any(read.token == token for read in self.kept)

    def kin(self) -> list[int]:
        """Everything under which this vehicle may be read again: families, and pseudonyms that were not the best."""
        if len(self.kept) == 1:
            return [self.kept[0].family]
        return [read.family for read in self.kept if read.token] + [read.token for read in self.kept[1:] if read.token]

    def add(self, read: Read) -> None:
        """Take one more reading."""
        self.last_at = max(self.last_at, read.event_at)
        if read.token == self.kept[0].token:
            self.votes[0] += 1
            if read.confidence > self.kept[0].confidence:
                self.kept[0] = read
            return
        place = next((place for place, other in enumerate(self.kept) if other.token == read.token), None)
        if place is not None:
            self.votes[place] += 1
            if read.confidence > self.kept[place].confidence:
                self.kept[place] = read
        elif len(self.kept) < MOST_KEPT:
            place = len(self.kept)
            self.kept.append(read)
            self.votes.append(1)
        if place:
            self._compare(place)

    def _compare(self, place: int) -> None:
        """Put a reading first when more readings agree on it, or as many and it is surer."""
        kept, votes = self.kept, self.votes
        ours = (kept[place].token != 0, votes[place], kept[place].confidence)
        if ours > (kept[0].token != 0, votes[0], kept[0].confidence):
            kept[0], kept[place] = kept[place], kept[0]
            votes[0], votes[place] = votes[place], votes[0]


class Passages:
    """The open passages per direction (0 in, 1 out) and gate, in the order in which they began."""

    def __init__(self, tracking: Tracking) -> None:
        self._merge, self._settle = tracking.merge, tracking.settle
        self.open: tuple[dict[str, list[Passage]], dict[str, list[Passage]]] = ({}, {})
        self.merged = self.forgotten = 0

    def every(self) -> Iterator[Passage]:
        """All open passages."""
        return (passage for lanes in self.open for here in lanes.values() for passage in here)

    def take(self, gate: str, read: Read) -> tuple[Passage, int]:
        """Take a reading; return the passage that it decides or changes, and what to do about it.

        That is ``WAIT`` (it is decided at ``due``), ``DECIDED``, ``JOINED`` (nothing new), or what came after that:
        ``LATER`` (it was read under another pseudonym, too) or ``SURER`` (it is certain now).
        """
        received_at, event_at, sure, direction = read.received_at, read.event_at, read.sure, read.direction
        here, merge = self.open[direction].get(gate), self._merge
        if here is None:
            here = self.open[direction][gate] = []
        if here:
            if read.token and here[-1].kept[0].token == read.token:
                # What nearly every second reading is: the same plate again.
                gap = abs(event_at - here[-1].last_at)
                if gap <= merge or (gap <= _STANDING and not self._turned(gate, here[-1])):
                    self.merged += 1
                    return here[-1], self._join(here[-1], read)
            elif not here[0].due and here[0].last_at < event_at - merge:
                self._drop(here, event_at)
            for passage in reversed(here):
                if event_at - passage.last_at > merge:
                    break
                if self._same(passage, read, latest=passage is here[-1]):
                    self.merged += 1
                    return passage, self._join(passage, read)
            if len(here) >= MOST_OPEN:
                self._make_room(here)
        due = 0 if sure and not direction else received_at + (self._settle if read.legible else merge)
        twin = 0 if direction or not here else self._twin(here, read)
        passage = Passage([read], [1], event_at, event_at, due, twin=twin)
        here.append(passage)
        return passage, WAIT if due else DECIDED

    def _turned(self, gate: str, passage: Passage) -> bool:
        """Whether the vehicle of a passage has gone back by the same gate since."""
        best = passage.best
        other = self.open[1 - best.direction].get(gate, ())
        return any(one.shows(best.token) and one.first_at > passage.last_at for one in other)

    def alone(self, gate: str, read: Read, more: int, last_at: int) -> Passage | None:
        """Begin a passage of ``1 + more`` readings, the last of them at ``last_at``, where no other one is open.

        That is so when all earlier ones of the lane are over and the last was another vehicle's; else None.
        """
        lanes, event_at = self.open[read.direction], read.event_at
        here = lanes.get(gate)
        if here:
            over = event_at - self._merge
            for passage in here:
                if passage.due or passage.last_at >= over:
                    return None
            if here[-1].kept[0].token == read.token:
                return None
        due = 0 if read.sure and not read.direction else read.received_at + self._settle
        passage = Passage([read], [1 + more], event_at, last_at, due)
        lanes[gate] = [passage]
        self.merged += more
        return passage

    def repeat(self, passage: Passage, count: int, last_at: int, best: Read | None) -> None:
        """Take ``count`` more readings of a passage's best pseudonym, until ``last_at``; ``best``: a surer one."""
        self.merged += count
        passage.votes[0] += count
        passage.last_at = last_at
        if best is not None and best.confidence > passage.kept[0].confidence:
            passage.kept[0] = best

    def _drop(self, here: list[Passage], event_at: int) -> None:
        while here and not here[0].due and here[0].last_at < event_at - self._merge:
            del here[0]

    def _make_room(self, here: list[Passage]) -> None:
        """Forget the oldest that was decided; one that was not is given up, and counted."""
        place = next((place for place, passage in enumerate(here) if not passage.due), 0)
        self.forgotten += here[place].due > 0
        del here[place]

    def _same(self, passage: Passage, read: Read, *, latest: bool) -> bool:
        """Whether a reading is of a passage; ``latest``: no other vehicle came after that one in the lane."""
        gap = abs(read.event_at - passage.last_at)
        if gap > self._merge:
            return False
        first, *others = passage.kept
        if not (first.token and read.token):
            return latest
        if _alike(first, read, near=gap <= self._settle):
            return True
        return any(_alike(other, read, near=False) for other in others)

    def _twin(self, here: list[Passage], read: Read) -> int:
        """The vehicle that was read just before, one character from this reading: both are sure, or they were one."""
        for passage in reversed(here):
            if abs(read.event_at - passage.last_at) > self._settle:
                break
            best = passage.kept[0]
            if best.token and read.token and neighbours(best.early, best.late, read.early, read.late):
                return best.token
        return 0

    def _join(self, passage: Passage, read: Read) -> int:
        legible, certainty = passage.best.legible, passage.certainty
        passage.add(read)
        if not passage.due:
            if read.token and read.token != passage.decided:
                return LATER
            return SURER if passage.certainty == CERTAIN != certainty else JOINED
        if passage.best.sure and not read.direction:
            passage.due = 0
            return DECIDED
        if not legible and passage.best.legible:
            passage.due = min(passage.due, read.received_at + self._settle)
            return WAIT
        return JOINED


def _alike(one: Read, other: Read, *, near: bool) -> bool:
    """Whether two readings may be of one vehicle; ``near``: they are so close that one character may be wrong."""
    if not (one.token and other.token):
        return False
    if other.token == one.token or other.family == one.family or other.former == one.token:
        return True
    return near and not (one.sure and other.sure) and neighbours(one.early, one.late, other.early, other.late)


WAIT, DECIDED, JOINED, LATER, SURER = range(5)
