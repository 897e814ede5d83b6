"""A mistake of ours in what one person is to read keeps nobody else from hearing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sensord.core.cases import reports
from sensord.core.cases.case import SecondWay
from sensord.core.cases.dispatch import Dispatcher
from sensord.core.cases.policy import Policy, Role, Step
from sensord.core.cases.reportplan import ReportPlan
from sensord.core.cases.wording import Wording
from sensord.core.failure import Failure
from sensord.core.instant import HOUR, MINUTE, SECOND, parse_instant
from sensord.core.level import Level
from sensord.core.people.duty import Duty, Shift
from sensord.core.people.roster import Contact, Person
from sensord.core.site import Site
from tests.core.desk import Desk, told
from tests.core.failing import MistakeError, broken_once
from tests.core.street import START, definition, grouped, stream_of
from tests.core.test_apart import CUTS

pytestmark = pytest.mark.usefixtures("in_service")
STEPS = (Step(("cadre", "police", "volunteer")),)


def person(name: str, role: str, *shifts: str, language: str = "zh") -> Person:
    """Somebody of the whole street."""
    return Person(name, role, "street", (Contact("people", name),), language, shifts)


CADRE, POLICE, HELPER = person("干", "cadre"), person("警", "police", language="en"), person("志", "volunteer")


def street(*people: Person, steps: tuple[Step, ...] = STEPS, **more: Any) -> Desk:
    """A street with one plan."""
    plan = Policy("crowd", {"zh": "聚集"}, steps, supervisors=("police", "cadre"))
    return Desk(definition(people=people or (CADRE, POLICE, HELPER), policies=(plan,), **more))


WORDS: Callable[..., tuple[str, str]] = Wording.words


def mistaken(self: Wording, case: Any, event: Any, whom: Person, *more: Any) -> tuple[str, str]:
    """The words, but that they cannot be made in English."""
    if whom.language == "en":
        raise MistakeError
    return WORDS(self, case, event, whom, *more)


@pytest.fixture
def english(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing can be said in English, until this is undone, by whoever starts then."""
    monkeypatch.setattr(Wording, "words", mistaken)
    return monkeypatch


def heard(desk: Desk, second: int, level: Level) -> list[str]:
    """Who is told of a crowd; one message could not be made."""
    story = desk.alert(second, level)
    assert [(one.what[:5], one.why) for one in story.failures] == [("G1-L1", "MistakeError")]
    desk.restart()
    return [one[0] for one in told(story)]


def test_the_end_is_told_to_everybody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also to those who come after; the case has ended, and nothing of it is awaited."""
    desk = street()
    assert len(told(desk.alert(0, Level.YELLOW))) == 3
    monkeypatch.setattr(Wording, "words", mistaken)
    desk.restart()
    assert heard(desk, 60, Level.NONE) == ["干", "志"]
    (case,) = desk.book.ended.values()
    assert (case.state.value, case.pending, case.fallbacks) == ("closed", [], {})


def test_whoever_was_not_told_for_it_is_on_no_ledger(english: pytest.MonkeyPatch) -> None:
    """The others are asked; whoever heard nothing hears of what comes then, and of no end of what they never heard."""
    for level, hear in ((Level.RED, ["干", "警", "志"]), (Level.NONE, ["干", "志"])):
        desk = street()
        assert heard(desk, 0, Level.YELLOW) == ["干", "志"]
        assert {name: line.times for name, line in desk.case.told.items()} == {"干": 1, "志": 1}
        assert desk.case.state.value == "dispatched"
        with english.context() as right:
            right.setattr(Wording, "words", WORDS)
            desk.restart()
            assert [one[0] for one in told(desk.alert(60, level))] == hear


def test_what_somebody_knew_before_they_know_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their line of the ledger says nothing of what could not be said."""
    desk = street()
    desk.alert(0, Level.YELLOW)
    before = desk.case.told["警"]
    times, rules = before.times, list(before.rules)
    monkeypatch.setattr(Wording, "words", mistaken)
    desk.restart()
    story = desk.alert(60, Level.ORANGE, "crowd-sum")
    assert [one[0] for one in told(story)] == ["干", "志"]
    now = desk.case.told["警"]
    assert (now.times, now.rules, now.level, now.held) == (times, rules, Level.YELLOW, [])
    assert desk.case.told["干"].rules == ["density", "crowd-sum"]


