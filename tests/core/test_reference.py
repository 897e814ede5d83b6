"""The engine against the reference: random rules on random readings give the same transitions; however they are cut."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sensord.core.alert import Transition
from sensord.core.batch import Batch
from sensord.core.definition import Definition
from sensord.core.instant import SECOND
from sensord.core.place import Places
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Aggregate, Capacity, Comparison, Logic
from sensord.core.stream import Stream
from tests.core import wild
from tests.core.reference import Reference
from tests.core.reference_values import Change

SECONDS = 150
NOW = wild.START + (SECONDS + 40) * SECOND


def engine_of(definition: Definition, only: frozenset[str] | None = None) -> Engine:
    """An engine of a definition."""
    return Engine(definition, Places(definition.places, definition.devices), only)


def changes(transitions: Iterable[Transition]) -> list[Change]:
    """What is compared."""
    return sorted(
        Change(one.at, one.rule, one.key, one.previous, one.level, one.end, one.samples) for one in transitions
    )


@given(seed=st.integers(0, 2**32))
@example(seed=1005)  # overrides of two places give a key a graver level below the lowest
@example(seed=1431)  # likewise, of a rule on what is outside
@settings(max_examples=20)
def test_the_engine_does_what_the_handbook_says(seed: int) -> None:
    """Every change of every rule, at its instant, with its levels and its number of samples, is the reference's."""
    dice = random.Random(seed)
    definition, readings = wild.definition(dice, 6), wild.readings(dice, SECONDS)
    got = changes(engine_of(definition).feed(wild.batch(readings, NOW)))
    wanted = Reference(definition, readings, NOW).changes()
    for rule in definition.rules:
        mine = [one for one in got if one.rule == rule.id]
        assert mine == [one for one in wanted if one.rule == rule.id], rule


def cut(batch: Batch, sizes: list[int]) -> Iterator[Batch]:
    """The batch in parts of these sizes, in turns, each bringing the time of its last reading."""
    start, turn = 0, 0
    while start < len(batch):
        stop = min(start + sizes[turn % len(sizes)], len(batch))
        yield batch.cut(start, stop, int(batch.received_at[stop - 1]))
        start, turn = stop, turn + 1
    yield batch.cut(start, start, batch.now)


@given(
    seed=st.integers(0, 2**32),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    restart=st.integers(0, 7),
)
@example(seed=28069, sizes=[1], restart=0)  # the last readings meet a rung as active times begin, in a silence
@settings(max_examples=10)
def test_cuts_and_restarts_do_not_matter(seed: int, sizes: list[int], restart: int) -> None:
    """However the stretch is cut, and wherever it is resumed from a snapshot, the transitions are the same bytes."""
    dice = random.Random(seed)
    definition, batch = wild.definition(dice, 12), wild.batch(wild.readings(dice, SECONDS), NOW)
    engine, parts = engine_of(definition), list[Transition]()
    for number, part in enumerate(cut(batch, sizes), 1):
        parts += engine.feed(part)
        if restart and number % restart == 0:
            state, engine = engine.snapshot(), engine_of(definition)
            engine.restore(state)
            assert engine.snapshot() == state
    assert parts == engine_of(definition).feed(batch)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=10)
def test_shards_add_up(seed: int) -> None:
    """Two engines that share the residential grids find together what one finds alone, for rules below a block."""
    dice = random.Random(seed)
    definition, batch = wild.definition(dice, 12), wild.batch(wild.readings(dice, SECONDS), NOW)
    alone = changes(engine_of(definition).feed(batch))
    shards = [changes(engine_of(definition, frozenset({grid})).feed(batch)) for grid in ("G1", "G2")]
    by_id = {rule.id: rule for rule in definition.rules}

    def wide(rule: str) -> bool:
        combination = by_id[rule].combination
        parts = combination.parts if combination is not None else ()
        return by_id[rule].by in ("block", "street") or any(wide(part.rule) for part in parts)

    assert sorted(one for shard in shards for one in shard if not wide(one.rule)) == [
        one for one in alone if not wide(one.rule)
    ]


def test_the_wild_rules_reach_everything() -> None:
    """Over a few seeds every aggregate, shape, way of waiting and kind of rule brings changes."""
    seen: set[object] = set()
    for seed in range(60):
        dice = random.Random(seed)
        definition, batch = wild.definition(dice, 12), wild.batch(wild.readings(dice, SECONDS), NOW)
        changed = {one.rule for one in engine_of(definition).feed(batch)}
        for rule in definition.rules:
            if rule.id in changed:
                seen |= {rule.comparison, rule.id if rule.combination else "", rule.stuck and "stuck"}
                seen |= {rule.value and rule.value.aggregate, rule.session and "session", rule.readings and "readings"}
                seen |= {rule.flapping and "flapping", rule.active and "active", rule.overrides and "overrides"}
                seen |= {rule.percent_of, rule.split, *(rung.needed and "m of n" for rung in rule.levels), rule.stream}
    wanted = {
        *Aggregate,
        *Comparison,
        "session",
        "readings",
        "flapping",
        "m of n",
        "stuck",
        Capacity.CAPACITY,
    }
    names = {f"both-{logic.value}" for logic in Logic} | {"nested"}
    assert wanted | names | ({*Stream} - {Stream.VISIT}) <= seen


@pytest.mark.parametrize("seed", range(3))
def test_transitions_have_unique_ids(seed: int) -> None:
    """No two transitions of a run share an id."""
    dice = random.Random(seed)
    definition, batch = wild.definition(dice, 12), wild.batch(wild.readings(dice, SECONDS), NOW)
    ids = [one.id for one in engine_of(definition).feed(batch)]
    assert len(ids) == len(set(ids)) > 20
