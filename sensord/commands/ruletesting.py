"""What ``sensord test`` does: read the files, run the tests on the real core, and show on one screen what differs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from sensord.commands.sights import seen, verdict
from sensord.config.ruletest import RuleTests, find_files, load_tests
from sensord.core.instant import format_duration
from sensord.drivers.ruletest import Failure, Result, run
from sensord.errors import ConfigError, Problem
from sensord.words import say

MOST_LINES = 12
"""Lines of one kind that a failure shows; more have the same cause."""
_ASPECTS = {
    "alerts": ("告警", "alerts"),
    "values": ("规则看到的值", "values"),
    "unknown": ("未知的场所", "unknown places"),
    "cases": ("未结案件", "open cases"),
    "changes": ("告警变化", "changes of alerts"),
    "told": ("通知到的人", "people told"),
    "held": ("没有发出的通知", "sends held back"),
    "messages": ("无法使用的消息", "messages that could not be used"),
    "mistakes": ("sensord 自身出错", "mistakes in sensord itself"),
}


@dataclass(frozen=True, slots=True)
class Tally:
    """How many tests and checks were run, and how many tests failed."""

    tests: int
    checks: int
    failed: int


def run_tests(paths: Collection[Path], config: Path | None, only: str, form: str) -> Tally:
    """Run the tests whose name holds ``only`` and print the outcome as ``text`` or ``json``.

    Raises ``ConfigError`` with the mistakes of every file; then nothing is run.
    """
    files, problems = list[RuleTests](), list[Problem]()
    for path in find_files(paths):
        try:
            files.append(load_tests(path, config))
        except ConfigError as error:
            problems += [one for one in error.problems if one not in problems]
    if problems:
        raise ConfigError(problems)
    show: Callable[[RuleTests, Result], None] = _print_json if form == "json" else _print_text
    tests = checks = failed = 0
    for file in files:
        for result in run(file, only):
            show(file, result)
            tests, checks, failed = tests + 1, checks + result.checks, failed + bool(result.failures)
    return Tally(tests, checks, failed)


def _print_text(file: RuleTests, result: Result) -> None:
    console = Console(highlight=False, soft_wrap=True)
    line, column = file.document.position((*result.test.path, "name"))
    mark, style = ("✗", "bold red") if result.failures else ("✓", "green")
    console.print(Text(f"{mark} {file.document.file}:{line}:{column}  {result.test.name}", style))
    for failure in result.failures:
        for text, colour in _lines(file, failure):
            console.print(Text(text, colour))


def _lines(file: RuleTests, failure: Failure) -> Iterator[tuple[str, str]]:
    """Write a failure as a difference: ``-`` was expected, ``+`` is what there was; then what the rules saw."""
    where = f"{file.document.file}:{failure.where[0]}:{failure.where[1]}"
    at, aspect = format_duration(failure.at), say(*_ASPECTS[failure.aspect])
    yield f"  {where}  " + say(f"第 {at}：{aspect}不符", f"at {at}: {aspect} differ"), "bold"
    for mark, lines, colour in (("-", failure.missing, "red"), ("+", failure.extra, "green")):
        for line in lines[:MOST_LINES]:
            note = say("  应有", "  expected") if mark == "-" else say("  实际", "  there was")
            yield f"    {mark} {line}{note}", colour
        if len(lines) > MOST_LINES:
            yield (
                f"    {mark} " + say(f"……另有 {len(lines) - MOST_LINES} 项", f"... {len(lines) - MOST_LINES} more"),
                colour,
            )
    for rule, key, sight in failure.sights:
        end = format_duration(sight.end - file.start)
        said = f"{rule.id} {key}: " + say(f"到 {end} 的窗口为 ", f"the window up to {end}: ") + seen(rule, sight)
        yield f"      {said}. {verdict(rule, sight)}", "dim"


def _print_json(file: RuleTests, result: Result) -> None:
    """Print a line per test."""
    report: dict[str, Any] = {
        "file": file.document.file,
        "line": file.document.position((*result.test.path, "name"))[0],
        "name": result.test.name,
        "checks": result.checks,
        "passed": not result.failures,
        "failures": [
            {
                "line": failure.where[0],
                "column": failure.where[1],
                "at": format_duration(failure.at),
                "aspect": failure.aspect,
                "missing": list(failure.missing),
                "extra": list(failure.extra),
            }
            for failure in result.failures
        ],
    }
    sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
