"""The charts of reports, as pieces of HTML without the plotting library's code (the page holds that once)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sensord.backtest.compare import Comparison, Difference, Pair, Row
from sensord.backtest.outcome import Episode, Outcome
from sensord.backtest.text import NAMES_OF, differences, levels, place_name
from sensord.backtest.variant import Curve, Point
from sensord.backtest.wording import percent, seconds, sides
from sensord.core.instant import to_datetime
from sensord.core.level import NAMES, Level
from sensord.errors import StoreError
from sensord.words import language, say

NOW, THEN = "#9aa5b1", "#2563eb"
COLOURS = {
    Difference.ADDED: "#dc2626",
    Difference.REMOVED: "#9aa5b1",
    Difference.EARLIER: "#7c3aed",
    Difference.LATER: "#0891b2",
    Difference.HIGHER: "#ea580c",
    Difference.LOWER: "#65a30d",
    Difference.SAME: "#cbd5e1",
}
LEVELS = {Level.BLUE: "#2563eb", Level.YELLOW: "#eab308", Level.ORANGE: "#ea580c", Level.RED: "#dc2626"}
_MOST_PLACES = 20
_KNEE = "#dc2626"


def plotly() -> Any:
    """Import the plotting library, or say how to get it."""
    try:
        import plotly.graph_objects as graph
    except ImportError as error:
        raise StoreError("Pages with charts need the package plotly: pip install 'sensord[offline]'") from error
    return graph


def library() -> str:
    """The plotting library's own code, to go into the page once."""
    plotly()
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _html(traces: Sequence[Any], height: int = 340, **layout: object) -> str:
    graph = plotly()
    figure = graph.Figure(list(traces))
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 10, "r": 10, "t": 48, "b": 10},
        font={"family": "Noto Sans CJK SC, Noto Sans SC, Microsoft YaHei, PingFang SC, sans-serif", "size": 13},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        xaxis={"automargin": True},
        yaxis={"automargin": True},
    )
    figure.update_layout(**layout)
    options = {"displaylogo": False, "responsive": True, "displayModeBar": "hover"}
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config=options))


_DATES = {
    "automargin": True,
    "tickformatstops": [
        {"dtickrange": [None, 86_400_000], "value": "%m-%d %H:%M"},
        {"dtickrange": [86_400_000, "M1"], "value": "%m-%d"},
        {"dtickrange": ["M1", None], "value": "%Y-%m"},
    ],
}
"""Dates in numbers: the plotting library knows the names of months in English only."""


def _local(instant: int, zone: str) -> str:
    return to_datetime(instant, zone).strftime("%Y-%m-%d %H:%M:%S")


def timeline(pairs: Sequence[Pair], outcome: Outcome, names: dict[str, str]) -> str:
    """When which rule's alerts differ; one dot per alert."""
    graph = plotly()
    traces = []
    for difference in Difference:
        mine = [pair for pair in pairs if pair.differences[0] is difference]
        if mine:
            traces.append(
                graph.Scatter(
                    x=[_local(pair.start, outcome.zone) for pair in mine],
                    y=[names.get(pair.rule, pair.rule) for pair in mine],
                    text=[f"{place_name(outcome, one.place)}<br>{differences(one)}<br>{levels(one)}" for one in mine],
                    hovertemplate="%{x}<br>%{text}<extra></extra>",
                    mode="markers",
                    name=f"{NAMES_OF[language()][difference]} ({len(mine)})",
                    marker={"color": COLOURS[difference], "size": 10, "opacity": 0.8},
                )
            )
    rules = len({pair.rule for pair in pairs})
    return _html(traces, 160 + 46 * max(rules, 1), xaxis=_DATES)


def episodes(found: Sequence[Episode], outcome: Outcome, names: dict[str, str]) -> str:
    """When which rule alarmed, and how high; one dot per alert."""
    graph = plotly()
    traces = []
    for level, colour in LEVELS.items():
        mine = [one for one in found if one.peak is level]
        if mine:
            traces.append(
                graph.Scatter(
                    x=[_local(one.start, outcome.zone) for one in mine],
                    y=[names.get(one.rule, one.rule) for one in mine],
                    text=[place_name(outcome, one.place) for one in mine],
                    hovertemplate="%{x}<br>%{text}<extra></extra>",
                    mode="markers",
                    name=f"{NAMES[language()][level]} ({len(mine)})",
                    marker={"color": colour, "size": 10, "opacity": 0.8},
                )
            )
    return _html(traces, 160 + 46 * max(len({one.rule for one in found}), 1), xaxis=_DATES)


def _two(names: list[str], rows: Sequence[tuple[int, int]], *, sideways: bool = False, height: int = 340) -> str:
    graph = plotly()
    traces = []
    for number, (label, colour) in enumerate(zip(sides(), (NOW, THEN), strict=True)):
        values = [row[number] for row in rows]
        shape = {"x": values, "y": names, "orientation": "h"} if sideways else {"x": names, "y": values}
        traces.append(graph.Bar(name=label, marker={"color": colour}, **shape))
    # Rows are drawn from below; people read from above.
    axis = {"autorange": "reversed", "automargin": True, "type": "category"} if sideways else {"automargin": True}
    return _html(traces, height, barmode="group", yaxis=axis)


