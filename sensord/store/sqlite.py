"""How sensord opens SQLite, and how SQLite's errors become ours.

Rules:

* One connection per file writes and checkpoints; every other connection is read-only.
* A full disk is retryable (SQLite rolled back; nothing is half-written), whether it lacks space or files, or a quota is
  used up (``room.py``). Any other I/O error is final for this process:
  after a failed fsync the kernel may have dropped the very pages that a second fsync would report as safe. SQLite
  does not follow this where it folds the log into the file by itself: it says nothing, and tries again.
* A damaged file is named, never deleted, never repaired in place.
* A file that a newer sensord wrote is refused, not guessed at.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from sensord.config.files import open_own, sync_directory
from sensord.errors import DamageError, StoreError
from sensord.store.migration import migrate
from sensord.store.room import is_full, nearly_full, over_quota

BUSY_SECONDS = 5.0
_BEYOND_ANY = 1000
_WAL_LIMIT = 16 * 1024 * 1024
_NEW = ".new"
LOGS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a file, by the ends of their names."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_DAMAGE_ADVICE = (
    "the file is damaged: keep it, stop sensord, and restore it from a backup or move it out of the directory"
)
_ODD = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH)
# Our statements are right and our values fit; when SQLite says otherwise, the file is not what we wrote.
OPENING, READING = "opening", "reading"
"""What :func:`translated` is told by whoever only looks: what fails there is the file's fault, not the process's."""
_TRANSIENT = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# These fail when SQLite cannot create or grow a file beside the database; no data was written, let alone synced.
_NEEDS_SPACE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN)


DatabaseFault = sqlite3.Error | UnicodeDecodeError
FAULTS = (sqlite3.Error, UnicodeDecodeError)
"""What its calls raise: Python cannot read SQLite's own message when that quotes a damaged schema."""


class Schema(NamedTuple):
    """What a kind of file holds: ``application_id`` tells sensord's kinds apart, ``version`` its revisions.

    ``carry`` says how new columns are filled when a file of an earlier version is brought to this one, and ``convert``,
    by the version that brought the change, what is done to rows whose content is written differently since; see
    ``migration.py``. A file of version ``oldest`` or later can be read as it is (0: of none but the present).
    """

    application_id: int
    version: int
    statements: tuple[str, ...]
    carry: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    convert: Mapping[int, tuple[str, ...]] = MappingProxyType({})
    oldest: int = 0


def is_damage(error: DatabaseFault) -> bool:
    """Say whether the file itself is malformed: SQLite says so, or a text in it is none."""
    return isinstance(error, UnicodeDecodeError) or _primary(error) in _DAMAGED or _is_no_text(error)


def _is_no_text(error: DatabaseFault) -> bool:
    """Whether Python could not read a text that SQLite gave it: the one such error that has no code of SQLite's."""
    return isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode")


def _is_unreadable(error: DatabaseFault, path: Path, doing: str) -> bool:
    """Say whether an error that is none of SQLite's words for damage can have no other cause than the file."""
    code = _primary(error)
    if code == sqlite3.SQLITE_READONLY:
        return os.access(path, os.W_OK)  # a header that forbids writing, in a file that can be written
    return code in _ODD or (code == sqlite3.SQLITE_IOERR and doing == READING)


def translate(error: DatabaseFault, path: Path, doing: str) -> StoreError:
    """Turn SQLite's error into a ``StoreError`` that says which file and what to do; sets ``retryable``.

    A file that is malformed, or that the disk does not give back, is a ``DamageError``.
    """
    code, extended = _primary(error), getattr(error, "sqlite_errorcode", 0)
    full = (
        code == sqlite3.SQLITE_FULL
        or ((code in _NEEDS_SPACE or extended in _NEEDS_SPACE) and nearly_full(path.parent))
        or (extended == sqlite3.SQLITE_IOERR_WRITE and over_quota(path.parent))
    )
    if full:
        advice = (
            "the disk is full: nothing was written; make room there (space, files, quota) and sensord goes on by itself"
        )
    elif code in _TRANSIENT:
        advice = "another process holds a lock on it: find it with 'fuser' and stop it"
    elif is_damage(error):
        advice = _DAMAGE_ADVICE
    elif code == sqlite3.SQLITE_IOERR:
        advice = "the disk reported an I/O error: sensord must stop now; check the disk ('dmesg'), then start it again"
    else:
        advice = "check that the directory exists and belongs to sensord's user"
    said = "a text in it is not what was written" if _is_no_text(error) else error  # Python quotes the text
    message = f"{path}: {doing} failed ({said}); {advice}"
    if not full and (is_damage(error) or (doing in (OPENING, READING) and _is_unreadable(error, path, doing))):
        return DamageError(message, path)
    return store_error(message, retryable=full or code in _TRANSIENT)


