"""A plain count over the raw lines of a journal, by code that knows nothing of sensord, and what sensord makes of it.

A simulated week and a day with duplicates, misreads, illegible plates, missed passages, vehicles close behind each
other, two silent cameras, and a daemon that dies in the middle. ``recount`` reads topics and JSON and nothing else; the
rules by which readings are one passage are those of docs/privacy.md, said again.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, cast

import msgspec

from sensord.config.load import Loaded
from sensord.core.cases.reports import Span
from sensord.core.definition import Definition
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND
from sensord.core.points import Points
from sensord.core.record import Group, Record, RecordKind
from sensord.core.site import Site
from sensord.core.vehicles.tracking import KeyArea, PlateAreas, Tracking
from sensord.drivers.vehiclereport import Counts, VehicleReport
from sensord.reporting import VehicleReporter
from sensord.store.state import StateStore
from simulators.vehicleday import journal, watched
from tests.core.traffic import MONDAY, SECRETS, definition

DAYS = 8
LAST = MONDAY + 7 * DAY
SILENCES = {
    "cam-C2-N": (LAST + 13 * HOUR, LAST + 14 * HOUR + 20 * MINUTE),
    "cam-C1-S": (LAST - 5 * HOUR, LAST + DAY),
}
KEY = "赣"
SPACES = {"C1": 4, "C2": 60, "C3": 4}
"""At the end there is room in the second, and more vehicles are in the third than it has spaces."""
BELIEVED = 9 * HOUR
"""So long after a silence it is in doubt who is inside: at the end that of the second has been explained."""


def _whole() -> Definition:
    tracking = Tracking(recent=2 * HOUR, short=5 * MINUTE, believed=BELIEVED, remember=7 * DAY)
    made = definition(rules=(), plates=PlateAreas(("沪",), (KeyArea(KEY),)), tracking=tracking)
    places = (msgspec.structs.replace(one, parking=SPACES.get(one.id)) for one in made.places)
    return msgspec.structs.replace(made, places=tuple(places))


WHOLE = _whole()
TRAFFIC = definition(plates=PlateAreas(("沪",)))
"""By which vehicles come: from the key area as from elsewhere."""
_OF_POLICE = re.compile(r"(沪[A-Z][0-9A-Z]{4})7(?=\")")
SAVED, DIED = LAST + 9 * HOUR, LAST + 13 * HOUR
"""When the daemon saves its state for the last time, and when it dies."""

# -- the recount -------------------------------------------------------------------------------------------------------

CONFUSED = ("0ODQ", "1ILT7", "2Z", "5S", "8B", "6G", "UVY", "MNW", "KX")
PLATE = re.compile(
    r"[京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新][A-Z]"
    r"([A-HJ-NP-Z0-9]{4}警|[A-HJ-NP-Z0-9]{5}|[A-HJK][A-HJ-NP-Z0-9][0-9]{4}|[0-9]{5}[A-HJK])"
)


class Read(NamedTuple):
    """One reading; ``plate`` is "" when it cannot be read at all."""

    at: int
    plate: str
    confidence: float
    sort: str


@dataclass
class Vehicle:
    """One passage."""

    gate: str
    direction: str
    reads: list[Read] = field(default_factory=list)

    @property
    def counts(self) -> Read:
        """The reading that counts: of a legible plate, the one that most agree on, then the surest."""
        votes = Counter(read.plate for read in self.reads)
        return max(self.reads, key=lambda read: (bool(read.plate), votes[read.plate], read.confidence))


@dataclass
class Recount:
    """What the lines say: readings per gate, direction and class; who passed; when each camera was heard."""

    read: Counter[tuple[str, str, str]]
    vehicles: list[Vehicle]
    heard: dict[str, list[int]]


def sort_of(plate: str | None, confidence: float) -> str:
    """The class of a reading."""
    if not plate:
        return "none"
    if confidence < 0.5 or not PLATE.fullmatch(plate):
        return "unread"
    if plate[-1] == "警":
        return "special"
    return "local" if plate[0] == "沪" else "key_area" if plate[0] == KEY else "out_of_town"


def family(plate: str) -> str:
    """The plate with characters that cameras confuse made one."""
    ways = {one: group[0] for group in CONFUSED for one in group}
    return plate[:2] + "".join(ways.get(one, one) for one in plate[2:])


def one_apart(plate: str, other: str) -> bool:
    """Whether two plates differ in one character."""
    return len(plate) == len(other) and sum(map(str.__ne__, plate, other)) == 1


def same(vehicle: Vehicle, read: Read) -> bool:
    """Whether a reading shows a vehicle that is passing: by its plate for 20 s, by something like it for 3 s."""
    gap = read.at - vehicle.reads[-1].at
    if gap > 20 * SECOND:
        return False
    best = vehicle.counts
    near = gap <= 3 * SECOND
    if not read.plate or not best.plate:
        if near:
            return True
    elif near and min(read.confidence, best.confidence) < 0.9 and one_apart(read.plate, best.plate):
        return True
    return any(one.plate and read.plate and family(one.plate) == family(read.plate) for one in vehicle.reads)


def recount(lines: Iterable[tuple[int, str, bytes]]) -> Recount:
    """Count raw lines: (arrival, topic, payload)."""
    made, seen = Recount(Counter(), [], {}), set[tuple[str, int]]()
    passing: dict[tuple[str, str], list[Vehicle]] = {}
    for at, topic, payload in lines:
        camera, said = topic.rpartition("/")[2], json.loads(payload)
        if "plate" in said:
            if (camera, said["seq"]) in seen:
                continue
            seen.add((camera, said["seq"]))
        made.heard.setdefault(camera, []).append(at)
        if "plate" not in said:
            continue
        gate, sort = camera.removeprefix("cam-"), sort_of(said["plate"], said["confidence"])
        made.read[gate, said["direction"], sort] += 1
        legible = said["plate"] and PLATE.fullmatch(said["plate"])
        read = Read(at, said["plate"] if legible else "", said["confidence"], sort)
        lane = passing.setdefault((gate, said["direction"]), [])
        vehicle = next((one for one in reversed(lane) if same(one, read)), None)
        if vehicle is None:
            vehicle = Vehicle(gate, said["direction"])
            lane.append(vehicle)
            made.vehicles.append(vehicle)
        vehicle.reads.append(read)
    return made


def blind(heard: list[int], start: int, end: int) -> int:
    """For how long of [start, end) a camera was silent beyond three minutes."""
    total, edges = 0, [heard[0], *heard, end + 3 * MINUTE]
    for before, after in pairwise(edges):
        total += max(0, min(after, end) - max(before + 3 * MINUTE, start))
    return total


# -- the system --------------------------------------------------------------------------------------------------------


@dataclass
class Ran:
    """What the system made of the same journal."""

    groups: list[Group]
    counted: Counter[tuple[str, str]]
    read: Counter[tuple[str, str, str]]
    report: VehicleReport
    found: Recount


def lines(groups: Iterable[Group]) -> Iterator[tuple[int, str, bytes]]:
    """The raw lines of a journal."""
    for group in groups:
        for record in group.records:
            if record.kind == RecordKind.MESSAGE:
                yield record.received_at, record.topic, record.payload


def with_police(records: Iterable[Record]) -> Iterator[Record]:
    """Some of the street's vehicles are the police's: all readings of their plates show it."""
    for record in records:
        yield msgspec.structs.replace(record, payload=_OF_POLICE.sub(r"\1警", record.payload.decode()).encode())


def run(directory: Path) -> Ran:
    """Step through the journal; on the last day the daemon dies, and goes on from its last saved state."""
    traffic = watched(TRAFFIC, MONDAY, DAYS, 130, silences=SILENCES, seed=5)
    groups = list(journal(WHOLE, MONDAY, with_police(traffic)))
    store, site, points = StateStore(directory), Site(None, SECRETS), Points()
    counted, read, saved = Counter[tuple[str, str]](), Counter[tuple[str, str, str]](), site.snapshot()
    save, die = (next(n for n, group in enumerate(groups) if group.received_at > at) for at in (SAVED, DIED))
    for number, group in enumerate(groups):
        step = site.step(group)
        store.apply(step)
        counted.update(step.counts)
        for point in points.points(group, []):
            if point.measurement == "plate":
                read[point.tags["place"], point.tags["direction"], point.tags["class"]] += 1
        if number == save:
            saved = site.snapshot()
        if number == die:
            site = Site.restored(saved, SECRETS)
            for again in groups[save + 1 : die + 1]:
                store.apply(site.step(again))
    store.close()
    loaded = cast("Loaded", SimpleNamespace(definition=WHOLE))
    made = VehicleReporter(lambda: loaded, directory).make(Span("day", LAST, LAST + DAY), LAST + DAY + HOUR)
    return Ran(groups, counted, read, made, recount(lines(groups)))


def expected(found: Recount, start: int, end: int) -> dict[str, Counts]:
    """What passed at each gate by the recount."""
    made = {gate: Counts() for gate in ("C1-N", "C1-S", "C2-N", "C3-N")}
    for one in found.vehicles:
        if not start <= one.reads[0].at < end:
            continue
        here, read = made[one.gate], one.counts
        if one.direction == "out":
            here.outward += 1
            continue
        here.inward += 1
        setattr(here, read.sort, getattr(here, read.sort) + 1)
        here.new_energy += len(read.plate) == 8 and read.sort not in ("unread", "none")
    return made
