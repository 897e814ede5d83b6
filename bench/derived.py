"""What baseline and trend cost, and how well a trend warns.

Speed: 5,000 lanes, each heard every ten seconds, one rule over a minute looked at every half minute; batches of 20,000
readings; the time of ``Engine.feed`` alone, best of three. The baseline has learnt for a month before (its state is
filled, then a stretch of more than two hours is fed, with its learning). Reference, measured in the same run: the same
rule without baseline and trend.

Warning: 400 lanes for 8 hours, a value a minute, noise of 5 (a tenth of it strays five times as far); half of the lanes
stay ten below the threshold of 100 or lower, half rise to 110 within 30 to 90 minutes. A warning is due within the 15
minutes before the crossing. Compared with other lines through the same values: one that looks back for longer, one that
need not be steady, least squares, and Holt's double smoothing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.engine import batches, rule, street
from bench.machine import describe
from sensord.core.batch import Float64
from sensord.core.definition import Definition
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.rules.derived import Baseline, Season, Trend
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Aggregate, Clear, LevelSpec, Rule
from sensord.core.rules.trend import STEADY, Heading

LANES, READINGS = 5_000, 4_000_000
KEYS, MINUTES, AHEAD, BACK, THRESHOLD = 400, 480, 15, 15, 100.0
Forecast = Callable[[int, Float64], Float64]


def rules() -> dict[str, Rule]:
    """Build the rules whose speed is measured."""
    plain = rule(0, Aggregate.MEAN, window=MINUTE, every=30 * SECOND)
    unusual: dict[str, Any] = {"levels": (LevelSpec(Level.YELLOW, 4.0),), "clear": Clear((1.0,), MINUTE)}
    return {
        "no baseline": plain,
        "season: day": msgspec.structs.replace(plain, baseline=Baseline(season=Season.DAY), **unusual),
        "season: week": msgspec.structs.replace(plain, baseline=Baseline(), **unusual),
        "trend": msgspec.structs.replace(plain, trend=Trend(AHEAD * MINUTE, BACK * MINUTE)),
    }


def learnt(engine: Engine) -> None:
    """Fill what a baseline has learnt after a month of twenty people, more or less."""
    dice = np.random.default_rng(3)
    [evaluator] = engine._evaluators  # noqa: SLF001 - a month of readings would take an hour to feed
    for name, array in evaluator.arrays().items():
        if name.endswith(("samples", "errors")):
            array[:] = dice.normal(20.0 if name.endswith("samples") else 0.0, 1.8, array.shape)
    evaluator.restored(evaluator.numbers(), dict(evaluator.tables()))


def speed(one: Rule) -> tuple[float, int]:
    """Return (readings/s, bytes of a snapshot)."""
    places, devices = street(LANES)
    definition, tree = Definition("bench", places, devices, (one,)), Places(places, devices)
    fed, best, size = list(batches(LANES, READINGS)), 0.0, 0
    for _ in range(3):
        engine = Engine(definition, tree)
        engine.feed(fed[0])
        learnt(engine)
        began = time.perf_counter()
        for batch in fed[1:]:
            engine.feed(batch)
        best = max(best, (READINGS - len(fed[0])) / (time.perf_counter() - began))
        size = len(engine.snapshot())
    return best, size


def lanes() -> tuple[Float64, Float64]:
    """Return values (minutes, lanes) and the minute at which each lane truly crosses (infinite: never)."""
    dice = np.random.default_rng(11)
    minutes, crossing = np.arange(MINUTES)[:, None], np.full(KEYS, np.inf)
    low = dice.uniform(40.0, 90.0, KEYS)
    level = np.repeat(low[None, :], MINUTES, axis=0)
    half = KEYS // 2
    start, length = dice.uniform(120, 360, half), dice.uniform(30, 90, half)
    begin = np.minimum(low[:half], 60.0)
    rise = np.clip((minutes - start) / length, 0.0, 1.0)
    level[:, :half] = begin + (110.0 - begin) * rise
    crossing[:half] = start + length * (THRESHOLD - begin) / (110.0 - begin)
    stray = np.where(dice.random((MINUTES, KEYS)) < 0.1, 5.0, 1.0)
    return level + dice.normal(0.0, 5.0, (MINUTES, KEYS)) * stray, crossing


def theil_sen(back: int, steady: float = STEADY) -> Forecast:
    """The project's own over so many minutes, with another idea of what is steady; nothing of what is there already."""
    rule = msgspec.structs.replace(rules()["trend"], every=MINUTE, trend=Trend(AHEAD * MINUTE, back * MINUTE))
    heading = Heading(rule, KEYS)

    def forecast(minute: int, value: Float64) -> Float64:
        heading.steady = steady
        expected, known = heading.derive(minute * MINUTE, value, np.ones(KEYS, np.bool_))
        return np.where(known & heading.coming & (value <= THRESHOLD), expected, -np.inf)

    return forecast


