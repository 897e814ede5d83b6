"""The report on vehicles for readers: its tables, in Chinese and English."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sensord.core.cases.listing import Table
from sensord.core.instant import to_datetime
from sensord.core.place import Place, PlaceKind
from sensord.core.region import CITIES, PROVINCES
from sensord.drivers.tabular import Document
from sensord.drivers.vehiclereport import Line, Stretch, VehicleReport

Names = Mapping[str, Place]

_WORDS: dict[str, dict[str, str]] = {
    "zh": {
        "title": "车辆 24 小时报告",
        "total": "全街道",
        "grid": "居民区",
        "compound": "小区",
        "gate": "出入口",
        "street": "街道",
        "place": "地点",
        "inward": "驶入",
        "outward": "驶出",
        "inside": "在内",
        "parking": "车位",
        "local": "本地",
        "out_of_town": "外地",
        "key_area": "重点地区",
        "new_energy": "新能源",
        "special": "特种",
        "none": "无牌",
        "unread": "未识别",
        "before": "上周同日",
        "hour": "时段",
        "day": "日期",
        "hourly": "分时",
        "daily": "近八日",
        "provinces": "外地车辆登记省份",
        "cities": "其中城市",
        "balance": "车位紧张的小区与最近的空位",
        "free": "剩余",
        "nearest": "最近空位",
        "count": "辆",
        "note": "分类为驶入车辆；号牌前缀只说明登记地。“±”为在内数的可能误差。",
    },
    "en": {
        "title": "Vehicles in 24 hours",
        "total": "whole street",
        "grid": "residential grid",
        "compound": "compound",
        "gate": "gate",
        "street": "street",
        "place": "place",
        "inward": "in",
        "outward": "out",
        "inside": "inside",
        "parking": "spaces",
        "local": "local",
        "out_of_town": "out of town",
        "key_area": "key area",
        "new_energy": "new energy",
        "special": "special",
        "none": "no plate",
        "unread": "unread",
        "before": "a week before",
        "hour": "hour",
        "day": "day",
        "hourly": "By hour",
        "daily": "The last eight days",
        "provinces": "Out-of-town vehicles by province of registration",
        "cities": "of these, by city",
        "balance": "Compounds that are nearly full, and the nearest free spaces",
        "free": "free",
        "nearest": "nearest free",
        "count": "vehicles",
        "note": "Kinds are those of arrivals; a prefix tells the place of registration only. "
        "± is by how many the number inside may be wrong.",
    },
}
_KINDS = ("local", "out_of_town", "key_area", "special", "none", "unread")


def document(report: VehicleReport, names: Names, language: str) -> Document:
    """Write every table of the report that is not empty."""
    words = _WORDS[language]
    head = [words[key] for key in ("place", "inward", "outward", "inside", "parking", *_KINDS, "new_energy", "before")]
    made: list[tuple[str, list[str], list[tuple[str, ...]]]] = []
    for kind in (PlaceKind.STREET, PlaceKind.GRID, PlaceKind.COMPOUND, PlaceKind.GATE):
        rows = [_row(line, names, language) for line in report.lines if line.kind == kind]
        made.append((words[kind.value], head, rows))
    spans = [words[key] for key in ("inward", "outward", "out_of_town")]
    columns = [words[key] for key in ("place", "count", "cities")]
    made.append((words["provinces"], columns, provinces(report.street, language)))
    made.append((words["hourly"], [words["hour"], *spans], _spans(report, report.hourly, "%H:%M")))
    made.append((words["daily"], [words["day"], *spans], _spans(report, report.daily, "%Y-%m-%d")))
    balance: list[tuple[str, ...]] = [
        (_name(one.compound, names, language), str(one.free), _nearest(one.nearest, names, language))
        for one in report.balance
    ]
    made.append((words["balance"], [words["compound"], words["free"], words["nearest"]], balance))
    tables = [Table(title, tuple(columns), rows) for title, columns, rows in made if rows]
    return Document(f"{words['title']} {report.day}", language, tables, notes=[words["note"]])


def _row(line: Line, names: Names, language: str) -> tuple[str, ...]:
    inside = "" if line.kind == PlaceKind.GATE else f"{line.inside} ±{line.unsure}"
    parking = str(line.parking) if line.parking else ""
    kinds = [str(getattr(line, kind)) for kind in _KINDS]
    before = f"{line.before_in} / {line.before_out}"
    numbers = [str(line.inward), str(line.outward), inside, parking, *kinds, str(line.new_energy), before]
    return (_name(line.place, names, language), *numbers)


def _name(place: str, names: Names, language: str) -> str:
    return names[place].label(language) if place in names else place


def provinces(line: Line, language: str) -> list[tuple[str, ...]]:
    """Vehicles from elsewhere by province, most first: its name, how many, and its cities with theirs."""
    rows = list[tuple[str, ...]]()
    for province, count in _most_first(line.provinces):
        here = {prefix: number for prefix, number in line.cities.items() if prefix[0] == province}
        cities = [f"{prefix} {CITIES.get(prefix, '')}".strip() + f" {number}" for prefix, number in _most_first(here)]
        rows.append((PROVINCES[province][0 if language == "zh" else 1], str(count), ", ".join(cities)))
    return rows


def _most_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _spans(report: VehicleReport, spans: Iterable[Stretch], form: str) -> list[tuple[str, ...]]:
    return [
        (to_datetime(one.start, report.zone).strftime(form), str(one.inward), str(one.outward), str(one.out_of_town))
        for one in spans
    ]


def _nearest(nearest: Iterable[tuple[str, int]], names: Names, language: str) -> str:
    return ", ".join(f"{_name(place, names, language)} {free}" for place, free in nearest) or "-"
