"""What was set aside as damaged goes when what it holds is past its keeping: not before, and all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensord.core.instant import DAY, HOUR, parse_instant
from sensord.errors import StoreError
from sensord.store.damage import set_aside
from sensord.store.expiry import expire

ZONE = "Asia/Shanghai"
DAY_END = parse_instant("2026-11-25T00:00:00", ZONE)
JOURNAL = "journal-2026-11-24.db"


def laid(directory: Path, name: str, at: int) -> Path:
    """Set a file and its logs aside at an instant."""
    for suffix in ("", "-wal", "-shm"):
        (directory / (name + suffix)).write_bytes(b"damaged")
    return set_aside(directory / name, at, "it is a test")


@pytest.mark.parametrize(
    ("name", "aside_at", "newest"),
    [
        (JOURNAL, DAY_END + 9 * DAY, DAY_END),
        (JOURNAL, DAY_END - HOUR, DAY_END - HOUR),
        ("state.db", DAY_END + 9 * DAY, DAY_END + 9 * DAY),
        ("rollups.db", DAY_END, DAY_END),
    ],
    ids=["journal-later", "journal-on-its-day", "state", "rollups"],
)
def test_a_damaged_file_goes_with_what_it_holds(tmp_path: Path, name: str, aside_at: int, newest: int) -> None:
    """A journal's file by its day, others by when they were set aside; the logs go with it."""
    path = laid(tmp_path, name, aside_at)
    assert expire(tmp_path, newest, ZONE) == []
    assert len(list(tmp_path.iterdir())) == 3
    assert expire(tmp_path, newest + 1, ZONE) == [path]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [("-wal", "-shm"), ("-shm",)])
def test_what_a_crash_left_goes_too(tmp_path: Path, left: tuple[str, ...]) -> None:
    """Logs without their file: of a deleted day, and of a damaged file half deleted."""
    for name in (JOURNAL, f"{JOURNAL}.damaged-{DAY_END}"):
        for suffix in left:
            (tmp_path / (name + suffix)).write_bytes(b"left over")
    assert expire(tmp_path, DAY_END, ZONE) == []
    assert len(expire(tmp_path, DAY_END + 1, ZONE)) == 2
    assert list(tmp_path.iterdir()) == []


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    """Neither a good file with its logs nor what only looks alike, however old."""
    names = [JOURNAL, f"{JOURNAL}-wal", "state.db", "state.db-wal", "notes.damaged-yesterday", "lost.json"]
    for name in names:
        (tmp_path / name).write_bytes(b"good")
    assert expire(tmp_path, DAY_END + 1000 * DAY, ZONE) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_file_that_cannot_be_deleted_is_an_error(tmp_path: Path) -> None:
    """It names the file, and what is wrong."""
    (tmp_path / f"state.db.damaged-{DAY_END}").mkdir()
    with pytest.raises(StoreError, match=r"state\.db\.damaged-.* cannot be deleted"):
        expire(tmp_path, DAY_END + 1, ZONE)
