"""``vehicles.yaml``: how plates are sorted, whom to look out for, and how passages become visits, checked.

Operators edit it and reload (SIGHUP); it is part of the definition, so a replay sorts as live running did. A date is
local and begins at midnight; ``until`` is the last day. Vehicles on the watch list appear by pseudonym, never by plate;
and because somebody will write one all the same, no mistake in this file is told with what stands in it (``wordless``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple

from msgspec import Meta

from sensord.config.findings import Findings
from sensord.config.schema import Duration, Entry, Text, convert
from sensord.config.wordless import wordless
from sensord.config.yamlfile import Document, KeyPath, read_yaml
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND, from_datetime, zone_info
from sensord.core.region import PROVINCES
from sensord.core.vehicles.blot import without_plates
from sensord.core.vehicles.plate import recognise
from sensord.core.vehicles.tracking import FOREVER, LONGEST_PREFIX, KeyArea, PlateAreas, Tracking, Watched
from sensord.errors import ConfigError, Problem

_PREFIX = re.compile(r"[\u4e00-\u9fff][A-Z0-9]*")
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?!\n)$", description="a date: 2026-11-24")]
Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):00(?!\n)$", description='a full hour in quotes: "03:00"')]
Pseudonym = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{16}(?!\n)$", description="a pseudonym in quotes: 16 digits of 0-9 a-f")
]
Share = Annotated[float, Meta(ge=0, le=1)]


class KeyAreaText(Entry, frozen=True, kw_only=True):
    """An area to look into: the beginning of its plates, from the day ``since`` to the day ``until``."""

    prefix: Text
    name: str = ""
    since: Day | None = None
    until: Day | None = None


class WatchedText(Entry, frozen=True, kw_only=True):
    """A vehicle to look out for. ``reason`` says on whose order; it holds no plate."""

    vehicle: Pseudonym
    reason: Text
    since: Day | None = None
    until: Day | None = None


class TrackingText(Entry, frozen=True, kw_only=True):
    """How readings become passages and passages visits.

    ``settle``: how long a doubtful reading waits for a better one. ``merge``: readings of one vehicle at one gate and
    direction, no further apart, are one passage. ``fastest``: nobody drives faster, in km/h as the crow flies,
    from one compound to another; ``travel``: nor in less, where places.yaml does not say where both lie.
    ``short``: a visit below this is a short one. ``recent``, ``roaming``: how far back visits and compounds are
    counted. ``remember``: how long a vehicle is known, and the visit of one that lives here (three visits over night)
    is believed without an end; ``believed``: the visit of any other. ``overlap``: how long the former site key's
    pseudonyms are still recognised. ``night``: when a vehicle inside is parked overnight.
    """

    settle: Duration = "3s"
    merge: Duration = "20s"
    travel: Duration = "30s"
    fastest: Annotated[int, Meta(ge=10, le=300, description="km/h as the crow flies")] = 60
    short: Duration = "10m"
    recent: Duration = "24h"
    roaming: Duration = "1h"
    remember: Duration = "30d"
    believed: Duration = "4d"
    overlap: Duration = "30d"
    night: Clock = "03:00"


class VehiclesFile(Entry, frozen=True, kw_only=True):
    """``vehicles.yaml`` as a whole.

    Below the confidence ``floor`` a plate counts as unread; from ``sure`` on it is taken at its word at once.
    """

    local: tuple[Text, ...] = ("沪",)
    key_areas: tuple[KeyAreaText, ...] = ()
    watch: tuple[WatchedText, ...] = ()
    floor: Share = 0.5
    sure: Share = 0.9
    tracking: TrackingText = TrackingText()


_LIMITS = {
    "settle": (0, MINUTE),
    "merge": (SECOND, 10 * MINUTE),
    "travel": (0, HOUR),
    "short": (SECOND, DAY),
    "recent": (HOUR, 7 * DAY),
    "roaming": (MINUTE, 7 * DAY),
    "remember": (DAY, 366 * DAY),
    "believed": (DAY, 366 * DAY),
    "overlap": (0, 366 * DAY),
}


class Vehicles(NamedTuple):
    """What the file says, and what in it was probably not meant."""

    areas: PlateAreas
    tracking: Tracking
    warnings: list[Problem]


def load_vehicles(path: Path, zone: str) -> Vehicles:
    """Read ``vehicles.yaml``; raises ``ConfigError`` with every mistake and its position."""
    document, text = _read(path)
    findings = Findings(document)
    _prefixes(findings, ((("local", index), prefix) for index, prefix in enumerate(text.local)))
    _prefixes(findings, ((("key_areas", index, "prefix"), area.prefix) for index, area in enumerate(text.key_areas)))
    if text.sure < text.floor:
        findings.error(("sure",), "sure is below floor", "a plate that is certain cannot be unread")
    areas = [
        KeyArea(area.prefix, *_validity(findings, ("key_areas", index), area.since, area.until, zone))
        for index, area in enumerate(text.key_areas)
    ]
    watch = [
        Watched(one.vehicle, *_validity(findings, ("watch", index), one.since, one.until, zone))
        for index, one in enumerate(text.watch)
    ]
    tracking = _tracking(findings, text.tracking)
    _plates_in_words(findings, text)
    _listed_twice(findings, text.watch)
    areas_and_lists = PlateAreas(text.local, tuple(areas), tuple(watch), text.floor, text.sure)
    return Vehicles(areas_and_lists, tracking, findings.finish())


def _read(path: Path) -> tuple[Document, VehiclesFile]:
    try:
        document = read_yaml(path)
        return document, convert(document, VehiclesFile)
    except ConfigError as error:
        raise wordless(error, path) from None  # what was raised first may hold a plate


def _prefixes(findings: Findings, prefixes: Iterable[tuple[KeyPath, str]]) -> None:
    for path, prefix in prefixes:
        if len(prefix) > LONGEST_PREFIX:
            message = f"a beginning of more than {LONGEST_PREFIX} characters names one vehicle, or a few"
            findings.error(path, message, "for one vehicle use the watch list: it takes what sensord pseudonym prints")
        elif _PREFIX.fullmatch(prefix) is None or recognise(prefix).text != prefix or prefix[0] not in PROVINCES:
            hint = "write a province character, and a letter if you want: 沪, 苏E"
            findings.error(path, "this cannot begin a plate", hint)


def _plates_in_words(findings: Findings, text: VehiclesFile) -> None:
    """Warn of plates where people write about a list; nothing that is computed reads these words."""
    words: list[tuple[KeyPath, str]] = []
    words += [(("key_areas", index, "name"), one.name) for index, one in enumerate(text.key_areas)]
    words += [(("watch", index, "reason"), one.reason) for index, one in enumerate(text.watch)]
    for path, said in words:
        if without_plates(said) != said:
            findings.warn(path, "this holds a plate, or what looks like one", "name the case or the order instead")


def _listed_twice(findings: Findings, watch: tuple[WatchedText, ...]) -> None:
    """Warn of a vehicle with several entries: an order that was withdrawn may go on in another one."""
    known = set[str]()
    for index, one in enumerate(watch):
        if one.vehicle in known:
            hint = "each entry counts on its own days: keep one, unless they are of two orders"
            findings.warn(("watch", index, "vehicle"), "this vehicle is on the watch list more than once", hint)
        known.add(one.vehicle)


def _validity(findings: Findings, path: KeyPath, since: str | None, until: str | None, zone: str) -> tuple[int, int]:
    """Return (first instant, first instant after) of a validity, in ns."""
    begin = 0 if since is None else _midnight(findings, (*path, "since"), since, zone, 0)
    end = FOREVER if until is None else _midnight(findings, (*path, "until"), until, zone, 1)
    if begin >= end:
        findings.error((*path, "until"), f"it ends ({until}) before it begins ({since})", "exchange the two dates")
    return begin, end


def _midnight(findings: Findings, path: KeyPath, text: str, zone: str, days: int) -> int:
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        findings.error(path, f"{text} is no date of the calendar", "write year-month-day: 2026-11-24")
        return days
    return from_datetime(datetime.combine(day, time(), zone_info(zone)))


def _tracking(findings: Findings, text: TrackingText) -> Tracking:
    lengths = {
        name: findings.duration(("tracking", name), getattr(text, name), least, most)
        for name, (least, most) in _LIMITS.items()
    }
    return Tracking(**lengths, fastest=text.fastest, night=int(text.night[:2]) * HOUR)
