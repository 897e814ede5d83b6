"""The daily report: what the local day before was, told to those whom the plan names, every day at one time.

It is decided like every other message, on journal time and from the cases that the book remembers, so that a replay
says the same. The long form, with every list, is ``sensord report``.
"""

from __future__ import annotations

from collections.abc import Iterable

from sensord.core.cases.case import Case
from sensord.core.cases.listing import Lister, Table
from sensord.core.cases.notification import Notification, Reason
from sensord.core.definition import Definition
from sensord.core.instant import to_datetime
from sensord.core.level import Level
from sensord.core.people.roster import Person, Roster
from sensord.core.place import PlaceKind, Places

_TITLE = {"zh": "【日报】{day}", "en": "[daily report] {day}"}


def reports(
    definition: Definition, places: Places, roster: Roster, cases: Iterable[Case], at: int
) -> list[Notification]:
    """Write the messages that are due at ``at``: one for each contact of everybody on duty of the roles told."""
    street = next((place.id for place in places.places if place.kind is PlaceKind.STREET), "")
    day = to_datetime(at, definition.zone).toordinal() - 1
    start, end = roster.table.instant(day, 0), roster.table.instant(day + 1, 0)
    seen = [case for case in cases if case.opened_at < end and (not case.closed_at or case.closed_at >= start)]
    people = [person for role in definition.daily.tell for person in roster.responsible(role, street, at)]
    made = []
    for person in {person.id: person for person in people}.values():
        title, text = _compose(definition, places, person, seen, (start, end))
        made += [
            _message(person, contact.channel, contact.address, street, at, title, text) for contact in person.contacts
        ]
    return made


def _compose(
    definition: Definition, places: Places, person: Person, cases: list[Case], span: tuple[int, int]
) -> tuple[str, str]:
    lister = Lister(definition, places, person.language)
    day = to_datetime(span[0], definition.zone).date().isoformat()
    tables = (lister.summary(cases, *span), lister.crowd(cases), lister.silent(cases))
    return _TITLE[person.language].format(day=day), "\n\n".join(_lines(table) for table in tables if table.rows)


def _lines(table: Table) -> str:
    return "\n".join([f"{table.title}: {' / '.join(table.columns)}", *(" / ".join(row) for row in table.rows)])


def _message(person: Person, channel: str, address: str, street: str, at: int, title: str, text: str) -> Notification:
    return Notification(
        key=f"report:daily-{at}:{person.id}:{channel}",
        case="report",
        event=f"report:daily-{at}",
        at=at,
        reason=Reason.DAILY_REPORT,
        receiver=person.id,
        role=person.role,
        channel=channel,
        address=address,
        level=Level.NONE,
        place=street,
        grid="",
        language=person.language,
        title=title,
        text=text,
    )
