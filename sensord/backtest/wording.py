"""The sentences of a report, the same on the page and in the terminal: what is compared, and what scores can show."""

from __future__ import annotations

from collections import Counter

from sensord.backtest.compare import Difference
from sensord.backtest.outcome import Outcome
from sensord.backtest.report import Report
from sensord.backtest.variant import Curve
from sensord.phrasebook import told
from sensord.words import say

SIDES = (("现规则", "now"), ("候选规则", "candidate"))
"""The two sets of rules that are compared."""


def failures(*outcomes: Outcome | None) -> list[str]:
    """What could not be handled, in sentences: there a set of rules may have said too little."""
    counted = Counter[str]()
    for outcome in outcomes:
        counted.update(outcome.failures if outcome is not None else {})
    return [
        say(f"注意：{told(said)}（{times} 次）。", f"Mind: {said} ({times} times).") for said, times in counted.items()
    ]


def sides() -> tuple[str, str]:
    """The two sets of rules in the terminal's language."""
    now, candidate = (say(*side) for side in SIDES)
    return now, candidate


def verdict(report: Report) -> str:
    """The whole comparison in a few sentences."""
    assert report.diff is not None
    added, removed = (report.diff.count(one) for one in (Difference.ADDED, Difference.REMOVED))
    pages = [len(outcome.pages) for outcome in (report.before, report.after) if outcome is not None]
    text = say(
        f"如果当时用的是候选规则：告警会多出 {added} 次、少掉 {removed} 次。",
        f"Had the candidate been live: {added} more alerts, {removed} fewer.",
    )
    if any(pages):
        text += say(
            f"通知到人由 {pages[0]} 次变为 {pages[1]} 次。",
            f" People would have been paged {pages[1]} times instead of {pages[0]}.",
        )
    if len(report.scores) == 2:
        now, then = (scores.total for scores in report.scores)
        known = say(*(("名单上的", "listed") if not report.from_answers else ("处置人员确认的", "confirmed")))
        text += say(
            f"{known} {now.truths} 起事件中，现规则发现 {now.caught} 起，候选规则发现 {then.caught} 起；"
            f"对不上事件的告警每周 {now.false_per_week:.1f} 次变为 {then.false_per_week:.1f} 次。",
            f" Of {now.truths} {known} incidents the rules now catch {now.caught}, the candidate {then.caught}; alerts "
            f"without such an incident go from {now.false_per_week:.1f} to {then.false_per_week:.1f} a week.",
        )
    return text


def scores_title(report: Report) -> tuple[str, str]:
    """What alerts are held against."""
    if report.from_answers:
        return "对照处置人员确认的事件", "Held against the incidents that responders confirmed"
    return "对照事件名单", "Held against the list of incidents"


def scores_words(report: Report) -> str:
    """What the scores mean, and what they cannot show."""
    words = say(
        "查准率：告警中对得上事件的比例。查全率：事件中有告警、且到了应有级别的比例。延迟：从事件开始到首次告警（中位数）。"
        "误报：对不上任何事件的告警。",
        "Precision: the share of alerts that match an incident. Recall: the share of incidents with an alert of the "
        "level that they deserve. Delay: from an incident's start to its first alert (median). False: alerts that "
        "match none.",
    )
    if report.from_answers:
        return words + say("没有人确认的，不等于没有发生。", " What nobody confirmed may have happened all the same.")
    return words + say(
        "名单若不全，名单以外的真实情况也算误报。", " If the list is not complete, what it leaves out counts as false."
    )


def value_words(curve: Curve, report: Report) -> str:
    """Which value the swept rules have, and what the knee gives."""
    zh, en = ("现规则", "The value now") if report.after is None else ("候选规则", "The candidate's value")
    words = say(f"{zh}里是 {curve.current}（{curve.setting}）。", f"{en} is {curve.current} ({curve.setting}).")
    if curve.knee is None:
        return words
    point = curve.points[curve.knee]
    if not curve.labelled:
        return words + say(
            f"拐点在 {point.value}（告警 {point.alerts} 次）：曲线在此由陡变缓，只供参考。",
            f" The knee is at {point.value} ({point.alerts} alerts), where the curve turns from steep to flat: a hint, "
            f"no more.",
        )
    false, recall, delay = f"{point.false_per_week or 0:.1f}", percent(point.recall), seconds(point.delay)
    return words + say(
        f"拐点在 {point.value}，离“全部发现、没有误报”最近，只供参考："
        f"查全率 {recall}，误报每周 {false} 次，延迟 {delay}。",
        f" The knee is at {point.value}, nearest to everything caught and no false alarm: a hint, no more. Recall "
        f"{recall}, {false} false alarms a week, delay {delay}.",
    )


def percent(share: float | None) -> str:
    """A share as people read it."""
    return "–" if share is None else f"{share:.0%}" if share in (0.0, 1.0) else f"{share:.1%}"


def seconds(delay: float | None) -> str:
    """A delay as people read it."""
    if delay is None:
        return "–"
    if abs(delay) < 600:
        return say(f"{delay:,.0f} 秒", f"{delay:,.0f} s")
    minutes = round(delay / 60)
    return say(f"{minutes:,} 分钟", f"{minutes:,} min")
