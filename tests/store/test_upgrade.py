"""State directories of every released version are opened by this one; newer ones are refused.

``released/VERSION.tar.xz`` was made by that version's own code: a journal of two lanes over two minutes, what its core
decided (``decisions.jsonl`` holds the bytes), a saved state, a cursor, roll-ups, and notifications that were sent.
"""

from __future__ import annotations

import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sensord.config.settings import Rollups
from sensord.core.cases.case import State
from sensord.core.instant import DAY, HOUR
from sensord.core.points import Points
from sensord.core.site import Site
from sensord.drivers.replay import journal_groups
from sensord.errors import SnapshotError, StoreError
from sensord.store.dayfile import SCHEMA
from sensord.store.journal import Journal
from sensord.store.passages import tallies
from sensord.store.reader import DirectoryReader
from sensord.store.rollups import RollupSink
from sensord.store.sqlite import Schema, has_tables, open_reader, open_writer
from sensord.store.state import StateStore
from sensord.store.tables import STATE
from tests.store.parts import change

STAGES = {b"open": b"dispatched", b"acknowledged": b"handling", b"clear": b"verifying"}
RELEASED = sorted(Path(__file__).with_name("released").glob("*.tar.xz"))


@pytest.fixture(params=RELEASED, ids=lambda path: path.name.removesuffix(".tar.xz"))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A state directory as a released version left it."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path / "state", filter="data")
    return tmp_path / "state"


def test_nothing_that_was_decided_is_lost(old: Path) -> None:
    """Alerts, cases, notifications and cursors are what they were, and the file is not taken for a damaged one."""
    state, lost = StateStore.open_or_set_aside(old, 0, 121)
    with closing(state):
        assert not lost
        # That version wrote them group by group in another order, and called the stages by other names.
        decided = (old / "decisions.jsonl").read_bytes()
        for was, is_now in STAGES.items():
            decided = decided.replace(b'"state":"%b"' % was, b'"state":"%b"' % is_now)
        assert sorted(state.decisions().splitlines()) == sorted(decided.splitlines()) != []
        assert state.applied == 121
        assert state.outbox.totals()["sent"] == 3
        cursor = state.load("influxdb")
        assert cursor is not None
        assert (cursor.seq, cursor.checkpoint) == (50, 50)
        assert state.keeping.prune(1 << 62, 1 << 62) > 0
    with closing(open_reader(old / "state.db", STATE)) as connection:
        assert has_tables(connection, STATE)


def test_its_cases_can_be_read(old: Path) -> None:
    """With their stories, by everything that reads them: the stages are today's, who was told is the ledger."""
    with closing(StateStore(old)) as state:
        (case,) = state.history.cases("all", 10)
        assert (case.state, list(case.told)) == (State.CLOSED, ["志愿者-1", "居委干部-1", "派出所-1"])
        assert [(line.role, line.number) for line in case.told.values()] == [
            ("volunteer", 0),
            ("cadre", 1),
            ("police", 2),
        ]
        events = state.history.events(case.id)
        assert len(events) == case.events
        assert events[0].state is State.DISPATCHED
        assert len(state.between(0, 121)) == len(events) + 4
        assert state.history.messages(case.id)
        assert state.history.holds(case.id) == []


def test_a_case_that_was_open_is_carried_over(old: Path) -> None:
    """One that somebody had acknowledged is being handled; nothing that was pending is taken for something else."""
    text = "json_set(CAST(json AS TEXT), '$.state', 'acknowledged', '$.pending', json('[[5, 1]]'), '$.closed_at', 0)"
    change(old / "state.db", f"UPDATE cases SET closed_at = 0, json = CAST({text} AS BLOB)")
    with closing(StateStore(old)) as state:
        (case,) = state.cases()
    assert (case.state, case.pending) == (State.HANDLING, [])


@pytest.mark.parametrize("table", ["cases", "case_events", "transitions", "outbox"])
def test_a_row_that_is_not_what_was_written_stops_no_upgrade(old: Path, table: str) -> None:
    """It stays as it is; what is beside it is carried over."""
    key = "key" if table == "outbox" else "id"
    change(old / "state.db", f"UPDATE {table} SET json = x'7b' WHERE {key} = (SELECT min({key}) FROM {table})")
    state, lost = StateStore.open_or_set_aside(old, 0, 121)
    with closing(state):
        assert not lost
        assert len(state.history.cases("all", 10)) == (table != "cases")
        assert state.decisions().splitlines().count(b"{") == (table != "cases")