def by_hour(rows: Sequence[Row]) -> str:
    """Alerts by hour of the day, now and then."""
    found = {row.name: (row.before, row.after) for row in rows}
    hours = [f"{hour:02d}" for hour in range(24)]
    return _two([f"{hour}:00" for hour in hours], [found.get(hour, (0, 0)) for hour in hours])


def by_name(rows: Sequence[Row], names: dict[str, str]) -> str:
    """Alerts by rule or place, the most frequent first."""
    shown = rows[:_MOST_PLACES]
    pairs = [(row.before, row.after) for row in shown]
    return _two([names.get(row.name, row.name) for row in shown], pairs, sideways=True, height=120 + 34 * len(shown))


def pages(diff: Comparison) -> str:
    """Pages per person, now and then; those whose number changes most first."""
    people: dict[str, list[int]] = {}
    for receiver, _, _, before, after in diff.pages:
        sums = people.setdefault(receiver, [0, 0])
        sums[0], sums[1] = sums[0] + before, sums[1] + after
    order = sorted(people, key=lambda one: (-abs(people[one][1] - people[one][0]), -max(people[one]), one))
    shown = order[:_MOST_PLACES]
    pairs = [(people[one][0], people[one][1]) for one in shown]
    return _two(shown, pairs, sideways=True, height=120 + 34 * len(shown))


def sweep(curve: Curve) -> str:
    """What each value gives: counts, or recall and false alarms where incidents are labelled."""
    graph = plotly()
    good = [point for point in curve.points if not point.refused]
    values = [point.value for point in good]
    if not curve.labelled:
        lines = [
            graph.Scatter(x=values, y=[one.alerts for one in good], name=say("告警数", "alerts"), line={"color": THEN}),
            graph.Scatter(x=values, y=[one.pages for one in good], name=say("通知数", "pages"), line={"color": NOW}),
        ]
        return _html([*lines, *_knee(curve, [point.alerts for point in curve.points])], xaxis={"type": "category"})
    lines = [
        graph.Scatter(x=values, y=[one.recall for one in good], name=say("查全率", "recall"), line={"color": THEN}),
        graph.Scatter(
            x=values, y=[one.precision for one in good], name=say("查准率", "precision"), line={"color": "#16a34a"}
        ),
        graph.Scatter(
            x=values,
            y=[one.false_per_week for one in good],
            name=say("误报/周（右轴）", "false alarms/week (right)"),
            line={"color": NOW, "dash": "dot"},
            yaxis="y2",
        ),
    ]
    return _html(
        [*lines, *_knee(curve, [point.recall for point in curve.points])],
        xaxis={"type": "category", "title": curve.setting},
        yaxis={"tickformat": ".0%", "range": [0, 1.05]},
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "rangemode": "tozero",
            "showgrid": False,
            "nticks": 5,
            "tickmode": "auto",
        },
    )


def _knee(curve: Curve, heights: Sequence[float | None]) -> list[Any]:
    if curve.knee is None:
        return []
    marker = {"symbol": "star", "size": 18, "color": _KNEE}
    name = say("拐点", "knee") + f": {curve.points[curve.knee].value}"
    x, y = [curve.points[curve.knee].value], [heights[curve.knee]]
    return [plotly().Scatter(x=x, y=y, mode="markers", name=name, marker=marker)]


def trade_off(curve: Curve) -> str:
    """Recall against false alarms: up and to the left is better. The knee is marked."""
    graph = plotly()
    good = [point for point in curve.points if not point.refused and point.recall is not None]
    line = graph.Scatter(
        x=[point.false_per_week for point in good],
        y=[point.recall for point in good],
        text=_uncrowded(good),
        hovertext=[point.value for point in good],
        customdata=[[percent(point.precision), seconds(point.delay)] for point in good],
        hovertemplate="%{hovertext}<br>%{y:.0%} · %{x:.1f}<br>%{customdata[0]} · %{customdata[1]}<extra></extra>",
        mode="lines+markers+text",
        textposition="bottom right",
        line={"color": THEN},
        showlegend=False,
    )
    traces = [line]
    if curve.knee is not None:
        point = curve.points[curve.knee]
        marker = {"symbol": "star", "size": 18, "color": _KNEE}
        name = say("拐点", "knee") + f": {point.value}"
        traces.append(
            graph.Scatter(x=[point.false_per_week], y=[point.recall], mode="markers", name=name, marker=marker)
        )
    return _html(
        traces,
        xaxis={"title": say("误报/周", "false alarms per week"), "rangemode": "tozero"},
        yaxis={"title": say("查全率", "recall"), "tickformat": ".0%", "range": [-0.05, 1.08], "automargin": True},
    )


def _uncrowded(points: Sequence[Point]) -> list[str]:
    """The values as labels; where points lie close together only the first has one."""
    wide = max((point.false_per_week or 0.0 for point in points), default=0.0) or 1.0
    labels, last = list[str](), None
    for point in points:
        place = point.false_per_week or 0.0
        near = last is not None and abs(place - last) < 0.08 * wide
        labels.append("" if near else point.value)
        last = last if near else place
    return labels