@pytest.mark.usefixtures("english")
def test_who_could_not_be_asked_is_not_taken_for_asked() -> None:
    """The supervisor's question fails: whoever approves is asked."""
    roles = (Role("police", {}, {}), Role("cadre", {}, {}), Role("volunteer", {}, {}, approves=True))
    desk = street(POLICE, HELPER, steps=(Step(("volunteer",)),), roles=roles)
    desk.alert(0, Level.YELLOW)
    story = desk.act(10, "void", "警", note="误报")
    assert told(story) == [("志", "people", "approval_asked")]
    asked = desk.act(20, "void", "门卫", note="误报", via="link")
    assert told(asked) == [("志", "people", "approval_asked")]
    assert [outcome.verdict for outcome in asked.outcomes] == ["asked"]
    assert len(asked.failures) == 1


@pytest.mark.usefixtures("english")
def test_with_nobody_told_it_is_told_again() -> None:
    """When the shift changes; nobody is taken for told till then."""
    moment = (START // MINUTE + 8 * 60) % 1440
    duty = Duty((Shift("early", moment - 100, moment + 10), Shift("late", moment + 10, moment + 100)))
    desk = street(person("早", "cadre", "early", language="en"), person("晚", "cadre", "late"), duty=duty)
    assert len(desk.alert(0, Level.YELLOW).failures) == 1
    assert (desk.case.state.value, desk.case.told) == ("filed", {})
    desk.restart()
    (said,) = told(desk.wait(HOUR // SECOND))
    assert said == ("晚", "people", "case_opened")
    assert desk.case.state.value == "dispatched"


@pytest.mark.parametrize("after", [0, MINUTE])
def test_with_nobody_told_the_next_step_tells(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then the case rests as filed, whether the step that failed had waited or not."""
    monkeypatch.setattr(Wording, "words", broken_once(WORDS))
    desk = street(CADRE, steps=(Step(("cadre",), after=after, every=MINUTE),))
    story, first = desk.alert(0, Level.YELLOW), after // SECOND
    story = desk.wait(first) if after else story
    assert (len(story.failures), told(story), desk.case.state.value) == (1, [], "filed")
    desk.restart()
    assert [one[0] for one in told(desk.wait(first + 60))] == ["干"]
    assert desk.case.state.value == "dispatched"


def test_a_report_is_told_to_everybody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """And on the next day again."""
    plan, zone = ReportPlan("morning", (450,), tell=("police", "cadre")), "Asia/Shanghai"
    desk, whole = street(), reports.title
    desk.redefine(0, definition(people=(POLICE, CADRE), reports=(plan,)))

    def title(plan: ReportPlan, covered: reports.Span, language: str, zone: str) -> str:
        if language == "en":
            raise MistakeError
        return whole(plan, covered, language, zone)

    monkeypatch.setattr(reports, "title", title)
    due = (parse_instant("2023-11-15 07:30", zone) - START) // SECOND
    for second in (due, due + 86400):
        story = desk.wait(second)
        assert told(story) == [("干", "people", "report_due")]
        assert [failure.what for failure in story.failures] == ["a report"]
        desk.restart()


def decided(sizes: list[int], restart_every: int = 0) -> tuple[bytes, list[Failure]]:
    """Everything decided on some records while the police cannot be told, and what failed in it."""
    site, said, failures = Site(), b"", list[Failure]()
    for number, group in enumerate(grouped(stream_of(1), sizes, definition()), 1):
        step = site.step(group)
        said, failures = said + step.decisions(), failures + step.failures
        if restart_every and number % restart_every == 0:
            site = Site.restored(site.snapshot())
    return said, failures


def test_cuts_and_restarts_decide_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures, too, come at the same instants, about the same things."""

    def words(self: Wording, case: Any, event: Any, whom: Person, *more: Any) -> tuple[str, str]:
        if whom.role == "police":
            raise MistakeError
        return WORDS(self, case, event, whom, *more)

    monkeypatch.setattr(Wording, "words", words)
    said, failures = decided([1])
    assert said
    assert failures
    for sizes, restart in CUTS:
        assert decided(sizes, restart) == (said, failures)


def test_second_ways_of_others_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a case ends, each way that another of its digest may need is looked at by itself."""
    ways, looked = (Contact("people"), Contact("sms", "1", MINUTE)), list[str]()
    desk = street(*(Person(name, "cadre", "street", ways) for name in ("甲", "乙")))
    desk.alert(0, Level.YELLOW)

    def hand_on(_self: Dispatcher, _case: Any, way: SecondWay, _due: int) -> list[Any]:
        looked.append(way.person)
        raise MistakeError

    monkeypatch.setattr(Dispatcher, "hand_on", hand_on)
    story = desk.alert(10, Level.NONE)
    assert sorted(looked) == sorted(one[0] for one in told(story)) == ["乙", "甲"]
    assert len(story.failures) == 2
    (case,) = desk.book.ended.values()
    assert (case.pending, case.fallbacks) == ([], {})
