"""A second way says what the first would have said, whatever has come to the case since."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.alert import Change, Transition, Vehicle, transition_id
from sensord.core.cases.case import SecondWay
from sensord.core.cases.damping import Damping
from sensord.core.cases.notification import Notification, Reason
from sensord.core.cases.policy import Policy, Role, Step
from sensord.core.cases.story import Story
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.duty import Duty, Shift
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


def told_over(story: Story) -> list[tuple[str, str]]:
    """Over what a cadre was told, and why."""
    return [(one.channel, one.reason.value) for one in story.decisions.notifications if one.role == "cadre"]


@pytest.mark.parametrize("answers", [(), ((30, "acknowledge"),), ((30, "on_the_way"), (40, "on_the_scene"))])
def test_an_answer_to_what_was_before_spares_no_second_way(answers: tuple[tuple[int, str], ...]) -> None:
    """Somebody has answered at yellow; that it is red by now goes by the second way all the same."""
    street = Desk(definition(people=PEOPLE, policies=(msgspec.structs.replace(PLAN, id="crowd"),)))
    first = street.alert(0, Level.YELLOW)
    street.receipt(1, first.decisions.notifications[0].key, "sent")
    for second, verb in answers:
        street.act(second, verb)
    street.alert(600, Level.RED)
    street.restart()
    assert told_over(street.wait(719)) == []
    assert told_over(street.wait(720)) == [("sms", "not_delivered")]


@pytest.mark.parametrize("verb", ["acknowledge", "on_the_way", "return"])
def test_whoever_has_done_something_since_needs_no_second_way(verb: str) -> None:
    """Also who says again what was noted before, or asks for something: they know of it."""
    street = Desk(definition(people=PEOPLE, policies=(msgspec.structs.replace(PLAN, id="crowd"),)))
    first = street.alert(0, Level.YELLOW)
    street.receipt(1, first.decisions.notifications[0].key, "sent")
    street.act(30, "acknowledge")
    street.alert(600, Level.RED)
    street.act(610, verb, note="原因")
    street.restart()
    assert told_over(street.wait(1200)) == []


@pytest.mark.parametrize(
    ("receipts", "over"),
    [
        ((), [("people", "case_closed"), ("sms", "case_closed")]),
        (("sms",), [("people", "case_closed"), ("sms", "case_closed")]),
        (("people",), [("people", "case_closed")]),
        (("sms", "people"), [("people", "case_closed")]),
    ],
)
def test_the_end_goes_over_the_way_that_got_through(receipts: tuple[str, ...], over: list[tuple[str, str]]) -> None:
    """Who heard over the second way only hears the end over it, too, unless the first works again by then."""
    street = Desk(definition(people=PEOPLE[:1], policies=(msgspec.structs.replace(PLAN, id="crowd"),)))
    keys = {one.channel: one.key for one in street.alert(0, Level.RED).decisions.notifications}
    keys |= {one.channel: one.key for one in street.wait(200).decisions.notifications}
    for number, channel in enumerate(receipts):
        street.receipt(300 + number, keys[channel], "sent")
    street.restart()
    case = street.case
    assert told_over(street.alert(900, Level.NONE)) == over
    assert (case.pending, case.fallbacks) == ([], {})


def test_an_end_takes_no_second_way_that_nobody_heard_over() -> None:
    """The first way delivered all along."""
    street = Desk(definition(people=PEOPLE[:1], policies=(msgspec.structs.replace(PLAN, id="crowd"),)))
    street.receipt(1, street.alert(0, Level.RED).decisions.notifications[0].key, "delivered")
    assert told_over(street.wait(200)) == []
    assert told_over(street.alert(900, Level.NONE)) == [("people", "case_closed")]


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


def test_a_way_that_was_spared_lends_its_time_to_no_other() -> None:
    """The first vehicle's message arrived; the second's way is due after its own time, not at the first one's."""
    street = desk()
    comes(street, 0, 111, "stranger", Level.BLUE)
    (first,) = street.book.open.values()
    key = f"{first.id}:2:居委干部-1:people"
    street.receipt(5, key, "delivered")
    comes(street, 115, 222, "stranger", Level.BLUE, Change.ANOTHER)
    assert [(one.at - START) // SECOND for one in second_ways(street, 400)] == [235]


@pytest.mark.parametrize("arrives", [False, True])
def test_a_digest_spares_the_ways_of_what_it_told_of(arrives: bool) -> None:
    """A red message that did not get through goes by the second way, though a digest of lesser news has arrived."""
    crowd = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),))
    damping = Damping(per_minute={"people": 2})
    street = Desk(definition(people=PEOPLE[:1], policies=(crowd,), damping=damping))
    street.alert(0, Level.YELLOW, place="G1-L2")
    street.alert(1, Level.YELLOW)
    red = street.alert(10, Level.RED).decisions.notifications
    assert [one.level for one in red] == [Level.RED]
    (digest,) = [one for one in street.wait(70).decisions.notifications if one.reason is Reason.DIGEST]
    if arrives:
        street.receipt(71, digest.key, "delivered")
    ways = [((one.at - START) // SECOND, one.level) for one in second_ways(street, 400) if one.place == "G1-L1"]
    assert ways == [(130, Level.RED)] + [(180, Level.RED)] * (not arrives)


def by_day(close: str = "when_clear", agree_for: int = 0) -> Desk:
    """A desk at night: somebody with a second way comes on duty at START + 6,400 s (08:00), and nobody before."""
    cadre = msgspec.structs.replace(PEOPLE[0], shifts=("day",))
    plan = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),), close, agree_for=agree_for)
    return Desk(definition(people=(cadre,), policies=(plan,), duty=Duty(shifts=(Shift("day", 8 * 60, 20 * 60),))))


