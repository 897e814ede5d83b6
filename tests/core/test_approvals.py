"""Who may approve: supervisors, and accounts whose right was checked where they came in."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.case import Happening, State
from sensord.core.cases.policy import Role, Step
from sensord.core.instant import DAY, MINUTE
from sensord.core.level import Level
from sensord.core.people.roster import Person
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
