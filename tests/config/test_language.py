"""The whole rule language, written once: every construct loads, and becomes what the core calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensord.config.calendar import load_calendar, public_days
from sensord.config.load import load
from sensord.config.places import load_places
from sensord.config.rules import World, load_rules
from sensord.core.batch import tick
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import (
    Aggregate,
    Capacity,
    Combination,
    Comparison,
    Flapping,
    LevelSpec,
    Logic,
    Part,
    Rule,
    Stuck,
    Value,
)
from sensord.core.schedule import Active
from sensord.errors import ConfigError
from tests.config.rejection import STREET

EXAMPLES = Path(__file__).parent / "language" / "rules.yaml"
PLACES = EXAMPLES.parent / "places.yaml"


@pytest.fixture(scope="module")
def rules() -> dict[str, Rule]:
    """The examples by id."""
    return {rule.id: rule for rule in load_rules(EXAMPLES, world()).rules}


def world() -> World:
    """What the examples may speak of."""
    registry = load_places(PLACES)
    return World(Places(registry.places, registry.devices), ["crowd", "device"], ["school-break"])


def test_they_load_without_a_warning() -> None:
    """The examples of every construct are good."""
    assert load_rules(EXAMPLES, world()).warnings == []


VALUES = {
    "delta": Value(Aggregate.DELTA, "value"),
    "distinct": Value(Aggregate.DISTINCT, "device"),
    "percentile": Value(Aggregate.PERCENTILE, "density", rank=95.0),
    "stddev": Value(Aggregate.STDDEV, "count"),
    "slope": Value(Aggregate.SLOPE, "count", per=HOUR),
    "first": Value(Aggregate.FIRST, "count"),
    "total": Value(Aggregate.TOTAL, "count"),
    "occupancy": Value(Aggregate.OCCUPANCY, anchor=4 * HOUR + 30 * MINUTE),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(rules: dict[str, Rule], name: str) -> None:
    """Each aggregate is what it says."""
    assert rules[f"value-{name}"].value == VALUES[name]


def test_windows(rules: dict[str, Rule]) -> None:
    """A session, a number of readings, and the pane of an occupancy."""
    assert (rules["session"].session, rules["session"].every, rules["session"].window) == (5 * MINUTE, 10 * SECOND, 0)
    assert (rules["readings"].readings, rules["readings"].min_samples) == (20, 20)
    assert rules["value-occupancy"].window == rules["value-occupancy"].every == 10 * SECOND


def test_levels(rules: dict[str, Rule]) -> None:
    """Two thresholds, a number of evaluations, and damping."""
    assert rules["outside"].comparison is Comparison.OUTSIDE
    assert rules["outside"].levels == (
        LevelSpec(Level.BLUE, 30.0, low=5.0),
        LevelSpec(Level.RED, 50.0, 2 * MINUTE, 2.0),
    )
    assert rules["outside"].clear.margin == (2.5, 4.8)
    assert rules["often"].levels == (LevelSpec(Level.YELLOW, 2.0, needed=3, among=5),)
    assert rules["often"].flapping == Flapping(3, 30 * MINUTE, 15 * MINUTE)
    assert rules["share"].percent_of is Capacity.CAPACITY


def test_keys(rules: dict[str, Rule]) -> None:
    """A key of a place and two labels, and of a label alone."""
    assert (rules["by-class"].by, rules["by-class"].split) == ("gate", ("class", "direction"))
    assert (rules["by-class-alone"].by, rules["by-class-alone"].split) == ("street", ("class",))


def test_overrides(rules: dict[str, Rule]) -> None:
    """Thresholds by place, in the rule and in a file beside it; margins follow their own threshold."""
    inline = {one.place: one for one in rules["overridden"].overrides}
    assert [(rung.level, rung.threshold) for rung in inline["G01"].levels] == [(Level.YELLOW, 2.0), (Level.RED, 6.0)]
    assert list(inline["G01"].margin) == pytest.approx([0.2, 0.6])
    assert [rung.threshold for rung in inline["crowd-002"].levels] == [4.0]
    table = {one.place: one for one in rules["table"].overrides}
    assert {place: [rung.threshold for rung in one.levels] for place, one in table.items()} == {
        "L001": [1.5, 3.5],
        "L002": [2.5],
    }


def test_active_times(rules: dict[str, Rule]) -> None:
    """Days and hours, spans over midnight, several stretches."""
    assert rules["at-night"].active == (
        Active(("workday",), ("school-break",), 22 * HOUR, 6 * HOUR),
        Active(("sat", "sun"), (), 0, 24 * HOUR),
    )


def test_sensors_and_combinations(rules: dict[str, Rule]) -> None:
    """Stuck sensors, and rules about rules."""
    assert rules["stuck"].stuck == Stuck("count", 6 * HOUR, 12 * HOUR, 1.0)
    parts = (Part("session", Level.BLUE), Part("readings", Level.RED))
    assert rules["both"].combination == Combination(Logic.ALL, parts, 10 * MINUTE)
    assert rules["either"].combination == Combination(Logic.ANY, (Part("both"), Part("share")), 0)
    assert rules["in-turn"].combination == Combination(Logic.SEQUENCE, (Part("session"), Part("share")), 5 * MINUTE)
    assert rules["unanswered"].combination == Combination(Logic.MISSING, (Part("both"), Part("reported")), 15 * MINUTE)
    assert rules["unanswered"].clear.hold == 30 * MINUTE


def test_the_engine_takes_them_all(rules: dict[str, Rule]) -> None:
    """An engine can be made of every example."""
    loaded = load(STREET / "sensord.yaml").definition
    registry = load_places(PLACES)
    changed = {"rules": tuple(rules.values()), "places": registry.places, "devices": registry.devices}
    definition = type(loaded)(**{name: changed.get(name, getattr(loaded, name)) for name in loaded.__struct_fields__})
    engine = Engine(definition, Places(registry.places, registry.devices))
    assert engine.feed(tick(1_700_000_000 * SECOND)) == []


def test_public_holidays_are_known() -> None:
    """National Day 2025 with its make-up workdays, as the State Council published them."""
    holidays, workdays = public_days()
    assert {f"2025-10-0{day}" for day in range(1, 9)} <= holidays
    assert {"2025-09-28", "2025-10-11"} <= workdays


def test_the_sites_own_calendar(tmp_path: Path) -> None:
    """Own days come on top of the public ones and win over them; mistakes are found where they are."""
    path = tmp_path / "calendar.yaml"
    path.write_text("holidays: [2031-01-02]\nworkdays: [2025-10-01]\ndays: {school-break: [2031-01-30..2031-02-01]}\n")
    calendar = load_calendar(path)
    assert "2031-01-02" in calendar.holidays
    assert "2025-10-01" not in calendar.holidays
    assert "2025-10-01" in calendar.workdays
    assert calendar.named == {"school-break": ("2031-01-30", "2031-01-31", "2031-02-01")}
    path.write_text("holidays: [2031-02-30]\nworkdays: [2031-03-02..2031-03-01]\ndays: {mon: [2031-01-01]}\n")
    with pytest.raises(ConfigError) as caught:
        load_calendar(path)
    assert [(one.line, one.column) for one in caught.value.problems] == [(1, 12), (2, 12), (3, 8)]


def test_a_table_of_overrides_says_where_it_is_wrong(tmp_path: Path) -> None:
    """Mistakes in the CSV file are reported in the file itself: unknown places, doubles, cells, and disorder."""
    text = EXAMPLES.read_text(encoding="utf-8")
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    rows = ["place,yellow,red", "L001,1.5,3.5", "L001,1,2", "L009,1,2", "L002,x,2", "G01,5,4"]
    (tmp_path / "thresholds.csv").write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_rules(tmp_path / "rules.yaml", world())
    found = [(one.file.rpartition("/")[2], one.line) for one in caught.value.problems]
    assert found == [("thresholds.csv", line) for line in (3, 4, 5, 6)]
