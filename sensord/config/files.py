"""Reads a bounded part of a regular file, and never waits: a pipe or a device in its place is refused at once."""

from __future__ import annotations

import os
import stat
from pathlib import Path


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
