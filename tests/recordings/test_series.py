"""Foreign tables: CSV, Parquet and JSON lines through one mapping are the same records."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from sensord.config.mapping import load_mapping
from sensord.core.instant import HOUR
from sensord.core.record import RecordKind
from sensord.errors import ConfigError
from sensord.recordings.recording import open_recording
from sensord.recordings.series import MOST, read_series
from sensord.recordings.work import import_table

ROWS = [
    ("2026-11-24T09:00:00", "North gate", 12),
    ("2026-11-24T08:00:00", "North gate", 7),
    ("2026-11-24T08:30:00", "South 1/2", 3),
]
MAPPING = """\
stream: crowd
time: {column: when, zone: UTC}
device: {column: where}
fields: {enter: people}
period: 1h
"""


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    """The mapping's file."""
    path = tmp_path / "mapping.yaml"
    path.write_text(MAPPING, "utf-8")
    return path


def tables(folder: Path) -> list[Path]:
    """The same rows in every format."""
    csv, lines, parquet = (folder / f"t.{kind}" for kind in ("csv", "jsonl", "parquet"))
    csv.write_text("when,where,people\n" + "".join(f"{a},{b},{c}\n" for a, b, c in ROWS), "utf-8")
    lines.write_text("".join(json.dumps({"when": a, "where": b, "people": c}) + "\n" for a, b, c in ROWS), "utf-8")
    when = [datetime.fromisoformat(row[0]).replace(tzinfo=UTC) for row in ROWS]
    columns = {"when": when, "where": [row[1] for row in ROWS], "people": [row[2] for row in ROWS]}
    pyarrow.parquet.write_table(pa.table(columns), parquet)
    return [csv, lines, parquet]


def test_every_format_gives_the_same_records(tmp_path: Path, mapping: Path) -> None:
    """Three formats, one result, in order of time, with safe device names."""
    read = [read_series(path, load_mapping(mapping)) for path in tables(tmp_path)]
    assert list(read[0].records) == list(read[1].records) == list(read[2].records)
    assert [json.loads(record.payload)["enter"] for record in read[0].records] == [7, 3, 12]
    assert [device.id for device in read[0].definition.devices] == ["North-gate-1", "South-1-2-2"]


def test_numbers_as_times(tmp_path: Path, mapping: Path) -> None:
    """Plain numbers are read in the mapping's unit."""
    mapping.write_text(MAPPING.replace("zone: UTC", "zone: UTC, unit: ms"), "utf-8")
    path = tmp_path / "n.csv"
    path.write_text("when,where,people\n1764000000123,x,1\n", "utf-8")
    assert next(iter(read_series(path, load_mapping(mapping)).records)).received_at == 1_764_000_000_123_000_000


def test_an_import_is_a_recording(tmp_path: Path, mapping: Path) -> None:
    """The import brings its own small street, so rules can be tried on it at once."""
    manifest = import_table(tables(tmp_path)[0], mapping, tmp_path / "out")
    assert manifest.counts["message/crowd"] == 3
    first = next(open_recording(tmp_path / "out").records())
    assert first.kind == RecordKind.DEFINITION


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("when,where\n", "no column 'people'"),
        ("when,where,people\nnever,x,1\n", "t.csv:2:1: error: this row is no reading"),
        ("when,where,people\n2026-11-24,x,many\n", "t.csv:2:1: error: this row is no reading: could not convert"),
        ("when,where,people\n2026-11-24,x,-3\n", "t.csv:2:1: error: this row is no reading: wrong_shape"),
        ("when,where,people\n2026-11-24,x,2.5\n", "t.csv:2:1: error: this row is no reading: wrong_shape"),
        ("when,where,people\n2026-11-24,x,1e999\n", "beyond all numbers (correct it, or take the row out)"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, mapping: Path, text: str, complaint: str) -> None:
    """Missing columns and unreadable rows are named with their place."""
    path = tmp_path / "t.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as refused:
        read_series(path, load_mapping(mapping))
    assert complaint in str(refused.value)


def test_every_wrong_row_is_named(tmp_path: Path, mapping: Path) -> None:
    """Not only the first: a table is mended in one go. After twenty it is plain that something else is wrong."""
    path = tmp_path / "t.csv"
    good, bad = "2026-11-24T08:00:00,x,1\n", "2026-11-24T08:00:00,x,many\n"
    for count, told in ((3, 3), (50, MOST)):
        path.write_text("when,where,people\n" + (good + bad) * count, "utf-8")
        with pytest.raises(ConfigError) as refused:
            read_series(path, load_mapping(mapping))
        assert [problem.line for problem in refused.value.problems] == list(range(3, 3 + 2 * told, 2))


def test_rows_without_a_value_are_left_out(tmp_path: Path, mapping: Path) -> None:
    """Nothing, NaN, or a row that ends early: the sensor said nothing; it is counted, and a whole number stays one."""
    path = tmp_path / "t.csv"
    at = "2026-11-24T08:00:00,x"
    path.write_text(f"when,where,people\n{at},\n{at},nan\n{at}\n{at},7.0\n", "utf-8")
    series = read_series(path, load_mapping(mapping))
    assert [json.loads(record.payload)["enter"] for record in series.records] == [7]
    assert series.empty == 3
    assert "3 rows without a value left out" in import_table(path, mapping, tmp_path / "out").history


def test_silence_as_long_as_the_period_is_no_gap(tmp_path: Path, mapping: Path) -> None:
    """A table of hourly counts has no gap between two hours; where three are missing, it has."""
    path = tmp_path / "t.csv"
    rows = "".join(f"2026-11-24T{hour:02d}:00:00,x,1\n" for hour in (1, 2, 3, 8, 9))
    path.write_text("when,where,people\n" + rows, "utf-8")
    (gap,) = import_table(path, mapping, tmp_path / "out").gaps
    assert gap.end - gap.start == 5 * HOUR
