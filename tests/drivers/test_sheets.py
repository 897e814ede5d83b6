"""The tables of reports for programs and spreadsheets: each is one CSV, its numbers are the report's and add up."""

from __future__ import annotations

import csv
from collections import Counter
from typing import get_args

import msgspec
import pytest

from sensord.core.cases.listing import Table
from sensord.core.cases.reports import VehicleTable
from sensord.core.instant import HOUR
from sensord.core.place import PlaceKind, Places
from sensord.core.vehicles.blind import Blind
from sensord.drivers.sheets import Sheet
from sensord.drivers.tabular import csv_of
from sensord.drivers.vehiclefull import balance
from sensord.drivers.vehiclepages import VehiclePages
from sensord.drivers.vehiclereport import VehicleReport
from sensord.drivers.vehiclesheets import VehicleSheets
from tests.core.traffic import MONDAY, definition
from tests.drivers.test_vehiclereport import SPAN, ZONE, report

PLACES = Places(definition().places, ())


def rows(name: str, made: VehicleReport | None = None, language: str = "en") -> list[dict[str, str]]:
    """One table's rows as a program reads them."""
    sheets = VehicleSheets(made or report(), Sheet(PLACES, ZONE, language))
    found = csv.DictReader(csv_of(sheets.makers[name](), language).splitlines(), strict=True)
    return [dict(row) for row in found]


def test_every_table_has_a_maker() -> None:
    """By the names that the command and the API take."""
    made = VehicleSheets(report(), Sheet(PLACES, ZONE, "en"))
    assert tuple(made.makers) == get_args(VehicleTable)


@pytest.mark.parametrize("name", get_args(VehicleTable))
def test_a_csv_is_one_table(name: str) -> None:
    """Every line has as many cells as the first, no head and no row is there twice, in both languages."""
    tables = []
    for language in ("en", "zh"):
        made = VehicleSheets(report(), Sheet(PLACES, ZONE, language)).makers[name]()
        lines = list(csv.reader(csv_of(made, language).splitlines()))
        assert {len(line) for line in lines} == {len(made.columns)}
        assert len(set(made.columns)) == len(made.columns)
        assert len(lines) == len({tuple(line) for line in lines}) > 1
        tables.append(lines)
    assert [len(lines) for lines in tables[:1]] == [len(lines) for lines in tables[1:]]
    assert all(head.isascii() and " " not in head for head in tables[0][0])
    assert tables[1][0][0].startswith("\ufeff"), "spreadsheets take Chinese for UTF-8"


def test_a_row_for_each_place() -> None:
    """What passed now and a week before, who is inside, what nobody saw; empty where nobody could."""
    found = {row["place"]: row for row in rows("vehicles", report(Blind("cam-C2-N", MONDAY, 0)))}
    assert len(found) == len(report().lines)
    street = found["street"]
    assert [street[name] for name in ("inward", "outward", "key_area", "before_inward")] == ["13", "4", "1", "7"]
    assert (street["start"], street["before_end"]) == ("2025-12-01T00:00:00+08:00", "2025-11-25T00:00:00+08:00")
    assert (found["C1"]["inside"], found["C1"]["unsure"], found["C1"]["parking"]) == ("4", "1", "4")
    unseen = found["C2-N"]
    assert [unseen[name] for name in ("inward", "new_energy", "inside", "unsure", "before_inward")] == [""] * 5
    assert (unseen["minutes_unknown"], unseen["gates_unseen"], unseen["gates"]) == ("1440.0", "1", "1")


@pytest.mark.parametrize(("name", "kind"), [("vehicles-by-hour", "gate"), ("vehicles-by-hour", "compound")])
def test_hours_add_up(name: str, kind: str) -> None:
    """Over the places of any kind to what the street's row of the main table says."""
    (whole,) = (row for row in rows("vehicles") if row["kind"] == "street")
    for way in ("inward", "outward", "local", "out_of_town", "key_area", "unread", "new_energy"):
        assert sum(int(row[way]) for row in rows(name) if row["kind"] == kind) == int(whole[way])


