"""What people say about cases: idempotent, kept even when late, and never stronger than the sensors."""

from __future__ import annotations

from typing import Any

import pytest

from sensord.core.cases.case import Answer, Happening, State
from sensord.core.cases.notification import Reason
from sensord.core.cases.policy import Category, Policy, Role, Step
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.record import ANSWERS, Scope, Verb
from tests.core.desk import Desk, told
from tests.core.street import START, definition

_LIMITS = {State.DISPATCHED: 2 * MINUTE, State.HANDLING: 10 * MINUTE, State.SUPERVISED: 5 * MINUTE}
_ROLES = tuple(
    Role(role, {"zh": role}, {"zh": "请到场。"}, approves=role == "police") for role in ("volunteer", "cadre", "police")
)


def desk(**changes: object) -> Desk:
    """A desk whose crowd plan closes after a report, with limits and supervisors."""
    plan: dict[str, object] = {
        "close": "after_report",
        "category": "crowd",
        "agree_within": 3 * MINUTE,
        "supervisors": ("police",),
    }
    policy = Policy("crowd", {"zh": "聚集"}, **{"steps": (Step(("cadre",)),), **plan, **changes})  # type: ignore[arg-type]
    return Desk(
        definition(
            policies=(policy,),
            roles=_ROLES,
            district="310106",
            categories=(Category("crowd", {"zh": "聚集"}, "04", "080", _LIMITS),),
        )
    )


def happenings(story: object) -> list[str]:
    """What happened, in order."""
    return [event.happening.value for event in story.events]  # type: ignore[attr-defined]


def test_a_case_walks_through_the_stages() -> None:
    """Accepted, filed with a code, dispatched; handled; the report; the sensors; closed; each step says who and how."""
    one = desk()
    assert happenings(one.alert(0, Level.RED)) == ["level_rose", "file", "dispatch"]
    assert (one.case.code, one.case.state, one.case.owner) == ("3101060408000001", State.DISPATCHED, "居委干部-1")
    (event,) = one.act(30, "acknowledge", via="link").events
    assert (event.state, event.cause, event.via) == (State.HANDLING, "居委干部-1", "link")
    one.act(60, "on_the_way")
    one.act(120, "on_the_scene")
    assert happenings(one.alert(200, Level.NONE)) == ["all_clear"]
    case = one.case
    assert happenings(one.act(240, "dispersed", note="人已散")) == ["dispersed", "close"]
    line = case.told["居委干部-1"]
    seconds = [
        (instant - START) // SECOND
        for instant in (line.at, line.acknowledged_at, line.on_the_way_at, line.on_the_scene_at, line.dispersed_at)
    ]
    assert seconds == [0, 30, 60, 120, 240]
    assert (case.acknowledged_at, case.arrived_at, case.reported_at, case.closed_by) == (
        START + 30 * SECOND,
        START + 120 * SECOND,
        START + 240 * SECOND,
        "居委干部-1",
    )


@pytest.mark.parametrize("verb", [verb.value for verb in ANSWERS])
def test_saying_it_twice_changes_nothing(verb: str) -> None:
    """The second time is accepted, and has neither an event nor a message."""
    one = desk()
    one.alert(0, Level.RED)
    assert one.act(10, verb).outcomes[0].accepted
    again = one.act(11, verb)
    assert again.outcomes[0].accepted
    assert (again.events, again.decisions.notifications) == ([], [])


def test_a_report_that_the_sensors_deny_is_supervised() -> None:
    """Reported as dispersed while they alarm: minutes later supervisors hear it; the report does not close the case."""
    one = desk()
    one.alert(0, Level.RED)
    assert "still report red" in one.act(30, "dispersed").outcomes[0].detail_en
    assert one.case.state is State.VERIFYING
    story = one.wait(30 + 181)
    assert happenings(story) == ["disagree"]
    assert told(story) == [("派出所-1", "people", "disagreement")]
    assert (one.case.state, one.case.disagreed, one.case.answer) == (State.SUPERVISED, True, Answer.NONE)
    assert (one.case.claimed, one.case.reported_by) == (False, "")
    assert not one.act(220, "close").outcomes[0].accepted
    assert happenings(one.alert(300, Level.NONE)) == ["all_clear"], "who was refuted has not reported"
    assert happenings(one.act(310, "dispersed")) == ["dispersed", "close"]


