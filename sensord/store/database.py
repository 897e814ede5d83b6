"""A database file that many threads share: one connection that writes, and one for what people ask."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sensord.errors import DamageError, StoreError
from sensord.store.sqlite import (
    FAULTS,
    Schema,
    is_final,
    open_reader,
    open_writer,
    prepare_directory,
    roll_back,
    store_error,
    translate,
    translated,
)
from sensord.store.suspicion import Suspicion, read
from sensord.store.whereabouts import Whereabouts

_T = TypeVar("_T")


class Database:
    """A file with one connection that many threads share under a lock: each method is one transaction.

    After an I/O error every further call raises that same error: see the module's rules. Damage that shows is noted in
    ``suspicion``.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        prepare_directory(path.parent)
        self.path, self.suspicion = path, Suspicion(path)
        try:
            self.connection = open_writer(path, schema)
        except DamageError as error:
            self.suspicion.note(error)
            raise
        self._there = Whereabouts(path, path.with_name(path.name + "-wal"))
        self._lock = threading.RLock()
        self._broken: StoreError | None = None

    @property
    def lost(self) -> bool:
        """Whether the file has been moved, deleted or replaced: nobody will find what is written. From any thread."""
        return self._there.lost() is not None

    @contextmanager
    def transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Run the block as one transaction: durable when the block has ended, undone when it raises."""
        with self._lock, self._guarded(doing):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                roll_back(self.connection)
                raise

    def rows(self, doing: str, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one query and return all its rows."""
        with self._lock, self._guarded(doing):
            return self.connection.execute(statement, parameters).fetchall()

    @contextmanager
    def _guarded(self, doing: str) -> Iterator[None]:
        if self._broken is not None:
            raise store_error(str(self._broken))
        try:
            yield
        except FAULTS as error:
            problem = translate(error, self.path, doing)
            if is_final(error, problem):
                self._broken = problem
            if isinstance(problem, DamageError):
                self.suspicion.note(problem)
            raise problem from error

    def close(self) -> None:
        """Checkpoint and close; further calls fail."""
        with self._lock, translated(self.path, "closing"):
            self.connection.close()


class Questions:
    """A connection of its own to a file that is open for writing: what is asked here holds up no writer.

    Many threads share it under a lock, so one question is looked into at a time, however many people ask. Each sees
    all that was committed before it. It is opened by the first. Damage that shows makes the file suspect.
    """

    def __init__(self, path: Path, schema: Schema, suspicion: Suspicion) -> None:
        self._path, self._schema, self._suspicion = path, schema, suspicion
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def rows(self, doing: str, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one query and return all its rows; raises ``StoreError``."""
        try:
            with self._lock, translated(self._path, doing):
                if self._connection is None:
                    self._connection = open_reader(self._path, self._schema)
                return self._connection.execute(statement, parameters).fetchall()
        except DamageError as error:
            self._suspicion.note(error)
            raise

    def values(self, doing: str, make: Callable[..., _T], statement: str, parameters: Sequence[Any] = ()) -> list[_T]:
        """Run one query and make a value of each row; passes over one that is not what was written, and says so."""
        return self._suspicion.left(doing, make, self.rows(doing, statement, parameters))

    def value(self, doing: str, make: Callable[..., _T], statement: str, parameters: Sequence[Any] = ()) -> _T | None:
        """The same of the first row; None when there is none. Raises ``DamageError``: it is not what was written."""
        rows = self.rows(doing, statement, parameters)
        try:
            return read(self._path, doing, make, *rows[0]) if rows else None
        except DamageError as error:
            self._suspicion.say(error)
            raise

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
