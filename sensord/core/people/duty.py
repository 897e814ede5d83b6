"""Who is on duty when: shifts, rotations, changes (leave, swaps, extra duty) and public holidays.

Rules: a person without shifts and rotations is always on duty. Local days begin at midnight of the site's zone; a
shift that ends at or before its beginning ends on the next day and belongs to the day on which it began. A change
beats everything else, and the later one in the list beats the earlier.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from datetime import time as clock
from enum import StrEnum

import msgspec

from sensord.core.instant import DAY, from_datetime, to_datetime, zone_info
from sensord.core.schedule import WEEKDAYS

_CENTURY = 36_525 * DAY
"""What lies further ahead is not planned for; a state could not even hold the year 9999."""


class ChangeReason(StrEnum):
    """Why the plan is not kept."""

    LEAVE = "leave"
    SWAP = "swap"
    EXTRA = "extra"


class Shift(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stretch of the day: ``start`` and ``end`` in minutes after local midnight, on the ``days`` (none: every day).

    Equal start and end are twenty-four hours. Days are ``mon`` to ``sun``, ``workday`` and ``restday`` (a Sunday can be
    a workday), and ``holiday``.
    """

    id: str
    start: int
    end: int
    days: tuple[str, ...] = ()


class Rotation(msgspec.Struct, frozen=True, omit_defaults=True):
    """People who take turns at a shift: from the local day ``starts`` (ordinal), ``every`` days, in order."""

    id: str
    shift: str
    people: tuple[str, ...]
    starts: int
    every: int = 1


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """From ``start`` to ``end`` (ns), ``off`` is not on duty and ``on`` is. One of the two may be empty."""

    start: int
    end: int
    reason: ChangeReason
    off: str = ""
    on: str = ""


class Holiday(msgspec.Struct, frozen=True, omit_defaults=True):
    """One day (ordinal) of the public calendar; ``work``: a day off that is worked instead (调休)."""

    day: int
    name: str
    work: bool = False


