"""What ``sensord roster`` does: the check of the coming days, and duty plans to and from CSV and iCalendar.

An import prints the ``changes`` (and ``holidays``) of ``roster.yaml``: a person decides what goes into that file. An
export writes who is on duty from when to when, as the core would decide it.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sensord.config.files import read_regular
from sensord.config.load import load
from sensord.config.yamlfile import MAX_BYTES_REGISTER
from sensord.core.cases.builtin import used_plans
from sensord.core.definition import Definition
from sensord.core.instant import DAY, format_instant, to_datetime, zone_info
from sensord.core.people.coverage import Coverage, cover
from sensord.core.people.roster import Roster
from sensord.core.place import Places
from sensord.errors import ConfigError, Problem
from sensord.words import language, say

if TYPE_CHECKING:
    from icalendar.cal.component import Component

COLUMNS = ("person", "from", "to", "reason", "away")


@dataclass(frozen=True, slots=True)
class Span:
    """Somebody's duty from ``start`` to ``end`` (ns); ``shift`` is its name."""

    person: str
    start: int
    end: int
    shift: str


def _opened(config: Path) -> tuple[Definition, Places, Roster]:
    definition = load(config).definition
    places = Places(definition.places, definition.devices)
    return definition, places, Roster(definition.people, places, definition.duty, definition.zone)


def check(config: Path, days: int, now: int | None = None) -> tuple[Coverage, list[str]]:
    """Look through the coming days; returns what was found, and the lines that say it."""
    definition, places, roster = _opened(config)
    start = time.time_ns() if now is None else now
    found = cover(roster, places, used_plans(definition), start, start + days * DAY)
    whole = found.micro_grids * found.plans * (found.end - found.start)
    called = {policy.id: policy.name.get(language()) or policy.id for policy in definition.policies}
    lines = [
        say(
            f"{found.micro_grids} 个微网格，{found.plans} 个预案，{days} 天，逐分钟检查：",
            f"{found.micro_grids} micro-grids, {found.plans} plans, {days} days, every minute:",
        )
    ]
    names = {"micro_grid": say("微网格内", "own micro-grid"), "grid": say("居民区", "residential grid")}
    names |= {"block": say("街区", "block"), "street": say("街道", "street")}
    for kind, amount in sorted(found.fallback.items(), key=lambda item: -item[1]):
        lines.append(f"  {names.get(kind.value, kind.value)}: {amount / whole:.1%}")
    for hole in found.holes:
        place = places.name(hole.place, language())
        lines.append(
            f"  ✗ {hole.place} {place} {called[hole.plan]} ({hole.plan}): "
            f"{_local(hole.start, definition.zone)} – {_local(hole.end, definition.zone)}"
        )
    if not found.holes:
        lines.append(say("没有空档", "no hole"))
    return found, lines


def spans(config: Path, days: int, now: int | None = None) -> tuple[list[Span], str]:
    """Who is on duty when in the coming days (people with a plan; who is always on duty is left out), and the zone."""
    definition, _, roster = _opened(config)
    start = time.time_ns() if now is None else now
    end = start + days * DAY
    edges = [*roster.table.boundaries(start, end), end]
    made: list[Span] = []
    for person in roster.people:
        if roster.table.planned(person.id):
            made += _joined(person.id, roster, edges)
    return made, definition.zone


def _joined(person: str, roster: Roster, edges: list[int]) -> Iterator[Span]:
    """The stretches of one person's duty: neighbouring ones of one shift are one."""
    begun: tuple[int, str] | None = None
    for edge in edges:
        shift = roster.table.shift_at(person, edge) if edge < edges[-1] else None
        if begun is not None and shift != begun[1]:
            yield Span(person, begun[0], edge, begun[1])
            begun = None
        if begun is None and shift is not None:
            begun = (edge, shift)