def least_squares() -> Forecast:
    """An ordinary line through the last values."""
    history: list[Float64] = []

    def forecast(_minute: int, value: Float64) -> Float64:
        history.append(value)
        if len(history) < BACK + 1:
            return np.full(KEYS, np.nan)
        slope, now = np.polyfit(np.arange(-BACK, 1), np.array(history[-BACK - 1 :]), 1)
        expected: Float64 = now + np.maximum(slope, 0.0) * AHEAD
        return expected

    return forecast


def holt(alpha: float, beta: float) -> Forecast:
    """Holt's linear smoothing of level and slope."""
    level, slope = np.full(KEYS, np.nan), np.zeros(KEYS)

    def forecast(_minute: int, value: Float64) -> Float64:
        nonlocal level, slope
        before = np.where(np.isnan(level), value, level)
        level = alpha * value + (1 - alpha) * (before + slope)
        slope = beta * (level - before) + (1 - beta) * slope
        expected: Float64 = level + np.maximum(slope, 0.0) * AHEAD
        return expected

    return forecast


def warnings(forecast: Forecast, hold: int) -> tuple[float, float, float]:
    """Return (share of crossings warned of in time, median minutes ahead, false warnings per lane and day).

    A warning begins when the forecast has been above for ``hold`` minutes; it ends when it has been five below for ten.
    """
    values, crossing = lanes()
    above, below, active = np.zeros(KEYS, np.intp), np.zeros(KEYS, np.intp), np.zeros(KEYS, np.bool_)
    ahead, false = np.full(KEYS, np.nan), 0
    for minute in range(MINUTES):
        expected = forecast(minute, values[minute])
        above = np.where(expected > THRESHOLD, above + 1, 0)
        below = np.where(expected < THRESHOLD - 5.0, below + 1, 0)
        raised = ~active & (above > hold)
        active = (active | raised) & (below < 10)
        due = raised & (crossing - minute <= 2 * AHEAD) & (crossing >= minute)
        ahead[due & np.isnan(ahead)] = (crossing - minute)[due & np.isnan(ahead)]
        false += int((raised & (crossing - minute > 2 * AHEAD)).sum())
    rising = np.isfinite(crossing)
    quiet_days = (rising.sum() * 0.5 + (~rising).sum()) * MINUTES / (24 * 60)
    return float((ahead[rising] >= 5.0).mean()), float(np.nanmedian(ahead)), false / quiet_days


def main() -> None:
    """Print both tables."""
    print(describe(__doc__))
    print(f"{'rule':14} {'readings/s':>12} {'ratio':>6} {'snapshot':>14} {'bytes a key':>12}")
    reference = 0.0
    for name, one in rules().items():
        found, size = speed(one)
        reference = reference or found
        print(f"{name:14} {found:>12,.0f} {found / reference:>6.2f} {size:>14,} {size / LANES:>12,.0f}")
    print(f"\n{'forecast':34} {'for':>5} {'5 min ahead':>12} {'median ahead':>13} {'false/lane/day':>15}")
    methods: dict[str, Callable[[], Forecast]] = {
        "steady, over 15 m (the default)": lambda: theil_sen(BACK),
        "steady, over 30 m": lambda: theil_sen(2 * BACK),
        "steady or not, over 15 m": lambda: theil_sen(BACK, 0.0),
        "least squares": least_squares,
        "Holt 0.2, 0.1": lambda: holt(0.2, 0.1),
        "Holt 0.1, 0.05": lambda: holt(0.1, 0.05),
    }
    for name, make in methods.items():
        for hold in (0, 1, 2):
            warned, minutes, false = warnings(make(), hold)
            print(f"{name:34} {hold:>3} m {warned:>12.0%} {minutes:>11.1f} m {false:>15.2f}")


if __name__ == "__main__":
    main()
