"""A combination that fails knows again what is on, and one whose part fails notices nothing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sensord.core.alert import Change
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.rules.combination import CombinedRule
from sensord.core.rules.rule import Comparison, LevelSpec, Logic
from sensord.core.rules.windowed import WindowedRule
from tests.core.failing import DENSITY, Following, both, broken_once, fail

pytestmark = pytest.mark.usefixtures("in_service")


@pytest.mark.parametrize("where", ["hear", "judge", "_dues"])
def test_a_combination_that_fails_knows_again_what_is_on(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made anew from the alerts that stand: what it missed it tells, and what it told stands on."""
    site = Following(DENSITY, both(Logic.ANY, "density"))
    site.until(30, 100, since=1)
    assert [one[1:] for one in site.changes] == [
        ("density", "G1-L1", Change.RAISED),
        ("both", "G1", Change.RAISED),
    ]
    with monkeypatch.context() as patch:
        patch.setattr(CombinedRule, where, broken_once(getattr(CombinedRule, where)))
        site.until(80, 100, since=30, lanes=(0, 2))
    site.until(100, 100, since=80, lanes=(0, 2))
    assert {failure.what for failure in site.failures} == {"both"}
    assert [(key, change) for _, rule, key, change in site.changes if rule == "both"] == [
        ("G1", Change.RAISED),
        ("G2", Change.RAISED),
    ]
    site.until(260, 0, since=100, lanes=(0, 2))
    assert [one[2:] for one in site.changes if one[1] == "both"][2:] == [("G1", Change.CLEARED), ("G2", Change.CLEARED)]


@pytest.mark.parametrize("logic", [Logic.ALL, Logic.SEQUENCE])
def test_what_a_combination_has_told_stands_as_long_as_it_would_have(
    logic: Logic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not know any more what came before; what it stood on has been on until now."""
    later = replace(DENSITY, id="later", levels=(LevelSpec(Level.YELLOW, 1.0, 10 * SECOND),))
    brief = replace(DENSITY, id="brief", comparison=Comparison.BELOW, levels=(LevelSpec(Level.BLUE, 1.0),))
    parts = ("density", "later") if logic is Logic.SEQUENCE else ("density", "brief")
    site = Following(DENSITY, later, brief, both(logic, *parts, within=MINUTE))
    site.until(42, 0, since=1)
    site.until(100, 100, since=42)
    assert [change for _, rule, _, change in site.changes if rule == "both"] == [Change.RAISED]
    with monkeypatch.context() as patch:
        patch.setattr(CombinedRule, "_dues", broken_once(CombinedRule._dues))
        site.until(102, 100, since=100)
    assert [failure.what for failure in site.failures] == ["both"]
    site.until(150, 100, since=102)
    assert [change for _, rule, _, change in site.changes if rule == "both"] == [Change.RAISED]


def test_a_part_that_fails_leaves_its_combination_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its alerts stand, so what stands on them does."""
    site = Following(DENSITY, replace(DENSITY, id="other"), both(Logic.ALL, "density", "other"))
    site.until(60, 100, since=1)
    with monkeypatch.context() as patch:
        patch.setattr(WindowedRule, "evaluate", fail)
        site.until(90, 0, since=60)
    assert {failure.what for failure in site.failures} == {"density", "other"}
    assert {one.rule for one in site.site.engine.active()} == {"density", "other", "both"}
    site.until(200, 0, since=90)
    assert [one[1] for one in site.changes if one[3] is Change.CLEARED] == ["density", "other", "both"]
