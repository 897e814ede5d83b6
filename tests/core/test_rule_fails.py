"""One rule that fails keeps nobody from hearing of the others; its own alerts stand, and a replay decides the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from sensord.core.alert import Change
from sensord.core.failure import Failure, Part
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.record import Group, Record
from sensord.core.rules.derived import Baseline, Season
from sensord.core.rules.panes import Panes
from sensord.core.rules.rule import Clear
from sensord.core.rules.single import SingleRule
from sensord.core.rules.stuck import StuckRule
from sensord.core.rules.windowed import WindowedRule
from sensord.core.site import Site, definition_record
from sensord.core.site import Step as SiteStep
from sensord.core.stream import Stream
from tests import conftest
from tests.core.failing import DENSITY, MODULES, PLATE, Following, crowd, fail, frozen, mistake, street, tick
from tests.core.street import START, density_rule, grouped, stream_of

pytestmark = pytest.mark.usefixtures("in_service")
CUTS = (([7], 1), ([40, 3], 2), ([500], 1), ([3], 50))
"""Sizes of groups, and after how many of them there is a restart."""


def stretch() -> list[Record]:
    """A wild stretch."""
    return stream_of(3, 4)


def run(groups: Sequence[Group], restart_every: int = 0) -> tuple[bytes, list[Failure], list[SiteStep]]:
    """Everything decided on some groups, and what failed in it."""
    site, steps = Site(), list[SiteStep]()
    for number, group in enumerate(groups, 1):
        steps.append(site.step(group))
        if restart_every and number % restart_every == 0:
            site = Site.restored(site.snapshot())
    decided = b"".join(step.decisions() for step in steps)
    return decided, [failure for step in steps for failure in step.failures], steps


def of(steps: Sequence[SiteStep], *rule: str) -> list[str]:
    """The transitions of some rules."""
    return [one.id for step in steps for one in step.transitions if one.rule in rule]


@pytest.mark.parametrize("rule", MODULES)
def test_all_other_rules_tell_what_they_would_have_told(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is named, with the lines of code, and quotes nobody."""
    groups = grouped(stretch(), [40], street())
    _, none, sound = run(groups)
    assert not none
    mistake(monkeypatch, rule)
    _, failures, steps = run(groups)
    assert {(failure.part, failure.what, failure.why) for failure in failures} == {(Part.RULE, rule, "MistakeError")}
    assert all("in make" in failure.trace and PLATE not in str(failure) for failure in failures)
    others = [one.id for one in street().rules if one.id not in (rule, "both")]
    if rule != "frozen":  # what is stuck is blind for the others
        assert of(steps, *others) == of(sound, *others) != []


