"""Three compounds with gates and cameras for tests of vehicles, and cameras' messages; every plate is made up."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence

from sensord.core.cases.policy import Policy, Role
from sensord.core.cases.policy import Step as Telling
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.place import Device, Place, PlaceKind
from sensord.core.record import Action, Record, RecordKind
from sensord.core.rules.rule import Aggregate, Clear, LevelSpec, Rule, Value
from sensord.core.site import Site, Step, action_record
from sensord.core.stream import Stream
from sensord.core.vehicles.pseudonym import Pseudonymiser, check_value
from sensord.core.vehicles.tracking import KeyArea, PlateAreas, PlateKey, Tracking
from tests.core.street import grouped

MONDAY = 1_763_913_600 * SECOND
"""2025-11-24 00:00 in Shanghai, a Monday."""
START = MONDAY + 8 * HOUR
SECRETS = {"k1": bytes(range(32)), "k2": bytes(range(1, 33))}
KEYS = (PlateKey("k1", 0, check_value(SECRETS["k1"])),)
PLATES = ("沪A12345", "沪B67890", "沪AD12345", "苏E24680", "皖K13579", "粤B24681", "沪C8888D", "沪D1357警", None)


def places() -> tuple[Place, ...]:
    """One street, one block, two grids; compound C1 (two gates) and C2 in the first, C3 in the second."""
    made = [Place("street", PlaceKind.STREET, "街道"), Place("B1", PlaceKind.BLOCK, "街区", parent="street")]
    for grid, compounds in (("G1", ("C1", "C2")), ("G2", ("C3",))):
        made.append(Place(grid, PlaceKind.GRID, f"居民区{grid}", f"Grid {grid}", "B1"))
        for compound in compounds:
            micro = f"M{compound[1]}"
            made += [
                Place(micro, PlaceKind.MICRO_GRID, f"微网格{micro}", parent=grid),
                Place(
                    compound,
                    PlaceKind.COMPOUND,
                    f"小区{compound}",
                    f"Compound {compound}",
                    grid,
                    micro_grids=(micro,),
                    parking=4,
                ),
                Place(
                    f"{compound}-N", PlaceKind.GATE, f"{compound}北门", f"{compound} north", compound, micro_grid=micro
                ),
            ]
    made.append(Place("C1-S", PlaceKind.GATE, "C1南门", "C1 south", "C1", micro_grid="M1"))
    return tuple(made)


GATES = ("C1-N", "C1-S", "C2-N", "C3-N")


def devices() -> tuple[Device, ...]:
    """A camera at every gate."""
    return tuple(Device(f"cam-{gate}", Stream.PLATE, gate, MINUTE) for gate in GATES)


def rule(
    name: str, field: str | None, threshold: float, where: Mapping[str, tuple[str, ...]], **changes: object
) -> Rule:
    """A rule on visits, each reading by itself unless ``changes`` say otherwise."""
    values: dict[str, object] = {
        "id": name,
        "name": {"zh": name, "en": name},
        "stream": Stream.VISIT,
        "by": "gate",
        "dispatch": "vehicle",
        "levels": (LevelSpec(Level.YELLOW, threshold),),
        "clear": Clear((0.0,), 10 * SECOND),
        "value": Value(Aggregate.LAST, field) if field else Value(Aggregate.COUNT),
        "where": dict(where),
        "message": {"zh": "{place}：{vehicle}，{value}。", "en": "{place}: {vehicle}, {value}. "},
    }
    return Rule(**{**values, **changes})  # type: ignore[arg-type]


ROOM = {"zh": "{place}：{value}%，{spaces}。", "en": "{place}: {value} %, {spaces}. "}
"""A message that says where the nearest free spaces are."""


def rules() -> tuple[Rule, ...]:
    """One rule of every kind that vehicles ask for."""
    passed_in = {"event": ("passed",), "direction": ("in",)}
    window = {"window": 10 * MINUTE, "every": MINUTE, "clear": Clear((0.0,), MINUTE)}
    silent = Rule(
        "camera-silent",
        {"zh": "失联"},
        None,
        "device",
        "vehicle",
        (LevelSpec(Level.BLUE, 1.0),),
        Clear((0.0,), 0),
        absent=3.0,
    )
    return (
        rule("out-of-town", None, 1.0, passed_in | {"class": ("out_of_town",)}, each=True, clear=Clear((0.0,), MINUTE)),
        rule("out-of-town-many", None, 3.0, passed_in | {"class": ("out_of_town",)}, **window),
        rule("key-area", None, 1.0, passed_in | {"class": ("key_area",), "certainty": ("certain",)}, each=True),
        rule("watched", None, 1.0, passed_in | {"list": ("watch",)}),
        rule("overstay", "stay", 2.0, {"event": ("staying",), "class": ("out_of_town", "key_area")}, by="compound"),
        rule("overnight", "nights", 2.0, {"event": ("overnight",)}, by="compound"),
        rule("first-seen", "days_away", 0.05, passed_in),
        rule("short-visits", "short_visits", 3.0, {"event": ("passed",), "direction": ("out",)}),
        rule("roaming", "compounds", 3.0, passed_in),
        rule("cloned", None, 1.0, {"event": ("cloned",)}, by="street"),
        rule("surge", None, 12.0, {"event": ("passed",)}, **window),
        rule("nearly-full", "filled", 75.0, {"event": ("passed",)}, by="compound", message=ROOM),
        silent,
    )


def definition(**changes: object) -> Definition:
    """The street with its rules and people."""
    told = (
        Person("志愿者-1", "volunteer", "M1", (Contact("people"),)),
        Person("居委干部-1", "cadre", "G1", (Contact("people"),)),
        Person("居委干部-2", "cadre", "G2", (Contact("people"),), "en"),
        Person("派出所-1", "police", "street", (Contact("people"),)),
    )
    values: dict[str, object] = {
        "site": "test",
        "places": places(),
        "devices": devices(),
        "rules": rules(),
        "roles": (
            Role("volunteer", {"zh": "志愿者"}, {}),
            Role("cadre", {"zh": "居委干部"}, {}, plates="masked"),
            Role("police", {"zh": "派出所"}, {}, plates="plain"),
        ),
        "policies": (Policy("vehicle", {"zh": "车辆"}, (Telling(("volunteer", "cadre", "police")),)),),
        "people": told,
        "plates": PlateAreas(("沪",), (KeyArea("皖K"),)),
        "plate_keys": KEYS,
        "tracking": Tracking(recent=2 * HOUR, roaming=HOUR, short=5 * MINUTE),
        "topics": "t/{compound}/{kind}/{device}",
        "commands": "t/commands/by/{user}/{case}",
    }
    return Definition(**{**values, **changes})  # type: ignore[arg-type]


def site(**changes: object) -> Site:
    """A site under the definition, with its secrets."""
    return Site(definition(**changes), SECRETS)


def token(plate: str) -> int:
    """The pseudonym of a plate under the first key."""
    return Pseudonymiser(KEYS, 0, SECRETS).identify(plate, START).token


def sign(gate: str, at: int) -> Record:
    """A sign of life of a gate's camera at ``at``."""
    return Record(RecordKind.MESSAGE, at, f"t/{gate.partition('-')[0]}/status/cam-{gate}", b'{"battery": 80}')


