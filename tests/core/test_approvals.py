"""Who may approve: supervisors, and accounts whose right was checked where they came in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sensord.core.cases.case import Happening, State
from sensord.core.cases.policy import Policy, Role, Step
from sensord.core.instant import DAY, MINUTE
from sensord.core.level import Level
from sensord.core.people.duty import Change, ChangeReason, Duty
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from tests.core.desk import Desk, told
from tests.core.street import START, definition
from tests.core.test_answers import desk as cases_desk
from tests.core.test_answers import happenings


@pytest.mark.parametrize(
    ("by", "via", "approved"),
    [
        ("console", "api:console", True),
        ("cli", "cli", True),
        ("console", "mqtt", False),
        ("somebody", "link", False),
        ("somebody", "api", False),
        ("居委干部-1", "api:console", False),
        ("居委干部-1", "link", False),
    ],
)
def test_a_void_that_nobody_checked_is_only_asked_for(by: str, via: str, approved: bool) -> None:
    """Over MQTT and links a name is only a claim: the case stays open, and the supervisors hear the wish."""
    desk = Desk()
    desk.alert(0, Level.YELLOW)
    (case,) = desk.book.open.values()
    story = desk.act(10, "void", by, via=via, note="twice the same")
    happened = [event.happening for event in story.events]
    assert (Happening.VOID in happened, Happening.ASK in happened) == (approved, not approved)
    assert (case.state is State.VOID) == approved


@pytest.mark.parametrize("until", [0 - 2**70, START, START + 367 * DAY, 2**63, 2**70])
def test_a_deadline_that_makes_no_sense_is_refused(until: int) -> None:
    """Past, beyond a year, beyond what a snapshot can hold: refused, and the state can still be saved."""
    desk = Desk()
    desk.alert(0, Level.YELLOW)
    (outcome,) = desk.act(10, "extend", "console", via="api:console", note="why", until=until).outcomes
    assert not outcome.accepted
    msgspec.msgpack.encode(desk.book.state())


def test_a_deadline_within_a_year_is_taken() -> None:
    """The limit of the stage is the one that was asked for."""
    desk = Desk()
    desk.alert(0, Level.YELLOW)
    (case,) = desk.book.open.values()
    desk.act(10, "extend", "console", via="api:console", note="why", until=START + 30 * DAY)
    assert case.deadline == START + 30 * DAY


@pytest.mark.parametrize(
    ("by", "via", "silenced"), [("居委干部-1", "cli", True), ("值班员-1", "mqtt", True), ("居委干部-1", "mqtt", False)]
)
def test_over_mqtt_only_who_approves_silences(by: str, via: str, silenced: bool) -> None:
    """A cadre's account at the broker mutes nothing, and ends nobody's mute; an approving post and an operator do."""
    roles = (Role("cadre", {}, {}), Role("officer", {}, {}, approves=True))
    people = (Person("居委干部-1", "cadre", "G1", ()), Person("值班员-1", "officer", "street", ()))
    desk = Desk(definition(roles=roles, people=people))
    (outcome,) = desk.act(0, "silence", by, "s", via=via, note="why", scope=Scope(("G1",)), until=START + DAY).outcomes
    assert outcome.accepted == silenced
    if not silenced:
        desk.act(1, "silence", "cli", "s", note="why", scope=Scope(("G1",)), until=START + DAY)
    (outcome,) = desk.act(2, "unsilence", by, "s", via=via).outcomes
    assert outcome.accepted == silenced


@pytest.mark.parametrize(
    ("by", "via", "may"),
    [
        ("派出所-1", "mqtt", True),
        ("console", "api:console", True),
        ("居委干部-1", "cli", True),
        ("志愿者-1", "mqtt", False),
        ("nobody-at-all", "mqtt", False),
        ("居委干部-1", "link", False),
    ],
)
def test_a_close_is_a_report_of_those_who_supervise(by: str, via: str, may: bool) -> None:
    """Others are refused; theirs settles it once the sensors have been calm for as long as the plan says."""
    desk = cases_desk(agree_for=10 * MINUTE)
    desk.alert(0, Level.RED)
    desk.alert(10, Level.NONE)
    case = desk.case
    assert desk.act(11, "close", by, via=via).outcomes[0].accepted == may
    assert desk.act(12, "close", by, via=via).events == []
    assert case.claimed == may
    assert happenings(desk.wait(609)) == []
    assert happenings(desk.wait(610)) == ["close"] * may
    assert case.closed_by == (by if may else "")


def test_a_close_after_the_calm_closes_at_once() -> None:
    """Nobody reported; the supervisor's word is the report that was awaited."""
    desk = cases_desk(agree_for=MINUTE)
    desk.alert(0, Level.RED)
    desk.alert(10, Level.NONE)
    case = desk.case
    desk.act(100, "close", "派出所-1")
    assert (case.state, case.closed_by) == (State.CLOSED, "派出所-1")


