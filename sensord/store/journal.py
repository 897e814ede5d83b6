"""The journal: everything that was received, in order, durable before anybody acts on it.

One SQLite file per local day (``journal-2026-11-23.db``), so that old days can be deleted whole. One thread appends,
with one connection; readers have their own (``reader.py``). Rules:

* ``append`` returns only after the commit is on the disk; the row is the whole group, so its cost is per group. It
  refuses when the file has been moved, deleted or replaced: nobody would find there what is acknowledged.
* ``received_at`` never decreases, whatever the host's clock does and across restarts: what is stored is the clamped
  value.
* ``seq`` counts groups from 1 over all files without holes. A group never spans two files.
* A full disk is retryable. One that takes no new file keeps no record from going on: the day's file begins later, and
  the one before goes on meanwhile (``late``). After any other I/O error every append is refused: the process must end.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from sensord.config.files import sync_directory
from sensord.core.record import Record
from sensord.errors import DamageError, StoreError
from sensord.ports import Meter
from sensord.store.catalogue import Catalogue
from sensord.store.dayfile import SCHEMA, day_files, day_in, day_of, day_path, encode_records, read_span
from sensord.store.findings import Findings
from sensord.store.lost import Stretch
from sensord.store.reader import Reader
from sensord.store.sqlite import (
    forget_begun,
    is_final,
    open_writer,
    prepare_directory,
    store_error,
    translate,
    translated,
)
from sensord.store.suspicion import Suspicion
from sensord.store.whereabouts import Whereabouts

_log = structlog.get_logger(__name__)
_AGAIN = 10.0
"""Seconds between two attempts to begin the file of a day that has begun."""
_INSERT = "INSERT INTO groups (seq, first_at, last_at, count, records) VALUES (?, ?, ?, ?, ?)"


def _size(path: Path) -> int:
    """A day file with its log, in bytes."""
    parts = (path, path.with_name(path.name + "-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())


class Journal:
    """Implements ``ports.JournalWriter``. ``append`` and ``prune`` belong to one thread; the rest is safe from any.

    Raises ``DamageError`` on opening when a file is damaged or missing between two others (``salvage.open_or_mend``
    knows what to do), ``StoreError`` when it is of a newer sensord.
    """

    def __init__(self, directory: Path, *, zone: str = "Asia/Shanghai", meter: Meter | None = None) -> None:
        prepare_directory(directory)
        self.directory = directory
        self.zone = zone
        self._meter = meter
        self._broken: StoreError | None = None
        self._sound = True
        self._connection: sqlite3.Connection | None = None
        self._path: Path | None = None
        self._there = Whereabouts()
        self.late, self._again_at = "", 0.0
        """Why the day's file is not begun yet; empty: it is."""
        self._settle()
        self._catalogue = Catalogue.scan(directory)

    def _settle(self) -> None:
        """Open the newest file and fold what a crash left in the logs of older ones into them."""
        forget_begun(self.directory)
        files = day_files(self.directory)
        for path in files[:-1]:
            log = path.with_name(path.name + "-wal")
            if log.exists() and log.stat().st_size:
                open_writer(path, SCHEMA).close()
        if files:
            self._open(files[-1])

    def _open(self, path: Path) -> sqlite3.Connection:
        self._connection, self._path = open_writer(path, SCHEMA), path
        self._there = Whereabouts(path, path.with_name(path.name + "-wal"))
        return self._connection

    @property
    def last_seq(self) -> int:
        """The newest committed group; 0 when there is none."""
        return self._catalogue.last_seq

    @property
    def first_seq(self) -> int:
        """The oldest group still kept; 0 when there is none."""
        return self._catalogue.first_seq

    @property
    def last_received_at(self) -> int:
        """Journal time: the last instant ever journaled (ns); 0 when there is none."""
        return self._catalogue.last_at

    def reader(self) -> Reader:
        """Return a new reader of this journal; damage that it meets is noted for the next start."""
        return Reader(self._catalogue, self._suspect)

    @property
    def sound(self) -> bool:
        """Whether no damage has shown since the start; otherwise the daemon should end, for its next start mends it."""
        return self._sound

    def _suspect(self, error: DamageError) -> None:
        self._sound = False
        Suspicion(error.path).note(error)

    def go_on_after(self, seq: int, at: int, now: int) -> None:
        """Let the next group be ``seq + 1``, not before the instant ``at`` (ns): what lies between is lost.

        Raises ``StoreError`` when that cannot be written down.
        """
        if seq <= self.last_seq:
            return
        lost = self._catalogue.lost | [Stretch(self.last_seq + 1, seq, now, "the end of the journal")]
        lost.save(self.directory)
        _log.error("the end of the journal is lost", first=self.last_seq + 1, last=seq)
        self._catalogue.skip(lost, seq, at)

    def append(self, records: Sequence[Record]) -> int:
        """Commit the records as one group and return its ``seq``; they survive a power cut from here on.

        Raises ``ValueError`` for no records, ``StoreError`` (retryable) when the disk is full: nothing was written, the
        same call may succeed later; ``StoreError`` (not retryable) after an I/O error, or when the file is no longer at
        its name: end the process.
        """
        if not records:
            raise ValueError("a journal group holds at least one record; journal a tick to say that time has passed")
        if self._broken is not None:
            raise store_error(str(self._broken))
        ordered = self._in_time_order(records)
        first_at, last_at = ordered[0].received_at, ordered[-1].received_at
        seq = self.last_seq + 1
        connection = self._file_for(last_at)
        path = self._path or self.directory
        try:
            connection.execute(_INSERT, (seq, first_at, last_at, len(ordered), encode_records(ordered)))
        except sqlite3.Error as error:
            raise self._failed(error, path) from error
        if (lost := self._there.lost()) is not None:
            raise self._lost(lost)
        self._catalogue.announce(path, seq, last_at)
        return seq

    def _in_time_order(self, records: Sequence[Record]) -> list[Record]:
        latest, ordered = self.last_received_at, []
        for record in records:
            latest = max(latest, record.received_at)
            late = record.received_at < latest
            ordered.append(msgspec.structs.replace(record, received_at=latest) if late else record)
        return ordered

    def _file_for(self, instant: int) -> sqlite3.Connection:
        """The connection to the day's file; starts a new file when the day has changed.

        Never goes back to an older file (the zone may have been changed in the configuration).
        """
        day = day_of(instant, self.zone)
        if self._path is not None:
            day = max(day, day_in(self._path))
        path = day_path(self.directory, day)
        before, old = self._connection, self._path or path
        if before is None:
            return self._begin(path)
        if path == self._path or (self.late and time.monotonic() < self._again_at):
            return before
        try:
            begun = self._begin(path)
        except StoreError as error:
            if not error.retryable:
                raise
            if not self.late:
                _log.error("the day's file cannot be begun; the one before goes on", why=str(error))
            self.late, self._again_at = str(error), time.monotonic() + _AGAIN
            return before
        self.late = ""
        self._close_file(before, old)
        return begun

    def _begin(self, path: Path) -> sqlite3.Connection:
        if not path.exists() and path.with_name(path.name + "-wal").exists():
            raise store_error(f"{path}-wal: is there without its journal file; put that back or move this one away")
        _log.info("the journal starts a new file", file=path.name)
        return self._open(path)

    def _failed(self, error: sqlite3.Error, path: Path) -> StoreError:
        problem = translate(error, path, "journaling")
        if isinstance(problem, DamageError):
            self._suspect(problem)
        if is_final(error, problem):
            self._broken = problem
        return problem

    def _lost(self, path: Path) -> StoreError:
        """Nobody will find what is written: refuse everything, and leave word for the next start."""
        self._broken = store_error(
            f"{path}: was moved, deleted or replaced while sensord ran, and nobody would find what is written there: "
            "sensord ends; stop it before you touch its state directory"
        )
        try:
            prepare_directory(self.directory)
            Findings(self.directory).add(f"{path.name} was moved, deleted or replaced while sensord ran")
        except StoreError as error:
            _log.warning("the next start cannot be told", why=str(error))
        return self._broken

    def prune(self, keep_ns: int, now: int, still_needed_seq: int) -> list[Path]:
        """Delete whole day files, oldest first, and return them.

        A file goes when its last group is older than ``now - keep_ns`` (ns) and all its groups are below
        ``still_needed_seq``. The current file always stays. Raises ``StoreError`` when a file cannot be deleted,
        ``DamageError`` when one does not say how old it is: until it is mended (``sound``), nothing can go.
        """
        deleted: list[Path] = []
        while (oldest := self._catalogue.oldest()) is not None:
            path, end = oldest
            if path == self._path or end >= still_needed_seq or self._last_instant(path) >= now - keep_ns:
                break
            deleted += self._delete_oldest(path)
        return deleted + self._prune_empty()

    def _last_instant(self, path: Path) -> int:
        try:
            return read_span(path).last_at
        except DamageError as error:
            self._suspect(error)
            raise

    def _delete_oldest(self, path: Path) -> list[Path]:
        """Delete the oldest file with groups, and before it the empty ones that are older.

        A crash in between leaves a log; that of a file with an older one beside it would pass for a file that is lost.
        """
        empty = self._prune_empty()
        self._catalogue.forget(path)
        self._delete(path)
        return [*empty, path]

    def _prune_empty(self) -> list[Path]:
        """Delete the files of days before all others, which a crash has left without a group."""
        empty = [path for path in day_files(self.directory) if self._catalogue.precedes(path) and path != self._path]
        for path in empty:
            self._delete(path)
        return empty

    @property
    def size(self) -> int:
        """What the journal takes on the disk, in bytes."""
        return sum(_size(path) for path in day_files(self.directory))

    def prune_to_size(self, most: int, still_needed_seq: int) -> list[Path]:
        """Delete whole day files before their time, oldest first, while all of them take more than ``most`` bytes.

        Never the current file, and never a group from ``still_needed_seq`` on: when that is not enough, it is said.
        Returns the deleted files. Raises ``StoreError`` when a file cannot be deleted.
        """
        deleted: list[Path] = []
        size = self.size
        while size > most and (oldest := self._catalogue.oldest()) is not None:
            path, end = oldest
            if path == self._path or end >= still_needed_seq:
                break
            size -= _size(path)
            deleted += self._delete_oldest(path)
        if deleted:
            names = [path.name for path in deleted]
            _log.error("the journal was too large; days were given up before their time", files=names, most=most)
        if size > most:
            _log.error("the journal is larger than it may be, and the rest is needed", bytes=size, most=most)
        return deleted

    def _delete(self, path: Path) -> None:
        # The database goes first: without it a left-over log is harmless, while the reverse order would lose the
        # tail of a file that a crash in between left behind, and with it the sequence's continuity.
        try:
            path.unlink()
            sync_directory(self.directory)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise store_error(f"{path}: is past its retention but cannot be deleted ({error})") from error
        _log.info("a journal file past its retention was deleted", file=path.name)

    def _close_file(self, connection: sqlite3.Connection, path: Path) -> None:
        with translated(path, "closing"):
            connection.close()

    def close(self) -> None:
        """Close the file (which folds its log into it) and let waiting readers go."""
        if self._connection is not None and (lost := self._there.lost()) is not None:
            self._lost(lost)
        self._catalogue.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._close_file(connection, self._path or self.directory)
