"""Experiments with power cuts: the journal and the state database, by their own code, on a disk that loses power."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from unittest import mock

from sensord.core.intake.reader import DeadLetter
from sensord.core.site import Step
from sensord.errors import StoreError
from sensord.store import sqlite
from sensord.store.journal import Journal
from sensord.store.past import Past
from sensord.store.state import StateStore
from tests.faults.disk import Connection, Disk
from tests.faults.tally import Row
from tests.store.parts import groups, read_all, records_of

LIVES = 3
"""Power cuts in a row on the same files."""
GROUPS = 40
_SETUP = ("PRAGMA wal_autocheckpoint=15",)
"""The log is folded into the file every 1,000 pages in the field: seldom, for a test that writes few."""


class _Life:
    """What was acknowledged before the power went."""

    def __init__(self) -> None:
        self.journaled = self.applied = 0


def power_cuts(directory: Path, seeds: int, first: int = 0, *, weak: bool = False) -> Row:
    """Cut the power ``LIVES`` times for each seed; returns what of the acknowledged rows was gone.

    ``weak`` opens the files with ``synchronous=NORMAL`` instead of FULL: what the experiment must notice.
    """
    row = Row("power cut (below SQLite)", seeds * LIVES)
    acknowledged = 0
    for seed in range(first, first + seeds):
        dice, place = random.Random(seed), directory / f"{seed}-0"
        reached = _Life()
        for life in range(LIVES):
            disk, before = Disk(dice, dice.randrange(5, 600)), reached.journaled
            _live(place, disk, reached, weak=weak)
            acknowledged += reached.journaled - before
            place = _after(disk, place, directory / f"{seed}-{life + 1}")
            lost = _lost(place, reached)
            row.lost += lost
            if lost:
                break
    row.remark = f"{acknowledged:,} groups acknowledged"
    return row


def _live(place: Path, disk: Disk, reached: _Life, *, weak: bool) -> None:
    """Journal and apply until the power goes."""
    opened: list[Connection] = []

    def connect(path: Path, _uri: str) -> Any:
        opened.append(Connection(path, disk, _SETUP, weak=weak))
        return opened[-1]

    def sync_directory(directory: Path) -> None:
        disk.sync_names(directory.absolute())

    patched = mock.patch.multiple(
        sqlite, _connect=connect, nearly_full=lambda _directory: False, sync_directory=sync_directory
    )
    with patched, suppress(StoreError):
        journal, state = Journal(place / "journal"), StateStore(place)
        for seq in range(state.applied + 1, journal.last_seq + 1):  # as the core does after a start
            _apply(seq, state, reached)
        while disk.left is None:
            _one(journal, state, reached)
    disk.cut()
    disk.over = True
    for connection in opened:
        connection.close()


def _one(journal: Journal, state: StateStore, reached: _Life) -> None:
    seq = journal.last_seq + 1
    if seq > GROUPS * LIVES:
        raise StoreError("that is enough")
    journal.append(records_of(seq))
    reached.journaled = seq
    _apply(seq, state, reached)


def _apply(seq: int, state: StateStore, reached: _Life) -> None:
    at = records_of(seq)[-1].received_at
    state.apply(Step(seq, at, dead=[DeadLetter(0, at, "t", "test", "x" * (seq % 7) * 300)]))
    reached.applied = seq
    if seq % 5 == 0:
        state.save_snapshot(seq, bytes(seq * 100))


def _after(disk: Disk, before: Path, place: Path) -> Path:
    """Lay what the disk has left into a new folder."""
    (place / "journal").mkdir(parents=True)
    for path in before.rglob("*.db"):
        if str(path.absolute()) not in disk.files:  # a name that the program made durable; SQLite has not touched it
            (place / path.relative_to(before)).write_bytes(path.read_bytes())
    for name, content in (disk.left or {}).items():
        (place / Path(name).relative_to(before.absolute())).write_bytes(content)
    return place


def _lost(place: Path, reached: _Life) -> int:
    """Open the files as the daemon does after a power cut; returns how many acknowledged groups or steps are gone."""
    try:
        with closing(Journal(place / "journal")) as journal:
            found = read_all(journal.reader(), limit=256)
        begun = (place / "state.db").exists()  # a state that is there is looked at, however little of the journal is
        state, new = StateStore.open_or_set_aside(place, 0, len(found), torn=begun)
    except StoreError:
        return reached.journaled
    with closing(state):
        snapshot = state.load_snapshot()
        applied = state.applied
    rows = Past(place).dead_letters(1000)
    assert found == groups(1, len(found)), "what is there is what was written, in order"
    assert not new
    lost = max(0, reached.journaled - len(found)) + max(0, reached.applied - applied)
    if not lost:
        assert snapshot is None or snapshot[1] == bytes(snapshot[0] * 100)
        assert len(rows) == applied, "an applied step is there as a whole"
        assert applied <= len(found), "what follows from a group is never there without the group"
    reached.journaled, reached.applied = len(found), applied
    return lost


def version() -> str:
    """Which SQLite the layer below was put under."""
    return f"{Connection.library()} (the program's own: {sqlite3.sqlite_version})"
