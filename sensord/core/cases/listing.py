"""Lists and reports over cases, as plain tables: the problem, task and responsibility lists, and what a day was.

Pure: cases and definitions in, tables out; how they are printed is somebody else's business. Texts are in the language
that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from sensord.core.cases.case import ENDED, STAGES, Case
from sensord.core.cases.figures import Figures, silent
from sensord.core.cases.score import Score, standings
from sensord.core.cases.told import Told
from sensord.core.definition import Definition
from sensord.core.instant import format_instant
from sensord.core.level import LADDER, NAMES
from sensord.core.place import Places


class Table(msgspec.Struct, frozen=True):
    """A titled table; cells are texts."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


_TEXTS = {
    "zh": {
        "problems": "问题清单",
        "tasks": "任务清单",
        "responsibilities": "责任清单（季度评分）",
        "silent": "未响应人员",
        "crowd": "告警与案件",
        "summary": "概况",
        "problem_columns": "案件号 地点 居民区 类别 最高级别 阶段 立案时间 结案时间 责任人 超时次数 说明",
        "task_columns": "案件号 地点 人员 角色 班次 通知时间 次数 送达 已读 接单 到场 反馈 状态",
        "score_columns": "居民区 角色 案件数 派单数 按时接单 按时到场 按时结案 有反馈 超时 不符 回退 得分",
        "silent_columns": "人员 角色 居民区 班次 派单数 未响应数",
        "crowd_columns": "居民区 方案 案件数 蓝 黄 橙 红 未结",
        "false": "误报",
        "unreported": "无人反馈",
        "disagreed": "报告与传感器不符",
        "since": "{since} 之前结案的案件已到期删除，或从未有过，不在其中。",
        "waiting": "待响应",
        "answered": "已接单",
        "there": "已到场",
        "done": "已反馈",
        "undelivered": "未送达",
        "opened": "立案",
        "closed": "结案",
        "open": "未结",
        "acknowledge": "接单用时中位数（分钟）",
        "arrive": "到场用时中位数（分钟）",
        "clear": "疏散用时中位数（分钟）",
        "told": "通知人次",
        "item": "项目",
        "value": "数值",
        "all": "全部",
    },
    "en": {
        "problems": "Problem list",
        "tasks": "Task list",
        "responsibilities": "Responsibility list (quarterly score)",
        "silent": "Who did not respond",
        "crowd": "Alarms and cases",
        "summary": "At a glance",
        "problem_columns": "case place grid category peak stage opened closed owner overdue remark",
        "task_columns": "case place person role shift told times sent seen acknowledged arrived reported state",
        "score_columns": "grid role cases pages acknowledged arrived ended reported overdue disagreed returned points",
        "silent_columns": "person role grid shift pages unanswered",
        "crowd_columns": "grid plan cases blue yellow orange red open",
        "false": "false alarm",
        "unreported": "nobody reported",
        "disagreed": "report and sensors disagreed",
        "since": "Cases that ended before {since} were deleted when their time had come, or never were: they are not "
        "in it.",
        "waiting": "waiting",
        "answered": "acknowledged",
        "there": "on the scene",
        "done": "reported",
        "undelivered": "not delivered",
        "opened": "cases opened",
        "closed": "cases closed",
        "open": "cases open",
        "acknowledge": "median minutes to acknowledge",
        "arrive": "median minutes to arrive",
        "clear": "median minutes to disperse",
        "told": "people told",
        "item": "item",
        "value": "value",
        "all": "all",
    },
}


