"""What is usual, learnt online per key; and how far from the usual a value is.

A *track* remembers samples by season. For the local hour that it is now, it says what is usual (the median of this
hour's samples) and how far values stray above and below the usual (the 90th and the 10th percentile of past errors,
written as the spread of a normal distribution; neither side counts for less than the mean of both: a side that seems
very narrow mostly has seen too little). Medians and percentiles do not care how far off an odd value was: one festival
does not make the next one usual.

::

    track   remembers by                                    samples   unusual means
    day     hour of the day, working days and days of rest   24       unusual by every track that has
    week    hour of the week                                  8       learnt enough to have a say

A crowd on a holiday Thursday is unlike other Thursdays but like days of rest, so it is not unusual; the same crowd on
an ordinary Thursday is. A key that no track knows well enough is *still learning*: its value counts as unknown, so it
neither alarms nor clears.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64, Int64
from sensord.core.instant import MINUTE, to_datetime
from sensord.core.rules.derived import Baseline, Bools, Measure, Season

STEP = 30 * MINUTE
"""A key learns at most one sample in each half hour, however often the rule looks."""
LEAST_SAMPLES = 6
"""So many samples make a median worth having."""
ERRORS, ERROR_EVERY, LEAST_ERRORS = 384, 2, 24
"""The errors of every second sample are kept, the last 384: sixteen days. 24 of them (one day) are the least."""
TAIL = 0.9
ONE_SIGMA = NormalDist().inv_cdf(TAIL)
"""A normal distribution has its 90th percentile so many standard deviations above its middle."""
MEMORY = 1024
"""The share of alarms in what is learnt is taken over about so many samples (three weeks)."""
HOURS = 24
_MONDAY = 3
"""1970-01-01, day zero, was a Thursday: three days after a Monday."""
_DAY_ZERO = 719_163
"""The proleptic Gregorian ordinal of day zero."""

Float32 = NDArray[np.float32]
Workday = Callable[[int], bool]
"""Whether a local day (counted from 1970-01-01) is worked."""


class Track:
    """The memory of one kind of season, for ``keys`` keys.

    ``samples`` float32 (slots, kept, keys), NaN where there is none yet; ``turn`` uint8 (slots, keys) is where the
    next one goes. ``errors`` float32 (384, keys): samples minus what was usual then; ``seen`` int32 (keys,) counts
    them. From these follow ``usual``, ``above`` and ``below`` (the spreads), float64 (keys,), NaN while unknown.
    """

    def __init__(self, slots: int, kept: int, keys: int) -> None:
        self.samples = np.full((slots, kept, keys), np.nan, np.float32)
        self.turn = np.zeros((slots, keys), np.uint8)
        self.errors = np.full((ERRORS, keys), np.nan, np.float32)
        self.seen = np.zeros(keys, np.int32)
        self.usual, self.above, self.below = (np.full(keys, np.nan) for _ in range(3))

    def look(self, near: tuple[int, int, int], keys: Int64) -> None:
        """Find what is usual in this hour, for some keys; ``near`` are the slots before, of and after it.

        The neighbours help out only while the hour itself has too few samples: a rush hour is unlike the hours beside.
        """
        usual, enough = _middle(self.samples[near[1]][:, keys])
        if not enough.all():
            wider, some = _middle(self.samples[list(near)][:, :, keys].reshape(-1, len(keys)))
            usual = np.where(enough, usual, np.where(some, wider, np.nan))
        self.usual[keys] = usual

    def spread(self, keys: Int64) -> None:
        """Find how far values stray from the usual, for some keys."""
        errors = np.sort(self.errors[:, keys], axis=0)
        count = ERRORS - np.isnan(errors).sum(axis=0)
        enough = count >= LEAST_ERRORS
        high, low = _quantile(errors, count, TAIL), _quantile(errors, count, 1.0 - TAIL)
        above, below = np.maximum(high, 0.0) / ONE_SIGMA, np.maximum(-low, 0.0) / ONE_SIGMA
        both = (above + below) / 2.0
        self.above[keys] = np.where(enough, np.maximum(above, both), np.nan)
        self.below[keys] = np.where(enough, np.maximum(below, both), np.nan)

    def learn(self, slot: int, keys: Int64, value: Float64) -> None:
        """Remember one sample for each of some keys, and every second error."""
        judged = keys[~np.isnan(self.usual[keys])]
        kept = judged[self.seen[judged] % ERROR_EVERY == 0]
        self.errors[self.seen[kept] // ERROR_EVERY % ERRORS, kept] = value[kept] - self.usual[kept]
        self.seen[judged] = (self.seen[judged] + 1) % (ERRORS * ERROR_EVERY)
        turn = self.turn[slot, keys]
        self.samples[slot, turn, keys] = value[keys]
        self.turn[slot, keys] = (turn + 1) % self.samples.shape[1]
        if len(kept):
            self.spread(kept)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state by name, for snapshots."""
        return {"samples": self.samples, "turn": self.turn, "errors": self.errors, "seen": self.seen}


