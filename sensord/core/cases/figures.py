"""A stretch of time in numbers: how many cases, how bad, how fast people were, and who did not respond. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from sensord.core.cases.case import Case
from sensord.core.instant import MINUTE
from sensord.core.level import LADDER


class Figures(msgspec.Struct, frozen=True):
    """The numbers of [start, end). ``levels`` counts the cases opened in it by the highest level that they reached.

    ``opened``, ``told`` and the medians (minutes since opening; None: of nothing) are of the cases opened in it;
    ``closed`` those that ended in it, ``open`` those that still stood at its end. ``people`` counts the lines of the
    ledger, ``answered`` those of them that were answered.
    """

    opened: int
    closed: int
    open: int
    levels: dict[str, int]
    told: int
    people: int
    answered: int
    acknowledge: float | None
    arrive: float | None
    disperse: float | None


class Silent(msgspec.Struct, frozen=True):
    """Somebody who was told and said nothing: of ``pages`` cases in this grid and shift, ``unanswered`` ones."""

    person: str
    role: str
    grid: str
    shift: str
    pages: int
    unanswered: int


def figures(cases: Sequence[Case], start: int, end: int) -> Figures:
    """Count the cases that were open at some time in [start, end) (ns)."""
    opened = [case for case in cases if start <= case.opened_at < end]
    lines = [line for case in opened for line in case.told.values() if line.times]
    return Figures(
        opened=len(opened),
        closed=sum(start <= case.closed_at < end for case in cases),
        open=sum(not case.closed_at or case.closed_at >= end for case in cases),
        levels={level.word: sum(case.peak is level for case in opened) for level in LADDER},
        told=sum(line.times for line in lines),
        people=len(lines),
        answered=sum(not line.silent for line in lines),
        acknowledge=_median(case.acknowledged_at - case.opened_at for case in opened if case.acknowledged_at),
        arrive=_median(case.arrived_at - case.opened_at for case in opened if case.arrived_at),
        disperse=_median(case.cleared_at - case.opened_at for case in opened if case.cleared_at),
    )


def silent(cases: Iterable[Case], person: str = "", shift: str | None = None) -> list[Silent]:
    """Who was told and said nothing, the most silent first; of one person or shift when one is given."""
    told, unanswered = Counter[tuple[str, str, str, str]](), Counter[tuple[str, str, str, str]]()
    for case in cases:
        for name, line in case.told.items():
            for asked in line.asked if person in ("", name) else ():
                if shift in (None, asked):
                    key = (name, line.role, case.grid, asked)
                    told[key] += 1
                    unanswered[key] += asked in line.unanswered
    order = sorted((key for key in told if unanswered[key]), key=lambda key: (-unanswered[key], key))
    return [Silent(*key, told[key], unanswered[key]) for key in order]


def _median(durations: Iterable[int]) -> float | None:
    known = list(durations)
    return round(median(known) / MINUTE, 1) if known else None
