"""What people write about scheduled reports: how often, at what time, and who is told."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Every(StrEnum):
    """How often a report is made."""

    DAY = "day"
    WEEK = "week"
    """On Mondays."""
    QUARTER = "quarter"
    """On the first day of January, April, July and October."""


class ReportPlan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A schedule: ``at`` are minutes after local midnight, ascending; the roles ``tell`` hear that it is there.

    Several times a day make reports of shifts: each covers what has passed since the one before.
    """

    id: str
    at: tuple[int, ...]
    every: Every = Every.DAY
    tell: tuple[str, ...] = ()
