"""What a baseline or a trend made of a value is said in plain words, in both languages."""

from __future__ import annotations

import msgspec
import pytest

from sensord.commands.sights import HAPPENING, REASON, condition, seen, verdict
from sensord.core.cases.case import Happening
from sensord.core.cases.message import _default as default_text
from sensord.core.cases.notification import Reason
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.rules.derived import Baseline, Measure, Trend
from sensord.core.rules.probe import Doubt, Sight
from sensord.core.rules.rule import (
    Aggregate,
    Combination,
    Comparison,
    Flapping,
    LevelSpec,
    Logic,
    Part,
    Rule,
    Value,
)
from tests.core.street import density_rule

SIGMA = density_rule(baseline=Baseline(), levels=(LevelSpec(Level.YELLOW, 4.0),))
RATIO = density_rule(
    baseline=Baseline(measure=Measure.RATIO), levels=(LevelSpec(Level.YELLOW, 2.0),), comparison=Comparison.AT_LEAST
)
TREND = density_rule(trend=Trend(15 * MINUTE, 30 * MINUTE), levels=(LevelSpec(Level.YELLOW, 2.17),))


def sight(derived: float | None, doubt: Doubt = Doubt.NONE) -> Sight:
    """A value of 1.5 from three readings."""
    return Sight(0, 0, 1.5, 3, doubt, Level.NONE, derived=derived)


@pytest.mark.parametrize(
    ("rule", "said", "asked"),
    [
        (SIGMA, "1.5 (from 3 readings), 5.2 sigma from the usual", "above 4 sigma"),
        (RATIO, "1.5 (from 3 readings), 5.2 times the usual", "at least 2 times the usual"),
        (TREND, "1.5 (from 3 readings), expected in 15m: 5.2", "above 2.17"),
    ],
    ids=["sigma", "ratio", "trend"],
)
def test_the_value_is_said_with_what_was_made_of_it(
    rule: Rule, said: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The explanation gives the value itself and what the levels are held against, in its own unit."""
    monkeypatch.setenv("SENSORD_LANGUAGE", "en")
    assert seen(rule, sight(5.2)) == said
    assert condition(rule, rule.levels[0]) == asked


@pytest.mark.parametrize(
    ("language", "rule", "words"),
    [
        ("zh", SIGMA, "还在学习"),
        ("en", SIGMA, "still learning"),
        ("zh", TREND, "说不出趋势"),
        ("en", TREND, "too little has been seen"),
    ],
)
def test_learning_is_said(language: str, rule: Rule, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it learns the value is unknown, and that is why."""
    monkeypatch.setenv("SENSORD_LANGUAGE", language)
    assert words in seen(rule, sight(None, Doubt.LEARNING))


@pytest.mark.parametrize(
    ("language", "known", "unknown"),
    [
        ("zh", "1.5（每个传感器至少 3 条读数）", "有传感器只有 3 条读数，每个至少要 5 条"),
        (
            "en",
            "1.5 (from at least 3 readings of each sensor)",
            "a sensor here has only 3 readings in the window, 5 of each",
        ),
    ],
)
def test_a_total_counts_the_readings_of_each_sensor(
    language: str, known: str, unknown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has enough of them when each sensor has."""
    monkeypatch.setenv("SENSORD_LANGUAGE", language)
    rule = density_rule(value=Value(Aggregate.TOTAL, "count"), min_samples=5)
    assert seen(rule, sight(None)) == known
    assert unknown in seen(rule, sight(None, Doubt.TOO_FEW))


@pytest.mark.parametrize(("rule", "word"), [(SIGMA, "平常"), (TREND, "预计"), (density_rule(), "阈值")])
def test_messages_without_a_template_say_what_kind_of_alert_it_is(rule: Rule, word: str) -> None:
    """A forecast is not told as a fact, nor what is unusual as a limit that somebody set."""
    texts = default_text(rule)
    assert word in texts["zh"]
    assert all(f"{{{name}}}" in texts["en"] for name in ("place", "measured", "limit", "level", "time"))


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh", "在告警：visitors≥黄色；没有告警：density（40s 前还有）、reports"),
        ("en", "in alarm: visitors≥yellow; not in alarm: density (it was, 40s ago), reports"),
    ],
)
def test_a_combination_names_what_holds_and_what_is_missing(
    language: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not how many of its rules: somebody wants to know which to look at."""
    monkeypatch.setenv("SENSORD_LANGUAGE", language)
    parts = Part("density"), Part("visitors", Level.YELLOW), Part("reports")
    rule = density_rule(combination=Combination(Logic.ALL, parts, MINUTE))
    at = 100 * SECOND
    since = (60 * SECOND, None, None)
    assert seen(rule, Sight(at, at, 1.0, 0, Doubt.NONE, Level.NONE, since, on=(False, True, False))) == words


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh", "（10m内报警 3 次，抖动，延长保持）"),
        ("en", "for 40s of 5m (flapping: raised 3 times in 10m, so held longer)"),
    ],
)
def test_what_holds_a_flapping_alert_is_said(language: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule's line counts to the longer hold, not to that of every day."""
    monkeypatch.setenv("SENSORD_LANGUAGE", language)
    rule = density_rule(levels=(LevelSpec(Level.YELLOW, 1.0),), flapping=Flapping(3, 10 * MINUTE, 5 * MINUTE))
    at = 10 * MINUTE
    one = Sight(at, at, 0.2, 3, Doubt.NONE, Level.YELLOW, (None,), (at - 40 * SECOND,), flapping=True)
    assert words in verdict(rule, one)
    assert words not in verdict(rule, msgspec.structs.replace(one, flapping=False))


def test_every_reason_and_happening_has_its_words() -> None:
    """Nobody reads a name out of the code, in either language."""
    for table, names in ((REASON, Reason), (HAPPENING, Happening)):
        assert set(table) == {name.value for name in names}
        assert all(zh and en and zh != en for zh, en in table.values())