def passage(
    gate: str, at: int, plate: str | None, direction: str = "in", confidence: float = 0.97, stamp: int = 0
) -> Record:
    """What a gate's camera sends at ``at``; its clock says ``stamp`` (ns), or the same."""
    said = {"plate": plate, "direction": direction, "confidence": confidence, "at": (stamp or at) / 1e6}
    topic = f"t/{gate[:2]}/plate/cam-{gate}"
    return Record(RecordKind.MESSAGE, at, topic, json.dumps(said, ensure_ascii=False).encode())


def wild(seed: int, hours: int = 4) -> list[Record]:
    """A wild but deterministic stretch: visits, misses, misreads, repeats, doubt, garbage, late stamps, silence."""
    dice, records = random.Random(seed), list[Record]()
    at = START
    while at < START + hours * HOUR:
        at += dice.randrange(5, 90) * SECOND + dice.choice((0, 0, 0, 1, SECOND // 3))
        gate, direction = dice.choice(GATES[: 4 if at % (2 * HOUR) < HOUR else 3]), dice.choice(("in", "in", "out"))
        plate = dice.choice(PLATES)
        if plate and dice.random() < 0.2:
            plate = plate.replace(dice.choice(plate), dice.choice("08B5S2Z"))
        late = dice.choice((0, 0, 0, 0, 1, 40, 900)) * SECOND
        for again in range(dice.choice((1, 2, 2, 4))):
            moment = at + again * dice.choice((SECOND // 2, 2 * SECOND))
            sureness = dice.choice((0.4, 0.7, 0.85, 0.93, 0.99))
            records.append(passage(gate, moment, plate, direction, sureness, moment - late))
        if dice.random() < 0.05:
            records.append(Record(RecordKind.MESSAGE, at, "t/C1/plate/cam-C1-N", b'{"plate": 7}'))
    records.sort(key=lambda record: record.received_at)
    return records


def told(records: Iterable[Record], following: Site, size: int = 1) -> list[Step]:
    """Step a site through records, ``size`` a group, and return its steps."""
    return [following.step(group) for group in grouped(list(records), [size])]


def ticks(until: int, since: int = START, every: int = MINUTE) -> Sequence[Record]:
    """Ticks of a silent journal."""
    return [Record(RecordKind.TICK, at) for at in range(since, until, every)]


def lived(records: Sequence[Record], sizes: Sequence[int], restart_every: int = 0) -> list[Step]:
    """Step a site through records, cut and restarted so often."""
    site, steps = Site(None, SECRETS), list[Step]()
    for number, group in enumerate(grouped(records, sizes), 1):
        steps.append(site.step(group))
        if restart_every and number % restart_every == 0:
            site = Site.restored(site.snapshot(), SECRETS)
    return steps


def count(at: int, vehicles: int, compound: str = "C1", before: int = 0) -> Record:
    """What comes ``at`` then (ns) of somebody who has counted so long ``before``."""
    return action_record(Action("count", compound, "operator", vehicles=vehicles, at=at - before), at)
