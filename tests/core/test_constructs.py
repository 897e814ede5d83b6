"""What the reference cannot show: counters, drift, blindness by stillness, calendars, years of silence."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from sensord.core.alert import Change
from sensord.core.batch import Batch, tick
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND, parse_instant
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.rules.counter import Counters
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Aggregate, Clear, Comparison, LevelSpec, Rule, Stuck, Value
from sensord.core.schedule import Active, Calendar, Schedule
from sensord.core.stream import Stream
from tests.core import wild
from tests.core.street import START, definition, density_rule, devices, places

EIGHT = 8 * HOUR
NOON = parse_instant("2026-03-02T12:00:00+08:00")

COUNTERS = {
    # a reading every minute from noon on; what each adds ("-": nothing is known)
    "grows": ("5 5 9 20", "- 0 4 11"),
    "wraps at 16 bits": ("65500 65530 10 11", "- 30 16 1"),
    "restarts": ("300 320 5 9", "- 20 5 4"),
    "falls from the middle, which is no wrap": ("40000 200", "- 200"),
    "is larger than 16 bits, which do not wrap": ("100000 100050 7", "- 50 7"),
}


@pytest.mark.parametrize("name", COUNTERS)
def test_counters(name: str) -> None:
    """Each transcript adds what it says, reading by reading and all at once."""
    values, wanted = (text.split() for text in COUNTERS[name])
    numbers = np.array(values, np.float64)
    times, device = NOON + MINUTE * np.arange(len(values)), np.zeros(len(values), np.int32)
    expected = [np.nan if word == "-" else float(word) for word in wanted]
    assert Counters(1, EIGHT).added(device, times, numbers) == pytest.approx(expected, nan_ok=True)
    one = Counters(1, EIGHT)
    apart = [one.added(device[:1], times[at : at + 1], numbers[at : at + 1])[0] for at in range(len(values))]
    assert apart == pytest.approx(expected, nan_ok=True)


def test_a_counter_is_reset_at_local_midnight() -> None:
    """From the top quarter to the bottom over midnight is the daily reset, not a wrap."""
    midnight = parse_instant("2026-03-03T00:00:00+08:00")
    times, device = np.array([midnight - MINUTE, midnight + MINUTE]), np.zeros(2, np.int32)
    assert Counters(1, EIGHT).added(device, times, np.array([60_000.0, 12.0]))[1] == 12


def test_what_was_overtaken_adds_nothing() -> None:
    """A reading that is not newer than its device's newest changes nothing; what it held is in the newer one."""
    times, device = NOON + MINUTE * np.array([0, 2, 1, 2, 3]), np.zeros(5, np.int32)
    got = Counters(1, EIGHT).added(device, times, np.array([10.0, 30.0, 20.0, 25.0, 35.0]))
    assert got == pytest.approx([np.nan, 20, np.nan, np.nan, 5], nan_ok=True)


def crossings(rows: list[tuple[float, float, float]], now: float) -> Batch:
    """Readings of the first lane: (seconds after START, entered, left)."""
    column = np.array(rows, np.float64).reshape(len(rows), 3)
    at = (column[:, 0] * SECOND).astype(np.int64) + START
    zeros = np.zeros(len(rows), np.int8)
    device = np.zeros(len(rows), np.int32)
    fields = {"enter": column[:, 1], "exit": column[:, 2]}
    return Batch(START + round(now * SECOND), zeros, device, at, at, zeros, fields, {})


