"""A case speaks of what stands: never of an alert that is over, nor of a number that an alert no longer has."""

from __future__ import annotations

import pytest

from sensord.core.alert import Change, Transition, Vehicle, transition_id
from sensord.core.cases.case import subject
from sensord.core.cases.casebook import Story
from sensord.core.cases.policy import Policy, Step
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Group, Scope
from sensord.core.rules.rule import Aggregate, Clear, LevelSpec, Rule, Value
from sensord.core.site import Site, definition_record
from sensord.core.stream import Stream
from tests.core.desk import Desk
from tests.core.street import START, definition, density_rule, devices, message, places

PEOPLE = (Person("值班员-1", "officer", "street", (Contact("people"),)),)
PLAN = Policy("vehicle", {"zh": "车辆"}, (Step(("officer",)), Step(("officer",), after=MINUTE, every=MINUTE)))
PLACE = "G1-L1"


def rule(name: str, *, each: bool = False) -> Rule:
    """A rule that says all that it knows."""
    return Rule(
        name, {"zh": name}, Stream.VISIT, "gate", "vehicle", (LevelSpec(Level.BLUE, 1.0),), Clear((0.0,), MINUTE),
        value=Value(Aggregate.COUNT), each=each,
        message={"zh": "{rule} {value}（{threshold}）{vehicle} {level} {time}。"},
    )  # fmt: skip


class Told(Desk):
    """A desk whose alerts have values, and vehicles."""

    def __init__(self) -> None:
        super().__init__(definition(people=PEOPLE, policies=(PLAN,), rules=(rule("queue"), rule("watched", each=True))))

    def move(
        self, second: int, name: str, levels: tuple[Level, Level], change: Change, value: float | None, mask: str = ""
    ) -> Story:
        """An alert changes from a level to another."""
        at, story = START + second * SECOND, Story()
        vehicle = Vehicle(mask, mask, at) if mask else None
        threshold = None if value is None else 1.0
        made = transition_id(name, "v", PLACE, at, change, levels[1], mask)
        previous, level = levels
        self.book.transition(
            Transition(made, name, "v", PLACE, PLACE, change, level, previous, at, at, value, threshold, 3, vehicle),
            story,
        )
        return story

    def reminder(self, second: int) -> str:
        """What the last reminder before some second says."""
        self.restart()
        return self.wait(second).decisions.notifications[-1].text.partition("。")[0]


def test_a_level_that_fell_is_told_with_its_own_number() -> None:
    """Orange at 2.6 has fallen to yellow at 1.4: nobody reads of 2.6 any more."""
    desk = Told()
    desk.move(0, "queue", (Level.NONE, Level.ORANGE), Change.RAISED, 2.6)
    desk.move(20, "queue", (Level.ORANGE, Level.YELLOW), Change.LOWERED, 1.4)
    assert desk.reminder(61) == "queue 1.4（1）车辆 黄色 11-15 06:13:40"


def test_beside_a_silenced_alert_a_level_that_fell_has_its_own_number() -> None:
    """Nobody hears of the watched vehicle; of the queue, which they know, they hear as it is by now."""
    desk = Told()
    desk.move(0, "queue", (Level.NONE, Level.ORANGE), Change.RAISED, 2.6)
    until, scope = START + 10 * MINUTE, Scope(rules=("watched",), up_to=Level.RED)
    desk.act(5, "silence", "operator", "", scope=scope, note="试", until=until, via="cli")
    desk.move(10, "watched", (Level.NONE, Level.RED), Change.RAISED, 1.0, "沪A·**345")
    desk.move(20, "queue", (Level.ORANGE, Level.YELLOW), Change.LOWERED, 1.4)
    assert desk.reminder(61) == "queue 1.4（1）车辆 黄色 11-15 06:13:40"


