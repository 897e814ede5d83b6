"""The alert diff: what another set of rules would have added, removed, moved in time, or given another level.

Two alerts are the same when they are of the same rule and key and overlap; of those left over, when they begin within
five minutes of each other. Each has at most one partner, the earliest that fits.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec

from sensord.backtest.outcome import Episode, Outcome, Page
from sensord.core.instant import MINUTE, SECOND, to_datetime

NEAR = 5 * MINUTE
STILL = SECOND
"""A beginning that moves by less has not moved."""


class Difference(StrEnum):
    """How an alert differs; one alert may differ in time and in level."""

    ADDED = "added"
    REMOVED = "removed"
    EARLIER = "earlier"
    LATER = "later"
    HIGHER = "higher"
    LOWER = "lower"
    SAME = "same"


class Pair(msgspec.Struct, frozen=True):
    """An alert before and after; one of them may be missing. ``shift`` (ns) is by how much it begins later."""

    rule: str
    key: str
    place: str
    before: Episode | None
    after: Episode | None
    differences: tuple[Difference, ...]
    shift: int

    @property
    def start(self) -> int:
        """When the earlier of the two begins."""
        return min(one.start for one in (self.before, self.after) if one is not None)


class Row(msgspec.Struct, frozen=True):
    """A line of a summary: alerts before and after, and how they differ."""

    name: str
    before: int
    after: int
    counts: dict[str, int]


THIRDS = ("00–08", "08–16", "16–24")
"""Local hours of who has no shift on the roster."""
OFF_DUTY = "-"


class Comparison(msgspec.Struct):
    """A whole diff. ``pages`` counts per (person, role, shift): before and after.

    A shift is the roster's, as ``白班 08:00–20:00``; of who has none a third of the day; ``-`` when off duty.
    """

    pairs: list[Pair]
    by_rule: list[Row]
    by_place: list[Row]
    by_hour: list[Row]
    pages: list[tuple[str, str, str, int, int]]

    def count(self, difference: Difference) -> int:
        """How many alerts differ in this way."""
        return sum(difference in pair.differences for pair in self.pairs)


def compare(before: Outcome, after: Outcome) -> Comparison:
    """Compare two outcomes of one recording."""
    pairs = sorted(_paired(before.episodes, after.episodes, max(before.end, after.end)), key=_order)

    def hour(pair: Pair) -> str:
        return f"{to_datetime(pair.start, before.zone).hour:02d}"

    return Comparison(
        pairs,
        _rows(pairs, lambda pair: pair.rule),
        _rows(pairs, lambda pair: pair.place),
        _rows(pairs, hour, sorted),
        _pages(before, after),
    )


def _order(pair: Pair) -> tuple[int, str, str]:
    return pair.start, pair.rule, pair.key


def _paired(before: Iterable[Episode], after: Iterable[Episode], end: int) -> Iterable[Pair]:
    theirs: dict[tuple[str, str], list[Episode]] = defaultdict(list)
    for episode in sorted(after, key=lambda episode: episode.start):
        theirs[episode.rule, episode.key].append(episode)
    ours = sorted(before, key=lambda episode: episode.start)
    for alike in (_overlap, _near):
        alone = []
        for old in ours:
            waiting = theirs[old.rule, old.key]
            new = next((one for one in waiting if alike(old, one, end)), None)
            if new is None:
                alone.append(old)
            else:
                waiting.remove(new)
                yield _pair(old, new)
        ours = alone
    yield from (_pair(old, None) for old in ours)
    yield from (_pair(None, new) for rest in theirs.values() for new in rest)


def _overlap(old: Episode, new: Episode, end: int) -> bool:
    return old.start <= new.until(end) and new.start <= old.until(end)


def _near(old: Episode, new: Episode, _end: int) -> bool:
    return abs(old.start - new.start) <= NEAR


def _pair(old: Episode | None, new: Episode | None) -> Pair:
    known = old or new
    assert known is not None
    shift, found = 0, list[Difference]()
    if old is None or new is None:
        found.append(Difference.ADDED if old is None else Difference.REMOVED)
    else:
        shift = new.start - old.start
        if abs(shift) >= STILL:
            found.append(Difference.LATER if shift > 0 else Difference.EARLIER)
        if new.peak != old.peak:
            found.append(Difference.HIGHER if new.peak > old.peak else Difference.LOWER)
    return Pair(known.rule, known.key, known.place, old, new, tuple(found) or (Difference.SAME,), shift)


def _rows(
    pairs: Iterable[Pair], name: Callable[[Pair], str], order: Callable[[Iterable[str]], Iterable[str]] | None = None
) -> list[Row]:
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[name(pair)].append(pair)
    rows = {
        key: Row(
            key,
            sum(pair.before is not None for pair in group),
            sum(pair.after is not None for pair in group),
            dict(Counter(difference.value for pair in group for difference in pair.differences)),
        )
        for key, group in groups.items()
    }
    if order is not None:
        return [rows[key] for key in order(rows)]
    return sorted(rows.values(), key=lambda row: (-max(row.before, row.after), row.name))


def _pages(before: Outcome, after: Outcome) -> list[tuple[str, str, str, int, int]]:
    counts = [Counter((page.receiver, page.role, _shift(page, one)) for page in one.pages) for one in (before, after)]
    keys = sorted(set(counts[0]) | set(counts[1]))
    return [(*key, counts[0][key], counts[1][key]) for key in keys]


def _shift(page: Page, outcome: Outcome) -> str:
    """The shift as people write it."""
    if page.shift is None:
        return OFF_DUTY
    if page.shift in outcome.shifts:
        start, end = (f"{minute // 60:02d}:{minute % 60:02d}" for minute in outcome.shifts[page.shift])
        return f"{page.shift} {start}–{end}"
    return THIRDS[to_datetime(page.at, outcome.zone).hour // 8]