def test_the_drift_of_an_occupancy_is_reported() -> None:
    """What was clamped below zero, and what stood at the anchor, can be read off; then it starts from zero."""
    anchor = (START + EIGHT + 60 * SECOND) % DAY
    rule = density_rule(
        value=Value(Aggregate.OCCUPANCY, anchor=anchor // (10 * SECOND) * (10 * SECOND)),
        window=10 * SECOND,
        every=10 * SECOND,
        levels=(LevelSpec(Level.YELLOW, 8.0),),
        clear=Clear((0.0,), 0),
    )
    engine = Engine(definition(rules=(rule,)), Places(places(), devices()))
    said = engine.feed(crossings([(1, 3, 0), (12, 0, 5), (22, 9, 0)], 32))
    assert [(one.change, one.value) for one in said] == [(Change.RAISED, 9.0)]
    assert engine.drifts()[0].clamped == 2.0
    said = engine.feed(crossings([(62, 1, 0), (75, 1, 0)], 90))
    assert [(one.change, one.value) for one in said] == [(Change.CLEARED, 1.0)]
    assert (engine.drifts()[0].residue, engine.drifts()[0].clamped) == (9.0, 0.0)


STUCK = Rule(
    "stuck",
    {"zh": "不动"},
    Stream.CROWD,
    "device",
    "device",
    (LevelSpec(Level.BLUE, 1.0),),
    Clear((0.0,), 0),
    stuck=Stuck("enter", 30 * SECOND, 0),
)


def test_a_stuck_sensor_makes_its_place_unknown() -> None:
    """A value that does not move is blind: the place is unknown and nothing clears, until it moves again."""
    calm = density_rule(
        value=Value(Aggregate.LAST, "enter"),
        window=10 * SECOND,
        every=10 * SECOND,
        levels=(LevelSpec(Level.YELLOW, 5.0),),
        clear=Clear((0.0,), 60 * SECOND),
    )
    engine = Engine(definition(rules=(calm, STUCK)), Places(places(), devices()))
    rows = [(1.0, 9.0, 0.0), *((float(second), 0.0, 0.0) for second in range(11, 120, 5))]
    said = engine.feed(crossings(rows, 120))
    assert [(one.rule, one.change) for one in said] == [("density", Change.RAISED), ("stuck", Change.RAISED)]
    assert "G1-L1" in engine.unknown()
    said = engine.feed(crossings([(float(second), second % 2, 0.0) for second in range(121, 200, 5)], 200))
    assert [(one.rule, one.change) for one in said] == [("stuck", Change.CLEARED), ("density", Change.CLEARED)]
    assert "G1-L1" not in engine.unknown()


def test_a_sensor_never_heard_is_blind_from_the_first_moment_and_after_a_restart() -> None:
    """Its place is unknown before any deadline has passed, also after a restart; once heard it is not."""
    whole, tree = definition(rules=(density_rule(),)), Places(places(), devices())
    engine = Engine(whole, tree)
    engine.feed(crossings([(1.0, 1.0, 0.0)], 2))
    assert "G1-L1" not in engine.unknown()
    assert "G1-L2" in engine.unknown()
    again = Engine(whole, tree)
    again.restore(engine.snapshot())
    assert again.unknown() == engine.unknown()


@pytest.mark.parametrize("by", [Stream.CROWD, Stream.REPORT])
def test_a_sensor_that_tells_of_the_past_only_is_silent(by: Stream) -> None:
    """Its place is unknown and its silence is told of, until it says something of now; people report when they can."""
    silent = Rule("silent", {}, None, "device", "sensor", (LevelSpec(Level.BLUE, 1.0),), Clear((0.0,), 0), absent=3)
    listening = tuple(one for one in devices() if one.stream is by)[:1]
    engine = Engine(definition(rules=(silent,), devices=listening), Places(places(), listening))
    deadline = max(listening[0].deadline, 2 * SECOND) // SECOND

    def said(first: int, last: int, old: float) -> list[Change]:
        part = crossings([(float(second), 1.0, 0.0) for second in range(first, last, deadline // 5)], last)
        part = replace(part, event_at=part.event_at - round(old * SECOND))
        return [one.change for one in engine.feed(part)]

    assert said(1, 2 * deadline, deadline - 0.1) == []
    told = by is Stream.CROWD
    assert said(2 * deadline, 5 * deadline, deadline) == ([Change.RAISED] if told else [])
    assert (listening[0].place in engine.unknown()) is told
    assert said(5 * deadline, 6 * deadline, 0.0) == ([Change.CLEARED] if told else [])
    assert engine.unknown() == set()


CALENDAR = Calendar(("2025-10-01", "2025-10-02"), ("2025-09-28",), {"fair": ("2025-11-11",)})
TIMES = [
    (Active(("workday",)), "2025-09-30T12:00", True),
    (Active(("workday",)), "2025-10-01T12:00", False),  # a holiday, a Wednesday
    (Active(("workday",)), "2025-09-28T12:00", True),  # a Sunday that is worked
    (Active(("restday",)), "2025-10-04T12:00", True),  # a Saturday
    (Active(("holiday",)), "2025-10-04T12:00", False),
    (Active(("fair",)), "2025-11-11T00:00", True),
    (Active((), ("fair",)), "2025-11-11T23:59", False),
    (Active(("fri",), (), 22 * HOUR, 6 * HOUR), "2025-10-10T23:00", True),
    (Active(("fri",), (), 22 * HOUR, 6 * HOUR), "2025-10-11T05:59", True),  # Saturday morning belongs to Friday
    (Active(("fri",), (), 22 * HOUR, 6 * HOUR), "2025-10-10T05:59", False),
    (Active((), (), 9 * HOUR, 17 * HOUR), "2025-10-10T17:00", False),
]


@pytest.mark.parametrize(("active", "at", "wanted"), TIMES)
def test_active_times(active: Active, at: str, wanted: bool) -> None:
    """Days of the week, holidays, make-up workdays, own days, and hours that cross midnight."""
    assert Schedule((active,), CALENDAR, EIGHT).at(parse_instant(at)) is wanted


def test_years_of_silence_cost_nothing() -> None:
    """Rules of every construct cross ten years without a reading at once, and are right afterwards."""
    dice = random.Random(5)
    old = wild.definition(dice, 14)
    rules = [rule for rule in old.rules if not rule.active]
    names = {rule.id for rule in rules}
    rules = [one for one in rules if not one.combination or all(part.rule in names for part in one.combination.parts)]
    rules = [one for one in rules if not one.combination or one.id != "nested"]
    quick = definition(rules=tuple(rules), devices=wild.DEVICES, places=wild.PLACES)
    engine = Engine(quick, Places(quick.places, quick.devices))
    engine.feed(wild.batch(wild.readings(dice, 60), START + 70 * SECOND))
    engine.feed(tick(START + 3650 * DAY))  # pane by pane it would take hours, and this test's time is limited
    assert engine.now == START + 3650 * DAY
    assert {place for place in engine.unknown() if place.startswith("G1")} == {"G1-L1", "G1-L2"}


def test_a_falling_rule_skips_and_wakes() -> None:
    """A rule that alarms below a threshold says the same after a year of silence as after a minute."""
    changed = {"comparison": Comparison.BELOW, "levels": (LevelSpec(Level.YELLOW, 1.0),), "clear": Clear((0.0,), 0)}

    def said(gap: int) -> list[tuple[Change, int]]:
        engine = Engine(
            definition(rules=(density_rule(value=Value(Aggregate.LAST, "enter"), **changed),)),
            Places(places(), devices()),
        )
        rows = [(float(second), 9.0, 0.0) for second in range(1, 60, 5)]
        engine.feed(crossings(rows, 60))
        again = [(float(gap + second), 0.0, 0.0) for second in range(1, 60, 5)]
        return [(one.change, (one.at - START) // SECOND - gap) for one in engine.feed(crossings(again, gap + 60))]

    assert said(365 * 86_400) == said(600) != []