class Lister:
    """Makes the tables of one site in one language."""

    def __init__(self, definition: Definition, places: Places, language: str) -> None:
        self._definition, self._places, self._language = definition, places, language
        self._say = _TEXTS[language]
        self._plans = {policy.id: policy.name.get(language, policy.id) for policy in definition.policies}
        self._roles = {role.id: role.name.get(language, role.id) for role in definition.roles}

    def problems(self, cases: Iterable[Case]) -> Table:
        """What was wrong, where, how bad, and how it ended."""
        rows = [
            (
                case.code or case.id,
                self.place(case.place),
                self.place(case.grid),
                self._plans.get(case.policy, case.policy),
                NAMES[self._language][case.peak],
                STAGES[case.state][self._language],
                self._time(case.opened_at),
                self._time(case.closed_at),
                case.owner,
                str(case.overdue),
                self._remark(case),
            )
            for case in cases
        ]
        return self._table("problems", "problem_columns", rows)

    def tasks(self, cases: Iterable[Case]) -> Table:
        """Who was asked to do what, and how far they have come: the ledger, a line per person and case."""
        rows = [
            (
                case.code or case.id,
                self.place(case.place),
                person,
                self._roles.get(line.role, line.role),
                "、".join(line.asked),
                self._time(line.at),
                str(line.times),
                *(
                    self._time(stamp)
                    for stamp in (
                        line.sent_at or line.delivered_at,
                        line.seen_at,
                        line.acknowledged_at,
                        line.on_the_scene_at,
                        line.dispersed_at,
                    )
                ),
                self._progress(line),
            )
            for case in cases
            for person, line in case.ledger
        ]
        return self._table("tasks", "task_columns", rows)

    def responsibilities(self, cases: Iterable[Case], score: Score) -> Table:
        """The score of each residential grid and role, over the cases that have ended."""
        rows = []
        for one in standings(cases, score):
            marks = one.marks
            shares = (marks.acknowledged, marks.arrived, marks.ended, marks.reported)
            counts = (marks.overdue, marks.disagreed, marks.returned)
            rows.append(
                (
                    self.place(one.grid),
                    self._roles.get(one.role, one.role) or self._say["all"],
                    str(marks.cases),
                    str(marks.pages),
                    *(f"{share:.0%}" for share in shares),
                    *(str(count) for count in counts),
                    f"{marks.points:g}",
                )
            )
        return self._table("responsibilities", "score_columns", rows)

    def silent(self, cases: Iterable[Case]) -> Table:
        """Who was told and said nothing: per person, role, grid and shift; the most silent first."""
        rows = [
            (
                one.person,
                self._roles.get(one.role, one.role),
                self.place(one.grid),
                one.shift,
                str(one.pages),
                str(one.unanswered),
            )
            for one in silent(cases)
        ]
        return self._table("silent", "silent_columns", rows)

    def crowd(self, cases: Iterable[Case]) -> Table:
        """Cases per residential grid and plan, by the highest level that they reached."""
        groups: dict[tuple[str, str], list[Case]] = {}
        for case in cases:
            groups.setdefault((case.grid, case.policy), []).append(case)
        rows = [
            (
                self.place(grid),
                self._plans.get(policy, policy),
                str(len(group)),
                *(str(sum(case.peak is level for case in group)) for level in LADDER),
                str(sum(case.state not in ENDED for case in group)),
            )
            for (grid, policy), group in sorted(groups.items())
        ]
        return self._table("crowd", "crowd_columns", rows)

    def summary(self, found: Figures) -> Table:
        """The numbers of a stretch of time."""
        facts = (
            ("opened", str(found.opened)),
            ("closed", str(found.closed)),
            ("open", str(found.open)),
            ("told", str(found.told)),
            ("acknowledge", _minutes(found.acknowledge)),
            ("arrive", _minutes(found.arrive)),
            ("clear", _minutes(found.disperse)),
        )
        rows = [(self._say[name], value) for name, value in facts]
        return Table(self._say["summary"], (self._say["item"], self._say["value"]), rows)

    def notes(self, start: int, since: int) -> list[str]:
        """What a list from ``start`` on lacks when not all cases are known of the time before ``since`` (ns)."""
        return [self._say["since"].format(since=self._time(since))] if since > start else []

    def _table(self, title: str, columns: str, rows: Sequence[tuple[str, ...]]) -> Table:
        return Table(self._say[title], tuple(self._say[columns].split()), rows)

    def place(self, place: str) -> str:
        """The place's name; a gate's with that of its compound."""
        return self._places.name(place, self._language)

    def _time(self, instant: int) -> str:
        return format_instant(instant, self._definition.zone)[:16].replace("T", " ") if instant else ""

    def _remark(self, case: Case) -> str:
        flags = (
            (case.false_alarm, "false"),
            (case.closed_by == "unreported", "unreported"),
            (case.disagreed, "disagreed"),
        )
        return " ".join(self._say[name] for holds, name in flags if holds)

    def _progress(self, line: Told) -> str:
        steps = (
            (line.dispersed_at, "done"),
            (line.on_the_scene_at, "there"),
            (line.acknowledged_at, "answered"),
            (line.failed and not line.reached, "undelivered"),
        )
        return self._say[next((name for holds, name in steps if holds), "waiting")]


def _minutes(found: float | None) -> str:
    return "-" if found is None else f"{found:.1f}"
