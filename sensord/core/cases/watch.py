"""What the case book watches by itself: holes in the coming duty plan, and people who cannot be reached.

Both raise and clear alerts of built-in rules (``builtin``).
"""

from __future__ import annotations

import msgspec

from sensord.core.alert import Gap, Transition
from sensord.core.cases.builtin import HOLE, SOON, Active, change_alert
from sensord.core.instant import DAY, HOUR
from sensord.core.level import Level
from sensord.core.people.coverage import Hole
from sensord.core.people.duty import DutyTable

RETRY = DAY
"""A contact that failed is tried again after so long."""


class Watched(msgspec.Struct):
    """The state: active built-in alerts, and failed contacts (person, channel, since).

    ``check_at`` is when the roster is looked through next (0: never), ``reports`` when each report is due next.
    """

    alerts: Active = {}
    failed: list[tuple[str, str, int]] = []
    check_at: int = 0
    reports: dict[str, int] = {}


def hole_transitions(watched: Watched, holes: list[Hole], duty: DutyTable, at: int) -> list[Transition]:
    """Compare the holes found at ``at`` with the alerts that are active, and return what has changed.

    Of a place's holes the first counts; it is said of which plans.
    """
    wanted: dict[str, Gap] = {}
    for hole in holes:
        gap = wanted.setdefault(hole.place, Gap(hole.start, hole.end, (), duty.shifts_at(hole.start)))
        if hole.start == gap.start:
            both = (*gap.plans, hole.plan)
            wanted[hole.place] = msgspec.structs.replace(gap, end=min(gap.end, hole.end), plans=both)
    prefix = HOLE + ":"
    gone = [key.removeprefix(prefix) for key in watched.alerts if key.startswith(prefix)]
    changes = []
    for place in sorted({*wanted, *gone}):
        found = wanted.get(place)
        level, hours = _weight(found, at)
        change = change_alert(watched.alerts, HOLE, place, place, level, at, hours)
        if change is not None:
            changes.append(msgspec.structs.replace(change, gap=found))
    return changes


def _weight(gap: Gap | None, at: int) -> tuple[Level, float]:
    """How bad a hole is, and in how many hours it begins; none is no alert."""
    if gap is None:
        return Level.NONE, 0.0
    return Level.ORANGE if gap.start - at < SOON else Level.YELLOW, (gap.start - at) / HOUR