@pytest.mark.parametrize("rule", MODULES)
def test_restarts_decide_the_same(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon and whoever steps the same groups again, from any saved state."""
    groups = grouped(stretch(), [11, 40], street())
    mistake(monkeypatch, rule, "")
    whole, failures, _ = run(groups)
    assert failures
    for restart in (1, 3):
        assert run(groups, restart)[:2] == (whole, failures)


@pytest.mark.parametrize("rule", ["density", "silent", "frozen"])
def test_what_fails_at_an_instant_does_so_however_readings_are_cut(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes after the instant is taken by the rule as it begins anew."""
    key = {"density": "G1-L1", "silent": "crowd-1", "frozen": "crowd-2"}[rule]
    mistake(monkeypatch, rule, key)
    stream = stretch()
    whole, failures, _ = run(grouped(stream, [1], street()))
    assert failures
    for sizes, restart in CUTS:
        assert run(grouped(stream, sizes, street()), restart)[:2] == (whole, failures)


def test_a_definition_in_a_group_is_a_cut_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay hands it on by itself; what fails before it fails at the same instant for both."""
    begins, late = definition_record(street(), START), definition_record(street(), START + 47 * SECOND)
    before, after = ([crowd(since + second, 200) for second in (1, 11, 21, 31)] for since in (0, 50))
    whole = [Group(1, (begins, *before, late, *after)), Group(2, (tick(90),))]
    apart = [Group(1, (begins,)), Group(1, (*before,)), Group(1, (late,)), Group(1, (*after,)), Group(2, (tick(90),))]

    monkeypatch.setattr(Panes, "settle", fail)
    assert run(whole)[:2] == run(apart)[:2]


# -- a crowd in a lane, and what becomes of its case -------------------------------------------------------------------


@pytest.mark.parametrize("where", ["take", "skip", "evaluate", "settle"])
def test_the_case_of_a_rule_that_fails_stays_open(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it fails nothing is known of the crowd; it is over when a whole window has seen nobody, and not before."""
    site = Following(DENSITY)
    site.until(60, 100, since=1)
    assert site.open == [("G1-L1", Level.YELLOW)]

    with monkeypatch.context() as patch:
        patch.setattr(WindowedRule, where, fail)
        site.until(200, 0, since=60)
    assert {failure.part for failure in site.failures} == {Part.RULE}
    assert site.open == [("G1-L1", Level.YELLOW)]
    assert [change for *_, change in site.changes] == [Change.RAISED]
    site.until(300, 0, since=200)
    at, _, _, change = site.changes[-1]
    assert change is Change.CLEARED
    assert 200 + 30 <= at <= 200 + 30 + 20
    assert not site.open


def test_the_crowd_that_stayed_is_told_of_no_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The alert went on; one that rises meanwhile elsewhere is told of."""
    site = Following(DENSITY)
    site.until(60, 100, since=1)
    with monkeypatch.context() as patch:
        mistake(patch, "density")
        site.until(90, 100, since=60, lanes=(0, 2))
    site.until(160, 100, since=90, lanes=(0, 2))
    assert site.failures
    assert [(key, change) for _, _, key, change in site.changes] == [
        ("G1-L1", Change.RAISED),
        ("G2-L1", Change.RAISED),
    ]


@pytest.mark.parametrize("times", [1, 4])
def test_what_failed_before_it_was_told_is_told(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ladder had risen already: a rule that went on from there would never tell anybody."""
    site = Following(DENSITY)
    mistake(monkeypatch, "density", times=times)
    site.until(160, 100, since=1)
    assert len(site.failures) == times
    assert [change for *_, change in site.changes] == [Change.RAISED]
    assert site.open == [("G1-L1", Level.YELLOW)]


def test_a_rule_without_a_window_loses_the_reading_that_it_fails_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same group all others count; its alerts run on, and run out once nothing has met them for long."""
    site = Following(density_rule(id="finding", window=0, every=0, clear=Clear((0.2, 0.5), 20 * SECOND)))
    site.step(crowd(1, 100), tick(2))
    mistake(monkeypatch, "finding", "G1-L2")
    site.step(*(crowd(15, 100, lane) for lane in (2, 1, 3)))
    assert [(at, key, change) for at, _, key, change in site.changes] == [
        (1, "G1-L1", Change.RAISED),
        (15, "G2-L1", Change.RAISED),
        (15, "G2-L2", Change.RAISED),
    ]
    assert {failure.what for failure in site.failures} == {"finding"}
    site.step(*(crowd(20, 1, lane) for lane in (0, 2, 3)), tick(36))
    assert site.changes[3:] == [(35, "finding", lane, Change.CLEARED) for lane in ("G1-L1", "G2-L1", "G2-L2")]


def test_what_is_stuck_stays_blind_until_it_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its calm would be believed, and a case would end by it."""
    site = Following(replace(DENSITY, by="lane"), frozen(by="lane"))
    for second in range(1, 62, 5):
        site.step(crowd(second, 100 + second), tick(second + 1))
    for second in range(66, 120, 5):
        site.step(crowd(second, 1), tick(second + 1))
        if second == 101:
            assert "G1-L1" in site.site.engine.unknown()
            with monkeypatch.context() as patch:
                patch.setattr(StuckRule, "_shares", fail)
                site.step(tick(second + 3))
            assert site.failures
            assert "G1-L1" in site.site.engine.unknown()
    assert "G1-L1" in site.site.engine.unknown()
    site.step(crowd(121, 2), tick(126))
    assert "G1-L1" not in site.site.engine.unknown()


def test_what_moves_is_seen_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that begins anew is the one whose word counts."""
    site = Following(frozen(by="lane"))
    for second in range(1, 62, 5):
        site.step(crowd(second, 1), tick(second + 1))
    assert "G1-L1" in site.site.engine.unknown()
    monkeypatch.setattr(StuckRule, "_shares", fail)
    site.step(tick(64))  # the rule looks each three seconds
    assert site.failures
    assert "G1-L1" in site.site.engine.unknown()
    site.step(crowd(65, 2))
    assert "G1-L1" not in site.site.engine.unknown()


def test_a_rule_that_runs_out_goes_on_after_it_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else would ever end its alert."""
    site = Following(density_rule(id="finding", window=0, every=0, clear=Clear((0.2, 0.5), 20 * SECOND)))
    site.step(crowd(1, 100))
    with monkeypatch.context() as patch:
        patch.setattr(SingleRule, "evaluate", fail)
        site.step(tick(30))
    assert site.open
    site.step(crowd(31, 1), tick(MINUTE // SECOND))
    assert site.changes[-1] == (41, "finding", "G1-L1", Change.CLEARED)


def test_a_lack_of_memory_is_no_rules_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how the process stands: the daemon ends, and its next start decides it as every replay does."""

    def short(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(WindowedRule, "take", short)
    with pytest.raises(MemoryError):
        Following(DENSITY).until(10, 100, since=1)


def test_tests_hear_of_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is caught in service fails every other test."""
    monkeypatch.setattr("sensord.core.failure.Failures.note", conftest.raise_it)
    monkeypatch.setattr(WindowedRule, "take", fail)
    with pytest.raises(AssertionError, match="rule density could not be handled: MistakeError"):
        Following(DENSITY).until(10, 100, since=1)


def test_what_was_learnt_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A baseline takes weeks to learn."""
    usual = Baseline(Season.DAY)
    site = Following(density_rule(baseline=usual, stream=Stream.CROWD))
    site.until(20, 100, since=1)
    evaluator = site.site.engine.evaluator_of("density")
    assert isinstance(evaluator, WindowedRule)
    evaluator.arrays()["derived.learnt"][:] = 7
    with monkeypatch.context() as patch:
        patch.setattr(WindowedRule, "take", fail)
        site.until(30, 100, since=20)
    fresh = site.site.engine.evaluator_of("density")
    assert fresh is not evaluator
    assert fresh is not None
    assert fresh.arrays()["derived.learnt"].tolist() == [7, 7, 7, 7]
