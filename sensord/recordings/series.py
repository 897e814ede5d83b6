"""Foreign time series as records: CSV, Parquet or JSON lines, through a mapping, as a little street of its own.

Each device stands in a lane of its own. Files that end in ``.gz`` are read through gzip.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import msgspec

from sensord.config.mapping import Mapping
from sensord.core.definition import Definition
from sensord.core.instant import MILLISECOND, SECOND, from_datetime, parse_duration, parse_instant, zone_info
from sensord.core.place import Device, Place, PlaceKind
from sensord.core.record import Record, RecordKind
from sensord.core.stream import BY_WORD
from sensord.errors import ConfigError, Problem
from sensord.recordings.parquet import arrow

TOPICS = "replay/{compound}/{kind}/{device}"
_UNITS = {"s": SECOND, "ms": MILLISECOND, "us": 1_000, "ns": 1}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Series:
    """A table as a street: its definition (without rules) and its messages in order of time."""

    definition: Definition
    records: list[Record]


def read_series(path: Path, mapping: Mapping) -> Series:
    """Read a table through a mapping; rows are put in order of time. Raises ``ConfigError`` naming file and row."""
    names: dict[str, str] = {}
    rows: list[tuple[int, str, bytes]] = []
    number = 0
    try:
        for number, row in _rows(path, mapping):
            try:
                rows.append(_row(row, mapping, names))
            except (ValueError, TypeError, OverflowError, KeyError) as error:
                raise ConfigError([Problem(str(path), number, 1, f"this row is no reading: {error}")]) from error
    except (UnicodeDecodeError, csv.Error, EOFError, zlib.error, OSError) as error:
        fault = f"the file is damaged, or not the text that its name says: {error}"
        raise ConfigError([Problem(str(path), number + 1, 1, fault)]) from error
    rows.sort(key=lambda row: row[0])
    stream, compound = BY_WORD[mapping.stream], "series"
    records = [
        Record(RecordKind.MESSAGE, at, f"replay/{compound}/{stream.word}/{device}", payload)
        for at, device, payload in rows
    ]
    places, devices = _street(path, mapping, names)
    definition = Definition(
        site=path.name.partition(".")[0],
        places=places,
        devices=devices,
        rules=(),
        zone=mapping.time.zone,
        topics=TOPICS,
    )
    return Series(definition, records)


def _rows(path: Path, mapping: Mapping) -> Iterator[tuple[int, Row]]:
    """Yield (number of the line or row, row); missing columns are refused before the first."""
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if kind == "parquet":
        yield from _parquet_rows(path, mapping)
    elif kind in ("jsonl", "ndjson"):
        yield from _json_rows(path, mapping)
    else:
        with _opened(path) as file:
            reader = csv.DictReader(file)
            _check_columns(path, mapping, reader.fieldnames or ())
            for row in reader:
                yield reader.line_num, row


def _parquet_rows(path: Path, mapping: Mapping) -> Iterator[tuple[int, Row]]:
    pa = arrow()
    try:
        with pa.parquet.ParquetFile(path) as file:
            _check_columns(path, mapping, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(columns=_wanted(mapping)):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError) as error:
        raise ConfigError([Problem(str(path), 1, 1, f"cannot be read as Parquet: {error}")]) from error


def _json_rows(path: Path, mapping: Mapping) -> Iterator[tuple[int, Row]]:
    with _opened(path) as file:
        checked = False
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            try:
                row = msgspec.json.decode(line)
            except (msgspec.DecodeError, RecursionError) as error:
                raise ConfigError([Problem(str(path), number, 1, f"this line is no JSON: {error}")]) from error
            if not isinstance(row, dict):
                raise ConfigError([Problem(str(path), number, 1, "this line is no JSON object")])
            if not checked:
                _check_columns(path, mapping, row)
                checked = True
            yield number, row


def _wanted(mapping: Mapping) -> list[str]:
    device = [mapping.device.column] if mapping.device.column else []
    return list(dict.fromkeys([mapping.time.column, *device, *mapping.fields.values()]))


def _check_columns(path: Path, mapping: Mapping, columns: Iterable[str]) -> None:
    found = list(columns)
    problems = [
        Problem(str(path), 1, 1, f"there is no column {column!r}", f"columns here: {', '.join(found) or 'none'}")
        for column in _wanted(mapping)
        if column not in found
    ]
    if problems:
        raise ConfigError(problems)


def _row(row: Row, mapping: Mapping, names: dict[str, str]) -> tuple[int, str, bytes]:
    at = _instant(row[mapping.time.column], mapping)
    name = mapping.device.name or str(row[mapping.device.column or ""])
    device = names.get(name) or names.setdefault(name, _identifier(name, len(names)))
    values = {
        field: _number(value)
        for field, column in mapping.fields.items()
        if (value := row.get(column)) is not None and value != ""
    }
    return at, device, msgspec.json.encode({"at": at / 1e6, **values})


def _instant(value: Any, mapping: Mapping) -> int:
    if isinstance(value, datetime):
        return from_datetime(value if value.tzinfo else value.replace(tzinfo=zone_info(mapping.time.zone)))
    if isinstance(value, str) and not re.fullmatch(r"-?\d+(\.\d+)?", value):
        return parse_instant(value, mapping.time.zone)
    return (
        round(float(value) * _UNITS[mapping.time.unit]) if "." in str(value) else int(value) * _UNITS[mapping.time.unit]
    )


def _identifier(name: str, number: int) -> str:
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-")[:56]
    return f"{plain}-{number + 1}" if plain else f"device-{number + 1}"


def _number(value: Any) -> float | int:
    if isinstance(value, int | float):
        return value
    try:
        return int(value)
    except ValueError:
        return float(value)


def _street(path: Path, mapping: Mapping, names: dict[str, str]) -> tuple[tuple[Place, ...], tuple[Device, ...]]:
    frame = [
        Place("street", PlaceKind.STREET, path.name),
        Place("block", PlaceKind.BLOCK, path.name, parent="street"),
        Place("grid", PlaceKind.GRID, path.name, parent="block"),
        Place("micro", PlaceKind.MICRO_GRID, path.name, parent="grid"),
        Place("series", PlaceKind.COMPOUND, path.name, parent="grid", micro_grids=("micro",)),
    ]
    lanes = [
        Place(device, PlaceKind.LANE, name, parent="micro", compound="series", area_m2=mapping.area_m2)
        for name, device in names.items()
    ]
    period, stream = parse_duration(mapping.period), BY_WORD[mapping.stream]
    devices = tuple(Device(lane.id, stream, lane.id, period) for lane in lanes)
    return (*frame, *lanes), devices


def _opened(path: Path) -> IO[str]:
    """Open a text file, through gzip when its name says so; raises ``ConfigError`` when it cannot be read."""
    try:
        if path.suffix == ".gz":
            return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8", newline="")
        return path.open(encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError([Problem(str(path), 1, 1, f"cannot be read: {error.strerror}")]) from error
