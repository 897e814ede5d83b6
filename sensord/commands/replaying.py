"""What ``sensord replay`` does: drive the core over a source and print what it says."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from rich.console import Console
from rich.table import Table

from sensord.ahead import read_ahead
from sensord.commands.progress import watched
from sensord.commands.sights import HAPPENING, REASON, word
from sensord.core.alert import NAMES as CHANGES
from sensord.core.alert import Change
from sensord.core.cases.case import STAGES
from sensord.core.instant import to_datetime
from sensord.core.level import NAMES, Level
from sensord.core.site import Site, Step
from sensord.drivers.replay import Tally, replay
from sensord.source import FAR, Opened, Source
from sensord.words import language, say

_COLOURS = {"none": "green", "blue": "blue", "yellow": "yellow", "orange": "dark_orange", "red": "red"}
_OUTCOMES = {
    "accepted": "采用",
    "late": "迟到",
    "duplicate": "重复",
    "retained": "保留消息",
    "clock_suspect": "时钟可疑",
}


@dataclass(frozen=True, slots=True)
class Play:
    """A stretch of a source (ns), and whether another process decodes it ahead."""

    source: Source
    opened: Opened
    start: int = 0
    end: int = FAR
    ahead: bool = False

    @property
    def zone(self) -> str:
        """The time zone for people."""
        return self.opened.zone

    def steps(self, site: Site) -> Iterator[Step]:
        """Step a fresh site through it, watched; what cannot be handled is said once on stderr, the rest goes on."""
        said = set[tuple[str, str]]()
        for step in self._steps(site):
            for failure in step.failures:
                what, why = failure.what, f"{failure.why}\n{failure.trace}"
                if (what, why) not in said:
                    said.add((what, why))
                    sys.stderr.write(say(f"{what} 未能处理：{why}\n", f"{what} could not be handled: {why}\n"))
            yield step

    def _steps(self, site: Site) -> Iterator[Step]:
        # How much of it a stretch holds is not known before.
        total = self.opened.total if not self.start and self.end == FAR else None
        if self.ahead:
            yield from replay(watched(read_ahead(self.source, self.start, self.end), total), site)
        else:
            recorded = self.opened.recorded(self.start, self.end)
            yield from replay(watched(recorded, total), site, self.opened.override)

    def site(self) -> Site:
        """A site that has the source's keys."""
        return Site(secrets=self.opened.secrets)


def print_json(play: Play, out: BinaryIO | None = None) -> None:
    """Print every decision as a JSON line (on stdout): the same bytes in every run."""
    file = out or sys.stdout.buffer
    for step in play.steps(play.site()):
        file.write(step.decisions())


def print_table(play: Play, what: str, limit: int) -> None:
    """Print ``what`` (``alerts``, ``cases`` or ``notifications``) as a table, and what it all amounted to."""
    began, tally, site, shown = time.perf_counter(), Tally(), play.site(), 0
    title, columns, rows = _TABLES[what]
    table = Table(title=say(*title))
    for column in columns:
        table.add_column(say(*column), no_wrap=column not in (_WHERE, _RULE), overflow="fold")
    for step in play.steps(site):
        tally.add(step)
        for row in rows(step, site, play.zone):
            if not limit or shown < limit:
                table.add_row(*row)
            shown += 1
    console = Console()
    console.print(table)
    if limit and shown > limit:
        more = shown - limit
        console.print(say(f"…另有 {more} 条，用 --limit 0 全部显示", f"... and {more} more; --limit 0 shows all"))
    console.print(_summary(tally, time.perf_counter() - began), soft_wrap=True)


def print_who(play: Play) -> None:
    """Print who would have been told: how often, why, of how many cases, first and last; and what was held, and why."""
    told, held = Counter[str](), Counter[tuple[str, str]]()
    reasons: dict[str, Counter[str]] = {}
    cases: dict[str, set[str]] = {}
    times: dict[str, tuple[int, int]] = {}
    for step in play.steps(play.site()):
        for one in step.notifications:
            told[one.receiver] += 1
            reasons.setdefault(one.receiver, Counter())[one.reason.value] += 1
            cases.setdefault(one.receiver, set()).add(one.case)
            times[one.receiver] = (times.get(one.receiver, (one.at, 0))[0], one.at)
        held.update((one.receiver or one.role, one.reason.value) for one in step.holds)
    table = Table(title=say("会通知谁", "Who would have been told"))
    for column in _WHO:
        table.add_column(say(*column), overflow="fold")
    for person, count in sorted(told.items(), key=lambda item: (-item[1], item[0])):
        why = say("，", ", ").join(f"{word(REASON, name)} {n}" for name, n in sorted(reasons[person].items()))
        first, last = (_moment(instant, play.zone) for instant in times[person])
        table.add_row(person, str(count), str(len(cases[person])), why, first, last)
    console = Console()
    console.print(table)
    silent = Table(title=say("没有通知，以及原因", "Who was not told, and why"))
    for column in (("人员或角色", "person or role"), ("原因", "reason"), ("次数", "times")):
        silent.add_column(say(*column), overflow="fold")
    for (who, reason), amount in sorted(held.items()):
        silent.add_row(who, word(REASON, reason), str(amount))
    if held:
        console.print(silent)


