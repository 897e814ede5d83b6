"""The lists and reports of ``sensord list`` and ``sensord report``, from the state database of this machine."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import date
from pathlib import Path

from sensord.commands.tabular import render
from sensord.config.load import Loaded, load
from sensord.config.settings import Rollups
from sensord.core.cases.case import Case
from sensord.core.cases.listing import Lister, Table
from sensord.core.instant import DAY, format_instant, parse_instant, to_datetime
from sensord.core.people.duty import DutyTable
from sensord.core.place import PlaceKind, Places
from sensord.store.rollups import FILE as ROLLUPS
from sensord.store.rollups import RollupSink
from sensord.store.state import StateStore
from sensord.words import language, say

LISTS = ("problems", "tasks", "responsibilities", "silent")
_QUARTER = 3


class Reporter:
    """Reads one site's cases. ``now`` is Unix time in ns."""

    def __init__(self, config: Path, now: int) -> None:
        self._loaded: Loaded = load(config)
        definition = self._loaded.definition
        self._zone, self._now = definition.zone, now
        self._places = Places(definition.places, definition.devices)
        self._lister = Lister(definition, self._places, language())
        self._days = DutyTable(definition.duty, {}, definition.zone)

    def listed(self, name: str, since: str | None, until: str | None, form: str) -> str:
        """Print one list; the responsibility list covers the present quarter unless a span is given."""
        start, end = self._span(since, until, quarter=name == "responsibilities")
        table = self._table(name, self._cases(start, end))
        return render(self._title(table.title, start, end), [table], form)

    def daily(self, day: str | None, form: str) -> str:
        """Print the report of a local day (yesterday unless one is given)."""
        ordinal = date.fromisoformat(day).toordinal() if day else to_datetime(self._now, self._zone).toordinal() - 1
        start, end = self._days.instant(ordinal, 0), self._days.instant(ordinal + 1, 0)
        return self._report(say("日报", "Daily report"), start, end, form)

    def latest(self, form: str) -> str:
        """Print the report of the last 24 hours."""
        return self._report(say("二十四小时报告", "Report of 24 hours"), self._now - DAY, self._now, form)

    def _report(self, title: str, start: int, end: int, form: str) -> str:
        cases = self._cases(start, end)
        lister = self._lister
        tables = [lister.summary(cases, start, end), lister.crowd(cases), *self._measured(start, end)]
        tables += [lister.problems(cases), lister.silent(cases)]
        return render(self._title(title, start, end), tables, form)

    def _table(self, name: str, cases: list[Case]) -> Table:
        if name == "responsibilities":
            return self._lister.responsibilities(cases, self._loaded.score)
        made: Table = getattr(self._lister, name)(cases)
        return made

    def _title(self, title: str, start: int, end: int) -> str:
        return f"{title} · {self._day(start)} – {self._day(end)}"

    def _day(self, instant: int) -> str:
        return format_instant(instant, self._zone)[:16].replace("T", " ")

    def _span(self, since: str | None, until: str | None, *, quarter: bool) -> tuple[int, int]:
        moment = to_datetime(self._now, self._zone)
        first = date(moment.year, (moment.month - 1) // _QUARTER * _QUARTER + 1, 1).toordinal()
        start = self._days.instant(first, 0) if quarter else self._now - 30 * DAY
        return (
            parse_instant(since, self._zone) if since else start,
            parse_instant(until, self._zone) if until else self._now,
        )

    def _cases(self, start: int, end: int) -> list[Case]:
        """The cases that were open at some time in [start, end), oldest first."""
        with closing(StateStore(self._loaded.resolve(self._loaded.settings.state_dir))) as state:
            return state.history.between(start, end)

    def _measured(self, start: int, end: int) -> list[Table]:
        """Crowds and vehicles as measured, from the roll-ups; nothing where no roll-ups are kept."""
        settings = next((sink for sink in self._loaded.settings.sinks if isinstance(sink, Rollups)), None)
        directory = self._loaded.resolve(self._loaded.settings.state_dir)
        if settings is None or not (directory / ROLLUPS).exists():
            return []
        sink = RollupSink(directory, settings)
        try:
            return [self._crowds(sink, start, end), self._gates(sink, start, end)]
        finally:
            asyncio.run(sink.close())

    def _crowds(self, sink: RollupSink, start: int, end: int) -> Table:
        rows = []
        for place in self._places.places:
            if place.kind is not PlaceKind.LANE:
                continue
            hours = sink.series("crowd", "count", {"place": place.id}, start, end, "hour")
            if hours:
                most = max(hours, key=lambda hour: hour.greatest)
                mean = sum(hour.total for hour in hours) / sum(hour.count for hour in hours)
                row = (place.label(language()), f"{mean:.1f}", f"{most.greatest:g}", self._day(most.slot))
                rows.append(row)
        columns = say("弄 平均人数 最多人数 最多时段", "lane mean most hour").split()
        return Table(say("人群", "Crowds"), tuple(columns), rows)

    def _gates(self, sink: RollupSink, start: int, end: int) -> Table:
        rows = []
        for place in self._places.places:
            if place.kind is not PlaceKind.GATE:
                continue
            counts = [
                self._counted(sink, {"place": place.id, **tags}, start, end)
                for tags in ({}, {"direction": "in"}, {"class": "out_of_town"}, {"class": "key_area"})
            ]
            if counts[0]:
                compound = self._places.by_id[place.parent or ""].label(language())
                rows.append((f"{compound} {place.label(language())}", *(str(count) for count in counts)))
        columns = say("出入口 车次 驶入 外地 重点地区", "gate vehicles in out-of-town key-area").split()
        return Table(say("出入口车辆", "Vehicles at the gates"), tuple(columns), rows)

    @staticmethod
    def _counted(sink: RollupSink, tags: dict[str, str], start: int, end: int) -> int:
        return sum(hour.count for hour in sink.series("plate", "confidence", tags, start, end, "hour"))
