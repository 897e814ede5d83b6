"""What the book watches by itself: holes in the roster and people who cannot be reached become cases like any other."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sensord.config.load import load
from sensord.core.cases.builtin import built_in, plan_of, trouble_rule
from sensord.core.cases.case import State
from sensord.core.cases.damping import Damping
from sensord.core.cases.notice import Trouble
from sensord.core.cases.policy import Category, Policy, Step
from sensord.core.cases.reportplan import ReportPlan
from sensord.core.cases.story import Story
from sensord.core.definition import Definition
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND, parse_instant
from sensord.core.level import Level
from sensord.core.people.duty import Change, ChangeReason, Duty, Shift
from sensord.core.people.roster import Contact, Person
from sensord.core.place import Place, PlaceKind
from sensord.core.record import Action, Delivery, Receipt, Record, RecordKind, Scope
from sensord.core.site import Site, action_record, definition_record, receipt_record
from tests.core.desk import Desk, told
from tests.core.street import START, definition, grouped, stream_of

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "sensord.yaml"
_OFFICER = Person("值班员-1", "officer", "street", (Contact("people", "o"),))
_CADRE = Person("居委干部-1", "cadre", "G1", (Contact("people", "c1"),))
_LEAVE = Change(START + 3 * DAY, START + 3 * DAY + HOUR, ChangeReason.LEAVE, "值班员-1")
_TOLD = {"others": "roster"}
_PLANS = (
    Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)), Step(("officer",), after=HOUR))),
    Policy("roster", {"zh": "值班"}, (Step(("officer",)), Step(("cadre",), after=HOUR))),
)


def plan(*changes: Change) -> Duty:
    """A duty plan that is checked at eight every day."""
    return Duty((Shift("early", 300, 600), Shift("late", 1200, 1300)), changes=changes, check_days=7)


def test_a_coming_hole_is_a_case_until_it_is_filled() -> None:
    """Grid two has nobody but the officer, who takes an hour of leave: its micro-grid is told of, till a stand-in."""
    desk = Desk(definition())
    story = desk.redefine(0, definition(policies=_PLANS, people=(_OFFICER, _CADRE), built_in=_TOLD, duty=plan(_LEAVE)))
    assert told(story) == [("值班员-1", "people", "case_opened")]
    case = desk.case
    assert (case.rule, case.place, case.level) == ("roster-hole", "G2-1", Level.YELLOW)
    text = story.decisions.notifications[0].text
    assert "11-18 06:13 至 11-18 07:13（班次early），预案“聚集”“值班”无人值班" in text
    assert "sensord roster extra" in text
    nearer = (parse_instant("2023-11-17 08:00") - START) // SECOND
    desk.wait(nearer)
    assert desk.case.level is Level.ORANGE
    filled = plan(msgspec.structs.replace(_LEAVE, on="居委干部-2"))
    stand_in = Person("居委干部-2", "cadre", "G2", (Contact("people", "c2"),))
    story = desk.redefine(
        nearer + 9, definition(policies=_PLANS, people=(_OFFICER, _CADRE, stand_in), built_in=_TOLD, duty=filled)
    )
    assert ("值班员-1", "people", "case_closed") in told(story)
    assert case.state is State.CLOSED


def holes(*leaves: tuple[float, float]) -> Definition:
    """Grid two has nobody in the officer's leaves, each from and to so many hours after START."""
    away = [
        Change(START + int(start * HOUR), START + int(end * HOUR), ChangeReason.LEAVE, "值班员-1")
        for start, end in leaves
    ]
    return definition(policies=_PLANS, people=(_OFFICER, _CADRE), built_in=_TOLD, duty=plan(*away))


def said(story: Story) -> list[tuple[str, str, str]]:
    """Why, at which level, and when the hole begins of which somebody reads."""
    read = [one for one in story.decisions.notifications if one.receiver == "值班员-1"]
    return [(one.reason.value, one.level.word, one.text.partition("G2-1：")[2][:11]) for one in read]


