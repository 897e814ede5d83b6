"""A key below several places that override different levels: the highest level whose own threshold is met counts."""

from __future__ import annotations

import pytest

from sensord.core.instant import SECOND
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Aggregate, Clear, LevelSpec, Override, Value
from tests.core.street import definition, density_rule, devices, places
from tests.core.test_windows import crowd

NARROW = Override("B1", (LevelSpec(Level.RED, 3.0),), (0.0,))
"""A block with a lower threshold for the graver level, and a compound in it with a higher one for the other."""
WIDE = Override("C1", (LevelSpec(Level.YELLOW, 4.0),), (0.0,))


@pytest.mark.parametrize("window", [10 * SECOND, 0], ids=["window", "no window"])
def test_a_graver_level_counts_though_the_lesser_one_is_not_met(window: int) -> None:
    """3.5 is below the compound's yellow and above the block's red: it is red, and over when it has fallen."""
    rule = density_rule(
        levels=(LevelSpec(Level.YELLOW, 1.0), LevelSpec(Level.RED, 9.0)),
        clear=Clear((0.0, 0.0), 20 * SECOND),
        value=Value(Aggregate.LAST, "density"),
        overrides=(NARROW, WIDE),
        window=window,
        every=window,
    )
    engine = Engine(definition(rules=(rule,)), Places(places(), devices()))
    values = [3.5] * 6 + [0.1] * 10
    said = engine.feed(crowd([(5.0 * turn, 5.0 * turn, value) for turn, value in enumerate(values, 1)], 80))
    levels = [(one.previous, one.level) for one in said if one.key == "G1-L1"]
    assert levels == [(Level.NONE, Level.RED), (Level.RED, Level.NONE)]
