"""Simulated vehicles at the gates of a street, with known truth: who was where, and what the cameras made of it.

Every vehicle has a plate and a habit (resident, visitor, delivery, parked guest, clone); a passage is shown by one to
three readings of its gate's camera, with the errors that cameras have, each at a rate that is stated in ``Faults``. The
same seed gives the same week. The messages are native ones; the truth is kept apart from them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from heapq import merge
from random import Random

import msgspec

from sensord.core.definition import Definition
from sensord.core.instant import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from sensord.core.intake.topic import TopicTemplate
from sensord.core.place import PlaceKind, Places
from sensord.core.record import Record, RecordKind
from sensord.core.stream import Stream
from sensord.core.vehicles.tracking import PlateAreas
from simulators.plates import make_plate

GROUPS = ("0ODQ", "1ILT7", "2Z", "5S", "8B", "6G", "UVY", "MNW", "KX")
"""Characters that cameras confuse: a misread character becomes another of its group, or, without one, any other."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of readings or passages, and times in ns.

    ``misread``: a reading with one wrong character. ``stray``: of those, the share whose character becomes any other,
    not one of its group. ``missed``: a passage without any reading. ``again``: a message delivered twice.
    ``tailgating``: of the vehicles within a minute of another, those that drive one to three seconds behind it.
    ``unread``, ``bare``: readings that are illegible or show no plate. ``skew``: the largest constant error of a
    camera's clock. ``pulse``: so far apart are a camera's signs of life, by the same clock (0: it sends none).
    ``stalls``: so often a day a camera's way here is held up: what it sends meanwhile comes when that is over. Half of
    these are over within 75 s, the others within ``stall``.
    """

    misread: float = 0.03
    stray: float = 0.1
    missed: float = 0.01
    again: float = 0.02
    tailgating: float = 0.3
    unread: float = 0.01
    bare: float = 0.005
    skew: int = 5 * MINUTE
    pulse: int = 0
    stalls: int = 0
    stall: int = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Drive:
    """A vehicle driving through a gate at ``at`` (ns). ``seen``: at least one reading shows it."""

    at: int
    gate: str
    compound: str
    inward: bool
    plate: str
    seen: bool = True


@dataclass(frozen=True, slots=True)
class Stay:
    """A true visit: the drive in and the drive out (None: still inside at the end)."""

    entry: Drive
    exit: Drive | None


@dataclass(slots=True)
class Truth:
    """What truly happened, by time. ``clones`` are the plates that two vehicles carried.

    ``shown``: how sure the camera was of each reading that shows a drive's plate as it is; known once the messages are
    made.
    """

    stays: list[Stay] = field(default_factory=list)
    clones: set[str] = field(default_factory=set)
    shown: dict[Drive, list[float]] = field(default_factory=dict)

    def drives(self) -> list[Drive]:
        """Every drive through a gate, by time."""
        both = [drive for stay in self.stays for drive in (stay.entry, stay.exit) if drive is not None]
        return sorted(both, key=lambda drive: drive.at)

    def findable(self, areas: PlateAreas) -> set[str]:
        """The clones that somebody who sees what the cameras show can tell.

        The parked vehicle was shown coming and going: else it may have left unseen, or come back unseen. And the other
        one's visit has a witness, as ``core/vehicles/clones.py`` asks for: a passage that is certain, be it by one
        sure reading or by two that agree, or an entry and an exit that both show the plate: else somebody else's
        plate may have been misread. (The parked one's has it by its two ends.)
        """
        stays = defaultdict[str, list[Stay]](list)
        for stay in self.stays:
            stays[stay.entry.plate].append(stay)
        return {plate for plate in self.clones if self._told_apart(stays[plate], areas)}

    def _told_apart(self, stays: list[Stay], areas: PlateAreas) -> bool:
        parked, other = ([self._shown(stay.entry), self._shown(stay.exit)] for stay in sorted(stays, key=_begin))
        certain = any(len(sure) > 1 or max(sure, default=0) >= areas.sure for sure in other)
        return all(parked) and (certain or all(other))

    def _shown(self, drive: Drive | None) -> list[float]:
        return [] if drive is None else self.shown.get(drive, [])


def _begin(stay: Stay) -> int:
    return stay.entry.at


def _arrival(record: Record) -> int:
    return record.received_at


class Traffic:
    """The vehicles of a street over ``days`` days from ``start`` (ns, a local midnight)."""

    def __init__(
        self,
        definition: Definition,
        start: int,
        days: int,
        vehicles: int,
        *,
        faults: Faults | None = None,
        seed: int = 1,
    ) -> None:
        self._definition, self._dice, self._seed = definition, Random(seed), seed
        self._faults = faults or Faults()
        self._places = Places(definition.places, definition.devices)
        self._start, self._end = start, start + days * DAY
        self._template = TopicTemplate(definition.topics)
        self._gates = self._cameras()
        self._skew = {gate: self._dice.randrange(-self._faults.skew, self._faults.skew + 1) for gate in self._gates}
        self.truth = Truth()
        self.tailgating = 0
        self._taken: set[str] = set()
        for number in range(vehicles):
            self._live(number)
        self._mark_missed()

    def _cameras(self) -> dict[str, tuple[str, str]]:
        """Gate -> (camera, compound), one camera a gate."""
        found: dict[str, tuple[str, str]] = {}
        for device in self._places.devices:
            compound = self._places.above(device.place, PlaceKind.COMPOUND)
            if device.stream is Stream.PLATE and compound is not None:
                found.setdefault(device.place, (device.id, compound))
        return found

    # -- lives -------------------------------------------------------------------------------------------------------

    def _live(self, number: int) -> None:
        """Give a vehicle its habit, and drive it through the days."""
        dice = self._dice
        habit = dice.choices(("resident", "visitor", "delivery", "guest", "clone"), (70, 20, 6, 3.6, 0.4))[0]
        sort = "local" if habit == "resident" or dice.random() < 0.6 else "out_of_town"
        plate = self._new_plate(sort)
        home = dice.choice(self._compounds())
        match habit:
            case "resident":
                self._commute(plate, home)
            case "visitor":
                for _ in range(dice.choice((1, 1, 2, 4))):
                    self._visit(plate, dice.choice(self._compounds()), dice.randrange(20 * MINUTE, 8 * HOUR))
            case "delivery":
                self._deliver(plate)
            case "guest":
                self._visit(plate, home, dice.randrange(26 * HOUR, 80 * HOUR))
            case "clone":
                self._clone(plate, home)

    def _new_plate(self, sort: str) -> str:
        """A plate that no other vehicle carries: clones are made on purpose only."""
        while (plate := make_plate(self._dice, self._definition.plates, sort)[0]) in self._taken:
            pass
        self._taken.add(plate)
        return plate

    def _compounds(self) -> list[str]:
        return sorted({compound for _, compound in self._gates.values()})

    def _commute(self, plate: str, home: str) -> None:
        """Leave in the morning, come back in the evening, most days; parked at home at the beginning."""
        at = self._start - HOUR
        for day in range((self._end - self._start) // DAY):
            if self._dice.random() < 0.25:
                continue
            morning = self._start + day * DAY + 6 * HOUR + self._dice.randrange(5 * HOUR)
            self._stay(plate, home, at, morning)
            at = morning + self._dice.randrange(HOUR, 11 * HOUR)
        if at < self._end:
            self._stay(plate, home, at, self._end + DAY)

    def _visit(self, plate: str, compound: str, length: int) -> None:
        begin = self._start + self._dice.randrange(self._end - self._start)
        before = [stay for stay in self.truth.stays[-8:] if stay.entry.plate == plate]
        free = all(
            stay.exit is not None and (stay.exit.at + 5 * MINUTE < begin or begin + length + 5 * MINUTE < stay.entry.at)
            for stay in before
        )
        if free:
            self._stay(plate, compound, begin, begin + length)

    def _deliver(self, plate: str) -> None:
        """Go from compound to compound, a few minutes in each, on some days."""
        for day in range((self._end - self._start) // DAY):
            at = self._start + day * DAY + 9 * HOUR + self._dice.randrange(8 * HOUR)
            for compound in self._dice.sample(self._compounds(), k=min(5, len(self._compounds()))):
                leave = at + self._dice.randrange(2 * MINUTE, 9 * MINUTE)
                self._stay(plate, compound, at, leave)
                at = leave + self._dice.randrange(3 * MINUTE, 15 * MINUTE)

    def _clone(self, plate: str, home: str) -> None:
        """Two vehicles, one plate: one is parked at home while the other drives into another compound and out."""
        other = self._dice.choice([compound for compound in self._compounds() if compound != home])
        begin = self._start + self._dice.randrange(DAY, max(self._end - self._start - 2 * DAY, DAY + HOUR))
        self._stay(plate, home, begin, begin + 20 * HOUR)
        self._stay(plate, other, begin + 3 * HOUR, begin + 5 * HOUR)
        self.truth.clones.add(plate)

    def _stay(self, plate: str, compound: str, begin: int, end: int) -> None:
        """Note a stay, by whichever of the compound's gates; one that lasts beyond the end has no exit yet."""
        gates = sorted(gate for gate, (_, where) in self._gates.items() if where == compound)
        entry, leave = self._dice.choice(gates), self._dice.choice(gates)
        begin, end = begin // MILLISECOND * MILLISECOND, end // MILLISECOND * MILLISECOND
        drive_in = Drive(begin, entry, compound, True, plate)
        drive_out = Drive(end, leave, compound, False, plate) if end < self._end else None
        self.truth.stays.append(Stay(drive_in, drive_out))

    def _mark_missed(self) -> None:
        """Choose the passages that no camera shows, and let some vehicles drive close behind another."""
        stays = []
        for stay in sorted(self.truth.stays, key=lambda stay: stay.entry.at):
            entry = replace(stay.entry, seen=self._is_seen(stay.entry))
            leave = None if stay.exit is None else replace(stay.exit, seen=self._is_seen(stay.exit))
            stays.append(Stay(entry, leave))
        self.truth.stays = stays
        self._tailgate()

    def _is_seen(self, drive: Drive) -> bool:
        return drive.at >= self._start and self._dice.random() >= self._faults.missed

    def _tailgate(self) -> None:
        """Move some drives to one to three seconds behind the one before at their gate."""
        last: dict[tuple[str, bool], Drive] = {}
        moved: dict[Drive, Drive] = {}
        for drive in self.truth.drives():
            before = last.get((drive.gate, drive.inward))
            near = before is not None and drive.at - before.at < MINUTE and before.plate != drive.plate
            if before is not None and near and self._dice.random() < self._faults.tailgating:
                self.tailgating += 1
                moved[drive] = replace(drive, at=before.at + self._dice.randrange(SECOND, 3 * SECOND))
            last[drive.gate, drive.inward] = moved.get(drive, drive)
        self.truth.stays = [
            Stay(moved.get(stay.entry, stay.entry), None if stay.exit is None else moved.get(stay.exit, stay.exit))
            for stay in self.truth.stays
        ]

    # -- what the cameras say ----------------------------------------------------------------------------------------

    def records(self) -> Iterator[Record]:
        """Yield the messages in order of arrival, and a tick a minute, as a journal would hold them."""
        shown = [record for drive in self.truth.drives() if drive.seen for record in self._show(drive)]
        messages = self._held_up(sorted([*shown, *self._pulses()], key=_arrival))
        ticks = (Record(RecordKind.TICK, at) for at in range(self._start, self._end + HOUR, MINUTE))
        return merge(messages, ticks, key=_arrival)

    def skew(self, camera: str) -> int:
        """How far a camera's clock is ahead (ns)."""
        return next((self._skew[gate] for gate, (name, _) in self._gates.items() if name == camera), 0)

    def _pulses(self) -> Iterator[Record]:
        """The cameras' signs of life, each camera's at a second of its own."""
        for number, (gate, (camera, compound)) in enumerate(self._gates.items()):
            topic = self._template.fill(compound=compound, kind=Stream.STATUS.word, device=camera)
            pulse = self._faults.pulse
            for at in range(self._start + number * SECOND, self._end, pulse) if pulse else ():
                said = {"device": camera, "at": (at + self._skew[gate]) // MILLISECOND, "uptime": at // SECOND}
                yield Record(RecordKind.MESSAGE, at + 20 * MILLISECOND, topic, msgspec.json.encode(said))

    def _held_up(self, messages: list[Record]) -> list[Record]:
        """The messages as they arrive when cameras' ways here are held up now and then."""
        if not self._faults.stalls:
            return messages
        stalls = self._stalls()
        late = list[Record]()
        for record in messages:
            spans, at = stalls[record.topic.rpartition("/")[2]], record.received_at
            begin, end = spans[bisect_right(spans, (at, self._end + DAY)) - 1]
            late.append(msgspec.structs.replace(record, received_at=end) if begin <= at < end else record)
        return sorted(late, key=_arrival)  # which leaves those that were held up in their order

    def _stalls(self) -> dict[str, list[tuple[int, int]]]:
        """When each camera's way here is held up: [from, to) in ns, by time; by dice of their own."""
        found: dict[str, list[tuple[int, int]]] = {}
        days = range(self._start, self._end, DAY)
        for camera, _ in self._gates.values():
            dice, spans = Random(f"{self._seed} {camera}"), [(0, 0)]
            begins = sorted(day + dice.randrange(DAY) for day in days for _ in range(self._faults.stalls))
            for begin in begins:
                length = dice.randrange(5 * SECOND, dice.choice((75 * SECOND, self._faults.stall)))
                free = max(begin, spans[-1][1])
                spans.append((free, free + length))
            found[camera] = spans
        return found

    def _show(self, drive: Drive) -> Iterator[Record]:
        """The readings of one passage: a trigger, and perhaps periodic ones."""
        camera, compound = self._gates[drive.gate]
        topic = self._template.fill(compound=compound, kind="plate", device=camera)
        dice, at = self._dice, drive.at
        shown = self.truth.shown[drive] = []
        for _ in range(dice.choice((1, 2, 2, 3))):
            arrival = at + dice.randrange(20, 600) * MILLISECOND
            plate, confidence = self._read(drive.plate)
            if plate == drive.plate and confidence >= self._definition.plates.floor:
                shown.append(confidence)
            payload = msgspec.json.encode(
                {
                    "device": camera,
                    "at": (at + self._skew[drive.gate]) // MILLISECOND,
                    "direction": "in" if drive.inward else "out",
                    "plate": plate,
                    "confidence": confidence,
                }
            )
            yield Record(RecordKind.MESSAGE, arrival, topic, payload)
            if dice.random() < self._faults.again:
                late = arrival + dice.randrange(30 * SECOND)
                yield Record(RecordKind.MESSAGE, late, topic, payload, duplicate=True)
            at += dice.randrange(300, 900) * MILLISECOND

    def _read(self, plate: str) -> tuple[str | None, float]:
        """One reading of a plate. A camera is less sure of a misread plate, but not always."""
        dice, faults, chance = self._dice, self._faults, self._dice.random()
        if chance < faults.bare:
            return None, 0.9
        if chance < faults.bare + faults.unread:
            return plate, round(dice.uniform(0.1, 0.49), 3)
        if chance < faults.bare + faults.unread + faults.misread:
            return self._misread(plate), round(dice.triangular(0.5, 0.99, 0.8), 3)
        return plate, round(dice.triangular(0.6, 1.0, 0.97), 3)

    def _misread(self, plate: str) -> str:
        position = self._dice.randrange(2, len(plate))
        true = plate[position]
        group = next((group for group in GROUPS if true in group), "")
        stray = not group or self._dice.random() < self._faults.stray
        choices = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789" if stray else group.replace("I", "").replace("O", "")
        wrong = self._dice.choice([other for other in choices if other != true])
        return plate[:position] + wrong + plate[position + 1 :]
