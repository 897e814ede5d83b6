"""Files of the configuration: read in bounds and without waiting (a pipe is refused at once), written as a whole."""

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


def write_whole(path: Path, content: bytes) -> None:
    """Put a file there durably, whole or not at all; an existing one keeps its mode. Raises ``OSError``."""
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o640
    stage = path.with_name(f".{path.name}.new")
    descriptor = os.open(stage, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    stage.replace(path)