def _summary(tally: Tally, seconds: float) -> str:
    """Say in one line what a replay of so many seconds amounted to."""
    readings = sum(tally.readings.values())
    outcomes = ", ".join(f"{say(_OUTCOMES.get(name, name), name)} {n:,}" for name, n in sorted(tally.readings.items()))
    outcomes = outcomes and say(f"（{outcomes}）", f" ({outcomes})")
    speed = readings / seconds
    return say(
        f"{readings:,} 条读数{outcomes}，{tally.transitions} 次告警变化，{tally.cases} 个案件结案，"
        f"{tally.notifications} 条通知，死信 {sum(tally.dead.values())}；用时 {seconds:.2f} 秒（每秒 {speed:,.0f} 条）",
        f"{readings:,} readings{outcomes}, {tally.transitions} changes of alerts, {tally.cases} cases closed, "
        f"{tally.notifications} notifications, {sum(tally.dead.values())} dead letters; {seconds:.2f} s "
        f"({speed:,.0f} readings/s)",
    )


def _moment(instant: int, zone: str) -> str:
    return to_datetime(instant, zone).strftime("%Y-%m-%d %H:%M:%S")


def _level(level: Level) -> str:
    colour = _COLOURS[level.word]
    return f"[{colour}]{NAMES[language()][level]}[/{colour}]"


def _alerts(step: Step, site: Site, zone: str) -> Iterator[tuple[str, ...]]:
    if not step.transitions:
        return
    names = {rule.id: rule.name.get(language(), rule.id) for rule in site.definition.rules}
    for one in step.transitions:
        value = "-" if one.value is None else f"{one.value:,.2f}"
        where = site.places.name(one.place, language())
        yield (
            _moment(one.end, zone),
            names.get(one.rule, one.rule),
            where,
            CHANGES[language()][one.change],
            say("未知", "unknown") if one.change in (Change.UNWATCHED, Change.WITHDRAWN) else _level(one.level),
            value,
        )


def _cases(step: Step, site: Site, zone: str) -> Iterator[tuple[str, ...]]:
    for one in step.events:
        where = site.places.name(one.place, language())
        yield (
            _moment(one.at, zone),
            one.case,
            where,
            word(HAPPENING, one.happening),
            STAGES[one.state][language()],
            _level(one.level),
        )


def _notifications(step: Step, site: Site, zone: str) -> Iterator[tuple[str, ...]]:
    for one in step.notifications:
        where = site.places.name(one.place, language())
        yield _moment(one.at, zone), one.receiver, one.channel, word(REASON, one.reason), _level(one.level), where


_WHO = (
    ("人员", "person"),
    ("次数", "messages"),
    ("案件", "cases"),
    ("原因", "reasons"),
    ("最早", "first"),
    ("最晚", "last"),
)
_WHEN = ("时间", "time")
_RULE = ("规则", "rule")
_WHERE = ("位置", "place")
_HOW = ("级别", "level")
_Rows = Callable[[Step, Site, str], Iterator[tuple[str, ...]]]
_TABLES: dict[str, tuple[tuple[str, str], tuple[tuple[str, str], ...], _Rows]] = {
    "alerts": (
        ("告警变化", "Changes of alerts"),
        (_WHEN, _RULE, _WHERE, ("变化", "change"), _HOW, ("值", "value")),
        _alerts,
    ),
    "cases": (
        ("案件", "Cases"),
        (_WHEN, ("案件", "case"), _WHERE, ("发生", "event"), ("状态", "state"), _HOW),
        _cases,
    ),
    "notifications": (
        ("通知", "Notifications"),
        (_WHEN, ("接收人", "receiver"), ("通道", "channel"), ("原因", "reason"), _HOW, _WHERE),
        _notifications,
    ),
}
"""Per kind of table: its title, its columns, and the rows that a step brings (all in both languages)."""