class Duty(msgspec.Struct, frozen=True, omit_defaults=True):
    """The whole duty plan.

    Every day at ``check_at`` (minutes after local midnight) the coming ``check_days`` are looked through for holes (0:
    they are not), and contacts that failed are trusted again.
    """

    shifts: tuple[Shift, ...] = ()
    rotations: tuple[Rotation, ...] = ()
    changes: tuple[Change, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    check_at: int = 480
    check_days: int = 0


class DutyTable:
    """Answers who is on duty; everything that does not depend on the instant is worked out once."""

    def __init__(self, duty: Duty, shifts_of: dict[str, tuple[str, ...]], zone: str) -> None:
        self._duty, self._zone = duty, zone
        self._shifts = {shift.id: shift for shift in duty.shifts}
        self._holidays = {holiday.day: holiday for holiday in duty.holidays}
        self._of: dict[str, list[tuple[Shift, Rotation | None]]] = {}
        for person, names in shifts_of.items():
            self._of[person] = [(self._shifts[name], None) for name in names if name in self._shifts]
        for rotation in duty.rotations:
            for person in dict.fromkeys(rotation.people):
                if rotation.shift in self._shifts:
                    self._of.setdefault(person, []).append((self._shifts[rotation.shift], rotation))
        self._edge = 0, 0
        """From when on which boundary is the next: each case asks for it."""
        self._changes: dict[str, list[Change]] = {}
        for change in duty.changes:
            for person in dict.fromkeys((change.off, change.on)):
                if person:
                    self._changes.setdefault(person, []).append(change)

    def shift_at(self, person: str, at: int) -> str | None:
        """Return the id of the shift in which the person is on duty ("": always, or a change), or None."""
        change = self.change_at(person, at)
        if change is not None:
            return "" if change.on == person else None
        plan = self._of.get(person)
        if not plan:
            return ""
        day, minute = self._local(at)
        for shift, rotation in plan:
            began = self._began(shift, day, minute)
            if began is not None and (rotation is None or self._turn(rotation, began) == person):
                return shift.id
        return None

    def change_at(self, person: str, at: int) -> Change | None:
        """The change of the plan that holds for the person at the instant, or None."""
        held = (one for one in reversed(self._changes.get(person, ())) if one.start <= at < one.end)
        return next(held, None)

    def planned(self, person: str) -> bool:
        """Whether the person has a plan at all; without one they are always on duty."""
        return bool(self._of.get(person) or self._changes.get(person))

    def on_duty(self, person: str, at: int) -> bool:
        """Whether the person is on duty at the instant."""
        return self.shift_at(person, at) is not None

    def is_there_since(self, person: str, since: int, at: int) -> bool:
        """Whether the person is on duty at the instant ``at``, and has been from ``since`` on without a break."""
        if not self.planned(person):
            return True
        end = at + 1
        while end > since:  # the latest day first: a break is seldom longer ago
            start = max(since, end - DAY)
            if not all(self.on_duty(person, one) for one in self.boundaries(start, end)):
                return False
            end = start
        return True

    def running(self, shift: Shift, at: int) -> int | None:
        """The end (ns) of ``shift`` when it is running at the instant, or None; it need not be one of the plan's."""
        began = self._began(shift, *self._local(at))
        if began is None:
            return None
        return self.instant(began, shift.end if shift.end > shift.start else shift.end + 24 * 60)

    def shifts_at(self, at: int) -> tuple[str, ...]:
        """The ids of the shifts that are running at the instant, in the order of the plan."""
        return tuple(shift.id for shift in self._duty.shifts if self.running(shift, at) is not None)

    def _local(self, at: int) -> tuple[int, int]:
        moment = to_datetime(at, self._zone)
        return moment.toordinal(), moment.hour * 60 + moment.minute

    def _began(self, shift: Shift, day: int, minute: int) -> int | None:
        """The day on which the shift running at that minute began, or None."""
        overnight = shift.end <= shift.start
        if minute >= shift.start and (overnight or minute < shift.end) and self._falls_on(shift, day):
            return day
        if overnight and minute < shift.end and self._falls_on(shift, day - 1):
            return day - 1
        return None

    def _falls_on(self, shift: Shift, day: int) -> bool:
        if not shift.days:
            return True
        weekday, holiday = date.fromordinal(day).weekday(), self._holidays.get(day)
        works = holiday.work if holiday is not None else weekday < 5
        kinds = {WEEKDAYS[weekday], "workday" if works else "restday"}
        if holiday is not None and not holiday.work:
            kinds.add("holiday")
        return not kinds.isdisjoint(shift.days)

    @staticmethod
    def _turn(rotation: Rotation, day: int) -> str:
        return rotation.people[(day - rotation.starts) // rotation.every % len(rotation.people)]

    def boundaries(self, start: int, end: int) -> list[int]:
        """Every instant in [start, end) at which somebody's duty can change, ``start`` first, ascending."""
        found = {start}
        minutes = {minute for shift in self._duty.shifts for minute in (shift.start, shift.end, 0)}
        for day in self._days(start, end):
            found.update(self.instant(day, minute) for minute in minutes)
        found.update(instant for change in self._duty.changes for instant in (change.start, change.end))
        return sorted(instant for instant in found if start <= instant < end)

    def next_boundary(self, after: int) -> int | None:
        """The next instant, later than ``after``, at which somebody's duty can change; None: not within a century."""
        since, ahead_of = self._edge
        if since <= after < ahead_of:
            return ahead_of
        edges = (edge for change in self._duty.changes for edge in (change.start, change.end))
        ahead = [edge for edge in edges if after < edge < after + _CENTURY]
        if self._duty.shifts:
            ahead += [instant for instant in self.boundaries(after, after + 2 * DAY) if instant > after]
        found = min(ahead, default=None)
        if found is not None:
            self._edge = after, found
        return found

    def _days(self, start: int, end: int) -> Iterator[int]:
        yield from range(self._local(start)[0], self._local(end)[0] + 1)

    def instant(self, day: int, minute: int) -> int:
        """The instant (ns) of a minute of a local day (ordinal), by the clock on the wall."""
        midnight = datetime.combine(date.fromordinal(day), clock(0))
        return from_datetime((midnight + timedelta(minutes=minute)).replace(tzinfo=zone_info(self._zone)))

    def next_check(self, after: int) -> int:
        """The next instant, later than ``after``, at which the coming days are looked through."""
        return self.next_time(self._duty.check_at, after)

    def next_time(self, minute: int, after: int) -> int:
        """The next instant, later than ``after``, at which the wall clock shows so many minutes after midnight."""
        day, _ = self._local(after)
        at = self.instant(day, minute)
        return at if at > after else self.instant(day + 1, minute)
