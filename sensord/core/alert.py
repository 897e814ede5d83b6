"""Transitions: what the engine says when an alert (one rule x one key) changes."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from sensord.core.level import Level


class Change(StrEnum):
    """How an alert changed; the named reason of a transition."""

    RAISED = "raised"
    ESCALATED = "escalated"
    ANOTHER = "another"
    """The alert goes on with another vehicle or finding (``each``), or hole in the roster, of a level of its own."""
    LOWERED = "lowered"
    CLEARED = "cleared"
    UNWATCHED = "unwatched"
    """The rule's hours ended while its alert was active, and nothing known says that it is over."""
    WITHDRAWN = "withdrawn"
    """The rule was changed or removed while its alert was active."""


NAMES = {
    "zh": {
        Change.RAISED: "触发",
        Change.ESCALATED: "升级",
        Change.ANOTHER: "又一起",
        Change.LOWERED: "降级",
        Change.CLEARED: "解除",
        Change.UNWATCHED: "不再监测",
        Change.WITHDRAWN: "撤回",
    },
    "en": {change: change.value for change in Change},
}


class Vehicle(msgspec.Struct, frozen=True, omit_defaults=True):
    """The vehicle that an alert is about: its pseudonym, its mask (``沪A·**345``), and the reading that shows it.

    ``seen_at`` (ns) is when that message arrived: the journal holds the plate for as long as it is kept. ``came_at`` is
    when it came in, where that was some time before the alert (0: it was not).
    """

    id: str
    mask: str
    seen_at: int
    came_at: int = 0


class Free(msgspec.Struct, frozen=True, array_like=True):
    """A compound with free parking spaces, and how many."""

    place: str
    count: int


class Gap(msgspec.Struct, frozen=True, array_like=True):
    """A hole in the roster: from ``start`` to ``end`` (ns) nobody of the ``plans`` (ids) is on duty and reachable.

    ``shifts`` are the ids of the shifts that run when it begins; of the place ``more`` holes are known besides.
    """

    start: int
    end: int
    plans: tuple[str, ...]
    shifts: tuple[str, ...]
    more: int = 0


class Transition(msgspec.Struct, frozen=True, omit_defaults=True):
    """One change of one alert.

    ``at`` is the journal time of the decision and ``end`` the end of the window that it was taken on (both ns);
    ``value`` is the window's value and ``samples`` the number of readings in it. ``id`` is the same in every run of
    the same journal: rule, version, key, window end, change and level.
    ``flapping``: the key was raised too often lately, so that it is lowered later than usual.
    ``vehicle`` is there when one reading of one identified vehicle made the change, ``spaces`` (the nearest compounds
    with free parking spaces) when the rule's message asks for them, ``gap`` when it is about a hole in the roster.
    ``finding`` counts those of an alert that tells of each, from 1 on (0: no finding).
    """

    id: str
    rule: str
    version: str
    key: str
    place: str
    change: Change
    level: Level
    previous: Level
    at: int
    end: int
    value: float | None
    threshold: float | None
    samples: int
    vehicle: Vehicle | None = None
    flapping: bool = False
    spaces: tuple[Free, ...] = ()
    gap: Gap | None = None
    finding: int = 0

    @property
    def rises(self) -> bool:
        """Whether the alert is new, or graver than before."""
        return self.change in (Change.RAISED, Change.ESCALATED)


def transition_id(rule: str, version: str, key: str, end: int, change: Change, level: Level, which: str = "") -> str:
    """Compose the deterministic id; of several with which an alert goes on at one instant, each has its own."""
    whose = f":{which}" if which and change is Change.ANOTHER else ""
    return f"{rule}@{version}:{key}:{end}:{change.value}-{level.word}{whose}"


def change_of(previous: Level, level: Level) -> Change:
    """Name the step from one level to another."""
    if previous is Level.NONE:
        return Change.RAISED
    if previous is level:
        return Change.ANOTHER
    if level is Level.NONE:
        return Change.CLEARED
    return Change.ESCALATED if level > previous else Change.LOWERED


def unwatched(cleared: Transition) -> Transition:
    """The end of an alert, when it has ended only because the hours of its rule are over."""
    one, change = cleared, Change.UNWATCHED
    name = transition_id(one.rule, one.version, one.key, one.end, change, one.level)
    return msgspec.structs.replace(one, id=name, change=change)
