"""A sweep: one value of a rule in many variants over one recording, the trade-off curve, and its knee."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from sensord.backtest.labels import SLACK, Incident, Judge
from sensord.backtest.outcome import Outcome, of_rules
from sensord.backtest.run import Candidate, Setup, Watch, run
from sensord.backtest.variant import Curve, Point, Sweep, number_of, write_variant
from sensord.errors import ConfigError


def sweep(
    setup: Setup,
    rules: Path,
    wanted: Sweep,
    incidents: Sequence[Incident] | None,
    slack: int = SLACK,
    watch: Watch | None = None,
) -> Curve:
    """Run every value in one pass and return the curve; a value that the checks refuse says why."""
    tried, refused = try_values(setup, rules, wanted, watch)
    outcomes = {outcome.name: outcome for outcome in tried}
    points = [
        Point(value, number_of(value), refused=refused[value])
        if value in refused
        else _point(value, outcomes[value], wanted.setting.rule, incidents, slack)
        for value in wanted.values
    ]
    return Curve(wanted.setting.name, wanted.setting.old, points, knee(points), incidents is not None)


def try_values(
    setup: Setup, rules: Path, wanted: Sweep, watch: Watch | None = None
) -> tuple[list[Outcome], dict[str, str]]:
    """Return an outcome per value (named after it), and why the other values are no rules."""
    refused: dict[str, str] = {}
    candidates: list[Candidate] = []
    with tempfile.TemporaryDirectory(prefix="sensord-sweep-") as folder:
        for number, value in enumerate(wanted.values):
            try:
                variant = write_variant(rules, wanted.setting, value, Path(folder) / str(number))
                candidates.append(setup.candidate(value, variant))
            except ConfigError as error:
                refused[value] = error.problems[0].message
        return (run(setup, candidates, watch) if candidates else []), refused


def _point(value: str, outcome: Outcome, rule: str, incidents: Sequence[Incident] | None, slack: int) -> Point:
    alerts = len(of_rules(outcome.episodes, [rule]))
    if incidents is None:
        return Point(value, number_of(value), alerts, len(outcome.pages))
    score = next((one for one in Judge(outcome, incidents, slack).by_rule() if one.name == rule), None)
    if score is None:
        return Point(value, number_of(value), alerts, len(outcome.pages))
    return Point(
        value,
        number_of(value),
        alerts,
        len(outcome.pages),
        score.precision,
        score.recall,
        score.delay,
        score.false_per_week,
    )


def knee(points: Sequence[Point]) -> int | None:
    """Return the index of the point where more of one thing begins to cost much of the other.

    With labels: the point nearest to the ideal (every incident caught, no false alarm), false alarms being measured in
    shares of the most; of equals the one with the shorter delay. Without: the point farthest from the straight line
    between the curve's ends (Satopää et al., "Finding a Kneedle in a Haystack", 2011). None when there is no curve.
    """
    good = [index for index, point in enumerate(points) if not point.refused]
    if any(points[index].recall is not None for index in good):
        return min(good, key=lambda index: _from_ideal(points, index))
    if len(good) < 3:
        return None
    first, last = points[good[0]], points[good[-1]]
    wide, high = last.number - first.number, last.alerts - first.alerts
    if not wide or not high:
        return None

    def distance(index: int) -> float:
        share = (points[index].number - first.number) / wide
        return abs((points[index].alerts - first.alerts) / high - share)

    best = max(good, key=distance)
    return best if distance(best) > 0.05 else None


def _from_ideal(points: Sequence[Point], index: int) -> tuple[float, float]:
    point = points[index]
    most = max((one.false_per_week or 0.0 for one in points), default=0.0) or 1.0
    missed, wrong = 1.0 - (point.recall or 0.0), (point.false_per_week or 0.0) / most
    return round(missed * missed + wrong * wrong, 9), point.delay if point.delay is not None else float("inf")
