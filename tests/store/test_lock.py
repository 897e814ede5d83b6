"""One daemon per state directory."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sensord.errors import LockedError, StoreError
from sensord.store.lock import StateLock
from tests.store.parts import running


def test_a_second_process_is_refused_by_name(tmp_path: Path) -> None:
    """Whoever comes second is told which process holds the directory, and what to do."""
    state = tmp_path / "state"
    lock = StateLock(state)
    with running(tmp_path / "log", "holder", str(state)) as child:
        assert child.process.wait(20) == 0
        (said,) = child.said
    lock.close()
    assert str(state) in said
    assert f"process {os.getpid()}" in said
    assert "state_dir of its own" in said


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    """While the holder lives the lock names it; after its SIGKILL the next one gets it at once."""
    state = tmp_path / "state"
    with running(tmp_path / "log", "holder", str(state)) as child:
        child.wait_for(1)
        assert child.said == ["held"]
        with pytest.raises(LockedError, match=rf"process {child.process.pid}\b") as caught:
            StateLock(state)
        child.kill()
    assert not caught.value.retryable
    StateLock(state).close()
    assert (state / "lock").read_text() == f"{os.getpid()}\n"


def test_closing_lets_go(tmp_path: Path) -> None:
    """After ``close`` the next one may hold the lock, in this process as well; closing twice does nothing."""
    first = StateLock(tmp_path)
    with pytest.raises(LockedError, match=str(os.getpid())):
        StateLock(tmp_path)
    first.close()
    second = StateLock(tmp_path)
    first.close()
    with pytest.raises(LockedError):
        StateLock(tmp_path)
    second.close()


def test_the_directory_is_made_private(tmp_path: Path) -> None:
    """A state directory that others could read is closed to them; a missing one is created."""
    state = tmp_path / "deep" / "state"
    StateLock(state).close()
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    state.chmod(0o755)
    StateLock(state).close()
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "lock").stat().st_mode) == 0o600


def test_a_directory_that_cannot_be_is_said(tmp_path: Path) -> None:
    """A file in the directory's place is an error that names it."""
    (tmp_path / "state").write_text("")
    with pytest.raises(StoreError, match="cannot be used as state directory"):
        StateLock(tmp_path / "state")


def test_a_directory_in_which_we_may_make_nothing_is_said(tmp_path: Path) -> None:
    """Another user's: whoever starts the daemon reads what to do, and no traceback."""
    (tmp_path / "state" / "lock").mkdir(parents=True)
    with pytest.raises(StoreError, match="create it for sensord's user"):
        StateLock(tmp_path / "state")


def test_a_holder_whose_directory_was_moved_is_still_seen(tmp_path: Path) -> None:
    """Content moved away, or the directory itself: who comes next is refused by name until the holder has ended."""
    state = tmp_path / "state"
    with running(tmp_path / "log", "holder", str(state)) as child:
        child.wait_for(1)
        state.rename(tmp_path / "away")
        with pytest.raises(LockedError, match=rf"process {child.process.pid}\b"):
            StateLock(state)
        (state / "lock").unlink()
        with pytest.raises(LockedError, match=rf"process {child.process.pid}\b"):
            StateLock(state)
        child.kill()
    StateLock(state).close()


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
def test_a_holder_finds_its_lock_gone(tmp_path: Path, how: str) -> None:
    """Moved with its directory, deleted, or another in its place: it knows that it is alone no more."""
    state = tmp_path / "state"
    lock = StateLock(state)
    before = lock.lost
    if how == "moved":
        state.rename(tmp_path / "away")
    else:
        (state / "lock").rename(tmp_path / "lock")
    if how == "replaced":
        (state / "lock").write_text("")
    assert (before, lock.lost) == (False, True)
    lock.close()


def test_however_many_have_asked_the_holder_is_there(tmp_path: Path) -> None:
    """Its directory has been moved; whoever starts where it was is refused each time."""
    lock = StateLock(tmp_path / "state")
    (tmp_path / "state").rename(tmp_path / "moved")
    for _ in range(70):
        with pytest.raises(LockedError):
            StateLock(tmp_path / "state")
    lock.close()
    StateLock(tmp_path / "state").close()