def test_a_saved_state_of_another_version_is_refused_whole(old: Path) -> None:
    """A core state of another version is not guessed at: the journal is stepped again instead."""
    with closing(StateStore(old)) as state:
        saved = next(state.saved())
    with pytest.raises(SnapshotError):
        Site.restored(saved.state)


def test_a_decoder_of_another_version_is_refused(old: Path) -> None:
    """Its sink's cursor is kept; the decoder's state is made again from the journal, not guessed at."""
    with closing(StateStore(old)) as state:
        cursor = state.load("influxdb")
    assert cursor is not None
    assert cursor.state
    with pytest.raises(SnapshotError):
        Points().restore(cursor.state)


def test_its_journal_goes_on(old: Path) -> None:
    """Every group is read, its definition is understood, its readings count, and new groups follow."""
    site, accepted = Site(), 0
    for group in journal_groups(DirectoryReader(old / "journal")):
        step = site.step(group)
        assert step.dead == []
        accepted += sum(amount for (_, outcome), amount in step.counts.items() if outcome == "accepted")
    assert accepted == 240
    with closing(Journal(old / "journal")) as journal:
        (last,) = journal.reader().read(120, 1)
        assert journal.append(last.records) == 122
    newest = max((old / "journal").glob("*.db"))
    with closing(sqlite3.connect(newest)) as connection:  # the version that wrote it would not understand the rest
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA.version,)


def test_its_roll_ups_go_on(old: Path) -> None:
    """The minutes are there, and the cursor with them."""
    sink = RollupSink(old, Rollups(), lambda: None)
    assert sink.lost is None
    assert sum(slot.count for slot in sink.series("crowd", "count", {}, 0, 1 << 62, "minute")) == 240


@pytest.mark.parametrize(
    ("file", "opened"),
    [
        ("state.db", lambda old: StateStore.open_or_set_aside(old, 0, 121)),
        ("rollups.db", lambda old: RollupSink(old, Rollups(), lambda: None)),
        ("journal/journal-2026-09-21.db", lambda old: Journal(old / "journal")),
    ],
)
def test_a_newer_file_is_refused_and_left_alone(old: Path, file: str, opened: Callable[[Path], object]) -> None:
    """Going back to an older program must not cost what the newer one wrote."""
    change(old / file, "PRAGMA user_version=99")
    before = (old / file).read_bytes()
    with pytest.raises(StoreError, match=r"written by a newer sensord \(file version 99"):
        opened(old)
    assert (old / file).read_bytes() == before


def test_an_upgrade_that_fails_changes_nothing(old: Path) -> None:
    """It is one transaction: the file is the old one still, and the next attempt starts afresh."""
    copy = old / "copy.db"
    shutil.copy(old / "state.db", copy)
    bad = Schema(STATE.application_id, 99, (*STATE.statements, "CREATE INDEX broken ON nothing (at)"))
    with pytest.raises(StoreError):
        open_writer(copy, bad)
    version, tables = ("PRAGMA user_version", "SELECT count(*) FROM sqlite_master WHERE name = 'before_migration'")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute(version).fetchone() == (1,)
        assert connection.execute(tables).fetchone() == (0,)


def test_passages_that_were_counted_by_the_hour_are_kept(tmp_path: Path) -> None:
    """File version 3 counted by the hour: each count stands in the first quarter of its hour, and is not lost."""
    StateStore(tmp_path).close()
    columns = "gate TEXT, direction TEXT, sort TEXT, province TEXT, energy TEXT, count INTEGER NOT NULL"
    for statement in (
        "DROP TABLE passages",
        f"CREATE TABLE passages (hour INTEGER, {columns}, PRIMARY KEY (hour, gate)) WITHOUT ROWID",
        f"INSERT INTO passages VALUES ({HOUR}, 'C1-N', 'in', 'local', '沪', 'fuel', 7)",
        "DROP TABLE blind",
        "PRAGMA user_version=3",
    ):
        change(tmp_path / "state.db", statement)
    StateStore(tmp_path).close()
    with tallies(tmp_path) as stored:
        (kept,) = stored.counts(0, DAY)
    assert (kept.start, kept.gate, kept.count) == (HOUR, "C1-N", 7)
