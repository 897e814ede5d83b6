"""The report on vehicles for readers: the lines that say the most important, and its tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sensord.core.cases.listing import Table
from sensord.core.instant import DAY, HOUR, MINUTE, format_instant, to_datetime
from sensord.core.place import PlaceKind, Places
from sensord.core.region import PROVINCES, city
from sensord.core.vehicles.tally import ELSEWHERE
from sensord.drivers.tabular import Document
from sensord.drivers.vehiclefull import Balance
from sensord.drivers.vehiclereport import KINDS, SORTS, Counts, Line, Passed, Stretch, VehicleReport
from sensord.drivers.vehiclespan import WEEK
from sensord.drivers.vehiclewords import WORDS

NO_DATA = "-"
_NAMED = 3
"""So many provinces and full compounds are named in a line."""
_WAYS = ("inward", "outward")
_WIDE = 25
"""So many hours or days stand beside each other."""
_MANY = 3 * HOUR
"""From here on a sentence speaks of hours."""
_COUNTS = Counts.__struct_fields__


class VehiclePages:
    """Writes one report in one language; ``places`` are the definition's."""

    def __init__(self, report: VehicleReport, places: Places, language: str) -> None:
        self._report, self._places, self._language = report, places, language
        self._say = WORDS[language]

    def document(self) -> Document:
        """The whole report."""
        return Document(self.title, self._language, self.tables(), self.lines(), self.notes())

    @property
    def title(self) -> str:
        """What it is about, and from when to when."""
        found = self._report
        return f"{self._say['title']} {self._time(found.start)} – {self._time(self._until)}"

    # -- the most important ------------------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """How many passed, what kinds they were, what nobody could see, and where it is full: a line each."""
        found, say = self._report, self._say
        if not found.lines or found.street.counted is None:
            return [say["nothing_kept"].format(since=self._time(found.since)) if found.since else say["nothing"]]
        street = found.street
        words = {name: getattr(street.counted, name) for name in _COUNTS}
        inside = say["inside_line"].format(inside=self._inside(street), at=self._clock(found.inside_at))
        inside += say["inside_begun"].format(day=self._day(street.begun)) if street.begun else ""
        made = [say["flow_line"].format(**words, **self._held_against(street))]
        made[0] += inside if street.inside is not None else say["inside_unknown"]
        made.append(say["kinds_line"].format(**words))
        if street.provinces:
            made.append(say["from_line"].format(named=self._foremost(street.provinces), places=self._visited()))
        if street.unknown:
            text, since = say["gone_line" if found.since else "blind_line"], self._time(found.since)
            blind = {"gates": street.unseen, "of": street.gates, "lasted": self._lasted(street)}
            made.append(text.format(**blind, since=since))
        if found.balance:
            full = self._listed((one.compound, self._left(one)) for one in found.balance[:_NAMED])
            more = say["more"].format(count=len(found.balance)) if len(found.balance) > _NAMED else ""
            made.append(say["full_line"].format(full=full + more))
        return made

    def _held_against(self, line: Line) -> dict[str, str]:
        """In and out of weeks before in words: how many, and the difference; so far as full slots reach."""
        found, said, then = self._report, {}, self._then
        if found.settled == found.start:
            return dict.fromkeys(("before_in", "before_out"), self._say["too_soon"].format(then=then))
        form = self._say["held_against" if found.settled == found.end else "held_so_far"]
        for name, short in (("inward", "before_in"), ("outward", "before_out")):
            before, change = self._before(line, name), self._change(line, name)
            known = form.format(then=then, before=before, change=change, until=self._clock(found.settled))
            said[short] = known if line.before is not None else self._say["no_before"].format(then=then)
        return said

    @property
    def _then(self) -> str:
        """How long before that is what the report is held against: a week, or for a longer one several."""
        weeks = round((self._report.start - self._report.before_start) / (WEEK * DAY))
        return self._say["week_before"] if weeks == 1 else self._say["weeks_before"].format(weeks=weeks)

    def _foremost(self, counts: dict[str, int]) -> str:
        """The few provinces from which most came."""
        most = _most_first(counts)[:_NAMED]
        return self._say["and"].join(f"{_province(prefix, self._language)} {count}" for prefix, count in most)

    def _visited(self) -> str:
        """The few compounds to which most came from elsewhere."""
        counts = {line.place: sum(line.provinces.values()) for line in self._report.of(PlaceKind.COMPOUND)}
        return self._listed((place, count) for place, count in _most_first(counts)[:_NAMED] if count)

    # -- tables ------------------------------------------------------------------------------------------------------

    def tables(self) -> list[Table]:
        """Every table of the report that is not empty."""
        say, found = self._say, self._report
        made = [self._passed(kind) for kind in KINDS]
        columns = (say["province"], say["count"], say["cities"])
        made.append(Table(say["provinces"], columns, provinces(found.street, self._language) if found.lines else []))
        made += [self._elsewhere(kind) for kind in KINDS[1:]]
        made.append(self._stretches(say["hourly"], say["hour"], found.hourly, self._hours))
        made += [self._compounds("hour", way, found.hourly, "%H") for way in _WAYS]
        made.append(self._stretches(say["daily"], say["day"], found.daily, "%Y-%m-%d %a"))
        made += [self._compounds("day", way, found.daily, "%m-%d %a") for way in _WAYS]
        full = [
            (self._name(one.compound), f"{one.free}{_doubt(one)}", self._nearest(one.nearest)) for one in found.balance
        ]
        made.append(Table(say["balance"], (say["full"], say["free"], say["nearest"]), full))
        return [table for table in made if table.rows]

    @property
    def _hours(self) -> str:
        """How hours are written: with their day, where there are several."""
        days = {self._time(one.start)[:10] for one in self._report.hourly}
        return "%m-%d %H:%M" if len(days) > 1 else "%H:%M"

    def _passed(self, kind: PlaceKind) -> Table:
        room = () if kind is PlaceKind.GATE else ("inside", "parking")
        names = ("inward", "outward", "unknown", *room, *SORTS, "new_energy", "before", "change")
        head = (self._say["place"], *(self._say[name].format(then=self._then) for name in names))
        return Table(self._say[kind.value], head, [self._row(line, names) for line in self._report.of(kind)])

    def _row(self, line: Line, names: Iterable[str]) -> tuple[str, ...]:
        cells = {name: _number(line, name) for name in _COUNTS}
        cells |= {"inside": self._inside(line), "parking": str(line.parking or NO_DATA), "unknown": self._unknown(line)}
        for name, said in (("before", self._before), ("change", self._change)):
            both = [said(line, way) for way in _WAYS]
            cells[name] = NO_DATA if both == [NO_DATA] * 2 else " / ".join(both)
        return (self._name(line.place), *(cells[name] for name in names))

    def _elsewhere(self, kind: PlaceKind) -> Table:
        """Where the vehicles from elsewhere are registered that came to each place of a kind."""
        say = self._say
        head = (say["place"], say["out_of_town"], say["key_area"], say["by_province"])
        title = say["provinces_of"].format(places=say[f"{kind.value}s"])
        return Table(title, head, [self._registered(line) for line in self._report.of(kind)])

    def _registered(self, line: Line) -> tuple[str, ...]:
        listed = (f"{_province(prefix, self._language)} {count}" for prefix, count in _most_first(line.provinces))
        counts = (_number(line, name) for name in ELSEWHERE)
        return (self._name(line.place), *counts, NO_DATA if line.counted is None else self._say["and"].join(listed))

    def _stretches(self, title: str, first: str, stretches: Iterable[Stretch], form: str) -> Table:
        """The street hour by hour, or day by day."""
        names = (*SORTS, "new_energy")
        head = (first, *(self._say[name] for name in ("inward", "outward", "unknown", *names)))
        rows = []
        for one in stretches:
            street = one.lines[0]
            moment, ways = self._moment(one.start, form), (_number(street, way) for way in _WAYS)
            rows.append((moment, *ways, self._unknown(street), *(_number(street, name) for name in names)))
        return Table(title, head, rows)

    def _compounds(self, unit: str, way: str, stretches: Sequence[Stretch], form: str) -> Table:
        """A row for each compound, a column for each hour or day; without rows where that would be too wide to read."""
        head = (self._say["place"], *(self._moment(one.start, form) for one in stretches))
        title = self._say[f"compounds_{way}"].format(unit=self._say[unit])
        numbers = [number for number, line in enumerate(self._report.lines) if line.kind == PlaceKind.COMPOUND]
        rows = [
            (self._name(self._report.lines[number].place), *(_seen(one.lines[number], way) for one in stretches))
            for number in numbers
            if len(stretches) <= _WIDE
        ]
        return Table(title, head, rows)

    def _moment(self, instant: int, form: str) -> str:
        moment = to_datetime(instant, self._report.zone)
        return moment.strftime(form.replace("%a", self._say["weekdays"].split(" ")[moment.weekday()]))

    def _inside(self, line: Line) -> str:
        """Who is inside; with a question mark where a gate could not be seen for a while, or not for long."""
        return NO_DATA if line.inside is None else f"{line.inside} ±{line.unsure}{_doubt(line)}"

    def _unknown(self, line: Passed) -> str:
        """The minutes that nobody saw: of how many gates, where there are several."""
        if not line.gates:
            return self._say["no_gates"]
        if not line.unknown:
            return "0"
        return _minutes(line) if line.gates == 1 else f"{_minutes(line)} ({line.unseen}/{line.gates})"

    def _lasted(self, line: Passed) -> str:
        """How long nobody saw, in words: minutes, or hours where they are many."""
        if line.unknown < _MANY:
            return self._say["minutes"].format(count=_minutes(line))
        return self._say["hours"].format(count=f"{line.unknown / HOUR:.1f}")

    @staticmethod
    def _before(line: Line, name: str) -> str:
        if line.before is None:
            return NO_DATA
        return f"{getattr(line.before, name)}{'?' if line.before_unknown else ''}"

    @staticmethod
    def _change(line: Line, name: str) -> str:
        """The difference to weeks before, with a question mark when a part of either is unknown."""
        if line.before is None or line.settled is None:
            return NO_DATA
        change = getattr(line.settled, name) - getattr(line.before, name)
        return f"{change:+d}{'?' if line.unknown or line.before_unknown else ''}"

    def _nearest(self, nearest: Iterable[tuple[str, int]]) -> str:
        return self._listed(nearest) or NO_DATA

    def _left(self, one: Balance) -> str:
        """How many spaces are left; where more vehicles are inside than there are spaces, by how many."""
        left = str(one.free) if one.free >= 0 else self._say["over"].format(count=-one.free)
        return left + _doubt(one)

    def _listed(self, numbers: Iterable[tuple[str, int | str]]) -> str:
        """Places with their numbers; a name may end in one itself."""
        of_place = self._say["of_place"]
        return self._say["and"].join(of_place.format(place=self._name(place), count=count) for place, count in numbers)

    def _name(self, place: str) -> str:
        return self._places.name(place, self._language)

    def notes(self) -> list[str]:
        """How all that is to be read."""
        found, say = self._report, self._say
        made = [say["note_kinds"], say["note_unknown"]]
        if found.settled > found.start:
            start, end = self._time(found.before_start), self._time(found.before_end)
            made.append(say["note_before"].format(then=self._then[:1].upper() + self._then[1:], start=start, end=end))
        if found.inside_at:
            made.append(say["note_inside"].format(at=self._time(found.inside_at)))
        made += self._begun()
        made += self._by_hand()
        if found.strays:
            made.append(say["note_strays"].format(count=found.strays))
        if found.before_strays:
            made.append(say["note_strays_before"].format(count=found.before_strays))
        if not found.complete:
            made.append(say["note_incomplete"].format(end=self._time(self._until), settled=self._time(found.settled)))
        return made

    def _begun(self) -> list[str]:
        """Where vehicles may have stood since before anybody looked: a line for each day on which cameras began."""
        began: dict[str, list[str]] = {}
        for line in self._report.of(PlaceKind.COMPOUND):
            if line.begun:
                began.setdefault(self._day(line.begun), []).append(self._name(line.place))
        named = ((day, self._say["and"].join(places)) for day, places in sorted(began.items()))
        return [self._say["note_begun"].format(day=day, places=places) for day, places in named]

    def _by_hand(self) -> list[str]:
        """Where people counted who was inside, and corrected the number by that."""
        counts = [
            f"{self._name(one.compound)} {self._time(one.at)} {one.inside} ({one.inside - one.before:+d})"
            for one in self._report.by_hand
        ]
        return [self._say["note_by_hand"].format(counts=self._say["and"].join(counts))] if counts else []

    @property
    def _until(self) -> int:
        """Until when it counts."""
        return min(self._report.end, self._report.made_at)

    def _time(self, instant: int) -> str:
        return format_instant(instant, self._report.zone)[:16].replace("T", " ")

    def _day(self, instant: int) -> str:
        return self._time(instant)[:10]

    def _clock(self, instant: int) -> str:
        return self._time(instant)[11:]


