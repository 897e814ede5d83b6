"""Early warnings: in time, of what is coming and of nothing else, and over soon after."""

from __future__ import annotations

import random

import pytest

from sensord.core.instant import MINUTE
from sensord.core.level import Level
from sensord.core.rules.derived import Trend
from sensord.core.rules.rule import Clear, LevelSpec
from tests.core.test_derived import LOCAL, counts, engine_of, said, trend_rule


def test_a_rising_crowd_is_announced_before_it_is_there() -> None:
    """Two people more each minute: the warning comes about a quarter of an hour before the hundredth, and then ends."""
    values = [20.0] * 20 + [20.0 + 2 * minute for minute in range(41)] + [100.0] * 5 + [20.0] * 40
    transitions = said(engine_of(trend_rule()), counts(values, LOCAL, MINUTE))
    assert [one.change for one in transitions] == ["raised", "cleared"]
    ahead = LOCAL + 60 * MINUTE - transitions[0].at
    assert 10 * MINUTE <= ahead <= 17 * MINUTE
    assert transitions[0].threshold == 100.0


def test_noise_is_no_trend() -> None:
    """Eight hours of noise that stays twenty below the threshold warn of nothing."""
    dice = random.Random(5)
    values = [70.0 + dice.gauss(0.0, 5.0) for _ in range(8 * 60)]
    assert said(engine_of(trend_rule()), counts(values, LOCAL, MINUTE)) == []


def test_a_crowd_that_forms_in_a_quarter_of_an_hour_is_announced() -> None:
    """From next to nobody: a line through the last half hour would follow when all stand there."""
    values = [5.0] * 40 + [5.0 + 9.0 * minute for minute in range(15)] + [140.0] * 30
    (raised, cleared) = said(engine_of(trend_rule()), counts(values, LOCAL, MINUTE))
    crossing = LOCAL + (40 + 11) * MINUTE
    assert 4 * MINUTE <= crossing - raised.at <= 9 * MINUTE
    assert cleared.at <= crossing + 6 * MINUTE, "what was expected is there: nobody need expect it"


@pytest.mark.parametrize("there", [101.0, 140.0])
def test_nobody_is_warned_of_what_is_there_already(there: float) -> None:
    """However steep it was, and however it goes on: a jump beyond the threshold is another rule's."""
    values = [50.0 + minute / 10 for minute in range(40)] + [there + minute for minute in range(40)]
    assert said(engine_of(trend_rule()), counts(values, LOCAL, MINUTE)) == []


def test_who_leaves_is_not_coming() -> None:
    """A crowd that was beyond the threshold and goes is below it for a while: nobody is warned of it then."""
    values = [10.0] * 30 + [150.0] * 4 + [150.0 - 6.0 * minute for minute in range(24)] + [6.0] * 20
    assert said(engine_of(trend_rule()), counts(values, LOCAL, MINUTE)) == []


@pytest.mark.parametrize("stays", [70.0, 95.0])
def test_a_warning_ends_soon_after_the_rise(stays: float) -> None:
    """Also of a value that stays just below the threshold, within its margin."""
    rise = [20.0 + 5.0 * minute for minute in range(int(stays - 20) // 5)]
    values = [20.0] * 30 + rise + [stays] * 60
    raised, cleared = said(engine_of(trend_rule()), counts(values, LOCAL, MINUTE))
    stopped = LOCAL + (30 + len(rise)) * MINUTE
    assert raised.at < stopped
    assert cleared.at - stopped <= 11 * MINUTE


def test_of_two_thresholds_the_one_ahead_is_warned_of() -> None:
    """What is there already is not in the way of what comes next, and is no warning itself."""
    rule = trend_rule(
        levels=(LevelSpec(Level.YELLOW, 50.0), LevelSpec(Level.RED, 100.0, 3 * MINUTE)), clear=Clear((5.0, 5.0), 0)
    )
    values = [60.0] * 30 + [60.0 + 3.0 * minute for minute in range(13)]
    assert [one.level for one in said(engine_of(rule), counts(values, LOCAL, MINUTE))] == [Level.RED]


def test_a_trend_over_another_stretch_begins_anew_and_keeps_its_warning() -> None:
    """As when the default became shorter: the alert stands until a window has been seen, and no state is misread."""
    before = engine_of(trend_rule(trend=Trend(15 * MINUTE, 30 * MINUTE)))
    rise = counts([20.0] * 20 + [20.0 + 3.0 * minute for minute in range(24)], LOCAL, MINUTE)
    assert [one.change for one in said(before, rise)] == ["raised"]
    after = engine_of(trend_rule())
    assert after.carry_over(before, rise[-1].now) == []
    assert [one.level for one in after.active()] == [Level.YELLOW]
    rest = counts([20.0] * 30, LOCAL + 44 * MINUTE, MINUTE)
    assert [one.change for one in said(after, rest)] == ["cleared"]


def test_a_trend_needs_half_of_its_points() -> None:
    """Right after the start nothing is expected yet, however steep the first minutes are."""
    engine = engine_of(trend_rule())
    assert said(engine, counts([10.0, 30.0, 50.0, 70.0, 90.0], LOCAL, MINUTE)) == []
    assert "heading" in engine.learning()
