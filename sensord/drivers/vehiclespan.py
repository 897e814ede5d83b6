"""Which stretches of time a report on vehicles speaks of: its own, the same weeks before, its hours and its days. Pure.

All of them begin and end at full slots of the tallies (a quarter of an hour), for finer nobody counts. A report that is
made before its time has ended reaches to the end of the slot that is running; but only what has passed in full slots is
held against another week or day.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from sensord.core.cases.reports import Span
from sensord.core.instant import DAY, HOUR, from_datetime, to_datetime, zone_info
from sensord.core.vehicles.tally import SLOT

WEEK = 7
"""Days."""
_BY_HOUR = 2 * DAY
"""No longer report lists its hours."""
_ONE_DAY = 25 * HOUR
"""So long a day is at most, when the clocks go back."""


class Window(NamedTuple):
    """A stretch of time, [start, end) in ns."""

    start: int
    end: int


class Windows(NamedTuple):
    """What one report speaks of.

    ``settled`` are the slots of ``whole`` that have ended; ``before`` are these at the same weekdays and times, as few
    weeks earlier as keep the two apart. ``days`` of a report of up to a day are these at each of the seven days before
    and at its own, none when none has ended; else the calendar days in it.
    """

    whole: Window
    settled: Window
    before: Window
    hours: tuple[Window, ...]
    days: tuple[Window, ...]

    @property
    def reach(self) -> Window:
        """Everything from the first to the last of them."""
        every = (self.whole, self.before, *self.days)
        return Window(min(one.start for one in every), max(one.end for one in every))


def windows(span: Span, zone: str, made_at: int) -> Windows:
    """Lay out the report of a span that is made at ``made_at`` (ns)."""
    start, end = _slot(span.start), _slot(span.end if span.end < made_at else made_at + SLOT - 1)
    whole = Window(start, max(start, end))
    settled = Window(start, max(start, min(whole.end, _slot(made_at))))
    length = whole.end - whole.start
    before = _earlier(settled, WEEK * max(1, -(-length // (WEEK * DAY))), zone)
    if length > _ONE_DAY:
        days = tuple(_calendar(whole, zone))
    else:
        days = tuple(_earlier(settled, back, zone) for back in range(WEEK, -1, -1) if settled.end > start)
    return Windows(whole, settled, before, tuple(_hours(whole)) if length <= _BY_HOUR else (), days)


def _slot(instant: int) -> int:
    return instant // SLOT * SLOT


def _hours(whole: Window) -> list[Window]:
    return [Window(at, min(at + HOUR, whole.end)) for at in range(whole.start, whole.end, HOUR)]


def _calendar(whole: Window, zone: str) -> list[Window]:
    """The local days that lie in a stretch, the first and the last as far as they do."""
    edges, midnight = [whole.start], _midnight(whole.start, zone)
    while (midnight := _later(midnight, 1, zone)) < whole.end:
        edges.append(midnight)
    return [Window(*pair) for pair in zip(edges, [*edges[1:], whole.end], strict=True)]


def _midnight(instant: int, zone: str) -> int:
    moment = to_datetime(instant, zone)
    return from_datetime(datetime(moment.year, moment.month, moment.day, tzinfo=zone_info(zone)))


def _earlier(window: Window, days: int, zone: str) -> Window:
    return Window(_later(window.start, -days, zone), _later(window.end, -days, zone))


def _later(instant: int, days: int, zone: str) -> int:
    """The same time of day by the clock on the wall, so many days later."""
    local = to_datetime(instant, zone).replace(tzinfo=None) + timedelta(days=days)
    return from_datetime(local.replace(tzinfo=zone_info(zone)))
