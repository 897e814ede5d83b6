"""Baseline and trend: against an obvious reference, through the engine, and however the work is cut."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sensord.core.alert import Transition
from sensord.core.batch import Batch
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND, parse_instant, to_datetime
from sensord.core.level import Level
from sensord.core.place import PlaceKind, Places
from sensord.core.rules import baseline
from sensord.core.rules.baseline import Usual
from sensord.core.rules.derived import Baseline, Measure, Season, Trend
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Aggregate, Capacity, Clear, Comparison, LevelSpec, Rule, Value
from sensord.core.rules.trend import POINTS, Heading
from sensord.core.schedule import Calendar
from sensord.core.stream import Stream
from tests.core.derived_reference import Memory, ObviousHeading, ObviousUsual
from tests.core.street import definition, density_rule, devices, places

MONDAY = (19_000 * DAY // (7 * DAY)) * 7 * DAY + 4 * DAY
"""A Monday at midnight UTC: day zero was a Thursday."""


def weekday(day: int) -> bool:
    """Monday to Friday are worked."""
    return (day + 3) % 7 < 5


def obvious_usual(season: Season, smallest: float, share: float) -> ObviousUsual:
    """The reference with the sizes that the core has."""
    tracks = [
        Memory(
            name,
            baseline._SHAPES[name][1],
            baseline.ERRORS,
            baseline.ERROR_EVERY,
            baseline.LEAST_ERRORS,
            baseline.LEAST_SAMPLES,
        )
        for name in baseline._TRACKS[season]
    ]
    return ObviousUsual(tracks, smallest, share)


def wild(dice: random.Random, hour: int) -> float | None:
    """A value with a daily rhythm, noise, outliers, and now and then none."""
    if dice.random() < 0.05:
        return None
    value = 20.0 + 15.0 * (8 <= hour % 24 < 20) + dice.gauss(0.0, 3.0)
    return value * dice.choice((3.0, 0.1)) if dice.random() < 0.03 else value


@given(
    seed=st.integers(0, 10_000),
    season=st.sampled_from(Season),
    smallest=st.sampled_from((0.0, 4.0)),
    share=st.sampled_from((0.0, 0.05, 0.5)),
    every=st.sampled_from((10, 30, 60)),
)
@settings(max_examples=8)
def test_the_distance_from_the_usual_is_the_obvious_one(
    seed: int, season: Season, smallest: float, share: float, every: int
) -> None:
    """For every key and pane the distance, and whether it is known, are those of the reference in plain Python."""
    dice, keys = random.Random(seed), 3
    usual = Usual(Baseline(season=season, smallest=smallest, learn_from_alarms=share), keys, "Asia/Shanghai", weekday)
    wanted = [obvious_usual(season, smallest, share) for _ in range(keys)]
    spoken = 0
    for pane in range(9 * 24 * 60 // every if every > 10 else 400):
        end = MONDAY + (pane + 1) * every * MINUTE
        values = [wild(dice, (end + 8 * HOUR) // HOUR) for _ in range(keys)]
        column = np.array([np.nan if value is None else value for value in values])
        known = ~np.isnan(column)
        distance, judged = usual.derive(end, column, known)
        local = (end + 8 * HOUR) // SECOND
        expected = [None if v is None else one.distance(local, v) for one, v in zip(wanted, values, strict=True)]
        assert judged.tolist() == [one is not None for one in expected]
        assert distance[judged] == pytest.approx([one for one in expected if one is not None], rel=1e-4, abs=1e-4)
        with np.errstate(invalid="ignore"):
            alarmed = judged & (np.abs(distance) > 3.0)
        usual.settle(column, known, alarmed)
        for one, value, loud in zip(wanted, values, alarmed.tolist(), strict=True):
            if value is not None:
                one.learn(local, value, loud)
        spoken += int(judged.sum())
    assert spoken > 100 or every == 10


@given(
    seed=st.integers(0, 10_000),
    panes=st.integers(5, 70),
    ahead=st.floats(0.5, 30),
    comparison=st.sampled_from((Comparison.ABOVE, Comparison.BELOW)),
)
@settings(max_examples=25)
def test_the_forecast_is_the_obvious_one(seed: int, panes: int, ahead: float, comparison: Comparison) -> None:
    """For every key and pane the value expected is that of the reference in plain Python."""
    dice, keys = random.Random(seed), 3
    trend = Trend(round(ahead * MINUTE), (panes - 1) * MINUTE)
    heading = Heading(density_rule(trend=trend, every=MINUTE, comparison=comparison), keys)
    rising = comparison is Comparison.ABOVE
    wanted = [ObviousHeading(trend.within / MINUTE, panes, POINTS, rising) for _ in range(keys)]
    drift = [dice.uniform(-2.0, 2.0) for _ in range(keys)]
    for pane in range(2 * panes):
        values = [
            None if dice.random() < 0.1 else 10.0 + slope * pane + dice.gauss(0.0, dice.choice((0.0, 5.0)))
            for slope in drift
        ]
        column = np.array([np.nan if value is None else value for value in values])
        expected = [one.expected(value) for one, value in zip(wanted, values, strict=True)]
        found, known = heading.derive(MONDAY + pane * MINUTE, column, ~np.isnan(column))
        assert known.tolist() == [one is not None for one in expected]
        assert found[known] == pytest.approx([one for one in expected if one is not None])


def gauge_rule(**changes: object) -> Rule:
    """People in a lane, against what is usual there, every half hour."""
    values: dict[str, object] = {
        "id": "unusual",
        "value": Value(Aggregate.MEAN, "count"),
        "window": 30 * MINUTE,
        "every": 30 * MINUTE,
        "levels": (LevelSpec(Level.YELLOW, 4.0), LevelSpec(Level.RED, 8.0)),
        "clear": Clear((1.0, 1.0), 30 * MINUTE),
        "baseline": Baseline(season=Season.DAY),
    }
    return density_rule(**{**values, **changes})


def counts(values: list[float], start: int = MONDAY, every: int = 10 * MINUTE, lane: int = 0) -> list[Batch]:
    """A batch per reading of one lane, ``every`` apart."""
    zero = np.zeros(1, np.int8)
    made = []
    for number, value in enumerate(values):
        at = np.array([start + number * every + SECOND])
        device, crowd = np.array([lane], np.int32), np.full(1, Stream.CROWD, np.int8)
        made.append(Batch(int(at[0]), crowd, device, at, at, zero, {"count": np.array([value])}, {}))
    return made


def rhythm(days: int, seed: int = 1) -> list[float]:
    """Quiet nights, busy days: a value every ten minutes, from midnight in Shanghai on."""
    dice = random.Random(seed)
    return [(60.0 if 8 <= number // 6 % 24 < 20 else 10.0) + dice.uniform(-4.0, 4.0) for number in range(days * 24 * 6)]


def engine_of(rule: Rule) -> Engine:
    """An engine with that rule alone, on the small street."""
    return Engine(definition(rules=(rule,)), Places(places(), devices(24 * HOUR)))


def said(engine: Engine, batches: list[Batch]) -> list[Transition]:
    """Everything that changed."""
    return [one for batch in batches for one in engine.feed(batch)]


LOCAL = MONDAY - 8 * HOUR
"""Midnight of that Monday in Shanghai."""


def test_the_same_crowd_is_usual_by_day_and_unusual_by_night() -> None:
    """Sixty people at noon raise nothing; the same sixty at three in the morning do, with the value people can read."""
    engine = engine_of(gauge_rule())
    values = rhythm(5)
    night = 4 * 144 + 3 * 6
    values[night : night + 6] = [60.0] * 6
    transitions = [one for one in said(engine, counts(values, LOCAL)) if one.at > LOCAL + 3 * DAY]
    assert [(one.change, one.level) for one in transitions] == [("raised", Level.RED), ("cleared", Level.NONE)]
    raised = transitions[0]
    assert raised.end == LOCAL + 4 * DAY + 3 * HOUR + 30 * MINUTE
    assert raised.value == 60.0
    assert raised.threshold is not None
    assert 10.0 < raised.threshold < 60.0


def test_while_it_learns_it_says_nothing_and_says_so() -> None:
    """On the first day even a thousand people are not unusual: nobody knows yet what is usual. ``learning`` says so."""
    engine = engine_of(gauge_rule())
    values = rhythm(1)
    values[-30:] = [1000.0] * 30
    batches = counts(values, LOCAL)
    assert said(engine, batches[:100]) == []
    assert engine.learning() == {"unusual": ["G1-L1", "G1-L2", "G2-L1", "G2-L2"]}
    assert said(engine, batches[100:]) == []
    assert said(engine, counts(rhythm(4), LOCAL + DAY)) == []
    assert engine.learning() == {"unusual": ["G1-L2", "G2-L1", "G2-L2"]}


@pytest.mark.parametrize(("share", "still_alarming"), [(0.0, True), (0.05, True), (0.2, False), (1.0, False)])
def test_it_learns_from_alarms_only_their_share(share: float, still_alarming: bool) -> None:
    """After a fortnight of a new crowd it is still unusual, unless a fifth or more may be learnt from alarms."""
    spec = Baseline(season=Season.DAY, learn_from_alarms=share)
    engine = engine_of(gauge_rule(baseline=spec))
    said(engine, counts(rhythm(7), LOCAL))
    crowded = [value + 100.0 for value in rhythm(14, 2)]
    raised = said(engine, counts(crowded, LOCAL + 7 * DAY))
    assert raised[0].change == "raised"
    assert bool(engine.active()) is still_alarming


def test_summer_time_moves_the_hours_of_the_day() -> None:
    """The rush at eight is usual at eight by the clock on the wall, also after the clocks were changed."""
    dice, usual = random.Random(4), Usual(Baseline(season=Season.DAY), 1, "Australia/Melbourne", weekday)
    start = parse_instant("2015-03-16", "Australia/Melbourne")
    rush: list[tuple[str, float]] = []
    for pane in range(24 * 24):
        end = start + (pane + 1) * HOUR
        wall = to_datetime(end - 1, "Australia/Melbourne")
        busy = wall.hour == 8 and wall.weekday() < 5
        column = np.array([(900.0 if busy else 100.0) + dice.uniform(-9.0, 9.0)])
        distance, known = usual.derive(end, column, np.array([True]))
        usual.settle(column, np.array([True]), known & (distance > 4.0))
        if busy:
            rush.append((wall.date().isoformat(), float(distance[0])))
    after = [distance for day, distance in rush if day >= "2015-04-06"]
    assert len(after) == 3
    assert max(map(abs, after)) < 2.0


@pytest.mark.parametrize(("holidays", "levels"), [((), [Level.YELLOW]), (("2022-02-03",), [])])
def test_holidays_are_like_days_of_rest(holidays: tuple[str, ...], levels: list[Level]) -> None:
    """A Thursday as quiet as a Sunday is unusual, unless the calendar has it as a holiday."""
    rung = LevelSpec(Level.YELLOW, 8.0)
    rule = gauge_rule(baseline=Baseline(outside=True), levels=(rung,), clear=Clear((1.0,), 0))
    calendar = Calendar(holidays=holidays)
    engine = Engine(definition(rules=(rule,), calendar=calendar), Places(places(), devices(24 * HOUR)))
    thursday, dice = LOCAL + 24 * DAY, random.Random(3)
    values = []
    for slot in range(25 * 48):
        at = LOCAL + slot * 30 * MINUTE
        rest = to_datetime(at, "Asia/Shanghai").weekday() >= 5 or at >= thursday
        values.append((20.0 if rest else 80.0) + dice.uniform(-2.0, 2.0))
    assert to_datetime(thursday, "Asia/Shanghai").date().isoformat() == "2022-02-03"
    transitions = said(engine, counts(values, LOCAL, 30 * MINUTE))
    assert [one.level for one in transitions if one.end > thursday and one.level][:1] == levels


def test_a_ratio_is_a_multiple_of_the_usual() -> None:
    """``ratio: 2`` is met by 130 people where 60 are usual, not by 110; a usual of nothing is taken as ``smallest``."""
    usual = Usual(Baseline(season=Season.DAY, measure=Measure.RATIO, smallest=1.0), 2, "UTC", weekday)
    for pane in range(4 * 48):
        column = np.array([60.0 + pane % 3 - 1.0, 0.0])
        usual.derive(MONDAY + (pane + 1) * 30 * MINUTE, column, np.array([True, True]))
        usual.settle(column, np.array([True, True]), np.array([False, False]))
    ratio, known = usual.derive(MONDAY + 4 * DAY + 30 * MINUTE, np.array([130.0, 3.0]), np.array([True, True]))
    assert known.all()
    assert ratio == pytest.approx([130 / 60, 3.0], rel=0.01)


def test_little_where_little_is_usual_is_not_too_little() -> None:
    """Below ``smallest`` a part is lacking only of as much as that: an empty night is as usual, no empty noon."""
    spec = Baseline(season=Season.DAY, measure=Measure.RATIO, smallest=30.0)
    usual, night, noon = Usual(spec, 3, "UTC", weekday), np.array([0.0, 20.0, 80.0]), np.full(3, True)
    for pane in range(4 * 48):
        usual.derive(MONDAY + (pane + 1) * 30 * MINUTE, night, noon)
        usual.settle(night, noon, ~noon)
    for value, wanted in ((0.0, [1.0, 1 / 3, 0.0]), (8.0, [1.0, 0.6, 0.1]), (20.0, [1.0, 1.0, 0.25])):
        ratio, known = usual.derive(MONDAY + 4 * DAY + 30 * MINUTE, np.full(3, value), noon)
        assert known.all()
        assert ratio == pytest.approx(wanted)
    assert usual.shown(1, 0.0, 0.5) == (0.0, 5.0)
    assert usual.shown(2, 0.0, 0.1) == (0.0, 8.0)


def test_a_value_that_never_moved_has_no_spread_to_be_measured_in() -> None:
    """Without ``smallest`` a constant value stays unknown: one more would be infinitely unusual."""
    for smallest, known in ((0.0, False), (2.0, True)):
        usual = Usual(Baseline(season=Season.DAY, smallest=smallest), 1, "UTC", weekday)
        for pane in range(4 * 48):
            usual.derive(MONDAY + (pane + 1) * 30 * MINUTE, np.array([7.0]), np.array([True]))
            usual.settle(np.array([7.0]), np.array([True]), np.array([False]))
        _, judged = usual.derive(MONDAY + 4 * DAY + 30 * MINUTE, np.array([9.0]), np.array([True]))
        assert judged.tolist() == [known]


def trend_rule(**changes: object) -> Rule:
    """Warn yellow a quarter of an hour before a mean of 100 people."""
    values: dict[str, object] = {
        "id": "heading",
        "window": 2 * MINUTE,
        "every": MINUTE,
        "levels": (LevelSpec(Level.YELLOW, 100.0),),
        "clear": Clear((20.0,), 3 * MINUTE),
        "trend": Trend(15 * MINUTE, 30 * MINUTE),
        "baseline": None,
    }
    return gauge_rule(**{**values, **changes})


def test_a_rising_crowd_is_announced_before_it_is_there() -> None:
    """Two people more each minute: the warning comes about a quarter of an hour before the hundredth, and then ends."""
    values = [20.0] * 20 + [20.0 + 2 * minute for minute in range(41)] + [100.0] * 5 + [20.0] * 40
    transitions = said(engine_of(trend_rule()), counts(values, LOCAL, MINUTE))
    assert [one.change for one in transitions] == ["raised", "cleared"]
    ahead = LOCAL + 60 * MINUTE - transitions[0].at
    assert 10 * MINUTE <= ahead <= 17 * MINUTE
    assert transitions[0].threshold == 100.0


def test_noise_is_no_trend() -> None:
    """Eight hours of noise that stays twenty below the threshold warn of nothing."""
    dice = random.Random(5)
    values = [70.0 + dice.gauss(0.0, 5.0) for _ in range(8 * 60)]
    assert said(engine_of(trend_rule()), counts(values, LOCAL, MINUTE)) == []


def test_a_trend_needs_half_of_its_points() -> None:
    """Right after the start nothing is expected yet, however steep the first minutes are."""
    engine = engine_of(trend_rule())
    assert said(engine, counts([10.0, 30.0, 50.0, 70.0, 90.0], LOCAL, MINUTE)) == []
    assert "heading" in engine.learning()


@pytest.mark.parametrize(
    ("rule", "limit"),
    [(gauge_rule(), 6_300), (gauge_rule(baseline=Baseline()), 13_500), (trend_rule(), 600)],
    ids=["day", "week", "trend"],
)
def test_the_memory_of_a_key_is_bounded(rule: Rule, limit: int) -> None:
    """A key's arrays have a fixed size, the one that the documents state, whatever was seen."""
    derivation = Usual(rule.baseline, 1, "UTC", weekday) if rule.baseline is not None else Heading(rule, 1)
    assert sum(array.nbytes for array in derivation.arrays().values()) <= limit