def store_error(message: str, *, retryable: bool = False) -> StoreError:
    """Build a ``StoreError`` with its ``retryable`` set."""
    error = StoreError(message)
    error.retryable = retryable
    return error


def is_final(error: DatabaseFault, problem: StoreError) -> bool:
    """Say whether this process must not touch the file again (see the module's rules)."""
    return _primary(error) == sqlite3.SQLITE_IOERR and not problem.retryable


def _primary(error: DatabaseFault) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def prepare_directory(directory: Path) -> None:
    """Create the directory (0700), or take it as it is and close it to others.

    Raises ``StoreError`` when that is not possible.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_mode & 0o077:
            directory.chmod(0o700)
        sync_directory(directory.parent)
    except OSError as error:
        raise unusable(directory, error) from error


def unusable(directory: Path, error: OSError) -> StoreError:
    """What is said of a state directory that is another user's, or no directory."""
    return store_error(f"{directory}: cannot be used as state directory ({error}); create it for sensord's user")


def create_file(path: Path) -> None:
    """Create an empty database file (0600) unless it is there; SQLite gives ``-wal`` and ``-shm`` the same mode.

    Raises ``StoreError``: retryable when there is no room.
    """
    try:
        os.close(open_own(path))
        sync_directory(path.parent)
    except OSError as error:
        raise _uncreated(path, error) from error


def _uncreated(path: Path, error: OSError) -> StoreError:
    full = is_full(error)
    advice = "make room there (space, files, quota)" if full else "check the directory's owner and mode"
    return store_error(f"{path}: cannot be created ({error}); {advice}", retryable=full)


