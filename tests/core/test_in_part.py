"""A place with one of its sensors silent: what the others see may raise and hold a level, and lowers nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from sensord.core.batch import Batch
from sensord.core.cases.case import Happening
from sensord.core.cases.casebook import Story
from sensord.core.definition import Definition
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Device, Places
from sensord.core.record import Action, Group, Record, RecordKind
from sensord.core.rules.derived import Baseline
from sensord.core.rules.engine import Engine
from sensord.core.rules.probe import Doubt
from sensord.core.rules.rule import Aggregate, Clear, Comparison, LevelSpec, Rule, Stuck, Value
from sensord.core.rules.windowed import WindowedRule
from sensord.core.site import Site, definition_record
from sensord.core.stream import Stream
from sensord.drivers.explain import KeyProbe
from tests.core.street import START, definition, density_rule, grouped, message

EAST, WEST = (Device(name, Stream.CROWD, "G1-L1", 10 * SECOND) for name in ("east", "west"))
GAUGES = tuple(Device(f"gauge-{n}", Stream.LEVEL, "C1", 10 * SECOND) for n in (1, 2))
PEOPLE = tuple(Device(f"report-{n}", Stream.REPORT, "G1", 10 * SECOND) for n in (1, 2))
DEVICES = (EAST, WEST, *GAUGES, *PEOPLE)
DIES, BACK, END = 60, 240, 400
"""Seconds after the start: when one sensor falls silent, when it is heard again, and when nobody looks any more."""


def crowding(**changes: object) -> Rule:
    """Mean density, as the street's rule has it, with one rung."""
    levels = (LevelSpec(Level.ORANGE, 2.0),)
    return density_rule(**{"levels": levels, "clear": Clear((0.2,), 20 * SECOND), **changes})


def whole(*rules: Rule, devices: tuple[Device, ...] = DEVICES) -> Definition:
    """The street with these sensors and rules."""
    return definition(devices=devices, rules=rules)


def batch(said: Mapping[Device, Mapping[int, float]], until: int = END) -> Batch:
    """What each device says, by seconds after the start."""
    rows = sorted((second, DEVICES.index(one), value) for one, says in said.items() for second, value in says.items())
    at = np.array([START + second * SECOND for second, _, _ in rows], np.int64)
    device = np.array([number for _, number, _ in rows], np.int32)
    stream = np.array([DEVICES[number].stream for number in device], np.int8)
    value = np.array([value for _, _, value in rows])
    names = ("count", "enter", "value", "grade")
    fields = dict.fromkeys(names, value) | {"density": value / 50.0}
    return Batch(START + until * SECOND, stream, device, at, at, np.zeros(len(at), np.int8), fields, {})


