"""Every number that a reader of the report on vehicles sees, held against the plain count over the journal's lines.

In the two languages, in the document (its Markdown is read back); the CSV tables are held in ``test_csv_numbers``. Who
is inside is no plain count: ``test_vehiclereport`` holds it against the core at that instant; here every form says the
same of it.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import NamedTuple

import pytest

from sensord.core.instant import DAY, HOUR, MINUTE, format_instant
from sensord.core.place import PlaceKind, Places
from sensord.core.region import PROVINCES, city
from sensord.drivers.tabular import render
from sensord.drivers.vehiclepages import VehiclePages
from sensord.drivers.vehiclereport import KINDS, SORTS, Counts
from sensord.drivers.vehiclewords import WORDS
from tests.core.traffic import MONDAY
from tests.drivers.recount import BELIEVED, LAST, SPACES, WHOLE, Ran, Recount, blind, expected

PLACES = Places(WHOLE.places, WHOLE.devices)
BEFORE = MONDAY, MONDAY + DAY
TODAY = LAST, LAST + DAY
LATELY = LAST + DAY - BELIEVED, LAST + DAY
"""A gate that was blind in this time makes who is inside doubtful."""
WAYS = ("inward", "outward")
NUMBERS = (*WAYS, *SORTS, "new_energy")
LANGUAGES = pytest.mark.parametrize("language", ["zh", "en"])


class Plain(NamedTuple):
    """What the lines say of a place in a stretch: None when nobody saw; the minutes that are unknown, gate by gate."""

    counts: Counts | None
    unknown: list[int]

    def number(self, name: str, none: str = "-") -> str:
        """One number as a reader reads it."""
        return none if self.counts is None else str(getattr(self.counts, name))

    @property
    def minutes(self) -> str:
        """The unknown minutes in words."""
        if not sum(self.unknown):
            return "0"
        said = str(max(1, round(sum(self.unknown) / MINUTE)))
        return said if len(self.unknown) == 1 else f"{said} ({sum(map(bool, self.unknown))}/{len(self.unknown)})"

    @property
    def doubt(self) -> str:
        """The mark of a number of which a part is unknown."""
        return "?" if sum(self.unknown) else ""


@cache
def gates_of(place: str) -> tuple[str, ...]:
    """The gates at or below a place."""
    kind = PLACES.by_id[place].kind
    return tuple(one.id for one in PLACES.places if one.kind is PlaceKind.GATE and PLACES.above(one.id, kind) == place)


def plain(found: Recount, place: str, start: int, end: int) -> Plain:
    """Add up what passed at the gates of a place."""
    total, gates, passed = Counts(), gates_of(place), expected(found, start, end)
    for gate in gates:
        total.add(passed[gate])
    unknown = [blind(found.heard[f"cam-{gate}"], start, end) for gate in gates]
    nobody = total == Counts() and sum(unknown) == len(gates) * (end - start)
    return Plain(None if nobody else total, unknown)


def elsewhere(found: Recount, place: str) -> Counter[str]:
    """The prefixes of today's arrivals from elsewhere at a place."""
    return Counter(
        one.counts.plate[:2]
        for one in found.vehicles
        if one.gate in gates_of(place)
        and LAST <= one.reads[0].at < LAST + DAY
        and one.direction == "in"
        and one.counts.sort in ("out_of_town", "key_area")
    )


def provinces(prefixes: Counter[str]) -> list[tuple[str, int]]:
    """How many of each province, most first."""
    counts = Counter[str]()
    for prefix, count in prefixes.items():
        counts[prefix[0]] += count
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def hours() -> list[tuple[int, int]]:
    """The hours of today."""
    return [(at, at + HOUR) for at in range(LAST, LAST + DAY, HOUR)]


def days() -> list[tuple[int, int]]:
    """Today and the seven days before."""
    return [(at, at + DAY) for at in range(MONDAY, LAST + DAY, DAY)]


def of_kind(kind: PlaceKind) -> list[str]:
    """The places of a kind in the definition's order."""
    return [one.id for one in PLACES.places if one.kind is kind]


class Room(NamedTuple):
    """A compound with its spaces and what the report says is inside; ``free`` is below zero when it is overfull."""

    place: str
    parking: int
    inside: int

    @property
    def free(self) -> int:
        """How many spaces are left."""
        return self.parking - self.inside

    @property
    def full(self) -> bool:
        """Whether a tenth of the spaces, or less, is left."""
        return self.free * 10 <= self.parking


def rooms(ran: Ran) -> list[Room]:
    """The compounds whose cameras are all heard as the day ends."""
    inside = {one.place: one.inside or 0 for one in ran.report.of(PlaceKind.COMPOUND)}
    last = LAST + DAY - MINUTE, LAST + DAY
    return [
        Room(place, SPACES[place], inside[place])
        for place in of_kind(PlaceKind.COMPOUND)
        if not any(plain(ran.found, place, *last).unknown)
    ]


