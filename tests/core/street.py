"""A small street for tests: two residential grids, lanes, a gate, and rules of every kind."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from sensord.core.cases.case import Answer
from sensord.core.cases.notice import Notice, Trouble
from sensord.core.cases.policy import Policy, Role, Step
from sensord.core.definition import Definition
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.place import Device, Place, PlaceKind
from sensord.core.record import Group, Record, RecordKind
from sensord.core.rules.rule import Aggregate, Clear, Comparison, LevelSpec, Rule, Value
from sensord.core.site import Site, definition_record, notice_record
from sensord.core.stream import Stream
from sensord.core.vehicles.tracking import KeyArea, PlateAreas

START = 1_700_000_000 * SECOND


def places() -> tuple[Place, ...]:
    """One street, one block, two grids with a compound and two lanes each; a gate in the first."""
    made = [Place("street", PlaceKind.STREET, "街道"), Place("B1", PlaceKind.BLOCK, "街区", parent="street")]
    for grid in ("G1", "G2"):
        micro, compound = f"{grid}-1", f"C{grid[1]}"
        made += [
            Place(grid, PlaceKind.GRID, f"居民区{grid}", f"Grid {grid}", "B1"),
            Place(micro, PlaceKind.MICRO_GRID, f"微网格{micro}", parent=grid),
            Place(compound, PlaceKind.COMPOUND, f"小区{compound}", parent=grid, micro_grids=(micro,)),
        ]
        made += [
            Place(f"{grid}-L{n}", PlaceKind.LANE, f"{n}弄", f"Lane {n}", micro, compound, area_m2=50.0) for n in (1, 2)
        ]
    made.append(Place("C1-N", PlaceKind.GATE, "北门", parent="C1", micro_grid="G1-1"))
    return tuple(made)


def devices(period: int = 10 * SECOND) -> tuple[Device, ...]:
    """A crowd sensor per lane, heard every ``period``; a camera at the gate, a person who reports."""
    lanes = [Device(f"crowd-{n}", Stream.CROWD, lane, period) for n, lane in enumerate(_lanes())]
    camera = Device("camera-0", Stream.PLATE, "C1-N", MINUTE)
    return (*lanes, camera, Device("report-0", Stream.REPORT, "C2", 3600 * SECOND))


def _lanes() -> tuple[str, ...]:
    return ("G1-L1", "G1-L2", "G2-L1", "G2-L2")


def density_rule(**changes: object) -> Rule:
    """Mean density over half a minute: yellow above 1, red above 3 for ten seconds."""
    values: dict[str, object] = {
        "id": "density",
        "name": {"zh": "聚集", "en": "Crowding"},
        "stream": Stream.CROWD,
        "by": "lane",
        "dispatch": "crowd",
        "levels": (LevelSpec(Level.YELLOW, 1.0), LevelSpec(Level.RED, 3.0, 10 * SECOND)),
        "clear": Clear((0.2, 0.5), 20 * SECOND),
        "comparison": Comparison.ABOVE,
        "value": Value(Aggregate.MEAN, "density"),
        "window": 30 * SECOND,
        "every": 5 * SECOND,
    }
    return Rule(**{**values, **changes})  # type: ignore[arg-type]


LEVELS_OF = {
    Aggregate.COUNT: (LevelSpec(Level.BLUE, 4.0),),
    Aggregate.DISTINCT: (LevelSpec(Level.BLUE, 2.0),),
    Aggregate.SLOPE: (LevelSpec(Level.BLUE, 60.0), LevelSpec(Level.RED, 600.0)),
}
"""Levels that the wild stretch reaches; the other aggregates have those of a crowd."""


def value_of(aggregate: Aggregate) -> Value:
    """An aggregate of the number of people."""
    field = None if aggregate is Aggregate.COUNT else "count"
    per = MINUTE if aggregate in (Aggregate.RATE, Aggregate.SLOPE) else 0
    return Value(aggregate, field, per, 90.0 if aggregate is Aggregate.PERCENTILE else 0.0)


def rules() -> tuple[Rule, ...]:
    """One rule of every kind and every aggregate."""
    blue = (LevelSpec(Level.BLUE, 150.0), LevelSpec(Level.ORANGE, 300.0))
    mixed = [
        density_rule(
            id=f"crowd-{aggregate.value}",
            value=value_of(aggregate),
            levels=LEVELS_OF.get(aggregate, blue),
            clear=Clear(
                (LEVELS_OF.get(aggregate, blue)[0].threshold / 10,) * len(LEVELS_OF.get(aggregate, blue)), 10 * SECOND
            ),
            by=("lane", "grid", "compound", "device", "micro_grid")[number % 5],
        )
        for number, aggregate in enumerate(aggregate for aggregate in Aggregate if aggregate is not Aggregate.OCCUPANCY)
    ]
    return (
        density_rule(),
        *mixed,
        density_rule(
            id="empty", comparison=Comparison.BELOW, levels=(LevelSpec(Level.BLUE, 0.2),), clear=Clear((0.1,), 0)
        ),
        density_rule(
            id="visitors",
            stream=Stream.PLATE,
            by="gate",
            value=Value(Aggregate.COUNT),
            where={"class": ("out_of_town",), "direction": ("in",)},
            levels=(LevelSpec(Level.BLUE, 2.0),),
            clear=Clear((0.0,), 5 * SECOND),
            comparison=Comparison.AT_LEAST,
            min_samples=0,
            dispatch="vehicle",
        ),
        density_rule(
            id="key-area",
            stream=Stream.PLATE,
            by="gate",
            value=Value(Aggregate.COUNT),
            where={"class": ("key_area",)},
            levels=(LevelSpec(Level.YELLOW, 1.0),),
            clear=Clear((0.0,), 15 * SECOND),
            comparison=Comparison.AT_LEAST,
            window=0,
            every=0,
            dispatch="vehicle",
        ),
        density_rule(
            id="finding",
            stream=Stream.REPORT,
            by="place",
            value=Value(Aggregate.LAST, "grade"),
            levels=tuple(LevelSpec(Level(n), float(n)) for n in (1, 2, 3, 4)),
            clear=Clear((0.0,) * 4, 25 * SECOND),
            comparison=Comparison.AT_LEAST,
            window=0,
            every=0,
        ),
        Rule(
            "silent",
            {"zh": "失联"},
            None,
            "device",
            "device",
            (LevelSpec(Level.BLUE, 1.0),),
            Clear((0.0,), 0),
            absent=3.0,
        ),
    )


def definition(**changes: object) -> Definition:
    """The street with its rules, people and plans."""
    told = (
        Person("志愿者-1", "volunteer", "G1-1", (Contact("people"),)),
        Person("志愿者-2", "volunteer", "G2-1", (Contact("people"),), "en"),
        Person("居委干部-1", "cadre", "G1", (Contact("people"), Contact("mqtt"))),
        Person("居委干部-2", "cadre", "G2", (Contact("people"),)),
        Person("派出所-1", "police", "street", (Contact("people"),)),
    )
    plans = (
        Policy(
            "crowd",
            {"zh": "聚集"},
            (
                Step(("volunteer", "cadre"), Level.BLUE),
                Step(("police",), Level.RED),
                Step(("police",), Level.BLUE, 40 * SECOND, until=Answer.ACKNOWLEDGED),
            ),
        ),
        Policy("vehicle", {"zh": "车辆"}, (Step(("cadre",)),), close="after_report"),
        Policy("device", {"zh": "设备"}, (Step(("nobody",)),)),
    )
    values: dict[str, object] = {
        "site": "test",
        "places": places(),
        "devices": devices(),
        "rules": rules(),
        "roles": tuple(
            Role(role, {"zh": role}, {"zh": "请到场。", "en": "Please go."})
            for role in ("volunteer", "cadre", "police")
        ),
        "policies": plans,
        "people": told,
        "plates": PlateAreas(("沪",), (KeyArea("皖K"),)),
        "topics": "t/{compound}/{kind}/{device}",
        "commands": "t/commands/by/{user}/{case}",
    }
    return Definition(**{**values, **changes})  # type: ignore[arg-type]


def message(device: Device, at: int, body: dict[str, object], kind: str | None = None) -> Record:
    """A message of a device as the broker would deliver it at ``at``."""
    compound = {"G1": "C1", "G2": "C2", "C1": "C1", "C2": "C2"}[device.place[:2]]
    topic = f"t/{compound}/{kind or device.stream.word}/{device.id}"
    return Record(RecordKind.MESSAGE, at, topic, json.dumps(body, ensure_ascii=False).encode())


def stream_of(seed: int, minutes: int = 6) -> list[Record]:
    """A wild but deterministic stretch: crowds, vehicles, findings, silence, disorder, repeats, garbage, clocks."""
    dice = random.Random(seed)
    crowd, camera, reporter = devices()[:4], devices()[4], devices()[5]
    records: list[Record] = []
    skew = [0, 0, -dice.choice((0, 30, 300)), dice.choice((0, 30, 300))]
    for second in range(minutes * 60):
        at = START + second * SECOND + dice.randrange(SECOND)
        for number, device in enumerate(crowd):
            if second % 10 != number or (number == 1 and 120 < second < 200):
                continue
            count = dice.choice((5, 20, 60, 180, 400)) if dice.random() < 0.5 else 10
            stamp = at / 1e6 + skew[number] * 1000 - dice.choice((0, 0, 0, 800, 4000))
            records.append(message(device, at, {"count": count, "at": stamp, "boot": 1, "seq": second}))
            if dice.random() < 0.1:
                records.append(records[-1])
        if dice.random() < 0.05:
            plate = dice.choice(("沪A12345", "苏E12345", "皖K23456", "粤B1234D", None))
            records.append(
                message(camera, at, {"plate": plate, "direction": dice.choice(("in", "out")), "seq": second})
            )
        if dice.random() < 0.01:
            found: dict[str, object] = {"severity": dice.choice(("blue", "yellow", "red")), "seq": second}
            where = ("", "G2-L1", "G2-L2", "G2-1", "G1-L1")[(seed + second) % 5]
            records.append(message(reporter, at, {**found, "place": where} if where else found))
        if dice.random() < 0.02:
            records.append(
                Record(RecordKind.MESSAGE, at, "t/C1/crowd/crowd-0", dice.choice((b"{", b"\xff", b'{"count":-1}')))
            )
        if dice.random() < 0.01:
            records.append(
                Record(
                    RecordKind.MESSAGE,
                    at,
                    f"t/commands/by/{dice.choice(('x', '居委干部-1'))}/none",
                    b'{"verb":"acknowledge"}',
                )
            )
    records += [
        notice_record(Notice(trouble, active), START + second * SECOND)
        for second, trouble, active in (
            (60, Trouble.POSSIBLE_GAP, True),
            (90, Trouble.DISK_FULL, True),
            (90, Trouble.STATE_LOST, False),
            (130, Trouble.DISK_FULL, False),
            (200, Trouble.POSSIBLE_GAP, True),
        )
    ]
    records.sort(key=lambda record: record.received_at)
    return records


def grouped(records: Sequence[Record], sizes: Sequence[int], new: Definition | None = None) -> list[Group]:
    """Cut records into groups of the given sizes, repeated; a definition, when given, comes first."""
    first = [definition_record(new, records[0].received_at)] if new is not None else []
    rest, made, turn = [*first, *records], list[Group](), 0
    while rest:
        size = sizes[turn % len(sizes)]
        made.append(Group(turn + 1, tuple(rest[:size])))
        rest, turn = rest[size:], turn + 1
    return made


def decided(records: list[Record], sizes: list[int], restart_every: int = 0) -> bytes:
    """Everything decided on the records, in the order in which it was decided."""
    site, lines = Site(), list[bytes]()
    for number, group in enumerate(grouped(records, sizes, definition()), 1):
        lines.append(site.step(group).decisions())
        if restart_every and number % restart_every == 0:
            site = Site.restored(site.snapshot())
    return b"".join(lines)
