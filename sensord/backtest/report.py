"""A backtest as one value: what ran, the diff, the scores, sweeps, suggestions. Text, JSON and page are made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sensord.backtest.compare import Comparison, compare
from sensord.backtest.labels import SLACK, Incident, Judge, Score, read_incidents
from sensord.backtest.outcome import Outcome
from sensord.backtest.run import Setup, Watch, run
from sensord.backtest.suggest import Suggestion, as_incidents, choose, to_try
from sensord.backtest.sweep import sweep, try_values
from sensord.backtest.variant import Curve, Setting, find_settings, parse_sweep
from sensord.core.level import Level
from sensord.errors import ConfigError, Problem

_THRESHOLDS = ("above", "at_least", "below", "at_most")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the rules now and the candidate, labels, sweeps (texts), and whether to suggest from answers.

    ``slack`` (ns) is how far an alert may be from an incident and still tell of it.
    """

    rules: Path | None
    candidate: Path | None
    labels: Path | None = None
    sweeps: tuple[str, ...] = ()
    suggest: bool = False
    slack: int = SLACK


class Scores(msgspec.Struct, frozen=True):
    """How well one set of rules tells the labelled incidents: as a whole, and rule by rule."""

    total: Score
    by_rule: list[Score]
    missed: list[Incident]


class Report(msgspec.Struct):
    """Everything that was found. ``after`` and ``diff`` are None when nothing was compared."""

    before: Outcome
    after: Outcome | None
    diff: Comparison | None
    scores: list[Scores]
    incidents: list[Incident]
    from_answers: bool
    curves: list[Curve]
    suggestions: list[Suggestion]


def answer(setup: Setup, question: Question, watch: Watch | None = None) -> Report:
    """Run everything that the question needs; raises ``ConfigError`` for what is wrong in it."""
    _check(question)
    candidates = [setup.candidate("before", question.rules)]
    if question.candidate is not None:
        candidates.append(setup.candidate("after", question.candidate))
    outcomes = run(setup, candidates, watch)
    before, after = outcomes[0], outcomes[1] if len(outcomes) > 1 else None
    incidents = read_incidents(question.labels, *outcomes) if question.labels is not None else as_incidents(before)
    judged = bool(incidents) or question.labels is not None
    return Report(
        before,
        after,
        compare(before, after) if after is not None else None,
        [_scores(outcome, incidents, question.slack) for outcome in outcomes] if judged else [],
        incidents,
        question.labels is None and bool(incidents),
        _curves(setup, question, incidents if judged else None, watch),
        _suggestions(setup, question, before, watch) if question.suggest else [],
    )


def _check(question: Question) -> None:
    if (question.sweeps or question.suggest) and question.rules is None and question.candidate is None:
        message = "a sweep and suggestions change a rule file, and none is given"
        raise ConfigError([Problem("--sweep", 1, 1, message, "give --rules or --candidate")])


def _scores(outcome: Outcome, incidents: Sequence[Incident], slack: int) -> Scores:
    judge = Judge(outcome, incidents, slack)
    return Scores(judge.total(), judge.by_rule(), judge.missed())


def _curves(setup: Setup, question: Question, incidents: Sequence[Incident] | None, watch: Watch | None) -> list[Curve]:
    rules = question.candidate or question.rules
    if rules is None:
        return []
    return [sweep(setup, rules, parse_sweep(text, rules), incidents, question.slack, watch) for text in question.sweeps]


def _suggestions(setup: Setup, question: Question, before: Outcome, watch: Watch | None) -> list[Suggestion]:
    """Try, for every level of every rule that has false alarms answered, other thresholds of that level alone."""
    rules, found = question.rules, list[Suggestion]()
    if rules is None:
        return found
    for rule in before.rules:
        for place, (level, setting) in enumerate(_thresholds(rules, rule)):
            wanted = to_try(before, setting, level)
            if wanted is not None:
                tried, _ = try_values(setup, rules, wanted, watch)
                outcomes = [(outcome.name, outcome) for outcome in tried]
                best = choose(before, outcomes, setting, level, lowest=place == 0)
                found += [best] if best is not None else []
    return found


def _thresholds(rules: Path, rule: str) -> Iterator[tuple[Level, Setting]]:
    """Yield the threshold of each of a rule's levels, the lowest level first."""
    for level in list(Level)[1:]:
        for comparison in _THRESHOLDS:
            for setting in find_settings(rules, f"levels.{level.word}.{comparison}", rule):
                yield level, setting


def to_json(report: Report) -> bytes:
    """The report as JSON: instants are ns, scores come with what is derived from them."""
    plain = msgspec.to_builtins(report)
    plain["scores"] = [
        {
            **msgspec.to_builtins(one),
            "total": _derived(one.total),
            "by_rule": [_derived(score) for score in one.by_rule],
        }
        for one in report.scores
    ]
    return msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n"


def _derived(score: Score) -> dict[str, object]:
    return {
        **msgspec.to_builtins(score),
        "precision": score.precision,
        "recall": score.recall,
        "delay": score.delay,
        "false_per_week": score.false_per_week,
    }
