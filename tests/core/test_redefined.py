"""A new definition comes into force while alerts stand: what it changes at once reaches the cases."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Place, PlaceKind
from sensord.core.record import Group, Record, RecordKind
from sensord.core.rules.rule import Aggregate, Clear, Combination, LevelSpec, Logic, Part, Rule, Value
from sensord.core.site import Site, Step, definition_record
from sensord.core.stream import Stream
from tests.core.street import START, definition, density_rule, devices, grouped, message, rules

A = density_rule(id="a", levels=(LevelSpec(Level.YELLOW, 1.0), LevelSpec(Level.RED, 9.0)), clear=Clear((0.0, 0.0), 0))
B = density_rule(id="b", levels=(LevelSpec(Level.YELLOW, 1.5),), clear=Clear((0.0,), 0))


def both(name: str, *parts: Part, within: int = 5 * MINUTE, hold: int = MINUTE) -> Rule:
    """A red alert of a compound when all parts are on, or were within five minutes."""
    rungs, combined = (LevelSpec(Level.RED, 1.0),), Combination(Logic.ALL, parts, within)
    end = Clear((0.0,), hold)
    return Rule(name, {"zh": "两者", "en": "both"}, None, "compound", "crowd", rungs, end, combination=combined)


INSIDE = density_rule(
    id="inside",
    value=Value(Aggregate.OCCUPANCY, anchor=4 * HOUR),
    levels=(LevelSpec(Level.YELLOW, 30.0), LevelSpec(Level.RED, 100.0)),
    clear=Clear((0.0, 0.0), 0),
    window=5 * SECOND,
)
FOUR = 20_800
"""At so many seconds after START it is four in the morning by UTC."""
BOTH = both("both", Part("a"), Part("b"))


def people(count: int, start: int, stop: int) -> list[Record]:
    """So many people in the first lane (50 m²), said every five seconds; seconds from START on."""
    body = {"count": count, "boot": 1}
    return [message(devices()[0], START + second * SECOND, {**body, "seq": second}) for second in range(start, stop, 5)]


def steps(*records: Record) -> Iterator[Step]:
    """Take records, each a group of its own, with a restart after each."""
    site = Site()
    for group in grouped(records, [1]):
        yield site.step(group)
        site = Site.restored(site.snapshot())


def told(*records: Record) -> list[str]:
    """What is decided on records: when, the changes of rules and the events of cases."""
    said = list[str]()
    for step in steps(*records):
        said += [f"{(one.at - START) // SECOND} {one.rule} {one.change} {one.level.word}" for one in step.transitions]
        said += [f"{(one.at - START) // SECOND} {one.case[:-16]} {one.happening}" for one in step.events]
    return said


def changes(*records: Record) -> list[str]:
    """The changes of alerts: when, of which key and how."""
    found = (one for step in steps(*records) for one in step.transitions)
    return [f"{(one.at - START) // SECOND} {one.key} {one.change}" for one in found]


def redefined(*definitions: Definition) -> list[Record]:
    """A crowd that stays, and definitions that come into force while it is there, a minute apart."""
    records = [definition_record(definitions[0], START)]
    for number, new in enumerate(definitions[1:], 1):
        records += [*people(100, 60 * number - 59, 60 * number), definition_record(new, START + 60 * number * SECOND)]
    return [*records, *people(100, 60 * len(definitions) - 59, 60 * len(definitions))]


def test_a_combination_of_what_stands_already() -> None:
    """A combination that comes while its parts are on is raised at once, and opens its case."""
    said = told(*redefined(definition(rules=(A, B)), definition(rules=(A, B, BOTH))))
    assert [one for one in said if one.startswith("60 ")] == [
        "60 both raised red",
        "60 C1-crowd level_rose",
        "60 C1-crowd file",
        "60 C1-crowd dispatch",
    ]


def test_a_combination_at_a_place_that_is_new() -> None:
    """It may even be about a place that comes with it."""
    before = definition(rules=(A, B))
    places = tuple(replace(place, compound="CX") if place.compound == "C1" else place for place in before.places)
    another = Place("CX", PlaceKind.COMPOUND, "小区CX", parent="G1")
    said = told(*redefined(before, replace(before, rules=(A, B, BOTH), places=(*places, another))))
    assert "60 CX-crowd dispatch" in said


@pytest.mark.parametrize(("least", "raised"), [(Level.YELLOW, True), (Level.RED, False)])
def test_a_withdrawn_alert_was_on_only_if_it_was_grave_enough(least: Level, raised: bool) -> None:
    """When a part is withdrawn, it counts for ``within`` more; below its level it never did count."""
    rules = A, replace(B, levels=(LevelSpec(Level.YELLOW, 3.0),)), both("both", Part("a", least), Part("b"))
    again = replace(A, by="device", levels=(LevelSpec(Level.RED, 99.0),), clear=Clear((0.0,), 0)), *rules[1:]
    crowd = [
        *people(100, 1, 60),
        definition_record(definition(rules=again), START + 60 * SECOND),
        *people(200, 61, 120),
    ]
    said = told(definition_record(definition(rules=rules), START), *crowd)
    assert "60 a withdrawn none" in said
    assert any("both raised" in one for one in said) is raised


def test_a_combination_hears_at_once_what_becomes_of_another() -> None:
    """One that comes is raised with the one that it looks at, ends with it, and is on again with it."""
    inner = both("inner", Part("a"), Part("b"), within=0, hold=0)
    outer = both("outer", Part("inner"), within=0, hold=0)
    gone = replace(B, levels=(LevelSpec(Level.RED, 99.0),), by="grid")
    defined = [(A, B), (A, B, inner, outer), (A, gone, inner, outer), (A, B, inner, outer)]
    said = told(*redefined(*[definition(rules=rules) for rules in defined]))
    assert [one for one in said if "inner" in one or "outer" in one] == [
        "60 inner raised red",
        "60 outer raised red",
        "120 inner unwatched none",
        "120 outer unwatched none",
        "187 inner raised red",
        "187 outer raised red",
    ]


def silences(period: int, *places: str) -> Definition:
    """The rule on silence, and the crowd sensors of some places, to be heard so often (s)."""
    rule = next(rule for rule in rules() if rule.id == "silent")
    sensors = (one for one in devices() if one.id.startswith("crowd") and one.place in places)
    return definition(rules=(rule,), devices=tuple(replace(one, period=period * SECOND) for one in sensors))


PERIODS = [
    (10, 10, ["31 crowd-1 raised", "88 crowd-0 raised"]),
    (10, 20, ["31 crowd-1 raised", "118 crowd-0 raised"]),
    (20, 10, ["61 crowd-1 raised", "88 crowd-0 raised"]),
    (5, 600, ["15 crowd-1 raised", "100 crowd-1 cleared", "1900 crowd-0 raised", "1900 crowd-1 raised"]),
    (600, 5, ["61 crowd-1 raised", "71 crowd-0 raised"]),
]
"""Periods before and after a minute (s), and what follows. A rule looks at whole tenths of the three periods."""


@pytest.mark.parametrize(("before", "after", "wanted"), PERIODS)
def test_silence_goes_by_the_new_periods(before: int, after: int, wanted: list[str]) -> None:
    """Of two sensors one is heard for a minute, and the other one never: each is told of when it is silent by them."""
    lanes = "G1-L1", "G1-L2"
    ticks = [Record(RecordKind.TICK, START + second * SECOND) for second in range(61, 2500, 80)]
    change = definition_record(silences(after, *lanes), START + 60 * SECOND)
    records = [definition_record(silences(before, *lanes), START), *people(5, 1, 60), change, *ticks]
    assert changes(*records) == wanted


def test_a_rule_that_gets_its_first_sensor_begins_there() -> None:
    """Nobody looks back at the time when there was nothing to look at."""
    later = [Record(RecordKind.TICK, START + second * SECOND) for second in (1, 3600)]
    site = Site()
    for group in grouped([definition_record(silences(10), START), *later], [1]):
        site.step(group)
    assert site.step(Group(9, (definition_record(silences(10, "G1-L1"), START + 3601 * SECOND),))).definition
    silent = site.engine.evaluator_of("silent")
    assert silent is not None
    assert 0 < silent.due - site.engine.now <= 3 * SECOND


def crowds(start: int, stop: int) -> list[Record]:
    """A crowd in the first lane that comes and goes, said every five seconds without a stamp."""
    dice = random.Random(7)
    counts = {second: dice.choice((5, 20, 60, 180, 400)) for second in range(1, 300, 15)}
    return [one for second in range(start, stop, 15) for one in people(counts[second], second, second + 15)]


@pytest.mark.parametrize("after", [3, 45])
def test_a_longer_lateness_forgets_nothing(after: int) -> None:
    """Windows of every kind go on, whether more of their panes may be open or not: sealed later, they hold the same."""
    plain = definition(rules=(*(rule for rule in rules() if rule.stream is Stream.CROWD), INSIDE))
    patient = replace(plain, lateness={"crowd": after * SECOND})
    found = []
    for second in (plain, patient):
        change = definition_record(second, START + 100 * SECOND)
        records = [definition_record(plain, START), *crowds(1, 100), change, *crowds(106, 300)]
        found.append([one for step in steps(*records) for one in step.transitions])
    wanted, said = ({(one.rule, one.key, one.end, one.level, one.value) for one in run} for run in found)
    assert len({rule for rule, *_ in wanted}) > 10
    assert said <= wanted
    assert all(end > START + 290 * SECOND - after * SECOND for _, _, end, _, _ in wanted - said)


def test_a_sealed_pane_takes_no_reading_by_a_longer_lateness() -> None:
    """What was too late for a window is not counted in a later one."""
    rule = density_rule(
        value=Value(Aggregate.MAX, "count"), levels=(LevelSpec(Level.YELLOW, 100.0),), clear=Clear((0.0,), 0)
    )
    rule = replace(rule, window=MINUTE, every=MINUTE)
    patient = definition(rules=(rule,), lateness={"crowd": 30 * SECOND})
    begin = START - START % MINUTE
    late = message(devices()[0], begin + 127 * SECOND, {"count": 400, "at": (begin + 118 * SECOND) / 1e6})
    records = [definition_record(definition(rules=(rule,)), begin), *stamped(begin, 1, 125)]
    records += [definition_record(patient, begin + 126 * SECOND), late, *stamped(begin, 130, 1200)]
    assert Site().step(Group(1, tuple(records))).transitions == []


def stamped(begin: int, start: int, stop: int) -> Iterator[Record]:
    """Five people in the first lane, said every five seconds, by a sensor that knows what time it is."""
    for second in range(start, stop, 5):
        at = begin + second * SECOND
        yield message(devices()[0], at, {"count": 5, "at": at / 1e6})


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "Asia/Kathmandu"])
def test_windows_begin_anew_in_another_zone(zone: str) -> None:
    """Their panes lie elsewhere: what stands goes on till a window has been seen, and then is judged as ever."""
    here = definition(rules=(A,))
    change = definition_record(replace(here, zone=zone), START + 60 * SECOND)
    records = [definition_record(here, START), *people(100, 1, 60), change]
    assert changes(*records, *people(5, 61, 120)) == ["7 G1-L1 raised", "92 G1-L1 cleared"]


def passing(number: int, second: int) -> Record:
    """So many people enter the first lane, or leave it (below zero)."""
    crossed: dict[str, object] = {"enter": max(number, 0), "exit": max(-number, 0)}
    return message(devices()[0], START + second * SECOND, crossed)


def test_who_is_inside_is_unknown_in_another_zone_until_the_anchor() -> None:
    """What stands is not lowered by a count that began in between, but still rises; from 04:00 on it is known."""
    here = definition(rules=(INSIDE,))
    change = definition_record(replace(here, zone="UTC"), START + 60 * SECOND)
    day = [passing(number, second) for second, number in ((61, 2), (121, 120), (181, -100), (1000, -10))]
    night = [passing(0, second) for second in range(FOUR - 20, FOUR + 30, 5)]
    records = [definition_record(here, START), passing(40, 1), change, *day, *night]
    assert changes(*records) == ["7 G1-L1 raised", "127 G1-L1 escalated", f"{FOUR + 7} G1-L1 cleared"]
