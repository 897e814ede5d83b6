"""Recordings: what goes in comes out, byte for byte, and the core decides on it what it decided live."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from sensord.core.instant import DAY, SECOND
from sensord.core.record import Record, RecordKind
from sensord.core.stream import LISTED
from sensord.errors import ConfigError, StoreError
from sensord.recordings.lines import Line as RecordedLine
from sensord.recordings.lines import LineWriter, decode_line, encode_line, read_messages
from sensord.recordings.manifest import NAME, Gap, read_manifest
from sensord.recordings.parquet import read_readings
from sensord.recordings.recording import groups, open_recording
from sensord.recordings.transform import cut, merge, shift
from sensord.recordings.writer import write
from sensord.source import Source
from tests.core.street import START
from tests.recordings.parts import decisions, journal, live


@given(
    st.builds(
        Record,
        st.sampled_from(tuple(int(kind) for kind in RecordKind)),
        st.integers(0, 2**62),
        st.text(max_size=20),
        st.binary(max_size=40) | st.text(max_size=40).map(str.encode),
        st.booleans(),
        st.booleans(),
    )
)
@settings(max_examples=60)
def test_a_line_holds_the_whole_record(record: Record) -> None:
    """Whatever a record holds comes back byte for byte."""
    line = encode_line(record)
    assert line.count(b"\n") == 1
    assert decode_line(msgspec.json.decode(line, type=RecordedLine)) == record


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording in both forms."""
    path = tmp_path_factory.mktemp("recordings") / "whole"
    records = journal()
    write(path, records, records[-1].received_at + 90 * SECOND, readings=True)
    return path


def test_both_forms_replay_as_live(folder: Path) -> None:
    """Live groups, recorded messages and decoded readings give the same decisions, actions and new rules included."""
    records = journal()
    reference = live(records, until=records[-1].received_at + 90 * SECOND)
    assert reference.count(b'"happening":"acknowledge"') > 3
    assert reference.count(b'"withdrawn"') > 0
    for raw in (True, False):
        assert decisions(Source(folder, raw=raw).open().recorded()) == reference


def test_the_same_records_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """A second writing gives the same manifest, checksums included."""
    records = journal()
    write(tmp_path / "again", records, records[-1].received_at + 90 * SECOND, readings=True)
    assert (tmp_path / "again" / NAME).read_bytes() == (folder / NAME).read_bytes()


def test_the_manifest_says_what_when_and_how_many(folder: Path) -> None:
    """Counts, span, devices, definitions, gaps and lost messages are those of the records."""
    manifest, records = read_manifest(folder), journal()
    messages = [record for record in records if record.kind == RecordKind.MESSAGE]
    assert manifest.counts["message"] == len(messages)
    assert (manifest.start, manifest.end) == (records[0].received_at, records[-1].received_at + 90 * SECOND)
    assert len(manifest.definitions) == 2
    assert manifest.lost > 0
    assert {file.kind for file in manifest.files} == {"messages", "readings", "records"}
    assert all(file.path.startswith("site=test/date=2023-11-15/") for file in manifest.files)


def test_gaps_and_days(tmp_path: Path) -> None:
    """A minute without anything is a gap; each local day has a folder of its own."""
    times = [0, 30, 200, 100_000]
    records = [Record(RecordKind.TICK, START + at * SECOND) for at in times]
    manifest = write(tmp_path / "days", records)
    assert manifest.gaps == [
        Gap(START + 30 * SECOND, START + 200 * SECOND),
        Gap(START + 200 * SECOND, START + 100_000 * SECOND),
    ]
    assert [file.date for file in manifest.files] == ["2023-11-15", "2023-11-16"]


@pytest.mark.parametrize("name", ["messages.jsonl.gz", "readings.parquet"])
def test_damage_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    """A changed byte or a missing file is found when the recording is opened."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    victim = next(copy.rglob(name))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(bytes(data))
    with pytest.raises(ConfigError, match="checksum"):
        open_recording(copy)
    victim.unlink()
    with pytest.raises(ConfigError, match="missing"):
        open_recording(copy)


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    """A compressed file whose end is missing is named, with the line, instead of being read as shorter."""
    path = tmp_path / "short.jsonl.gz"
    writer = LineWriter(path)
    for record in journal():
        writer.add(record)
    writer.close()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ConfigError, match="damaged or cut off"):
        list(read_messages(path))


def test_nothing_is_overwritten(folder: Path) -> None:
    """A recording is never written over another one, nor in a wrong order."""
    with pytest.raises(StoreError, match="exists already"):
        write(folder, journal())
    with pytest.raises(StoreError, match="order of arrival"):
        write(folder.with_name("other"), [Record(1, 9), Record(1, 8)])
    assert not list(folder.parent.glob("other*"))


@pytest.mark.parametrize("where", [0.2, 0.5, 0.9])
def test_two_halves_merge_into_the_whole(where: float) -> None:
    """Cut in two and merged again, the records decide what the whole decides."""
    records = journal()
    middle = records[int(len(records) * where)].received_at
    halves = [list(cut(records, 0, middle)), list(cut(records, middle, 2**62))]
    assert halves[1][0].kind == RecordKind.DEFINITION
    assert decisions(groups(merge(*halves))) == live(records)


def test_a_shift_moves_everything(folder: Path) -> None:
    """A week later everything is decided a week later; shifted back, it is the same to the byte."""
    records = journal()
    later = list(shift(records, 7 * DAY))
    assert all(b.received_at - a.received_at == 7 * DAY for a, b in zip(records, later, strict=True))
    moved = live(later)
    assert moved.count(b"raised") == live(records).count(b"raised") > 20
    assert decisions(groups(shift(later, -7 * DAY))) == live(records)


def test_a_stretch_begins_with_its_definition(folder: Path) -> None:
    """From the middle on, the definition then in force comes first, in both forms.

    Raw messages decide what the cut records decide; decoded readings keep the event times that the whole gave them.
    """
    records = journal()
    middle = records[len(records) // 3].received_at
    end = middle + 100 * SECOND
    raw, columns = (decisions(Source(folder, raw=raw).open().recorded(middle, end)) for raw in (True, False))
    assert raw == decisions(groups(cut(records, middle, end), until=end))
    assert columns.count(b"raised") > 5


def test_a_file_of_an_earlier_version_is_read(folder: Path, tmp_path: Path) -> None:
    """Fields and labels that came later are not in it; the readings that are there are read as before."""
    (path,) = folder.rglob("readings.parquet")
    table = parquet.read_table(path)
    parquet.write_table(table.drop_columns([LISTED.name, "signal"]), tmp_path / "old.parquet")
    old, new = (list(read_readings(one)) for one in (tmp_path / "old.parquet", path))
    assert [chunk.batch.device.tolist() for chunk in old] == [chunk.batch.device.tolist() for chunk in new]
    assert LISTED.name in new[0].batch.labels
    assert LISTED.name not in old[0].batch.labels