def test_a_changed_rule_keeps_what_it_has_learnt_unless_its_window_changed() -> None:
    """New levels go on with the old baseline; another window means another usual, which is learnt from the start."""
    before = engine_of(gauge_rule())
    said(before, counts(rhythm(4), LOCAL))
    assert "G1-L1" not in before.learning()["unusual"]
    for changes, forgotten in (
        ({"levels": (LevelSpec(Level.RED, 5.0),), "clear": Clear((1.0,), 0)}, False),
        ({"window": HOUR, "every": HOUR}, True),
    ):
        after = engine_of(gauge_rule(**changes))
        after.carry_over(before, LOCAL + 4 * DAY)
        assert ("G1-L1" in after.learning()["unusual"]) is forgotten


def fitting(rule: Rule, capacity: int) -> Engine:
    """An engine with that rule alone; so many people fit into each lane."""
    lanes = tuple(replace(one, capacity=capacity) if one.kind is PlaceKind.LANE else one for one in places())
    sensors = devices(24 * HOUR)
    return Engine(definition(rules=(rule,), places=lanes, devices=sensors), Places(lanes, sensors))


CROWDED: dict[str, object] = {"percent_of": Capacity.CAPACITY}


@pytest.mark.parametrize(
    ("before", "after", "values", "every"),
    [
        (gauge_rule(**CROWDED), gauge_rule(**CROWDED), rhythm(6), 10 * MINUTE),
        (gauge_rule(), gauge_rule(**CROWDED), rhythm(6), 10 * MINUTE),
        (trend_rule(**CROWDED), trend_rule(**CROWDED), [40.0] * 100, MINUTE),
    ],
    ids=["percent", "percent from now on", "trend"],
)
@pytest.mark.parametrize("capacity", [50, 800])
def test_what_was_learnt_is_in_the_unit_of_now(
    before: Rule, after: Rule, values: list[float], every: int, capacity: int
) -> None:
    """Nobody comes or goes because a place is said to hold more, or less: as many people as ever are not unusual."""
    old, new, batches = fitting(before, 200), fitting(after, capacity), counts(values, LOCAL, every)
    middle = len(batches) * 5 // 6
    assert said(old, batches[:middle]) == []
    assert new.carry_over(old, batches[middle - 1].now) == []
    assert new.learning() == old.learning()
    assert said(new, batches[middle:]) == []
