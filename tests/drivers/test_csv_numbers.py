"""Every number in the CSV tables of the report on vehicles, in both languages, held against the plain count."""

from __future__ import annotations

import csv

import pytest

from sensord.core.instant import MINUTE, format_instant
from sensord.core.place import PlaceKind
from sensord.core.region import PROVINCES, city
from sensord.drivers.sheets import Sheet
from sensord.drivers.tabular import csv_of
from sensord.drivers.vehiclereport import KINDS
from sensord.drivers.vehiclesheets import VehicleSheets
from tests.drivers.recount import SPACES, Ran
from tests.drivers.test_report_numbers import (
    BEFORE,
    LANGUAGES,
    LATELY,
    NUMBERS,
    PLACES,
    TODAY,
    days,
    elsewhere,
    hours,
    of_kind,
    plain,
    rooms,
)

KINDS_IN_CHINESE = dict(zip(KINDS, ("街道", "街区", "居民区", "小区", "出入口"), strict=True))
_TWICE = "inward 驶入 outward 驶出 local 本地 out_of_town 外地 key_area 重点地区 special 特种 none 无牌 unread 未识别"
_TWICE += " new_energy 新能源 minutes_unknown 未知（分钟） start 开始 end 结束"
_ONCE = "kind 类别 place 地点编号 name 地点 gates 出入口数 gates_unseen 失联出入口数 inside 在内 unsure 在内误差"
_ONCE += " inside_doubted 在内存疑 inside_begun 在内起算 counted_by_hand 清点次数 corrected 清点更正"
_ONCE += " parking 车位 free 剩余车位 nearest 最近空位编号 nearest_name 最近空位 nearest_free 最近空位剩余"
_ONCE += " province 省份 prefix 号牌前缀 city 城市"
HEADS = dict(zip(f"{_TWICE} {_ONCE}".split()[::2], f"{_TWICE} {_ONCE}".split()[1::2], strict=True))
HEADS |= {f"before_{name}": f"此前同期{HEADS[name]}" for name in _TWICE.split()[::2]}
"""What stands above the columns of Chinese CSV."""


def rows(ran: Ran, name: str, language: str) -> list[dict[str, str]]:
    """One CSV table, its columns by their English names."""
    made = VehicleSheets(ran.report, Sheet(PLACES, "Asia/Shanghai", language)).makers[name]()
    names = {head if language == "zh" else name: name for name, head in HEADS.items()}
    text = csv_of(made, language).removeprefix("\ufeff")
    found = [
        {names[head]: cell for head, cell in row.items()} for row in csv.DictReader(text.splitlines(), strict=True)
    ]
    for row in found:
        assert row["name"] == PLACES.name(row["place"], language)
    return found


def kind_of(place: str, language: str) -> str:
    """The kind of a place as CSV has it."""
    kind = PLACES.by_id[place].kind
    return KINDS_IN_CHINESE[kind] if language == "zh" else str(kind)


def times(stretch: tuple[int, int]) -> list[str]:
    """When it begins and ends."""
    return [format_instant(at, "Asia/Shanghai") for at in stretch]


def check(ran: Ran, row: dict[str, str], stretch: tuple[int, int], language: str) -> None:
    """Hold a row's counts against the lines."""
    now = plain(ran.found, row["place"], *stretch)
    assert [row[name] for name in NUMBERS] == [now.number(name, none="") for name in NUMBERS]
    blind_for = (str(len(now.unknown)), str(sum(map(bool, now.unknown))), f"{sum(now.unknown) / MINUTE:.1f}")
    assert (row["gates"], row["gates_unseen"], row["minutes_unknown"]) == blind_for
    assert [row["start"], row["end"]] == times(stretch)
    assert row["kind"] == kind_of(row["place"], language)


@LANGUAGES
def test_the_main_table(ran: Ran, language: str) -> None:
    """Every place once, now and a week before; who is inside, but for gates, and the spaces there."""
    found = rows(ran, "vehicles", language)
    assert [row["place"] for row in found] == [place for kind in KINDS for place in of_kind(kind)]
    counted = {one.place: one for one in ran.report.of(PlaceKind.COMPOUND)}
    for row in found:
        check(ran, row, TODAY, language)
        then = plain(ran.found, row["place"], *BEFORE)
        assert [row[f"before_{name}"] for name in NUMBERS] == [then.number(name) for name in NUMBERS]
        assert row["before_minutes_unknown"] == f"{sum(then.unknown) / MINUTE:.1f}"
        assert [row["before_start"], row["before_end"]] == times(BEFORE)
        kind = PLACES.by_id[row["place"]].kind
        here = [counted[one] for one in counted if PLACES.above(one, kind) == row["place"]]
        inside = [str(sum(one.inside or 0 for one in here)), str(sum(one.unsure for one in here))]
        said = [*inside, str(sum(SPACES[one.place] for one in here))] if here else [""] * 3
        assert [row[name] for name in ("inside", "unsure", "parking")] == said
        assert row["inside_doubted"] == (str(int(any(plain(ran.found, row["place"], *LATELY).unknown))) if here else "")
        assert not row["inside_begun"]
        assert [row["counted_by_hand"], row["corrected"]] == (["0", "0"] if here else ["", ""])


@LANGUAGES
@pytest.mark.parametrize(("name", "stretches"), [("vehicles-by-hour", hours()), ("vehicles-by-day", days())])
def test_the_tables_of_hours_and_days(ran: Ran, name: str, stretches: list[tuple[int, int]], language: str) -> None:
    """Every place in every hour, and in every day."""
    found = rows(ran, name, language)
    every = [place for kind in KINDS for place in of_kind(kind)]
    assert [row["place"] for row in found] == every * len(stretches)
    for number, row in enumerate(found):
        check(ran, row, stretches[number // len(every)], language)


@LANGUAGES
def test_the_table_of_provinces(ran: Ran, language: str) -> None:
    """Every prefix of every place, in words."""
    found = rows(ran, "provinces", language)
    told = {(row["place"], row["prefix"]): int(row["inward"]) for row in found}
    places = [place for kind in KINDS for place in of_kind(kind)]
    assert told == {(place, prefix): count for place in places for prefix, count in elsewhere(ran.found, place).items()}
    for row in found:
        names = PROVINCES[row["prefix"][0]][0 if language == "zh" else 1], city(row["prefix"], language)
        assert (row["province"], row["city"], row["kind"]) == (*names, kind_of(row["place"], language))
        assert [row["start"], row["end"]] == times(TODAY)


@LANGUAGES
def test_the_table_of_spaces(ran: Ran, language: str) -> None:
    """Each compound that is nearly full beside each that has room."""
    full, free = ([one for one in rooms(ran) if one.full is want] for want in (True, False))
    names = ("place", "free", "nearest", "nearest_name", "nearest_free")
    told = [tuple(row[name] for name in names) for row in rows(ran, "spaces", language)]
    assert told == [
        (one.place, str(one.free), other.place, PLACES.name(other.place, language), str(other.free))
        for one in full
        for other in free
    ]
    assert told
