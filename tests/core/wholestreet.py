"""A street with everything that a definition can hold: what whole streams begin with, and change (``wholechanges``)."""

from __future__ import annotations

import msgspec

from sensord.core.cases.case import Answer, State
from sensord.core.cases.damping import Damping
from sensord.core.cases.mute import Inhibition, Maintenance
from sensord.core.cases.policy import Category, Mode, Policy, Role, Step
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.duty import Change, ChangeReason, Duty, Rotation, Shift
from sensord.core.people.roster import Contact, Person
from sensord.core.place import Device, Place, PlaceKind
from sensord.core.record import Scope
from sensord.core.rules.derived import Trend
from sensord.core.rules.rule import (
    Aggregate,
    Capacity,
    Clear,
    Combination,
    Comparison,
    Flapping,
    LevelSpec,
    Logic,
    Override,
    Part,
    Rule,
    Value,
)
from sensord.core.stream import Stream
from sensord.core.token import word
from sensord.core.vehicles.tracking import KeyArea, PlateAreas, Tracking, Watched
from tests.core import traffic
from tests.core.street import density_rule

START = traffic.MONDAY + 19 * HOUR
"""An evening: after the first hours nobody of the day's shift is on duty any more."""
LANES = ("C1-L1", "C1-L2", "C2-L1", "C3-L1")
BRIEF = Tracking(recent=2 * HOUR, roaming=HOUR, short=5 * MINUTE, believed=40 * MINUTE, remember=2 * HOUR)
"""A vehicle is forgotten within hours, so that calm comes within the stream."""
_CLEAR = Clear((0.2, 0.5), MINUTE)
_LATE = Contact("sms", "s", 40 * SECOND)
_NAME = {"zh": "规则", "en": "Rule"}
_LIMITS = {State.DISPATCHED: 10 * MINUTE, State.HANDLING: 30 * MINUTE, State.VERIFYING: HOUR, State.SUPERVISED: HOUR}


def places() -> tuple[Place, ...]:
    """The compounds and gates of the tests of vehicles, with four lanes."""
    lanes = (
        Place(lane, PlaceKind.LANE, f"{lane}弄", parent=f"M{lane[1]}", compound=lane[:2], area_m2=50.0, capacity=300)
        for lane in LANES
    )
    return (*traffic.places(), *lanes)


def devices() -> tuple[Device, ...]:
    """A crowd sensor in each lane, a camera at each gate and a second one, gauges of parking spaces, a reporter."""
    crowd = (Device(f"crowd-{lane}", Stream.CROWD, lane, 40 * SECOND) for lane in LANES)
    cameras = (Device(f"cam-{gate}", Stream.PLATE, gate, 3 * MINUTE) for gate in traffic.GATES)
    gauges = (Device(f"gauge-{one}", Stream.LEVEL, one, 5 * MINUTE) for one in ("C1", "C2", "C3"))
    second = Device("cam2-C1-N", Stream.PLATE, "C1-N", 3 * MINUTE)
    return (*crowd, *cameras, second, *gauges, Device("report-C2", Stream.REPORT, "C2", 48 * HOUR))


def _crowd_rules() -> tuple[Rule, ...]:
    one, two = (LevelSpec(Level.YELLOW, 1.0),), (LevelSpec(Level.YELLOW, 1.0), LevelSpec(Level.RED, 3.0, 30 * SECOND))
    window = {"window": 2 * MINUTE, "every": 30 * SECOND, "clear": _CLEAR, "levels": two}
    single = Clear((0.0,), MINUTE)
    share = (LevelSpec(Level.BLUE, 20.0), LevelSpec(Level.ORANGE, 60.0, needed=2, among=3))
    of_capacity = {"percent_of": Capacity.CAPACITY, "value": Value(Aggregate.MAX, "count"), "levels": share}
    trend = {"trend": Trend(10 * MINUTE, 5 * MINUTE), "clear": Clear((0.2,), MINUTE), "levels": one}
    whole = {"by": "grid", "value": Value(Aggregate.SUM, "count"), "levels": (LevelSpec(Level.ORANGE, 900.0),)}
    grades = tuple(LevelSpec(Level(number), float(number)) for number in (1, 2, 3, 4))
    return (
        density_rule(**window, flapping=Flapping(2, 20 * MINUTE, 5 * MINUTE)),
        density_rule(id="share", **{**window, **of_capacity}),
        density_rule(id="coming", **{**window, **trend}),
        density_rule(id="crowd-sum", **{**window, **whole, "clear": Clear((100.0,), MINUTE)}),
        density_rule(
            id="finding",
            stream=Stream.REPORT,
            by="place",
            value=Value(Aggregate.LAST, "grade"),
            levels=grades,
            clear=Clear((0.0,) * 4, 20 * MINUTE),
            comparison=Comparison.AT_LEAST,
            window=0,
            every=0,
        ),
        *(
            Rule(name, _NAME, None, by, "crowd", (LevelSpec(level, 1.0),), single, combination=Combination(*about))
            for name, by, level, about in (
                ("both", "compound", Level.RED, (Logic.ALL, (Part("density"), Part("share")), 5 * MINUTE)),
                ("missing", "grid", Level.BLUE, (Logic.MISSING, (Part("share"), Part("density")), 3 * MINUTE)),
                ("after", "street", Level.ORANGE, (Logic.SEQUENCE, (Part("finding"), Part("key-area")), HOUR)),
            )
        ),
        Rule("silent", _NAME, None, "device", "device", one, Clear((0.0,), 0), absent=3.0),
    )


