"""The quarterly score: what share of pages and cases was met in time, as points of a hundred.

The formula is the configuration's: weights of four shares that sum to 100, minus points for each case that was overdue,
disputed or returned; never below zero. A share of nothing counts in full: who was not called has failed nobody.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sensord.core.cases.case import ENDED, Case
from sensord.core.instant import HOUR, MINUTE


class Score(msgspec.Struct, frozen=True):
    """The formula: weights (points), limits (ns), and points off per case."""

    acknowledged: float = 40.0
    arrived: float = 30.0
    ended: float = 20.0
    reported: float = 10.0
    acknowledge_within: int = 5 * MINUTE
    arrive_within: int = 15 * MINUTE
    end_within: int = HOUR
    overdue: float = 2.0
    disagreed: float = 2.0
    returned: float = 1.0


class Marks(msgspec.Struct, frozen=True):
    """What one grid or role did: counts, shares (0..1) and the points that they come to."""

    cases: int
    pages: int
    acknowledged: float
    arrived: float
    ended: float
    reported: float
    overdue: int
    disagreed: int
    returned: int
    points: float


def mark(cases: Iterable[Case], score: Score, role: str = "") -> Marks:
    """Mark closed cases; with ``role``, the pages of that role only."""
    whole = list(cases)
    told = [(one, line) for one in whole for line in one.told.values() if line.times and role in ("", line.role)]
    quick = sum(0 < line.acknowledged_at <= line.at + score.acknowledge_within for _, line in told)
    there = sum(0 < line.on_the_scene_at <= line.at + score.arrive_within for _, line in told)
    acknowledged, arrived = _share(quick, len(told)), _share(there, len(told))
    ended = _share(sum(one.closed_at <= one.opened_at + score.end_within for one in whole), len(whole))
    reported = _share(sum(bool(one.reported_at) for one in whole), len(whole))
    overdue = sum(one.overdue > 0 for one in whole)
    disagreed, returned = sum(one.disagreed for one in whole), sum(bool(one.returned) for one in whole)
    earned = score.acknowledged * acknowledged + score.arrived * arrived
    earned += score.ended * ended + score.reported * reported
    lost = score.overdue * overdue + score.disagreed * disagreed + score.returned * returned
    return Marks(
        cases=len(whole),
        pages=len(told),
        acknowledged=acknowledged,
        arrived=arrived,
        ended=ended,
        reported=reported,
        overdue=overdue,
        disagreed=disagreed,
        returned=returned,
        points=round(max(earned - lost, 0.0), 1),
    )


class Standing(msgspec.Struct, frozen=True):
    """The marks of a residential grid (role "": of all its roles together)."""

    grid: str
    role: str
    marks: Marks


def standings(cases: Iterable[Case], score: Score) -> list[Standing]:
    """Mark each grid, and each of its roles that was told of anything, over the filed cases that have ended."""
    done = [case for case in cases if case.state in ENDED and case.filed]
    made = []
    for grid in sorted({case.grid for case in done}):
        mine = [case for case in done if case.grid == grid]
        roles = sorted({line.role for case in mine for line in case.told.values() if line.times})
        made += [Standing(grid, role, mark(mine, score, role)) for role in ("", *roles)]
    return made


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 1.0
