"""The 24-hour report for readers: its document in Chinese and English, and the few lines that go into a message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sensord.core.cases.case import Case
from sensord.core.cases.listing import Lister, Table
from sensord.core.definition import Definition
from sensord.core.instant import MINUTE, format_instant
from sensord.core.level import BY_WORD, LADDER, NAMES, Level
from sensord.core.place import Places
from sensord.drivers.dayreport import DayReport, LaneLine
from sensord.drivers.tabular import Document
from sensord.drivers.vehiclepages import VehiclePages

_WORDS: dict[str, dict[str, str]] = {
    "zh": {
        "title": "街道运行报告 {start} – {end}",
        "crowds": "人群（按弄）",
        "lane": "弄",
        "people": "最多人数",
        "density": "密度（人/m²）",
        "when": "时间",
        "minutes": "{level}（分钟）",
        "unknown": "未知（分钟）",
        "cases_line": "案件：立案 {opened}（{levels}），结案 {closed}，未结 {open}；"
        "中位用时（分钟）：接单 {acknowledge}，到场 {arrive}，疏散 {disperse}",
        "no_cases_line": "案件：没有数据（{since} 之前的案件已到期删除，或从未有过）",
        "cases_since_line": "{since} 之前结案的案件已到期删除，或从未有过，不在其中",
        "answers_line": "响应：派单 {people} 人次，已响应 {answered}；未响应最多：{silent}",
        "nobody": "无",
        "and": "、",
        "crowd_line": "人群：最多 {people} 人，{lane}，{when}；预警过的弄 {alarmed} 处；"
        "未知：{blind} 处共 {minutes} 分钟",
        "no_crowd_line": "人群：没有人数读数；未知：{blind} 处共 {minutes} 分钟",
        "no_rollups": "人群：未启用汇总存储（sinks: rollups），没有数据",
        "more": "全文：sensord report show {name}",
        "blind_note": "“未知”：该弄有传感器失联的时间。失联不等于平静：这段时间里的人数不得而知。",
        "alarms_note": "{since} 之前的告警已到期删除：各级别的分钟数只是其后的（“?”），“-”表示没有数据。",
        "unwatched_note": "另有 {count} 条弄没有人群传感器。",
        "quarters_note": "车辆按整刻钟统计：{start} – {end}。",
        "made_note": "生成于 {made}，定义版本 {version}。",
        "unfinished": "报告截至生成时，该时段尚未结束。",
    },
    "en": {
        "title": "Report of the street {start} – {end}",
        "crowds": "Crowds, by lane",
        "lane": "lane",
        "people": "most people",
        "density": "people/m²",
        "when": "when",
        "minutes": "{level} (min)",
        "unknown": "unknown (min)",
        "cases_line": "Cases: {opened} opened ({levels}), {closed} closed, {open} open; median minutes to acknowledge "
        "{acknowledge}, to arrive {arrive}, to disperse {disperse}",
        "no_cases_line": "Cases: no data (those before {since} were deleted when their time had come, or never were)",
        "cases_since_line": "Cases that ended before {since} were deleted when their time had come, or never were: "
        "they are in no number",
        "answers_line": "Answers: {answered} of {people} who were told; most silent: {silent}",
        "nobody": "nobody",
        "and": ", ",
        "crowd_line": "Crowds: {people} people at most, {lane}, {when}; {alarmed} lanes had alarms; "
        "unknown: {blind} lanes, {minutes} minutes in all",
        "no_crowd_line": "Crowds: no head counts; unknown: {blind} lanes, {minutes} minutes in all",
        "no_rollups": "Crowds: no roll-ups are kept (sinks: rollups), so there are no data",
        "more": "In full: sensord report show {name}",
        "blind_note": "Unknown: for how long a sensor of the lane was silent. Blind is not quiet: how many people were "
        "there then, nobody knows.",
        "alarms_note": "Alarms before {since} were deleted when their time had come: the minutes at each level are "
        'those since then ("?"), and "-" is no data.',
        "unwatched_note": "{count} more lanes have no sensor of crowds.",
        "quarters_note": "Vehicles are counted by whole quarters of an hour: {start} – {end}.",
        "made_note": "Made at {made}, definition {version}.",
        "unfinished": "The time of this report had not ended when it was made.",
    },
}
_NAMED = 3
"""So many of those who did not respond are named in a message."""


class Pages:
    """Writes one report in one language. ``cases`` are those that it was made of."""

    def __init__(self, report: DayReport, definition: Definition, cases: Sequence[Case], language: str) -> None:
        self._report, self._cases, self._language = report, cases, language
        self._places = Places(definition.places, definition.devices)
        self._lister = Lister(definition, self._places, language)
        self._vehicles = VehiclePages(report.vehicles, self._places, language)
        self._say = _WORDS[language]

    def document(self) -> Document:
        """The whole report."""
        found, lister = self._report, self._lister
        tables = [*self._crowds(), *self._vehicles.tables()]
        if found.cases is not None:
            tables = [lister.summary(found.cases), lister.crowd(self._cases), *tables]
            tables += [lister.problems(self._cases), lister.silent(self._cases)]
        title = self._say["title"].format(start=self._time(found.start), end=self._time(found.end))
        return Document(title, self._language, tables, self.lines(), list(self._notes()))

    def lines(self) -> list[str]:
        """The most important, a line each: cases, answers, crowds, vehicles."""
        return [*self._case_lines(), self._crowd_line(), *self._vehicles.lines()]

    def _case_lines(self) -> list[str]:
        found, since = self._report.cases, self._time(self._report.cases_since)
        if found is None:
            return [self._say["no_cases_line"].format(since=since)]
        levels = (f"{NAMES[self._language][level]} {found.levels[level.word]}" for level in reversed(LADDER))
        numbers = {name: getattr(found, name) for name in ("opened", "closed", "open", "people", "answered")}
        for name in ("acknowledge", "arrive", "disperse"):
            numbers[name] = "-" if (value := getattr(found, name)) is None else f"{value:.1f}"
        words = {**numbers, "levels": self._say["and"].join(levels), "silent": self._silent(), "since": since}
        also = ("cases_since_line",) if self._report.cases_since else ()
        return [self._say[name].format(**words) for name in ("cases_line", "answers_line", *also)]

    def _silent(self) -> str:
        """The few who left most unanswered, over all grids and shifts."""
        pages, unanswered = Counter[str](), Counter[str]()
        for one in self._report.silent:
            pages[one.person] += one.pages
            unanswered[one.person] += one.unanswered
        order = sorted(unanswered, key=lambda person: (-unanswered[person], person))
        named = [f"{person} {unanswered[person]}/{pages[person]}" for person in order[:_NAMED]]
        return self._say["and"].join(named) or self._say["nobody"]

    def message(self) -> str:
        """What goes into a message: the lines, and where the rest is."""
        return "\n".join([*self.lines(), self._say["more"].format(name=self._report.name)])

    def _crowd_line(self) -> str:
        lanes = self._report.lanes
        if lanes is None:
            return self._say["no_rollups"]
        blind = [lane.unknown for lane in lanes if lane.unknown]
        words: dict[str, object] = {"blind": len(blind), "minutes": _minutes(sum(blind))}
        fullest = max((lane for lane in lanes if lane.peak is not None), key=_fullness, default=None)
        if fullest is None:
            return self._say["no_crowd_line"].format(**words)
        words |= {"people": f"{fullest.peak:g}", "lane": self._lister.place(fullest.lane)}
        words |= {"when": self._time(fullest.peak_at), "alarmed": self._alarmed(lanes)}
        return self._say["crowd_line"].format(**words)

    def _alarmed(self, lanes: Sequence[LaneLine]) -> str:
        """How many lanes had alarms; ``-`` when none of that time are kept."""
        known = [any(lane.levels.values()) for lane in lanes if lane.levels is not None]
        return (f"{sum(known)}" if known else "-") + ("?" if known and self._report.alarms_since else "")

    def _crowds(self) -> list[Table]:
        say, lanes = self._say, self._report.lanes
        if lanes is None:
            return []
        levels = [say["minutes"].format(level=NAMES[self._language][level]) for level in reversed(LADDER)]
        head = (say["lane"], say["people"], say["density"], say["when"], *levels, say["unknown"])
        return [Table(say["crowds"], head, [self._lane(lane) for lane in sorted(lanes, key=_order)])]

    def _lane(self, lane: LaneLine) -> tuple[str, ...]:
        at_levels = (self._lasted(lane, level) for level in reversed(LADDER))
        return (
            self._lister.place(lane.lane),
            "-" if lane.peak is None else f"{lane.peak:g}",
            "-" if lane.density is None else f"{lane.density:.2f}",
            "-" if lane.peak is None else self._time(lane.peak_at),
            *at_levels,
            _minutes(lane.unknown),
        )

    def _lasted(self, lane: LaneLine, level: Level) -> str:
        """The minutes at a level; with a question mark where alarms of a part of the time are not kept."""
        if lane.levels is None:
            return "-"
        return _minutes(lane.levels.get(level.word, 0)) + ("?" if self._report.alarms_since else "")

    def _notes(self) -> list[str]:
        say, found = self._say, self._report
        notes = [say["blind_note"]] if found.lanes is not None else []
        if found.lanes is not None and found.alarms_since:
            notes.append(say["alarms_note"].format(since=self._time(found.alarms_since)))
        notes += [say["unwatched_note"].format(count=found.unwatched)] if found.unwatched else []
        notes += self._vehicles.notes()
        counted = found.vehicles.start, found.vehicles.end
        if counted != (found.start, found.end):
            notes.append(say["quarters_note"].format(start=self._time(counted[0]), end=self._time(counted[1])))
        notes += [say["unfinished"]] if found.made_at < found.end else []
        return [*notes, say["made_note"].format(made=self._time(found.made_at), version=found.version)]

    def _time(self, instant: int) -> str:
        return format_instant(instant, self._report.zone)[:16].replace("T", " ")


def _minutes(duration: int) -> str:
    """Whole minutes; what is shorter than ten with a decimal, so that something never reads as nothing."""
    value = duration / MINUTE
    return f"{value:.0f}" if value >= 10 or not value else f"{max(value, 0.1):.1f}"


def _fullness(lane: LaneLine) -> tuple[float, int]:
    assert lane.peak is not None
    return lane.peak, -lane.peak_at


def _order(lane: LaneLine) -> tuple[object, ...]:
    """The worst first: by minutes at the highest level, then blindness, then people."""
    levels = [-(lane.levels or {}).get(level.word, 0) for level in sorted(BY_WORD.values(), reverse=True)]
    return (*levels, -lane.unknown, -(lane.peak or 0.0), lane.lane)
