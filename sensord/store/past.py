"""Looking back: read-only answers from the state database of a daemon that may be running."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from sensord.core.alert import Transition
from sensord.core.cases.case import CaseEvent
from sensord.core.intake.reader import DeadLetter
from sensord.decoders import json_decoder
from sensord.errors import StoreError
from sensord.store.sqlite import open_reader, translated
from sensord.store.state import FILE
from sensord.store.suspicion import read
from sensord.store.tables import STATE

_T = TypeVar("_T")


class Past:
    """Opens the database for each question; it can neither write nor hold up the daemon.

    Every method raises ``StoreError`` when the file cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def _rows(self, doing: str, statement: str, values: tuple[Any, ...]) -> list[Any]:
        if not self._path.exists():
            raise StoreError(f"{self._path}: there is no state database here; has the daemon ever run?")
        with closing(open_reader(self._path, STATE)) as connection, translated(self._path, doing):
            try:
                return connection.execute(statement, values).fetchall()
            except sqlite3.OperationalError:
                if _is_new(connection):
                    return []
                raise

    def _read(self, doing: str, kind: type[_T], text: bytes) -> _T:
        return read(self._path, doing, json_decoder(kind).decode, text)

    def snapshot_before(self, at: int) -> tuple[int, bytes] | None:
        """Return (seq, state) of the newest sound snapshot that was taken at or before the instant ``at`` (ns)."""
        statement = "SELECT seq, crc, state FROM snapshots WHERE at <= ? ORDER BY seq DESC LIMIT 5"
        for seq, crc, state in self._rows("looking for a saved state", statement, (at,)):
            if zlib.crc32(state) == crc:
                return int(seq), bytes(state)
        return None

    def story(self, case: str) -> list[CaseEvent]:
        """Return a case's events in order; none when there is no such case."""
        statement = 'SELECT json FROM case_events WHERE "case" = ? ORDER BY seq, ord'
        rows = self._rows("looking for a case", statement, (case,))
        return [self._read("looking for a case", CaseEvent, text) for (text,) in rows]

    def transition(self, name: str) -> Transition | None:
        """Return a transition by its id."""
        rows = self._rows("looking for an alert", "SELECT json FROM transitions WHERE id = ?", (name,))
        return self._read("looking for an alert", Transition, rows[0][0]) if rows else None

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """Return the newest dead letters, newest first."""
        statement = "SELECT idx, at, topic, reason, detail FROM dead_letters ORDER BY seq DESC, idx DESC LIMIT ?"
        return [DeadLetter(*row) for row in self._rows("reading dead letters", statement, (limit,))]

    def deliveries(self, case: str) -> dict[str, str]:
        """Return what became of a case's notifications: state (``sent``, ``pending`` ...) by notification key."""
        statement = 'SELECT key, state FROM outbox WHERE "case" = ? ORDER BY seq, ord'
        return {str(key): str(state) for key, state in self._rows("looking for notifications", statement, (case,))}


def _is_new(connection: sqlite3.Connection) -> bool:
    return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
