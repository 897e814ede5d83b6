"""One daemon per state directory: a lock that the operating system drops when its holder dies.

A directory that is moved away takes the lock with it. So the holder also has a socket whose name is made of the
directory's, and that is in no directory (an abstract one, unix(7)): who comes next sees it until the process has ended.
Anybody may take a name; only one of our own user's, or root's, counts.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from hashlib import sha256
from pathlib import Path

from sensord.config.files import open_own
from sensord.errors import LockedError
from sensord.store.sqlite import prepare_directory, unusable
from sensord.store.whereabouts import Whereabouts

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
            raise _locked(directory, holder) from error
        self._name, self._there = socket.socket(socket.AF_UNIX), Whereabouts(path)
        if other := _take(self._name, directory):
            self.close()
            raise _locked(directory, "unknown" if other == _UNKNOWN else str(other))
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"{os.getpid()}\n".encode("ascii"))

    @property
    def lost(self) -> bool:
        """Whether the directory has been moved, deleted or replaced, or the lock in it: others may be there by now."""
        return self._there.lost() is not None

    def close(self) -> None:
        """Let go; a second call does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._name.close()
            self._handle = -1


def _locked(directory: Path, holder: str) -> LockedError:
    return LockedError(
        f"{directory}: another sensord (process {holder}) uses this state directory; stop it, or give this one "
        "a state_dir of its own"
    )


_UNKNOWN = -1
"""The process that has a name is there, and does not say which it is."""


def _take(name: socket.socket, directory: Path) -> int:
    """Take the directory's name; return the process that has it (0: none that counts)."""
    address = b"\0sensord-" + sha256(os.fsencode(directory.resolve())).hexdigest().encode("ascii")
    try:
        name.bind(address)
        name.listen(64)
    except OSError:
        return _owner(address)
    return 0


def _owner(address: bytes) -> int:
    """Return the process of our own user, or root's, that has a name; root sees those of all users. 0: none has."""
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.setblocking(False)
            asking.connect(address)
            pid, user, _ = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        except BlockingIOError:  # so many have asked already: somebody is there
            return _UNKNOWN
        except OSError:
            return 0
    return int(pid) if os.geteuid() in (0, user) or user == 0 else 0