def changes(rule: Rule, said: Mapping[Device, Mapping[int, float]], *more: Rule) -> list[tuple[int, Level]]:
    """When the rule's alert changed (seconds after the start), and to what."""
    made = whole(rule, *more)
    found = Engine(made, Places(made.places, made.devices)).feed(batch(said))
    return [((one.at - START) // SECOND, one.level) for one in found if one.rule == rule.id]


def says(value: float, *spans: tuple[int, int], every: int = 10) -> dict[int, float]:
    """One value at equal steps, in stretches [from, to) of seconds."""
    return {second: value for begin, end in spans for second in range(begin, end, every)}


HEARD = says(5.0, (0, END))
"""The sensor that goes on sees next to nobody."""


@pytest.mark.parametrize("by", ["lane", "compound", "micro_grid", "grid", "block", "street"])
@pytest.mark.parametrize(
    ("value", "threshold"),
    [
        (Value(Aggregate.MEAN, "density"), 2.0),
        (Value(Aggregate.MAX, "count"), 200.0),
        (Value(Aggregate.SUM, "enter"), 500.0),
        (Value(Aggregate.RATE, "enter", MINUTE), 800.0),
        (Value(Aggregate.PERCENTILE, "count", rank=80.0), 200.0),
        (Value(Aggregate.COUNT), 5.0),
    ],
)
def test_a_dying_sensor_ends_no_alert(by: str, value: Value, threshold: float) -> None:
    """The crowd stands before the sensor that dies; the alert ends once that is heard again, and sees nobody."""
    rule = crowding(by=by, value=value, levels=(LevelSpec(Level.ORANGE, threshold),))
    quiet = {} if value.aggregate is Aggregate.COUNT else says(5.0, (BACK, END))
    crowd = {EAST: says(300.0, (0, DIES)) | quiet, WEST: {second + 1: one for second, one in HEARD.items()}}
    raised = changes(rule, crowd)[0]
    assert raised[1] is Level.ORANGE
    if quiet:
        assert changes(rule, crowd)[1][0] > BACK
        assert changes(rule, crowd)[1:] == [(changes(rule, crowd)[1][0], Level.NONE)]
    else:
        assert changes(rule, crowd) == [raised], "it counts less only because it is not heard"


@pytest.mark.parametrize("dead", ["never heard", "silent", "stuck"])
@pytest.mark.parametrize(
    ("changed", "seen", "wanted"),
    [
        ({}, 300.0, Level.ORANGE),  # 6 a square metre at one sensor: 3 on the mean at least
        ({}, 180.0, Level.NONE),  # 3.6 at one, 1.8 on the mean at least
        ({"value": Value(Aggregate.MAX, "count"), "levels": (LevelSpec(Level.ORANGE, 200.0),)}, 300.0, Level.ORANGE),
        ({"value": Value(Aggregate.SUM, "enter"), "levels": (LevelSpec(Level.ORANGE, 700.0),)}, 300.0, Level.ORANGE),
        ({"value": Value(Aggregate.MIN, "count"), "levels": (LevelSpec(Level.ORANGE, 200.0),)}, 300.0, Level.NONE),
        ({"value": Value(Aggregate.STDDEV, "count"), "levels": (LevelSpec(Level.ORANGE, 0.0),)}, 300.0, Level.NONE),
        ({"comparison": Comparison.AT_MOST, "levels": (LevelSpec(Level.ORANGE, 1.5),)}, 5.0, Level.NONE),
        (
            {
                "comparison": Comparison.AT_MOST,
                "value": Value(Aggregate.MIN, "density"),
                "levels": (LevelSpec(Level.ORANGE, 1.5),),
            },
            5.0,
            Level.ORANGE,
        ),
        ({"value": Value(Aggregate.PERCENTILE, "count", rank=50.0)}, 300.0, Level.NONE),
        ({"window": 0, "session": 20 * SECOND}, 300.0, Level.NONE),
        ({"window": 0, "readings": 4}, 300.0, Level.NONE),
    ],
)
def test_what_is_seen_raises_where_the_rest_can_take_nothing_back(
    dead: str, changed: dict[str, object], seen: float, wanted: Level
) -> None:
    """Whatever the sensor would say that is silent, stuck, or was never heard."""
    sees = {second: seen + second % 20 / 10 for second in says(seen, (120, END))}  # it moves, and so is not stuck
    stuck = density_rule(
        id="stuck",
        by="device",
        stuck=Stuck("count", 30 * SECOND, 0),
        value=None,
        window=0,
        every=0,
        levels=(LevelSpec(Level.BLUE, 1.0),),
        clear=Clear((0.0,), 0),
    )
    silent = {"never heard": {}, "silent": says(100.0, (0, 30)), "stuck": says(100.0, (0, END))}[dead]
    found = changes(crowding(**changed), {GAUGES[0]: {0: 1.0}, EAST: silent, WEST: sees}, stuck)
    assert max((level for at, level in found if at > 120), default=Level.NONE) is wanted
    assert Level.NONE not in [level for at, level in found if at > 120]


@pytest.mark.parametrize(("aggregate", "wanted"), [(Aggregate.MAX, True), (Aggregate.SUM, False)])
def test_a_gauge_may_be_below_zero(aggregate: Aggregate, wanted: bool) -> None:
    """So the sum of two is not known with one of them silent; the greatest is no less than what is seen."""
    rule = crowding(
        stream=Stream.LEVEL, by="compound", value=Value(aggregate, "value"), levels=(LevelSpec(Level.ORANGE, 40.0),)
    )
    assert bool(changes(rule, {GAUGES[0]: says(10.0, (0, 60)) | says(50.0, (60, END))})[:1]) is wanted


def test_somebody_with_nothing_to_report_is_no_hole() -> None:
    """People who report findings are no sensors: an alert on many findings ends though some of them are silent."""
    rule = crowding(stream=Stream.REPORT, by="grid", value=Value(Aggregate.COUNT), levels=(LevelSpec(Level.ORANGE, 3),))
    found = changes(rule, {PEOPLE[0]: says(1.0, (0, 60), every=5) | says(1.0, (60, END), every=25)})
    assert [level for _, level in found] == [Level.ORANGE, Level.NONE]


def test_a_baseline_learns_nothing_from_a_part() -> None:
    """What is usual is learnt again when all are heard."""
    rule = crowding(baseline=Baseline())
    made = whole(rule)
    engine = Engine(made, Places(made.places, made.devices))

    def learnt() -> int:
        evaluator = engine.evaluator_of(rule.id)
        assert isinstance(evaluator, WindowedRule)
        return int(evaluator.arrays()["derived.learnt"].sum())

    day, half = int(DAY // SECOND), int(HOUR // SECOND) // 2
    both = says(9.0, (0, 4 * half))
    engine.feed(batch({EAST: both, WEST: both}, 4 * half))
    known = learnt()
    assert known >= 3
    engine.feed(batch({WEST: says(9.0, (4 * half, 8 * half))}, 8 * half))
    assert learnt() <= known + 1, "what had been seen when the sensor died"
    later = says(9.0, (8 * half, 12 * half))
    engine.feed(batch({EAST: later, WEST: later}, min(12 * half, day)))
    assert learnt() >= known + 3


def test_it_is_said_which_sensor_is_missing() -> None:
    """In the reason why the value is not known; and what is shown of a mean is the least that it can be."""
    made, probe = whole(crowding()), KeyProbe("density", "G1-L1")
    engine = Engine(made, Places(made.places, made.devices))
    engine.probe = probe
    engine.feed(batch({EAST: says(300.0, (0, DIES)), WEST: HEARD}))
    sight = probe.sights[-1]
    assert (sight.doubt, sight.unseen, sight.level) == (Doubt.PARTLY_BLIND, ("east",), Level.ORANGE)
    rises = says(5.0, (0, 120)) | says(300.0, (120, END))
    (told,) = Engine(made, Places(made.places, made.devices)).feed(batch({WEST: rises}))
    assert told.value is not None
    assert 2.0 < told.value <= 3.0, "3 a square metre: 6 here, and nobody there"


def records(said: Mapping[Device, Mapping[int, float]], until: int) -> list[Record]:
    """The same as messages, with a tick a second."""
    found = [
        message(one, START + second * SECOND + 1, {"count": int(count)})
        for one, spoken in said.items()
        for second, count in spoken.items()
    ]
    found += [Record(RecordKind.TICK, START + second * SECOND) for second in range(until)]
    return sorted(found, key=lambda one: one.received_at)


@pytest.mark.parametrize("size", [1, 7, 500])
def test_a_sensor_that_is_taken_out_of_the_registry_is_missed_no_more(size: int) -> None:
    """Who knows that it is broken says so: from then on the place is judged by what is left, and its case can end."""
    said = records({EAST: says(300.0, (0, DIES)), WEST: HEARD}, END)
    out = definition_record(
        whole(crowding(), devices=tuple(one for one in DEVICES if one is not EAST)), START + 300 * SECOND
    )
    journal = sorted([*said, out], key=lambda one: one.received_at)
    site, found = Site(), []
    for group in grouped(journal, [size], whole(crowding())):
        found += [((one.at - START) // SECOND, one.level) for one in site.step(group).transitions]
    assert [level for _, level in found] == [Level.ORANGE, Level.NONE]
    assert 300 < found[1][0] <= 335


def test_somebody_who_may_can_end_the_case_of_a_broken_sensor() -> None:
    """The alert stands, since nobody sees; its case is void with a word that says why, and stays so."""
    site = Site()
    for group in grouped(records({EAST: says(300.0, (0, DIES)), WEST: HEARD}, END), [20], whole(crowding())):
        site.step(group)
    (case,) = site.book.open.values()
    story = Story()
    site.book.action(Action("void", case.id, "console", via="api:console", note="broken"), START + END * SECOND, story)
    assert [event.happening for event in story.events] == [Happening.VOID]
    site.step(Group(10**6, (Record(RecordKind.TICK, START + (END + 60) * SECOND),)))
    assert not site.book.open
    assert [alert.level for alert in site.engine.active()] == [Level.ORANGE]