def _vehicle_rules() -> tuple[Rule, ...]:
    """Those of the tests of vehicles, less the slow ones; stays that rise, watched vehicles each, a gauge."""
    kept = [one for one in traffic.rules() if one.id not in {"overnight", "first-seen", "camera-silent"}]
    each = {"overstay", "watched", "cloned"}
    stays = (LevelSpec(Level.BLUE, 0.2), LevelSpec(Level.YELLOW, 0.6))
    stay = {"event": ("staying",)}
    few = {"window": 10 * MINUTE, "every": MINUTE, "min_samples": 0, "comparison": Comparison.BELOW}
    return (
        *(
            msgspec.structs.replace(one, each=one.each or one.id in each, min_samples=0 if one.every else 1)
            for one in kept
        ),
        traffic.rule(
            "stay", "stay", 0.2, stay, by="compound", each=True, levels=stays, clear=Clear((0.0,) * 2, MINUTE)
        ),
        traffic.rule("few", None, 1.0, {"event": ("passed",)}, **few),
        traffic.rule(
            "full",
            "value",
            1.0,
            {},
            stream=Stream.LEVEL,
            by="compound",
            comparison=Comparison.AT_MOST,
            message=traffic.ROOM,
            overrides=(Override("C3", (LevelSpec(Level.YELLOW, 3.0),), (0.0,)),),
        ),
    )


def people() -> tuple[Person, ...]:
    """Volunteers and cadres by day, police by night, an officer who approves; some have a second way."""
    mqtt = Contact("grid-mqtt")
    return (
        Person("志愿者-1", "volunteer", "M1", (Contact("robot", "group-1"),), shifts=("day",)),
        Person("志愿者-2", "volunteer", "M3", (Contact("people", "v2"),), "en", ("day",)),
        Person("居委干部-1", "cadre", "G1", (Contact("people", "c1"), mqtt, _LATE), shifts=("day",)),
        Person("居委干部-2", "cadre", "G2", (Contact("people", "c2"), _LATE), "en", ("day",)),
        Person("居委干部-3", "cadre", "G1", (Contact("people", "c3"),)),
        Person("居委干部-4", "cadre", "G1", (Contact("people", "c4"),)),
        Person("派出所-1", "police", "street", (Contact("people", "p1"), _LATE), shifts=("police",)),
        Person("值班员-1", "officer", "street", (Contact("people", "o1"),), shifts=("officer",)),
    )


def plans() -> tuple[Policy, ...]:
    """A plan for crowds that the sensors close, one for vehicles that people close, one for everything else."""
    crowd = (
        Step(("volunteer", "cadre")),
        Step(("police",), Level.RED),
        Step(("cadre",), after=MINUTE, mode=Mode.REPLACEMENT),
        Step(("officer",), after=2 * MINUTE, until=Answer.ACKNOWLEDGED),
        Step(("cadre",), after=3 * MINUTE, until=Answer.ON_THE_SCENE, mode=Mode.NEAREST, count=1),
        Step(("police",), Level.YELLOW, 5 * MINUTE, until=Answer.DISPERSED, every=10 * MINUTE),
    )
    vehicle = (
        Step(("cadre", "police"), mode=Mode.JOINT, lead="police"),
        Step(("officer",), Level.YELLOW, 4 * MINUTE, until=Answer.ACKNOWLEDGED, every=10 * MINUTE),
    )
    crowds = Policy("crowd", {"zh": "聚集"}, crowd, wait=45 * SECOND)
    vehicles = Policy("vehicle", {"zh": "车辆"}, vehicle, "after_report", agree_for=2 * MINUTE, agree_within=3 * MINUTE)
    return (
        *(
            msgspec.structs.replace(
                one, category="street", link="grid", supervisors=("officer",), unreported_after=3 * HOUR
            )
            for one in (crowds, vehicles)
        ),
        Policy("device", {"zh": "设备"}, (Step(("officer",)),)),
    )


def duty() -> Duty:
    """Cadres by day only; the night's police take turns, the officer is away at times."""
    hours = (("day", 6 * 60, 20 * 60 + 30), ("police", 22 * 60, 4 * 60), ("officer", 7 * 60, 21 * 60))
    away = Change(START + 20 * MINUTE, START + 50 * MINUTE, ChangeReason.LEAVE, "值班员-1")
    turns = (Rotation("turns", "day", ("居委干部-3", "居委干部-4"), 739_000, 1),)
    return Duty(tuple(Shift(*one) for one in hours), turns, (away,), check_days=2)


def definition() -> Definition:
    """All of it."""
    roles = (("volunteer", "none"), ("cadre", "masked"), ("police", "plain"), ("officer", "masked"))
    work = Maintenance(
        "work", Scope(("C2",)), Shift("work", 20 * 60, 20 * 60 + 20), START + 48 * HOUR, "值班员-1", "施工"
    )
    return traffic.definition(
        places=places(),
        devices=devices(),
        rules=(*_crowd_rules(), *_vehicle_rules()),
        people=people(),
        policies=plans(),
        built_in={"others": "device"},
        roles=tuple(
            Role(role, {"zh": role}, {"zh": "请到场。"}, role == "officer", role == "police", plates)
            for role, plates in roles
        ),
        categories=(Category("street", {"zh": "街面"}, "04", "080", _LIMITS),),
        duty=duty(),
        damping=Damping({"people": 8, "robot": 4}, 15, 10 * MINUTE, 40, ("robot",), {"people": 400}),
        inhibitions=(Inhibition(("crowd-sum",), ("density", "share")),),
        maintenance=(work,),
        plates=PlateAreas(("沪",), (KeyArea("皖K"),), (watched(traffic.PLATES[1]),)),
        tracking=BRIEF,
    )


def watched(plate: str | None) -> Watched:
    """A vehicle to look out for."""
    assert plate is not None
    return Watched(word(traffic.token(plate)))
