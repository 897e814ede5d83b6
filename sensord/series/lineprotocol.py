"""Line protocol, which InfluxDB 1.x, 2.x, 3.x and VictoriaMetrics take: a point a line, in nanoseconds.

Format: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/

Rules: a value that no database can hold (NaN, an infinity, an integer beyond 64 bits) drops its field, never
the point; a point without fields left cannot be written and becomes ``""``. The parsers disagree about
backslashes (1.x keeps them, VictoriaMetrics unescapes them), line ends, and quotes in field names, so these
become ``_`` in names and tags; in a string field a line end becomes a space. All else reads back as it was.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache

from sensord.core.point import Point

SERIES = 8192
"""So many series (and names) are written out only once; more than a street has at a time."""
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_UNSAFE = re.compile(r'["\\\x00-\x1f\x7f]')
_LINE_ENDS = re.compile(r"[\x00\r\n]+")
_IN_MEASUREMENT = str.maketrans({",": r"\,", " ": r"\ "})
_IN_TAG = str.maketrans({",": r"\,", " ": r"\ ", "=": r"\="})
_IN_STRING = str.maketrans({"\\": r"\\", '"': r"\""})


def encode(point: Point) -> str:
    """Write one point as a line without its end; ``""`` when it has no measurement or nothing to write."""
    series = _series(point.measurement, tuple(point.tags.items()))
    fields = ",".join(
        [f"{_tag(name)}={text}" for name, value in point.fields.items() if name and (text := _field(value)) is not None]
    )
    return f"{series} {fields} {point.at}" if series and fields else ""


@lru_cache(maxsize=SERIES)
def _series(measurement: str, tags: tuple[tuple[str, str], ...]) -> str:
    """What all points of a series begin with; ``""`` when there is no measurement."""
    measurement = _UNSAFE.sub("_", measurement).translate(_IN_MEASUREMENT)
    if measurement.startswith("#"):  # would make the whole line a comment
        measurement = "_" + measurement[1:]
    pairs = sorted((name, value) for name, value in tags if name and value)
    return measurement and measurement + "".join(f",{_tag(name)}={_tag(value)}" for name, value in pairs)


def encode_lines(points: Sequence[Point]) -> tuple[str, int]:
    """Write the points as lines; also returns how many points had nothing to write and are not among them."""
    lines = [line for point in points if (line := encode(point))]
    return "\n".join(lines), len(points) - len(lines)


@lru_cache(maxsize=SERIES)
def _tag(text: str) -> str:
    return _UNSAFE.sub("_", text).translate(_IN_TAG)


def _field(value: float | str | bool) -> str | None:
    if isinstance(value, bool):  # before int: a bool is one
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}i" if _SMALLEST <= value <= _LARGEST else None
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else None
    return '"' + _LINE_ENDS.sub(" ", value).translate(_IN_STRING) + '"'
