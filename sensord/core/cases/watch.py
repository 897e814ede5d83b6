"""What the case book watches by itself: holes in the coming duty plan, and people who cannot be reached.

Both raise and clear alerts of built-in rules (``builtin``).
"""

from __future__ import annotations

import msgspec

from sensord.core.alert import Transition
from sensord.core.cases.builtin import HOLE, SOON, Active, change_alert
from sensord.core.instant import DAY, HOUR
from sensord.core.level import Level
from sensord.core.people.coverage import Hole

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


def hole_transitions(watched: Watched, holes: list[Hole], at: int) -> list[Transition]:
    """Compare the holes found at ``at`` with the alerts that are active, and return what has changed."""
    wanted: dict[str, tuple[Level, str, float]] = {}
    for hole in holes:
        if hole.place not in wanted:
            level = Level.ORANGE if hole.start - at < SOON else Level.YELLOW
            wanted[hole.place] = (level, hole.place, (hole.start - at) / HOUR)
    prefix = HOLE + ":"
    gone = [key.removeprefix(prefix) for key in watched.alerts if key.startswith(prefix)]
    changes = []
    for place in sorted({*wanted, *gone}):
        level, where, hours = wanted.get(place, (Level.NONE, place, 0.0))
        change = change_alert(watched.alerts, HOLE, place, where, level, at, hours)
        changes += [change] if change is not None else []
    return changes
