"""Scheduled reports as the core decides them: when they are due, what they cover, who is told; replayed the same."""

from __future__ import annotations

import pytest

from sensord.core.cases.policy import Policy, Step
from sensord.core.cases.reportplan import Every, ReportPlan
from sensord.core.cases.reports import Span, next_due, span, span_of
from sensord.core.instant import DAY, SECOND, format_instant, parse_instant
from sensord.core.people.duty import Change, ChangeReason, Duty, DutyTable
from sensord.core.people.roster import Contact, Person
from tests.core.desk import Desk, told
from tests.core.street import START, definition

ZONE = "Asia/Shanghai"
TABLE = DutyTable(Duty(), {}, ZONE)
MORNING = ReportPlan("morning", (450,), tell=("officer", "police"))
SHIFTS = ReportPlan("shift", (450, 1170), tell=("officer",))
WEEK = ReportPlan("week", (480,), Every.WEEK, ("officer",))
QUARTER = ReportPlan("quarter", (480,), Every.QUARTER, ("officer",))
_OFFICER = Person("值班员-1", "officer", "street", (Contact("people", "o"), Contact("mail", "m")))
_POLICE = Person("派出所-1", "police", "street", (Contact("people", "p"),), "en")
_PLANS = (Policy("crowd", {"zh": "聚集"}, (Step(("officer",)),)),)


def local(instant: int) -> str:
    """A local time as people write it."""
    return format_instant(instant, ZONE)[:16].replace("T", " ")


@pytest.mark.parametrize(
    ("plan", "after", "due", "start", "end", "name"),
    [
        (MORNING, "2026-11-24 07:29", "2026-11-24 07:30", "2026-11-23 07:30", "2026-11-24 07:30", "20261124T0730"),
        (MORNING, "2026-11-24 07:30", "2026-11-25 07:30", "2026-11-24 07:30", "2026-11-25 07:30", "20261125T0730"),
        (SHIFTS, "2026-11-24 08:00", "2026-11-24 19:30", "2026-11-24 07:30", "2026-11-24 19:30", "20261124T1930"),
        (SHIFTS, "2026-11-24 23:00", "2026-11-25 07:30", "2026-11-24 19:30", "2026-11-25 07:30", "20261125T0730"),
        (WEEK, "2026-11-24 08:00", "2026-11-30 08:00", "2026-11-23 00:00", "2026-11-30 00:00", "20261130T0800"),
        (QUARTER, "2026-11-24 08:00", "2027-01-01 08:00", "2026-10-01 00:00", "2027-01-01 00:00", "20270101T0800"),
        (QUARTER, "2027-01-01 08:00", "2027-04-01 08:00", "2027-01-01 00:00", "2027-04-01 00:00", "20270401T0800"),
    ],
)
def test_a_report_is_due_and_covers(plan: ReportPlan, after: str, due: str, start: str, end: str, name: str) -> None:
    """Daily ones reach back to the time before; weekly and quarterly ones cover the calendar's stretch that ended."""
    at = next_due(plan, TABLE, ZONE, parse_instant(after, ZONE))
    covered = span(plan, TABLE, ZONE, at)
    assert (local(at), local(covered.start), local(covered.end)) == (due, start, end)
    assert covered.name == f"{plan.id}-{name}"


def test_an_event_names_its_report() -> None:
    """What stands in a message's event is read back whole; nothing else is."""
    assert span_of("report:week-20261130T0800/12-34") == Span("week-20261130T0800", 12, 34)
    for other in ("L1-crowd-20231115T061320:1", "report:../T0800/1-2", "report:week-20261130T0800/12-34x", ""):
        assert span_of(other) is None


def test_the_report_is_told_every_day_to_whoever_is_on_duty() -> None:
    """Once per contact; a role of which nobody is on duty is a hold with its reason; a restart changes nothing."""
    leave = Change(START, START + 10 * DAY, ChangeReason.LEAVE, "派出所-1")
    desk = Desk(definition())
    whole = definition(policies=_PLANS, people=(_OFFICER, _POLICE), duty=Duty(changes=(leave,)), reports=(MORNING,))
    desk.redefine(0, whole)
    desk.restart()
    due = (parse_instant("2023-11-15 07:30", ZONE) - START) // SECOND
    assert told(desk.wait(due - 1)) == []
    story = desk.wait(due)
    assert told(story) == [("值班员-1", "people", "report_due"), ("值班员-1", "mail", "report_due")]
    assert [(hold.role, hold.reason.value) for hold in story.decisions.holds] == [("police", "held_nobody")]
    first = story.decisions.notifications[0]
    assert first.key == "report:morning-20231115T0730:值班员-1:people"
    assert first.title == "【二十四小时报告】11-14 07:30 – 11-15 07:30"
    desk.restart()
    assert len(told(desk.wait(due + 3 * DAY // SECOND))) == 6


def test_a_schedule_that_was_changed_is_forgotten() -> None:
    """What stood on the agenda under the old schedule does not happen; the new one does, in each one's language."""
    desk = Desk(definition())
    people = (_OFFICER, _POLICE)
    desk.redefine(0, definition(policies=_PLANS, people=people, reports=(MORNING, WEEK)))
    later = ReportPlan("morning", (600,), tell=("police",))
    desk.redefine(5, definition(policies=_PLANS, people=people, reports=(later,)))
    ten = (parse_instant("2023-11-15 10:00", ZONE) - START) // SECOND
    assert told(desk.wait(ten - 1)) == []
    (message,) = desk.wait(ten).decisions.notifications
    assert (message.receiver, message.title) == ("派出所-1", "[24-hour report] 11-14 10:00 – 11-15 10:00")
    assert told(desk.wait(ten + DAY // SECOND - 1)) == []
