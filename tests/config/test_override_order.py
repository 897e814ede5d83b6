"""The levels are in order wherever thresholds of several places come together, and it is said where they are not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from sensord.config.rules import World, load_rules
from sensord.core.instant import SECOND
from sensord.core.place import Device, Place, PlaceKind, Places
from sensord.core.stream import Stream
from sensord.errors import ConfigError
from sensord.phrasebook import shown_problem

LANES = 3000
RULE = """
rules:
  - id: r
    name: {{zh: 人群}}
    stream: crowd
    by: {by}
    value: mean(density)
    window: 1m
    levels: {levels}
    overrides: {overrides}
    dispatch: crowd
"""
RISING = "{yellow: {above: 1}, orange: {above: 2}, red: {above: 5}}"


def street() -> Places:
    """A block with two grids; the first has a compound, a micro-grid, and many lanes that lie in both."""
    places = [
        Place("S", PlaceKind.STREET, "街道"),
        Place("B1", PlaceKind.BLOCK, "街区", parent="S"),
        Place("G1", PlaceKind.GRID, "居民区", parent="B1"),
        Place("G2", PlaceKind.GRID, "居民区", parent="B1"),
        Place("M1", PlaceKind.MICRO_GRID, "微网格", parent="G1"),
        Place("M2", PlaceKind.MICRO_GRID, "微网格", parent="G2"),
        Place("C1", PlaceKind.COMPOUND, "小区", parent="G1", micro_grids=("M1",)),
        Place("L-other", PlaceKind.LANE, "弄", parent="M2"),
    ]
    places += [Place(f"L{n:04}", PlaceKind.LANE, "弄", parent="M1", compound="C1") for n in range(LANES)]
    lanes = [place.id for place in places if place.kind is PlaceKind.LANE]
    return Places(places, [Device(f"d-{lane}", Stream.CROWD, lane, 10 * SECOND) for lane in lanes])


PLACES = street()


def said(folder: Path, overrides: str, levels: str = RISING, by: str = "lane", places: Places | None = PLACES) -> str:
    """What a rule with these overrides is refused with, a line each; empty: nothing."""
    (folder / "r.yaml").write_text(RULE.format(overrides=overrides, levels=levels, by=by), encoding="utf-8")
    try:
        load_rules(folder / "r.yaml", World(places))
    except ConfigError as error:
        return "\n".join(f"{Path(one.file).name}:{one.line}: {one.message} ({one.hint})" for one in error.problems)
    return ""


HINT = "levels go blue, yellow, orange, red"


@dataclass(frozen=True)
class Case:
    """Overrides, and what is said of them: the mistakes, each with how many places it is seen at, and one of them."""

    name: str
    overrides: str
    said: tuple[tuple[str, int, str], ...] = ()


IN_FORCE = [
    Case("in order", "{G1: {orange: 3, yellow: 2.5}, L0001: {yellow: 2.8}}"),
    Case("in order only together", "{B1: {orange: 4}, L0001: {yellow: 3}}"),
    Case(
        "nested",
        "{B1: {red: 1.8, orange: 1.5}, C1: {orange: 1.9}}",
        (("C1: the threshold of red (B1: 1.8) must be more than that of orange (1.9)", LANES + 1, "L0000"),),
    ),
    Case(
        "against the rule",
        "{B1: {yellow: 3}}",
        (("B1: the threshold of orange (2) must be more than that of yellow (3)", LANES + 2, "L-other"),),
    ),
    Case(
        "two at odds with one",
        "{B1: {yellow: 6}, G1: {orange: 4, red: 7}, C1: {orange: 6.5}}",
        (
            ("B1: the threshold of orange (2) must be more than that of yellow (6)", 2, "L-other"),
            ("G1: the threshold of orange (4) must be more than that of yellow (B1: 6)", 1, ""),
        ),
    ),
    Case(
        "side by side",
        "{C1: {red: 1.2, orange: 1.1}, M1: {yellow: 1.15}}",
        (("M1: the threshold of orange (C1: 1.1) must be more than that of yellow (1.15)", LANES, "L0000"),),
    ),
    Case(
        "by itself",
        "{G1: {yellow: 1.5}, L0001: {yellow: 9, orange: 8, red: 7}}",
        (
            ("L0001: the threshold of orange (8) must be more than that of yellow (9)", 1, ""),
            ("L0001: the threshold of red (7) must be more than that of orange (8)", 1, ""),
        ),
    ),
]


@pytest.mark.parametrize("case", IN_FORCE, ids=lambda case: case.name)
def test_every_ladder_in_force_ascends(tmp_path: Path, case: Case) -> None:
    """The nearest place decides each level: what it gives is held against what applies there, and said once."""
    seen = {1: "", **{count: f"; it is so at {count} places, for example {one}" for _, count, one in case.said if one}}
    assert said(tmp_path, case.overrides) == "\n".join(
        f"r.yaml:10: {fault} ({HINT}{seen[count]})" for fault, count, _ in case.said
    )


def test_keys_of_other_kinds_do_not_meet_in_a_lane(tmp_path: Path) -> None:
    """A micro-grid and a compound share lanes; a rule by compound never takes a lane's thresholds."""
    both = "{C1: {red: 1.2, orange: 1.1}, M1: {yellow: 1.15}}"
    assert said(tmp_path, both, by="compound") == ""


