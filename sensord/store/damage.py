"""Damaged databases that can be made again from the journal: found at the start, and moved aside (``expiry.py``)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import structlog

from sensord.config.files import ASIDE, sync_directory
from sensord.errors import DamageError
from sensord.store.sqlite import (
    FAULTS,
    LOGS,
    OPENING,
    Schema,
    has_tables,
    is_possible,
    is_version,
    store_error,
    translate,
)
from sensord.store.suspicion import acquit, suspected

log = structlog.get_logger(__name__)


def damage_of(path: Path, schema: Schema) -> str:
    """Say what is damaged about a database file; empty when it is sound. Other errors are raised as ``StoreError``."""
    if not path.stat().st_size:
        return "it is empty"
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
    except sqlite3.Error as error:
        raise store_error(f"{path}: cannot be opened ({error}); check its owner and mode") from error
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if not is_possible(version):
            return f"it says that its version is {version}"
        if verdict == "ok" and is_version(connection, schema) and not has_tables(connection, schema):
            return "its tables have changed"
    except FAULTS as error:
        problem = translate(error, path, OPENING)
        if isinstance(problem, DamageError):
            return str(error)
        raise problem from error
    finally:
        connection.close()
    return "" if verdict == "ok" else str(verdict)


def set_aside(path: Path, now: int, why: str) -> Path:
    """Move a database and its logs out of the way, under a name that says when (ns); returns that name.

    The file goes first: one whose log was taken away would pass for a sound one, of an earlier moment. What a crash
    leaves of its logs is moved by ``finish_setting_aside``. Raises ``OSError``.
    """
    aside = path.with_name(f"{path.name}{ASIDE}{now}")
    if path.exists():
        path.replace(aside)
        sync_directory(path.parent)
    _move_logs(path, aside)
    log.error("a database is of no use and was moved aside; a new one is made", file=str(aside), why=why)
    return aside


def finish_setting_aside(path: Path) -> None:
    """Move the logs after a file that was moved aside, when a crash came in between; raises ``OSError``.

    A log that was written since is that of another file, which is gone.
    """
    asides = sorted(path.parent.glob(f"{path.name}{ASIDE}*[0-9]"))
    if asides and not path.exists() and not _written_since(path, int(asides[-1].name.rpartition(ASIDE)[2])):
        _move_logs(path, asides[-1])


def _written_since(path: Path, instant: int) -> bool:
    log = path.with_name(f"{path.name}-wal")  # whoever only reads touches the other one
    return log.exists() and log.stat().st_mtime_ns > instant


def _move_logs(path: Path, aside: Path) -> None:
    for suffix in LOGS:
        part, place = (file.with_name(file.name + suffix) for file in (path, aside))
        if part.exists() and not place.exists():
            part.replace(place)


def set_aside_if_damaged(path: Path, schema: Schema, now: int) -> Path | None:
    """Look the file over and move it aside when it is damaged; returns where to, or None. Raises ``StoreError``.

    So are one in which the last run has met damage, which need not show here, and the logs of a file that is gone.
    """
    finish_setting_aside(path)
    if path.exists():
        damage = suspected(path) or damage_of(path, schema)
    else:
        damage = "it is gone, and has left its logs" if _orphaned_logs(path) else ""
    aside = set_aside(path, now, damage) if damage else None
    acquit(path)  # a crash before this costs the new file, which is made again
    return aside


def _orphaned_logs(path: Path) -> bool:
    return any(path.with_name(path.name + suffix).exists() for suffix in LOGS)
