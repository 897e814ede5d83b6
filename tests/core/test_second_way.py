"""A second way says what the first would have said, whatever has come to the case since."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.alert import Change, Transition, Vehicle, transition_id
from sensord.core.cases.case import SecondWay
from sensord.core.cases.notification import Notification, Reason
from sensord.core.cases.policy import Policy, Role, Step
from sensord.core.cases.story import Story
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.rules.rule import Aggregate, Clear, LevelSpec, Rule, Value
from sensord.core.stream import Stream
from tests.core.desk import Desk
from tests.core.street import START, definition

WAYS = (Contact("people"), Contact("sms", "x", 2 * MINUTE))
PEOPLE = (Person("居委干部-1", "cadre", "G1", WAYS), Person("派出所-1", "police", "street", WAYS))
PLAN = Policy("vehicle", {"zh": "车辆"}, (Step(("cadre",)), Step(("police",), Level.ORANGE)))
ROLES = (Role("cadre", {"zh": "居委干部"}, {}, plates="masked"), Role("police", {"zh": "派出所"}, {}, plates="masked"))


def desk() -> Desk:
    """A desk with rules that tell of each vehicle."""
    rules = tuple(
        Rule(
            name, {"zh": name}, Stream.VISIT, "gate", "vehicle", (LevelSpec(Level.BLUE, 1.0),), Clear((0.0,), MINUTE),
            value=Value(Aggregate.COUNT), each=True, message={"zh": "{rule}，{vehicle}，{level}，{time}。"},
        )
        for name in ("watched", "stranger")
    )  # fmt: skip
    return Desk(msgspec.structs.replace(definition(people=PEOPLE, policies=(PLAN,), rules=rules), roles=ROLES))


def comes(at_desk: Desk, second: int, number: int, rule: str, level: Level, change: Change = Change.RAISED) -> None:
    """A vehicle comes to the place."""
    at, place, vehicle = START + second * SECOND, "G1-L1", Vehicle(f"v{number}", f"皖K·**{number}", START)
    name = transition_id(rule, "v", place, at, change, level, vehicle.id)
    previous = Level.NONE if change is Change.RAISED else level
    about = Transition(name, rule, "v", place, place, change, level, previous, at, at, 1.0, 1.0, 1, vehicle=vehicle)
    at_desk.book.transition(about, Story())


def goes(at_desk: Desk, second: int, rule: str, level: Level) -> None:
    """An alert is over."""
    at, place = START + second * SECOND, "G1-L1"
    name = transition_id(rule, "v", place, at, Change.CLEARED, Level.NONE)
    about = Transition(name, rule, "v", place, place, Change.CLEARED, Level.NONE, level, at, at, None, None, 0)
    at_desk.book.transition(about, Story())


def second_ways(at_desk: Desk, second: int) -> list[Notification]:
    """What is said by second ways until then."""
    told = at_desk.wait(second).decisions.notifications
    return [one for one in told if one.reason is Reason.NOT_DELIVERED]


def test_each_of_two_vehicles_is_named_by_the_second_way() -> None:
    """The first is not lost for the second, which is not told twice; each with the instant at which it came."""
    street = desk()
    comes(street, 10, 111, "watched", Level.YELLOW)
    comes(street, 61, 222, "watched", Level.YELLOW, Change.ANOTHER)
    street.restart()
    first, second = second_ways(street, 400)
    assert (first.mask, second.mask) == ("皖K·**111", "皖K·**222")
    assert "06:13:30" in first.text
    assert "06:14:21" in second.text


def test_a_lesser_vehicle_stays_lesser_by_the_second_way() -> None:
    """The cadre's second message is the blue vehicle, not the watched one once more; the police hear of one."""
    street = desk()
    comes(street, 10, 111, "watched", Level.ORANGE)
    comes(street, 60, 222, "stranger", Level.BLUE)
    told = [(one.role, one.level, one.mask) for one in second_ways(street, 400)]
    watched = (Level.ORANGE, "皖K·**111")
    assert told == [("cadre", *watched), ("police", *watched), ("cadre", Level.BLUE, "皖K·**222")]


def test_a_second_way_of_an_earlier_version_speaks_of_the_case_as_it_is() -> None:
    """What earlier versions stored has three parts and is read as it was."""
    street = desk()
    comes(street, 10, 111, "watched", Level.YELLOW)
    before = {number: (way.person, way.channel, way.event) for number, way in street.case.fallbacks.items()}
    stored = msgspec.msgpack.encode(before)
    street.case.fallbacks = msgspec.msgpack.decode(stored, type=dict[str, SecondWay])
    (way,) = street.case.fallbacks.values()
    assert way.about is None
    assert [one.mask for one in second_ways(street, 400)] == ["皖K·**111"]


@pytest.mark.parametrize("how", ["closed", "void"])
def test_an_ended_case_keeps_no_vehicle_but_its_own(how: str) -> None:
    """Cases outlive the journal, and what they lose with it is the one vehicle; none is left elsewhere in them."""
    street = desk()
    comes(street, 10, 111, "watched", Level.ORANGE)
    comes(street, 60, 222, "stranger", Level.BLUE)
    name = street.case.id
    if how == "void":
        street.act(70, "void", "operator", note="误报", via="cli")
    else:
        goes(street, 100, "stranger", Level.BLUE)
        goes(street, 200, "watched", Level.ORANGE)
    street.wait(500)
    case = street.book.find(name)
    assert case is not None
    assert case.state.value == how
    case.vehicle = None
    stored = msgspec.json.encode(case).decode()
    assert "皖K·" not in stored
