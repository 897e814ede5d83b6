"""What ``sensord replay`` does: open a source, drive the core, print what it says."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sensord.config.load import load
from sensord.config.mapping import load_mapping
from sensord.config.rules import World, load_rules
from sensord.core.alert import NAMES as CHANGES
from sensord.core.definition import Definition
from sensord.core.instant import SECOND, to_datetime
from sensord.core.level import NAMES
from sensord.core.place import Places
from sensord.core.record import Group
from sensord.core.site import Site, Step, definition_record
from sensord.drivers.recording import TOPICS, groups, read_recording, read_series
from sensord.drivers.replay import Tally, journal_groups, replay
from sensord.errors import ConfigError, Problem
from sensord.store.reader import DirectoryReader
from sensord.words import language, say

TAIL = 10 * SECOND
_COLOURS = {"none": "green", "blue": "blue", "yellow": "yellow", "orange": "dark_orange", "red": "red"}
_OUTCOMES = {
    "accepted": "采用",
    "late": "迟到",
    "duplicate": "重复",
    "retained": "保留消息",
    "clock_suspect": "时钟可疑",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Something to replay: its groups, and the time zone in which to print times."""

    groups: Iterable[Group]
    zone: str


def open_source(source: Path, mapping: Path | None, rules: Path | None, config: Path | None) -> Source:
    """Open a journal folder, a recording (JSON lines), or a CSV with its mapping.

    A journal brings its own definitions; a recording needs ``config``, a CSV needs ``mapping`` and ``rules``.
    Raises ``ConfigError`` when what is needed is missing or wrong.
    """
    if source.is_dir():
        return Source(
            journal_groups(DirectoryReader(source)), load(config).settings.timezone if config else "Asia/Shanghai"
        )
    if mapping is not None:
        if rules is None:
            raise _missing(source, say("CSV 需要 --rules", "a CSV needs --rules"))
        return _series(source, mapping, rules)
    if config is None:
        raise _missing(
            source,
            say("消息录制需要 --config；CSV 需要 --mapping", "a recording needs --config, a CSV needs --mapping"),
        )
    definition = load(config).definition
    tail = max((definition.lateness_of(rule.stream) for rule in definition.rules), default=0) + TAIL
    return Source(groups(read_recording(source), definition_record(definition, 0), tail), definition.zone)


def _series(source: Path, mapping: Path, rules: Path) -> Source:
    shape = load_mapping(mapping)
    series = read_series(source, shape)
    made = tuple(load_rules(rules, World(Places(series.places, series.devices))).rules)
    definition = Definition(
        site=source.stem, places=series.places, devices=series.devices, rules=made, zone=shape.time.zone, topics=TOPICS
    )
    tail = max((definition.lateness_of(rule.stream) + rule.every for rule in made), default=0) + TAIL
    return Source(groups(series.records, definition_record(definition, 0), tail), shape.time.zone)


def _missing(source: Path, message: str) -> ConfigError:
    return ConfigError([Problem(str(source), 1, 1, message)])


def print_json(source: Source) -> None:
    """Print every decision as a JSON line on stdout: the same bytes in every run."""
    for step in replay(source.groups, Site()):
        sys.stdout.buffer.write(step.decisions())


def print_table(source: Source, limit: int) -> None:
    """Print the alerts as a table, and what it all amounted to."""
    began, tally, site, shown = time.perf_counter(), Tally(), Site(), 0
    table = Table(title=say("告警变化", "Changes of alerts"))
    for zh, en in (
        ("时间", "time"),
        ("规则", "rule"),
        ("位置", "place"),
        ("变化", "change"),
        ("级别", "level"),
        ("值", "value"),
    ):
        table.add_column(say(zh, en), no_wrap=zh not in ("规则", "位置"), overflow="fold")
    for row in _rows(replay(source.groups, site), site, tally, source.zone):
        if not limit or shown < limit:
            table.add_row(*row)
        shown += 1
    console = Console()
    console.print(table)
    if limit and shown > limit:
        console.print(
            say(
                f"…另有 {shown - limit} 条，用 --limit 0 全部显示", f"... and {shown - limit} more; --limit 0 shows all"
            )
        )
    console.print(_summary(tally, time.perf_counter() - began), soft_wrap=True)


def _summary(tally: Tally, seconds: float) -> str:
    """Say in one line what a replay of so many seconds amounted to."""
    readings = sum(tally.readings.values())
    outcomes = ", ".join(f"{say(_OUTCOMES.get(name, name), name)} {n:,}" for name, n in sorted(tally.readings.items()))
    speed = readings / seconds
    return say(
        f"{readings:,} 条读数（{outcomes}），{tally.transitions} 次告警变化，{tally.cases} 个案件结案，"
        f"{tally.notifications} 条通知，死信 {sum(tally.dead.values())}；用时 {seconds:.2f} 秒（每秒 {speed:,.0f} 条）",
        f"{readings:,} readings ({outcomes}), {tally.transitions} changes of alerts, {tally.cases} cases closed, "
        f"{tally.notifications} notifications, {sum(tally.dead.values())} dead letters; {seconds:.2f} s "
        f"({speed:,.0f} readings/s)",
    )


def _rows(steps: Iterator[Step], site: Site, tally: Tally, zone: str) -> Iterator[tuple[str, ...]]:
    """Yield a row per change, and count every step."""
    for step in steps:
        tally.add(step)
        names = (
            {rule.id: rule.name.get(language(), rule.id) for rule in site.definition.rules} if step.transitions else {}
        )
        for one in step.transitions:
            place = site.places.by_id.get(one.place)
            colour = _COLOURS[one.level.word]
            yield (
                to_datetime(one.end, zone).strftime("%Y-%m-%d %H:%M:%S"),
                names.get(one.rule, one.rule),
                place.label(language()) if place else one.place,
                CHANGES[language()][one.change],
                f"[{colour}]{NAMES[language()][one.level]}[/{colour}]",
                "-" if one.value is None else f"{one.value:,.2f}",
            )