def test_a_level_that_rises_after_the_report_is_a_disagreement_at_once() -> None:
    """Nobody waits for minutes when it gets worse."""
    one = desk()
    one.alert(0, Level.YELLOW)
    one.act(10, "dispersed")
    assert happenings(one.alert(20, Level.RED)) == ["level_rose", "disagree"]


def test_the_sensors_must_stay_calm_for_the_stated_time() -> None:
    """With ``agree_for`` the close waits; a relapse before that asks everybody to answer anew."""
    one = desk(agree_for=2 * MINUTE)
    one.alert(0, Level.RED)
    one.act(10, "dispersed")
    assert happenings(one.alert(20, Level.NONE)) == ["all_clear"]
    assert happenings(one.alert(60, Level.YELLOW)) == ["relapse", "dispatch"]
    assert (one.case.answer, one.case.claimed, one.case.told["居委干部-1"].answered) == (Answer.NONE, False, False)
    one.alert(100, Level.NONE)
    one.act(110, "dispersed")
    assert happenings(one.wait(219)) == []
    assert happenings(one.wait(220)) == ["close"]


def test_late_answers_are_kept() -> None:
    """After the end, an answer is an event of its own and changes nothing else; so is one by the case's code."""
    one = desk()
    one.alert(0, Level.RED)
    case = one.case
    one.alert(10, Level.NONE)
    one.act(20, "dispersed")
    assert not one.book.open
    for name in (case.id, case.code):
        story = one.act(30, "on_the_scene", case=name, via="link")
        assert story.outcomes[0].accepted
        assert [(event.happening, event.state) for event in story.events] == [(Happening.LATE_ANSWER, State.CLOSED)]


def test_an_overdue_stage_is_supervised_again_and_again() -> None:
    """Nobody answers in two minutes: supervised; five minutes later again; an extension moves the deadline."""
    one = desk()
    one.alert(0, Level.YELLOW)
    story = one.wait(120)
    assert happenings(story) == ["overdue"]
    assert told(story) == [("派出所-1", "people", "overdue")]
    assert happenings(one.wait(420)) == ["overdue"]
    assert one.act(430, "extend", by="派出所-1", note="等待增援", until=START + 2 * HOUR).outcomes[0].accepted
    assert happenings(one.wait(7199)) == []
    assert happenings(one.wait(7200)) == ["overdue"]
    assert (one.case.overdue, one.case.extended) == (3, 1)


def test_who_may_not_approve_asks() -> None:
    """A cadre's wish to void becomes a question to the supervisors; without a reason it is refused."""
    one = desk()
    one.alert(0, Level.YELLOW)
    assert not one.act(10, "void").outcomes[0].accepted
    story = one.act(20, "void", note="演习")
    assert happenings(story) == ["ask"]
    assert told(story) == [("派出所-1", "people", "approval_asked")]
    story = one.act(30, "void", by="派出所-1", note="演习")
    assert happenings(story) == ["void"]
    assert ("居委干部-1", "people", "case_void") in told(story)
    assert not one.book.open


def test_a_returned_case_goes_to_somebody_else() -> None:
    """Given back by the only cadre of the grid, the case is dispatched again: to the nearest other one."""
    one = desk()
    one.alert(0, Level.YELLOW)
    one.act(5, "acknowledge")
    story = one.act(10, "return", by="派出所-1", note="不在辖区")
    assert happenings(story) == ["return", "dispatch"]
    assert told(story) == [("居委干部-2", "people", "case_returned")]
    assert (one.case.owner, one.case.returned) == ("居委干部-2", ["居委干部-1"])


def test_help_brings_everybody_of_the_plan() -> None:
    """But the one who asks for it."""
    one = desk()
    one.alert(0, Level.YELLOW)
    story = one.act(10, "need_help")
    assert told(story) == [("派出所-1", "people", "help_needed")]
    assert one.case.state is State.HANDLING