def _middle(samples: Float32) -> tuple[Float64, Bools]:
    """The median of each column, and whether there are enough numbers in it for one worth having."""
    ordered = np.sort(samples, axis=0)
    count = len(ordered) - np.isnan(ordered).sum(axis=0)
    return _quantile(ordered, count, 0.5), count >= LEAST_SAMPLES


def _quantile(ordered: Float32, count: NDArray[np.intp], share: float) -> Float64:
    """The quantile of each column of sorted values, of which the first ``count`` are numbers (linear between ranks)."""
    rank = np.maximum(count - 1, 0) * share
    lower = np.floor(rank).astype(np.intp)
    upper = np.minimum(lower + 1, np.maximum(count - 1, 0))
    column = np.arange(ordered.shape[1])
    low, high = ordered[lower, column].astype(np.float64), ordered[upper, column].astype(np.float64)
    between: Float64 = low + (high - low) * (rank - lower)
    return between


_SHAPES = {"day": (2 * HOURS, 24), "week": (7 * HOURS, 8)}
"""Track: (its slots, how many samples each of them keeps)."""
_TRACKS = {Season.DAY: ("day",), Season.WEEK: ("day", "week")}


def _around(track: str, day: int, hour: int, workday: Workday) -> tuple[int, int, int]:
    """The slots of the hour before, of this hour and of the hour after."""
    if track == "week":
        first, hours, hour = 0, 7 * HOURS, (day + _MONDAY) % 7 * HOURS + hour
    else:
        first, hours = (0 if workday(day) else HOURS), HOURS
    return first + (hour - 1) % hours, first + hour, first + (hour + 1) % hours


