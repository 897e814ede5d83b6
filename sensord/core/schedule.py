"""When a rule is active: days and hours. The calendar of holidays is data of the definition, never looked up.

::

    days: [fri]                Fri            Sat
    hours: 22:00-06:00    ......|##|##########|........     a span over midnight belongs to the day on which it begins

Days follow the zone's standard time (mainland China has no other).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import msgspec

from sensord.core.instant import DAY

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH = date(1970, 1, 1)
_THURSDAY, _SATURDAY = 3, 5


class Calendar(msgspec.Struct, frozen=True, omit_defaults=True):
    """Days that differ from the week, as ISO dates.

    ``holidays`` are public days off, ``workdays`` the weekend days that are worked in exchange (调休), ``named`` the
    site's own lists of days. A day that is in neither of the first two follows the week.
    """

    holidays: tuple[str, ...] = ()
    workdays: tuple[str, ...] = ()
    named: dict[str, tuple[str, ...]] = {}


class Active(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stretch of the week: on ``days`` (words; none: every day) but not on ``apart``, from ``start`` to ``stop``.

    ``start`` and ``stop`` are ns after local midnight; a ``stop`` at or before ``start`` lies on the next day.
    """

    days: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    start: int = 0
    stop: int = DAY


class Schedule:
    """Answers whether a rule is active at an instant. ``offset`` (ns) is local time's from UTC."""

    def __init__(self, active: tuple[Active, ...], calendar: Calendar, offset: int) -> None:
        self._active, self._offset = active, offset
        self._holidays = {_number(day) for day in calendar.holidays}
        self._workdays = {_number(day) for day in calendar.workdays}
        self._named = {name: {_number(day) for day in days} for name, days in calendar.named.items()}

    def __bool__(self) -> bool:
        """Whether there is a restriction at all."""
        return bool(self._active)

    def at(self, instant: int) -> bool:
        """Whether the rule is active at this instant (ns)."""
        if not self._active:
            return True
        day, time = divmod(instant + self._offset, DAY)
        return any(self._covers(span, day, time) for span in self._active)

    def _covers(self, span: Active, day: int, time: int) -> bool:
        if span.start < span.stop:
            return span.start <= time < span.stop and self._on(span, day)
        return (time >= span.start and self._on(span, day)) or (time < span.stop and self._on(span, day - 1))

    def _on(self, span: Active, day: int) -> bool:
        wanted = not span.days or any(self._is(day, word) for word in span.days)
        return wanted and not any(self._is(day, word) for word in span.apart)

    def _is(self, day: int, word: str) -> bool:
        if word in WEEKDAYS:
            return (day + _THURSDAY) % 7 == WEEKDAYS.index(word)
        kinds: dict[str, Callable[[int], bool]] = {
            "workday": self.workday,
            "restday": lambda day: not self.workday(day),
            "holiday": self._holidays.__contains__,
        }
        return kinds[word](day) if word in kinds else day in self._named.get(word, ())

    def workday(self, day: int) -> bool:
        """Whether a day (counted from 1970-01-01) is worked: Monday to Friday, less holidays, plus make-up days."""
        if day in self._holidays:
            return False
        return day in self._workdays or (day + _THURSDAY) % 7 < _SATURDAY


PUBLIC = frozenset({"workday", "restday", "holiday"})
"""Words whose days the public calendar decides."""
DAY_WORDS = (*WEEKDAYS, *sorted(PUBLIC))


def _number(day: str) -> int:
    return (date.fromisoformat(day) - _EPOCH) // timedelta(days=1)
