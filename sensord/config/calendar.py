"""The calendar that rules with active times and shifts go by: Chinese public holidays, make-up workdays, own days.

Public holidays come from ``chinesecalendar`` (the State Council's yearly notices) and are written into the definition,
so that a replay gives the same whatever version of the library is installed. The site's own file adds what the
library does not know yet, and lists of days with a name::

    holidays: [2027-01-01]
    workdays: [2027-01-03]
    days:
      school-break: [2027-01-20..2027-02-15]
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

from msgspec import Meta, field

from sensord.config.findings import Findings
from sensord.config.schema import Entry, convert
from sensord.config.yamlfile import KeyPath, read_yaml
from sensord.core.schedule import DAY_WORDS, Calendar

_FIRST_YEAR = 2024
"""Earlier years are in the library, too, but no journal reaches back to them."""
_LONGEST = 366

Days = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(\.\.[0-9]{4}-[0-9]{2}-[0-9]{2})?(?!\n)$",
        description="a day (2027-01-01), or days from .. to (2027-01-20..2027-02-15)",
    ),
]
DaysName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,39}(?!\n)$", description="a name of lower-case letters")]


class CalendarFile(Entry, frozen=True, kw_only=True):
    """``calendar.yaml``: days off and weekend days that are worked, beyond those known, and named lists of days."""

    holidays: tuple[Days, ...] = ()
    workdays: tuple[Days, ...] = ()
    days: dict[DaysName, tuple[Days, ...]] = field(default_factory=dict)


def load_calendar(path: Path | None) -> Calendar:
    """Read the site's calendar on top of the public one; raises ``ConfigError`` with every mistake."""
    holidays, workdays = public_days()
    if path is None:
        return Calendar(tuple(sorted(holidays)), tuple(sorted(workdays)))
    document = read_yaml(path)
    file, findings = convert(document, CalendarFile), Findings(document)
    off = _read(findings, ("holidays",), file.holidays)
    worked = _read(findings, ("workdays",), file.workdays)
    for day in sorted(off & worked):
        findings.error(("workdays",), f"{day} is a holiday and a workday", "keep it in one of the lists")
    named = {}
    for name, days in file.days.items():
        if name in DAY_WORDS:
            findings.error(("days", name), f"{name} has a meaning of its own", "choose another name", key=True)
        named[name] = tuple(sorted(_read(findings, ("days", name), days)))
    findings.finish()
    holidays, workdays = (holidays - worked) | off, (workdays - off) | worked
    return Calendar(tuple(sorted(holidays)), tuple(sorted(workdays)), named)


def known_until(calendar: Calendar) -> date:
    """Return the end of the last year whose public holidays are known: all begin with New Year's Day."""
    return date(max(int(day[:4]) for day in (*calendar.holidays, f"{_FIRST_YEAR}-01-01")), 12, 31)


def public_days() -> tuple[set[str], set[str]]:
    """Return the public holidays and the make-up workdays that are known, as ISO dates."""
    from chinese_calendar import constants  # noqa: PLC0415 - only sites with a calendar pay for it

    def since(days: Iterable[date]) -> set[str]:
        return {day.isoformat() for day in days if day.year >= _FIRST_YEAR}

    return since(constants.holidays), since(constants.workdays)


def _read(findings: Findings, path: KeyPath, texts: Iterable[str]) -> set[str]:
    """Read days and stretches of days; notes what is none."""
    found: set[str] = set()
    for index, text in enumerate(texts):
        first, _, last = text.partition("..")
        try:
            start, stop = date.fromisoformat(first), date.fromisoformat(last or first)
        except ValueError:
            findings.error((*path, index), f"{text} is no day of the calendar", "write for example 2027-01-01")
            continue
        if not 0 <= (stop - start).days < _LONGEST:
            findings.error((*path, index), f"{text} must run forward, for less than a year", "write first..last")
            continue
        found |= {(start + timedelta(days=day)).isoformat() for day in range((stop - start).days + 1)}
    return found
