"""The journal's writer: order, time, days, full and broken disks, pruning, and being killed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.instant import DAY, HOUR, SECOND
from sensord.core.record import Record, RecordKind
from sensord.errors import StoreError
from sensord.store.dayfile import day_files
from sensord.store.findings import Findings
from sensord.store.journal import Journal
from sensord.store.reader import DirectoryReader
from tests.store.parts import (
    START,
    as_left_by_a_crash,
    broken_disk,
    days_later,
    fill,
    full_disk,
    groups,
    made,
    read_all,
    records_of,
    running,
)

LAST = (17, 41, 65, 89, 100)
"""The last group of each day file of a journal of a hundred groups."""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty journal."""
    with closing(Journal(tmp_path / "journal")) as opened:
        yield opened


def names(directory: Path) -> list[str]:
    """The days that the directory has files of."""
    return [path.name for path in day_files(directory)]


# -- order, time and days --------------------------------------------------------------------------------------------


def test_groups_are_numbered_over_days_and_restarts(tmp_path: Path) -> None:
    """A hundred groups over five days and four restarts are groups 1 to 100, each day in a file of its own."""
    for _ in range(4):
        made(tmp_path, 25)
    with closing(Journal(tmp_path)) as journal:
        assert (journal.first_seq, journal.last_seq) == (1, 100)
        assert journal.last_received_at == records_of(100)[-1].received_at
        assert read_all(journal.reader()) == groups(1, 100)
    assert names(tmp_path) == [f"journal-2023-11-{day}.db" for day in (15, 16, 17, 18, 19)]
    assert not any(log.stat().st_size for log in tmp_path.glob("*-wal")), "closing folds the logs"


def test_a_day_begins_at_local_midnight(journal: Journal, tmp_path: Path) -> None:
    """The file changes with the local day, not with UTC's; a group that lasts over midnight stays whole."""
    midnight = 1_700_064_000 * SECOND  # 2023-11-16T00:00:00+08:00
    journal.append([Record(RecordKind.TICK, midnight - 1)])
    journal.append([Record(RecordKind.TICK, midnight - 1), Record(RecordKind.TICK, midnight)])
    assert names(tmp_path / "journal") == ["journal-2023-11-15.db", "journal-2023-11-16.db"]
    assert [len(group.records) for group in read_all(journal.reader())] == [1, 2]


def test_another_zone_never_goes_back_to_an_older_file(tmp_path: Path) -> None:
    """After the zone was changed in the configuration, the newest file goes on until the new zone's day is later."""
    made(tmp_path, 10)
    with closing(Journal(tmp_path, zone="America/Los_Angeles")) as journal:
        fill(journal, 40)
        assert read_all(journal.reader()) == groups(1, 50)
    assert names(tmp_path) == sorted(names(tmp_path))


def test_an_empty_group_is_refused(journal: Journal) -> None:
    """A group without records would say nothing, not even the time."""
    with pytest.raises(ValueError, match="at least one record"):
        journal.append([])
    assert journal.last_seq == 0