@pytest.mark.parametrize("close", ["when_clear", "after_report"])
@pytest.mark.parametrize("ends", [3000, 6400])
def test_what_is_told_as_it_is_over_takes_the_second_way(close: str, ends: int) -> None:
    """In the night, or as the shift begins: the first way delivers nothing, so both go by the second one as well."""
    street = by_day(close if ends < 6400 else "when_clear")
    street.alert(0, Level.YELLOW)
    told = told_over(street.alert(ends, Level.NONE)) + told_over(street.wait(6400))
    assert told == [("people", "case_opened")]
    street.restart()
    case = street.case
    assert told_over(street.wait(6519)) == []
    assert told_over(street.wait(6520)) == [("sms", "not_delivered"), ("people", "case_closed"), ("sms", "case_closed")]
    assert (case.pending, case.fallbacks, street.book.open) == ([], {}, {})


def test_what_is_told_as_it_is_over_ends_once_the_first_way_has_delivered() -> None:
    """Nobody is kept waiting for a second way that is not needed."""
    street = by_day("after_report")
    street.alert(0, Level.YELLOW)
    street.alert(3000, Level.NONE)
    (late,) = street.wait(6400).decisions.notifications
    street.restart()
    assert told_over(street.receipt(6403, late.key, "sent")) == [("people", "case_closed")]
    assert not street.book.open


def test_a_crowd_that_comes_back_meanwhile_is_a_crowd() -> None:
    """The case waits for the second way, and goes on instead of ending."""
    street = by_day()
    street.alert(0, Level.YELLOW)
    street.alert(3000, Level.NONE)
    street.wait(6400)
    assert told_over(street.alert(6450, Level.YELLOW)) == [("people", "case_relapsed")]
    assert told_over(street.wait(6600)) == [("sms", "not_delivered"), ("sms", "not_delivered")]
    assert street.case.alerts


def test_a_report_ends_what_was_told_late_at_once() -> None:
    """Whoever has heard of it, and says that it is over, is believed."""
    street = by_day("after_report")
    street.alert(0, Level.YELLOW)
    street.alert(3000, Level.NONE)
    street.wait(6400)
    assert told_over(street.act(6420, "dispersed")) == [("people", "case_closed")]
