"""What becomes of windows, clocks and alerts when the definition changes under a running engine."""

from __future__ import annotations

import random

import pytest

from sensord.core.alert import Change
from sensord.core.definition import Definition
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.rules.carry import Carried
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Clear, Combination, Comparison, LevelSpec, Logic, Part, Rule
from sensord.errors import SnapshotError
from tests.core import wild
from tests.core.street import START, definition, density_rule, devices, places
from tests.core.test_windows import crowd

RULE = density_rule(
    levels=(LevelSpec(Level.YELLOW, 1.0), LevelSpec(Level.RED, 9.0)),
    clear=Clear((0.0, 0.0), 0),
    window=30 * SECOND,
    every=10 * SECOND,
)


def engine_of(*rules: Rule) -> Engine:
    """An engine of the small street."""
    return Engine(definition(rules=rules), Places(places(), devices()))


def busy(*rules: Rule) -> Engine:
    """An engine that has seen a crowd of 5 people/m2 in the first lane for half a minute: yellow."""
    engine = engine_of(*rules)
    said = engine.feed(crowd([(second, second, 5.0) for second in range(1, 31, 5)], 32))
    assert [one.level for one in said if one.rule == "density"] == [Level.YELLOW]
    return engine


def replaced(old: Engine, *rules: Rule) -> tuple[Engine, list[str]]:
    """The engine of a new definition that takes over at 33 s, and what that changes at once."""
    engine = engine_of(*rules)
    gone = engine.carry_over(old, START + 33 * SECOND)
    return engine, [f"{one.rule} {one.change}" for one in gone]


def levels(engine: Engine) -> list[Level]:
    """The levels of the active alerts."""
    return [one.level for one in engine.active()]


