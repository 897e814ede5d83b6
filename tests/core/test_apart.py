"""One case that cannot be handled keeps nobody from hearing of the others, and a replay decides the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from sensord.core.cases import casebook
from sensord.core.cases.answers import Answers
from sensord.core.cases.case import Case, Due
from sensord.core.cases.caseflow import Flow
from sensord.core.cases.caseindex import CaseIndex
from sensord.core.cases.damping import Damping
from sensord.core.cases.digest import DigestWriter
from sensord.core.cases.dispatch import Dispatcher
from sensord.core.cases.policy import Policy, Step
from sensord.core.cases.replan import Replan
from sensord.core.failure import Failure, Failures
from sensord.core.instant import DAY, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.site import Site
from sensord.core.site import Step as SiteStep
from tests import conftest
from tests.core.desk import Desk, told
from tests.core.failing import MistakeError, broken_once
from tests.core.street import definition, grouped, stream_of

pytestmark = pytest.mark.usefixtures("in_service")
BAD, PLATE = "G1-L1", "沪A12345"
CUTS = (([7], 1), ([40, 3], 2), ([500], 1), ([3], 50))
"""Sizes of groups, and after how many of them there is a restart."""


def broken_for(whole: Callable[..., Any], place: str = BAD) -> Callable[..., Any]:
    """The same, but for the cases of a place, of which it does half and raises."""

    def half(self: object, case: Case, *args: Any, **more: Any) -> Any:
        done = whole(self, case, *args, **more)
        if case.place == place:
            raise MistakeError(PLATE)
        return done

    return half


@pytest.fixture(params=["_rise", "_another", "_all_clear", "dispatch", "file", "settle", "end"])
def mistake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One of the ways in which cases move does half its work at one place, and raises."""
    name: str = request.param
    monkeypatch.setattr(Flow, name, broken_for(getattr(Flow, name)))
    return name


def run(sizes: list[int], restart_every: int = 0, seed: int = 1) -> tuple[bytes, list[Failure], list[SiteStep]]:
    """Everything decided on some records, and what failed in it."""
    site, steps = Site(), list[SiteStep]()
    for number, group in enumerate(grouped(stream_of(seed), sizes, definition()), 1):
        steps.append(site.step(group))
        if restart_every and number % restart_every == 0:
            site = Site.restored(site.snapshot())
    decided = b"".join(step.decisions() for step in steps)
    return decided, [failure for step in steps for failure in step.failures], steps


def test_a_mistake_at_one_place_is_none_at_any_other(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever others hear, they hear; what failed is named, with the lines of code, and quotes nobody."""
    _, failures, steps = run([40])
    assert mistake
    assert {failure.why for failure in failures} == {"MistakeError"}
    assert all(PLATE not in f"{failure.what}{failure.why}{failure.trace}" for failure in failures)
    assert all(failure.what and "in half" in failure.trace for failure in failures)
    monkeypatch.undo()
    _, none, sound = run([40])
    assert not none

    def elsewhere(taken: list[SiteStep]) -> Counter[str]:
        return Counter(event.case for step in taken for event in step.events if event.place.startswith("G2"))

    assert elsewhere(steps) == elsewhere(sound) != Counter()


def test_cuts_and_restarts_decide_the_same(mistake: str) -> None:
    """Failures, too, come at the same instants, about the same things."""
    assert mistake
    whole, failures, _ = run([1])
    for sizes, restart in CUTS:
        cut, others, _ = run(sizes, restart)
        assert cut == whole
        assert others == failures


def test_what_is_due_and_fails_does_not_come_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of what the case awaits comes in its time; what is awaited elsewhere is not held up."""
    late = Step(("police",), after=MINUTE), Step(("police",), after=2 * MINUTE)
    plan = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)), *late))
    one = Desk(definition(policies=(plan,)))
    one.alert(0, Level.YELLOW)
    one.alert(0, Level.YELLOW, place="G2-L1")
    monkeypatch.setattr(Dispatcher, "step_due", broken_for(_refusing))
    story = one.wait(60)
    assert [failure.what[:5] for failure in story.failures] == [BAD]
    one.restart()
    assert not one.wait(119).failures
    assert len(one.wait(120).failures) == 1


def _refusing(*_: object) -> None:
    """Do nothing."""


