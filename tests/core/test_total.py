"""What several sensors see together: the sum of what each sees, and known only when each has said it."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sensord.core.alert import Transition
from sensord.core.batch import Batch
from sensord.core.definition import Definition
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Device, Places
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Aggregate, Clear, Comparison, LevelSpec, Rule, Value
from sensord.core.stream import Stream
from tests.core import wild
from tests.core.reference import Reference
from tests.core.street import START, definition, density_rule
from tests.core.test_in_part import says
from tests.core.test_reference import NOW, SECONDS, changes, cut, engine_of

EAST, WEST, NORTH = (
    Device(name, Stream.CROWD, place, 10 * SECOND)
    for name, place in (("east", "G1-L1"), ("west", "G1-L2"), ("north", "G1-L2"))
)
DEVICES = (EAST, WEST, NORTH)
TOGETHER = density_rule(
    id="together",
    by="grid",
    value=Value(Aggregate.TOTAL, "count"),
    window=MINUTE,
    every=10 * SECOND,
    levels=(LevelSpec(Level.ORANGE, 200.0),),
    clear=Clear((20.0,), 20 * SECOND),
)


def street(*devices: Device, rule: Rule = TOGETHER, lateness: int = 2) -> Definition:
    """A grid of two lanes with these sensors."""
    return definition(devices=devices, rules=(rule,), lateness={Stream.CROWD.word: lateness * SECOND})


def of(made: Definition) -> Engine:
    """An engine of a definition."""
    return Engine(made, Places(made.places, made.devices))


def batch(devices: tuple[Device, ...], said: dict[Device, dict[int, float]], until: int) -> Batch:
    """What each device says, by seconds after the start."""
    rows = sorted((second, devices.index(one), value) for one, says in said.items() for second, value in says.items())
    at = np.array([START + second * SECOND for second, _, _ in rows], np.int64)
    device, streams = np.array([row[1] for row in rows], np.int32), np.full(len(rows), Stream.CROWD, np.int8)
    counts = {"count": np.array([value for _, _, value in rows])}
    return Batch(START + until * SECOND, streams, device, at, at, np.zeros(len(at), np.int8), counts, {})


def told(found: list[Transition]) -> list[tuple[int, Level, float | None]]:
    """When the alert changed (seconds after the start), to what, and at which value."""
    return [((one.at - START) // SECOND, one.level, one.value) for one in found]


def run(said: dict[Device, dict[int, float]], until: int, **changed: object) -> list[tuple[int, Level, float | None]]:
    """What comes of what the sensors say; those that say nothing are registered, too."""
    devices = tuple(said)
    rule = replace(TOGETHER, **changed)
    return told(of(street(*devices, rule=rule)).feed(batch(devices, said, until)))


def test_the_same_people_are_counted_once() -> None:
    """Twenty in each of two lanes are forty, however often it is said; a hundred and ten in each are more than 200."""
    calm = {EAST: says(20.0, (0, 300)), WEST: says(20.0, (0, 300), every=2)}
    assert run(calm, 300) == []
    full = {EAST: says(110.0, (0, 300)), WEST: says(110.0, (0, 300), every=2)}
    assert [row[1:] for row in run(full, 300)] == [(Level.ORANGE, 220.0)]


def test_of_each_sensor_it_is_the_mean() -> None:
    """One odd reading of six weighs a sixth; of one sensor the total is its mean."""
    odd = says(150.0, (0, 300)) | {150: 450.0}
    assert run({EAST: odd}, 300) == []
    assert run({EAST: odd, WEST: says(10.0, (0, 300))}, 300)[0][1:] == (Level.ORANGE, 210.0)


SECOND_SENSOR = [
    pytest.param({}, id="falls silent"),
    pytest.param({"every": 5 * SECOND, "window": 5 * SECOND}, id="sends less often than the window is long"),
    pytest.param({"min_samples": 7}, id="sends fewer readings than are needed"),
]


@pytest.mark.parametrize("changed", SECOND_SENSOR)
def test_what_a_sensor_does_not_say_is_not_zero(changed: dict[str, object]) -> None:
    """An alert that 220 people raised does not end while one sensor tells too little, though the others see ten."""
    rest = says(110.0, (0, 120), every=1) | says(5.0, (120, 600), every=1)
    west = says(110.0, (0, 60), every=1) | says(110.0, (60, 600 if changed else 120))
    found = run({EAST: rest, WEST: west}, 600, **changed)
    assert [row[1] for row in found] == [Level.ORANGE]


@pytest.mark.parametrize("west", [{}, {0: 1.0, 30: 1.0}], ids=["never heard", "too seldom"])
def test_what_is_seen_raises_when_it_suffices(west: dict[int, float]) -> None:
    """More than 200 people before one sensor are more than 200, whatever the other would say; below, nobody knows."""
    found = run({EAST: says(230.0, (0, 300)), WEST: west}, 300, min_samples=3)
    assert [row[1:] for row in found] == [(Level.ORANGE, 230.0)]
    assert run({EAST: says(3.0, (0, 300)), WEST: west}, 300, comparison=Comparison.BELOW, min_samples=3) == []


def test_a_new_sensor_is_part_of_it_at_once() -> None:
    """The others' windows go on when a sensor is added before them in the registry, and it comes to what they see."""
    seen = {EAST: says(90.0, (0, 100)), WEST: says(90.0, (0, 100))}
    old = of(street(EAST, WEST))
    assert old.feed(batch((EAST, WEST), seen, 100)) == []
    new = of(street(NORTH, EAST, WEST))
    assert new.carry_over(old, START + 100 * SECOND) == []
    found = new.feed(batch((NORTH, EAST, WEST), {NORTH: {101: 60.0}}, 115))
    assert told(found) == [(112, Level.ORANGE, 240.0)]


