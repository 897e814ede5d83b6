"""``baseline`` and ``trend`` as people write them become what the core evaluates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sensord.config.rules import World, load_rules
from sensord.core.instant import MINUTE
from sensord.core.level import Level
from sensord.core.rules.derived import Baseline, Measure, Season, Trend
from sensord.core.rules.rule import Comparison, Rule

Read = Callable[[str], Rule]

_HEAD = """
rules:
  - id: unusual
    name: {zh: 与平常不同, en: Unlike usual}
    stream: crowd
    by: lane
    dispatch: crowd
"""


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a rule from the lines that follow its head."""

    def read_lines(lines: str) -> Rule:
        path = tmp_path / "rules.yaml"
        path.write_text(_HEAD + "".join(f"    {line}\n" for line in lines.strip().split("\n")), encoding="utf-8")
        return load_rules(path, World()).rules[0]

    return read_lines


@pytest.mark.parametrize(
    ("levels", "comparison", "thresholds", "outside", "measure"),
    [
        ("{yellow: {above: 4 sigma}, red: {above: 6.5 sigma}}", Comparison.ABOVE, [4.0, 6.5], False, Measure.SIGMA),
        ("{yellow: {at_least: 4 sigma}}", Comparison.AT_LEAST, [4.0], False, Measure.SIGMA),
        ("{yellow: {below: 4 sigma}, red: {below: 6 sigma}}", Comparison.BELOW, [-4.0, -6.0], False, Measure.SIGMA),
        ("{yellow: {at_most: 4 sigma}}", Comparison.AT_MOST, [-4.0], False, Measure.SIGMA),
        ("{yellow: {outside: 4 sigma}}", Comparison.ABOVE, [4.0], True, Measure.SIGMA),
        ("{yellow: {ratio: 2}, red: {ratio: 3}}", Comparison.AT_LEAST, [2.0, 3.0], False, Measure.RATIO),
        ("{yellow: {ratio: 0.5}, red: {ratio: 0.2}}", Comparison.AT_MOST, [0.5, 0.2], False, Measure.RATIO),
    ],
)
def test_levels_are_distances_from_the_usual(
    read: Read, levels: str, comparison: Comparison, thresholds: list[float], outside: bool, measure: Measure
) -> None:
    """Spreads and multiples become thresholds on the side that is meant, with a share of them as margin."""
    rule = read(f"value: mean(count)\nwindow: 30m\nbaseline: {{}}\nlevels: {levels}\nclear: {{margin: 10%}}")
    assert rule.comparison is comparison
    assert [rung.threshold for rung in rule.levels] == thresholds
    assert rule.clear.margin == pytest.approx([abs(threshold) / 10 for threshold in thresholds])
    assert rule.baseline == Baseline(measure=measure, outside=outside, smallest=1.0)


@pytest.mark.parametrize(
    ("value", "given", "spec"),
    [
        ("mean(density)", "{}", Baseline()),
        ("mean(count)", "{season: day}", Baseline(season=Season.DAY, smallest=1.0)),
        ("count()", "{smallest: 3}", Baseline(smallest=3.0)),
        ("sum(enter)", "{learn_from_alarms: 20%, smallest: 0}", Baseline(learn_from_alarms=0.2)),
    ],
)
def test_what_a_baseline_learns_can_be_set(read: Read, value: str, given: str, spec: Baseline) -> None:
    """People are counted one by one, so one is the least spread of a count; other values have none by themselves."""
    rule = read(f"value: {value}\nwindow: 30m\nbaseline: {given}\nlevels: {{yellow: {{above: 4 sigma}}}}")
    assert rule.baseline == spec


def test_a_trend_warns_one_level_lower(read: Read) -> None:
    """The thresholds are orange's and red's, the levels one lower; it looks as far back as ahead."""
    levels = "levels: {orange: {above: 2.17}, red: {above: 3.57, for: 1m}}"
    rule = read(f"value: mean(density)\nwindow: 2m\nevery: 30s\ntrend: {{within: 15m}}\n{levels}")
    assert rule.trend == Trend(15 * MINUTE, 15 * MINUTE)
    assert [(rung.level, rung.threshold) for rung in rule.levels] == [(Level.YELLOW, 2.17), (Level.ORANGE, 3.57)]


def test_how_far_back_a_trend_looks_can_be_set(read: Read) -> None:
    """``over`` is a stretch of its own."""
    levels = "levels: {yellow: {below: 5}}"
    rule = read(f"value: mean(count)\nwindow: 5m\ntrend: {{within: 30m, over: 40m}}\n{levels}")
    assert rule.trend == Trend(30 * MINUTE, 40 * MINUTE)
    assert rule.comparison is Comparison.BELOW
