"""Recorded data as journal records: JSON lines of raw messages, and CSV time series with a mapping.

A line of a recording is ``{"received_at_ns": 1763900000000000000, "topic": "...", "payload": "..."}``; a payload that
is not UTF-8 is in ``payload_base64`` instead. Files that end in ``.gz`` are read through gzip.
"""

from __future__ import annotations

import base64
import binascii
import csv
import gzip
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from sensord.config.mapping import Mapping
from sensord.core.instant import parse_duration, parse_instant
from sensord.core.place import Device, Place, PlaceKind
from sensord.core.record import Group, Record, RecordKind
from sensord.core.stream import BY_WORD
from sensord.errors import ConfigError, Problem

GROUP_RECORDS = 500
TOPICS = "replay/{compound}/{kind}/{device}"


class _Line(msgspec.Struct, frozen=True):
    """One line of a recording."""

    received_at_ns: int
    topic: str
    payload: str | None = None
    payload_base64: str | None = None
    retained: bool = False


def groups(records: Iterable[Record], first: Record | None = None, tail: int = 0) -> Iterator[Group]:
    """Bundle records into groups as a journal would: non-decreasing times, sequence numbers from 1.

    ``first`` (a definition) comes before everything else, at the instant of the first record. ``tail`` (ns) ends the
    recording with a tick that much later, so that the last windows are evaluated.
    """
    seq, now, waiting = 0, 0, list[Record]()
    for record in records:
        if not seq and not waiting and first is not None:
            waiting.append(msgspec.structs.replace(first, received_at=record.received_at))
        now = max(now, record.received_at)
        waiting.append(record if record.received_at == now else msgspec.structs.replace(record, received_at=now))
        if len(waiting) >= GROUP_RECORDS:
            seq += 1
            yield Group(seq, tuple(waiting))
            waiting = []
    if tail and now:
        waiting.append(Record(RecordKind.TICK, now + tail))
    if waiting:
        yield Group(seq + 1, tuple(waiting))


def read_recording(path: Path) -> Iterator[Record]:
    """Yield the messages of a recording; raises ``ConfigError`` naming file and line for a line that is none."""
    decoder = msgspec.json.Decoder(_Line)
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield _record(decoder.decode(line))
            except (msgspec.DecodeError, binascii.Error, ValueError) as error:
                hint = 'write {"received_at_ns": ..., "topic": "...", "payload": "..."}'
                raise ConfigError([Problem(str(path), number, 1, f"not a recorded message: {error}", hint)]) from error


def _record(line: _Line) -> Record:
    if (line.payload is None) == (line.payload_base64 is None):
        raise ValueError("give either 'payload' or 'payload_base64'")
    if line.payload is not None:
        payload = line.payload.encode()
    else:
        payload = base64.b64decode(line.payload_base64 or "", validate=True)
    return Record(RecordKind.MESSAGE, line.received_at_ns, line.topic, payload, line.retained)


@dataclass(frozen=True, slots=True)
class Series:
    """A CSV file as a little street of its own: each device stands in a lane of its own."""

    places: tuple[Place, ...]
    devices: tuple[Device, ...]
    records: list[Record]


def read_series(path: Path, mapping: Mapping) -> Series:
    """Read a CSV through a mapping; rows are put in order of time. Raises ``ConfigError`` naming file and line."""
    names: dict[str, str] = {}
    rows: list[tuple[int, str, bytes]] = []
    with _opened(path) as file:
        reader = csv.DictReader(file)
        _check_columns(path, mapping, reader.fieldnames or ())
        for row in reader:
            try:
                rows.append(_row(row, mapping, names))
            except ValueError as error:
                raise ConfigError(
                    [Problem(str(path), reader.line_num, 1, f"this row is no reading: {error}")]
                ) from error
    rows.sort(key=lambda row: row[0])
    stream, compound = BY_WORD[mapping.stream], "series"
    records = [
        Record(RecordKind.MESSAGE, at, f"replay/{compound}/{stream.word}/{device}", payload)
        for at, device, payload in rows
    ]
    return Series(*_street(path, mapping, names), records)


def _check_columns(path: Path, mapping: Mapping, columns: Iterable[str]) -> None:
    found = list(columns)
    wanted = [mapping.time.column, *mapping.fields.values()]
    wanted += [mapping.device.column] if mapping.device.column else []
    problems = [
        Problem(str(path), 1, 1, f"there is no column {column!r}", f"columns here: {', '.join(found) or 'none'}")
        for column in wanted
        if column not in found
    ]
    if problems:
        raise ConfigError(problems)


def _row(row: dict[str, str], mapping: Mapping, names: dict[str, str]) -> tuple[int, str, bytes]:
    at = parse_instant(row[mapping.time.column], mapping.time.zone)
    name = mapping.device.name or row[mapping.device.column or ""]
    device = names.get(name) or names.setdefault(name, _identifier(name, len(names)))
    values = {field: _number(row[column]) for field, column in mapping.fields.items() if row[column] != ""}
    return at, device, msgspec.json.encode({"at": at / 1e6, **values})


def _identifier(name: str, number: int) -> str:
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-")[:56]
    return f"{plain}-{number + 1}" if plain else f"device-{number + 1}"


def _number(text: str) -> float | int:
    try:
        return int(text)
    except ValueError:
        return float(text)


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
