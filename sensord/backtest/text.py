"""A backtest's report for a terminal: tables, in the terminal's language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table

from sensord.backtest.compare import Difference, Pair
from sensord.backtest.labels import Score
from sensord.backtest.outcome import Outcome, name_of
from sensord.backtest.report import Report
from sensord.backtest.suggest import in_words
from sensord.backtest.variant import Curve
from sensord.backtest.wording import (
    SIDES,
    failures,
    percent,
    scores_title,
    scores_words,
    seconds,
    sides,
    value_words,
    verdict,
)
from sensord.core.instant import HOUR, MINUTE, SECOND, to_datetime
from sensord.core.level import BY_WORD, NAMES
from sensord.phrasebook import told
from sensord.words import language, say

NAMES_OF = {
    "zh": {
        Difference.ADDED: "新增",
        Difference.REMOVED: "消失",
        Difference.EARLIER: "提前",
        Difference.LATER: "推后",
        Difference.HIGHER: "级别升高",
        Difference.LOWER: "级别降低",
        Difference.SAME: "不变",
    },
    "en": {difference: difference.value for difference in Difference}
    | {Difference.HIGHER: "higher level", Difference.LOWER: "lower level"},
}


_COMPARED = {"above": ">", "at_least": "≥", "below": "<", "at_most": "≤"}


def print_report(report: Report, limit: int, console: Console | None = None) -> None:
    """Print everything; at most ``limit`` alerts of the diff (0: all)."""
    out = console or Console()
    before = report.before
    span = f"{moment(before.start, before.zone)} – {moment(before.end, before.zone)}"
    out.print(say(f"{span}，{before.readings:,} 条读数", f"{span}, {before.readings:,} readings"))
    for line in failures(before, report.after):
        out.print(line, markup=False, highlight=False)
    if report.diff is not None:
        out.print(verdict(report))
    for table in _tables(report, limit):
        out.print(table)
    for suggestion in report.suggestions:
        change = f"{suggestion.setting} {suggestion.old} → {suggestion.new}"
        out.print(say(f"建议：{change}。", f"Suggestion: {change}. ") + in_words(suggestion))
        out.print(suggestion.patch, markup=False, highlight=False, soft_wrap=True)  # whole lines, or it does not apply


def _tables(report: Report, limit: int) -> Iterator[Table]:
    if report.diff is not None and report.after is not None:
        yield _summary(report)
        yield _diff(report, limit)
        if report.diff.pages:
            yield _pages(report)
    if report.scores:
        yield _scores(report)
    for curve in report.curves:
        yield _curve(curve, report)


def table(title: tuple[str, str], *columns: tuple[str, str]) -> Table:
    """An empty table in the terminal's language; the columns after the first are numbers."""
    made = Table(title=say(*title))
    for number, column in enumerate(columns):
        made.add_column(say(*column), justify="left" if number == 0 else "right")
    return made


def _summary(report: Report) -> Table:
    assert report.diff is not None
    kinds = [one for one in Difference if one is not Difference.SAME]
    columns = [("规则", "rule"), *SIDES]
    made = table(("按规则", "By rule"), *columns, *((NAMES_OF["zh"][one], NAMES_OF["en"][one]) for one in kinds))
    for row in report.diff.by_rule:
        counts = (str(row.counts.get(one.value, 0) or "") for one in kinds)
        made.add_row(rule_name(report, row.name), str(row.before), str(row.after), *counts)
    return made


def _diff(report: Report, limit: int) -> Table:
    assert report.diff is not None
    made = Table(title=say("告警差异", "The alert diff"))
    columns = (("时间", "time"), ("规则", "rule"), ("位置", "place"), ("差异", "difference"), ("级别", "level"))
    for column in columns:
        made.add_column(say(*column))
    pairs = [pair for pair in report.diff.pairs if Difference.SAME not in pair.differences]
    for pair in pairs[: limit or None]:
        made.add_row(
            moment(pair.start, report.before.zone),
            rule_name(report, pair.rule),
            place_name(report.before, pair.place),
            differences(pair),
            levels(pair),
        )
    if limit and len(pairs) > limit:
        more = len(pairs) - limit
        made.caption = say(f"另有 {more} 条（--limit 0 全部显示）", f"and {more} more (--limit 0 shows all)")
    return made


