"""Who changed what over the API: one line of JSON per change, appended durably before the change is answered.

The journal holds every change that alters an outcome; this register also holds what only changes files, and finds it by
person. It has no plate, no address and no text that somebody wrote.
"""

from __future__ import annotations

import fcntl
import os
from collections import deque
from pathlib import Path

import msgspec

from sensord.errors import StoreError
from sensord.ports import Change

FILE = "audit.log"
_DECODER = msgspec.json.Decoder(Change)


class AuditLog:
    """The register of a state directory; safe from any thread."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def append(self, change: Change) -> None:
        """Write one change down; raises ``StoreError``."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.write(msgspec.json.encode(change) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"{self._path}: the change cannot be written down ({error.strerror})") from error

    def last(self, limit: int, name: str = "") -> list[Change]:
        """The newest changes first; those of one token when ``name`` is given. Raises ``StoreError``.

        A line that a crash cut off is passed over.
        """
        found: deque[Change] = deque(maxlen=limit)
        try:
            with self._path.open("rb") as file:
                for line in file:
                    change = _decoded(line)
                    if change is not None and name in ("", change.token):
                        found.append(change)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be read ({error.strerror})") from error
        return list(reversed(found))


def _decoded(line: bytes) -> Change | None:
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
