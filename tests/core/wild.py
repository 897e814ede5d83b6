"""Wild but repeatable: random rules of every construct, random readings with disorder, repeats, gaps, bad clocks."""

from __future__ import annotations

import random

import msgspec
import numpy as np

from sensord.core.batch import Batch
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Device
from sensord.core.rules.rule import (
    RISING,
    Aggregate,
    Capacity,
    Clear,
    Combination,
    Comparison,
    Flapping,
    LevelSpec,
    Logic,
    Override,
    Part,
    Rule,
    Stuck,
    Value,
)
from sensord.core.schedule import Active, Calendar
from sensord.core.stream import LABELS, Stream
from tests.core import street
from tests.core.reference_values import Reading

START = street.START
DEVICES = (
    *street.devices()[:4],
    Device("camera-0", Stream.PLATE, "C1-N", 10 * SECOND),
    Device("camera-1", Stream.PLATE, "C1-N", 10 * SECOND),
    Device("spaces-0", Stream.LEVEL, "C1", 15 * SECOND),
    Device("spaces-1", Stream.LEVEL, "C1", 15 * SECOND),
    Device("report-0", Stream.REPORT, "G2-L1", HOUR),
    Device("status-0", Stream.STATUS, "G2-L2", 20 * SECOND),
)
PLACES = tuple(
    msgspec.structs.replace(
        place, capacity=300 if place.kind == "lane" else None, parking=40 if place.id == "C1" else None
    )
    for place in street.places()
)
FIELDS = {Stream.CROWD: ("count", "density", "enter"), Stream.LEVEL: ("value",), Stream.STATUS: ("battery",)}
TYPICAL = {
    Aggregate.COUNT: 2.6,
    Aggregate.DISTINCT: 1.7,
    Aggregate.SLOPE: 37.7,
    Aggregate.STDDEV: 41.3,
    Aggregate.RATE: 301.3,
    Aggregate.SUM: 151.9,
    Aggregate.OCCUPANCY: 14.6,
    Aggregate.TOTAL: 91.7,
}
"""Thresholds that wild readings cross now and then, and never touch: rounding must not decide."""


def rules(dice: random.Random, number: int) -> tuple[Rule, ...]:
    """So many rules about readings, two about sensors, four about alerts (one of them about another combination)."""
    plain = [reading_rule(dice, f"rule-{index}") for index in range(number)]
    names = [rule.id for rule in plain]
    combined = [
        combination(
            dice, f"both-{logic.value}", logic, [Part(name, dice.choice((Level.BLUE, Level.ORANGE))) for name in pair]
        )
        for logic in Logic
        for pair in (dice.sample([*names, "silent"], 2),)
    ]
    nested = combination(dice, "nested", Logic.ANY, [Part("both-all"), Part("both-missing")])
    return (*plain, nested, *combined, *sensor_rules(dice))


def sensor_rules(dice: random.Random) -> list[Rule]:
    """Silence and stillness."""
    level, name = (LevelSpec(Level.BLUE, 1.0),), {"zh": "设备"}
    stuck = Stuck("count", dice.choice((0, 30 * SECOND, 45 * SECOND)), 20 * SECOND, dice.choice((0.0, 0.0, 3.0)))
    by = dice.choice(("device", "grid"))
    clear = Clear((0.0,), 0)
    return [
        Rule("silent", name, None, dice.choice(("device", "lane", "grid")), "device", level, clear, absent=2.0),
        Rule("stuck", name, Stream.CROWD, by, "device", level, clear, stuck=stuck),
    ]


def combination(dice: random.Random, name: str, logic: Logic, parts: list[Part]) -> Rule:
    """A rule about alerts."""
    hold = dice.choice((SECOND, 7 * SECOND, 20 * SECOND))
    within = 0 if logic is Logic.ANY else dice.choice((5 * SECOND, 23 * SECOND, MINUTE))
    return Rule(
        name,
        {"zh": name},
        None,
        dice.choice(("grid", "compound", "street")),
        "crowd",
        (LevelSpec(Level.RED, 1.0),),
        Clear((0.0,), hold),
        combination=Combination(logic, tuple(parts), within),
    )