def open_writer(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open the file's one writing connection, creating the file and its schema when it is new.

    Raises ``StoreError``; see :func:`translate`.
    """
    if not path.exists():
        _make(path, schema)
    refuse_empty(path)
    connection = _connect(path, f"{path.absolute().as_uri()}?mode=rw")
    try:
        _configure(connection, path)
        _forget_rollback(path)
        with translated(path, OPENING):
            if _is_older(connection, schema):
                migrate(connection, schema.statements, schema.carry, schema.convert, schema.version)
        check_schema(connection, path, schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _make(path: Path, schema: Schema) -> None:
    """Make a new file beside its place, and move it there once it has its tables.

    So a file in its place that is empty has lost what it held: no crash of ours leaves one.
    """
    part = path.with_name(path.name + _NEW)
    for file in (part, path):  # SQLite would take what another file has left behind for this one's
        for suffix in LOGS:
            file.with_name(file.name + suffix).unlink(missing_ok=True)
    part.unlink(missing_ok=True)
    create_file(part)
    connection = _connect(part, f"{part.absolute().as_uri()}?mode=rw")
    try:
        with translated(part, OPENING):
            create_schema(connection, schema)  # not in WAL mode yet: nothing may stay behind in a log
        _configure(connection, part)
    finally:
        connection.close()
    try:
        put_in_place(part, path)
    except OSError as error:
        raise _uncreated(path, error) from error


def forget_begun(directory: Path) -> None:
    """Delete what a crash has left of new files before they had their names; raises ``StoreError``."""
    for part in directory.glob(f"*.db{_NEW}*"):
        try:
            part.unlink()
        except OSError as error:
            raise store_error(f"{part}: cannot be deleted ({error}); check the directory's owner and mode") from error


def put_in_place(part: Path, path: Path) -> None:
    """Give a file that is durable its name, durably; raises ``OSError``."""
    part.replace(path)
    sync_directory(path.parent)


def refuse_empty(path: Path) -> None:
    """Raise ``DamageError`` for a file without a byte, before SQLite sees it: it would delete the file's log."""
    if path.exists() and not path.stat().st_size:
        raise DamageError(f"{path}: is empty; {_DAMAGE_ADVICE}", path)


def _forget_rollback(path: Path) -> None:
    """Make it durable that no rollback journal is there: the one that WAL mode was begun with, after a restore.

    SQLite deletes it without syncing the directory. Came it back after a power cut, SQLite would take the file back to
    what it was, and with it throw the log away that by then holds what we have acknowledged.
    """
    try:
        sync_directory(path.parent)
    except OSError as error:
        raise store_error(f"{path.parent}: cannot be synced ({error}); check the disk ('dmesg')") from error


def open_reader(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open a connection that can neither write nor checkpoint; raises ``StoreError``."""
    refuse_empty(path)
    connection = _connect(path, f"{path.absolute().as_uri()}?mode=ro")
    try:
        check_schema(connection, path, schema)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path, uri: str) -> sqlite3.Connection:
    with translated(path, OPENING):
        return sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS, cached_statements=64
        )


def _configure(connection: sqlite3.Connection, path: Path) -> None:
    with translated(path, OPENING):
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise store_error(
                f"{path}: WAL mode is not possible here ({mode}); put the state directory on a local disk"
            )
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT}")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("PRAGMA trusted_schema=OFF")


def has_tables(connection: sqlite3.Connection, schema: Schema) -> bool:
    """Say whether the tables are word for word the schema's; else the file is damaged, which no other check finds."""
    found = connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL").fetchall()
    return {text for (text,) in found} == {text for text in schema.statements if text.startswith("CREATE")}


def create_schema(connection: sqlite3.Connection, schema: Schema) -> None:
    """Make the tables of a new file, as one transaction; raises ``sqlite3.Error``."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in schema.statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={schema.application_id}")
        connection.execute(f"PRAGMA user_version={schema.version}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        roll_back(connection)
        raise


def check_schema(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Refuse a file of another kind or of another revision than this program knows; raises ``StoreError``."""
    with translated(path, OPENING):
        application_id = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        sound = has_tables(connection, schema)
    if application_id != schema.application_id:
        raise DamageError(f"{path}: is not the file that its name says; move it out of the state directory", path)
    if not is_possible(version):
        raise DamageError(f"{path}: says that its version is {version}; {_DAMAGE_ADVICE}", path)
    if version > schema.version:
        raise store_error(
            f"{path}: was written by a newer sensord (file version {version}, this one knows {schema.version}); "
            "install that sensord again, or restore the backup from before the upgrade"
        )
    if version < (schema.oldest or schema.version):
        raise store_error(
            f"{path}: has file version {version}; the daemon brings it to version {schema.version} when it starts, so "
            "start it once"
        )
    if not sound:
        raise DamageError(f"{path}: its tables have changed; {_DAMAGE_ADVICE}", path)


def _is_older(connection: sqlite3.Connection, schema: Schema) -> bool:
    """Say whether an earlier sensord wrote the file; raises ``sqlite3.Error``."""
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    return bool(application_id == schema.application_id and is_possible(version) and version < schema.version)


def is_possible(version: int) -> bool:
    """Say whether any sensord can have written a file of this version; else a disk has changed the number."""
    return 0 < version < _BEYOND_ANY


def is_version(connection: sqlite3.Connection, schema: Schema) -> bool:
    """Say whether the file says that it is of the schema's kind and version; raises ``sqlite3.Error``."""
    pragmas = ("application_id", "user_version")
    return tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas) == schema[:2]


@contextmanager
def translated(path: Path, doing: str) -> Iterator[None]:
    """Raise SQLite's errors as ``StoreError``."""
    try:
        yield
    except FAULTS as error:
        raise translate(error, path, doing) from error


def roll_back(connection: sqlite3.Connection) -> None:
    """Leave the open transaction, if SQLite has not already done so; never hides the error that led here."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
