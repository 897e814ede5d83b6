"""Scheduled reports: when one is due, what stretch of time it covers, and what is said of it.

Who is told is decided (``reporter``) on journal time and by the roster, as of every other message, so that a replay
says the same. The numbers are put into the message when it is delivered (``REPORT`` stands in its text till then): they
come from the stores, as the report's files do, so that message and files cannot differ.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Literal, NamedTuple

from sensord.core.cases.notification import REPORT, Notification, Reason
from sensord.core.cases.reportplan import Every, ReportPlan
from sensord.core.instant import to_datetime
from sensord.core.level import Level
from sensord.core.people.duty import DutyTable
from sensord.core.people.roster import Person

VehicleTable = Literal["vehicles", "provinces", "vehicles-by-hour", "vehicles-by-day", "spaces"]
"""The tables of a report on vehicles, by the names under which each is a CSV; the first is the main one."""
ReportTable = Literal["summary", "cases", "silent", "lanes", VehicleTable]
"""Those of a report on everything."""
CASE = "report"
"""What stands in the place of a case in a report's messages."""
_TITLES = {
    "zh": {Every.DAY: "【二十四小时报告】", Every.WEEK: "【周报】", Every.QUARTER: "【季报】"},
    "en": {Every.DAY: "[24-hour report] ", Every.WEEK: "[weekly report] ", Every.QUARTER: "[quarterly report] "},
}
_SHIFT = {"zh": "【班次报告】", "en": "[shift report] "}
_EVENT = re.compile(r"report:([a-z0-9_-]+T[0-9]{4})/([0-9]{1,20})-([0-9]{1,20})")
_QUARTERS = (1, 4, 7, 10)
_LONGEST = 93
"""No schedule rests for more days."""


class Span(NamedTuple):
    """What one report covers: [start, end) in ns; ``name`` is its schedule and the local minute at which it was due."""

    name: str
    start: int
    end: int


def next_due(plan: ReportPlan, table: DutyTable, zone: str, after: int) -> int:
    """The first instant (ns), later than ``after``, at which the report is due."""
    today = to_datetime(after, zone).toordinal()
    return min(
        instant
        for day in range(today, today + _LONGEST)
        if _falls_on(plan, day)
        for minute in plan.at
        if (instant := table.instant(day, minute)) > after
    )


def span(plan: ReportPlan, table: DutyTable, zone: str, due: int) -> Span:
    """What the report that is due at ``due`` covers.

    Daily ones reach back to the time before (24 hours with one time a day, a shift with several); weekly and quarterly
    ones cover the calendar week or quarter that has ended.
    """
    moment = to_datetime(due, zone)
    name, day = f"{plan.id}-{moment:%Y%m%dT%H%M}", moment.toordinal()
    if plan.every is Every.DAY:
        times = [table.instant(one, minute) for one in (day - 1, day) for minute in plan.at]
        return Span(name, max(instant for instant in times if instant < due), due)
    begin = day - 7 if plan.every is Every.WEEK else _quarter_before(moment.date())
    return Span(name, table.instant(begin, 0), table.instant(day, 0))


def _falls_on(plan: ReportPlan, day: int) -> bool:
    moment = date.fromordinal(day)
    if plan.every is Every.WEEK:
        return moment.weekday() == 0
    return plan.every is Every.DAY or (moment.day == 1 and moment.month in _QUARTERS)


def _quarter_before(first: date) -> int:
    """The first day (ordinal) of the quarter that ends before ``first``."""
    year, month = (first.year, first.month - 3) if first.month > 3 else (first.year - 1, 10)
    return date(year, month, 1).toordinal()


def event_of(covered: Span) -> str:
    """What stands in the ``event`` of a message, or a hold, about the report that covers this."""
    return f"{CASE}:{covered.name}/{covered.start}-{covered.end}"


def span_of(event: str) -> Span | None:
    """Read from a message's or a hold's ``event`` which report it is about; None when it is about none."""
    found = _EVENT.fullmatch(event)
    return Span(found[1], int(found[2]), int(found[3])) if found is not None else None


def messages(plan: ReportPlan, covered: Span, person: Person, at: int, street: str, zone: str) -> list[Notification]:
    """Tell one person of the report that is due at ``at``: a message for each contact."""
    heading = title(plan, covered, person.language, zone)
    return [
        Notification(
            key=f"{CASE}:{covered.name}:{person.id}:{contact.channel}",
            case=CASE,
            event=event_of(covered),
            at=at,
            reason=Reason.REPORT_DUE,
            receiver=person.id,
            role=person.role,
            channel=contact.channel,
            address=contact.address,
            level=Level.NONE,
            place=street,
            grid="",
            language=person.language,
            title=heading,
            text=REPORT,
        )
        for contact in person.contacts
    ]


def title(plan: ReportPlan, covered: Span, language: str, zone: str) -> str:
    """The report's title: what kind, and from when to when."""
    kind = _SHIFT[language] if len(plan.at) > 1 else _TITLES[language][plan.every]
    start, end = (to_datetime(instant, zone).strftime("%m-%d %H:%M") for instant in (covered.start, covered.end))
    return f"{kind}{start} – {end}"
