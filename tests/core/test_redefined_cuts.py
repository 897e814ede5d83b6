"""Definitions change in mid-stream what lies beside the rules: periods, zone, lateness, combinations.

However the stream is cut, and restarted, the same comes of it, and nothing happens before its time or in the past.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from sensord.core.alert import Transition
from sensord.core.batch import Batch
from sensord.core.definition import Definition
from sensord.core.instant import MINUTE, SECOND
from sensord.core.place import Device, Places
from sensord.core.rules.engine import Engine
from sensord.core.rules.evaluator import NEVER
from sensord.core.rules.rule import Rule
from sensord.core.site import Site, Step, definition_record
from sensord.core.stream import Stream
from tests.core import street, wild
from tests.core.street import START

ZONES = ("Asia/Shanghai", "UTC", "Asia/Tokyo", "Asia/Kathmandu", "America/New_York")
LONGEST = 10 * MINUTE
"""Every rule of these definitions has something to look at sooner."""


class Stretch(NamedTuple):
    """What is in force until an instant (ns)."""

    definition: Definition
    until: int


def changed(dice: random.Random, old: Definition) -> Definition:
    """The same street under other circumstances; some combinations come, go, or are others."""

    def other(device: Device) -> Device:
        return replace(device, period=dice.choice((2, 5, 10, 40, 300)) * SECOND)

    def another(rule: Rule) -> Rule:
        combined = rule.combination
        if combined is None or not combined.within or dice.random() < 0.5:
            return rule
        return replace(rule, combination=replace(combined, within=dice.choice((5, 23, 60)) * SECOND))

    dropped = {rule.id for rule in old.rules if rule.combination is not None and dice.random() < 0.3}
    dropped |= {"nested"} if dropped & {"both-all", "both-missing"} else set()
    return replace(
        old,
        devices=tuple(map(other, old.devices)),
        zone=dice.choice(ZONES),
        lateness={stream.word: dice.choice((0, 2, 2, 12, 45)) * SECOND for stream in Stream},
        rules=tuple(another(rule) for rule in old.rules if rule.id not in dropped),
    )


def stretches(dice: random.Random, first: Definition, seconds: int) -> list[Stretch]:
    """Five definitions, one after the other, at odd instants."""
    instants = sorted(START + dice.randrange(seconds * 10) * SECOND // 10 for _ in range(4))
    return [
        Stretch(changed(dice, first) if number else first, until)
        for number, until in enumerate([*instants, START + seconds * SECOND])
    ]


def cut(batch: Batch, size: int, start: int, until: int) -> Iterator[Batch]:
    """So many readings at a time from a position on, until an instant; each piece comes with its last reading."""
    arrivals = batch.received_at.tolist()
    stop = sum(arrival <= until for arrival in arrivals)
    for first in range(start, stop, size):
        last = min(first + size, stop)
        yield batch.cut(first, last, arrivals[last - 1])
    yield batch.cut(stop, stop, until)


def possible(changes: Sequence[Transition], after: int, until: int) -> bool:
    """Whether changes are in order, later than one instant and no later than another."""
    instants = [one.at for one in changes]
    return instants == sorted(instants) and all(after < instant <= until for instant in instants)


def run(plan: list[Stretch], batch: Batch, size: int, restart: bool) -> list[Transition]:
    """Everything that changes, in pieces of a size; with or without a restart after each."""
    engine, said, start = Engine(Definition("", (), (), ()), Places((), ())), list[Transition](), 0
    for definition, until in plan:
        places = Places(definition.places, definition.devices)
        new, at = Engine(definition, places), engine.now
        at_once = new.carry_over(engine, at)
        assert all(one.at == at for one in at_once)
        said, engine = said + at_once, new
        for piece in cut(batch, size, start, until):
            before, changes = engine.now, engine.feed(piece)
            assert possible(changes, before, piece.now)
            said, start = said + changes, start + len(piece)
            if restart:
                state, engine = engine.snapshot(), Engine(definition, places)
                engine.restore(state)
        evaluators = [one for rule in definition.rules if (one := engine.evaluator_of(rule.id)) is not None]
        assert all(until < one.due < until + LONGEST or one.due == NEVER for one in evaluators)
    return said


@pytest.mark.parametrize("seed", range(8))
def test_rules_under_other_circumstances(seed: int) -> None:
    """Wild rules and readings, five definitions: reading by reading, many at once, and restarted, it is the same."""
    dice, seconds = random.Random(seed), 300
    first = wild.definition(dice, 12)
    plan, batch = stretches(dice, first, seconds), wild.batch(wild.readings(dice, seconds), START + seconds * SECOND)
    wanted = run(plan, batch, 1, restart=False)
    assert len(wanted) > 20
    assert run(plan, batch, 17, restart=True) == wanted
    assert run(plan, batch, 10_000, restart=False) == wanted


def steps(seed: int, size: int, restart: int) -> Iterator[tuple[Step, int]]:
    """The wild street, with definitions in mid-stream; each step with the instant of the one before."""
    dice, plan = random.Random(seed), street.definition()
    records = street.stream_of(seed)
    for position in sorted((dice.randrange(len(records)) for _ in range(4)), reverse=True):
        new = definition_record(changed(dice, plan), records[position].received_at)
        records.insert(position, new)
    site, before = Site(), 0
    for number, group in enumerate(street.grouped(records, [size], plan)):
        yield site.step(group), before
        before = group.received_at
        if restart and number % restart == 0:
            site = Site.restored(site.snapshot())


@pytest.mark.parametrize("seed", range(4))
def test_cases_under_other_circumstances(seed: int) -> None:
    """What people are told is the same, too, and every case moves at an instant that the step has brought."""
    wanted = b"".join(step.decisions() for step, _ in steps(seed, 1, 0))
    assert wanted.count(b"raised") > 20
    said = list[bytes]()
    for step, before in steps(seed, 23, 3):
        assert step.dead == [] or all(dead.reason != "bad_definition" for dead in step.dead)
        assert all(
            before <= at <= step.at for at in [one.at for one in step.transitions] + [one.at for one in step.events]
        )
        said.append(step.decisions())
    assert b"".join(said) == wanted
