"""Scores the rules on every scenario: precision, recall and delay per rule, against what truly happens.

``make score``, or ``python -m simulators.score [SCENARIO ...]``. Each scenario begins on a Wednesday at nine o'clock.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sensord.backtest.labels import Incident, Judge, Score
from sensord.backtest.run import Setup, run
from sensord.backtest.text import score_cells, table
from sensord.backtest.wording import percent
from sensord.config.load import load
from sensord.core.instant import parse_instant
from sensord.source import Source
from sensord.words import say
from simulators.recorded import load_street, write_street
from simulators.scenario import scenario_files
from simulators.truth import incidents

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config" / "sensord.yaml"
BEGIN = "2026-11-25T09:00:00"


@dataclass(frozen=True, slots=True)
class Scored:
    """One scenario's result: of all rules together, per rule, and what nobody was told of."""

    scenario: str
    total: Score
    scores: list[Score]
    missed: list[Incident]


def score(names: list[str], config: Path = CONFIG) -> Iterator[Scored]:
    """Yield the result of each scenario, as the rules of a configuration find it."""
    loaded = load(config)
    for name in names:
        street = load_street(loaded, name, None, parse_instant(BEGIN, loaded.definition.zone))
        with tempfile.TemporaryDirectory(prefix="sensord-score-") as folder:
            path = Path(folder) / name
            write_street(path, street)
            setup = Setup.of(Source(path))
            outcome = run(setup, [setup.candidate(name, None)])[0]
        judge = Judge(outcome, incidents(street))
        yield Scored(name, judge.total(), judge.by_rule(), judge.missed())


def main(names: list[str]) -> int:
    """Print the table; returns 1 when an incident that must be told of was missed."""
    wanted = names or [path.stem for path in scenario_files(ROOT / "config" / "scenarios")]
    columns = (
        ("场景", "scenario"), ("规则", "rule"), ("告警", "alerts"), ("发现/事件", "caught"), ("查准率", "precision"),
        ("查全率", "recall"), ("延迟", "delay"), ("误报/周", "false/wk"),
    )  # fmt: skip
    made = table(("规则得分", "How well the rules do"), *columns)
    alerts = right = truths = caught = 0
    for result in score(wanted):
        for one in result.scores:
            made.add_row(result.scenario, one.name, *score_cells(one))
        alerts, right = alerts + result.total.alerts, right + result.total.right
        truths, caught = truths + result.total.truths, caught + result.total.caught
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(made)
    precision = percent(right / alerts if alerts else None)
    recall = percent(caught / truths if truths else None)
    console.print(
        say(f"所有规则合计：查准率 {precision}（{right}/{alerts}），查全率 {recall}（{caught}/{truths}）",
            f"all rules together: precision {precision} ({right}/{alerts}), recall {recall} ({caught}/{truths})")
    )  # fmt: skip
    return int(caught < truths)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
