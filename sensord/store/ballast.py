"""Space that is kept back for alerting: a file that is given up when the disk fills.

The disk is shared with the broker, the database and the system, and any of them may fill it. While there is room,
readings are journaled. When less than ``LOW`` is left, the ballast is given up, and no more readings are taken in their
turn (they wait at the broker, unacknowledged). What was set free carries ticks, operators' actions, cases and
notifications on, and the newest readings, so that new crowds are told of. The last part of it (``KEPT``) is not for
readings: when they have used up the rest, people must still be told of that, and be able to answer. When there is room
for the whole ballast again, it is filled again, and readings are taken in again. Whoever fills the disk may take what
we set free, too: then that fails as well, and is tried again each second. A last piece (``LAST``) stays for the next
start: SQLite needs some room to open its files, and a daemon that cannot open them tells nobody of anything.

A disk can run out of files (inodes), too. A daemon that has its own open needs no more: it goes on, and people are told
(``cramped``). A start needs some, so that many empty ones are kept for it in a folder of their own (``FILES``).
"""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from sensord.config.files import sync_directory
from sensord.errors import StoreError
from sensord.store.room import files_left

FILE = "ballast"
LOW = 8 << 20
"""Free bytes below which the disk counts as full: SQLite's logs must be able to grow before they are folded."""

KEPT = 8 << 20
"""Bytes of what is given up that readings may not take (half of a ballast that is smaller than two of these)."""

LAST = 1 << 20
"""Bytes that only a start gives up (an eighth of a ballast that is smaller than eight of these)."""

FILES, KEPT_FILES = "ballast.files", 24
"""The folder of the files that only a start gives up, and how many: it makes a dozen, logs of SQLite's for the most."""

FEW = 64
"""So few more files, and people are told."""

log = structlog.get_logger(__name__)


def give_last(directory: Path) -> bool:
    """Give up what the ballast of a directory still holds, for a start that finds no room; False: it holds nothing."""
    given = False
    for path in (directory / FILE, *(directory / FILES).glob("*")):
        try:
            path.unlink()
            given = True
        except FileNotFoundError:
            pass
        except OSError as error:
            log.error("the ballast cannot be given up", file=str(path), why=str(error))
    if given:
        log.error("a start found no room; the last of the ballast was given up for it")
    return given


class Ballast:
    """Implements ``ports.Room``. Belongs to the committer's thread once that runs."""

    def __init__(self, directory: Path, size: int) -> None:
        """Take what is there; ``size`` (bytes) is filled when there is room. 0 keeps nothing back."""
        self._directory, self._path, self._size = directory, directory / FILE, size
        self._held = self._path.exists() and self._path.stat().st_size >= size
        self._files_held = False
        self.files: int | None = None
        """How many more files the disk took at the last look; None: it does not count them."""
        self.available()

    def available(self) -> bool:
        """Say whether readings may be journaled; gives the ballast up, or fills it again, as the disk's space asks."""
        free = self._free()
        if self._held and free < LOW:
            self.release()
        elif not self._held and free >= self._size + 2 * LOW:
            self._fill()
        if not self._files_held and (self.files is None or self.files >= FEW + 2 * KEPT_FILES):
            self._keep_files()
        return self._held

    @property
    def cramped(self) -> str:
        """Why no file may be begun soon; empty: many can. What is open already goes on."""
        if self.files is None or self.files >= FEW:
            return ""
        return (
            f"the disk takes only {self.files} more files (inodes): alerts go on, but a start or the next day may not; "
            "delete files there"
        )

    def release(self) -> None:
        """Give the space up: somebody could not write."""
        if self._held:
            self._held = False
            try:
                os.truncate(self._path, min(LAST, self._size // 8))
            except FileNotFoundError:
                pass
            except OSError as error:
                log.error("the ballast cannot be given up", file=str(self._path), why=str(error))
            else:
                log.error("the disk is full; the ballast was given up so that alerting goes on", bytes=self._size)

    def spare(self) -> int:
        """Say how many bytes the newest readings may still take while the ballast is given up."""
        return max(0, self._free() - min(KEPT, self._size // 2))

    def _fill(self) -> None:
        try:
            handle = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(handle, 0)
                if self._size:
                    os.posix_fallocate(handle, 0, self._size)
            finally:
                os.close(handle)
            sync_directory(self._directory)
        except OSError as error:
            self._path.unlink(missing_ok=True)
            log.warning("there is no room for the ballast yet", why=str(error))
            return
        self._held = True

    def _keep_files(self) -> None:
        """Make the empty files, those that are not there."""
        folder = self._directory / FILES
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            for number in range(KEPT_FILES):
                (folder / str(number)).touch(mode=0o600)
        except OSError as error:
            log.warning("no files can be kept back for a start", why=str(error))
        self._files_held = True  # or once this start is over: nothing is tried at each group

    def _free(self) -> int:
        try:
            usage = os.statvfs(self._directory)
        except OSError as error:
            fault = StoreError(f"{self._directory}: its file system cannot be asked for free space ({error})")
            raise fault from error
        self.files = files_left(usage)
        return usage.f_bavail * usage.f_frsize
