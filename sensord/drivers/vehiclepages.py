"""The report on vehicles for readers: plain text, Markdown, HTML, CSV, and a summary that fits into a chat message."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Iterable, Mapping

from sensord.core.instant import to_datetime
from sensord.core.place import Place, PlaceKind
from sensord.core.vehicles.region import PROVINCES
from sensord.drivers.vehiclereport import Line, Stretch, VehicleReport

Names = Mapping[str, Place]
Table = tuple[str, list[str], list[list[str]]]
"""(title, head, rows)."""

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
        "balance": "Compounds that are nearly full, and the nearest free spaces",
        "free": "free",
        "nearest": "nearest free",
        "count": "vehicles",
        "note": "Kinds are those of arrivals; a prefix tells the place of registration only. "
        "± is by how many the number inside may be wrong.",
    },
}
_KINDS = ("local", "out_of_town", "key_area", "special", "none", "unread")
_SUMMARY_PROVINCES = 5


def tables(report: VehicleReport, names: Names, language: str) -> list[Table]:
    """Every table of the report, as texts."""
    words = _WORDS[language]
    head = [words[key] for key in ("place", "inward", "outward", "inside", "parking", *_KINDS, "new_energy", "before")]
    made: list[Table] = []
    for kind in (PlaceKind.STREET, PlaceKind.GRID, PlaceKind.COMPOUND, PlaceKind.GATE):
        rows = [_row(line, names, language) for line in report.lines if line.kind == kind]
        made.append((words[kind.value], head, rows))
    spans = [words[key] for key in ("inward", "outward", "out_of_town")]
    made.append((words["provinces"], [words["place"], words["count"]], _provinces(report.street, language)))
    made.append((words["hourly"], [words["hour"], *spans], _spans(report, report.hourly, "%H:%M")))
    made.append((words["daily"], [words["day"], *spans], _spans(report, report.daily, "%Y-%m-%d")))
    balance = [
        [_name(one.compound, names, language), str(one.free), _nearest(one.nearest, names, language)]
        for one in report.balance
    ]
    made.append((words["balance"], [words["compound"], words["free"], words["nearest"]], balance))
    return made


def _row(line: Line, names: Names, language: str) -> list[str]:
    inside = "" if line.kind == PlaceKind.GATE else f"{line.inside} ±{line.unsure}"
    parking = str(line.parking) if line.parking else ""
    kinds = [str(getattr(line, kind)) for kind in _KINDS]
    before = f"{line.before_in} / {line.before_out}"
    numbers = [str(line.inward), str(line.outward), inside, parking, *kinds, str(line.new_energy), before]
    return [_name(line.place, names, language), *numbers]


def _name(place: str, names: Names, language: str) -> str:
    return names[place].label(language) if place in names else place


def _provinces(line: Line, language: str) -> list[list[str]]:
    order = sorted(line.provinces.items(), key=lambda item: (-item[1], item[0]))
    return [[PROVINCES[province][0 if language == "zh" else 1], str(count)] for province, count in order]


def _spans(report: VehicleReport, spans: Iterable[Stretch], form: str) -> list[list[str]]:
    return [
        [to_datetime(one.start, report.zone).strftime(form), str(one.inward), str(one.outward), str(one.out_of_town)]
        for one in spans
    ]


def _nearest(nearest: Iterable[tuple[str, int]], names: Names, language: str) -> str:
    return ", ".join(f"{_name(place, names, language)} {free}" for place, free in nearest) or "-"


def text(report: VehicleReport, names: Names, language: str) -> str:
    """Write plain text, columns set apart by two spaces."""
    parts = [f"{_WORDS[language]['title']} {report.day}"]
    for title, head, rows in tables(report, names, language):
        if rows:
            widths = [max(_width(row[column]) for row in [head, *rows]) for column in range(len(head))]
            parts.append("\n".join([title, *(_padded(row, widths) for row in [head, *rows])]))
    return "\n\n".join([*parts, _WORDS[language]["note"]]) + "\n"


def _width(cell: str) -> int:
    return sum(2 if ord(character) > 0x2E80 else 1 for character in cell)


def _padded(row: list[str], widths: list[int]) -> str:
    first, *others = (" " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
    return "  ".join([row[0] + first, *(pad + cell for pad, cell in zip(others, row[1:], strict=True))]).rstrip()


def markdown(report: VehicleReport, names: Names, language: str) -> str:
    """Write Markdown."""
    parts = [f"# {_WORDS[language]['title']} {report.day}"]
    for title, head, rows in tables(report, names, language):
        if rows:
            lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [head, *rows]]
            rule = "|---|" + "---:|" * (len(head) - 1)
            parts.append("\n".join([f"## {title}", "", lines[0], rule, *lines[1:]]))
    return "\n\n".join([*parts, _WORDS[language]["note"]]) + "\n"


def page(report: VehicleReport, names: Names, language: str) -> str:
    """Write one HTML page that needs nothing else."""
    title = html.escape(f"{_WORDS[language]['title']} {report.day}")
    parts = [f"<h1>{title}</h1>"]
    for heading, head, rows in tables(report, names, language):
        if rows:
            top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
            body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
            parts.append(f"<h2>{html.escape(heading)}</h2>\n<table>\n<tr>{top}</tr>\n{body}</table>")
    style = (
        "body{font:15px/1.5 system-ui,sans-serif;margin:2em}table{border-collapse:collapse}"
        "td,th{border:1px solid #ccc;padding:.2em .6em;text-align:right}td:first-child,th:first-child{text-align:left}"
    )
    note = html.escape(_WORDS[language]["note"])
    code = {"zh": "zh-CN", "en": "en"}[language]
    return (
        f'<!doctype html>\n<html lang="{code}">\n<head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{style}</style></head>\n<body>\n" + "\n".join(parts) + f"\n<p>{note}</p>\n</body>\n</html>\n"
    )


def table_file(report: VehicleReport, names: Names, language: str) -> str:
    """Write CSV: a line a place, with ids and names; provinces as ``皖:3 苏:1``."""
    numbers = ("inward", "outward", *_KINDS, "new_energy", "inside", "unsure", "parking", "before_in", "before_out")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["day", "kind", "place", "name", *numbers, "provinces"])
    for line in report.lines:
        provinces = " ".join(f"{province}:{count}" for province, count in sorted(line.provinces.items()))
        name = _name(line.place, names, language)
        values = [getattr(line, number) for number in numbers]
        writer.writerow([report.day, line.kind, line.place, name, *values, provinces])
    return out.getvalue()


def summary(report: VehicleReport, names: Names, language: str) -> str:
    """Write the day in a few lines, for a message."""
    words, street = _WORDS[language], report.street
    order = sorted(street.provinces.items(), key=lambda item: (-item[1], item[0]))[:_SUMMARY_PROVINCES]
    provinces = ", ".join(f"{PROVINCES[one][0 if language == 'zh' else 1]} {count}" for one, count in order)
    kinds = ", ".join(f"{words[kind]} {getattr(street, kind)}" for kind in (*_KINDS, "new_energy"))
    first = (
        f"{words['inward']} {street.inward}, {words['outward']} {street.outward}, "
        f"{words['inside']} {street.inside} ±{street.unsure} "
        f"({words['before']} {street.before_in} / {street.before_out})"
    )
    lines = [
        first,
        kinds,
        *([f"{words['provinces']}: {provinces}"] if provinces else []),
        *(
            f"{_name(one.compound, names, language)}: {words['free']} {one.free}, "
            f"{words['nearest']} {_nearest(one.nearest, names, language)}"
            for one in report.balance[:3]
        ),
    ]
    return "\n".join(lines)


def title(report: VehicleReport, language: str) -> str:
    """The report's title."""
    return f"{_WORDS[language]['title']} {report.day}"


FORMS: dict[str, Callable[[VehicleReport, Names, str], str]] = {
    "text": text,
    "markdown": markdown,
    "html": page,
    "csv": table_file,
}
"""The forms of the report, by the word that the command line takes."""
