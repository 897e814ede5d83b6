"""Baseline and trend once more, slow and obvious, in plain Python for one key: written from docs/rules.md."""

from __future__ import annotations

import math
import statistics
import struct
from collections import defaultdict, deque

HALF_HOUR = 1800
HOUR = 3600
DAY = 86_400
ONE_SIGMA = statistics.NormalDist().inv_cdf(0.9)


def stored(value: float) -> float:
    """What is remembered is remembered in 32 bits."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def quantile(values: list[float], share: float) -> float:
    """The quantile, linear between the ranks."""
    ordered = sorted(values)
    rank = (len(ordered) - 1) * share
    lower = math.floor(rank)
    upper = min(lower + 1, len(ordered) - 1)
    return ordered[lower] + (ordered[upper] - ordered[lower]) * (rank - lower)


class Memory:
    """A track of one key: the last samples by season, and the last errors."""

    def __init__(self, season: str, kept: int, errors: int, every: int, least_errors: int, least_samples: int) -> None:
        self.season, self.every, self.least_errors, self.least_samples = season, every, least_errors, least_samples
        self.samples: defaultdict[object, deque[float]] = defaultdict(lambda: deque(maxlen=kept))
        self.errors: deque[float] = deque(maxlen=errors)
        self.judged = 0

    def slot(self, moment: int, beside: int) -> object:
        """The season of the hour (local seconds since 1970), or of one beside it."""
        day, hour = moment // DAY, moment % DAY // HOUR
        weekday = (day + 3) % 7
        if self.season == "day":
            return weekday >= 5, (hour + beside) % 24
        return (weekday * 24 + hour + beside) % 168

    def usual(self, moment: int) -> float | None:
        """The median of what was seen at this hour; while that is too little, at the hours beside it, too."""
        own = list(self.samples[self.slot(moment, 0)])
        pool = own + [value for beside in (-1, 1) for value in self.samples[self.slot(moment, beside)]]
        for samples in (own, pool):
            if len(samples) >= self.least_samples:
                return statistics.median(samples)
        return None

    def spreads(self) -> tuple[float, float] | None:
        """How far values stray (above, below)."""
        if len(self.errors) < self.least_errors:
            return None
        errors = list(self.errors)
        above, below = max(quantile(errors, 0.9), 0.0) / ONE_SIGMA, max(-quantile(errors, 0.1), 0.0) / ONE_SIGMA
        return max(above, (above + below) / 2), max(below, (above + below) / 2)

    def learn(self, moment: int, value: float) -> None:
        """Remember a sample."""
        usual = self.usual(moment)
        if usual is not None:
            if self.judged % self.every == 0:
                self.errors.append(stored(value - usual))
            self.judged += 1
        self.samples[self.slot(moment, 0)].append(stored(value))


class ObviousUsual:
    """The baseline of one key; times are local seconds since 1970."""

    def __init__(self, tracks: list[Memory], smallest: float, share: float) -> None:
        self.tracks, self.smallest, self.share = tracks, smallest, share
        self.learnt = self.alarms = 0
        self.last: int | None = None

    def distance(self, end: int, value: float) -> float | None:
        """How many spreads from the usual, by the most lenient track; None while learning."""
        found = []
        for track in self.tracks:
            usual, spreads = track.usual(end - 1), track.spreads()
            if usual is None or spreads is None:
                continue
            spread = max(spreads[0] if value > usual else spreads[1], self.smallest)
            if spread > 0:
                found.append((value - usual) / spread)
        if not found:
            return None
        if min(found) > 0:
            return min(found)
        return max(found) if max(found) < 0 else 0.0

    def learn(self, end: int, value: float, alarmed: bool) -> None:
        """Take a sample, at most one in each half hour; of those in alarm no more than the share."""
        half_hour = (end - 1) // HALF_HOUR
        if self.last == half_hour:
            return
        if alarmed and self.alarms + 1 > self.share * (self.learnt + 1):
            return
        for track in self.tracks:
            track.learn(end - 1, value)
        self.last = half_hour
        self.learnt += 1
        self.alarms += alarmed
        if self.learnt >= 1024:
            self.learnt, self.alarms = self.learnt // 2, self.alarms // 2


class ObviousHeading:
    """The trend of one key: values pane by pane, None where unknown."""

    def __init__(self, within: float, panes: int, points: int, rising: bool) -> None:
        self.within, self.rising = within, rising
        self.stride = math.ceil((panes - 1) / (points - 1))
        self.ages = range(0, panes, self.stride)
        self.values: list[float | None] = []

    def expected(self, value: float | None) -> float | None:
        """Where the line through the last values is so many panes from now; None when too little is known."""
        self.values.append(value)
        points = [
            (-age, known)
            for age in self.ages
            if age < len(self.values) and (known := self.values[-1 - age]) is not None
        ]
        third = max((len(self.ages) - 1) // 3 + 1, 4)
        newest = [point for point in points if -point[0] <= self.ages[third - 1]]
        if value is None or len(points) * 2 <= len(self.ages) or len(newest) * 2 <= third:
            return None
        way = 1 if self.rising else -1
        if self._agreement(points) < 0.5 or not _slopes(newest) or way * statistics.median(_slopes(newest)) <= 0:
            return value
        lines = [(points, self.within)]
        if self._agreement(newest) >= 0.8:
            lines.append((newest, min(self.within, 2 * self.ages[third - 1])))
        ends = []
        for line, ahead in lines:
            slope = statistics.median(_slopes(line))
            if way * slope > 0:
                ends.append(statistics.median(known - slope * at for at, known in line) + slope * ahead)
        return (max(ends) if self.rising else min(ends)) if ends else value

    def _agreement(self, points: list[tuple[int, float]]) -> float:
        """By which share of all pairs those that go the rule's way outnumber the others."""
        way, rises = 1 if self.rising else -1, _slopes(points)
        signs = [(way * rise > 0) - (way * rise < 0) for rise in rises]
        return sum(signs) / len(rises) if rises else 0.0


def _slopes(points: list[tuple[int, float]]) -> list[float]:
    return [(b[1] - a[1]) / (b[0] - a[0]) for i, a in enumerate(points) for b in points[:i]]