_OFFSETS = st.lists(st.integers(-3 * DAY // HOUR, 30).map(lambda hours: hours * HOUR), min_size=1, max_size=4)


@given(turns=st.lists(st.tuples(_OFFSETS, st.booleans()), min_size=1, max_size=10))
@settings(max_examples=25)
def test_time_never_goes_back(turns: list[tuple[list[int], bool]]) -> None:
    """Whatever clock the records bring, and over any restarts: each keeps its time, or takes the latest before it."""
    with TemporaryDirectory() as directory:
        journal, sent = Journal(Path(directory)), list[Record]()
        for offsets, restart in turns:
            group = [Record(RecordKind.MESSAGE, START + offset, str(len(sent)), b"x") for offset in offsets]
            journal.append(group)
            sent += group
            if restart:
                journal.close()
                journal = Journal(Path(directory))
        found = read_all(journal.reader())
        journal.close()
    stored = [record for group in found for record in group.records]
    assert [record.received_at for record in stored] == list(accumulate((r.received_at for r in sent), max))
    assert [record.topic for record in stored] == [record.topic for record in sent]
    assert [group.seq for group in found] == list(range(1, len(turns) + 1))


# -- full and broken disks -------------------------------------------------------------------------------------------


def fill_until_refused(journal: Journal) -> StoreError:
    """Append until the disk is full."""
    with pytest.raises(StoreError) as caught:
        fill(journal, 1000)
    return caught.value


def test_a_full_disk_is_said_and_waited_out(journal: Journal, tmp_path: Path) -> None:
    """It is retryable, names the file, writes nothing, and the same group goes in once there is space."""
    fill(journal, 3)
    assert journal._connection is not None
    with full_disk(journal._connection, pages=3):
        error = fill_until_refused(journal)
        full_at = journal.last_seq
        for _ in range(3):
            assert fill_until_refused(journal).retryable
        assert journal.last_seq == full_at
        assert read_all(journal.reader()) == groups(1, full_at)
        left = as_left_by_a_crash(tmp_path / "journal", tmp_path / "left")
    assert error.retryable
    assert "the disk is full" in str(error)
    assert ".db" in str(error)
    fill(journal, 30)
    assert read_all(journal.reader()) == groups(1, full_at + 30)
    assert read_all(DirectoryReader(left)) == groups(1, full_at)


def test_after_an_io_error_nothing_more_is_written(tmp_path: Path) -> None:
    """A second fsync could report what the first one lost as safe: every append is refused, until a restart."""
    directory = tmp_path / "journal"
    journal = Journal(directory)
    fill(journal, 6)
    with broken_disk(directory), pytest.raises(StoreError, match="I/O error") as caught:
        fill(journal, 100)
    assert not caught.value.retryable
    reached = journal.last_seq
    with pytest.raises(StoreError, match="I/O error: sensord must stop now"):
        fill(journal, 1)
    left = as_left_by_a_crash(directory, tmp_path / "left")
    journal.close()
    with closing(Journal(left)) as again:
        assert read_all(again.reader()) == groups(1, reached)
        fill(again, 30)
        assert read_all(again.reader()) == groups(1, reached + 30)


# -- what crashes leave behind ---------------------------------------------------------------------------------------


def test_ten_kills_lose_nothing_that_was_committed(tmp_path: Path) -> None:
    """SIGKILL at any moment, ten times over: every group said to be committed is there, whole, and none half."""
    dice, directory, reached = random.Random(10), tmp_path / "journal", 0
    for turn in range(10):
        with running(tmp_path / f"log-{turn}", "writer", str(directory)) as child:
            child.wait_for(dice.randrange(1, 40))
            child.kill()
            said = [int(line) for line in child.said]
        assert said == list(range(reached + 1, said[-1] + 1)), "each start goes on where the one before was killed"
        with closing(Journal(directory)) as journal:
            reached = journal.last_seq
            assert reached in (said[-1], said[-1] + 1), "only the last commit can be unsaid"
            assert read_all(journal.reader(), limit=256) == groups(1, reached)
    assert len(names(directory)) > 3


def test_what_a_crash_left_in_an_older_files_log_counts(tmp_path: Path) -> None:
    """A day file whose groups are still in its write-ahead log is read whole after a restart."""
    with closing(Journal(tmp_path / "journal")) as journal:
        fill(journal, LAST[1])
        old = as_left_by_a_crash(tmp_path / "journal", tmp_path / "old")
        fill(journal, 5)
        left = as_left_by_a_crash(tmp_path / "journal", tmp_path / "left")
    for path in old.iterdir():
        (left / path.name).write_bytes(path.read_bytes())
    log = left / (names(old)[-1] + "-wal")
    assert log.stat().st_size
    assert log.name != f"{names(left)[-1]}-wal"
    with closing(Journal(left)) as journal:
        assert not log.exists() or not log.stat().st_size
        assert read_all(journal.reader()) == groups(1, LAST[1] + 5)


def test_a_log_without_its_file_is_not_overwritten(tmp_path: Path) -> None:
    """A write-ahead log whose database is gone holds groups; nothing may begin on top of it."""
    journal = Journal(tmp_path)
    (tmp_path / "journal-2023-11-15.db-wal").write_bytes(b"groups")
    with pytest.raises(StoreError, match="is there without its journal file"):
        fill(journal, 1)
    journal.close()
    assert (tmp_path / "journal-2023-11-15.db-wal").read_bytes() == b"groups"


# -- pruning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep", "now", "needed", "first"),
    [
        (DAY, days_later(100), 101, 66),
        (2 * DAY, days_later(100), 101, 42),
        (30 * DAY, days_later(100), 101, 1),
        (DAY, days_later(100, 30), 101, 90),
        (0, days_later(100, 30), 42, 42),
        (0, days_later(100, 30), 41, 18),
        (0, days_later(100, 30), 1, 1),
        (0, days_later(100, 3000), 10_000, 90),
        (DAY, days_later(1), 101, 1),
    ],
    ids=["day", "two-days", "month", "all-old", "needed", "needed-end", "all-needed", "newest-stays", "clock-back"],
)
def test_pruning_keeps_what_is_young_or_needed(tmp_path: Path, keep: int, now: int, needed: int, first: int) -> None:
    """Whole files go, oldest first, when past their keeping and not needed; the newest never; the rest reads on."""
    journal = Journal(tmp_path)
    fill(journal, 100)
    deleted = journal.prune(keep, now, needed)
    assert len(deleted) == sum(end < first for end in LAST)
    assert not [path for path in tmp_path.iterdir() if any(path.name.startswith(gone.name) for gone in deleted)]
    assert (journal.first_seq, journal.last_seq) == (first, 100)
    assert read_all(journal.reader()) == groups(first, 100)
    fill(journal, 30)
    journal.close()
    with closing(Journal(tmp_path)) as again:
        assert read_all(again.reader()) == groups(first, 130)


@pytest.mark.parametrize(("most", "needed", "first"), [(0, 101, 90), (0, 43, 42), (1 << 30, 101, 1)])
def test_a_journal_that_is_too_large_gives_up_its_oldest_days(
    tmp_path: Path, most: int, needed: int, first: int
) -> None:
    """However much it takes, neither the current file goes nor what the core needs."""
    made(tmp_path, 100)
    with closing(Journal(tmp_path)) as journal:
        before = journal.size
        deleted = journal.prune_to_size(most, needed)
        assert journal.first_seq == first
        assert (journal.size < before) is bool(deleted)
        assert read_all(journal.reader(), after=first - 1) == groups(first, 100)


def test_a_lone_file_is_never_pruned(journal: Journal) -> None:
    """Without it the numbering and the journal's time would begin anew."""
    fill(journal, 5)
    assert journal.prune(0, days_later(5, 1000), 1000) == []
    assert journal.last_seq == 5


@pytest.mark.parametrize("also", [("-wal", "-shm"), ("-wal",), ()], ids=["all", "log", "none"])
def test_a_crash_while_pruning_leaves_nothing_that_hurts(tmp_path: Path, also: tuple[str, ...]) -> None:
    """The database goes first: left-over logs of a deleted day change nothing at the next start."""
    made(tmp_path, 60)
    oldest = day_files(tmp_path)[0]
    oldest.unlink()
    for suffix in also:
        oldest.with_name(oldest.name + suffix).write_bytes(b"left over")
    with closing(Journal(tmp_path)) as journal:
        fill(journal, 10)
        assert read_all(journal.reader()) == groups(18, 70)


@pytest.mark.parametrize("ask", [lambda j: j.first_seq, lambda j: j.last_seq, lambda j: j.last_received_at])
def test_an_empty_journal_says_nought(journal: Journal, ask: Callable[[Journal], int]) -> None:
    """Before the first group there is neither a group nor a time, and nothing to read."""
    assert ask(journal) == 0
    assert journal.reader().read(0) == []
    assert journal.prune(0, days_later(1), 1) == []


# -- the file is no longer at its name -------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["moved", "deleted", "log", "replaced", "copied"])
def test_nothing_goes_into_a_file_that_nobody_will_find(tmp_path: Path, what: str) -> None:
    """Its directory moved away, the file or its log deleted, another put in its place: refused for good, and said."""
    place = tmp_path / "state" / "journal"
    journal = Journal(place)
    fill(journal, 3)
    (path,) = day_files(place)
    match what:
        case "moved":
            place.parent.rename(tmp_path / "away")
        case "deleted":
            path.unlink()
        case "log":
            path.with_name(path.name + "-wal").unlink()
        case "replaced":
            path.rename(tmp_path / "aside")
            path.write_bytes(b"")
        case _:
            copy = tmp_path / "copy"
            copy.write_bytes(path.read_bytes())
            copy.replace(path)
    for _ in range(2):
        with pytest.raises(StoreError, match="was moved, deleted or replaced") as caught:
            fill(journal, 1)
        assert not caught.value.retryable
    assert journal.last_seq == 3
    assert Findings(place).texts, "the next start tells people"
    journal.close()