def reading_rule(dice: random.Random, name: str) -> Rule:
    """A rule about readings: with a window of any shape, or each reading by itself."""
    stream = dice.choice(
        (Stream.CROWD, Stream.CROWD, Stream.CROWD, Stream.PLATE, Stream.LEVEL, Stream.REPORT, Stream.STATUS)
    )
    if dice.random() < 0.15:
        return single_rule(dice, name, stream)
    every = dice.choice((5 * SECOND, 10 * SECOND))
    shape = dice.choice(("window", "window", "session", "readings"))
    value = value_of(dice, stream, shape)
    occupied = value.aggregate is Aggregate.OCCUPANCY
    typical = 2.5 if value.field == "density" else TYPICAL.get(value.aggregate, 61.3)
    comparison = dice.choice(tuple(Comparison))
    percent = Capacity.CAPACITY if stream is Stream.CROWD and dice.random() < 0.2 else None
    eventful = stream in (Stream.PLATE, Stream.REPORT)
    plain = Rule(
        id=name,
        name={"zh": name},
        stream=stream,
        by="lane" if percent else dice.choice(("device", "grid", "compound", "street", "micro_grid")),
        split=split_of(dice, stream),
        where=where_of(dice, stream),
        dispatch="crowd",
        levels=levels_of(dice, comparison, typical * (0.2 if percent else 1.0)),
        clear=Clear((typical * dice.choice((0.0, 0.05)),) * 2, dice.choice((0, 10 * SECOND))),
        comparison=comparison,
        value=value,
        every=every,
        min_samples=0
        if eventful and value.aggregate is Aggregate.COUNT and comparison in RISING
        else dice.choice((1, 1, 2)),
        percent_of=percent,
        flapping=Flapping(2, MINUTE, 20 * SECOND) if dice.random() < 0.3 else None,
        active=active_of(dice),
    )
    plain = msgspec.structs.replace(plain, overrides=overrides_of(dice, plain))
    if shape == "window" or occupied:
        return msgspec.structs.replace(plain, window=every * (1 if occupied else dice.choice((1, 2, 3, 6))))
    if shape == "session":
        return msgspec.structs.replace(plain, session=every * dice.choice((1, 2, 4)))
    return msgspec.structs.replace(plain, readings=dice.choice((2, 5)))


def single_rule(dice: random.Random, name: str, stream: Stream) -> Rule:
    """Each reading by itself."""
    field = {Stream.CROWD: "count", Stream.LEVEL: "value", Stream.REPORT: "grade", Stream.STATUS: "battery"}.get(stream)
    thresholds = (1.0, 3.0) if stream in (Stream.REPORT, Stream.PLATE) else (40.5, 90.5)
    return Rule(
        id=name,
        name={"zh": name},
        stream=stream,
        by=dice.choice(("device", "grid", "compound")),
        split=split_of(dice, stream),
        where=where_of(dice, stream),
        dispatch="crowd",
        levels=tuple(LevelSpec(level, at) for level, at in zip((Level.BLUE, Level.ORANGE), thresholds, strict=True)),
        clear=Clear((0.0, 0.0), dice.choice((5 * SECOND, 31 * SECOND))),
        comparison=Comparison.AT_LEAST,
        value=Value(Aggregate.COUNT if field is None else Aggregate.LAST, field),
        active=active_of(dice),
    )


