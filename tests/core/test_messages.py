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
from sensord.core.rules.rule import Aggregate, Capacity, Clear, Combination, LevelSpec, Logic, Part, Rule, Value
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
WIDE = Policy("crowd", {"zh": "聚集"}, (Step(("duty_officer",)),))
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
    assert "时值 2.5 人/平方米，当时预计到达 1 人/平方米；" in texts[0]["值班员-1"]
    assert "时值 2.5 人/平方米，当时预计到达 1 人/平方米，预计的时间已过；" in texts[1]["值班员-1"]
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


AMONG = Combination(Logic.ALL, (Part("density"), Part("visitors", Level.YELLOW)), 5 * MINUTE)


def combining(logic: Logic) -> Desk:
    """A desk with a combination of two rules."""
    among = msgspec.structs.replace(AMONG, logic=logic)
    red = (LevelSpec(Level.RED, 1.0),)
    both = Rule("both", {"zh": "车后人"}, None, "compound", "crowd", red, Clear((0.0,), 0), combination=among)
    parts = (
        density_rule(name={"zh": "密度", "en": "Density"}),
        density_rule(id="visitors", name={"zh": "访客"}, by="gate"),
    )
    return Desk(definition(people=PEOPLE, policies=(WIDE,), rules=(*parts, both)))


@pytest.mark.parametrize(
    ("logic", "raised", "zh", "en"),
    [
        (Logic.ALL, "density visitors", "密度（1弄）与访客（北门）同时成立", "Density (Lane 1) and 访客 (北门) at the"),
        (Logic.ALL, "visitors", "密度与访客（北门）在 5m 内先后成立", "Density and 访客 (北门) within 5m"),
        (Logic.ANY, "visitors", "：访客（北门）成立", ": 访客 (北门), red"),
        (Logic.SEQUENCE, "density visitors", "密度（1弄），随后访客（北门）", "Density (Lane 1), then 访客 (北门)"),
        (Logic.MISSING, "density", "密度（1弄）之后 5m 内没有访客", "Density (Lane 1), and within 5m no 访客, red"),
    ],
)
def test_a_combination_says_which_rules_and_where(logic: Logic, raised: str, zh: str, en: str) -> None:
    """Not how many of them: "value 1 (threshold 2)" tells nobody what to look for."""
    desk = combining(logic)
    for rule in raised.split():
        desk.alert(0, Level.YELLOW, rule, {"density": "G1-L1", "visitors": "C1-N"}[rule])
    story = desk.alert(1, Level.RED, "both", "C1")
    texts = {note.receiver: note.text for note in story.decisions.notifications}
    assert zh in texts["值班员-1"]
    assert en in texts["duty-2"]
    assert "阈值" not in texts["值班员-1"]


def test_a_part_is_named_at_each_place_in_one_order() -> None:
    """Whichever was first, and after a restart as before."""
    desk = combining(Logic.ANY)
    for lane in ("G1-L2", "G1-L1"):
        desk.alert(0, Level.YELLOW, place=lane)
    desk.restart()
    note = desk.alert(1, Level.RED, "both", "C1").decisions.notifications[0]
    assert ": Density (Lane 1, Lane 2), red" in note.text


@pytest.mark.parametrize(
    ("changes", "zh", "en"),
    [
        ({}, "当前值 2.5 人/平方米（阈值 1 人/平方米）", "value 2.5 people/m2 (threshold 1 people/m2)"),
        ({"percent_of": Capacity.CAPACITY}, "当前值 2.5%（阈值 1%）", "value 2.5% (threshold 1%)"),
        ({"value": Value(Aggregate.RATE, "enter", MINUTE)}, "2.5 人/分钟（", "2.5 people/min ("),
        ({"value": Value(Aggregate.COUNT)}, "2.5 次（", "2.5 ("),
        ({"value": Value(Aggregate.LAST, "stay")}, "2.5 小时（", "2.5 h ("),
        ({"value": Value(Aggregate.LAST, "value")}, "2.5（", "2.5 ("),
        ({"absent": 3.0, "value": None}, "2.5 秒（", "2.5 s ("),
    ],
)
def test_a_rule_without_words_of_its_own_tells_the_unit(changes: dict[str, object], zh: str, en: str) -> None:
    """Of the value and of the threshold; a gauge's is known to nobody but itself."""
    desk = Desk(definition(people=PEOPLE, policies=(WIDE,), rules=(density_rule(**changes),)))
    texts = {note.receiver: note.text for note in desk.alert(0, Level.RED).decisions.notifications}
    assert zh in texts["值班员-1"]
    assert en in texts["duty-2"]
