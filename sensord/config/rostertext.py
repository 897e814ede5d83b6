"""The schema of ``roster.yaml``, as people write it; ``people.py`` and ``dutyplan.py`` give it its meaning."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sensord.config.plantext import Clock, DayWord, Moment, Word
from sensord.config.schema import Duration, Entry, Identifier, Text

Post = Annotated[
    str,
    Meta(
        pattern=r"^[^\s:/#+@]{1,40}$",
        description="the name of a post: at most 40 characters, no spaces, no : / # + @",
    ),
]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?!\n)$", description='a date in quotes: "2026-01-31"')]


class ContactText(Entry, frozen=True, kw_only=True):
    """A way to reach someone: a channel of ``sensord.yaml``, and the address there, if it needs one.

    With ``after`` it is a second way, used when the first has not delivered for so long.
    """

    channel: Text
    address: Annotated[str, Meta(max_length=500)] = ""
    after: Duration = "0s"


class PersonText(Entry, frozen=True, kw_only=True):
    """Someone on the roster. ``serves`` is the place; ``language`` is the site's when it is not given.

    Without ``shifts``, and outside of every rotation, the person is always on duty.
    """

    id: Post
    role: Text
    serves: Identifier
    contacts: tuple[ContactText, ...] = ()
    language: Literal["zh", "en"] | None = None
    shifts: tuple[Word, ...] = ()


class ShiftText(Entry, frozen=True, kw_only=True):
    """A stretch of the day. ``to`` at or before ``from``: it ends on the next day. Without ``days``: every day."""

    start: Clock = msgspec.field(name="from")
    end: Clock = msgspec.field(name="to")
    days: tuple[DayWord, ...] = ()


class RotationText(Entry, frozen=True, kw_only=True):
    """People who take turns at a shift: from the day ``starts`` on, each for ``every`` days."""

    id: Word
    shift: Word
    starts: Day
    every: Annotated[int, Meta(ge=1, le=366)] = 1
    people: Annotated[tuple[Post, ...], Meta(min_length=1)]


class ChangeText(Entry, frozen=True, kw_only=True):
    """The plan is not kept: ``away`` is not on duty, ``stands_in`` is, from when to when."""

    start: Moment = msgspec.field(name="from")
    end: Moment = msgspec.field(name="to")
    reason: Literal["leave", "swap", "extra"]
    away: Post | None = None
    stands_in: Post | None = None


class HolidayText(Entry, frozen=True, kw_only=True):
    """A day on which shifts differ from the public calendar: off, or with ``work: true`` worked."""

    name: Text
    work: bool = False


class CheckText(Entry, frozen=True, kw_only=True):
    """Every day ``at`` this time the coming ``days`` are looked through; a hole becomes a case.

    By which policy it is told stands under ``built_in`` in ``dispatch.yaml``.
    """

    at: Clock = "08:00"
    days: Annotated[int, Meta(ge=1, le=92)] = 7


class RosterFile(Entry, frozen=True, kw_only=True):
    """``roster.yaml`` as a whole."""

    people: tuple[PersonText, ...]
    shifts: dict[Word, ShiftText] = msgspec.field(default_factory=dict)
    rotations: tuple[RotationText, ...] = ()
    changes: tuple[ChangeText, ...] = ()
    holidays: dict[Day, HolidayText] = msgspec.field(default_factory=dict)
    check: CheckText | None = None
