"""What people read when they are to decide or to help: who says what, and why, before what happened where."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.case import State
from sensord.core.cases.notification import PLATE
from sensord.core.cases.policy import Category, Policy, Role, Step
from sensord.core.instant import HOUR, MINUTE
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.rules.derived import Trend
from tests.core.desk import Desk
from tests.core.street import definition, density_rule

PEOPLE = (
    Person("居委干部-1", "cadre", "G1", (Contact("people"),)),
    Person("值班员-1", "duty_officer", "street", (Contact("people"),)),
    Person("duty-2", "duty_officer", "street", (Contact("people"),), language="en"),
)
PLAN = Policy(
    "crowd", {"zh": "聚集"}, (Step(("cadre",)),), category="crowd", supervisors=("duty_officer",), close="after_report"
)
CROWD = Category("crowd", {"zh": "人群"}, "04", "080", {State.DISPATCHED: 5 * MINUTE})


def heard(verb: str, note: str = "", until: int = 20) -> dict[str, str]:
    """What the duty officers read, by name, after the cadre has done something (or nothing) about a case."""
    desk = Desk(definition(people=PEOPLE, policies=(PLAN,), categories=(CROWD,)))
    desk.alert(0, Level.YELLOW)
    story = desk.act(10, verb, by="居委干部-1", via="mqtt", note=note) if verb else desk.wait(until)
    return {note.receiver: note.text for note in story.decisions.notifications if note.role == "duty_officer"}


def test_whoever_approves_reads_who_asks_for_what_and_why() -> None:
    """Without that nobody could decide from the message."""
    texts = heard("extend", "堵车，要晚到十分钟")
    assert texts["值班员-1"].startswith("居委干部-1申请延时：堵车，要晚到十分钟。小区C1 1弄")
    assert texts["duty-2"].startswith("居委干部-1 asks to extend: 堵车，要晚到十分钟. 小区C1 Lane 1")


def test_whoever_is_to_help_reads_who_needs_it() -> None:
    """With their words, when they said any."""
    assert heard("need_help", "有人摔倒")["值班员-1"].startswith("居委干部-1请求支援：有人摔倒。小区C1 1弄")
    assert heard("need_help")["duty-2"].startswith("居委干部-1 asks for help. 小区C1 Lane 1")


def test_an_overdue_case_says_which_stage_takes_too_long() -> None:
    """The supervisor knows whether nobody answered or nobody reported."""
    texts = heard("", until=400)
    assert texts["值班员-1"].startswith("派遣阶段已超过时限。小区C1 1弄")
    assert texts["duty-2"].startswith("The stage dispatched takes longer than its limit. 小区C1 Lane 1")


def test_a_forecast_whose_time_has_passed_is_not_told_as_one() -> None:
    """A reminder says what was expected, and when; a later one that the time has passed, too."""
    coming = density_rule(
        id="coming", trend=Trend(15 * MINUTE, 15 * MINUTE), message={"zh": "{value}，将超过{threshold}。"}
    )
    steps = (Step(("cadre",)), *(Step(("duty_officer",), after=minutes * MINUTE) for minutes in (10, 20)))
    desk = Desk(definition(people=PEOPLE, policies=(Policy("crowd", {"zh": "聚集"}, steps),), rules=(coming,)))
    story = desk.alert(0, Level.YELLOW, "coming")
    assert [note.text.startswith("2.5，将超过1。") for note in story.decisions.notifications] == [True]
    texts = [
        {note.receiver: note.text for note in desk.wait(minutes * 60).decisions.notifications} for minutes in (11, 21)
    ]
    assert "时值 2.5，当时预计到达 1；" in texts[0]["值班员-1"]
    assert "时值 2.5，当时预计到达 1，预计的时间已过；" in texts[1]["值班员-1"]
    assert "the time expected has passed" in texts[1]["duty-2"]


@pytest.mark.parametrize("note", [PLATE, f"看{PLATE}", "一\n\n二  三"])
def test_somebodys_words_make_no_mark_and_no_lines(note: str) -> None:
    """What fills a mark on delivery is not for whoever writes one."""
    text = heard("need_help", note)["值班员-1"]
    assert PLATE not in text
    assert "\n" not in text


def test_long_words_are_cut() -> None:
    """A message holds the beginning; the case holds all of it."""
    text = heard("need_help", "长" * 400)["值班员-1"]
    assert text.count("长") == 100
    assert "…。小区C1 1弄" in text


def test_a_reminder_says_of_when_its_value_is() -> None:
    """Nobody answers for ten minutes: the number is ten minutes old by then, and the text says so."""
    plan = msgspec.structs.replace(PLAN, steps=(*PLAN.steps, Step(("duty_officer",), after=10 * MINUTE)))
    desk = Desk(definition(people=PEOPLE, policies=(plan,)))
    (first,) = desk.alert(0, Level.YELLOW).decisions.notifications
    desk.restart()
    reminder = desk.wait(600).decisions.notifications[-1]
    assert (reminder.role, reminder.at - first.at) == ("duty_officer", 10 * MINUTE)
    assert "06:13:20" in first.text
    assert "06:13:20" in reminder.text


@pytest.mark.parametrize(
    ("verb", "zh", "en"),
    [
        ("", "尚待现场核查并反馈结果。案件号", "since 11-15 06:13:30. Somebody has yet to verify"),
        ("dispersed", "持续平静即自动结案。案件号", "since 11-15 06:13:30. It closes by itself"),
    ],
)
def test_a_calm_case_says_that_it_is_calm_and_what_is_awaited(verb: str, zh: str, en: str) -> None:
    """Nothing alarms any more: nobody reads the rule's words, with a number of before, as a warning."""
    plan = msgspec.structs.replace(PLAN, agree_for=HOUR)
    crowd = msgspec.structs.replace(CROWD, limits={State.VERIFYING: 5 * MINUTE})
    desk = Desk(definition(people=PEOPLE, policies=(plan,), categories=(crowd,)))
    desk.alert(0, Level.YELLOW)
    desk.alert(10, Level.NONE)
    desk.act(11, verb or "acknowledge", by="居委干部-1")
    desk.restart()
    texts = {note.receiver: note.text for note in desk.wait(400).decisions.notifications}
    assert texts["值班员-1"].startswith(f"核查阶段已超过时限。小区C1 1弄：聚集自 11-15 06:13:30 起已平静。{zh}")
    assert en in texts["duty-2"]
    assert not any("2.5" in text for text in texts.values())