G1_ALONE = "G1: the threshold of orange (2) must be more than that of yellow (3)"


@pytest.mark.parametrize("below", ["L0001: {yellow: 1.9}", "d-L0001: {yellow: 1.9}", "C1: {yellow: 1.9}"])
def test_what_a_rule_never_takes_is_out_of_no_order(tmp_path: Path, below: str) -> None:
    """A rule by grid takes nothing of what lies in a grid; a rule by what lies there does."""
    overrides = f"{{G1: {{orange: 1.5}}, {below}}}"
    assert said(tmp_path, overrides, by="grid") == ""
    assert "(G1: 1.5)" in said(tmp_path, overrides, by="device")
    assert (said(tmp_path, overrides, by="lane") == "") is below.startswith("d-")
    assert G1_ALONE in said(tmp_path, f"{{G1: {{yellow: 3}}, {below}}}", by="grid")


def test_what_a_rule_never_takes_makes_nobody_work_out_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lanes of a shared table cannot meet a grid's thresholds in a rule by grid."""
    monkeypatch.setattr("sensord.config.overrideorder.KeyTable", None)
    assert said(tmp_path, "{G1: {orange: 1.5}, L0001: {yellow: 1.2}}", by="grid") == ""


def warned(folder: Path, overrides: str, by: str) -> list[str]:
    """What a rule with these overrides is warned of."""
    (folder / "r.yaml").write_text(RULE.format(overrides=overrides, levels=RISING, by=by), encoding="utf-8")
    found = [one for one in load_rules(folder / "r.yaml", World(PLACES)).warnings if "never apply" in one.message]
    return [f"{Path(one.file).name}:{one.line}: {one.message} ({one.hint})" for one in found]


def test_thresholds_that_never_apply_are_warned_of(tmp_path: Path) -> None:
    """One line for all of a rule; a table may be shared by rules of several kinds, unless none of it applies."""
    why = "no grid is there or lies in it, so its thresholds never apply"
    hint = "name a place of the kind grid, or one above it"
    assert warned(tmp_path, "{B1: {orange: 3}, d-L0001: {red: 9}, L0001: {orange: 3}}", "grid") == [
        f"r.yaml:10: L0001: {why} ({hint}; it is so of 2 overrides)"
    ]
    assert warned(tmp_path, "{B1: {orange: 3}, L0001: {orange: 3}}", "lane") == []
    assert warned(tmp_path, "{B1: {orange: 3}, d-L0001: {orange: 3}}", "device") == []
    table = tmp_path / "t.csv"
    table.write_text("place,orange\nG1,3\nL0001,3\n", encoding="utf-8")
    assert warned(tmp_path, "t.csv", "grid") == []
    table.write_text("place,orange\n\nL0001,3\n", encoding="utf-8")
    assert warned(tmp_path, "t.csv", "grid") == [f"t.csv:3: L0001: {why} ({hint})"]


