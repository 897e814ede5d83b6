"""Scheduled reports: when the next is due, and the messages that carry it.

They are no decisions of the core: no case hangs on them, and their key alone keeps one from being sent twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from sensord.core.cases.notification import Notification, Reason
from sensord.core.definition import Definition
from sensord.core.instant import from_datetime, to_datetime
from sensord.core.level import Level
from sensord.core.place import PlaceKind
from sensord.drivers.vehiclepages import summary, title
from sensord.drivers.vehiclereport import VehicleReport


class Due(NamedTuple):
    """A report that comes due at ``at`` (ns) and goes to everybody of ``roles``."""

    at: int
    roles: tuple[str, ...]


def next_due(schedule: Iterable[tuple[str, tuple[str, ...]]], now: int, zone: str) -> Due | None:
    """Return the first report due after ``now`` (ns); ``schedule`` holds (local time ``HH:MM``, roles)."""
    dues = [Due(_next(clock, now, zone), roles) for clock, roles in schedule]
    return min(dues) if dues else None


def _next(clock: str, now: int, zone: str) -> int:
    local = to_datetime(now, zone)
    hour, minute = (int(part) for part in clock.split(":"))
    for days in (0, 1):
        day = local.date() + timedelta(days=days)
        at = from_datetime(datetime(day.year, day.month, day.day, hour, minute, tzinfo=local.tzinfo))
        if at > now:
            break
    return at


def messages(report: VehicleReport, definition: Definition, due: Due) -> Iterator[Notification]:
    """Yield the summary for every contact of everybody who holds one of the roles."""
    names = {place.id: place for place in definition.places}
    street = next((place.id for place in definition.places if place.kind is PlaceKind.STREET), "")
    for person in definition.people:
        if person.role not in due.roles:
            continue
        for contact in person.contacts:
            yield Notification(
                key=f"report:vehicles:{report.day}:{person.id}:{contact.channel}",
                case="",
                event="",
                at=due.at,
                reason=Reason.REPORT_DUE,
                receiver=person.id,
                role=person.role,
                channel=contact.channel,
                address=contact.address,
                level=Level.NONE,
                place=street,
                grid="",
                language=person.language,
                title=title(report, person.language),
                text=summary(report, names, person.language),
            )
