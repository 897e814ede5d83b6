"""The schema of mapping files: how the columns of a table (CSV, Parquet, JSON lines) become readings.

::

    stream: crowd
    time: {column: ts_utc, zone: UTC}     # zone: of stamps that carry none
    device: {column: sensor}              # or {name: nyc-taxi} when the file is one series
    fields: {enter: count}                # field of the stream: column of the file
    period: 1h
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from sensord.config.schema import Duration, Entry, Text, convert, did_you_mean
from sensord.config.yamlfile import read_yaml
from sensord.core.stream import BY_WORD, STREAMS
from sensord.errors import ConfigError


class TimeColumn(Entry, frozen=True):
    """Where the time stands. ``zone`` applies to stamps without an offset; ``unit`` to plain numbers (since 1970)."""

    column: Text
    zone: Text = "Asia/Shanghai"
    unit: Literal["s", "ms", "us", "ns"] = "s"


class DeviceColumn(Entry, frozen=True):
    """Which device a row belongs to: a column of the file, or one name for all rows."""

    column: Text | None = None
    name: Text | None = None


class Mapping(Entry, frozen=True):
    """A mapping file as a whole. ``period`` is the usual distance between rows of one device."""

    stream: Literal["crowd", "level", "status"]
    time: TimeColumn
    device: DeviceColumn
    fields: Annotated[dict[str, Text], Meta(min_length=1)]
    period: Duration
    area_m2: Annotated[float, Meta(gt=0)] | None = None


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file; raises ``ConfigError`` with every mistake and its position."""
    document = read_yaml(path)
    mapping = convert(document, Mapping)
    known = [field.name for field in STREAMS[BY_WORD[mapping.stream]].fields if field.name != "density"]
    problems = [
        document.problem(
            ("fields", name), f"{mapping.stream} has no field {name!r}", did_you_mean(name, known), key=True
        )
        for name in mapping.fields
        if name not in known
    ]
    if (mapping.device.column is None) == (mapping.device.name is None):
        problems.append(document.problem(("device",), "give either 'column' or 'name'"))
    if problems:
        raise ConfigError(problems)
    return mapping
