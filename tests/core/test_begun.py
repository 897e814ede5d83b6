"""A mute takes only the word of the alerts that it covers: the plan's steps go on for what people are told of."""

from __future__ import annotations

import pytest

from sensord.core.cases.case import Answer
from sensord.core.cases.notification import Reason
from sensord.core.cases.policy import Policy, Step
from sensord.core.cases.story import Story
from sensord.core.instant import HOUR, MINUTE
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from tests.core.desk import Desk
from tests.core.street import START, definition
from tests.core.test_untold import rule

WAYS = (Contact("people"), Contact("sms", "x", 2 * MINUTE))
PEOPLE = (
    Person("居委干部-1", "cadre", "G1", (Contact("people"),)),
    Person("派出所-1", "police", "street", (Contact("people"),)),
    Person("街道值班-1", "duty_officer", "street", (Contact("people"),)),
)
AFTER_FIVE = Step(("duty_officer",), Level.YELLOW, 5 * MINUTE, until=Answer.ACKNOWLEDGED)
PLAN = Policy("vehicle", {"zh": "车辆"}, (Step(("cadre",)), Step(("police",), Level.ORANGE), AFTER_FIVE))
NOT_ACKNOWLEDGED = ("duty_officer", "not_acknowledged")


def street(people: tuple[Person, ...] = PEOPLE) -> Desk:
    """A desk with two rules, and a step that comes when nobody answers for five minutes."""
    return Desk(definition(people=people, policies=(PLAN,), rules=(rule("watched", each=True), rule("queue"))))


def silence(desk: Desk, second: int, up_to: Level = Level.ORANGE) -> None:
    """Nobody is told of watched vehicles for an hour."""
    scope = Scope(rules=("watched",), up_to=up_to)
    desk.act(second, "silence", "operator", "", scope=scope, note="演练", until=START + HOUR, via="cli")


def later(*stories: Story) -> list[tuple[str, str, str, int]]:
    """Who was told, why, at which level, and at which second."""
    told = (one for story in stories for one in story.decisions.notifications)
    return [(one.role, one.reason.value, one.level.word, (one.at - START) // 10**9) for one in told]


@pytest.mark.parametrize(
    ("first", "then"), [(Level.YELLOW, Level.ORANGE), (Level.ORANGE, Level.RED)], ids=["yellow", "orange"]
)
def test_a_muted_case_that_rises_above_its_mute_begins_all_steps(first: Level, then: Level) -> None:
    """Whoever is called when nobody answers is called as in a case that was never muted."""
    desk = street()
    silence(desk, 0, first)
    assert not later(desk.alert(10, first, "watched"))
    desk.alert(60, then, "watched")
    desk.restart()
    assert (*NOT_ACKNOWLEDGED, then.word, 360) in later(desk.wait(1000))


def test_a_step_that_came_due_in_a_silence_begins_again_above_it() -> None:
    """It spoke to nobody; the rise above the silence makes good for it."""
    desk = street()
    desk.alert(10, Level.YELLOW, "watched")
    silence(desk, 60, Level.YELLOW)
    assert not later(desk.wait(400))
    desk.alert(500, Level.ORANGE, "watched")
    assert later(desk.wait(1000)) == [(*NOT_ACKNOWLEDGED, "orange", 800)]


def test_a_level_that_comes_back_begins_its_steps_again() -> None:
    """The step came due while the level was below it: another five minutes without an answer, and it speaks."""
    desk = street()
    desk.alert(10, Level.YELLOW, "watched")
    desk.alert(60, Level.BLUE, "watched")
    assert not later(desk.wait(400))
    desk.alert(500, Level.YELLOW, "watched")
    assert later(desk.wait(1000)) == [(*NOT_ACKNOWLEDGED, "yellow", 800)]


def test_steps_that_have_begun_do_not_begin_again() -> None:
    """Without a silence a rise leaves the step of the lower level as it is."""
    desk = street()
    desk.alert(10, Level.YELLOW, "watched")
    desk.alert(60, Level.ORANGE, "watched")
    desk.wait(400)
    desk.alert(500, Level.RED, "watched")
    assert not [one for one in later(desk.wait(1000)) if one[3] > 500]


@pytest.mark.parametrize("silenced", ["before", "after", "not"])
def test_a_lesser_alert_beside_a_silenced_graver_one_has_its_steps(silenced: str) -> None:
    """The duty officer hears that nobody answered to the queue, at its level; police hear of no silenced vehicle."""
    desk = street()
    if silenced != "not":
        silence(desk, 0)
    stories = [desk.alert(5, Level.ORANGE, "watched")] if silenced == "before" else []
    stories.append(desk.alert(60, Level.YELLOW, "queue"))
    if silenced == "after":
        stories.append(desk.alert(90, Level.ORANGE, "watched"))
    desk.restart()
    told = later(*stories, desk.wait(1000))
    assert [one[0] for one in told] == ["cadre", "duty_officer"]
    assert told[1] == (*NOT_ACKNOWLEDGED, "yellow", 360)


def test_a_lesser_alert_that_fell_and_came_back_is_as_high_as_people_know() -> None:
    """They were told of it at yellow, and it is yellow again: what stands counts, and how far it was told."""
    desk = street()
    silence(desk, 0)
    desk.alert(5, Level.ORANGE, "watched")
    desk.alert(60, Level.YELLOW, "queue")
    desk.alert(120, Level.BLUE, "queue")
    desk.restart()
    desk.alert(130, Level.YELLOW, "queue")
    assert later(desk.wait(1000)) == [(*NOT_ACKNOWLEDGED, "yellow", 360)]


def test_what_is_silenced_itself_has_no_steps_beside_another() -> None:
    """The lesser alert is over, and the silenced one goes on: nobody is called for either."""
    desk = street()
    silence(desk, 0)
    desk.alert(5, Level.ORANGE, "watched")
    desk.alert(60, Level.YELLOW, "queue")
    desk.alert(120, Level.NONE, "queue")
    story = desk.wait(1000)
    assert not later(story)
    assert [(one.role, one.reason) for one in story.decisions.holds] == [("duty_officer", Reason.HELD_SILENCED)]


def test_the_second_way_of_a_lesser_alert_is_not_silenced() -> None:
    """Its first way did not deliver; what is silenced in the same case changes nothing about that."""
    desk = street((Person("居委干部-1", "cadre", "G1", WAYS),))
    silence(desk, 0)
    desk.alert(5, Level.ORANGE, "watched")
    desk.alert(60, Level.YELLOW, "queue")
    assert ("cadre", "not_delivered", "yellow", 180) in later(desk.wait(200))
