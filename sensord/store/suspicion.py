"""Damage that shows only while the daemon runs: which file is suspect, so that the next start sets it aside.

SQLite looks after its pages, not after what a row holds. A row that is not what was written makes its file suspect, as
does whatever SQLite itself finds malformed. Nothing is repaired under the feet of who reads: the mark lies beside the
file until ``damage.py`` has moved it. A row that people only look back at is passed over, and said: setting the file
aside for it would cost what the journal has no more. What a row holds is never quoted: it may be a plate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog

from sensord.config.files import PRIVATE, sync_directory, write_whole
from sensord.errors import DamageError

MARK = ".suspect"
"""How the name of the mark ends, after the file's."""
_NOT_OURS = (msgspec.DecodeError, RecursionError, TypeError, ValueError, LookupError)
"""What reading a value fails with when it is of another shape, or no value of ours at all."""
_T = TypeVar("_T")

log = structlog.get_logger(__name__)


class Suspicion:
    """What is known to be damaged about one database. Safe from any thread.

    ``hear`` is called with what to say whenever damage shows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said, self._marked = set[str](), False
        self.hear: Callable[[str], None] = lambda _why: None

    def note(self, error: DamageError) -> None:
        """Say it, and let the next start set the file aside; a disk that takes no mark keeps nobody from going on."""
        if not self._marked:
            try:
                write_whole(_mark(self._path), str(error).encode(), PRIVATE)
                self._marked = True
            except OSError as problem:
                log.error("damage could not be noted for the next start", file=self._path.name, why=str(problem))
        self.say(error)

    def say(self, error: DamageError) -> None:
        """Say it only: what is beside it in the file may be nowhere else."""
        why = str(error)
        if why not in self._said:
            self._said.add(why)
            log.error("a database is damaged", file=self._path.name, set_aside=self._marked, why=why)
        self.hear(why)

    def read(self, doing: str, make: Callable[..., _T], *columns: object) -> _T:
        """Make a value of a row's columns; raises ``DamageError`` when they hold none, and notes it."""
        try:
            return read(self._path, doing, make, *columns)
        except DamageError as error:
            self.note(error)
            raise

    def readable(self, doing: str, make: Callable[..., _T], rows: Iterable[tuple[Any, ...]]) -> list[_T]:
        """Make a value of each row; passes over one that holds none, and notes it."""
        return self._passing(self.note, doing, make, rows)

    def left(self, doing: str, make: Callable[..., _T], rows: Iterable[tuple[Any, ...]]) -> list[_T]:
        """The same of rows that nobody needs for what comes next: one that holds no value is only said."""
        return self._passing(self.say, doing, make, rows)

    def _passing(
        self, tell: Callable[[DamageError], None], doing: str, make: Callable[..., _T], rows: Iterable[tuple[Any, ...]]
    ) -> list[_T]:
        found = list[_T]()
        for row in rows:
            try:
                found.append(read(self._path, doing, make, *row))
            except DamageError as error:
                tell(error)
        return found


def read(path: Path, doing: str, make: Callable[..., _T], *columns: object) -> _T:
    """Make a value of the columns of a row of a database; raises ``DamageError`` when they hold none."""
    try:
        return make(*columns)
    except _NOT_OURS as error:
        raise DamageError(f"{path}: {doing} failed (a row is not what was written); keep the file", path) from error


def suspected(path: Path) -> str:
    """Say what the last run has found damaged about a file; empty: nothing. That there is a mark is what counts."""
    mark, said = _mark(path), ""
    if not mark.is_file():
        return ""
    with suppress(OSError):
        said = mark.read_bytes().decode(errors="replace")
    return said or "it is suspect"


def acquit(path: Path) -> None:
    """Forget what was found: the file was set aside. Raises ``OSError``."""
    if _mark(path).is_file():
        _mark(path).unlink()
        sync_directory(path.parent)


def _mark(path: Path) -> Path:
    return path.with_name(path.name + MARK)
