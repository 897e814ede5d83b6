"""A report as one self-contained HTML page that someone who is no programmer reads with profit.

Each part begins with the sentence that it is there for; the charts can be zoomed and pointed at; nothing is fetched.
"""

from __future__ import annotations

from collections import Counter
from html import escape

from sensord.backtest import charts
from sensord.backtest.compare import Comparison, Difference, compare
from sensord.backtest.markup import coloured, document, section, table, tiles
from sensord.backtest.outcome import Outcome
from sensord.backtest.report import Report, Scores
from sensord.backtest.run import Setup, Watch, run
from sensord.backtest.suggest import in_words
from sensord.backtest.text import (
    NAMES_OF,
    differences,
    levels,
    moment,
    place_name,
    rule_name,
    score_cells,
    setting_name,
)
from sensord.backtest.variant import Curve
from sensord.backtest.wording import failures, scores_title, scores_words, sides, value_words, verdict
from sensord.core.level import NAMES, Level
from sensord.phrasebook import told
from sensord.words import language, say

_ROWS = 500


def backtest_page(report: Report) -> str:
    """The page of a backtest."""
    title = say("规则回测报告", "Backtest of rules")
    parts = [_head(title, report.before), *_failed(report.before, report.after)]
    if report.diff is not None and report.after is not None:
        lead = f"<p class=lead><b>{escape(verdict(report))}</b></p>"
        parts += [lead, _tiles(report, report.diff), *_diff_parts(report, report.diff)]
    if report.scores:
        parts.append(_scores(report))
    parts += [_sweep(curve, report) for curve in report.curves]
    parts += _suggested(report)
    return document(title, parts, charts.library())


def replay_page(outcome: Outcome) -> str:
    """The page of a replay."""
    title = say("重放报告", "Replay")
    names = rule_names(outcome)
    diff = compare(outcome, outcome)
    peaks = Counter(episode.peak for episode in outcome.episodes)
    figures = [
        (f"{outcome.readings:,}", say("条读数", "readings")),
        (f"{len(outcome.episodes):,}", say("次告警", "alerts")),
        (f"{peaks[Level.RED]:,}", say("次红色", "red")),
        (f"{len(outcome.cases):,}", say("个案件", "cases")),
        (f"{len(outcome.pages):,}", say("次通知到人", "pages")),
    ]
    parts = [_head(title, outcome), *_failed(outcome), tiles(figures)]
    if outcome.episodes:
        parts.append(
            section(
                say("何时告警", "When it alarmed"),
                say("每个点是一次告警，颜色是最高级别。", "Each dot is an alert; its colour is the highest level."),
                charts.episodes(outcome.episodes, outcome, names),
            )
        )
        where = say("每处告警几次，最多的二十处。", "How many alerts at each place; the twenty with most.")
        parts.append(section(say("哪些位置", "Where"), where, charts.by_name(diff.by_place, place_names(outcome))))
    sentence = say("“–”是录制结束时还没有结案。", "– is not closed when the recording ended.")
    parts.append(section(say("案件", "Cases"), sentence if outcome.cases else "", _case_table(outcome)))
    return document(title, parts, charts.library())


def replayed(setup: Setup, watch: Watch | None = None) -> Outcome:
    """What a source's own rules make of it."""
    return run(setup, [setup.candidate("replay", setup.source.rules)], watch)[0]


# -- parts of pages --------------------------------------------------------------------------------------------------


def _head(title: str, outcome: Outcome) -> str:
    span = f"{moment(outcome.start, outcome.zone)} – {moment(outcome.end, outcome.zone)} ({outcome.zone})"
    days = f"{round((outcome.end - outcome.start) / 86_400e9, 1):,g}"
    text = say(f"{span}，共 {days} 天，{outcome.readings:,} 条读数。",
               f"{span}, {days} days, {outcome.readings:,} readings.")  # fmt: skip
    return f"<h1>{escape(title)}</h1><p class=muted>{escape(text)}</p>"


def _failed(*outcomes: Outcome | None) -> list[str]:
    return [f"<p><b>{escape(line)}</b></p>" for line in failures(*outcomes)]


def _tiles(report: Report, diff: Comparison) -> str:
    after = len(report.after.episodes) if report.after is not None else 0
    figures = [(f"{len(report.before.episodes)} → {after}", say("告警", "alerts"))]
    kinds = (one for one in Difference if one is not Difference.SAME)
    return tiles([*figures, *((str(diff.count(one)), NAMES_OF[language()][one]) for one in kinds)])


def _diff_parts(report: Report, diff: Comparison) -> list[str]:
    names = {rule: rule_name(report, rule) for rule in (row.name for row in diff.by_rule)}
    return [
        section(
            say("何时、哪条规则有差异", "When, and for which rule, alerts differ"),
            say("每个点是一次告警。把鼠标移上去看位置和级别；拖动可放大。",
                "Each dot is an alert. Point at it for place and level; drag to zoom."),
            charts.timeline(diff.pairs, report.before, names),
        ),
        section(
            say("按规则", "By rule"),
            say("每条规则告警几次。", "How many alerts each rule raised."),
            charts.by_name(diff.by_rule, names),
        ),
        section(
            say("按位置", "By place"),
            say("告警最多的二十处。", "The twenty places with most alerts."),
            charts.by_name(diff.by_place, place_names(report.before)),
        ),
        section(
            say("按钟点", "By hour of the day"),
            say("告警在几点开始。", "The hours in which alerts began."),
            charts.by_hour(diff.by_hour),
        ),
        *_page_parts(diff),
        section(
            say("逐条差异", "Every difference"),
            say("级别：现规则的最高级别 → 候选规则的；“–”是没有告警。",
                "Level: the highest under the rules now → under the candidate; – is no alert."),
            _diff_table(report, diff),
        ),
    ]  # fmt: skip


