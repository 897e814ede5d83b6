"""Foreign tables: CSV, Parquet and JSON lines through one mapping are the same records."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from sensord.config.mapping import load_mapping
from sensord.core.record import RecordKind
from sensord.errors import ConfigError
from sensord.recordings.recording import open_recording
from sensord.recordings.series import read_series
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
    assert read[0].records == read[1].records == read[2].records
    assert [json.loads(record.payload)["enter"] for record in read[0].records] == [7, 3, 12]
    assert [device.id for device in read[0].definition.devices] == ["North-gate-1", "South-1-2-2"]


def test_numbers_as_times(tmp_path: Path, mapping: Path) -> None:
    """Plain numbers are read in the mapping's unit."""
    mapping.write_text(MAPPING.replace("zone: UTC", "zone: UTC, unit: ms"), "utf-8")
    path = tmp_path / "n.csv"
    path.write_text("when,where,people\n1764000000123,x,1\n", "utf-8")
    assert read_series(path, load_mapping(mapping)).records[0].received_at == 1_764_000_000_123_000_000


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
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, mapping: Path, text: str, complaint: str) -> None:
    """Missing columns and unreadable rows are named with their place."""
    path = tmp_path / "t.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as refused:
        read_series(path, load_mapping(mapping))
    assert complaint in str(refused.value)
