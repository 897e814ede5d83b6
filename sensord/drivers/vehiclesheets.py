"""The report on vehicles for programs and spreadsheets: tables of plain numbers, each to be a CSV of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sensord.core.cases.listing import Table
from sensord.core.place import PlaceKind
from sensord.core.region import PROVINCES, city
from sensord.drivers.sheets import Sheet, maybe, minutes
from sensord.drivers.vehiclereport import Counts, Line, Passed, Stretch, VehicleReport

_COUNTS = Counts.__struct_fields__
_SPAN = ("start", "end")
_PLACE = ("kind", "place", "name")
_DOUBT = ("inside_doubted", "inside_begun")
_BY_HAND = ("counted_by_hand", "corrected")
_BLIND = ("gates", "gates_unseen", "minutes_unknown")
_Row = tuple[str, ...]


class VehicleSheets:
    """The tables of one report. Numbers of places above each other hold the same vehicles: add up those of one kind."""

    def __init__(self, report: VehicleReport, sheet: Sheet) -> None:
        self._report, self._sheet = report, sheet
        self.makers: dict[str, Callable[[], Table]] = {
            "vehicles": self._vehicles,
            "provinces": self._provinces,
            "vehicles-by-hour": lambda: self._stretches(report.hourly),
            "vehicles-by-day": lambda: self._stretches(report.daily),
            "spaces": self._spaces,
        }

    def _vehicles(self) -> Table:
        """A row for each place: what passed, who is inside, and what passed weeks before."""
        before = tuple(f"before_{name}" for name in (*_SPAN, *_COUNTS, "minutes_unknown"))
        heads = (*_SPAN, *_PLACE, *_COUNTS, "inside", "unsure", *_DOUBT, *_BY_HAND, "parking", *_BLIND, *before)
        return self._sheet.table(heads, map(self._line, self._report.lines))

    def _line(self, line: Line) -> _Row:
        found = self._report
        corrected = ("", "") if line.kind == PlaceKind.GATE else (str(line.by_hand), str(line.corrected))
        room = (maybe(line.inside), *self._doubt(line), *corrected, str(line.parking or ""))
        now = (*self._times(found.start, found.end), *self._place(line), *_counts(line.counted), *room, *_blind(line))
        then = self._times(found.before_start, found.before_end)
        return (*now, *then, *_counts(line.before), minutes(line.before_unknown))

    def _doubt(self, line: Line) -> _Row:
        """By how much ``inside`` may be wrong, whether by more (1, or 0), and since when all gates have been seen."""
        if line.inside is None:
            return ("", "", "")
        begun = self._sheet.time(line.begun) if line.begun else ""
        return str(line.unsure), str(int(not line.reliable)), begun

    def _stretches(self, stretches: Iterable[Stretch]) -> Table:
        """A row for each hour, or day, and place."""
        rows = (
            (*self._times(one.start, one.end), *self._place(line), *_counts(line.counted), *_blind(line))
            for one in stretches
            for line in one.lines
        )
        return self._sheet.table((*_SPAN, *_PLACE, *_COUNTS, *_BLIND), rows)

    def _provinces(self) -> Table:
        """A row for each place and prefix of vehicles from elsewhere that came to it."""
        rows = (row for line in self._report.lines for row in self._registered(line))
        return self._sheet.table((*_SPAN, *_PLACE, "province", "prefix", "city", "inward"), rows)

    def _registered(self, line: Line) -> Iterable[_Row]:
        """The cities' rows, and of each province one for the plates that name none."""
        times = self._times(self._report.start, self._report.end)
        counts = dict(line.cities)
        for province, count in line.provinces.items():
            known = sum(number for prefix, number in line.cities.items() if prefix[0] == province)
            counts |= {province: count - known} if count > known else {}
        for prefix, count in sorted(counts.items()):
            name = PROVINCES[prefix[0]][0 if self._sheet.language == "zh" else 1]
            yield (*times, *self._place(line), name, prefix, city(prefix, self._sheet.language), str(count))

    def _spaces(self) -> Table:
        """A row for each compound that is nearly full and each of the nearest with free spaces."""
        name = self._sheet.name
        rows = (
            (one.compound, name(one.compound), str(one.free), str(int(not one.reliable)), *near)
            for one in self._report.balance
            for near in [(place, name(place), str(free)) for place, free in one.nearest] or [("", "", "")]
        )
        return self._sheet.table(
            ("place", "name", "free", "inside_doubted", "nearest", "nearest_name", "nearest_free"), rows
        )

    def _place(self, line: Passed) -> _Row:
        return (self._sheet.word(line.kind), line.place, self._sheet.name(line.place))

    def _times(self, *instants: int) -> _Row:
        return tuple(map(self._sheet.time, instants))


def _counts(counted: Counts | None) -> Iterable[str]:
    return ("" if counted is None else str(getattr(counted, name)) for name in _COUNTS)


def _blind(line: Passed) -> _Row:
    return (str(line.gates), str(line.unseen), minutes(line.unknown))