def _pages(report: Report) -> Table:
    assert report.diff is not None
    columns = (("人员", "person"), ("班次", "shift"), *SIDES)
    made = table(("每人每班被通知次数", "Pages per person and shift"), *columns)
    for receiver, _, shift, before, after in report.diff.pages:
        made.add_row(receiver, shift, str(before), str(after))
    return made


def _scores(report: Report) -> Table:
    columns = (
        ("规则", "rule"), ("", ""), ("告警", "alerts"), ("事件", "incidents"), ("查准率", "precision"),
        ("查全率", "recall"), ("延迟", "delay"), ("误报/周", "false/wk"),
    )  # fmt: skip
    made = table(scores_title(report), *columns)
    made.caption = scores_words(report)
    for scores, when in zip(report.scores, sides(), strict=False):
        for score in (scores.total, *scores.by_rule):
            name = rule_name(report, score.name) if score.name else say("全部", "all")
            made.add_row(name, when, *score_cells(score))
    return made


def score_cells(score: Score) -> tuple[str, ...]:
    """A score's numbers as people read them."""
    return (
        str(score.alerts),
        f"{score.caught}/{score.truths}",
        percent(score.precision),
        percent(score.recall),
        seconds(score.delay),
        f"{score.false_per_week:.1f}",
    )


def _curve(curve: Curve, report: Report) -> Table:
    columns = (
        ("取值", "value"), ("告警", "alerts"), ("通知", "pages"), ("查准率", "precision"), ("查全率", "recall"),
        ("延迟", "delay"), ("误报/周", "false/wk"),
    )  # fmt: skip
    made = table((curve.setting, curve.setting), *columns)
    made.caption = value_words(curve, report)
    for index, point in enumerate(curve.points):
        mark = say(" ← 拐点", " ← knee") if index == curve.knee else ""
        false = "" if point.false_per_week is None else f"{point.false_per_week:.1f}"
        cells = (str(point.alerts), str(point.pages), percent(point.precision), percent(point.recall))
        if point.refused:
            cells, false = (told(point.refused), "", "", ""), ""
        made.add_row(point.value + mark, *cells, seconds(point.delay), false)
    return made


def differences(pair: Pair) -> str:
    """How an alert differs, in words."""
    words = [NAMES_OF[language()][one] for one in pair.differences]
    moved = f" {lasting(abs(pair.shift))}" if pair.shift else ""
    return ", ".join(words) + moved


def lasting(duration: int) -> str:
    """A duration (ns) as people say it: in seconds, minutes or hours, whichever has few digits."""
    for unit, least, names in ((HOUR, HOUR, ("小时", "h")), (MINUTE, 2 * MINUTE, ("分钟", "min"))):
        if duration >= least:
            return f"{round(duration / unit, 1):g} {say(*names)}"
    return f"{duration / SECOND:.0f} {say('秒', 's')}"


def setting_name(setting: str, outcome: Outcome) -> str:
    """A swept value (``rule:path``) as people say it: the rule's name, and which number of it."""
    rule, _, path = setting.partition(":")
    name = outcome.rules[rule].name.get(language(), rule) if rule in outcome.rules else rule
    parts = path.split(".")
    if len(parts) == 3 and parts[0] == "levels" and parts[1] in BY_WORD and parts[2] in _COMPARED:
        return say(f"{name}：", f"{name}: ") + f"{NAMES[language()][BY_WORD[parts[1]]]} {_COMPARED[parts[2]]}"
    return say(f"{name}：{path}", f"{name}: {path}")


def levels(pair: Pair) -> str:
    """Peak levels before and after."""
    names = NAMES[language()]
    return " → ".join("–" if one is None else names[one.peak] for one in (pair.before, pair.after))


def rule_name(report: Report, rule: str) -> str:
    """A rule's name in the terminal's language."""
    outcomes: Iterable[Outcome] = [report.before, *([report.after] if report.after is not None else [])]
    found = next((outcome.rules[rule] for outcome in outcomes if rule in outcome.rules), None)
    return name_of(found.name, language(), rule) if found is not None else rule


def place_name(outcome: Outcome, place: str) -> str:
    """A place's name in the terminal's language."""
    found = outcome.places.get(place)
    return name_of(found.name, language(), place) if found is not None else place


def moment(instant: int, zone: str) -> str:
    """Local time to the second."""
    return to_datetime(instant, zone).strftime("%Y-%m-%d %H:%M:%S")
