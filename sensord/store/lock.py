"""One daemon per state directory: a lock that the operating system drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sensord.config.files import open_own
from sensord.errors import LockedError
from sensord.store.sqlite import prepare_directory, unusable

FILE = "lock"


def holder(directory: Path) -> int | None:
    """Return the process that uses a state directory, as far as can be told without trying its lock; else None."""
    try:
        pid = int((directory / FILE).read_text(encoding="ascii"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if b"sensord" in command else None


class StateLock:
    """Held from construction to ``close``.

    Raises ``LockedError`` naming the other process, ``StoreError`` for a directory that is not ours.
    """

    def __init__(self, directory: Path) -> None:
        prepare_directory(directory)
        path = directory / FILE
        try:
            self._handle = open_own(path)
        except OSError as error:
            raise unusable(directory, error) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._handle, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._handle)
            raise LockedError(
                f"{directory}: another sensord (process {holder}) uses this state directory; stop it, or give this one "
                "a state_dir of its own"
            ) from error
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"{os.getpid()}\n".encode("ascii"))

    def close(self) -> None:
        """Let go; a second call does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
