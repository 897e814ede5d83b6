"""What was, for the API: lists, scores, ledgers and reports, from the stores. Nothing here changes an outcome."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec

from sensord.api.plain import plain
from sensord.api.refusal import Refused
from sensord.config.load import Loaded
from sensord.core.cases.case import Case
from sensord.core.cases.figures import silent
from sensord.core.cases.listing import Lister, Table
from sensord.core.cases.reports import ReportTable, VehicleTable
from sensord.core.cases.score import standings
from sensord.core.instant import DAY, format_instant, to_datetime
from sensord.core.people.duty import DutyTable
from sensord.core.place import Places
from sensord.drivers.tabular import Document, csv_of, render
from sensord.reporting import FAR, NoTimeError, Reporter
from sensord.store.history import History
from sensord.store.reports import UnreadableReportError

LONGEST = 400 * DAY
"""No list covers more."""
_QUARTER = re.compile(r"([0-9]{4})[Qq]([1-4])")

Plain = dict[str, Any]


class Records:
    """Implements the API's ``Records``."""

    def __init__(
        self,
        loaded: Callable[[], Loaded],
        history: History,
        reporter: Reporter,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._loaded, self._history, self._reporter, self._clock = loaded, history, reporter, clock

    # -- reports -----------------------------------------------------------------------------------------------------

    def reports(self) -> list[str]:
        """The reports that are kept, the newest first."""
        return self._reporter.folder.names()

    def report(self, name: str, form: str, language: str, table: ReportTable | None = None) -> bytes | None:
        """One form of a kept report, or one of its tables; None when it is not there. Raises ``Refused``."""
        try:
            return self._reporter.kept.read(name, form, language, table)
        except UnreadableReportError as error:
            raise Refused(404, str(error)) from error

    def make_report(self, day: date) -> str:
        """Make the report of a local day; returns its name. Raises ``Refused`` for a day that has not begun."""
        now = self._clock()
        try:
            span = self._reporter.day(day)
        except NoTimeError as error:
            raise Refused(422, f"body.day: {error}") from error
        if not 0 <= span.start <= now:
            raise Refused(
                422,
                f"body.day: {day} has not begun" if span.start > now else f"body.day: {day} is before every journal",
            )
        self._reporter.keep(span, now)
        return span.name

    def vehicles(
        self,
        day: date | None,
        start: int | None,
        end: int | None,
        form: str,
        language: str,
        table: VehicleTable | None = None,
    ) -> str:
        """The report on vehicles, made now; raises ``Refused`` for a time of which there is none."""
        now, maker = self._clock(), self._reporter.vehicles
        try:
            span = maker.span(day, start, end, now)
        except NoTimeError as error:
            raise Refused(422, f"query: {error}") from error
        return maker.printed(maker.make(span, now), form, language, table)

    # -- lists -------------------------------------------------------------------------------------------------------

    def span(self, start: int | None, end: int | None, days: int) -> tuple[int, int]:
        """Complete a span of time (ns): until now, and so many days; raises ``Refused`` for one that is none."""
        end = self._clock() if end is None else end
        start = end - days * DAY if start is None else start
        if not (0 <= end - start <= LONGEST and start >= 0 and end < FAR):
            days = LONGEST // DAY
            raise Refused(422, f"query.from: the span runs forward, {days} days at most, within 1970 to 2199")
        return start, end

    def quarter(self, text: str) -> tuple[int, int]:
        """The span of a quarter (``2026Q4``; empty: the present one); raises ``Refused``."""
        zone = self._loaded().definition.zone
        moment = to_datetime(self._clock(), zone)
        found = _QUARTER.fullmatch(text or f"{moment.year}Q{(moment.month - 1) // 3 + 1}")
        if found is None or not 1970 < int(found[1]) < 2200:
            raise Refused(422, "query.quarter: a quarter is written 2026Q4")
        year, number = int(found[1]), int(found[2])
        following = date(year + number // 4, number % 4 * 3 + 1, 1)
        table = DutyTable(self._loaded().definition.duty, {}, zone)
        first = date(year, number * 3 - 2, 1)
        return table.instant(first.toordinal(), 0), table.instant(following.toordinal(), 0)

    def listed(self, name: str, start: int, end: int) -> Plain:
        """One list as data: ``problems`` (cases), ``tasks`` (the ledger), ``responsibilities``, ``silent``.

        Where cases that ended in that time are deleted, ``known_since`` says from when on the list is whole.
        """
        cases = self._history.between(start, end)
        makers: dict[str, Callable[[], list[Plain]]] = {
            "problems": lambda: [self._problem(case) for case in cases],
            "tasks": lambda: self._ledger(cases),
            "silent": lambda: [plain(one, self._zone) for one in silent(cases)],
            "responsibilities": lambda: self._standings(cases),
        }
        return {name: makers[name](), **self._known(start)}

    def document(self, name: str, start: int, end: int, form: str, language: str) -> str:
        """One list as a document in a form for people."""
        loaded = self._loaded()
        definition = loaded.definition
        lister = Lister(definition, Places(definition.places, definition.devices), language)
        cases = self._history.between(start, end)
        if name == "responsibilities":
            table: Table = lister.responsibilities(cases, loaded.score)
        else:
            table = getattr(lister, name)(cases)
        if form == "csv":
            return csv_of(table, language)
        first, last = (format_instant(instant, self._zone)[:16].replace("T", " ") for instant in (start, end))
        notes = lister.notes(start, self._history.since.cases)
        return render(Document(f"{table.title} · {first} – {last}", language, [table], notes=notes), form)

    def scores(self, start: int, end: int) -> Plain:
        """What each residential grid and role did in the cases that have ended, by the configured formula."""
        return {"scores": self._standings(self._history.between(start, end)), **self._known(start)}

    def ledger(self, person: str, shift: str | None, start: int, end: int) -> Plain:
        """What a person, or whoever was on a shift, was told and did, and who of them did not respond."""
        cases = self._history.between(start, end)
        lines = self._ledger(cases, person, shift)
        unanswered = sum(line["silent"] for line in lines)
        who = [plain(one, self._zone) for one in silent(cases, person, shift)]
        return {"pages": len(lines), "unanswered": unanswered, "silent": who, "lines": lines, **self._known(start)}

    @property
    def _zone(self) -> str:
        return self._loaded().definition.zone

    def _known(self, start: int) -> Plain:
        """From when on all cases that have ended are known, where that is later than ``start`` (ns)."""
        since = self._history.since.cases
        return {"known_since": format_instant(since, self._zone)} if since > start else {}

    def _standings(self, cases: list[Case]) -> list[Plain]:
        found = standings(cases, self._loaded().score)
        return [{"grid": one.grid, "role": one.role, **msgspec.to_builtins(one.marks)} for one in found]

    def _problem(self, case: Case) -> Plain:
        hidden = {"told", "alerts", "samples", "events"}
        return {name: value for name, value in plain(case, self._zone).items() if name not in hidden}

    def _ledger(self, cases: list[Case], person: str = "", shift: str | None = None) -> list[Plain]:
        return [
            {
                "case": case.id,
                "code": case.code,
                "place": case.place,
                "grid": case.grid,
                "person": name,
                "silent": line.silent if shift is None else shift in line.unanswered,
                **plain(line, self._zone),
            }
            for case in cases
            for name, line in case.ledger
            if line.times and person in ("", name) and (shift is None or shift in line.asked)
        ]
