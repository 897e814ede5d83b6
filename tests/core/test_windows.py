"""Windows against an independent, slow and obvious reference; and what is late."""

from __future__ import annotations

import math
import statistics
import sys
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.batch import Batch, Float64, tick
from sensord.core.instant import SECOND
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.rules.engine import Engine
from sensord.core.rules.gather import window_of
from sensord.core.rules.rule import Aggregate, Clear, Comparison, LevelSpec, Value
from sensord.core.rules.summary import Readings
from sensord.core.stream import Stream
from tests.core.street import START, definition, density_rule, devices, places

Point = tuple[int, int, int, float]
"""pane, key, offset within the pane, value"""


def obvious(aggregate: Aggregate, inside: list[Point]) -> float:
    """The aggregate of the readings in a window (or session), written down as one would explain it."""
    values = [value for _, _, _, value in inside]
    if aggregate is Aggregate.COUNT:
        return float(len(values))
    if aggregate is Aggregate.DISTINCT:
        return float(len(set(values)))
    if aggregate in (Aggregate.SUM, Aggregate.RATE):
        return float(sum(values)) / (PANES if aggregate is Aggregate.RATE else 1)
    return OBVIOUS[aggregate](values, [pane + offset / 10 for pane, _, offset, _ in inside]) if values else math.nan


OBVIOUS: dict[Aggregate, Callable[[list[float], list[float]], float]] = {
    Aggregate.MEAN: lambda values, times: sum(values) / len(values),
    Aggregate.TOTAL: lambda values, times: sum(values) / len(values),  # of one device each
    Aggregate.MIN: lambda values, times: min(values),
    Aggregate.MAX: lambda values, times: max(values),
    Aggregate.DELTA: lambda values, times: sum(values),
    Aggregate.LAST: lambda values, times: [v for v, t in zip(values, times, strict=True) if t == max(times)][-1],
    Aggregate.FIRST: lambda values, times: next(v for v, t in zip(values, times, strict=True) if t == min(times)),
    Aggregate.STDDEV: lambda values, times: statistics.stdev(values) if len(values) > 1 else math.nan,
    Aggregate.PERCENTILE: lambda values, times: sorted(values)[max(math.ceil(0.9 * len(values)), 1) - 1],
    Aggregate.SLOPE: lambda values, times: (
        statistics.linear_regression(times, values).slope if len(set(times)) > 1 else math.nan
    ),
}


PANES, GAP = 6, 3
READINGS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 2), st.integers(0, 9), st.integers(-50, 50)), max_size=120
)
AGGREGATES = [aggregate for aggregate in Aggregate if aggregate is not Aggregate.OCCUPANCY]
UNFIXED = [one for one in AGGREGATES if one not in (Aggregate.RATE, Aggregate.TOTAL)]
"""What needs no window of a fixed length."""


