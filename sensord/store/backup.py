"""Backups of the state directory, also while the daemon runs, and putting one back.

Each database is copied by SQLite's own online backup (https://www.sqlite.org/backup.html), page by page under a read
lock, so a copy is whole whatever is written meanwhile. The order is what makes the copies fit each other: the derived
files first, the journal last. So the journal in a backup is never behind the state: what it is ahead by is stepped
again after a restore, as after a crash.

A backup holds a manifest with a checksum of each file: what was damaged since is not put back. It is made beside its
place (``beside.py``): what is there under its name is a backup, and what one that was shot has left is no obstacle to
the next.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from sensord.config.files import ASIDE, sync_directory
from sensord.decoders import json_decoder
from sensord.store import access, audit
from sensord.store.access import AccessLog
from sensord.store.audit import AuditLog
from sensord.store.beside import made_beside
from sensord.store.copies import PREPARED
from sensord.store.dayfile import SCHEMA as JOURNAL
from sensord.store.dayfile import day_files, read_span
from sensord.store.lock import StateLock
from sensord.store.lost import FILE as LOST
from sensord.store.opening import HALF_RESTORED
from sensord.store.reports import FOLDER as REPORTS
from sensord.store.reports import ReportFolder
from sensord.store.sqlite import create_file, open_reader, prepare_directory, store_error, translated
from sensord.store.versions import refuse_newer

MANIFEST = "backup.json"
VERSION = 1
_OF_THE_RUN = ("lock", "ballast", "starts", "sessions", "http.port", "starting", HALF_RESTORED)
"""Files that say something of the running daemon, and nothing of the street."""
_MADE_AGAIN = (PREPARED,)
"""Files that are for one upgrade, and go away under a daemon that runs: they are made of the journal once more."""
_NOT_OURS = ("lock", "lost+found")
"""What may be in a state directory before a restore, and stays: ours of this moment, and a file system's own."""
_NAME = re.compile(rf"(journal/|{REPORTS}/[a-z][A-Za-z0-9_-]*/)?[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
"""What a file of the state directory may be called: a manifest cannot lead out of it."""


class Manifest(msgspec.Struct, frozen=True):
    """What a backup holds: SHA-256 by path below the folder, and when it was made (ns).

    ``version`` is that of the backup's own form; its databases carry their own.
    """

    made_at: int
    files: dict[str, str]
    version: int = VERSION


_MANIFEST = json_decoder(Manifest)


def back_up(state: Path, target: Path, now: int) -> Manifest:
    """Copy a state directory into a new folder, whether a daemon runs there or not.

    Raises ``StoreError`` when the folder exists, there is nothing to copy, a file is damaged, or another backup, or
    anything else, is where the copy is made (``.NAME.part``).
    """
    if os.path.lexists(target):
        raise store_error(f"{target}: is there already and is not overwritten; name another folder")
    if not (state / "journal").is_dir():
        raise store_error(f"{state}: there is no journal here; is this the state directory?")
    with made_beside(target) as part:
        return _fill(state, part, now)


def _fill(state: Path, target: Path, now: int) -> Manifest:
    """Copy all that belongs into an empty folder, and make it durable."""
    prepare_directory(target / "journal")
    names = _reports(state, target)
    registers = _registers(state)
    plain = sorted(path.name for path in state.iterdir() if path.is_file() and _belongs(path))
    plain = [name for name in plain if name not in (access.FILE, access.HEAD, audit.FILE, audit.HEAD)]
    plain += ["journal/" + LOST] if (state / "journal" / LOST).exists() else []
    for name in plain:
        if not name.endswith(".db"):
            create_file(target / name)
            shutil.copyfile(state / name, target / name)
    for name, content in registers.items():
        create_file(target / name)
        (target / name).write_bytes(content)
    _copy_databases(state, target, [name for name in plain if name.endswith(".db")])
    days = [f"journal/{path.name}" for path in day_files(state / "journal")]  # only now: a day may have begun meanwhile
    _copy_databases(state, target, days)
    _refuse_behind(target)
    names += [*plain, *registers, *days]
    manifest = Manifest(now, {name: _checksum(target / name) for name in names})
    create_file(target / MANIFEST)
    (target / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    _sync((*(target / name for name in names), target / MANIFEST))
    return manifest


def _registers(state: Path) -> dict[str, bytes]:
    """Return the registers' files by name, the two of each of one moment.

    They are read before anything is written: the backup's disk may hang, and nobody may have to wait for that who has
    to write down here what he did.
    """
    with ExitStack() as held:
        there = [held.enter_context(one.still()) for one in (AccessLog(state), AuditLog(state))]
        return {name: (state / name).read_bytes() for names in there for name in names}


def _reports(state: Path, target: Path) -> list[str]:
    """Copy the kept reports, each with the instant it was written at: by that it is found, and deleted one day.

    A report that is deleted or written anew meanwhile is left out: the journal can make it again.
    """
    copied: list[str] = []
    for report in ReportFolder(state).names():
        folder = Path(REPORTS) / report
        try:
            files = sorted(path.name for path in (state / folder).iterdir())
            _copy_folder(state / folder, target / folder, files)
        except FileNotFoundError:
            shutil.rmtree(target / folder, ignore_errors=True)
        else:
            copied += [str(folder / name) for name in files]
    return copied


def _copy_folder(source: Path, target: Path, files: Iterable[str]) -> None:
    """Copy the files of a report's folder, and when the folder was written."""
    prepare_directory(target.parent)
    prepare_directory(target)
    written = source.stat()
    for name in files:
        create_file(target / name)
        shutil.copyfile(source / name, target / name)
    os.utime(target, ns=(written.st_atime_ns, written.st_mtime_ns))


def _belongs(path: Path) -> bool:
    """Whether a file of the state directory goes into a backup: keys and tokens do, what was set aside does not."""
    aside = ASIDE in path.name or path.name.endswith(("-wal", "-shm", "-journal", ".part", ".new"))
    return path.name not in (*_OF_THE_RUN, *_MADE_AGAIN) and not aside and _NAME.fullmatch(path.name) is not None


def restore(backup: Path, state: Path) -> Manifest:
    """Make a state directory of a backup, whole or not at all; what was there before must have been moved away.

    What a restore that was cut off has left is thrown away: until the last file is durable, a mark says that it is not
    whole, and no daemon starts from it.

    Raises ``StoreError`` when the backup is damaged or not one, or the state directory holds something already;
    ``LockedError`` while a daemon runs there.
    """
    manifest = _verified(backup)
    kept = [path for path in state.iterdir() if path.name not in _NOT_OURS] if state.exists() else []
    if kept and not (state / HALF_RESTORED).exists():
        raise store_error(f"{state}: holds {kept[0].name} and more; stop sensord and move the whole content away first")
    lock = StateLock(state)
    try:
        _begin(state, kept)
        prepare_directory(state / "journal")
        folders = sorted({Path(name).parent for name in manifest.files if name.startswith(REPORTS + "/")})
        for folder in folders:
            files = [Path(name).name for name in manifest.files if Path(name).parent == folder]
            _copy_folder(backup / folder, state / folder, files)
        for name in manifest.files:
            if Path(name).parent not in folders:
                create_file(state / name)
                shutil.copyfile(backup / name, state / name)
        _sync(state / name for name in manifest.files)
        (state / HALF_RESTORED).unlink()
        sync_directory(state)
    except OSError as error:
        raise store_error(f"{state}: the backup could not be put back ({error}); try again") from error
    finally:
        lock.close()
    return manifest


def _begin(state: Path, leftovers: Iterable[Path]) -> None:
    """Mark the directory, durably, before anything else is in it; the mark is the last of the leftovers to go."""
    mark = state / HALF_RESTORED
    for path in leftovers:
        if path.is_dir():
            shutil.rmtree(path)
        elif path != mark:
            path.unlink()
    if not mark.exists():
        create_file(mark)
    _sync([mark])


def _verified(backup: Path) -> Manifest:
    """Read the manifest and check every file, before anything is written."""
    try:
        manifest = _MANIFEST.decode((backup / MANIFEST).read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise store_error(f"{backup}: is no backup that sensord made, or it is not complete ({error})") from error
    if manifest.version > VERSION:
        raise store_error(f"{backup}: was made by a newer sensord; restore it with that one")
    for name, checksum in manifest.files.items():
        path = backup / name
        if not _NAME.fullmatch(name) or not path.is_file() or _checksum(path) != checksum:
            raise store_error(f"{path}: is missing or was changed since the backup was made; take another backup")
        if name.endswith(".db"):
            refuse_newer(path)
    return manifest


def _copy_databases(state: Path, target: Path, names: Iterable[str]) -> None:
    for name in names:
        _copy_database(state / name, target / name)


def _refuse_behind(copy: Path) -> None:
    """Raise ``StoreError`` when the journal of a copy ends before what its state has applied."""
    state, end = copy / "state.db", max((read_span(path).last_seq for path in day_files(copy / "journal")), default=0)
    if not state.exists():
        return
    with translated(state, "backing up"), closing(sqlite3.connect(state)) as connection:
        (applied,) = connection.execute("SELECT seq FROM position").fetchone()
    if applied > end:
        raise store_error(
            f"the state has applied group {applied}, the journal ends with {end}: it was not backed up; start sensord, "
            "which says what is lost, and take another"
        )


def _copy_database(source: Path, target: Path) -> None:
    """Copy page by page; the copy is one file, with nothing left in a log."""
    create_file(target)
    with (
        translated(source, "backing up"),
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reading,
        closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        reading.backup(writing)
        writing.execute("PRAGMA journal_mode=DELETE")
        (verdict,) = writing.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise store_error(f"{source}: is damaged ({verdict}); it was not backed up")
    if source.parent.name == "journal":
        open_reader(target, JOURNAL).close()


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(paths: Iterable[Path]) -> None:
    """Make copies durable, and their names."""
    folders = set()
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
        folders.add(path.parent)
    for folder in folders:
        sync_directory(folder)
