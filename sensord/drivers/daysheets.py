"""The 24-hour report for programs and spreadsheets: tables of plain numbers, each to be a CSV of its own.

They are made of the report's data alone, so a report that is kept has them, too.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sensord.core.cases.case import STAGES, State
from sensord.core.cases.listing import Table
from sensord.core.level import BY_WORD, LADDER, NAMES
from sensord.core.place import Places
from sensord.drivers.dayreport import CaseLine, DayReport, LaneLine
from sensord.drivers.sheets import Sheet, maybe, minutes
from sensord.drivers.vehiclesheets import VehicleSheets

_FIGURES = ("opened", "closed", "open", *(level.word for level in LADDER), "told", "people", "answered")
_MEDIANS = ("acknowledge", "arrive", "disperse")
_SILENT = ("person", "role", "grid", "shift", "pages", "unanswered")
_STEPS = ("opened_at", "acknowledged_at", "arrived_at", "cleared_at", "closed_at")
_Row = tuple[str, ...]


class DaySheets:
    """The tables of one report in one language; ``places`` are the definition's."""

    def __init__(self, report: DayReport, places: Places, language: str) -> None:
        self._report, self._sheet = report, Sheet(places, report.zone, language)
        self.makers: dict[str, Callable[[], Table]] = {
            "summary": self._summary,
            "cases": self._cases,
            "silent": self._silent,
            "lanes": self._lanes,
            **VehicleSheets(report.vehicles, self._sheet).makers,
        }

    def _summary(self) -> Table:
        """A row for each number of the cases."""
        found = self._report.cases
        known = {} if found is None else {**msgspec.structs.asdict(found), **found.levels}
        numbers = {name: maybe(known.get(name)) for name in _FIGURES}
        numbers |= {f"minutes_to_{name}": maybe(known.get(name)) for name in _MEDIANS}
        rows = [(self._sheet.word(name), value) for name, value in numbers.items()]
        return self._sheet.table(("item", "value"), rows)

    def _cases(self) -> Table:
        """A row for each case."""
        heads = ("id", "code", "place", "name", "grid", "policy", "peak", "state", *_STEPS, "owner", "overdue")
        return self._sheet.table(heads, map(self._case, self._report.case_list))

    def _case(self, case: CaseLine) -> _Row:
        language = self._sheet.language
        words = (NAMES[language][BY_WORD[case.peak]], STAGES[State(case.state)][language])
        what = (case.id, case.code, case.place, self._sheet.name(case.place), case.grid, case.policy, *words)
        return (*what, *(self._sheet.time(getattr(case, step)) for step in _STEPS), case.owner, str(case.overdue))

    def _silent(self) -> Table:
        """A row for each person, role, grid and shift."""
        rows = (tuple(str(getattr(one, name)) for name in _SILENT) for one in self._report.silent)
        return self._sheet.table(_SILENT, rows)

    def _lanes(self) -> Table:
        """A row for each lane that has a sensor; none when no roll-ups are kept."""
        levels = tuple(f"minutes_{level.word}" for level in LADDER)
        heads = ("place", "name", "most_people", "most_at", "people_per_m2", *levels, "minutes_unknown")
        return self._sheet.table(heads, map(self._lane, self._report.lanes or ()))

    def _lane(self, lane: LaneLine) -> _Row:
        most = ("", "") if lane.peak is None else (f"{lane.peak:g}", self._sheet.time(lane.peak_at))
        levels = ("" if lane.levels is None else minutes(lane.levels.get(level.word, 0)) for level in LADDER)
        where = (lane.lane, self._sheet.name(lane.lane))
        return (*where, *most, maybe(lane.density), *levels, minutes(lane.unknown))
