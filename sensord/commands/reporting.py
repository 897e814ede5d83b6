"""The lists and reports of ``sensord list`` and ``sensord report``, from the state directory of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

from sensord.config.load import Loaded
from sensord.core.cases.case import Case
from sensord.core.cases.listing import Lister, Table
from sensord.core.cases.reports import ReportTable, Span, VehicleTable
from sensord.core.instant import DAY, format_instant, parse_instant, to_datetime
from sensord.core.people.duty import DutyTable
from sensord.core.place import Places
from sensord.drivers.tabular import Document, csv_of, render
from sensord.errors import SensordError
from sensord.reporting import FAR, KeptReports, NoTimeError, Reporter, VehicleReporter, day_span, yesterday
from sensord.starting import prepare
from sensord.store.history import History
from sensord.store.reader import DirectoryReader
from sensord.store.state import StateStore
from sensord.words import say

_QUARTER = 3


class Lists:
    """Reads one site's cases. ``now`` is Unix time in ns."""

    def __init__(self, config: Path, now: int, language: str) -> None:
        self._loaded = in_force(config)
        definition = self._loaded.definition
        self._zone, self._now, self._language = definition.zone, now, language
        self._lister = Lister(definition, Places(definition.places, definition.devices), language)
        self._days = DutyTable(definition.duty, {}, definition.zone)

    @property
    def _directory(self) -> Path:
        return self._loaded.resolve(self._loaded.settings.state_dir)

    @contextmanager
    def _history(self) -> Iterator[History]:
        with closing(StateStore.existing(self._directory)) as state:
            yield state.history

    def listed(self, name: str, since: str | None, until: str | None, form: str) -> str:
        """Print one list; the responsibility list covers the present quarter unless a span is given."""
        start, end = self._span(since, until, quarter=name == "responsibilities")
        with self._history() as history:
            table = self._table(name, history.between(start, end))
            notes = self._lister.notes(start, history.since.cases)
        if form == "csv":
            return csv_of(table, self._language)
        title = f"{table.title} · {self._day(start)} – {self._day(end)}"
        return render(Document(title, self._language, [table], notes=notes), form)

    def daily(self, day: str | None, form: str, table: ReportTable | None = None) -> str:
        """Print the report of a local day (yesterday unless one is given)."""
        moment = date.fromisoformat(day) if day else yesterday(self._now, self._zone)
        return self._printed(day_span(self._loaded.definition, moment), form, table)

    def latest(self, form: str, table: ReportTable | None = None) -> str:
        """Print the report of the last 24 hours."""
        return self._printed(Span("latest", self._now - DAY, self._now), form, table)

    def _printed(self, span: Span, form: str, table: ReportTable | None) -> str:
        with self._history() as history:
            reporter = Reporter(lambda: self._loaded, history, self._directory)
            return reporter.printed(span, self._now, form, self._language, table)

    @property
    def _kept(self) -> KeptReports:
        return KeptReports(lambda: self._loaded, self._directory)

    def kept(self) -> list[str]:
        """The names of the reports whose files are kept, the newest first."""
        return self._kept.folder.names()

    def show(self, name: str, form: str, table: ReportTable | None = None) -> str:
        """Print a kept report; raises ``SensordError`` when it is not there."""
        found = self._kept.read(name, form, self._language, table)
        if found is None:
            raise SensordError(say(f"没有名为 {name} 的报告", f"no report is called {name}"))
        return found.decode()

    def _table(self, name: str, cases: list[Case]) -> Table:
        if name == "responsibilities":
            return self._lister.responsibilities(cases, self._loaded.score)
        made: Table = getattr(self._lister, name)(cases)
        return made

    def _day(self, instant: int) -> str:
        return format_instant(instant, self._zone)[:16].replace("T", " ")

    def _span(self, since: str | None, until: str | None, *, quarter: bool) -> tuple[int, int]:
        moment = to_datetime(self._now, self._zone)
        first = date(moment.year, (moment.month - 1) // _QUARTER * _QUARTER + 1, 1).toordinal()
        start = self._days.instant(first, 0) if quarter else self._now - 30 * DAY
        return (
            _instant(since, self._zone) if since else start,
            _instant(until, self._zone) if until else self._now,
        )


def in_force(config: Path) -> Loaded:
    """The configuration, or with the definition in force, as a start of the daemon takes it, when files are refused.

    Raises ``ConfigError`` when there is none.
    """
    start = prepare(config)
    if start.refused is None:
        return start.loaded
    directory = start.loaded.resolve(start.loaded.settings.state_dir)
    with closing(StateStore.existing(directory)) as state:
        return start.begun(DirectoryReader(directory / "journal"), state)


def _instant(text: str, zone: str) -> int:
    """Read a time that stores can hold; raises ``ValueError`` (its text is shown)."""
    instant = parse_instant(text, zone)
    if not 0 <= instant < FAR:
        raise NoTimeError(f"{text} is out of range: a day lies within 1970 to 2199")
    return instant


def vehicles(
    config: Path,
    now: int,
    asked: tuple[str | None, str | None, str | None],
    form: str,
    language: str,
    table: VehicleTable | None = None,
) -> str:
    """Print the report on vehicles of (day, from, to): of yesterday when nothing is asked for.

    Raises ``ValueError`` (its text is shown) for what is no time.
    """
    loaded = in_force(config)
    day, since, until = asked
    start, end = (_instant(text, loaded.definition.zone) if text else None for text in (since, until))
    reporter = VehicleReporter(lambda: loaded, loaded.resolve(loaded.settings.state_dir))
    span = reporter.span(date.fromisoformat(day) if day else None, start, end, now)
    return reporter.printed(reporter.make(span, now), form, language, table)
