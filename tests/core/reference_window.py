"""Windows and aggregates of the reference: every evaluation collects its readings from the whole past."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sensord.core.instant import DAY
from sensord.core.place import Device
from sensord.core.rules.rule import Aggregate, Capacity, Comparison, Rule, Value
from sensord.core.stream import Stream
from tests.core.reference_ladder import Ladder, meets
from tests.core.reference_values import LOCAL, Change, Reading

if TYPE_CHECKING:
    from tests.core.reference import Reference


class Windowed:
    """One key of a rule over a window."""

    def __init__(self, reference: Reference, rule: Rule, key: str) -> None:
        assert rule.value is not None
        self.reference, self.rule, self.key, self.value = reference, rule, key, rule.value
        self.lateness = reference.definition.lateness_of(rule.stream)
        self.apart = self.value.aggregate is Aggregate.TOTAL
        self.inside = self._in_time()

    def _pane(self, instant: int) -> int:
        return (instant + LOCAL) // self.rule.every

    def _end(self, pane: int) -> int:
        return (pane + 1) * self.rule.every - LOCAL

    def _in_time(self) -> Seen:
        """(pane, event time, value, device) of the readings that are not late, ordered by event time and arrival."""
        found = []
        counters: dict[str, tuple[int, float]] = {}
        for one in self.reference.of_key(self.rule, self.key):
            pane, value = self._pane(one.event_at), self._value_of(one)
            if value is None or self._end(pane) + self.lateness <= one.received_at:
                continue
            if self.value.aggregate is Aggregate.DELTA:
                value = added(counters, one, value)
            if value is not None:
                found.append((pane, one.event_at, value, one.device))
        return sorted(found, key=lambda reading: reading[:2])

    def _value_of(self, one: Reading) -> float | None:
        if self.value.field == "device":
            return float([device.id for device in self.reference.definition.devices].index(one.device))
        if self.value.field is not None:
            return one.fields.get(self.value.field)
        if self.value.aggregate is Aggregate.COUNT:
            return 1.0
        if one.stream is Stream.PLATE:
            return {"in": 1.0, "out": -1.0}.get(one.labels.get("direction", ""))
        if "enter" not in one.fields and "exit" not in one.fields:
            return None
        return one.fields.get("enter", 0.0) - one.fields.get("exit", 0.0)

    def _seen(self, pane: int) -> Seen:
        """The readings of the window that ends with a pane."""
        past = [one for one in self.inside if one[0] <= pane]
        if self.rule.readings:
            return past[-self.rule.readings :]
        if self.rule.session:
            gap, full = self.rule.session // self.rule.every, {one[0] for one in past}
            start = pane + 1
            while any(one in full for one in range(start - gap, start)):
                start -= 1
            return [one for one in past if one[0] >= start]
        if self.value.aggregate is Aggregate.OCCUPANCY:
            day = self._day(pane)
            return [one for one in past if self._day(one[0]) == day]
        return [one for one in past if one[0] > pane - self.rule.window // self.rule.every]

    def _day(self, pane: int) -> int:
        return (pane * self.rule.every - self.value.anchor) // DAY

    def changes(self) -> Iterator[Change]:
        """Evaluate at the end of every pane, once the lateness has passed."""
        reference, rule = self.reference, self.rule
        ladder = Ladder(reference, rule, self.key)
        pane = self._pane(reference.since - self.lateness)
        while (at := self._end(pane) + self.lateness) <= reference.now:
            seen, end = self._seen(pane), self._end(pane)
            value = self._aggregate(seen)
            value = None if value is None or math.isnan(value) else self._percent(value)
            samples = self._samples(seen)
            value = self._lacking(value, samples, ladder)
            if not reference.sighted(rule, self.key, at):
                value = None
            if value is not None and (unseen := reference.unseen(rule, self.key, at)):
                value = self._in_part(value, len(seen), unseen, ladder)
            full = rule.comparison in (Comparison.ABOVE, Comparison.AT_LEAST) or end - reference.since >= rule.window
            yield from ladder.move(at, end, value if full else None, samples)
            pane += 1

    def _samples(self, seen: Seen) -> int:
        """How many readings there are; for a total, of the device that has the fewest."""
        return min(Counter(one[3] for one in seen)[device] for device in self._devices()) if self.apart else len(seen)

    def _devices(self) -> list[str]:
        return self.reference.devices_of(self.rule)[self.key.split("/", maxsplit=1)[0]]

    def _lacking(self, value: float | None, samples: int, ladder: Ladder) -> float | None:
        """The value, unless there are too few readings; if others suffice, a device that lacks them changes nothing."""
        if value is None or samples >= self.rule.min_samples:
            return value
        return self._in_part(value, samples, [], ladder) if self.apart else None

    def _total(self, seen: Seen) -> float | None:
        """What the devices that sent enough say together: the mean of each."""
        means = []
        for device in self._devices():
            values = [one[2] for one in seen if one[3] == device]
            if values and len(values) >= self.rule.min_samples:
                means.append(statistics.fmean(values))
        return sum(means) if means else None

    def _in_part(self, value: float, samples: int, unseen: list[Device], ladder: Ladder) -> float | None:
        """What some of the sensors saw, if it alarms by itself whatever the others would say, and lowers nothing."""
        rule, aggregate = self.rule, self.value.aggregate
        rising = rule.comparison in (Comparison.ABOVE, Comparison.AT_LEAST)
        adding = aggregate in ADDING or (aggregate in ADDING_UNSIGNED and self.value.field != "value")
        falling = rule.comparison in (Comparison.BELOW, Comparison.AT_MOST) and aggregate is Aggregate.MIN
        if rule.readings or not (falling or (rising and adding)):
            return None
        if aggregate is Aggregate.MEAN:
            if not rule.window:
                return None
            zeros = sum(max(math.ceil(rule.window / device.period), 1) for device in unseen)
            value = value * samples / (samples + zeros)
        raises = any(meets(rule, rung, value, 0.0) for rung, _ in ladder.rungs)
        keeps = all(meets(rule, rung, value, margin) for rung, margin in ladder.rungs if rung.level <= ladder.level)
        return value if raises and keeps else None

    def _percent(self, value: float) -> float | None:
        if self.rule.percent_of is None:
            return value
        place = self.reference.places.by_id[self.reference.place_of(self.key.split("/")[0])]
        whole = place.parking if self.rule.percent_of is Capacity.PARKING else place.capacity
        return value * 100.0 / whole if whole else None

    def _aggregate(self, seen: Seen) -> float | None:
        aggregate = self.value.aggregate
        if aggregate is Aggregate.OCCUPANCY:
            inside = 0.0
            for pane in sorted({one[0] for one in seen}):
                inside = max(inside + sum(one[2] for one in seen if one[0] == pane), 0.0)
            return inside
        if self.apart:
            return self._total(seen)
        if not seen and aggregate in (Aggregate.COUNT, Aggregate.SUM, Aggregate.RATE, Aggregate.DISTINCT):
            return 0.0
        return AGGREGATES[aggregate](seen, self.value, self.rule.window) if seen else None


def added(counters: dict[str, tuple[int, float]], one: Reading, value: float) -> float | None:
    """What a cumulative counter added since the device's newest reading; None when that cannot be told."""
    before = counters.get(one.device)
    if before is not None and one.event_at <= before[0]:
        return None
    counters[one.device] = (one.event_at, value)
    if before is None:
        return None
    if value >= before[1]:
        return value - before[1]
    same_day = (before[0] + LOCAL) // DAY == (one.event_at + LOCAL) // DAY
    wrapped = same_day and 49_152 <= before[1] < 65_536 and value < 16_384
    return 65_536 - before[1] + value if wrapped else value


