"""Time as a value: instants and durations are ``int`` nanoseconds; nobody here asks what time it is.

An *instant* counts from 1970-01-01T00:00:00Z (UTC, no leap seconds). Sixty-four bits reach the year 2262.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = {"ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration(text: str) -> int:
    """Read ``30s``, ``5m``, ``1h30m`` or ``1.5h`` as nanoseconds.

    Raises ``ValueError`` for anything else, a bare number included: a duration always names its unit.
    """
    position, total = 0, 0
    for part in _PART.finditer(text):
        if part.start() != position:
            break
        total += round(float(part[1]) * _UNITS[part[2]])
        position = part.end()
    if position != len(text) or not text:
        raise ValueError(f"{text!r} is not a duration; write for example 30s, 5m, 1h30m or 2d")
    return total


def format_duration(duration: int) -> str:
    """Write nanoseconds in the shortest exact form that :func:`parse_duration` reads back (whole ms)."""
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        amount, duration = divmod(duration, _UNITS[unit])
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts) or "0s"


def parse_instant(text: str, zone: str = "Asia/Shanghai") -> int:
    """Read an RFC 3339 / ISO 8601 time as an instant; without an offset it is local time in ``zone``.

    Raises ``ValueError`` when the text is not a time. Fractions beyond the microsecond are dropped.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone_info(zone))
    return from_datetime(moment)


def from_datetime(moment: datetime) -> int:
    """Turn an aware datetime into an instant, exactly (no floating point on the way)."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds * 1_000


def to_datetime(instant: int, zone: str = "UTC") -> datetime:
    """Turn an instant into an aware datetime in ``zone`` (microseconds, rounded down)."""
    return (_EPOCH + timedelta(microseconds=instant // 1_000)).astimezone(zone_info(zone))


def format_instant(instant: int, zone: str = "UTC") -> str:
    """Write an instant as local time in ``zone`` to the second, with its offset."""
    return to_datetime(instant, zone).isoformat(timespec="seconds")


def utc_offset(zone: str) -> int:
    """Return the standard offset of ``zone`` from UTC; windows of an hour or more are aligned with it."""
    offset = datetime(2024, 1, 1, tzinfo=zone_info(zone)).utcoffset()
    return int((offset or timedelta()).total_seconds()) * SECOND


@lru_cache(maxsize=16)
def zone_info(zone: str) -> ZoneInfo:
    """Return the time zone of that name; raises ``ValueError`` when there is none."""
    try:
        return ZoneInfo(zone)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{zone!r} is not a time zone; write for example Asia/Shanghai") from error
