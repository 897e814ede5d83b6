"""A folder that is made beside its place and gets its name when it is whole and durable.

``.NAME.part`` is taken only where it is new, empty, or bears the mark of one that was cut off here: a link, or what
anybody else has put there, is left alone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sensord.config.files import sync_directory
from sensord.store.sqlite import create_file, prepare_directory, store_error

MARK = ".sensord-part"
"""The first file in the folder and the last to go: what is beside it is ours to delete."""


@contextmanager
def made_beside(target: Path) -> Iterator[Path]:
    """An empty folder for nobody but us, which is given the target's name when the block has ended well.

    Raises ``StoreError`` while another process makes one there, and where something else has that place.
    """
    part = target.with_name(f".{target.name}.part")
    with _claimed(part, target):
        try:
            yield part
        except BaseException:
            with suppress(OSError):
                _empty(part)
                (part / MARK).unlink()
                part.rmdir()
            raise
        part.rename(target)
        sync_directory(target.parent)
        (target / MARK).unlink()


@contextmanager
def _claimed(part: Path, target: Path) -> Iterator[None]:
    """Hold the folder, empty but for its mark; no other process takes it meanwhile."""
    if not os.path.lexists(part):
        prepare_directory(part)
    try:
        handle = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:  # a link, a file, or another user's
        raise _not_ours(part) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise store_error(f"{target}: another backup is being made there; wait for its end") from error
        if not _is_ours(part, handle):
            raise _not_ours(part)
        _begin(part)
        yield
    finally:
        os.close(handle)


def _is_ours(part: Path, handle: int) -> bool:
    """Whether it is the user's own, and empty or one that was cut off."""
    return os.fstat(handle).st_uid == os.geteuid() and ((part / MARK).exists() or not os.listdir(handle))


def _not_ours(part: Path) -> Exception:
    return store_error(
        f"{part}: a backup is made under this name first, but it is a link or holds something else; move it away"
    )


def _begin(part: Path) -> None:
    """Mark the folder, durably, before anything else is in it, and close it to others."""
    prepare_directory(part)
    _empty(part)
    create_file(part / MARK)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARK:
            path.unlink()