def test_a_calm_case_that_nobody_reports_on_ends() -> None:
    """After three days it closes as unreported."""
    one = desk()
    one.alert(0, Level.YELLOW)
    one.alert(10, Level.NONE)
    case = one.case
    one.wait(3 * DAY // SECOND + 9)
    assert one.book.open
    one.wait(3 * DAY // SECOND + 10)
    assert (case.closed_by, case.state) == ("unreported", State.CLOSED)


def test_a_flicker_is_void_before_it_is_filed() -> None:
    """With ``wait`` nobody hears of an alert that is gone within it; red does not wait."""
    one = desk(wait=30 * SECOND)
    assert happenings(one.alert(0, Level.YELLOW)) == ["level_rose"]
    assert happenings(one.alert(20, Level.NONE)) == ["void"]
    assert happenings(one.alert(40, Level.YELLOW)) == ["level_rose"]
    assert happenings(one.wait(70)) == ["file", "dispatch"]
    assert happenings(one.alert(80, Level.RED, place="G2-L1")) == ["level_rose", "file", "dispatch"]


def test_codes_count_by_category_and_year() -> None:
    """Sixteen digits; the sequence goes on across restarts and begins anew with the local year."""
    one = desk()
    one.alert(0, Level.YELLOW)
    one.restart()
    one.alert(1, Level.YELLOW, place="G2-L1")
    one.alert(60 * DAY // SECOND, Level.YELLOW, place="G1-L2")
    codes = [case.code for case in one.book.open.values()]
    assert codes == ["3101060408000001", "3101060408000002", "3101060408000001"]


def test_a_silence_needs_scope_reason_and_end() -> None:
    """Each is refused without; a good one is told its id, and ends when it is lifted."""
    one, until = desk(), START + HOUR
    wrongs: tuple[dict[str, Any], ...] = (
        {"note": "施工", "until": until},
        {"scope": Scope(), "note": "施工", "until": until},
        {"scope": Scope(places=("G1",)), "until": until},
        {"scope": Scope(places=("G1",)), "note": "施工", "until": START},
    )
    for wrong in wrongs:
        assert not one.act(0, Verb.SILENCE.value, case="", **wrong).outcomes[0].accepted
    assert (
        one.act(1, "silence", case="works", scope=Scope(places=("G1",)), note="施工", until=until).outcomes[0].accepted
    )
    story = one.alert(10, Level.ORANGE)
    assert told(story) == []
    assert {hold.reason for hold in story.decisions.holds} == {Reason.HELD_SILENCED}
    assert one.case.state.value == "filed"
    assert told(one.act(20, "unsilence", case="works")) == [
        ("居委干部-1", "people", "mute_ended"),
        ("居委干部-1", "mqtt", "mute_ended"),
    ]
    assert one.case.state.value == "dispatched"


@pytest.mark.parametrize(
    "scope",
    [
        Scope(places=("G1", "G9")),
        Scope(rules=("no-rule",)),
        Scope(policies=("no-plan",)),
        Scope(people=("无此人",)),
        Scope(labels={"kind": "no-rule-has-this"}),
        Scope(places=("G1",), rules=("no-rule",)),
    ],
)
def test_a_silence_names_what_there_is(scope: Scope) -> None:
    """A slip of the pen would silence nothing, and whoever made it would rely on it."""
    one = desk()
    (outcome,) = one.act(1, "silence", case="s", scope=scope, note="施工", until=START + HOUR).outcomes
    assert (outcome.accepted, outcome.verdict, one.book.silences) == (False, "silence_of_nothing", [])
    assert (outcome.detail.startswith("没有 "), "there is no " in outcome.detail_en) == (True, True)


def test_two_silences_of_one_instant_are_two() -> None:
    """Neither has a name of its own, and neither is taken for a repetition of the other."""
    one = desk()
    for place, minutes in (("G1", 5), ("G2", 9)):
        scope, until = Scope(places=(place,)), START + minutes * MINUTE
        (outcome,) = one.act(
            1, "silence", by="console", case="", via="cli", scope=scope, note="施工", until=until
        ).outcomes
        assert outcome.verdict == "silenced"
    assert [silence.scope.places for silence in one.book.silences] == [("G1",), ("G2",)]