@pytest.mark.parametrize("what", ["a digest", "the look at the roster"])
def test_what_belongs_to_no_case_comes_again_in_its_time(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waited for a digest message by message, the look at the roster on the next day."""
    one = Desk(definition(damping=Damping({"people": 2})))
    one.redefine(0, one.definition)

    def mistaken(*_: object) -> None:
        raise MistakeError

    for place in ("G1-L1", "G1-L2", "G2-L1", "G2-L2"):
        one.alert(1, Level.YELLOW, place=place)
    where: tuple[object, str] = (DigestWriter, "write") if what == "a digest" else (casebook, "hole_transitions")
    monkeypatch.setattr(*where, mistaken)
    one.restart()
    story = one.wait(DAY // SECOND)
    assert {failure.what for failure in story.failures} == {what}
    one.restart()
    assert len(one.wait(2 * DAY // SECOND).failures) == (0 if what == "a digest" else 1)


def test_who_acts_is_told_that_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an answer that never comes."""
    one = Desk()
    one.alert(0, Level.YELLOW)

    def mistaken(*_: object) -> None:
        raise MistakeError

    monkeypatch.setattr(Answers, "_about", mistaken)
    story = one.act(10, "acknowledge")
    (outcome,) = story.outcomes
    assert (outcome.accepted, outcome.verdict) == (False, "failed")
    assert [failure.what for failure in story.failures] == [one.case.id]
    monkeypatch.undo()
    assert one.act(20, "acknowledge").outcomes[0].accepted


@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "straight on"])
def test_what_is_looked_up_is_what_a_restart_would_find(restarted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure kept the alert out of the index: else only whoever restarts would ever hear of its end."""
    one, whole = Desk(), CaseIndex.hold
    monkeypatch.setattr(CaseIndex, "hold", broken_once(whole))
    assert one.alert(0, Level.YELLOW).failures
    assert one.case.alerts
    if restarted:
        one.restart()
    assert one.alert(10, Level.NONE).events
    assert not one.book.open


def test_a_case_whose_end_fails_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half closed it would take in the next alarm of its place; that one opens another, of which people hear."""
    one = Desk()
    one.alert(0, Level.YELLOW)
    monkeypatch.setattr(Dispatcher, "ended", broken_for(_refusing))
    assert one.alert(10, Level.NONE).failures
    assert not one.book.open
    assert told(one.alert(20, Level.YELLOW))


def test_a_calm_case_of_which_something_failed_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else would end it."""
    one = Desk()
    one.alert(0, Level.YELLOW)
    with monkeypatch.context() as patch:
        patch.setattr(Flow, "happen", broken_for(Flow.happen))
        assert one.alert(10, Level.NONE).failures
    assert any(due is Due.GIVE_UP for _, due, _ in one.case.pending)
    one.restart()
    one.wait(4 * DAY // SECOND)
    assert not one.book.open


def test_a_definition_comes_into_force_though_a_case_cannot_be_put_on_its_plans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cases of other places go on by the new plans; that one by what it has."""
    one = Desk()
    for place in (BAD, "G2-L1"):
        one.alert(0, Level.YELLOW, place=place)
    monkeypatch.setattr(Replan, "put", broken_for(Replan.put))
    story = one.redefine(10, one.definition)
    assert [failure.what[:5] for failure in story.failures] == [BAD]
    assert len(one.book.open) == 2
    assert told(one.alert(20, Level.ORANGE, place="G2-L1"))


def test_a_lack_of_memory_is_no_cases_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how the process stands: the daemon ends, and its next start decides it as every replay does."""

    def short(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Flow, "raised", short)
    with pytest.raises(MemoryError):
        Desk().alert(0, Level.YELLOW)


def test_tests_hear_of_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is caught in service fails every other test."""
    monkeypatch.setattr(Failures, "note", conftest.raise_it)
    monkeypatch.setattr(Flow, "_rise", broken_for(Flow._rise))
    with pytest.raises(AssertionError, match="could not be handled: MistakeError"):
        Desk().alert(0, Level.YELLOW)


def test_a_case_whose_end_cannot_be_told_keeps_no_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """What speaks of vehicles would outlive the journal with it; nothing is awaited of it either."""
    one = Desk(definition(people=(Person("居委干部-1", "cadre", "G1", (Contact("people"), Contact("sms", "1", 60))),)))
    one.alert(0, Level.YELLOW)
    one.another(1, Level.YELLOW, "density")
    assert "**001" in msgspec.json.encode(one.case.fallbacks).decode()
    monkeypatch.setattr(Dispatcher, "ended", broken_for(_refusing))
    assert one.alert(2, Level.NONE).failures
    one.restart()
    (case,) = one.book.ended.values()
    left = case.pending, case.fallbacks, case.untold, case.standing, case.deadline
    assert left == ([], {}, [], [], 0)