class Usual:
    """The baseline of one rule. See :class:`sensord.core.rules.derived.Derivation`.

    ``zone`` says what hour it is for people, summer time included; ``workday`` knows the definition's calendar. A key
    takes 13.3 KB with ``season: week``, 6.2 KB with ``day``. ``learnt`` and ``alarms`` int32 (keys,) count what was
    learnt, and what of it was in alarm; ``sampled`` int64 (keys,) is the half hour of the last sample.
    """

    def __init__(self, spec: Baseline, keys: int, zone: str, workday: Workday) -> None:
        self._spec, self._zone, self._workday = spec, zone, workday
        self._tracks = {name: Track(*_SHAPES[name], keys) for name in _TRACKS[spec.season]}
        self.learnt, self.alarms = np.zeros(keys, np.int32), np.zeros(keys, np.int32)
        self.sampled = np.full(keys, np.iinfo(np.int64).min)
        self._all = np.arange(keys)
        self._hour, self._step = (0, -1), 0
        self._stale = self._all
        """The keys whose usual has to be looked up again: they have learnt since."""
        self._near: dict[str, tuple[int, int, int]] = {}

    def derive(self, end: int, value: Float64, known: Bools) -> tuple[Float64, Bools]:
        """Return how far each value is from the usual: the distance that every track agrees on, at least."""
        self._turn(end)
        with np.errstate(invalid="ignore", divide="ignore"):
            distances = [self._distance(track, value) for track in self._tracks.values()]
            low, high = reduce(np.fmin, distances), reduce(np.fmax, distances)
            distance = np.where(low > 0.0, low, np.where(high < 0.0, high, np.where(np.isnan(low), np.nan, 0.0)))
        known = known & ~np.isnan(distance)
        if self._spec.measure is Measure.RATIO:
            return distance + 1.0, known
        return np.abs(distance) if self._spec.outside else distance, known

    def _turn(self, end: int) -> None:
        """Look up what is usual in this hour, where another hour has begun or something was learnt."""
        self._step = (end - 1) // STEP
        moment = to_datetime(end - 1, self._zone)
        hour = (moment.toordinal() - _DAY_ZERO, moment.hour)
        if hour != self._hour:
            self._hour, self._stale = hour, self._all
            self._near = {name: _around(name, *hour, self._workday) for name in self._tracks}
        if len(self._stale):
            for name, track in self._tracks.items():
                track.look(self._near[name], self._stale)
            self._stale = self._all[:0]

    def _distance(self, track: Track, value: Float64) -> Float64:
        """Return spreads above (below: negative) the usual, or the ratio to it less one; NaN: cannot tell yet."""
        smallest = self._spec.smallest
        if self._spec.measure is Measure.RATIO:
            whole = np.maximum(track.usual, smallest)
            ratio: Float64 = np.where((whole > 0.0) & ~np.isnan(track.above), value / whole - 1.0, np.nan)
            lacking = np.minimum(value - track.usual, 0.0) / whole  # where little is usual, so little is not unusual
            return np.where((track.usual < smallest) & (ratio < 0.0), lacking, ratio)
        error = value - track.usual
        spread = np.maximum(np.where(error > 0.0, track.above, track.below), smallest)
        return np.where(spread > 0.0, error / spread, np.nan)

    def settle(self, value: Float64, known: Bools, alarmed: Bools) -> None:
        """Learn one sample a half hour; of those in alarm no more than their stated share."""
        due = known & (self.sampled < self._step)
        due &= ~alarmed | (self.alarms + 1 <= self._spec.learn_from_alarms * (self.learnt + 1))
        keys = np.flatnonzero(due)
        if not len(keys):
            return
        for name, track in self._tracks.items():
            track.learn(self._near[name][1], keys, value)
        self._stale = keys
        self.sampled[keys] = self._step
        self.learnt[keys] += 1
        self.alarms[keys] += alarmed[keys]
        full = keys[self.learnt[keys] >= MEMORY]
        self.learnt[full] //= 2
        self.alarms[full] //= 2

    def shown(self, key: int, value: float, threshold: float | None) -> tuple[float, float | None]:
        """Return the value and the threshold in the value's own unit: beyond it the value is unusual by every track."""
        if threshold is None:
            return value, None
        tracks = [track for track in self._tracks.values() if not np.isnan(track.usual[key] + track.above[key])]
        falling = threshold < (1.0 if self._spec.measure is Measure.RATIO else 0.0)
        if self._spec.outside and tracks:
            falling = value < sum(float(track.usual[key]) for track in tracks) / len(tracks)
        limits = [self._limit(track, key, abs(threshold), falling) for track in tracks]
        return value, (min(limits) if falling else max(limits)) if limits else None

    def _limit(self, track: Track, key: int, threshold: float, falling: bool) -> float:
        usual, smallest = float(track.usual[key]), self._spec.smallest
        if self._spec.measure is Measure.RATIO:
            whole = max(usual, smallest)
            return usual - (1.0 - threshold) * whole if falling and usual < smallest else whole * threshold
        spread = max(float((track.below if falling else track.above)[key]), smallest)
        return usual - threshold * spread if falling else usual + threshold * spread

    def skip(self, ends: range) -> None:
        """Nothing is learnt from what is unknown."""

    def learning(self) -> Bools:
        """Return for which keys no track can say yet how far values stray."""
        unknown: Bools = np.all([np.isnan(track.above) for track in self._tracks.values()], axis=0)
        return unknown

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the live state arrays by name."""
        state: dict[str, NDArray[Any]] = {"learnt": self.learnt, "alarms": self.alarms, "sampled": self.sampled}
        for name, track in self._tracks.items():
            state |= {f"{name}.{part}": array for part, array in track.arrays().items()}
        return state

    def rescale(self, factor: Float64) -> None:
        """See :class:`sensord.core.rules.derived.Derivation`."""
        for track in self._tracks.values():
            track.samples *= factor
            track.errors *= factor

    def restored(self) -> None:
        """Find the spreads again; what is usual is looked up at the next pane."""
        self._hour = (0, -1)
        for track in self._tracks.values():
            track.spread(self._all)