# -- what a reader reads -----------------------------------------------------------------------------------------------

Tables = dict[str, list[dict[str, str]]]


def read_back(ran: Ran, language: str) -> tuple[list[str], Tables]:
    """The lines at the head of the document, and its tables by title: a row is its cells by column."""
    lines, tables, title = list[str](), Tables(), ""
    heads: list[str] = []
    for line in render(VehiclePages(ran.report, PLACES, language).document(), "md").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("- "):
            lines.append(line[2:])
        elif line.startswith("## "):
            title, heads = line[3:], []
        elif line.startswith("| ---"):
            tables[title] = []
        elif line.startswith("|") and not heads:
            heads = cells
        elif line.startswith("|"):
            tables[title].append(dict(zip(heads, cells, strict=True)))
    return lines, tables


@LANGUAGES
@pytest.mark.parametrize("kind", KINDS)
def test_what_passed_at_each_place(ran: Ran, kind: PlaceKind, language: str) -> None:
    """In, out, every kind, the unknown minutes, a week before, and the difference."""
    say = WORDS[language]
    rows = read_back(ran, language)[1][say[kind.value]]
    assert len(rows) == len(of_kind(kind))
    for place, row in zip(of_kind(kind), rows, strict=True):
        now, then = plain(ran.found, place, *TODAY), plain(ran.found, place, *BEFORE)
        assert row[say["place"]] == PLACES.name(place, language)
        assert [row[say[name]] for name in NUMBERS] == [now.number(name) for name in NUMBERS]
        assert row[say["unknown"]] == now.minutes
        before = row[say["before"].format(then=say["week_before"])]
        assert before == " / ".join(then.number(way) + then.doubt for way in WAYS)
        changes = [
            f"{getattr(now.counts, way) - getattr(then.counts, way):+d}{now.doubt or then.doubt}"
            for way in WAYS
            if now.counts is not None
        ]
        assert row[say["change"]] == (" / ".join(changes) or "-")


@LANGUAGES
@pytest.mark.parametrize("kind", KINDS[:-1])
def test_who_is_inside(ran: Ran, kind: PlaceKind, language: str) -> None:
    """What the core counted in the compounds of a place, by how much that may be wrong, and the spaces there."""
    say, counted = WORDS[language], {one.place: one for one in ran.report.of(PlaceKind.COMPOUND)}
    for place, row in zip(of_kind(kind), read_back(ran, language)[1][say[kind.value]], strict=True):
        here = [counted[one] for one in of_kind(PlaceKind.COMPOUND) if PLACES.above(one, kind) == place]
        inside, unsure = sum(one.inside or 0 for one in here), sum(one.unsure for one in here)
        assert row[say["inside"]] == f"{inside} ±{unsure}{plain(ran.found, place, *LATELY).doubt}"
        assert row[say["parking"]] == str(sum(SPACES[one.place] for one in here))


@LANGUAGES
def test_where_it_is_full(ran: Ran, language: str) -> None:
    """Each compound that is nearly full, what is left there or is too much, and where there is room."""
    say, (lines, tables) = WORDS[language], read_back(ran, language)
    full, free = ([one for one in rooms(ran) if one.full is want] for want in (True, False))
    assert [(one.place, one.free < 0) for one in full] == [("C3", True)]
    form = "{}（{}）" if language == "zh" else "{} ({})"
    near = say["and"].join(form.format(PLACES.name(one.place, language), one.free) for one in free)
    assert near
    assert tables[say["balance"]] == [
        {say["full"]: PLACES.name(one.place, language), say["free"]: str(one.free), say["nearest"]: near}
        for one in full
    ]
    left = [f"超{-one.free}" if language == "zh" else f"{-one.free} over" for one in full]
    named = [form.format(PLACES.name(one.place, language), said) for one, said in zip(full, left, strict=True)]
    start = "车位紧张（剩余）：" if language == "zh" else "Nearly full (spaces left): "
    assert lines[4:] == [start + say["and"].join(named)]