def windowed_values(shape: dict[str, int], aggregate: Aggregate, points: list[Point]) -> list[tuple[Float64, Float64]]:
    """What a window of this shape says at each of 45 panes, of a second each, fed one reading at a time."""
    value = Value(aggregate, "x", SECOND, 90.0)
    window = window_of(
        density_rule(value=value, every=SECOND, **{"window": 0, **shape}), 3, np.arange(3, dtype=np.int32), 64
    )
    for pane, key, offset, number in points:
        cells, keys, panes = (np.array([one], np.int64) for one in (pane % 64 * 3 + key, key, pane))
        reading = Readings(cells, keys, panes, np.array([offset * SECOND // 10]), np.array([number]))
        window.add(reading)
    return [window.seal(pane) for pane in range(45)]


def near(got: float, wanted: float, aggregate: Aggregate) -> bool:
    """Whether a value is right: within one per cent for a percentile, but for rounding otherwise."""
    return got == pytest.approx(
        wanted, rel=0.0101 if aggregate is Aggregate.PERCENTILE else 1e-9, abs=1e-9, nan_ok=True
    )


@given(READINGS, st.sampled_from(AGGREGATES))
@settings(max_examples=150)
def test_a_window_is_what_lies_in_it(readings: list[tuple[int, int, int, int]], aggregate: Aggregate) -> None:
    """For every key and every pane, the window's value is the obvious aggregate of the readings in its panes."""
    points = [(pane, key, offset, float(value)) for pane, key, offset, value in readings]
    for pane, (value, samples) in enumerate(windowed_values({"window": PANES * SECOND}, aggregate, points)):
        for key in range(3):
            inside = [point for point in points if pane - PANES < point[0] <= pane and point[1] == key]
            assert near(value[key], obvious(aggregate, inside), aggregate), (pane, key)
            assert samples[key] == len(inside)


@given(READINGS, st.sampled_from(UNFIXED))
@settings(max_examples=150)
def test_a_session_goes_on_until_its_gap(readings: list[tuple[int, int, int, int]], aggregate: Aggregate) -> None:
    """A session holds every reading since the last ``gap`` empty panes in a row, and nothing once they have passed."""
    points = [(pane, key, offset, float(value)) for pane, key, offset, value in readings]
    for pane, (value, samples) in enumerate(windowed_values({"session": GAP * SECOND}, aggregate, points)):
        for key in range(3):
            full = {point[0] for point in points if point[1] == key and point[0] <= pane}
            start = pane + 1
            while any(one in full for one in range(start - GAP, start)):
                start -= 1
            inside = [point for point in points if start <= point[0] <= pane and point[1] == key]
            assert near(value[key], obvious(aggregate, inside), aggregate), (pane, key)
            assert samples[key] == len(inside)


@given(READINGS, st.sampled_from(UNFIXED))
@settings(max_examples=150)
def test_the_last_readings_are_the_last_ones(readings: list[tuple[int, int, int, int]], aggregate: Aggregate) -> None:
    """A window of N readings holds the N with the latest event times, of equal times the later arrivals."""
    points = [(pane, key, offset, float(value)) for pane, key, offset, value in readings]
    for pane, (value, samples) in enumerate(windowed_values({"readings": 5}, aggregate, points)):
        for key in range(3):
            heard = [point for point in points if point[0] <= pane and point[1] == key]
            inside = sorted(heard, key=lambda point: (point[0], point[2]))[-5:]
            if samples[key]:
                assert near(value[key], obvious(aggregate, inside), aggregate), (pane, key)
            assert samples[key] == len(inside)


@pytest.mark.parametrize("odd", [3.4028234663852886e38, -1e140, 1e9])
@pytest.mark.parametrize("shape", [{"window": PANES * SECOND}, {"session": GAP * SECOND}, {"readings": 5}])
@pytest.mark.parametrize("aggregate", UNFIXED)
def test_an_odd_reading_is_forgotten_with_its_window(aggregate: Aggregate, shape: dict[str, int], odd: float) -> None:
    """Whatever was read first, or among the others, nothing of it is left once the window holds it no more."""
    noise = [(pane, 0, offset, 60.0 + (7 * pane + offset) % 10) for pane in range(8, 45) for offset in (1, 6)]
    since = [point for point in noise if point[0] >= 28]
    gap = [point for point in noise if not 20 < point[0] < 28]
    points = [(0, 0, 3, odd), *gap[:13], (14, 0, 2, odd), *gap[13:]]
    found = windowed_values(shape, aggregate, points)
    clean = windowed_values(shape, aggregate, since)
    for pane in range(35, 45):
        assert near(found[pane][0][0], clean[pane][0][0], aggregate), pane


@pytest.mark.parametrize("aggregate", [Aggregate.STDDEV, Aggregate.SLOPE, Aggregate.MEAN, Aggregate.SUM])
@pytest.mark.parametrize("shape", [{}, {"session": 10 * SECOND, "window": 0}, {"readings": 5, "window": 0}])
def test_no_number_is_too_large_to_calculate_with(aggregate: Aggregate, shape: dict[str, int]) -> None:
    """The largest and the smallest double, one after the other: nothing overflows, and the value stays a number."""
    engine = engine_of(
        value=Value(aggregate, "density", SECOND), levels=(LevelSpec(Level.YELLOW, 1e9),), every=SECOND, **shape
    )
    largest = sys.float_info.max
    readings = [(1.0, 1.0, 0.5), (2.0, 2.0, largest), (3.0, 3.0, largest), (3.5, 3.5, largest)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        changes = engine.feed(crowd([*readings, (4.0, 4.0, -largest)], 10))
    assert [one.change.value for one in changes][:1] == ["raised"]
    assert all(one.value is not None and math.isfinite(one.value) for one in changes)


def crowd(readings: list[tuple[float, float, float]], now: float) -> Batch:
    """Readings of the first lane as (arrival, event, density), in seconds after START."""
    count = len(readings)
    column = np.array(readings, np.float64).reshape(count, 3)
    nanoseconds = (column[:, :2] * SECOND).astype(np.int64) + START
    zeros = np.zeros(count, np.int8)
    return Batch(
        START + round(now * SECOND),
        np.full(count, Stream.CROWD, np.int8),
        np.zeros(count, np.int32),
        nanoseconds[:, 1],
        nanoseconds[:, 0],
        zeros,
        {"density": column[:, 2]},
        {},
    )


def engine_of(**changes: object) -> Engine:
    """An engine with one density rule over ten seconds, no hold, no margin."""
    simple: dict[str, object] = {
        "levels": (LevelSpec(Level.YELLOW, 1.0),),
        "clear": Clear((0.0,), 0),
        "window": 10 * SECOND,
        "every": 10 * SECOND,
        "comparison": Comparison.ABOVE,
    }
    rule = density_rule(**{**simple, **changes})
    return Engine(definition(rules=(rule,)), Places(places(), devices()))


def said(engine: Engine, batch: Batch) -> list[tuple[str, str, float]]:
    """What changed, as (change, level, seconds after START)."""
    return [(one.change.value, one.level.word, (one.at - START) / SECOND) for one in engine.feed(batch)]


def test_a_pane_is_sealed_when_its_end_plus_the_lateness_is_reached() -> None:
    """A window that ends at 10 s is judged at 12 s (lateness two seconds), not before.

    readings   |  x       |
    panes      0         10   12
                               ^ journal time reaches end + lateness: raised
    """
    engine = engine_of()
    assert said(engine, crowd([(3, 3, 5.0)], 3)) == []
    assert said(engine, tick(START + round(11.9 * SECOND))) == []
    assert said(engine, tick(START + 12 * SECOND)) == [("raised", "yellow", 12.0)]


def test_a_reading_is_late_if_and_only_if_its_pane_is_sealed() -> None:
    """A reading for the pane that ends at 10 s counts when it arrives at 11.9 s, and no longer at 12 s."""
    in_time = engine_of()
    assert said(in_time, crowd([(3, 3, 0.1), (11.9, 9, 5.0)], 20)) == [("raised", "yellow", 12.0)]
    too_late = engine_of()
    assert said(too_late, crowd([(3, 3, 0.1), (12.0, 9, 5.0)], 20)) == []


def test_an_unknown_value_neither_raises_nor_clears() -> None:
    """With no reading in the window the alert stays; it clears on the first window that shows calm."""
    engine = engine_of()
    assert said(engine, crowd([(1, 1, 5.0)], 12)) == [("raised", "yellow", 12.0)]
    assert said(engine, tick(START + 100 * SECOND)) == []
    assert said(engine, crowd([(101, 101, 0.1)], 130)) == [("cleared", "none", 112.0)]


def test_too_few_samples_are_unknown() -> None:
    """``min_samples: 3`` keeps a window of two readings from saying anything."""
    engine = engine_of(min_samples=3)
    assert said(engine, crowd([(1, 1, 5.0), (2, 2, 5.0)], 12)) == []
    assert said(engine, crowd([(13, 13, 5.0), (14, 14, 5.0), (15, 15, 5.0)], 22)) == [("raised", "yellow", 22.0)]


def test_falling_rules_wait_for_a_full_window() -> None:
    """A rule that alarms below a threshold says nothing until it has watched for a whole window."""
    engine = engine_of(comparison=Comparison.BELOW, window=30 * SECOND)
    quiet = [(float(second), float(second), 0.1) for second in range(1, 60, 5)]
    assert said(engine, crowd(quiet, 60)) == [("raised", "yellow", 42.0)]


def test_long_silence_is_crossed_and_changes_nothing() -> None:
    """After a year without a reading the same windows are judged as if every pane had been walked through."""
    engine = engine_of()
    year = 365 * 86_400
    assert said(engine, crowd([(1, 1, 0.1)], 12)) == []
    assert said(engine, crowd([(year, year, 5.0)], year + 12)) == [("raised", "yellow", float(year + 12))]
