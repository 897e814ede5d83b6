"""Experiments with power cuts: journal, state database and roll-ups, by their own code, on a disk that loses power."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from unittest import mock

from sensord.config.settings import Rollups
from sensord.core.intake.reader import DeadLetter
from sensord.core.point import Point
from sensord.core.site import Step
from sensord.errors import StoreError
from sensord.ports import Cursor
from sensord.store import sqlite
from sensord.store.journal import Journal
from sensord.store.past import Past
from sensord.store.rollups import RollupSink
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
        self.journaled = self.applied = self.counted = 0


def power_cuts(
    directory: Path, seeds: int, first: int = 0, *, weak: bool = False, sink: type[RollupSink] = RollupSink
) -> Row:
    """Cut the power ``LIVES`` times for each seed; returns what of the acknowledged rows was gone, or counted twice.

    ``weak`` opens the files with ``synchronous=NORMAL`` instead of FULL; that, and a ``sink`` that is not what it
    promises, the experiment must notice.
    """
    row = Row("power cut (below SQLite)", seeds * LIVES)
    acknowledged = points = 0
    for seed in range(first, first + seeds):
        dice, place = random.Random(seed), directory / f"{seed}-0"
        reached = _Life()
        for life in range(LIVES):
            disk, before = Disk(dice, dice.randrange(5, 600)), reached.journaled
            _live(place, disk, reached, sink, weak=weak)
            acknowledged += reached.journaled - before
            place = _after(disk, place, directory / f"{seed}-{life + 1}")
            lost, doubled = _harm(place, reached)
            row.lost += lost
            row.doubled += doubled
            points += reached.counted
            if lost or doubled:
                break
    row.remark = f"{acknowledged:,} groups acknowledged, roll-ups of {points:,} looked at"
    return row


def _live(place: Path, disk: Disk, reached: _Life, made: type[RollupSink], *, weak: bool) -> None:
    """Journal, apply and count until the power goes."""
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
        sink = made(place, Rollups(), lambda: None)
        for seq in range(state.applied + 1, journal.last_seq + 1):  # as the core does after a start
            _apply(seq, state, reached)
        for seq in range(_counted(sink) + 1, journal.last_seq + 1):  # as a sink does
            _count(seq, sink, reached)
        while disk.left is None:
            seq = _one(journal, state, reached)
            _count(seq, sink, reached)
    disk.cut()
    disk.over = True
    for connection in opened:
        connection.close()


def _one(journal: Journal, state: StateStore, reached: _Life) -> int:
    seq = journal.last_seq + 1
    if seq > GROUPS * LIVES:
        raise StoreError("that is enough")
    journal.append(records_of(seq))
    reached.journaled = seq
    _apply(seq, state, reached)
    return seq


def _count(seq: int, sink: RollupSink, reached: _Life) -> None:
    sink._write(points_of(seq), Cursor(seq, seq - seq % 7, bytes(seq % 7)))
    reached.counted = seq


def points_of(seq: int) -> list[Point]:
    """What a group's readings are for the roll-ups: of one to five lanes, as many as the number says."""
    at = records_of(seq)[-1].received_at
    return [Point("crowd", {"lane": f"L{lane}"}, {"count": seq}, at + lane) for lane in range(1, 2 + seq % 5)]


def _counted(sink: RollupSink) -> int:
    """The group up to which a sink has counted."""
    cursor = asyncio.run(sink.position())
    return cursor.seq if cursor is not None else 0


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


def _harm(place: Path, reached: _Life) -> tuple[int, int]:
    """Open the files as the daemon does after a power cut.

    Returns how many acknowledged groups, steps or points are gone, and how many points are counted twice.
    """
    try:
        with closing(Journal(place / "journal")) as journal:
            found = read_all(journal.reader(), limit=256)
        begun = (place / "state.db").exists()  # a state that is there is looked at, however little of the journal is
        state, new = StateStore.open_or_set_aside(place, 0, len(found), torn=begun)
    except StoreError:
        return reached.journaled, 0
    with closing(state):
        snapshot = next(state.saved(), None)
        applied = state.applied
    rows = Past(place).dead_letters(1000)
    assert found == groups(1, len(found)), "what is there is what was written, in order"
    assert not new
    lost, doubled = _rolled_up(place, reached)
    lost += max(0, reached.journaled - len(found)) + max(0, reached.applied - applied)
    if not lost:
        assert snapshot is None or snapshot.state == bytes(snapshot.seq * 100)
        assert len(rows) == applied, "an applied step is there as a whole"
        assert max(applied, reached.counted) <= len(found), "what follows from a group is never there without the group"
    reached.journaled, reached.applied = len(found), applied
    return lost, doubled


def _rolled_up(place: Path, reached: _Life) -> tuple[int, int]:
    """How many points are gone of those up to the cursor, and how many are counted twice; in minutes and in hours."""
    sink = RollupSink(place, Rollups(), lambda: None)
    counted = _counted(sink)
    wanted = [point for seq in range(1, counted + 1) for point in points_of(seq)]
    lost, doubled = max(0, reached.counted - counted), 0
    for slot in ("minute", "hour"):
        slots = sink.series("crowd", "count", {}, 0, 1 << 62, slot)
        there = sum(one.count for one in slots)
        lost += max(0, len(wanted) - there)
        doubled += max(0, there - len(wanted))
        if there == len(wanted):
            assert sum(one.total for one in slots) == sum(float(point.fields["count"]) for point in wanted)
    asyncio.run(sink.close())
    assert sink.lost is None, "the file is sound"
    reached.counted = counted
    return lost, doubled


def version() -> str:
    """Which SQLite the layer below was put under."""
    return f"{Connection.library()} (the program's own: {sqlite3.sqlite_version})"
