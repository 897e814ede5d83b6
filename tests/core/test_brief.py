"""Rules without a window whose levels are held for no time at all, as files may not say: a level lasts for a second."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sensord.core.alert import Change
from sensord.core.instant import SECOND
from sensord.core.level import Level
from sensord.core.rules.rule import Aggregate, Clear, Comparison, LevelSpec, Rule, Value
from sensord.core.stream import Stream
from tests.core.failing import Following
from tests.core.street import START, density_rule, devices, message

CROWD = density_rule(value=Value(Aggregate.LAST, "density"), levels=(LevelSpec(Level.YELLOW, 1.0),), window=0, every=0)


def held(rule: Rule, hold: int) -> Rule:
    """The rule, its levels held for so long (ns)."""
    return replace(rule, clear=Clear((0.0,), hold))


@pytest.mark.parametrize("hold", [0, -60 * SECOND, 1, SECOND])
def test_what_lasts_is_looked_at_second_by_second(hold: int) -> None:
    """While its sensor says that it is met it stands; then it is over."""
    site = Following(held(CROWD, hold))
    site.until(30, 100, 1)
    site.until(60, 0, 30)
    assert site.changes == [(5, "density", "G1-L1", Change.RAISED), (31, "density", "G1-L1", Change.CLEARED)]


@pytest.mark.parametrize("hold", [0, -60 * SECOND, 1, SECOND])
def test_what_happened_is_over_after_a_second(hold: int) -> None:
    """Each reading by itself."""
    finding = replace(
        CROWD,
        id="finding",
        stream=Stream.REPORT,
        by="compound",
        value=Value(Aggregate.LAST, "grade"),
        comparison=Comparison.AT_LEAST,
    )
    site = Following(held(finding, hold))
    for second in (5, 25):
        site.step(message(devices()[5], START + second * SECOND, {"severity": "yellow", "seq": second}))
    site.until(40, 0, 30)
    assert [(at, change) for at, _, _, change in site.changes] == [
        (5, Change.RAISED), (6, Change.CLEARED), (25, Change.RAISED), (26, Change.CLEARED),
    ]  # fmt: skip