def to_csv(made: list[Span], zone: str) -> str:
    """Write duty as CSV: person, from, to, shift."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("person", "from", "to", "shift"))
    writer.writerows((one.person, _local(one.start, zone), _local(one.end, zone), one.shift) for one in made)
    return out.getvalue()


def to_ics(made: list[Span], now: int | None = None) -> bytes:
    """Write duty as an iCalendar file: an event a stretch, its summary the person (RFC 5545)."""
    from icalendar import Calendar, Event

    calendar = Calendar()
    calendar.add("prodid", "-//sensord//roster//")
    calendar.add("version", "2.0")
    stamp = to_datetime(time.time_ns() if now is None else now)
    for one in made:
        event = Event()
        event.add("uid", f"{one.person}-{one.start}@sensord")
        event.add("summary", one.person)
        event.add("description", one.shift)
        event.add("dtstamp", stamp)
        event.add("dtstart", to_datetime(one.start))
        event.add("dtend", to_datetime(one.end))
        calendar.add_component(event)
    return bytes(calendar.to_ical())


def read(path: Path, config: Path) -> str:
    """Read a CSV or iCalendar file and return the YAML of ``roster.yaml`` that it amounts to.

    Raises ``ConfigError`` naming every line that is not understood.
    """
    definition, _, roster = _opened(config)
    rows = _from_ics if path.suffix.lower() in (".ics", ".ical") else _from_csv
    problems: list[Problem] = []
    changes, holidays = [], []
    for number, row in rows(path, definition.zone):
        people = [row[name] for name in ("person", "away") if row.get(name)]
        unknown = [person for person in people if person not in roster.by_id]
        if row.get("day") and (unknown or not people):
            holidays.append(f'  "{row["day"]}": {{name: {_quoted(row["person"])}}}')
        elif unknown or not people:
            words = f"there is nobody called {unknown[0]} on the roster" if unknown else "no person is named"
            problems.append(Problem(str(path), number, 1, words, f"columns: {', '.join(COLUMNS)}"))
        elif not row["from"] < row["to"]:
            problems.append(Problem(str(path), number, 1, f"{row['to']} is not after {row['from']}"))
        else:
            changes.append(_change(row))
    if problems:
        raise ConfigError(problems)
    parts = (["changes:", *changes] if changes else []) + (["holidays:", *holidays] if holidays else [])
    return "\n".join(parts) + "\n"


def _change(row: dict[str, str]) -> str:
    off, on = row.get("away", ""), row.get("person", "")
    reason = row.get("reason") or ("swap" if off and on else "leave" if off else "extra")
    ends = f', away: "{off}"' if off else ""
    ends += f', stands_in: "{on}"' if on else ""
    return f'  - {{from: "{row["from"]}", to: "{row["to"]}", reason: {reason}{ends}}}'


def _from_csv(path: Path, zone: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    try:
        missing = [name for name in ("person", "from", "to") if name not in (reader.fieldnames or ())]
        if missing:
            hint = f"the first line names the columns: {', '.join(COLUMNS)}"
            raise ConfigError([Problem(str(path), 1, 1, f"there is no column {missing[0]}", hint)])
        for row in reader:
            wanted = {name: (row.get(name) or "").strip() for name in COLUMNS}
            for name in ("from", "to"):
                wanted[name] = _moment(path, reader.line_num, wanted[name], zone)
            yield reader.line_num, wanted
    except csv.Error as error:
        raise ConfigError([Problem(str(path), reader.line_num, 1, f"this is no CSV: {error}")]) from error


def _moment(path: Path, line: int, text: str, zone: str) -> str:
    """Return a time of a CSV file as ``roster.yaml`` writes it."""
    try:
        return _wall(datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            [Problem(str(path), line, 1, f"{text!r} is not a time: {error}", "write 2026-01-31 18:00")]
        ) from error


def _text(path: Path) -> str:
    """Return a small text file; raises ``ConfigError``."""
    try:
        raw, _ = read_regular(path, MAX_BYTES_REGISTER + 1)
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError([Problem(str(path), 1, 1, f"the file cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        hint = "save the file with the encoding UTF-8"
        raise ConfigError([Problem(str(path), 1, 1, f"the file is not UTF-8 text: {error.reason}", hint)]) from error
    if len(raw) > MAX_BYTES_REGISTER:
        fault = f"the file is larger than {MAX_BYTES_REGISTER >> 20} MiB"
        raise ConfigError([Problem(str(path), 1, 1, fault, "import it in pieces")])
    return text


def _from_ics(path: Path, zone: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the events; the summary names the person. A whole day of nobody on the roster is a holiday."""
    from icalendar import Calendar

    text = _text(path)
    try:
        calendar = Calendar.from_ical(text)
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:  # malformed parameters bring the library to each
        raise ConfigError([Problem(str(path), 1, 1, f"this is no iCalendar file: {error}")]) from error
    for number, event in enumerate(calendar.walk("VEVENT"), 1):
        if "RRULE" in event:
            fault = f"event {number} repeats (RRULE): write a shift or a rotation in roster.yaml instead"
            raise ConfigError([Problem(str(path), 1, 1, fault)])
        try:
            start, end = _stretch(event)
            row = {"person": str(event.get("SUMMARY", "")).strip(), "from": _wall(start, zone), "to": _wall(end, zone)}
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
            fault = f"event {number} has no times that can be read (DTSTART, DTEND)"
            raise ConfigError([Problem(str(path), 1, 1, fault, "write DTSTART:20260131T100000Z")]) from error
        yield number, {**row, "day": "" if isinstance(start, datetime) else start.isoformat()}


def _stretch(event: Component) -> tuple[date, date]:
    """Return start and end of an event; what is none of the two raises one of the library's several errors."""
    start: date = event.decoded("DTSTART")
    end: date = event.decoded("DTEND") if "DTEND" in event else start + timedelta(days=1)
    return start, end


def _wall(moment: date, zone: str) -> str:
    """A date or time as ``roster.yaml`` writes it: local, to the minute."""
    if not isinstance(moment, datetime):
        return f"{moment.isoformat()} 00:00"
    local = moment if moment.tzinfo is None else moment.astimezone(zone_info(zone))
    return local.strftime("%Y-%m-%d %H:%M")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _local(instant: int, zone: str) -> str:
    return format_instant(instant, zone)[:16].replace("T", " ")
