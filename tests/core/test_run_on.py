"""A rule without a window changes while its alert is active: the level runs on from when it was met last."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sensord.core.alert import Change
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.rules.carry import Carried
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Aggregate, Clear, LevelSpec, Rule, Value
from sensord.core.site import Site, definition_record
from tests.core import traffic
from tests.core.street import START, definition, density_rule, devices, grouped, places
from tests.core.test_windows import crowd

CHANGED = 33
LAST_MET = 26
CALM = [(float(second), float(second), 0.1) for second in range(31, 100, 5)]
"""What is said then, in seconds: nobody is there."""
YELLOW, ORANGE, RED = LevelSpec(Level.YELLOW, 1.0), LevelSpec(Level.ORANGE, 4.0), LevelSpec(Level.RED, 9.0)


def rungs(*levels: LevelSpec, hold: int = 20 * SECOND) -> dict[str, object]:
    """Levels and how they are left."""
    return {"levels": levels, "clear": Clear((0.0,) * len(levels), hold)}


RULE = density_rule(value=Value(Aggregate.LAST, "density"), window=0, every=0, **rungs(YELLOW, RED))

CHANGES: dict[str, tuple[dict[str, object], Carried, int]] = {
    "the message": ({"message": {"zh": "{place}"}}, Carried.RETOLD, LAST_MET + 20),
    "a longer clear.for": (rungs(YELLOW, RED, hold=MINUTE), Carried.REJUDGED, LAST_MET + 60),
    "a shorter clear.for, which is over": (rungs(YELLOW, RED, hold=SECOND), Carried.REJUDGED, CHANGED),
    "a threshold": (rungs(LevelSpec(Level.YELLOW, 6.0), RED), Carried.REJUDGED, LAST_MET + 20),
    "another level": (rungs(YELLOW, ORANGE, RED), Carried.REJUDGED, LAST_MET + 20),
    "another level below": (rungs(LevelSpec(Level.BLUE, 0.5), YELLOW), Carried.REJUDGED, LAST_MET + 20),
    "where": ({"where": {"grid": ("G1",)}}, Carried.REJUDGED, LAST_MET + 20),
    "its level is gone": (rungs(RED), Carried.RESTARTED, CHANGED),
    "by": ({"by": "grid"}, Carried.RESTARTED, CHANGED),
}


def engine_of(rule: Rule) -> Engine:
    """An engine of the small street."""
    return Engine(definition(rules=(rule,)), Places(places(), devices()))


@pytest.mark.parametrize("name", CHANGES)
def test_an_active_level_runs_on(name: str) -> None:
    """It ends once, ``clear.for`` after it was met last, and never before the change; or it is withdrawn with it."""
    change, wanted, ends = CHANGES[name]
    before, after = engine_of(RULE), engine_of(replace(RULE, **change))
    before.feed(crowd([(second, second, 5.0) for second in range(1, LAST_MET + 1, 5)] + [CALM[0]], CHANGED))
    gone = after.carry_over(before, START + CHANGED * SECOND)
    assert after.carried == {"density": wanted}
    assert [one.change for one in gone] == ([] if wanted.keeps_alerts else [Change.WITHDRAWN])
    restarted = engine_of(replace(RULE, **change))
    restarted.restore(after.snapshot())
    said = after.feed(crowd(CALM[1:], 200))
    assert restarted.feed(crowd(CALM[1:], 200)) == said
    assert [((one.at - START) // SECOND, one.change) for one in gone + said] == [
        (ends, Change.CLEARED if wanted.keeps_alerts else Change.WITHDRAWN)
    ]


def test_a_level_that_runs_on_rises_as_ever() -> None:
    """A reading that meets a rung above it escalates the alert; one that meets its own keeps it."""
    before, after = engine_of(RULE), engine_of(replace(RULE, **rungs(YELLOW, ORANGE)))
    before.feed(crowd([(20, 20, 2.0)], CHANGED))
    after.carry_over(before, START + CHANGED * SECOND)
    said = after.feed(crowd([(35, 35, 2.0), (50, 50, 5.0)], 51))
    assert [((one.at - START) // SECOND, one.change, one.level) for one in said] == [
        (50, Change.ESCALATED, Level.ORANGE)
    ]


@pytest.mark.parametrize("size", [1, 100])
def test_who_was_told_of_is_not_told_of_again_after_a_change(size: int) -> None:
    """The same vehicle again within the clearing time says nothing, and another one is another."""
    rule = traffic.rule("strangers", None, 1.0, {"event": ("passed",)}, each=True, clear=Clear((0.0,), 5 * MINUTE))
    definitions = [traffic.definition(rules=(one,)) for one in (rule, replace(rule, clear=Clear((0.0,), 10 * MINUTE)))]
    start, end = traffic.START, traffic.START + 20 * MINUTE
    seconds = {1: "苏E24680", 180: "苏E24680", 240: "粤B24681"}
    passages = [traffic.passage("C1-N", start + second * SECOND, plate) for second, plate in seconds.items()]
    first = [definition_record(definitions[0], start), *passages[:1]]
    records = [*first, definition_record(definitions[1], start + MINUTE), *passages[1:], *traffic.ticks(end, end - 1)]
    site = Site(None, traffic.SECRETS)
    steps = [site.step(group) for group in grouped(records, [size])]
    said = [((one.at - start) // SECOND, one.change.value) for step in steps for one in step.transitions]
    assert said == [(1, "raised"), (240, "another"), (840, "cleared")]