def bucket(value: float) -> float:
    """The value that stands for all within one per cent of it."""
    edge = 1e-6
    if abs(value) < edge:
        return 0.0
    while edge * 1.02 <= abs(value):
        edge *= 1.02
    return math.copysign(edge * (2 * 1.02 / 2.02), value)


ADDING = (
    Aggregate.COUNT,
    Aggregate.MAX,
    Aggregate.LAST,
    Aggregate.DISTINCT,
    Aggregate.DELTA,
    Aggregate.OCCUPANCY,
)
ADDING_UNSIGNED = (Aggregate.SUM, Aggregate.RATE, Aggregate.MEAN, Aggregate.TOTAL)
"""These rise with every number that is not below zero; a gauge's ``value`` may be."""
Seen = list[tuple[int, int, float, str]]


def _slope(seen: Seen, value: Value) -> float:
    times = [(one[1] - seen[0][1]) / value.per for one in seen]
    return statistics.linear_regression(times, [one[2] for one in seen]).slope if len(set(times)) > 1 else math.nan


AGGREGATES: dict[Aggregate, Callable[[Seen, Value, int], float]] = {
    Aggregate.COUNT: lambda seen, value, window: float(len(seen)),
    Aggregate.SUM: lambda seen, value, window: sum(one[2] for one in seen),
    Aggregate.DELTA: lambda seen, value, window: sum(one[2] for one in seen),
    Aggregate.RATE: lambda seen, value, window: sum(one[2] for one in seen) * (value.per / window),
    Aggregate.MEAN: lambda seen, value, window: sum(one[2] for one in seen) / len(seen),
    Aggregate.MIN: lambda seen, value, window: min(one[2] for one in seen),
    Aggregate.MAX: lambda seen, value, window: max(one[2] for one in seen),
    Aggregate.LAST: lambda seen, value, window: seen[-1][2],
    Aggregate.FIRST: lambda seen, value, window: seen[0][2],
    Aggregate.DISTINCT: lambda seen, value, window: float(len({one[2] for one in seen})),
    Aggregate.PERCENTILE: lambda seen, value, window: bucket(
        sorted(one[2] for one in seen)[max(math.ceil(value.rank / 100 * len(seen)), 1) - 1]
    ),
    Aggregate.STDDEV: lambda seen, value, window: (
        statistics.stdev([one[2] for one in seen]) if len(seen) > 1 else math.nan
    ),
    Aggregate.SLOPE: lambda seen, value, window: _slope(seen, value),
}