CHANGES: dict[str, tuple[dict[str, object], Carried]] = {
    "nothing": ({}, Carried.UNCHANGED),
    "the message": ({"message": {"zh": "{place}"}}, Carried.RETOLD),
    "the runbook": ({"runbook": "look"}, Carried.RETOLD),
    "a threshold": ({"levels": (LevelSpec(Level.YELLOW, 2.0), LevelSpec(Level.RED, 9.0))}, Carried.REJUDGED),
    "for": ({"levels": (LevelSpec(Level.YELLOW, 1.0, MINUTE), LevelSpec(Level.RED, 9.0))}, Carried.REJUDGED),
    "clear": ({"clear": Clear((0.1, 0.1), MINUTE)}, Carried.REJUDGED),
    "the window": ({"window": MINUTE}, Carried.WARMING_UP),
    "where": ({"where": {"grid": ("G1",)}}, Carried.WARMING_UP),
    "by": ({"by": "grid"}, Carried.RESTARTED),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_carried_over(name: str) -> None:
    """Each kind of change keeps what it may; an alert ends by a change only if it can no longer be the same alert."""
    change, wanted = CHANGES[name]
    engine, gone = replaced(busy(RULE), density_rule(**{**fields(RULE), **change}))
    assert engine.carried == {"density": wanted}
    assert wanted.keeps_alerts is (gone == [])
    assert levels(engine) == ([Level.YELLOW] if wanted.keeps_alerts else [])


def fields(rule: Rule) -> dict[str, object]:
    """A rule's fields."""
    return {name: getattr(rule, name) for name in rule.__struct_fields__}


def test_windows_go_on_when_thresholds_change() -> None:
    """A new threshold is held against the readings that were there before it: at once, at the next evaluation."""
    sharper = density_rule(**{**fields(RULE), "levels": (LevelSpec(Level.YELLOW, 1.0), LevelSpec(Level.RED, 4.0))})
    engine, _ = replaced(busy(RULE), sharper)
    said = engine.feed(crowd([(34, 34, 5.0)], 42))
    assert [(one.change, one.level, one.samples) for one in said] == [(Change.ESCALATED, Level.RED, 5)]


def test_a_warm_up_is_quiet_but_never_blind_to_what_is_active() -> None:
    """While a new window fills, nothing is lowered and no mean raises; after it, both are judged as ever."""
    engine, gone = replaced(busy(RULE), density_rule(**{**fields(RULE), "window": MINUTE}))
    assert gone == []
    calm = [(float(second), float(second), 0.1) for second in range(34, 120, 5)]
    said = engine.feed(crowd(calm, 120))
    assert [(one.change, (one.at - START) // SECOND) for one in said] == [(Change.CLEARED, 102)]


def test_a_level_that_is_gone_lowers_the_alert() -> None:
    """Without its yellow rung, a yellow alert clears at the next evaluation that knows the value."""
    only_red = density_rule(**{**fields(RULE), "levels": (LevelSpec(Level.RED, 9.0),), "clear": Clear((0.0,), 0)})
    engine, gone = replaced(busy(RULE), only_red)
    assert gone == []
    assert [one.change for one in engine.feed(crowd([(34, 34, 5.0)], 42))] == [Change.CLEARED]


def both(*parts: str) -> Rule:
    """A rule about two rules."""
    return Rule(
        "both",
        {"zh": "两者"},
        None,
        "grid",
        "crowd",
        (LevelSpec(Level.RED, 1.0),),
        Clear((0.0,), 0),
        combination=Combination(Logic.ALL, tuple(map(Part, parts)), 0),
    )


def test_a_combination_notices_that_its_part_is_gone() -> None:
    """When a part restarts, its alert is withdrawn, and the combination that stood on it is watched no longer."""
    other = density_rule(**{**fields(RULE), "id": "other"})
    old = busy(RULE, other, both("density", "other"))
    assert [one.rule for one in old.active()] == ["density", "other", "both"]
    engine, gone = replaced(old, density_rule(**{**fields(RULE), "by": "grid"}), other, both("density", "other"))
    assert gone == ["density withdrawn", "both unwatched"]
    assert [one.rule for one in engine.active()] == ["other"]


@pytest.mark.parametrize("seed", range(4))
def test_a_definition_with_the_same_rules_changes_nothing(seed: int) -> None:
    """Taking over from an engine with the same rules, among new devices, goes on as if nothing had happened."""
    dice = random.Random(seed)
    old, batch = wild.definition(dice, 10), wild.batch(wild.readings(dice, 100), START + 120 * SECOND)
    middle = len(batch) // 2
    at = int(batch.received_at[middle - 1])
    first, second = batch.cut(0, middle, at), batch.cut(middle, len(batch), batch.now)

    def engine() -> Engine:
        return Engine(old, Places(old.places, old.devices))

    alone, before, after = engine(), engine(), engine()
    wanted = [*alone.feed(first), *alone.feed(second)]
    said = before.feed(first)
    assert after.carry_over(before, at) == []
    assert set(after.carried.values()) == {Carried.UNCHANGED}
    assert [*said, *after.feed(second)] == wanted


def test_a_snapshot_of_other_rules_is_refused() -> None:
    """``restore`` takes a state only into the very rules that made it."""
    other: Definition = definition(rules=(density_rule(comparison=Comparison.AT_LEAST),))
    with pytest.raises(SnapshotError, match="density"):
        Engine(other, Places(places(), devices())).restore(busy(RULE).snapshot())


@pytest.mark.parametrize("step", [1, 7, 200])
def test_a_level_that_is_gone_is_left_at_the_next_evaluation(step: int) -> None:
    """Red, of which the changed rule knows nothing, becomes yellow at once, however many evaluations a batch brings."""
    minute = Clear((0.0,), MINUTE)
    red, yellow = (
        density_rule(**{**fields(RULE), "levels": (LevelSpec(level, 1.0),), "clear": minute})
        for level in (Level.RED, Level.YELLOW)
    )
    before = engine_of(red)
    before.feed(crowd([(second, second, 5.0) for second in range(1, 31, 5)], 32))
    engine, _ = replaced(before, yellow)
    said = [change for second in range(33 + step, 240, step) for change in engine.feed(crowd([], second))]
    assert [(one.change, one.level, (one.end - START) // SECOND) for one in said] == [
        (Change.LOWERED, Level.YELLOW, 40)
    ]
