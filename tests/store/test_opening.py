"""What a daemon remembers, opened in whatever state it is: what was lost is said, nothing is said twice unmarked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from sensord.core.site import Step
from sensord.store import sqlite
from sensord.store.dayfile import SCHEMA, day_files, day_path
from sensord.store.findings import forget
from sensord.store.journal import Journal
from sensord.store.lost import Lost
from sensord.store.opening import Stores, open_stores
from sensord.store.sqlite import open_writer
from sensord.store.state import FIRST_START, StateStore
from sensord.telemetry.metrics import PrometheusMeter
from tests.store.parts import as_left_by_a_crash, change, made, records_of

GROUPS = 80


@pytest.fixture
def lived(tmp_path: Path) -> Path:
    """A state directory whose journal has four days, all of it applied."""
    made(tmp_path / "journal", GROUPS)
    with closing(StateStore(tmp_path)) as state:
        state.apply(_step(GROUPS))
    return tmp_path


def _step(seq: int) -> Step:
    return Step(seq, records_of(seq)[-1].received_at)


@contextmanager
def opened(directory: Path) -> Iterator[Stores]:
    """As a daemon opens them."""
    stores = open_stores(directory, "Asia/Shanghai", PrometheusMeter())
    try:
        yield stores
    finally:
        stores.journal.close()
        stores.state.close()


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _blank(path: Path) -> None:
    path.unlink()
    change(path, "VACUUM")
    change(path, "PRAGMA user_version=0")


def _fresh(path: Path) -> None:
    """A database with all its tables and nothing in them."""
    path.unlink()
    StateStore(path.parent).close()


@pytest.mark.parametrize("damage", [_emptied, _blank])
def test_a_state_that_was_emptied_is_lost(lived: Path, damage: Callable[[Path], None]) -> None:
    """It is no first start: the file is set aside, its log with it, and what was decided before is in doubt."""
    damage(lived / "state.db")
    (lived / "state.db-wal").write_bytes(b"what was written last")
    with opened(lived) as stores:
        assert "the damaged state was moved" in stores.lost
        assert stores.state.applied == 0
        assert stores.state.doubt > stores.journal.last_received_at
    assert list(lived.glob("state.db.damaged-*[0-9]"))
    logs = [log.read_bytes() for log in lived.glob("state.db.damaged-*-wal")]
    assert logs == ([b"what was written last"] if damage is _emptied else []), "SQLite drops what is no log at all"


def test_a_newest_day_that_is_missing_is_the_journals_loss(tmp_path: Path) -> None:
    """The state is of this journal, less its end: it is kept, and the journal goes on behind it."""
    made(tmp_path / "journal", GROUPS)
    with closing(StateStore(tmp_path)) as state:
        for seq in (GROUPS // 2, GROUPS):
            state.apply(_step(seq))
            state.save_snapshot(seq, b"the core")
    day_files(tmp_path / "journal")[-1].unlink()
    with opened(tmp_path) as stores:
        assert stores.lost == ""
        assert f"to {GROUPS} are lost" in stores.damage
        assert (stores.state.applied, stores.journal.last_seq) == (GROUPS, GROUPS)
    with opened(tmp_path) as stores:
        assert f"to {GROUPS} are lost" in stores.damage, "nobody was told by then"
    forget(tmp_path / "journal")
    with opened(tmp_path) as stores:
        assert (stores.lost, stores.damage) == ("", ""), "it is told of once"


def test_a_newest_day_that_has_left_its_log_is_the_journals_loss(tmp_path: Path) -> None:
    """As it is after a crash; the log is set aside, the state is kept, and the day's file is begun anew behind it."""
    with closing(Journal(tmp_path / "lived" / "journal")) as journal, closing(StateStore(tmp_path / "lived")) as state:
        for seq in range(1, GROUPS + 1):
            journal.append(records_of(seq))
            if seq in (GROUPS // 2, GROUPS):
                state.apply(_step(seq))
                state.save_snapshot(seq, b"the core")
        crashed = as_left_by_a_crash(tmp_path / "lived", tmp_path / "crashed")
    day = day_files(crashed / "journal")[-1]
    log = day.with_name(f"{day.name}-wal").read_bytes()
    day.unlink()
    for _ in range(2):
        with opened(crashed) as stores:
            assert f"{day.name} is gone, and has left its log" in stores.damage
            assert (stores.lost, stores.state.applied) == ("", GROUPS)
            assert stores.journal.append(records_of(stores.journal.last_seq + 1)) == stores.journal.last_seq
    (aside,) = (crashed / "journal").glob(f"{day.name}.damaged-*-wal")
    assert aside.read_bytes() == log


def test_a_day_that_goes_after_another_was_set_aside_is_the_journals_loss(tmp_path: Path) -> None:
    """What it leaves is no log of the one that was set aside before, under the same name."""
    with closing(Journal(tmp_path / "lived" / "journal")) as journal:
        journal.append(records_of(1))
        (day,) = day_files(journal.directory)
        aside = day.with_name(f"{day.name}.damaged-{time.time_ns()}")
        aside.touch()
        journal.append(records_of(2))
        crashed = as_left_by_a_crash(tmp_path / "lived", tmp_path / "crashed")
    (crashed / "journal" / day.name).unlink()
    with opened(crashed) as stores:
        assert f"{day.name} is gone, and has left its log" in stores.damage
    assert not (crashed / "journal" / f"{aside.name}-wal").exists()


def test_the_log_of_a_day_that_was_deleted_is_no_loss(tmp_path: Path) -> None:
    """A crash may come between a day's file and its log; that goes when what it holds is past its keeping."""
    made(tmp_path / "journal", GROUPS)
    day = day_files(tmp_path / "journal")[0]
    day.rename(day.with_name(f"{day.name}-wal"))
    with opened(tmp_path) as stores:
        assert stores.damage == ""
    assert day.with_name(f"{day.name}-wal").exists()


def test_the_journal_of_another_street_is_not_ours_though_it_is_shorter(tmp_path: Path) -> None:
    """Its groups are of other instants: what came of ours says nothing of them."""
    made(tmp_path / "journal", GROUPS)
    with closing(StateStore(tmp_path)) as state:
        for seq in (GROUPS // 2, 2 * GROUPS):
            state.apply(Step(seq, records_of(seq)[-1].received_at + 1))
            state.save_snapshot(seq, b"the core")
    with opened(tmp_path) as stores:
        assert "of another journal" in stores.lost


def test_a_state_that_knows_nothing_of_a_long_journal_is_lost(lived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that journaled so much has applied some of it; one that died in its first moments has not."""
    _fresh(lived / "state.db")
    assert GROUPS < FIRST_START
    with opened(lived) as stores:
        assert (stores.lost, stores.state.doubt) == ("", 0), "a crash in the first start"
    monkeypatch.setattr("sensord.store.state.FIRST_START", GROUPS - 1)
    with opened(lived) as stores:
        assert "it has applied nothing" in stores.lost
        assert stores.state.doubt > 0


def test_a_crash_while_a_lost_state_is_made_again_changes_nothing(lived: Path) -> None:
    """The next start knows still what is in doubt, and says so, until it has come to what is new."""
    (lived / "state.db").unlink()
    with opened(lived) as stores:
        assert (stores.lost, stores.anew) == ("the state database was gone", True)
        doubt = stores.state.doubt
    with opened(lived) as stores:
        assert (stores.lost, stores.anew) == ("the state was lost, and is not made again yet", False)
        assert stores.state.doubt == doubt
        stores.state.apply(_step(10))
    with opened(lived) as stores:
        assert (bool(stores.lost), stores.state.doubt, stores.state.applied) == (True, doubt, 10)
        stores.state.apply(Step(GROUPS, doubt))
    with opened(lived) as stores:
        assert stores.lost == ""


def test_a_first_start_has_nothing_in_doubt(tmp_path: Path) -> None:
    """Nor has one after it."""
    for _ in range(2):
        with opened(tmp_path) as stores:
            assert (stores.lost, stores.damage, stores.state.doubt) == ("", "", 0)


def test_what_a_crash_left_of_a_new_file_is_no_obstacle(lived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file gets its name once it has its tables; what was begun before is begun again."""

    def crash(_part: Path, _path: Path) -> None:
        raise KeyboardInterrupt

    day = day_files(lived / "journal")[-1]
    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "put_in_place", crash)
        with closing(Journal(lived / "journal")) as journal, pytest.raises(KeyboardInterrupt):
            journal.append(records_of(GROUPS + 24))
    assert day_files(lived / "journal")[-1] == day
    with opened(lived) as stores:
        assert (stores.lost, stores.damage) == ("", "")
        assert stores.journal.append(records_of(GROUPS + 24)) == GROUPS + 1
    assert day_files(lived / "journal")[-1] > day
    assert not list(lived.rglob("*.new*"))


@pytest.mark.parametrize("number", [0, 1, 3], ids=["oldest", "between", "newest"])
def test_a_day_that_was_emptied_is_damage_of_the_journal(lived: Path, number: int) -> None:
    """The state that came of it is kept, what is known to be lost is named, and the file with its log is set aside."""
    day = day_files(lived / "journal")[number]
    _emptied(day)
    day.with_name(f"{day.name}-wal").write_bytes(b"the last groups")
    with opened(lived) as stores:
        assert day.name in stores.damage
        assert (stores.lost, stores.state.applied) == ("", GROUPS)
        assert stores.journal.append(records_of(GROUPS + 1)) == GROUPS + 1
    assert bool(Lost.load(lived / "journal").stretches) is bool(number)
    (log,) = (lived / "journal").glob(f"{day.name}.damaged-*-wal")
    assert log.read_bytes() == b"the last groups"


class _ShotError(Exception):
    """What stands for a SIGKILL."""


@pytest.mark.parametrize("by_size", [False, True], ids=["past its keeping", "too large"])
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_days_are_deleted_oldest_first_the_empty_ones_too(
    lived: Path, monkeypatch: pytest.MonkeyPatch, nth: int, by_size: bool
) -> None:
    """A crash may leave days without a group; whenever the next comes between a day and its log, nothing is lost."""
    folder = lived / "journal"
    for day in ("2000-01-01", "2000-01-02"):
        open_writer(day_path(folder, day), SCHEMA).close()
    for path in day_files(folder)[:-1]:
        path.with_name(f"{path.name}-wal").write_bytes(b"left over")
    calls = count(1)

    def shoot(_directory: Path) -> None:
        if next(calls) == nth:
            raise _ShotError

    with closing(Journal(folder)) as journal:
        monkeypatch.setattr("sensord.store.journal.sync_directory", shoot)
        old = partial(journal.prune, 0, journal.last_received_at + 1, GROUPS + 1)
        delete = partial(journal.prune_to_size, 0, GROUPS + 1) if by_size else old
        with pytest.raises(_ShotError):
            delete()
    monkeypatch.undo()
    with opened(lived) as stores:
        assert stores.damage == ""
