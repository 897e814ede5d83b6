"""Small files: read in bounds and without waiting (a pipe is refused at once), written durably and as a whole.

What is written here is the old content or the new one after a power cut, never an empty file or a piece of one.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

PRIVATE = 0o600
"""The mode of what only the daemon's user may read."""
ASIDE = ".damaged-"
"""What stands in a name between that of a file and when (ns) it was set aside."""


def read_regular(path: Path, limit: int) -> tuple[bytes, int]:
    """Return up to ``limit`` bytes and the file's mode; raises ``OSError`` with a readable ``strerror``."""
    try:
        # O_NONBLOCK: opening a pipe would otherwise wait for somebody to write into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:
        raise OSError(0, "its name holds a NUL character") from error
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(0, "it is not a regular file")
        return file.read(limit), mode


def open_own(path: Path) -> int:
    """Open a file to read and write, and make it (0600) unless it is there; raises ``OSError``.

    One that root makes belongs to whoever owns the folder: the daemon must not be locked out by a command.
    """
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, PRIVATE)  # never what somebody has laid there
    except FileExistsError:
        return os.open(path, flags)
    _hand_over(descriptor, path.parent)
    return descriptor


def _hand_over(descriptor: int, like: Path) -> None:
    """Let what root writes belong to the owner of a file or folder; nobody else may, or needs to, do that."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def write_whole(path: Path, content: bytes, mode: int | None = None) -> None:
    """Put a file there durably, whole or not at all; raises ``OSError``.

    An existing file keeps its owner, and its mode unless another is given; a new one that root makes belongs to whoever
    owns the folder.
    """
    before = path.stat() if path.exists() else None
    wanted = mode if mode is not None else stat.S_IMODE(before.st_mode) if before is not None else 0o640
    stage = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(stage, flags, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        _hand_over(file.fileno(), path if before is not None else path.parent)
        os.fchmod(file.fileno(), wanted)
        file.flush()
        os.fsync(file.fileno())
    stage.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make created, renamed and removed names durable; raises ``OSError``."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move_aside(path: Path, now: int) -> Path:
    """Keep a damaged file under a name that says when (ns); returns that name. Raises ``OSError``."""
    aside = path.with_name(f"{path.name}{ASIDE}{now}")
    path.replace(aside)
    sync_directory(path.parent)
    return aside