def value_of(dice: random.Random, stream: Stream, shape: str) -> Value:
    """An aggregate that fits the stream and the window."""
    fields = FIELDS.get(stream)
    if fields is None:
        choices = [Aggregate.COUNT, Aggregate.DISTINCT] + ([Aggregate.OCCUPANCY] if stream is Stream.PLATE else [])
        aggregate = dice.choice(choices)
        return Value(aggregate, "device" if aggregate is Aggregate.DISTINCT else None, anchor=ANCHOR)
    choices = [one for one in Aggregate if one is not Aggregate.OCCUPANCY or stream is Stream.CROWD]
    choices = [one for one in choices if one not in (Aggregate.RATE, Aggregate.TOTAL) or shape == "window"]
    aggregate = dice.choice(choices)
    field = None if aggregate in (Aggregate.COUNT, Aggregate.OCCUPANCY) else dice.choice(fields)
    per = MINUTE if aggregate in (Aggregate.RATE, Aggregate.SLOPE) else 0
    rank = dice.choice((50.0, 90.0, 99.0)) if aggregate is Aggregate.PERCENTILE else 0.0
    return Value(aggregate, field, per, rank, ANCHOR if aggregate is Aggregate.OCCUPANCY else 0)


ANCHOR = 6 * HOUR + 14 * MINUTE + 30 * SECOND
"""A minute after ``START``, in local time, so that occupancies start anew within the stretch."""


def levels_of(dice: random.Random, comparison: Comparison, typical: float) -> tuple[LevelSpec, ...]:
    """Two rungs, with any way of waiting."""
    holds = [dice.choice(({}, {"hold": 10 * SECOND}, {"needed": 2, "among": 3})) for _ in range(2)]
    falling = comparison in (Comparison.BELOW, Comparison.AT_MOST)
    high = (typical * 0.9, typical * 0.4) if falling else (typical, typical * 1.7)
    low: tuple[float | None, ...] = (typical * 0.4, typical * 0.2) if comparison is Comparison.OUTSIDE else (None, None)
    return tuple(
        LevelSpec(level, threshold, low=under, **hold)
        for level, threshold, under, hold in zip((Level.BLUE, Level.ORANGE), high, low, holds, strict=True)
    )


def overrides_of(dice: random.Random, rule: Rule) -> tuple[Override, ...]:
    """Other thresholds for some places or devices."""
    if dice.random() < 0.5:
        return ()
    made = []
    for place in dice.sample(("G1", "G1-L1", "C2", "B1", "crowd-2", "street"), 2):
        chosen = [
            (rung, margin) for rung, margin in zip(rule.levels, rule.clear.margin, strict=True) if dice.random() < 0.7
        ]
        factor = dice.choice((0.7, 1.3))
        rungs = tuple(
            LevelSpec(rung.level, rung.threshold * factor, low=None if rung.low is None else rung.low * factor)
            for rung, _ in chosen
        )
        made.append(Override(place, rungs, tuple(margin * factor for _, margin in chosen)))
    return tuple(made)


def active_of(dice: random.Random) -> tuple[Active, ...]:
    """Mostly always; else for some minutes of the stretch, on days of several kinds."""
    if dice.random() < 0.75:
        return ()
    start = 6 * HOUR + 13 * MINUTE + dice.choice((0, 45)) * SECOND
    days = dice.choice(((), ("workday",), ("holiday",), ("wed", "thu"), ("break",), ("restday",)))
    return (Active(days, ("break",) if dice.random() < 0.2 else (), start, start + 2 * MINUTE),)


def split_of(dice: random.Random, stream: Stream) -> tuple[str, ...]:
    """Labels that make keys of their own."""
    if stream is Stream.PLATE:
        return dice.choice(((), ("class",), ("class", "direction"), ("direction",)))
    return ()


def where_of(dice: random.Random, stream: Stream) -> dict[str, tuple[str, ...]]:
    """Only some readings."""
    if dice.random() < 0.6:
        return {}
    choices: list[dict[str, tuple[str, ...]]] = [{"grid": ("G1", "G2")}, {"block": ("B1",)}]
    if stream is Stream.PLATE:
        choices = [{"class": ("out_of_town", "key_area")}, {"direction": ("in",)}]
    return dice.choice([*choices, {"device": tuple(one.id for one in DEVICES[1:])}])


