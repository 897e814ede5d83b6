"""Rule tests: the shipped ones pass, they notice a changed rule, and a failure says what differs and why."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from sensord.config.ladder import bounds_of
from sensord.config.load import load
from sensord.config.ruletest import RuleTests, find_files, load_tests
from sensord.core.instant import HOUR, MINUTE
from sensord.core.rules.absence import AbsenceRule
from sensord.core.rules.rule import Rule
from sensord.drivers.ruletest import run
from tests.support.cli import sensord

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "rules" / "tests"
STREET = SHIPPED / "street" / "sensord.yaml"
RULES = [rule.id for rule in load(STREET).definition.rules]


@pytest.mark.parametrize("path", find_files([SHIPPED]), ids=lambda path: path.stem)
def test_the_shipped_rules_do_what_their_tests_say(path: Path) -> None:
    """Every test of every shipped file passes."""
    results = list(run(load_tests(path)))
    assert results
    assert [(result.test.name, result.failures) for result in results if result.failures] == []


def changed(tests: RuleTests, rule: Rule) -> RuleTests:
    """The same tests with a rule put in the place of the one with its id."""
    rules = tuple(rule if one.id == rule.id else one for one in tests.definition.rules)
    return replace(tests, definition=msgspec.structs.replace(tests.definition, rules=rules))


def variants(rule: Rule) -> Iterator[Rule]:
    """A rule with each of its numbers changed, one at a time."""
    alter = msgspec.structs.replace
    if rule.stuck is not None:
        for hours in (4, -12):  # it is looked at every tenth of that time
            yield alter(rule, stuck=alter(rule.stuck, hold=rule.stuck.hold + hours * HOUR))
        return
    if rule.absent:
        yield alter(rule, absent=rule.absent + 1)
        yield alter(rule, absent=rule.absent - 1)
        return
    each_counts = not rule.window and rule.value is not None and rule.value.field is None
    for index, rung in enumerate(() if each_counts else rule.levels):
        step = max(abs(rung.threshold) / 5, 1.0 if rung.threshold.is_integer() else 0.0)
        for change in (step, -step):
            assert rule.value is not None
            if bounds_of(rule.value).always(rule.comparison, rung.threshold + change):
                continue  # nothing can be so little: no reading could tell the difference
            rungs = list(rule.levels)
            rungs[index] = alter(rung, threshold=rung.threshold + change)
            yield alter(rule, levels=tuple(rungs))
    yield alter(rule, clear=alter(rule.clear, hold=rule.clear.hold + 2 * MINUTE))
    yield alter(rule, clear=alter(rule.clear, hold=rule.clear.hold // 2))
    if rule.window:
        yield alter(rule, window=rule.window * 2)


@functools.cache
def _shipped() -> list[RuleTests]:
    return [load_tests(path) for path in find_files([SHIPPED])]


def noticed(rule: str) -> list[bool]:
    """For each variant of a shipped rule, whether one of its tests fails."""
    files = [tests for tests in _shipped() if rule in {one.id for one in tests.definition.rules}]
    assert files, f"no file in rules/tests speaks of {rule}"
    (original,) = [one for one in files[0].definition.rules if one.id == rule]
    return [
        any(result.failures for tests in files for result in run(changed(tests, variant)))  # the first one is enough
        for variant in variants(original)
    ]


@pytest.mark.parametrize("rule", sorted({*RULES}))
def test_every_shipped_rule_is_pinned_by_its_tests(rule: str) -> None:
    """Change any threshold, the clearing time or the window of a shipped rule, and one of its tests fails."""
    assert all(noticed(rule))


WRONG = """
config: {config}
rules: [lane-crowding]
tests:
  - name: wrong on purpose
    readings:
      - {{device: crowd-1, every: 10s, send: {{count: 55*18}}}}
    actions:
      - {{at: 2m, verb: acknowledge, place: L1, by: 居委干部-01}}
    expect:
      - at: 1m
        alerts: {{lane-crowding: {{L2: red}}}}
        values: {{lane-crowding: {{L1: 2}}}}
        unknown: [C1]
        changes: [{{at: 10s, rule: lane-crowding, key: L1, to: blue}}]
        told: [民警-01 case_opened]
        held: [police held_nobody]
        cases: [{{place: L2, level: red}}]
      - at: 3m
        alerts: {{lane-crowding: {{L1: yellow}}}}
