"""Small files are written durably and as a whole: after a power cut there is the old content or the new one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sensord.config.files import PRIVATE, move_aside, write_whole


def test_content_and_name_are_synced_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content before it gets the name, the name before we say that it is there."""
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        done.append("directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "content")
        sync(handle)

    def renamed(path: Path, target: Path) -> Path:
        done.append("name")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", renamed)
    write_whole(tmp_path / "key", b"secret", PRIVATE)
    assert done == ["content", "name", "directory"]
    assert (tmp_path / "key").read_bytes() == b"secret"


def test_a_private_file_is_private_whatever_it_was(tmp_path: Path) -> None:
    """Its mode is ours; a file of the configuration keeps the mode that its owner gave it."""
    path = tmp_path / "key"
    path.write_bytes(b"")
    path.chmod(0o644)
    write_whole(path, b"rules")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    write_whole(path, b"secret", PRIVATE)
    assert stat.S_IMODE(path.stat().st_mode) == PRIVATE
    assert [one.name for one in tmp_path.iterdir()] == ["key"]


def test_what_is_set_aside_is_kept(tmp_path: Path) -> None:
    """Under a name that says when."""
    path = tmp_path / "key"
    path.write_bytes(b"torn")
    assert move_aside(path, 7).read_bytes() == b"torn"
    assert [one.name for one in tmp_path.iterdir()] == ["key.damaged-7"]