@pytest.mark.parametrize("graver", [Level.ORANGE, Level.YELLOW], ids=["graver", "as grave"])
def test_an_alert_that_is_over_leaves_the_word_to_the_one_that_stands(graver: Level) -> None:
    """A queue stands and a watched vehicle comes and goes: reminders are about the queue, with its number and time."""
    desk = Told()
    desk.move(0, "queue", (Level.NONE, Level.YELLOW), Change.RAISED, 21.0)
    desk.move(10, "watched", (Level.NONE, graver), Change.RAISED, 1.0, "沪A·**345")
    desk.restart()
    desk.move(20, "watched", (graver, Level.NONE), Change.CLEARED, None)
    assert (desk.case.rule, desk.case.vehicle) == ("queue", None)
    assert desk.reminder(61) == "queue 21（1）车辆 黄色 11-15 06:13:20"


def test_of_two_vehicles_the_one_is_left_whose_level_stands() -> None:
    """The watched one's level runs out, with no value of its own; the stranger after it is what is left to say."""
    desk = Told()
    desk.move(0, "watched", (Level.NONE, Level.ORANGE), Change.RAISED, 1.0, "沪A·**345")
    desk.move(10, "watched", (Level.BLUE, Level.BLUE), Change.ANOTHER, 2.0, "苏E·**678")
    desk.move(20, "watched", (Level.ORANGE, Level.BLUE), Change.LOWERED, None)
    assert (desk.case.level, desk.case.vehicle) == (Level.BLUE, Vehicle("苏E·**678", "苏E·**678", START + 10 * SECOND))
    assert desk.case.value == 2.0
    desk.move(30, "watched", (Level.BLUE, Level.NONE), Change.CLEARED, None)
    assert not desk.book.open
    assert not desk.book.state().ended[0].standing, "an ended case keeps no vehicle but its own"


def test_a_fall_of_which_nothing_is_known_says_no_number() -> None:
    """A reading by itself has met orange; by now only the level is known, and since when."""
    desk = Told()
    desk.move(0, "queue", (Level.NONE, Level.ORANGE), Change.RAISED, 4.0)
    desk.move(20, "queue", (Level.ORANGE, Level.YELLOW), Change.LOWERED, None)
    assert desk.reminder(61) == "queue -（-）车辆 黄色 11-15 06:13:40"


def test_what_an_earlier_version_did_not_keep_is_not_made_up() -> None:
    """Its case is read, the vehicle goes, and of the queue no more is said than that it stands."""
    desk = Told()
    desk.move(0, "queue", (Level.NONE, Level.YELLOW), Change.RAISED, 21.0)
    desk.move(10, "watched", (Level.NONE, Level.ORANGE), Change.RAISED, 1.0, "沪A·**345")
    desk.case.standing = []
    desk.restart()
    desk.move(20, "watched", (Level.ORANGE, Level.NONE), Change.CLEARED, None)
    assert subject(desk.case).alert == f"queue:{PLACE}"
    assert desk.reminder(61) == "queue -（-）车辆 黄色 11-15 06:13:40"


def test_a_lane_that_has_fallen_is_held_against_its_own_threshold() -> None:
    """Of 3.5 people per square metre 2 are left: yellow, above 1, and not above the 3 of red. Over is below 1."""
    sensor = devices()[0]
    area = next(place.area_m2 for place in places() if place.id == sensor.place)
    assert area is not None
    counts = [3.5] * 6 + [2.0] * 12 + [0.0] * 12
    records = [definition_record(definition(rules=(density_rule(),)), START)]
    records += [
        message(sensor, START + number * 10 * SECOND, {"count": int(density * area), "seq": number})
        for number, density in enumerate(counts, 1)
    ]
    moved = Site().step(Group(1, tuple(records))).transitions
    assert [(one.level, one.threshold) for one in moved] == [
        (Level.YELLOW, 1.0), (Level.RED, 3.0), (Level.YELLOW, 1.0), (Level.NONE, 1.0)
    ]  # fmt: skip
    assert moved[2].value == pytest.approx(2.0, abs=0.5)
