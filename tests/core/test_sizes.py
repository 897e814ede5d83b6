"""How large an engine's state is, per key: what ``docs/rules.md`` states is measured here, and cannot be exceeded."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.engine import batches, rule, street
from sensord.core.definition import Definition
from sensord.core.instant import MINUTE, SECOND
from sensord.core.place import Places
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Aggregate, Clear, Combination, LevelSpec, Logic, Part, Rule, Stuck
from sensord.core.rules.sketch import MOST, Distinct
from sensord.core.rules.summary import Plain, Readings
from sensord.core.rules.window import Sliding

LANES = 400
_DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "rules.md"


def over_minutes(aggregate: Aggregate, **changes: object) -> Rule:
    """A rule over ten minutes, every ten seconds, or what ``changes`` make of it."""
    return rule(0, aggregate, **{"window": 10 * MINUTE, "every": 10 * SECOND, **changes})


def other(name: str, **changes: object) -> Rule:
    """A rule without a value."""
    level = (LevelSpec(over_minutes(Aggregate.COUNT).levels[0].level, 1.0),)
    plain = over_minutes(Aggregate.COUNT, window=0, every=0, value=None, levels=level, clear=Clear((0.0,), 0))
    return msgspec.structs.replace(plain, id=name, **changes)


CONSTRUCTS: dict[str, Rule] = {
    "count": over_minutes(Aggregate.COUNT),
    "mean": over_minutes(Aggregate.MEAN),
    "last": over_minutes(Aggregate.LAST),
    "stddev": over_minutes(Aggregate.STDDEV),
    "slope": over_minutes(Aggregate.SLOPE),
    "percentile": over_minutes(Aggregate.PERCENTILE),
    "distinct": over_minutes(Aggregate.DISTINCT),
    "session": over_minutes(Aggregate.MEAN, window=0, session=5 * MINUTE),
    "readings": over_minutes(Aggregate.MEAN, window=0, readings=20),
    "occupancy": over_minutes(Aggregate.OCCUPANCY, window=10 * SECOND),
    "none": over_minutes(Aggregate.LAST, window=0, every=0),
    "absent": other("absent", absent=3.0),
    "stuck": other("stuck", stuck=Stuck("count", 6 * 60 * MINUTE, 0)),
    "combination": other(
        "combination",
        stream=None,
        by="lane",
        combination=Combination(Logic.ALL, (Part("rule-00"), Part("absent")), MINUTE),
    ),
}


def state_of(engine: Engine, name: str) -> float:
    """Bytes of a rule's arrays and tables, per key."""
    evaluator = engine.evaluator_of(name)
    assert evaluator is not None
    arrays = [*evaluator.arrays().values(), *evaluator.device_arrays().values()]
    arrays += [column for table in evaluator.tables().values() for column in table.values()]
    return sum(array.nbytes for array in arrays) / len(evaluator.table)


def stated() -> dict[str, int]:
    """The bytes per key that the handbook states."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([\d,]+) \|", _DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: int(number.replace(",", "")) for name, number in rows}


@pytest.mark.parametrize("name", CONSTRUCTS)
def test_the_state_of_a_key_is_as_large_as_stated(name: str) -> None:
    """After twelve minutes of readings the state of each construct takes no more bytes a key than the handbook says."""
    made, devices = street(LANES)
    chosen = CONSTRUCTS[name]
    others = (over_minutes(Aggregate.COUNT), other("absent", absent=3.0))
    rules = (*(one for one in others if one.id != chosen.id), chosen)
    engine = Engine(Definition("sizes", made, devices, rules), Places(made, devices))
    for batch in batches(LANES, LANES * 72):
        engine.feed(batch)
    assert 0 < state_of(engine, chosen.id) <= stated()[name]


def test_distinct_is_bounded_and_near_the_truth() -> None:
    """Ten thousand different values a pane, for thirty panes: the table stays small, the estimate near."""
    counting = Plain("", lambda window: window["count"])
    window = Distinct(1, Sliding(counting, 1, 5, 16))
    cells = np.zeros(10_000, np.int64)
    for pane in range(30):
        values = np.arange(pane * 10_000, (pane + 1) * 10_000).astype(np.float64)
        window.add(Readings(cells + pane % 16, cells, cells + pane, cells, values))
        estimate, samples = window.seal(pane)
        true = min(pane + 1, 5) * 10_000
        assert samples[0] == true
        assert abs(estimate[0] - true) < 3 * 0.063 * true
        assert len(window.tables()["live"]["key"]) <= 10 * MOST
    small = Distinct(1, Sliding(counting, 1, 5, 16))
    for pane in range(9):
        values = np.arange(MOST).astype(np.float64)
        small.add(Readings(cells[:MOST] + pane % 16, cells[:MOST], cells[:MOST] + pane, cells[:MOST], values))
        assert small.seal(pane)[0][0] == MOST