def test_an_approved_return_takes_the_case_from_who_asked() -> None:
    """The cadre asks, the police, who were told as well, approve: another cadre gets it, and the police still may."""
    desk = cases_desk(steps=(Step(("cadre",)), Step(("police",))))
    desk.alert(0, Level.RED)
    desk.act(10, "return", "居委干部-1", note="不在我处")
    desk.restart()
    story = desk.act(20, "return", "派出所-1", note="同意")
    assert (desk.case.returned, desk.case.asked_back) == (["居委干部-1"], [])
    assert [name for name, _, _ in told(story)] == ["居委干部-2", "派出所-1"]
    assert desk.case.owner == "居委干部-2"


OFFICER = Person("值班员-1", "officer", "street", (Contact("people"),))
CHIEF = Person("科长-1", "chief", "street", (Contact("people"),))
CADRE = Person("居委干部-1", "cadre", "G1", (Contact("people"),))


def approval_desk(supervisors: tuple[str, ...], people: tuple[Person, ...], **more: Any) -> Desk:
    """A desk where a chief approves, and an officer does not."""
    roles = (Role("cadre", {}, {}), Role("officer", {}, {}), Role("chief", {}, {}, approves=True))
    plan = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),), supervisors=supervisors)
    return Desk(definition(roles=roles, people=(CADRE, *people), policies=(plan,), **more))


@pytest.mark.parametrize(
    ("supervisors", "people", "off_duty", "heard"),
    [
        (("officer",), (OFFICER, CHIEF), (), ["值班员-1"]),
        ((), (OFFICER, CHIEF), (), ["科长-1"]),
        (("officer",), (CHIEF,), (), ["科长-1"]),
        (("officer",), (OFFICER, CHIEF), ("值班员-1",), ["科长-1"]),
        (("cadre",), (CHIEF,), (), ["科长-1"]),
        ((), (OFFICER,), (), []),
        (("officer",), (OFFICER, CHIEF), ("值班员-1", "科长-1"), []),
        (("officer", "cadre"), (), (), []),
    ],
)
def test_whoever_asks_hears_the_truth_about_who_was_asked(
    supervisors: tuple[str, ...], people: tuple[Person, ...], off_duty: tuple[str, ...], heard: list[str]
) -> None:
    """Supervisors on duty, else who approves, never the asker; with nobody, the asker is to call the duty desk."""
    duty = Duty(changes=tuple(Change(START - DAY, START + DAY, ChangeReason.LEAVE, person) for person in off_duty))
    desk = approval_desk(supervisors, people, duty=duty)
    desk.alert(0, Level.YELLOW)
    story = desk.act(60, "void", via="link", note="传感器坏了")
    (outcome,) = story.outcomes
    assert told(story) == [(name, "people", "approval_asked") for name in heard]
    assert (outcome.accepted, outcome.verdict) == ((True, "asked") if heard else (False, "nobody_to_ask"))
    assert [event.happening for event in story.events] == [Happening.ASK]


def test_a_supervisor_whose_contact_fails_is_asked_and_so_is_who_approves() -> None:
    """Only who can be reached counts as asked."""
    for people, heard in (((OFFICER, CHIEF), ["值班员-1", "科长-1"]), ((OFFICER,), ["值班员-1"])):
        desk = approval_desk(("officer",), people)
        desk.alert(0, Level.YELLOW)
        (case,) = desk.book.open
        (first, *_) = desk.act(10, "void", note="误报").decisions.notifications
        desk.receipt(11, first.key, "failed")
        story = desk.act(20, "void", case=case, note="误报")
        assert [name for name, _, _ in told(story)] == heard
        assert story.outcomes[0].accepted == (len(people) > 1)


def test_nobody_is_asked_about_a_muted_case_and_the_asker_hears_it() -> None:
    """A silence holds the question back, too."""
    desk = approval_desk(("officer",), (OFFICER, CHIEF))
    desk.act(0, "silence", "cli", "s", via="cli", note="施工", scope=Scope(("G1",)), until=START + DAY)
    desk.alert(1, Level.YELLOW)
    story = desk.act(60, "void", note="传感器坏了")
    assert (told(story), story.outcomes[0].verdict) == ([], "nobody_to_ask")
    assert [hold.reason.value for hold in story.decisions.holds] == ["held_silenced"]
