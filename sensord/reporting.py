"""Reports on crowds, vehicles and cases: made from the stores, and kept as files.

The core decides when a report is due and who is told; this carries it out. A report is made once the roll-ups have come
as far as the core had when it decided, so that nothing that was journaled before is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

import msgspec
import structlog

from sensord.config.load import Loaded
from sensord.config.settings import Rollups
from sensord.core.cases.reports import ReportTable, Span, VehicleTable, span_of
from sensord.core.definition import Definition
from sensord.core.instant import DAY, MINUTE, SECOND, parse_duration, parse_instant, to_datetime
from sensord.core.people.duty import DutyTable
from sensord.core.place import Places
from sensord.core.stream import Stream
from sensord.decoders import json_decoder
from sensord.drivers.daypages import Pages
from sensord.drivers.dayreport import DayReport, Heard, build, reach
from sensord.drivers.daysheets import DaySheets
from sensord.drivers.sheets import Sheet
from sensord.drivers.tabular import FORMS, csv_of, render
from sensord.drivers.vehiclepages import VehiclePages
from sensord.drivers.vehiclereport import Kept, VehicleReport
from sensord.drivers.vehiclereport import build as build_vehicles
from sensord.drivers.vehiclesheets import VehicleSheets
from sensord.drivers.vehiclespan import windows
from sensord.errors import SensordError
from sensord.ports import AT_EASE, CrowdSlot, Meter, Pressure
from sensord.store.history import History
from sensord.store.measured import MeasuredReader
from sensord.store.passages import tallies
from sensord.store.reports import ReportFolder, UnreadableReportError

LANGUAGES = ("zh", "en")
_DATA = "report.json"
_REPORT = json_decoder(DayReport)
_MAIN: VehicleTable = "vehicles"
_GLANCE: ReportTable = "summary"
LOOK = 2.0
"""Seconds between two looks for reports that are due."""
PATIENCE = 300 * SECOND
"""So long a report waits for roll-ups that lag, or while more comes in than we take, and a message for its report; then
it goes without."""
TRY_AGAIN = MINUTE
"""So long after it failed a report is tried again."""
CATCH_UP = 7 * DAY
"""A report that was decided while the daemon could not make it is made up for, so late at most."""
FAR = parse_instant("2200-01-01", "UTC")
"""Later instants are mistakes (and the stores' integers end in 2262)."""
LONGEST = 400 * DAY
"""No report on vehicles covers more."""
_NOT_OURS = (msgspec.DecodeError, RecursionError, OSError, ValueError, LookupError, ArithmeticError)
"""What the making of a table fails with where the data hold what no report does: another shape, a word, an instant."""

log = structlog.get_logger()


class NoTimeError(ValueError):
    """Somebody asks for a report on a time of which there is none."""


def day_span(definition: Definition, day: date) -> Span:
    """The span of a local day, by which a report is made on request; raises ``NoTimeError`` for the calendar's ends."""
    if not 1970 <= day.year < 2200:
        raise NoTimeError(f"{day} is out of range: a day lies within 1970 to 2199")
    table, ordinal = DutyTable(definition.duty, {}, definition.zone), day.toordinal()
    return Span(f"day-{day:%Y%m%d}", table.instant(ordinal, 0), table.instant(ordinal + 1, 0))


def yesterday(now: int, zone: str) -> date:
    """The local day before the instant ``now`` (ns)."""
    return to_datetime(now, zone).date() - timedelta(days=1)


def day_table(report: DayReport, definition: Definition, language: str, table: ReportTable | None) -> str:
    """One table of a report as CSV: at a glance, when none is named."""
    return csv_of(DaySheets(report, _places(definition), language).makers[table or _GLANCE](), language)


def _places(definition: Definition) -> Places:
    return Places(definition.places, definition.devices)


def _json(report: DayReport | VehicleReport) -> str:
    return msgspec.json.format(msgspec.json.encode(report)).decode() + "\n"


class VehicleReporter:
    """Makes reports on vehicles from a state database, which a daemon may be writing; safe from any thread."""

    def __init__(self, loaded: Callable[[], Loaded], directory: Path) -> None:
        self._loaded, self._directory = loaded, directory

    def span(self, day: date | None, start: int | None, end: int | None, now: int) -> Span:
        """What somebody asks for at ``now``: a local day, or [start, end) in ns; yesterday when it is neither.

        Without an end it is until now, without a start the day before the end. Raises ``ValueError`` (its text is
        shown) for what has not begun, runs backwards, or is too long.
        """
        definition = self._loaded().definition
        if start is None and end is None:
            asked = day_span(definition, day or yesterday(now, definition.zone))
        elif day is not None:
            raise NoTimeError("give a day, or when it begins and ends")
        else:
            until = now if end is None else end
            asked = Span("vehicles", until - DAY if start is None else start, until)
        if not 0 <= asked.start <= now:
            raise NoTimeError("that time has not begun, or is before every journal")
        if not 0 < asked.end - asked.start <= LONGEST:
            raise NoTimeError("the time must run forward, for 400 days at most")
        return asked

    def make(self, span: Span, now: int) -> VehicleReport:
        """Make the report of a span, as far as it has passed. Raises ``StoreError``."""
        definition = self._loaded().definition
        laid = windows(span, definition.zone, now)
        with tallies(self._directory) as stored:
            reach = laid.reach
            counted, inside = stored.counts(*reach), stored.occupancy(laid.whole.end)
            blind = stored.blind(min(reach.start, laid.whole.end - definition.tracking.believed), reach.end)
            by_hand = stored.by_hand(min(reach.start, laid.whole.end - definition.tracking.remember), reach.end)
            kept = Kept(counted, inside, blind, stored.applied_at, stored.since, by_hand)
            return build_vehicles(definition, span, kept, now)

    def printed(self, report: VehicleReport, form: str, language: str, table: VehicleTable | None = None) -> str:
        """Write a report as ``json``, in one of the forms of documents, or one of its tables as ``csv``."""
        if form == "json":
            return _json(report)
        places = _places(self._loaded().definition)
        if form == "csv":
            sheets = VehicleSheets(report, Sheet(places, report.zone, language))
            return csv_of(sheets.makers[table or _MAIN](), language)
        return render(VehiclePages(report, places, language).document(), form)


class KeptReports:
    """The reports of a state directory that are kept, in each form; safe from any thread."""

    def __init__(self, loaded: Callable[[], Loaded], directory: Path) -> None:
        self._loaded, self.folder = loaded, ReportFolder(directory)

    def read(self, name: str, form: str, language: str, table: ReportTable | None = None) -> bytes | None:
        """Return a report, as CSV one of its tables; None when it is not there. Raises ``StoreError``."""
        found = self.folder.read(name, f"{language}.{form}" if form in FORMS else _DATA)
        if found is None or form != "csv":
            return found
        try:
            report = _REPORT.decode(found)
            return day_table(report, self._loaded().definition, language, table).encode()
        except _NOT_OURS as error:
            text = f"report {name}: no table can be made of its data; ask for txt, md or html"
            raise UnreadableReportError(text) from error


class Reporter:
    """Makes reports of one site from its stores; safe from any thread."""

    def __init__(self, loaded: Callable[[], Loaded], history: History, directory: Path) -> None:
        self._loaded, self._history = loaded, history
        self.kept = KeptReports(loaded, directory)
        self.folder = self.kept.folder
        self.measured, self.vehicles = MeasuredReader(directory), VehicleReporter(loaded, directory)

    @property
    def _rollups(self) -> Rollups | None:
        sinks = self._loaded().settings.sinks
        return next((sink for sink in sinks if isinstance(sink, Rollups)), None)

    def make(self, span: Span, now: int) -> tuple[DayReport, dict[str, Pages]]:
        """Make the report of a span; returns it, and its pages by language. Raises ``StoreError``."""
        definition = self._loaded().definition
        cases = self._history.between(span.start, span.end)
        alarms = self._history.alarms(span.start, min(span.end, now))
        crowds, vehicles = self._crowds(definition, span, now), self.vehicles.make(span, now)
        heard = Heard(cases, alarms, crowds, vehicles, *self._history.since)
        report = build(definition, span, heard, now)
        return report, {language: Pages(report, definition, cases, language) for language in LANGUAGES}

    def _crowds(self, definition: Definition, span: Span, now: int) -> Iterable[tuple[str, Sequence[CrowdSlot]]] | None:
        rollups = self._rollups
        if rollups is None or not self.measured.kept:
            return None
        since = reach(definition, span.start)
        kept = parse_duration(rollups.keep_minutes)
        return self.measured.crowds(since, span.end, "minute" if since >= now - kept else "hour")

    def printed(self, span: Span, now: int, form: str, language: str, table: ReportTable | None = None) -> str:
        """Make a report and write it as ``json``, as a document, or one of its tables as ``csv``."""
        report, pages = self.make(span, now)
        if form == "json":
            return _json(report)
        if form == "csv":
            return day_table(report, self._loaded().definition, language, table)
        return render(pages[language].document(), form)

    def keep(self, span: Span, now: int) -> DayReport:
        """Make a report and put its files there. Raises ``StoreError``."""
        report, pages = self.make(span, now)
        files = {_DATA: msgspec.json.encode(report)}
        for language, page in pages.items():
            document = page.document()
            files |= {f"{language}.{form}": render(document, form).encode() for form in FORMS}
            files[f"{language}.message"] = page.message().encode()
        self.folder.write(span.name, files)
        return report

    def day(self, day: date) -> Span:
        """The span of a local day, by which a report is made on request; raises ``NoTimeError``."""
        return day_span(self._loaded().definition, day)

    @property
    def grace(self) -> int:
        """How long (ns) after its end a report is made: so late passages are decided and late readings taken."""
        definition = self._loaded().definition
        return max(definition.lateness_of(stream) for stream in (Stream.VISIT, Stream.CROWD))

    def waits(self, seq: int) -> bool:
        """Whether the roll-ups have yet to come as far as a journal group."""
        return self._rollups is not None and self.measured.kept and self.measured.seq < seq


class ReportTask:
    """Makes the reports that the core has decided on, and deletes those that are past their keeping."""

    def __init__(
        self,
        reporter: Reporter,
        history: History,
        loaded: Callable[[], Loaded],
        meter: Meter,
        clock: Callable[[], int],
        pressure: Pressure = AT_EASE,
        *,
        keeping: Callable[[], int | None],
    ) -> None:
        """``clock`` is journal time (ns), ``keeping`` that by which reports are deleted; None while none may be."""
        self._pressure, self._keeping = pressure, keeping
        self._reporter, self._history, self._loaded, self._clock = reporter, history, loaded, clock
        self._meter = meter
        self._seen = 0
        self._due: dict[Span, tuple[int, int]] = {}
        self._rest: dict[Span, int] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            whole = await asyncio.to_thread(self._taken)
            await asyncio.sleep(LOOK if whole else TRY_AGAIN / SECOND)

    def _taken(self) -> bool:
        """Take a turn; False: what failed is tried again later. Reports may not end what tells of crowds."""
        try:
            self.turn()
        except SensordError:  # the state cannot be read: the next start sees to it
            raise
        except Exception as error:
            self._meter.count("report_failures_total")
            log.exception("reports could not be looked after", why=str(error))
            return False
        return True

    def turn(self) -> None:
        """Make everything that is due now and can be made. Raises ``StoreError`` when the state cannot be read."""
        now, keep = self._clock(), parse_duration(self._loaded().settings.report_files.keep)
        for seq, event in self._history.reports(self._seen, now - min(CATCH_UP, keep)):
            self._seen = max(self._seen, seq)
            span = span_of(event)
            if span is not None and not self._reporter.folder.has(span.name):
                self._due[span] = (seq, now)
        for span, (seq, since) in list(self._due.items()):
            waits = (self._pressure.pressed or self._reporter.waits(seq)) and now - since < PATIENCE
            if not waits and now - span.end >= self._reporter.grace and now >= self._rest.get(span, 0):
                self._make(span, now)
        expiring = self._keeping()
        if expiring is not None:
            self._reporter.folder.prune(expiring - keep)

    def _make(self, span: Span, now: int) -> None:
        try:
            self._reporter.keep(span, now)
        except Exception as error:  # one report's boundary: it must not end the daemon
            self._meter.count("report_failures_total")
            expected = isinstance(error, SensordError)
            log.error("a report could not be made", report=span.name, why=str(error), exc_info=not expected)
            self._rest[span] = now + TRY_AGAIN
            return
        del self._due[span]
        self._rest.pop(span, None)
        log.info("a report was made", report=span.name)