def test_when_one_hole_is_filled_the_next_one_is_told() -> None:
    """Two tonight: the first message counts the second; with the first filled, the case speaks of the second."""
    desk = Desk(definition())
    story = desk.redefine(0, holes((3, 4), (20, 22)))
    assert said(story) == [("case_opened", "orange", "11-15 09:13")]
    assert "（另有 1 段）无人值班" in story.decisions.notifications[0].text
    desk.restart()
    assert said(desk.redefine(600, holes((20, 22)))) == [("another_alert", "orange", "11-16 02:13")]
    assert desk.case.gap is not None
    assert desk.case.gap.start == START + 20 * HOUR
    assert said(desk.redefine(700, holes((20, 22)))) == [], "a reload is no news"
    desk.redefine(800, holes())
    assert not desk.book.open


def test_a_hole_that_comes_to_be_beside_another_is_told_by_its_own_level() -> None:
    """Leave on the day after tomorrow is yellow, while tonight's hole is orange; tonight's goes on, and is no other."""
    desk = Desk(definition())
    desk.redefine(0, holes((3, 5)))
    assert said(desk.redefine(60, holes((3, 5), (50, 51)))) == [("another_alert", "yellow", "11-17 08:13")]
    assert desk.case.level is Level.ORANGE
    desk.restart()
    half = 4 * HOUR // SECOND
    assert said(desk.redefine(half, holes((3, 5), (50, 51)))) == [], "tonight's runs by now"
    back, *over = said(desk.wait(2 * DAY // SECOND))
    assert back == ("hand_over", "orange", "11-15 09:13"), "the officer is back, and the case goes on"
    assert over == [("another_alert", "yellow", "11-17 08:13")], "it is the next, once the first is over"
    assert said(desk.wait((2 * DAY + 2 * HOUR) // SECOND)) == [("level_rose", "orange", "11-17 08:13")]


def test_who_cannot_be_reached_is_a_case_until_they_can() -> None:
    """A message fails for good: the officer hears of it, and what it said; a day later the contact is trusted."""
    desk = Desk(definition(policies=_PLANS, people=(_OFFICER, _CADRE), built_in=_TOLD, duty=plan()))
    desk.redefine(0, desk.definition)
    (first,) = desk.alert(5, Level.BLUE).decisions.notifications
    story = desk.receipt(9, first.key, "failed")
    assert told(story) == [("值班员-1", "people", "case_opened"), ("值班员-1", "people", "nobody_told")]
    assert {case.rule for case in desk.book.open.values()} == {"density", "contact-undeliverable"}
    story = desk.wait(2 * DAY // SECOND)
    assert desk.book.undeliverable == []
    assert ("值班员-1", "people", "case_closed") in told(story)


def test_what_comes_back_within_one_instant_has_an_id_of_its_own() -> None:
    """Journal time may stand still for a moment: a contact fails, works and fails again, and so does a trouble."""
    desk = Desk(definition(policies=_PLANS, people=(_OFFICER, _CADRE), built_in=_TOLD))
    key, changes = desk.alert(0, Level.BLUE).decisions.notifications[0].key, []
    for outcome in ("failed", "sent", "failed", "sent", "failed"):
        changes += desk.receipt(9, key, outcome).transitions
        desk.restart()
    for active in (True, False, True):
        changes += desk.notice(9, "reload-refused", active).transitions
    assert len({one.id for one in changes}) == len(changes) == 8
    assert changes[2].id == f"{changes[0].id}-2"
    assert len(desk.book.state().watched.changes) == 8
    (later,) = desk.notice(10, "reload-refused", False).transitions
    assert desk.book.state().watched.changes == [later.id]


def test_who_is_out_of_reach_is_a_hole_until_they_are_tried_again() -> None:
    """Nobody but the officer answers for grid two, and nothing gets through to them: not for the whole week."""
    desk = Desk(definition(policies=_PLANS, people=(_OFFICER, _CADRE), built_in=_TOLD, duty=plan()))
    desk.redefine(0, desk.definition)
    desk.notice(1, "safe-mode", True)
    key = f"{desk.case.id}:2:值班员-1:people"
    desk.receipt(9, key, "failed")
    assert not [case for case in desk.book.open.values() if case.rule == "roster-hole"], "it is looked for each day"
    desk.redefine(60, desk.definition)
    (hole,) = (case for case in desk.book.open.values() if case.rule == "roster-hole")
    again = parse_instant("2023-11-16 08:00")
    assert hole.gap is not None
    assert (hole.place, hole.gap.start, hole.gap.end) == ("G2-1", START + 60 * SECOND, again)
    desk.restart()
    desk.receipt(600, key, "sent")
    desk.wait(600)
    assert hole.id not in desk.book.open, "it is over once something gets through to them"


def test_a_trouble_of_the_daemon_takes_the_plan_that_is_named_for_it() -> None:
    """The disk by its own plan, another trouble by that of the others; said twice it is one; over, it is closed."""
    plans = {"sensord-disk-full": "crowd", "others": "roster"}
    desk = Desk(definition(policies=_PLANS, people=(_OFFICER, _CADRE), built_in=plans))
    assert told(desk.notice(1, "safe-mode", True)) == [("值班员-1", "people", "case_opened")]
    assert (desk.case.rule, desk.case.level) == ("sensord-safe-mode", Level.ORANGE)
    assert desk.notice(2, "safe-mode", True).told == []
    desk.restart()
    assert desk.book.troubled(Trouble.SAFE_MODE)
    story = desk.notice(3, "disk-full", True)
    assert {note.policy for note in story.decisions.notifications} <= {"crowd"}
    assert [case.policy for case in desk.book.open.values()] == ["roster", "crowd"]
    assert told(desk.notice(4, "safe-mode", False)) == [("值班员-1", "people", "case_closed")]
    assert desk.notice(5, "safe-mode", False).told == []


@pytest.mark.parametrize(
    ("language", "told_to_use", "never"), [("zh", "控制台或命令行", "新消息"), ("en", "console or command line", "new")]
)
def test_without_a_key_nobody_is_sent_to_links(language: str, told_to_use: str, never: str) -> None:
    """When the key is of no use new messages have none either, and it may be back at the next start."""
    (rule,) = (one for one in built_in(definition()) if one.id == trouble_rule(Trouble.LINKS_VOID))
    assert told_to_use in rule.message[language]
    assert never not in rule.message[language]
    assert all(word not in rule.message[language] for word in ("全部失效", "void"))


def test_another_trouble_is_told_of_while_the_case_of_the_first_is_open() -> None:
    """At the same level and below it, too: each is something else to do. The case ends when none is left."""
    desk = Desk(definition(policies=_PLANS, people=(_OFFICER, _CADRE), built_in=_TOLD))
    desk.notice(1, "possible-gap", True)
    story = desk.notice(2, "journal-cut", True)
    assert told(story) == [("值班员-1", "people", "another_trouble")]
    (page,) = story.decisions.notifications
    assert page.title.startswith("【又一故障·黄")
    assert "日志超过上限" in page.text
    assert told(desk.notice(3, "safe-mode", True)) == [("值班员-1", "people", "level_rose")]
    assert told(desk.notice(4, "reload-refused", True)) == [("值班员-1", "people", "another_trouble")]
    assert desk.notice(5, "journal-cut", True).told == [], "said twice it is one"
    for second, trouble in enumerate(("possible-gap", "journal-cut", "safe-mode"), 6):
        assert told(desk.notice(second, trouble, False)) == []
    assert told(desk.notice(9, "reload-refused", False)) == [("值班员-1", "people", "case_closed")]


@pytest.mark.parametrize(
    ("named", "plan"), [({}, "roster"), ({"others": "crowd"}, "crowd"), ({"others": "gone"}, "roster")]
)
def test_without_a_plan_of_its_own_a_built_in_alert_takes_that_of_silent_sensors(
    named: dict[str, str], plan: str
) -> None:
    """Whoever looks after the devices looks after the daemon; a plan that is not there is passed over."""
    whole = definition(policies=_PLANS, built_in=named)
    silence = msgspec.structs.replace(whole.rules[0], id="silence", absent=3, dispatch="roster")
    assert plan_of(msgspec.structs.replace(whole, rules=(*whole.rules, silence)), "sensord-safe-mode") == plan


def test_what_stood_at_a_place_that_is_gone_is_withdrawn_with_it() -> None:
    """The street is another: the old one's trouble ends there, and begins anew when it is said again."""
    whole = definition(policies=_PLANS, people=(_OFFICER,), built_in=_TOLD)
    desk = Desk(whole)
    desk.notice(1, "reload-refused", True)
    other = Place("elsewhere", PlaceKind.STREET, "别处")
    story = desk.redefine(5, definition(places=(other,), devices=(), policies=_PLANS, built_in=_TOLD))
    assert [(one.rule, one.change) for one in story.transitions] == [("sensord-reload-refused", "withdrawn")]
    assert not desk.book.open
    desk.notice(6, "reload-refused", True)
    assert desk.case.place == "elsewhere"


def test_an_open_case_of_a_place_that_is_gone_ends_with_it() -> None:
    """Nobody could see it end any more: it is void, and those who were told hear so, by the place's old name."""
    desk = Desk()
    people = [one.receiver for one in desk.alert(0, Level.ORANGE).decisions.notifications]
    case, whole = desk.case, desk.definition
    gone = {place.id for place in whole.places if place.id == case.place or case.place in place.micro_grids}
    left = tuple(place for place in whole.places if place.id not in gone)
    devices = tuple(device for device in whole.devices if device.place not in gone)
    name = next(place.name for place in whole.places if place.id == case.place)
    story = desk.redefine(5, msgspec.structs.replace(whole, places=left, devices=devices))
    assert not desk.book.open
    assert [(event.case, event.state.value, event.cause) for event in story.events] == [(case.id, "void", "definition")]
    assert [one.receiver for one in story.decisions.notifications] == people != []
    assert all(name in one.text for one in story.decisions.notifications)


@pytest.mark.parametrize("trouble", list(Trouble))
def test_the_shipped_plan_sends_nobody_to_a_scene_that_there_is_not(trouble: Trouble) -> None:
    """A trouble that nobody acknowledges for hours is the duty officers', and no cadre's; it says itself what to do."""
    whole = load(SHIPPED, lenient=True).definition
    assert whole is not None
    desk = Desk(whole)
    pages = [
        one
        for story in (desk.notice(0, trouble.value, True), desk.wait(2 * HOUR // SECOND))
        for one in story.decisions.notifications
        if one.policy == "system"
    ]
    assert {"duty_officer"} <= {one.role for one in pages} <= {"duty_officer", "block_officer"}
    asked = {role.ask["zh"] for role in whole.roles}
    assert not any(words in one.text for one in pages for words in asked)
    assert sum(one.role == "duty_officer" for one in pages) > 1


def _records(seed: int) -> list[Record]:
    """A wild stretch, with answers, silences and receipts among it."""
    records = stream_of(seed)
    extra: list[Record] = []
    for number, record in enumerate(records):
        if number % 37 == 5:
            scope = Scope(places=("G2",), up_to=Level.RED)
            until = record.received_at + 2 * MINUTE
            extra.append(
                action_record(Action("silence", "", "operator", "api:desk", "试", until, scope), record.received_at)
            )
        if number % 11 == 3:
            key = f"G1-L1-crowd-20231115T0613{number % 60:02}:3:居委干部-1:people"
            extra.append(receipt_record(Receipt(key, Delivery.FAILED), record.received_at))
    return sorted([*records, *extra], key=lambda record: record.received_at)


def _decided(records: list[Record], sizes: list[int], restart: int) -> tuple[bytes, bytes]:
    people = (
        _OFFICER,
        Person(
            "居委干部-1", "cadre", "G1", (Contact("people", "c1"), Contact("sms", "", 20 * SECOND)), shifts=("odd",)
        ),
        Person("居委干部-2", "cadre", "G2", (Contact("people", "c2"),)),
    )
    duty = Duty((Shift("odd", 370, 375),), (), (_LEAVE,), check_days=7)
    whole = definition(
        policies=(
            Policy(
                "crowd", {"zh": "聚集"}, (Step(("cadre",), every=MINUTE),), category="crowd", link="grid", wait=SECOND
            ),
            *_PLANS[1:],
        ),
        people=people,
        built_in=_TOLD,
        duty=duty,
        categories=(Category("crowd", {}, "04", "080", {State.DISPATCHED: MINUTE}),),
        damping=Damping({"people": 3}, per_hour=9, digest_every=MINUTE, storm_at=12),
        reports=(ReportPlan("shift", (374, 378), tell=("officer", "police")), ReportPlan("noon", (720,))),
    )
    later = msgspec.structs.replace(whole, people=people[:2])
    half = len(records) // 2
    records = [*records[:half], definition_record(later, records[half].received_at), *records[half:]]
    site, lines = Site(), b""
    for number, group in enumerate(grouped(records, sizes, whole), 1):
        lines += site.step(group).decisions()
        if restart and number % restart == 0:
            site = Site.restored(site.snapshot())
    return lines, msgspec.json.encode(site.book.state(), order="deterministic")


@pytest.mark.parametrize(("sizes", "restart"), [([7], 0), ([500], 0), ([20_000], 0), ([3, 90, 11], 1), ([40], 3)])
def test_everything_of_cases_is_the_same_however_the_journal_is_cut(sizes: list[int], restart: int) -> None:
    """Shifts, silences, receipts, digests, codes, a new definition: the same bytes, and the same state at the end."""
    records = _records(2)
    assert any(record.kind == RecordKind.RECEIPT for record in records)
    whole = _decided(records, [1], 0)
    for word in (
        b'"held_silenced"',
        b'"digest"',
        b'"overdue"',
        b'"link"',
        b'"roster-hole"',
        b'"held_off_duty"',
        b'"report_due"',
    ):
        assert word in whole[0], word
    assert _decided(records, sizes, restart) == whole


def test_a_case_whose_opening_the_journal_has_lost_is_void() -> None:
    """Those who were told of it hear that it ended, and why is written down; the case that goes on there is another."""
    before, after = Desk(), Desk()
    people = [(one.receiver, one.channel) for one in before.alert(0, Level.ORANGE).decisions.notifications]
    lost = before.case
    after.alert(60, Level.ORANGE)
    goes_on = after.case
    story = after.notice(61, "journal-damaged", False, lost)
    assert [(one.receiver, one.channel) for one in story.decisions.notifications] == people
    assert {one.reason.value for one in story.decisions.notifications} == {"case_void"}
    (event,) = story.events
    assert (event.case, event.state.value, event.cause) == (lost.id, "void", "record lost")
    assert after.case is goes_on
    assert after.alert(70, Level.RED).events, "its place still has its own case"
    assert after.notice(71, "journal-damaged", False, lost).told == [], "it is known by now"
    assert len(people) > 0


def test_an_orphan_of_a_place_that_is_gone_ends_too() -> None:
    """Nobody else could end it: those who were told hear that it is void, its place called by the id that is left."""
    before, after = Desk(), Desk()
    people = [one.receiver for one in before.alert(0, Level.ORANGE).decisions.notifications]
    stray = msgspec.structs.replace(before.case, id="elsewhere", place="L999", grid="G99")
    story = after.notice(1, "journal-damaged", False, stray)
    assert [one.receiver for one in story.decisions.notifications] == people != []
    assert all("L999" in one.title and "L999" in one.text for one in story.decisions.notifications)
    assert [(event.state.value, event.cause) for event in story.events] == [("void", "record lost")]
    assert (story.changed[stray.id].closed_at, after.book.find("elsewhere")) == (story.events[0].at, stray)
    assert after.notice(2, "journal-damaged", False, stray).told == [], "once"