def definition(dice: random.Random, number: int) -> Definition:
    """The street with wild rules."""
    calendar = Calendar(("2023-11-15",), (), {"break": ("2023-11-14", "2023-11-15")})
    chosen = calendar if dice.random() < 0.5 else Calendar((), (), {"break": ()})
    return street.definition(
        rules=rules(dice, number), devices=DEVICES, places=PLACES, calendar=chosen, lateness={Stream.LEVEL: 12 * SECOND}
    )


def readings(dice: random.Random, seconds: int) -> list[Reading]:
    """Readings in order of arrival, no two at the same instant and none at a whole second."""
    found: list[Reading] = []
    silent = {device.id: dice.randrange(seconds) for device in dice.sample(DEVICES, 3)}
    frozen = {device.id: dice.randrange(seconds) for device in dice.sample(DEVICES[:4], 2)}
    counter = {device.id: dice.choice((0, 65_000)) for device in DEVICES}
    for slot in range(seconds * 2):
        at = START + slot * SECOND // 2 + dice.randrange(1, 400) * 1_000_003
        device = dice.choice(DEVICES)
        if 0 <= slot / 2 - silent.get(device.id, seconds) < 50:
            continue
        event = at - dice.choice((0, 0, 0, 300, 900, 1900, 4000, 8000)) * 1_000_000
        if dice.random() < 0.03:
            event = at  # a clock that cannot be trusted is taken at its arrival
        stuck = 0 <= slot / 2 - frozen.get(device.id, seconds) < 60
        counter[device.id] = (counter[device.id] + dice.randrange(120)) % 65_536 if dice.random() < 0.9 else 0
        found.append(
            Reading(device.id, device.stream, at, event, *content(dice, device.stream, stuck, counter[device.id]))
        )
        if dice.random() < 0.05:
            repeat = found[-1]
            found.append(again(repeat, at + 1_000_001))
    return found


def again(reading: Reading, at: int) -> Reading:
    """The same reading, heard again."""
    return Reading(reading.device, reading.stream, at, reading.event_at, reading.fields, reading.labels)


def content(dice: random.Random, stream: Stream, stuck: bool, counter: int) -> tuple[dict[str, float], dict[str, str]]:
    """Fields and labels of a reading."""
    if stream is Stream.CROWD:
        count = (
            float(dice.choice((0, 0, 7)))
            if stuck and dice.random() < 0.1
            else 0.0
            if stuck
            else float(dice.randrange(150))
        )
        fields = {"count": count, "density": count / 50}
        if dice.random() < 0.7:
            fields |= {"enter": float(dice.randrange(9)), "exit": float(dice.randrange(9))}
        return fields, {}
    if stream is Stream.PLATE:
        words = {name: dice.choice(LABELS[name].words) for name in ("direction", "class")}
        return {"confidence": 0.9}, words if dice.random() < 0.95 else {}
    if stream is Stream.LEVEL:
        return {"value": float(counter)} if dice.random() < 0.5 else {"value": float(dice.randrange(-20, 120))}, {}
    if stream is Stream.REPORT:
        grade = dice.randrange(1, 5)
        return {"grade": float(grade)}, {"severity": LABELS["severity"].words[grade - 1]}
    return ({"battery": float(dice.randrange(101))} if dice.random() < 0.8 else {}), {}


def batch(found: list[Reading], now: int) -> Batch:
    """Readings as columns."""
    index = {device.id: number for number, device in enumerate(DEVICES)}
    names = dict.fromkeys(name for one in found for name in one.fields)
    marks = dict.fromkeys(name for one in found for name in one.labels)
    return Batch(
        now,
        np.array([one.stream for one in found], np.int8),
        np.array([index[one.device] for one in found], np.int32),
        np.array([one.event_at for one in found], np.int64),
        np.array([one.received_at for one in found], np.int64),
        np.zeros(len(found), np.int8),
        {name: np.array([one.fields.get(name, np.nan) for one in found]) for name in names},
        {
            name: np.array(
                [LABELS[name].words.index(one.labels[name]) if name in one.labels else -1 for one in found], np.int8
            )
            for name in marks
        },
    )