@pytest.mark.parametrize("lateness", [1, 300])
def test_another_lateness_keeps_the_windows(lateness: int) -> None:
    """Panes that are still open are in another place when more or fewer of them may be, and hold the same."""
    seen = {EAST: says(90.0, (0, 100)) | {101: 180.0}, WEST: says(90.0, (0, 100)) | {102: 180.0}}
    old, new = of(street(EAST, WEST)), of(street(EAST, WEST, lateness=lateness))
    assert old.feed(batch((EAST, WEST), seen, 105)) == []
    assert new.carry_over(old, START + 105 * SECOND) == []
    more = {one: says(180.0, (110, 600)) for one in (EAST, WEST)}
    first = told(new.feed(batch((EAST, WEST), more, 600)))[0]
    assert first[1:] == (Level.ORANGE, 2 * (5 * 90.0 + 180.0) / 6)
    assert first[0] == 110 + lateness


def totals(dice: random.Random) -> Definition:
    """The wild street with rules on totals only, and on sensors."""

    def rule(name: str) -> Rule:
        while not (made := wild.reading_rule(dice, name)).window or made.stream not in (Stream.CROWD, Stream.LEVEL):
            pass
        value = Value(Aggregate.TOTAL, "count" if made.stream is Stream.CROWD else "value")
        typical = 91.7 * (0.2 if made.percent_of else 1.0)
        margin, levels = (typical * 0.05,) * 2, wild.levels_of(dice, made.comparison, typical)
        clear, own = replace(made.clear, margin=margin), replace(made, value=value, levels=levels, overrides=())
        return replace(own, clear=clear, min_samples=dice.choice((1, 1, 2, 4)))

    made = wild.definition(dice, 2)
    return replace(made, rules=(*(rule(f"total-{number}") for number in range(8)), *wild.sensor_rules(dice)))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20)
def test_totals_are_what_the_handbook_says(seed: int) -> None:
    """Every change is the reference's, whatever is late, silent, stuck, or out of order."""
    dice = random.Random(seed)
    made, readings = totals(dice), wild.readings(dice, SECONDS)
    assert changes(engine_of(made).feed(wild.batch(readings, NOW))) == Reference(made, readings, NOW).changes()


@given(
    seed=st.integers(0, 2**32),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    restart=st.integers(0, 7),
)
@settings(max_examples=15)
def test_totals_do_not_depend_on_cuts(seed: int, sizes: list[int], restart: int) -> None:
    """However the stretch is cut, and wherever it is resumed from a snapshot, the transitions are the same bytes."""
    dice = random.Random(seed)
    made, whole = totals(dice), wild.batch(wild.readings(dice, SECONDS), NOW)
    engine, parts = engine_of(made), list[Transition]()
    for number, part in enumerate(cut(whole, sizes), 1):
        parts += engine.feed(part)
        if restart and number % restart == 0:
            state, engine = engine.snapshot(), engine_of(made)
            engine.restore(state)
            assert engine.snapshot() == state
    assert parts == engine_of(made).feed(whole)
