"""Readers of the journal: beside its writer, in other threads and processes, and before damaged files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.record import Group, Record
from sensord.errors import StoreError
from sensord.store import catalogue
from sensord.store.dayfile import SCHEMA, Span, day_files, decode_group, encode_records, read_span
from sensord.store.journal import Journal
from sensord.store.reader import READ_BYTES, DirectoryReader, Reader
from sensord.store.sqlite import open_writer
from tests.store.parts import START, change, days_later, fill, groups, made, overwrite, read_all, running


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty journal."""
    with closing(Journal(tmp_path / "journal")) as opened:
        yield opened


# -- what a reader sees ----------------------------------------------------------------------------------------------


@given(after=st.integers(0, 70), limit=st.integers(1, 80))
@settings(max_examples=40)
def test_any_stretch_can_be_read(after: int, limit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """From any group on, up to any limit, over the borders of days: the groups that follow, in order."""
    directory = tmp_path_factory.getbasetemp() / "stretch"
    if not directory.exists():
        made(directory, 60)
    with closing(DirectoryReader(directory)) as reader:
        assert reader.read(after, limit) == groups(after + 1, min(after + limit, 60))


def test_a_read_is_bounded_in_memory(journal: Journal) -> None:
    """Large groups come a few at a time; one that is larger than the bound comes alone."""
    big = [Record(0, START, "t", bytes(2**20)) for _ in range(5)]
    for records in (big[:1], big, big[:1], *([big[:2]] * 4)):
        journal.append(records)
    reader = journal.reader()
    assert [group.seq for group in reader.read(0)] == [1, 2]
    assert [group.seq for group in reader.read(1)] == [2]
    assert [group.seq for group in reader.read(2)] == [3, 4, 5]
    assert sum(len(record.payload) for group in reader.read(3) for record in group.records) <= READ_BYTES + 2**21
    assert [group.seq for group in read_all(reader)] == list(range(1, 8))


def follow(reader: Reader, until: int) -> list[Group]:
    """Read as a consumer does, waiting at the end; the reader may never be ahead of what is announced."""
    found: list[Group] = []
    while len(found) < until:
        after = found[-1].seq if found else 0
        if not reader.wait(after, 10):
            break
        part = reader.read(after, 16)
        assert part
        assert part[-1].seq <= reader.last_seq
        found += part
    reader.close()
    return found


def test_threads_see_every_group_in_order(journal: Journal) -> None:
    """Three readers beside the writer, over many days, see all groups exactly once and in order."""
    with ThreadPoolExecutor(3) as pool:
        followers = [pool.submit(follow, journal.reader(), 300) for _ in range(3)]
        fill(journal, 300)
        for follower in followers:
            assert follower.result(30) == groups(1, 300)


def test_waiting_ends_with_a_group_the_timeout_or_the_journal(journal: Journal) -> None:
    """A waiting reader is woken by the commit, and let go when the journal is closed."""
    reader = journal.reader()
    assert not reader.wait(0, 0.01)
    woken: list[bool] = []
    waiting = threading.Thread(target=lambda: woken.append(reader.wait(0, 30)))
    waiting.start()
    fill(journal, 1)
    waiting.join(10)
    parting = threading.Thread(target=lambda: woken.append(reader.wait(1, 30)))
    parting.start()
    journal.close()
    parting.join(10)
    assert woken == [True, False]


def test_a_group_that_was_not_committed_is_never_seen(journal: Journal) -> None:
    """What the writer has begun and not committed is invisible to every reader, and gone when it is undone."""
    fill(journal, 2)
    assert journal._connection is not None
    journal._connection.execute("BEGIN")
    journal._connection.execute("INSERT INTO groups VALUES (3, 0, 0, 1, x'00')")
    with closing(DirectoryReader(journal.directory)) as other:
        assert (other.last_seq, journal.reader().last_seq) == (2, 2)
        assert read_all(other) == read_all(journal.reader()) == groups(1, 2)
    journal._connection.execute("ROLLBACK")
    fill(journal, 1)
    assert read_all(journal.reader()) == groups(1, 3)


def test_another_process_sees_what_is_committed(tmp_path: Path) -> None:
    """While a process writes, a reader outside sees a growing beginning of its journal, never less than was said."""
    directory, seen = tmp_path / "journal", [0]
    with running(tmp_path / "log", "writer", str(directory), "400") as child:
        child.wait_for(1)
        with closing(DirectoryReader(directory)) as reader:
            while seen[-1] < 400:
                said = len(child.said)
                reader.refresh()
                assert reader.last_seq >= said
                found = read_all(reader, seen[-1], 256)
                assert found == groups(seen[-1] + 1, found[-1].seq if found else seen[-1])
                seen.append(found[-1].seq if found else seen[-1])
    assert len({upto for upto in seen if 0 < upto < 400}) > 1, "it was read while it was written"
    assert all(before <= after for before, after in pairwise(seen))


def test_there_must_be_a_journal_to_read(tmp_path: Path) -> None:
    """A wrong directory is said, not created."""
    with pytest.raises(StoreError, match="there is no journal here"):
        DirectoryReader(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_reading_changes_no_file(tmp_path: Path) -> None:
    """A reader outside leaves every day file as it is: it may look at a copy kept as evidence."""
    made(tmp_path, 30)
    before = {path.name: path.read_bytes() for path in day_files(tmp_path)}
    with closing(DirectoryReader(tmp_path)) as reader:
        assert len(read_all(reader)) == 30
    assert {path.name: path.read_bytes() for path in day_files(tmp_path)} == before


# -- beside pruning and midnight -------------------------------------------------------------------------------------


@pytest.mark.parametrize("outside", [False, True], ids=["this process", "another process"])
def test_a_reader_survives_pruning(journal: Journal, outside: bool) -> None:
    """Whoever stood in a deleted day, or before it, goes on at the oldest group that is left."""
    fill(journal, 60)
    reader = DirectoryReader(journal.directory) if outside else journal.reader()
    fresh = DirectoryReader(journal.directory) if outside else journal.reader()
    assert reader.read(0, 5) == groups(1, 5)
    assert len(journal.prune(0, days_later(60, 30), 61)) == 2
    assert read_all(fresh) == groups(42, 60)
    assert [group.seq for group in read_all(reader, 30)] in ([*range(31, 42), *range(42, 61)], [*range(42, 61)])
    reader.close()
    fresh.close()


def test_midnight_between_two_looks_is_no_hole(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer may finish a day and begin the next while another process looks at its files one by one."""
    fill(journal, 16)
    look, began = read_span, list[Path]()
    open_writer(journal.directory / "journal-2023-11-16.db", SCHEMA).close()

    def slowly(path: Path) -> Span:
        span = look(path)
        if not began:
            began.append(path)
            fill(journal, 5)
        return span

    monkeypatch.setattr(catalogue, "read_span", slowly)
    with closing(DirectoryReader(journal.directory)) as reader:
        assert read_all(reader) == groups(1, 21)


# -- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [slice(0, 16), slice(100, 108)], ids=["header", "tree"])
def test_a_damaged_file_stops_the_start(tmp_path: Path, part: slice) -> None:
    """Neither the newest nor an older file is skipped, repaired or deleted; the message names it."""
    made(tmp_path, 60)
    for path in day_files(tmp_path):
        whole = path.read_bytes()
        overwrite(path, part.start, b"\xff" * (part.stop - part.start))
        damaged = path.read_bytes()
        with pytest.raises(StoreError, match=path.name) as caught:
            Journal(tmp_path)
        assert "damaged" in str(caught.value)
        assert not caught.value.retryable
        assert path.read_bytes() == damaged
        path.write_bytes(whole)


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    """A day that is missing between two others is a hole; the oldest may be missing, it was pruned."""
    made(tmp_path, 80)
    first, second, third, _ = day_files(tmp_path)
    aside = second.rename(tmp_path / "aside")
    with pytest.raises(StoreError, match=f"{third.name}: group 42 follows where 18 should"):
        Journal(tmp_path)
    aside.rename(second)
    first.unlink()
    with closing(Journal(tmp_path)) as journal:
        assert read_all(journal.reader()) == groups(18, 80)


def test_a_damaged_group_is_reported_after_the_good_ones(journal: Journal) -> None:
    """Readers get what lies before the damage, and then an error that names file and group: nothing is skipped."""
    fill(journal, 30)
    path = day_files(journal.directory)[0]
    change(path, "UPDATE groups SET records = substr(records, 1, length(records) - 1) || x'a5' WHERE seq = 6")
    reader = journal.reader()
    assert reader.read(0) == groups(1, 5)
    for _ in range(2):
        with pytest.raises(StoreError, match=rf"{path.name}: group 6 is damaged") as caught:
            reader.read(5)
        assert "restore it from a backup" in str(caught.value)


@pytest.mark.parametrize(
    ("gone", "says"),
    [("seq = 9", "group 10 follows where 9 should"), ("seq >= 9", "groups 9 to 17 are missing")],
    ids=["one", "the rest"],
)
def test_missing_groups_are_reported(journal: Journal, gone: str, says: str) -> None:
    """A hole inside a day file stops the reader before it."""
    fill(journal, 30)
    change(day_files(journal.directory)[0], f"DELETE FROM groups WHERE {gone}")
    reader = journal.reader()
    assert reader.read(0) == groups(1, 8)
    with pytest.raises(StoreError, match=says):
        reader.read(8)


def test_a_file_cut_short_is_reported(tmp_path: Path) -> None:
    """Whatever page a day file is cut off at: its groups are all there, or an error names it."""
    made(tmp_path, 17)
    (path,) = day_files(tmp_path)
    whole = path.read_bytes()
    for size in range(4096, len(whole), 4096):
        path.write_bytes(whole[:size])
        with pytest.raises(StoreError, match=path.name):
            read_all(DirectoryReader(tmp_path))


@pytest.fixture(scope="module")
def day() -> tuple[str, bytes]:
    """The bytes of a day file of eleven groups."""
    with TemporaryDirectory() as directory:
        made(Path(directory), 11)
        (path,) = day_files(Path(directory))
        return path.name, path.read_bytes()


@given(place=st.integers(0, 2**20), flip=st.integers(1, 255))
@settings(max_examples=80)
def test_no_flipped_bit_goes_unnoticed(day: tuple[str, bytes], place: int, flip: int) -> None:
    """Wherever the disk changes a byte of a day file: the groups are read as written, or an error is raised."""
    name, whole = day
    offset = place % len(whole)
    with TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_bytes(whole)
        overwrite(path, offset, bytes([whole[offset] ^ flip]))
        try:
            with closing(DirectoryReader(Path(directory))) as reader:
                found = (reader.last_seq, read_all(reader))
        except StoreError as error:
            found = (str(error).count(name), [])
        assert found in ((11, groups(1, 11)), (1, []))


@given(seq=st.integers(1, 60), place=st.integers(0, 2**16), flip=st.integers(1, 255))
@settings(max_examples=200)
def test_a_group_proves_that_it_is_whole(seq: int, place: int, flip: int) -> None:
    """A blob read back is the group that was written; with any one byte changed it is refused."""
    (group,) = groups(seq, seq)
    blob = bytearray(encode_records(group.records))
    assert decode_group(seq, bytes(blob), Path("day.db"))[0] == group
    blob[place % len(blob)] ^= flip
    with pytest.raises(StoreError, match=f"day.db: group {seq} is damaged"):
        decode_group(seq, bytes(blob), Path("day.db"))