def test_days_are_the_seven_before_and_this_one() -> None:
    """Each at the same hours."""
    street = [row for row in rows("vehicles-by-day") if row["kind"] == "street"]
    assert [row["inward"] for row in street] == ["7", "900", "0", "0", "0", "0", "0", "13"]
    assert street[-1]["start"] == rows("vehicles")[0]["start"]


def test_provinces_add_up_to_who_came_from_elsewhere() -> None:
    """At every place; a plate that names no city has a row of its own, so rows can be added up."""
    made = report()
    made.street.cities.pop("苏Y")
    totals = Counter[str]()
    for row in rows("provinces", made):
        totals[row["place"]] += int(row["inward"])
    main = {row["place"]: int(row["out_of_town"]) + int(row["key_area"]) for row in rows("vehicles", made)}
    assert totals == {place: count for place, count in main.items() if count}
    street = [
        (row["province"], row["prefix"], row["city"], row["inward"])
        for row in rows("provinces", made)
        if row["place"] == "street"
    ]
    assert street == [
        ("Anhui", "皖K", "Fuyang", "1"),
        ("Jiangsu", "苏", "", "1"),
        ("Jiangsu", "苏A", "Nanjing", "1"),
        ("Jiangsu", "苏E", "Suzhou", "2"),
    ]


def test_a_number_below_zero_stays_one_and_a_text_never_becomes_a_formula() -> None:
    """What our tables write as a number, and nothing else that begins with a sign."""
    numbers = ("-11", "-0.5", "7", "-", "")
    others = ("-1+cmd", "-inf", "-1_000", "-１", "-1e5", "-.5", "+1", "=1", "@sum")
    table = Table("", ("cell",), [(cell,) for cell in (*numbers, *others)])
    (_, *found) = csv.reader(csv_of(table, "en").splitlines(keepends=True))
    assert ["".join(row) for row in found] == [*numbers, *(f"'{cell}" for cell in others)]


@pytest.mark.parametrize(
    "cell", ["\t=1+1", "\r=1+1", "\n=1+1", " =1+1", "＝1+1", "　＋1+1", "－1+1", "＠sum", "\x00=1", "-1\n"]
)
def test_a_hidden_formula_is_none_and_stays_in_its_row(cell: str) -> None:
    """Behind tabs, line ends and spaces, and in full width: spreadsheets look through all of that."""
    (_, *found) = csv.reader(csv_of(Table("", ("cell", "next"), [(cell, "1")]), "en").splitlines(keepends=True))
    assert len(found) == 1
    assert found[0][0].startswith("'")
    assert found[0][1] == "1"


def test_a_compound_may_be_fuller_than_full() -> None:
    """Programs get a number below zero; a reader, by how many there are too many."""
    made = report()
    compounds = {one.place: one for one in made.of(PlaceKind.COMPOUND)}
    compounds["C1"].inside = 15
    made = msgspec.structs.replace(made, balance=list(balance(PLACES, compounds)))
    for language, head, said in (
        ("zh", "剩余车位", "车位紧张（剩余）：小区C1（超11）"),
        ("en", "free", "Nearly full (spaces left): Compound C1 (11 over)"),
    ):
        assert {row[head] for row in rows("spaces", made, language)} == {"-11"}
        assert VehiclePages(made, PLACES, language).lines()[-1] == said


def test_spaces_are_named_a_row_each() -> None:
    """The full compound beside each of the nearest with room; it stays when there is none."""
    near = [(row["place"], row["free"], row["nearest"], row["nearest_free"]) for row in rows("spaces")]
    assert near == [("C1", "0", "C2", "3"), ("C1", "0", "C3", "2")]
    assert {row["inside_doubted"] for row in rows("spaces")} == {"0"}
    doubted = report(Blind("cam-C1-N", SPAN.end - 2 * HOUR, SPAN.end - HOUR))
    assert {(row["place"], row["inside_doubted"]) for row in rows("spaces", doubted)} == {("C1", "1")}
    alone = report(*(Blind(camera, SPAN.end - HOUR, 0) for camera in ("cam-C2-N", "cam-C3-N")))
    assert [(row["place"], row["nearest"]) for row in rows("spaces", alone)] == [("C1", "")]
