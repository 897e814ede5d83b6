"""A disk that loses power: a layer below SQLite that keeps what was synced, and a random part of what was not.

What SQLite writes goes to real files, and beside them into a model: the content at the last sync, and what was written
since. When the power is cut, each of these later writes survives or not, in whole or in sectors of 512 bytes, in any
order: that is what a disk with a write cache and a file system without data journaling may do. What was synced
survives, as does a file that was synced once; a lying disk is out of reach.

``Connection`` speaks to apsw (which can put such a layer below SQLite) the way the ``sqlite3`` module is spoken to, so
that the program's own code runs on it, statement for statement.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512
_CODES = {apsw.IOError: sqlite3.SQLITE_IOERR, apsw.CantOpenError: sqlite3.SQLITE_CANTOPEN}


class _File:
    """The model of one file: its synced content, and later writes (offset, bytes; None: cut to that length)."""

    def __init__(self, content: bytes, *, durable: bool) -> None:
        self.synced, self.durable = content, durable
        self.later: list[tuple[int, bytes | None]] = []
        self.removed = False

    def sync(self) -> None:
        """Everything so far is safe."""
        for offset, data in self.later:
            self.synced = _applied(self.synced, offset, data)
        self.later.clear()
        self.durable = True

    def survivor(self, dice: random.Random) -> bytes | None:
        """What is found after the power is back; None: no such file."""
        if not self.durable and dice.random() < 0.5:
            return None
        content, share = self.synced, dice.choice((0.0, 0.3, 0.7, 1.0))
        for offset, data in dice.sample(self.later, len(self.later)) if dice.random() < 0.3 else self.later:
            if data is None:
                content = _applied(content, offset, None) if dice.random() < share else content
                continue
            for start in range(0, len(data), SECTOR):
                if dice.random() < share:
                    content = _applied(content, offset + start, data[start : start + SECTOR])
        return content


def _applied(content: bytes, offset: int, data: bytes | None) -> bytes:
    if data is None:
        return content[:offset].ljust(offset, b"\0")
    return content[:offset].ljust(offset, b"\0") + data + content[offset + len(data) :]


class Disk(apsw.VFS):
    """Counts operations; at number ``cut_at`` the power goes, and ``left`` is what is on the disk by then."""

    def __init__(self, dice: random.Random, cut_at: int) -> None:
        """Register with SQLite."""
        self.name = f"power-{id(self)}"
        super().__init__(self.name, "")
        self._dice, self._cut_at = dice, cut_at
        self.files: dict[str, _File] = {}
        self.operations, self.over = 0, False
        self.left: dict[str, bytes] | None = None

    def tick(self) -> None:
        """One operation has begun; without power there are none (``over``: the process is dead, too)."""
        if self.over:
            return
        self.operations += 1
        if self.operations >= self._cut_at:
            self.cut()
            raise apsw.IOError("the power is off")

    def cut(self) -> None:
        """Cut the power, if it is still there."""
        if self.left is None:
            survivors = ((name, file.survivor(self._dice)) for name, file in self.files.items())
            self.left = {name: content for name, content in survivors if content is not None}

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # SQLite's name
        """Open a file, and take it into the model: what is there at the first look is safe."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is not None and (path not in self.files or self.files[path].removed):
            there = Path(path)
            self.files[path] = _File(there.read_bytes() if there.exists() else b"", durable=there.exists())
        return _Handle(self, name, path, flags)

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: N802  # SQLite's
        """Remove a file; it may come back when its directory was not synced."""
        self.tick()
        super().xDelete(name, syncdir)
        if syncdir or self._dice.random() < 0.5:
            self.files.pop(name, None)
        elif name in self.files:
            self.files[name].removed = True

    def sync_names(self, directory: Path) -> None:
        """Make safe that files of the directory are gone."""
        for name in [name for name, file in self.files.items() if file.removed and Path(name).parent == directory]:
            del self.files[name]

    def sync(self, path: str) -> None:
        """Make the file's writes safe."""
        self.tick()
        self.files[path].sync()


class _Handle(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, path: str | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk, self._path = disk, path

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # SQLite's name
        self._disk.tick()
        super().xWrite(data, offset)
        if self._path is not None:
            self._disk.files[self._path].later.append((offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802  # SQLite's name
        self._disk.tick()
        super().xTruncate(newsize)
        if self._path is not None:
            self._disk.files[self._path].later.append((newsize, None))

    def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's
        if self._path is not None:
            self._disk.sync(self._path)


class _Cursor:
    """As much of ``sqlite3.Cursor`` as the stores use."""

    def __init__(self, cursor: apsw.Cursor, rowcount: int) -> None:
        self._cursor, self.rowcount = cursor, rowcount

    def fetchone(self) -> Any:
        """The next row, or None."""
        with _translated():
            return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        """All rows."""
        with _translated():
            return self._cursor.fetchall()

    def __iter__(self) -> Iterator[Any]:
        """Row by row."""
        with _translated():
            yield from self._cursor

    def close(self) -> None:
        """Let go of the statement."""
        self._cursor.close()


class Connection:
    """As much of ``sqlite3.Connection`` as the stores use, on a ``Disk``."""

    def __init__(self, path: Path, disk: Disk, setup: Sequence[str] = (), *, weak: bool = False) -> None:
        """Open the file; ``setup`` are statements to begin with; ``weak`` makes a NORMAL of each FULL."""
        self._weak = weak
        self._opened = apsw.Connection(str(path.absolute()), vfs=disk.name)
        for statement in setup:
            self._opened.execute(statement)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._opened.in_transaction

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> _Cursor:
        """Run a statement."""
        return self._run(statement, parameters, many=False)

    def executemany(self, statement: str, parameters: Sequence[Any]) -> _Cursor:
        """Run a statement for each set of parameters."""
        return self._run(statement, parameters, many=True)

    def _run(self, statement: str, parameters: Sequence[Any], *, many: bool) -> _Cursor:
        before, cursor = self._opened.total_changes(), self._opened.cursor()
        if self._weak:
            statement = statement.replace("synchronous=FULL", "synchronous=NORMAL")
        with _translated():
            (cursor.executemany if many else cursor.execute)(statement, parameters)
        return _Cursor(cursor, self._opened.total_changes() - before)

    @staticmethod
    def library() -> str:
        """The version of the SQLite below."""
        return apsw.sqlite_lib_version()

    def close(self) -> None:
        """Close, as ``sqlite3`` does: without a word about what could not be folded."""
        with suppress(apsw.Error):
            self._opened.close()


@contextmanager
def _translated() -> Iterator[None]:
    """Raise what fails as the ``sqlite3`` module would raise it."""
    try:
        yield
    except apsw.Error as error:
        translated = sqlite3.OperationalError(str(error))
        known = (code for kind, code in _CODES.items() if isinstance(error, kind))
        translated.sqlite_errorcode = next(known, getattr(error, "result", sqlite3.SQLITE_ERROR))
        raise translated from error