def provinces(line: Line, language: str) -> list[tuple[str, ...]]:
    """Vehicles from elsewhere by province, most first: its name, how many, and its cities with theirs."""
    rows = list[tuple[str, ...]]()
    for province, count in _most_first(line.provinces):
        here = {prefix: number for prefix, number in line.cities.items() if prefix[0] == province}
        cities = [f"{prefix} {city(prefix, language)}".strip() + f" {number}" for prefix, number in _most_first(here)]
        rows.append((_province(province, language), str(count), WORDS[language]["and"].join(cities)))
    return rows


def _province(prefix: str, language: str) -> str:
    return PROVINCES[prefix][0 if language == "zh" else 1]


def _most_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _doubt(one: Line | Balance) -> str:
    """A question mark where who is inside is not known within what is said."""
    return "" if one.reliable else "?"


def _seen(line: Passed, way: str) -> str:
    """A number, with a question mark where a part is unknown."""
    return _number(line, way) + ("?" if line.unknown and line.counted is not None else "")


def _number(line: Passed, name: str) -> str:
    return NO_DATA if line.counted is None else str(getattr(line.counted, name))


def _minutes(line: Passed) -> str:
    """Whole minutes, and never none where there was something."""
    return str(max(1, round(line.unknown / MINUTE)))