@LANGUAGES
@pytest.mark.parametrize("kind", KINDS)
def test_where_they_are_registered(ran: Ran, kind: PlaceKind, language: str) -> None:
    """Every province of every place; of the street the cities, too."""
    say, tables = WORDS[language], read_back(ran, language)[1]
    names = {prefix: names[0 if language == "zh" else 1] for prefix, names in PROVINCES.items()}
    if kind is PlaceKind.STREET:
        found, (street,) = tables[say["provinces"]], of_kind(kind)
        told = [(row[say["province"]], int(row[say["count"]])) for row in found]
        assert told == [(names[prefix], count) for prefix, count in provinces(elsewhere(ran.found, street))]
        cities = Counter(city for row in found for city in row[say["cities"]].split(say["and"]))
        assert cities == Counter(
            f"{prefix} {city(prefix, language)}".strip() + f" {count}"
            for prefix, count in elsewhere(ran.found, street).items()
        )
        return
    rows = tables[say["provinces_of"].format(places=say[f"{kind.value}s"])]
    for place, row in zip(of_kind(kind), rows, strict=True):
        now = plain(ran.found, place, *TODAY)
        listed = [f"{names[prefix]} {count}" for prefix, count in provinces(elsewhere(ran.found, place))]
        assert row == {
            say["place"]: PLACES.name(place, language),
            say["out_of_town"]: now.number("out_of_town"),
            say["key_area"]: now.number("key_area"),
            say["by_province"]: "-" if now.counts is None else say["and"].join(listed),
        }


@LANGUAGES
@pytest.mark.parametrize("unit", ["hour", "day"])
def test_hours_and_days(ran: Ran, unit: str, language: str) -> None:
    """Of the street every kind, of each compound in and out."""
    say, tables = WORDS[language], read_back(ran, language)[1]
    stretches, (street,) = {"hour": hours(), "day": days()}[unit], of_kind(PlaceKind.STREET)
    rows = tables[say[{"hour": "hourly", "day": "daily"}[unit]]]
    for stretch, row in zip(stretches, rows, strict=True):
        now = plain(ran.found, street, *stretch)
        told = [row[say[name]] for name in (*NUMBERS, "unknown")]
        assert told == [*(now.number(name) for name in NUMBERS), now.minutes]
        began = format_instant(stretch[0], "Asia/Shanghai")
        assert row[say[unit]].startswith(began[11:16] if unit == "hour" else began[:10])
    for way in WAYS:
        compounds = tables[say[f"compounds_{way}"].format(unit=say[unit])]
        for place, row in zip(of_kind(PlaceKind.COMPOUND), compounds, strict=True):
            of = [plain(ran.found, place, *stretch) for stretch in stretches]
            expect = [one.number(way) + (one.doubt if one.counts is not None else "") for one in of]
            assert list(row.values()) == [PLACES.name(place, language), *expect]


def test_the_lines_at_its_head(ran: Ran) -> None:
    """The sentences that also go into the messages, as the plain count would say them."""
    (street,) = of_kind(PlaceKind.STREET)
    now, then = (plain(ran.found, street, *span).counts for span in (TODAY, BEFORE))
    assert now is not None
    assert then is not None
    come, gone = now.inward - then.inward, now.outward - then.outward
    to = {place: elsewhere(ran.found, place).total() for place in of_kind(PlaceKind.COMPOUND)}
    most = sorted(((place, count) for place, count in to.items() if count), key=lambda item: (-item[1], item[0]))[:3]
    first = provinces(elsewhere(ran.found, street))[:3]
    (chinese, english) = (read_back(ran, language)[0] for language in ("zh", "en"))
    assert chinese[0].startswith(
        f"车辆：驶入 {now.inward}（上周同期 {then.inward}，{come:+d}?），"
        f"驶出 {now.outward}（上周同期 {then.outward}，{gone:+d}?）"
    )
    assert english[0].startswith(
        f"Vehicles: {now.inward} in (a week before {then.inward}, {come:+d}?), "
        f"{now.outward} out (a week before {then.outward}, {gone:+d}?)"
    )
    assert chinese[1] == (
        f"驶入中：本地 {now.local}，外地 {now.out_of_town}，重点地区 {now.key_area}，特种 {now.special}，"
        f"无牌 {now.none}，未识别 {now.unread}；新能源 {now.new_energy}"
    )
    assert english[1] == (
        f"Of those in: {now.local} local, {now.out_of_town} out of town, {now.key_area} from key areas, "
        f"{now.special} special, {now.none} without a plate, {now.unread} unread; {now.new_energy} new energy"
    )
    assert chinese[2] == (
        "外地和重点地区车辆，登记地最多：" + "、".join(f"{PROVINCES[prefix][0]} {count}" for prefix, count in first)
        + "；去往最多的小区：" + "、".join(f"{PLACES.name(place, 'zh')}（{count}）" for place, count in most)
    )  # fmt: skip
    assert english[2] == (
        "From out of town and key areas: most from "
        + ", ".join(f"{PROVINCES[prefix][1]} {count}" for prefix, count in first)
        + "; most to " + ", ".join(f"{PLACES.name(place, 'en')} ({count})" for place, count in most)
    )  # fmt: skip
    assert "4 个出入口中 2 个曾失联，共 25.3 小时" in chinese[3]
    assert "2 of 4 gates were silent for a while, 25.3 h in all" in english[3]