"""


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A file whose one test is wrong in everything at its first check."""
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG.format(config=STREET), encoding="utf-8")
    return path


def test_a_failure_says_where_and_what_differs(wrong: Path) -> None:
    """Each aspect fails on its own, at its place in the file, with what is missing and what there was instead."""
    (result,) = run(load_tests(wrong))
    found = {failure.aspect: failure for failure in result.failures}
    assert set(found) == {"alerts", "values", "unknown", "changes", "told", "held", "cases"}
    assert {aspect: failure.where[0] for aspect, failure in found.items()} == {
        "alerts": 12, "values": 13, "unknown": 14, "changes": 15, "told": 16, "held": 17, "cases": 18,
    }  # fmt: skip
    assert found["alerts"].missing == ("lane-crowding L2 red",)
    assert found["alerts"].extra == ("lane-crowding L2 none",)
    assert found["values"].extra == ("lane-crowding L1 1.1",)
    assert found["changes"].missing == ("10s lane-crowding L1 blue",)
    assert "L2" in found["unknown"].extra
    (rule, key, sight) = found["values"].sights[0]
    assert (rule.id, key, sight.value, sight.samples) == ("lane-crowding", "L1", 1.1, 5)


def test_a_message_that_cannot_be_used_fails_the_test(tmp_path: Path) -> None:
    """A device that sends nonsense would otherwise make a test pass that tests nothing."""
    path = tmp_path / "nonsense.yaml"
    path.write_text(
        f"config: {STREET}\ntests:\n  - name: nonsense\n    readings:\n"
        "      - {device: camera-1, every: 10s, send: {plate: local, direction: up}}\n"
        "    expect: [{at: 1s, changes: []}]\n",
        encoding="utf-8",
    )
    (result,) = run(load_tests(path))
    (failure,) = result.failures
    assert failure.aspect == "messages"
    assert "wrong_shape" in failure.extra[0]


@pytest.mark.usefixtures("in_service")
def test_a_rule_that_fails_passes_no_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the test expects: nobody takes it for the rule's word."""

    def mistaken(*_: object) -> None:
        raise KeyError

    monkeypatch.setattr(AbsenceRule, "evaluate", mistaken)
    result = next(iter(run(load_tests(SHIPPED / "devices.yaml"))))
    assert {line for one in result.failures if one.aspect == "mistakes" for line in one.extra} > {
        "rule sensor-silent: KeyError"
    }


def test_the_command_says_it_and_ends_with_its_code(wrong: Path) -> None:
    """0 when all is well, 1 with a difference on the screen, 3 for a file that is refused, 2 without a test."""
    good = sensord("test", str(SHIPPED / "parking.yaml"))
    assert (good.returncode, good.stderr) == (0, "")
    assert "5 tests, " in good.stdout

    bad = sensord("test", str(wrong))
    assert bad.returncode == 1
    assert f"{wrong}:13:9  at 1m: values differ" in bad.stdout
    assert "- lane-crowding L1 2  expected" in bad.stdout
    assert "the window up to 50s: 1.1 (from 5 readings). It has been above 1.08 (yellow)" in bad.stdout

    wrong.write_text("config: nowhere.yaml\ntests: []\n", encoding="utf-8")
    refused = sensord("test", str(wrong))
    assert refused.returncode == 3
    assert f"{wrong}:2:8" in refused.stderr
    assert sensord("test", str(SHIPPED), "--only", "no such name").returncode == 2


def test_the_outcome_as_json(wrong: Path) -> None:
    """With ``--format json`` each test is a line for other programs."""
    done = sensord("test", str(wrong), "--format", "json")
    report = msgspec.json.decode(done.stdout)
    assert done.returncode == 1
    assert (report["passed"], report["name"], report["line"]) == (False, "wrong on purpose", 5)
    assert report["failures"][0]["aspect"] == "alerts"