def _page_parts(diff: Comparison) -> list[str]:
    if not diff.pages:
        return []
    sentence = say(
        "变化最大的二十人；下表是每人每班的次数：班次按名册，没有排班的人按时段，“-”是不当班时。",
        "The twenty people for whom most changes; below, the number per person and shift: the roster's shifts, parts "
        "of the day for those who have none, - when off duty.",
    )
    return [section(say("谁会被通知", "Who would be paged"), sentence, charts.pages(diff), _page_table(diff))]


def _page_table(diff: Comparison) -> str:
    head = (say("人员", "person"), say("角色", "role"), say("班次", "shift"), *sides())
    return table(head, ((one, role, shift, str(a), str(b)) for one, role, shift, a, b in diff.pages), numbers=2)


def _diff_table(report: Report, diff: Comparison) -> str:
    pairs = [pair for pair in diff.pairs if Difference.SAME not in pair.differences]
    head = (
        say("时间", "time"),
        say("规则", "rule"),
        say("位置", "place"),
        say("差异", "difference"),
        say("级别", "level"),
    )
    zone = report.before.zone
    rows = (
        (
            moment(pair.start, zone),
            rule_name(report, pair.rule),
            place_name(report.before, pair.place),
            differences(pair),
            levels(pair),
        )
        for pair in pairs[:_ROWS]
    )
    more = len(pairs) - _ROWS
    note = say(f"另有 {more} 条，见 JSON 输出。", f"{more} more are in the JSON output.") if more > 0 else ""
    return table(head, rows) + (f"<p class=muted>{note}</p>" if note else "")


def _case_table(outcome: Outcome) -> str:
    head = (say("开始", "opened"), say("结束", "closed"), say("位置", "place"), say("最高级别", "highest level"))
    rows = (
        (
            moment(case.opened, outcome.zone),
            moment(case.closed, outcome.zone) if case.closed else "–",
            place_name(outcome, case.place),
            NAMES[language()][case.peak],
        )
        for case in outcome.cases[:_ROWS]
    )
    return table(head, rows)


def _scores(report: Report) -> str:
    head = (
        say("规则", "rule"), "", say("告警", "alerts"), say("发现/事件", "caught/incidents"),
        say("查准率", "precision"), say("查全率", "recall"), say("延迟", "delay"), say("误报/周", "false/week"),
    )  # fmt: skip
    rows = []
    for scores, when in zip(report.scores, sides(), strict=False):
        for score in (scores.total, *scores.by_rule):
            name = rule_name(report, score.name) if score.name else say("全部", "all")
            rows.append((name, when, *score_cells(score)))
    return section(
        say(*scores_title(report)),
        scores_words(report),
        table(head, rows, numbers=6),
        _missed(report),
    )


def _missed(report: Report) -> str:
    lines = []
    whens: list[tuple[Scores, str]] = list(zip(report.scores, sides(), strict=False))
    for scores, when in whens:
        for incident in scores.missed:
            where = place_name(report.before, incident.place)
            lines.append(f"{when}: {moment(incident.start, report.before.zone)} {where} ({incident.kind})")
    if not lines:
        return ""
    title = say("没有告警、或告警没到应有级别的事件", "Incidents without an alert of the level that they deserve")
    return f"<p><b>{title}</b></p><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines[:_ROWS])}</ul>"


def _sweep(curve: Curve, report: Report) -> str:
    sentence = value_words(curve, report)
    refused = [f"{point.value}: {told(point.refused)}" for point in curve.points if point.refused]
    note = f"<p class=muted>{escape('; '.join(refused))}</p>" if refused else ""
    inside = [charts.sweep(curve), *([charts.trade_off(curve)] if curve.labelled else []), note]
    name = setting_name(curve.setting, report.before)
    return section(say(f"参数扫描：{name}", f"Sweep of {name}"), sentence, *inside)


def _suggested(report: Report) -> list[str]:
    return [
        section(
            say(f"建议：{one.setting} 由 {one.old} 改为 {one.new}",
                f"Suggestion: {one.setting} from {one.old} to {one.new}"),
            in_words(one),
            coloured(one.patch),
        )
        for one in report.suggestions
    ]  # fmt: skip


def rule_names(outcome: Outcome) -> dict[str, str]:
    """Rule names in the terminal's language."""
    return {rule: info.name.get(language()) or rule for rule, info in outcome.rules.items()}


def place_names(outcome: Outcome) -> dict[str, str]:
    """Place names in the terminal's language."""
    return {place: place_name(outcome, place) for place in outcome.places}
