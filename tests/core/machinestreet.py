"""The street of the random interleavings: shifts with holes, two plans, damping, inhibition; and its variants."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sensord.core.cases.case import Answer, State
from sensord.core.cases.damping import Damping
from sensord.core.cases.mute import Inhibition
from sensord.core.cases.policy import Category, Mode, Policy, Role, Step
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND, to_datetime
from sensord.core.level import Level
from sensord.core.people.duty import Change, ChangeReason, Duty, Shift
from sensord.core.people.roster import Contact, Person
from tests.core.street import START, definition, rules

PEOPLE = (
    Person("志愿者-1", "volunteer", "G1-1", (Contact("people", "v1"),), shifts=("day",)),
    Person("居委干部-1", "cadre", "G1", (Contact("people", "c1"), Contact("sms", "", 30 * SECOND)), shifts=("day",)),
    Person("居委干部-2", "cadre", "G2", (Contact("people", "c2"),), shifts=("night",)),
    Person("派出所-1", "police", "street", (Contact("people", "p1"),)),
    Person("值班员-1", "officer", "street", (Contact("people", "o1"), Contact("sms", "", 30 * SECOND))),
)
_LEAVES = tuple(
    (person, START + minute * MINUTE, START + (minute + 4) * MINUTE)
    for person, first in (("居委干部-2", 5), ("值班员-1", 2), ("派出所-1", 8))
    for minute in range(first, 180, 11)
)
"""Whoever is on duty at the beginning is off again and again for a while, also while messages wait."""
STEPS = (
    Step(("volunteer", "cadre")),
    Step(("police",), Level.RED),
    Step(("cadre",), after=MINUTE, mode=Mode.REPLACEMENT),
    Step(("officer",), after=2 * MINUTE, until=Answer.ACKNOWLEDGED),
    Step(("cadre",), after=3 * MINUTE, until=Answer.ON_THE_SCENE, mode=Mode.NEAREST, count=1),
    Step(("police",), after=5 * MINUTE, every=10 * MINUTE, until=Answer.ON_THE_SCENE),
)
_LIMITS = {State.DISPATCHED: 10 * MINUTE, State.HANDLING: 30 * MINUTE, State.VERIFYING: HOUR, State.SUPERVISED: HOUR}


def whole() -> Definition:
    """The street as it is at first."""
    plan = {"category": "crowd", "link": "grid", "supervisors": ("officer",), "agree_within": 3 * MINUTE}
    quick = Policy("crowd", {"zh": "聚集"}, STEPS, **plan)  # type: ignore[arg-type]
    slow = Policy(
        "vehicle",
        {"zh": "车辆"},
        STEPS[:2],
        close="after_report",
        agree_for=MINUTE,
        wait=20 * SECOND,
        **plan,  # type: ignore[arg-type]
    )
    duty = Duty(
        (Shift("day", 480, 1200), Shift("night", 1200, 480)),
        changes=tuple(Change(start, end, ChangeReason.LEAVE, person) for person, start, end in _LEAVES),
    )
    return definition(
        policies=(quick, slow, Policy("roster", {"zh": "值班"}, (Step(("officer",)),))),
        built_in={"others": "roster"},
        people=PEOPLE,
        roles=tuple(
            Role(role, {"zh": role}, {}, approves=role == "officer") for role in ("cadre", "police", "officer")
        ),
        categories=(Category("crowd", {"zh": "聚集"}, "04", "080", _LIMITS),),
        duty=duty,
        damping=Damping({"people": 4}, per_hour=12, digest_every=10 * MINUTE, storm_at=30),
        inhibitions=(Inhibition(("crowd-sum",), ("density",)),),
        rules=tuple(msgspec.structs.replace(one, each=one.id == "visitors") for one in rules()),
    )


def _variants() -> tuple[Definition, ...]:
    """The same street, as it is; with other waits; without the volunteer."""
    one = whole()
    waits = {"crowd": 20 * SECOND, "vehicle": 0, "roster": MINUTE}
    waiting = tuple(msgspec.structs.replace(plan, wait=waits[plan.id]) for plan in one.policies)
    return (
        one,
        msgspec.structs.replace(one, policies=waiting),
        msgspec.structs.replace(one, people=one.people[1:]),
        *_edited(one),
    )


def _edited(one: Definition) -> Iterator[Definition]:
    """The same street with its plan for crowds in another order, with a step less, with another, with other times."""
    more = Step(("police",), Level.YELLOW, after=90 * SECOND, every=4 * MINUTE, until=Answer.ACKNOWLEDGED)
    later = tuple(msgspec.structs.replace(step, after=step.after * 2, every=step.every // 2) for step in STEPS)
    for steps in (STEPS[::-1], STEPS[1:], (more, *STEPS), later):
        plans = (msgspec.structs.replace(plan, steps=steps) if plan.id == "crowd" else plan for plan in one.policies)
        yield msgspec.structs.replace(one, policies=tuple(plans))


DEFINITIONS = _variants()


def on_duty(person: str, at: int) -> bool:
    """The plan above, said once more."""
    hour = to_datetime(at, "Asia/Shanghai").hour
    by_day = 8 <= hour < 20
    planned = person in ("派出所-1", "值班员-1") or by_day == (person != "居委干部-2")
    return planned and not any(person == who and start <= at < end for who, start, end in _LEAVES)
