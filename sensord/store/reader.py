"""Reading the journal: groups in order, across day files, each reader on read-only connections of its own.

A reader belongs to one thread at a time. It reads only what the writer has announced as committed.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sensord.core.record import Group
from sensord.errors import DamageError, StoreError
from sensord.store.catalogue import Catalogue
from sensord.store.dayfile import RECORDS, SCHEMA, decode_group, hole
from sensord.store.sqlite import READING, open_reader, store_error, translated

READ_BYTES = 4 * 1024 * 1024
_POLL_SECONDS = 0.2


class Reader:
    """Implements ``ports.JournalReader``."""

    def __init__(self, catalogue: Catalogue, on_damage: Callable[[DamageError], None] = lambda _: None) -> None:
        """``on_damage`` hears of a damaged file, from the reader's thread, before the error is raised."""
        self._catalogue = catalogue
        self._on_damage = on_damage
        self._path: Path | None = None
        self._connection: sqlite3.Connection | None = None

    @property
    def last_seq(self) -> int:
        """The newest committed group's ``seq``; 0 when there is none."""
        return self._catalogue.last_seq

    @property
    def first_seq(self) -> int:
        """The oldest kept group's ``seq``; 0 when there is none. Reading from before it starts there."""
        return self._catalogue.first_seq

    def wait(self, after: int, timeout: float) -> bool:
        """Block until a group with ``seq > after`` is there (True) or ``timeout`` seconds have passed (False)."""
        return self._catalogue.wait(after, timeout)

    def read(self, after: int, limit: int = 256) -> list[Group]:
        """Return the next groups after ``after``.

        At most ``limit``, and at most about 4 MiB of them, but one at least.
        Raises ``StoreError`` naming the file when it is damaged or a group is missing.
        """
        groups: list[Group] = []
        room = READ_BYTES
        while len(groups) < limit and room > 0:
            after = groups[-1].seq if groups else after
            found = self._catalogue.locate(after + 1)
            if found is None:
                break
            path, end = found
            try:
                room -= self._read_file(path, after, end, limit - len(groups), room, groups)
            except StoreError as error:
                if groups:
                    break  # hand on what is good; the next call meets the damage first
                if self._moved(after, path):
                    continue
                if isinstance(error, DamageError):
                    self._on_damage(error)
                raise
        return groups

    def _moved(self, after: int, path: Path) -> bool:
        """Say whether the file was pruned between the look-up and the reading."""
        found = self._catalogue.locate(after + 1)
        return found is not None and found[0] != path

    def _read_file(self, path: Path, after: int, end: int, limit: int, room: int, groups: list[Group]) -> int:
        """Append groups of one file and return their size; at least one, because the catalogue promised it."""
        read, expected = 0, max(after + 1, self.first_seq)
        lost = self._catalogue.lost
        statement = f"SELECT seq, {RECORDS} FROM groups WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
        connection = self._open(path)
        with translated(path, READING), closing(connection.execute(statement, (after, end, limit))) as rows:
            for seq, blob in rows:
                if seq != expected and not lost.covers(expected, seq - 1):
                    raise hole(path, expected, seq)
                group, size = decode_group(seq, blob, path)
                groups.append(group)
                read, expected = read + size, seq + 1
                if read >= room:
                    break
        if not read:
            raise DamageError(f"{path}: groups {after + 1} to {end} are missing; restore the file from a backup", path)
        return read

    def _open(self, path: Path) -> sqlite3.Connection:
        if self._connection is None or self._path != path:
            self.close()
            self._connection, self._path = open_reader(path, SCHEMA), path
        return self._connection

    def close(self) -> None:
        """Close the connection; the next read opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class DirectoryReader(Reader):
    """Reads a journal that another process may be writing (for the command line); looks again at the end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        super().__init__(_scan(directory))

    def refresh(self) -> None:
        """Look for groups that were committed since."""
        self._catalogue = _scan(self._directory)

    def _moved(self, after: int, path: Path) -> bool:
        """As ``Reader._moved``; the other process may have pruned since the last look."""
        self.refresh()
        return super()._moved(after, path)

    def wait(self, after: int, timeout: float) -> bool:
        """As ``Reader.wait``, by looking five times a second."""
        deadline = time.monotonic() + timeout
        while self.last_seq <= after and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            self.refresh()
        return self.last_seq > after


def _scan(directory: Path) -> Catalogue:
    if not directory.is_dir():
        raise store_error(f"{directory}: there is no journal here; give the directory that holds journal-*.db")
    try:
        return Catalogue.scan(directory)
    except StoreError:  # the writer may have begun or pruned a file between two looks; damage is still there
        return Catalogue.scan(directory)