def test_a_sensor_of_its_own_is_looked_at_too(tmp_path: Path) -> None:
    """A device's threshold is nearer than its lane's."""
    words = said(tmp_path, "{L0001: {orange: 3}, d-L0001: {yellow: 4}}", by="device")
    assert words == (
        f"r.yaml:10: d-L0001: the threshold of orange (L0001: 3) must be more than that of yellow (4) ({HINT})"
    )


def test_falling_and_outside_ladders(tmp_path: Path) -> None:
    """A falling ladder descends, and the pairs of ``outside`` enclose each other."""
    falling = "{yellow: {below: 5}, red: {below: 2}}"
    assert "red (G1: 4) must be less than that of yellow (3)" in said(
        tmp_path, "{G1: {red: 4}, C1: {yellow: 3}}", falling
    )
    outside = "{yellow: {outside: [2, 8]}, red: {outside: [1, 9]}}"
    assert "C1: red (G1: [1.5, 8.5]) must lie further out than yellow ([1, 8])" in said(
        tmp_path, "{G1: {red: [1.5, 8.5]}, C1: {yellow: [1, 8]}}", outside
    )


def test_one_line_for_thousands_of_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table for every lane under a grid whose orange is too low: one line, at the first row, with the number."""
    rows = ["place,yellow,orange", "G1,,1.2", *(f"L{n:04},1.3," for n in range(LANES))]
    (tmp_path / "lanes.csv").write_text("\n".join(rows), encoding="utf-8")
    hint = f"{HINT}; it is so at {LANES} places, for example L0001"
    fault = "L0000: the threshold of orange (G1: 1.2) must be more than that of yellow (1.3)"
    assert said(tmp_path, "lanes.csv") == f"lanes.csv:3: {fault} ({hint})"
    monkeypatch.setenv("SENSORD_LANGUAGE", "zh")
    with pytest.raises(ConfigError) as caught:
        load_rules(tmp_path / "r.yaml", World(PLACES))
    words = shown_problem(caught.value.problems[0])
    assert "L0000：orange 的阈值（G1: 1.2）必须大于 yellow 的阈值（1.3）" in words
    assert f"共 {LANES} 处如此，例如 L0001" in words


def test_an_early_warning_names_the_levels_that_were_written(tmp_path: Path) -> None:
    """A trend warns one level lower; the words of the file are those of the mistake."""
    levels = "{yellow: {above: 1}, red: {above: 5}}\n    trend: {within: 15m}\n    every: 30s"
    assert "red (G1: 3) must be more than that of yellow (4)" in said(
        tmp_path, "{G1: {red: 3}, L0001: {yellow: 4}}", levels
    )


def test_the_order_is_looked_at_beside_other_mistakes(tmp_path: Path) -> None:
    """A label without a word is refused like any mistake; the rest of the rule is looked at as if it were not there."""
    (tmp_path / "r.yaml").write_text(
        RULE.format(overrides="{G1: {yellow: 3}}", levels=RISING, by="[lane, class]")
        .replace("crowd\n", "plate\n    where: {class: []}\n", 1)
        .replace("mean(density)", "count()"),
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load_rules(tmp_path / "r.yaml", World(PLACES))
    assert [one.message for one in caught.value.problems] == [
        "the list is empty",
        "G1: the threshold of orange (2) must be more than that of yellow (3)",
    ]


@pytest.mark.parametrize(
    ("overrides", "refused"),
    [
        ("{B1: {orange: 4}, L0001: {yellow: 3}}", False),
        ("{L0001: {yellow: 3}}", True),
        ("{L1: {yellow: 3, orange: 2}}", True),
    ],
)
def test_without_the_tree_only_what_is_certain_is_refused(tmp_path: Path, overrides: str, *, refused: bool) -> None:
    """A variant of a rule file is looked at before the recorded places are known."""
    assert bool(said(tmp_path, overrides, places=None)) is refused
