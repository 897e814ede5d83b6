"""Baseline and trend, however the work is cut: the same bytes in any batches, across restarts, ticks and shards."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.batch import Batch, tick
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.rules.derived import Baseline, Measure, Season, Trend
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Aggregate, Clear, Comparison, LevelSpec, Rule, Value
from tests.core.street import definition, devices, places
from tests.core.test_derived import LOCAL, counts, gauge_rule, rhythm, trend_rule


def scene() -> list[Batch]:
    """Four days of four lanes, with gaps, odd hours and a long silence."""
    made: list[Batch] = []
    for lane in range(4):
        values = rhythm(4, lane)
        dice = random.Random(lane)
        for _ in range(12):
            first = dice.randrange(300, len(values) - 30)
            values[first : first + 9] = [dice.choice((0.0, 150.0, 400.0))] * 9
        batches = counts(values, LOCAL + lane * SECOND, lane=lane)
        made += [batch for batch in batches if dice.random() < 0.93]
    quiet = LOCAL + 3 * DAY + 5 * HOUR
    made = [batch for batch in made if not quiet < batch.now < quiet + 7 * HOUR]
    return sorted(made, key=lambda batch: batch.now)


def joined(batches: list[Batch]) -> Batch:
    """Several batches as one."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(batch, name) for batch in batches])
        for name in ("stream", "device", "event_at", "received_at", "flags")
    }
    fields = {"count": np.concatenate([batch.fields["count"] for batch in batches])}
    return Batch(batches[-1].now, **columns, fields=fields, labels={})


RULES = (
    gauge_rule(),
    gauge_rule(id="week", baseline=Baseline(outside=True)),
    gauge_rule(
        id="twice",
        by="grid",
        window=HOUR,
        every=10 * MINUTE,
        baseline=Baseline(season=Season.DAY, measure=Measure.RATIO, smallest=1.0),
        levels=(LevelSpec(Level.BLUE, 2.0),),
        clear=Clear((0.2,), HOUR),
        comparison=Comparison.AT_LEAST,
    ),
    gauge_rule(
        id="readings", value=Value(Aggregate.COUNT), min_samples=0, comparison=Comparison.BELOW,
        levels=(LevelSpec(Level.BLUE, -3.0),), clear=Clear((1.0,), 0),
        baseline=Baseline(season=Season.DAY, smallest=0.4),
    ),
    trend_rule(window=20 * MINUTE, every=10 * MINUTE, trend=Trend(HOUR, 2 * HOUR)),
    trend_rule(
        id="falling", window=20 * MINUTE, every=10 * MINUTE, trend=Trend(HOUR, 2 * HOUR),
        comparison=Comparison.BELOW, levels=(LevelSpec(Level.BLUE, 5.0),), clear=Clear((1.0,), HOUR),
    ),
)  # fmt: skip


def outcome(
    rules: tuple[Rule, ...], batches: list[Batch], restart_every: int = 0, only: str | None = None
) -> list[bytes]:
    """Every transition as bytes, with a snapshot and restore now and then."""
    whole, tree = definition(rules=rules), Places(places(), devices(24 * HOUR))
    shard = None if only is None else frozenset({only})
    engine, lines = Engine(whole, tree, shard), list[bytes]()
    for number, batch in enumerate(batches, 1):
        lines += [msgspec.json.encode(one) for one in engine.feed(batch)]
        if restart_every and number % restart_every == 0:
            state = engine.snapshot()
            engine = Engine(whole, tree, shard)
            engine.restore(state)
            assert engine.snapshot() == state
    return lines


@pytest.fixture(scope="module")
def whole() -> list[bytes]:
    """The reference: one reading a batch."""
    return outcome(RULES, scene())


def test_every_rule_has_something_to_say(whole: list[bytes]) -> None:
    """The scene is worth cutting: each rule raises and clears in it."""
    for rule in RULES:
        for change in (b"raised", b"cleared"):
            assert any(b'"rule":"' + rule.id.encode() in line and change in line for line in whole), (rule.id, change)


@given(cuts=st.lists(st.integers(1, 2000), max_size=8), restart=st.integers(0, 3))
@settings(max_examples=3)
def test_any_cut_and_any_restart(whole: list[bytes], cuts: list[int], restart: int) -> None:
    """Any cut into batches, with restarts in between, gives the same transitions."""
    single = scene()
    edges = sorted({0, *(cut for cut in cuts if cut < len(single)), len(single)})
    assert outcome(RULES, [joined(single[a:b]) for a, b in pairwise(edges)], restart) == whole


def test_ticks_between_change_nothing(whole: list[bytes]) -> None:
    """A tick every minute says only that time has passed."""
    single = scene()
    ticked = [one for batch in single for one in (tick(batch.now), batch)]
    assert outcome(RULES, ticked) == whole


def test_shards_add_up(whole: list[bytes]) -> None:
    """Two engines that share the residential grids find together what one finds alone."""
    shards = [outcome(RULES, scene(), only=grid) for grid in ("G1", "G2")]
    assert sorted(line for shard in shards for line in shard) == sorted(whole)
    assert all(shards)