def test_whoever_needs_help_in_a_calm_case_gets_it() -> None:
    """The crowd is gone and somebody lies there: helpers are asked to come, not to verify."""
    whole = definition(people=PEOPLE, policies=(PLAN,), categories=(CROWD,))
    asking = Role("duty_officer", {}, {"zh": "请派人。"})
    desk = Desk(msgspec.structs.replace(whole, roles=(*whole.roles, asking)))
    desk.alert(0, Level.YELLOW)
    desk.alert(10, Level.NONE)
    (_, told) = desk.act(20, "need_help", by="居委干部-1", note="有人昏迷").decisions.notifications
    assert told.title == "【现场请求支援·已平静】小区C1 1弄"
    assert told.text.startswith("居委干部-1请求支援：有人昏迷。小区C1 1弄：")
    assert "起已平静。请派人。" in told.text


@pytest.mark.parametrize(
    ("runbook", "zh", "en"),
    [
        ("不要单独上前", "。要点：不要单独上前。请", ". What to do: 不要单独上前. Go"),
        ({"zh": "先看。", "en": "Look first."}, "。要点：先看。请", ". What to do: Look first. Go"),
        ("见 https://wiki/a1", "。要点：见 https://wiki/a1 请", ". What to do: 见 https://wiki/a1  Go"),
        (f"看{PLATE}\n\n再走！", "。要点：看[plate] 再走！请", ". What to do: 看[plate] 再走！ Go"),
        ("长" * 501, f"。要点：{'长' * 500}…请", f". What to do: {'长' * 500}… Go"),
        ("", "。请", ". Go"),
    ],
)
def test_what_a_rule_says_is_to_be_done_stands_before_what_is_asked(
    runbook: str | dict[str, str], zh: str, en: str
) -> None:
    """Whoever is told of an alert reads it, in their language where there are two."""
    asking = Role("cadre", {"zh": "干部"}, ask={"zh": "请去。", "en": "Go."})
    people = (PEOPLE[0], Person("cadre-2", "cadre", "G1", (Contact("people"),), language="en"))
    whole = definition(people=people, roles=(asking,), policies=(PLAN,), rules=(density_rule(runbook=runbook),))
    told = Desk(whole).alert(0, Level.YELLOW).decisions.notifications
    texts = {one.receiver: one.text for one in told}
    assert zh in texts["居委干部-1"]
    assert en in texts["cadre-2"]


def test_nobody_is_told_what_to_do_about_a_crowd_that_is_gone() -> None:
    """A calm case asks for a report, not for what the rule's runbook says of a crowd."""
    rules = (density_rule(runbook="疏导分流"),)
    desk = Desk(definition(people=PEOPLE, policies=(PLAN,), categories=(CROWD,), rules=rules))
    assert "疏导分流" in desk.alert(0, Level.YELLOW).decisions.notifications[0].text
    desk.alert(10, Level.NONE)
    told = desk.act(20, "need_help", by="居委干部-1", via="mqtt").decisions.notifications
    assert any("已平静" in one.text for one in told)
    assert not any("疏导分流" in one.text for one in told)
