"""Foreign time series as records: CSV, Parquet or JSON lines, through a mapping, as a little street of its own.

Each device stands in a lane of its own. Files that end in ``.gz`` are read through gzip. A row without any value is
left out, as the sensor had nothing to say; a row that would not become a reading is refused, with every other one.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
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
from sensord.core.intake.codec import Context, native
from sensord.core.place import Device, Place, PlaceKind
from sensord.core.reading import Topic
from sensord.core.record import Record, RecordKind
from sensord.core.stream import BY_WORD
from sensord.errors import ConfigError, DecodeError, Problem
from sensord.recordings.parquet import arrow
from sensord.recordings.spool import Spool

TOPICS = "replay/{compound}/{kind}/{device}"
MOST = 20
"""So many rows are named before the reading is given up."""
_HINT = "correct it, or take the row out"
_UNITS = {"s": SECOND, "ms": MILLISECOND, "us": 1_000, "ns": 1}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Series:
    """A table as a street: its definition (without rules), its messages in order of time, how many rows were empty."""

    definition: Definition
    records: Spool
    empty: int = 0


def read_series(path: Path, mapping: Mapping) -> Series:
    """Read a table through a mapping; rows are put in order of time, in bounded memory whatever their number.

    Raises ``ConfigError`` naming file and rows.
    """
    names: dict[str, str] = {}
    records = Spool()
    wrong: list[Problem] = []
    number = empty = 0
    try:
        for number, row in _rows(path, mapping):
            try:
                if (made := _row(row, mapping, names)) is None:
                    empty += 1
                else:
                    records.add(made)
            except (ValueError, TypeError, OverflowError, KeyError, DecodeError) as error:
                wrong.append(Problem(str(path), number, 1, f"this row is no reading: {error}", _HINT))
                if len(wrong) == MOST:
                    break
        if wrong:
            raise ConfigError(wrong)
    except (UnicodeDecodeError, csv.Error, EOFError, zlib.error, OSError) as error:
        fault = f"the file is damaged, or not the text that its name says: {error}"
        raise ConfigError([Problem(str(path), number + 1, 1, fault)]) from error
    places, devices = _street(path, mapping, names)
    definition = Definition(
        site=path.name.partition(".")[0],
        places=places,
        devices=devices,
        rules=(),
        zone=mapping.time.zone,
        topics=TOPICS,
    )
    return Series(definition, records, empty)


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


def _row(row: Row, mapping: Mapping, names: dict[str, str]) -> Record | None:
    """Return the message of a row; None when it has no value. Raises whatever is wrong with it."""
    values = {field: _number(row.get(column)) for field, column in mapping.fields.items()}
    said = {field: value for field, value in values.items() if value is not None}
    if not said:
        return None
    at = _instant(row[mapping.time.column], mapping)
    name = mapping.device.name or str(row[mapping.device.column or ""])
    device = names.get(name) or names.setdefault(name, _identifier(name, len(names)))
    payload = msgspec.json.encode({"at": at / 1e6, **said})
    stream = BY_WORD[mapping.stream]
    native.decode(Topic("series", stream, device), payload, Context(mapping.time.zone))  # what it is for a sensor
    return Record(RecordKind.MESSAGE, at, f"replay/series/{stream.word}/{device}", payload)


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


def _number(value: Any) -> float | int | None:
    """The number in a cell; None for none, which tables write as nothing or as NaN."""
    if value is None or value == "":
        return None
    try:
        number = value if isinstance(value, int | float) else int(value)
    except ValueError:
        number = float(value)
    if math.isinf(number):
        raise ValueError(f"{value} is beyond all numbers")
    if math.isnan(number):
        return None
    return int(number) if number == int(number) else number  # whole numbers come as 7.0 where a column has gaps


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
