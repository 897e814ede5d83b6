"""The state database as a program of another version sees it, while a daemon may be running on it.

Nothing is opened for work: no lock, no tables of this version, no upgrade. Only what every version has is read.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sensord.ports import JournalReader, Saved
from sensord.store.copies import Copies
from sensord.store.sqlite import BUSY_SECONDS, translated
from sensord.store.state import FILE
from sensord.store.versions import refuse_newer


class StateLook:
    """Each question opens the file, and closes it again. Raises ``StoreError`` for a newer file, or a damaged one."""

    doubt = 0
    """It is there, so what was decided is written down."""

    def __init__(self, directory: Path, journal: JournalReader) -> None:
        self._path, self._journal = directory / FILE, journal
        refuse_newer(self._path)
        self.copies = Copies(directory, self.time_of)

    def time_of(self, seq: int) -> int:
        """Journal time at a group (ns); 0 when it is not there."""
        groups = self._journal.read(seq - 1, 1)
        return groups[0].received_at if groups and groups[0].seq == seq else 0

    @property
    def applied(self) -> int:
        """The last journal group whose outputs are written down."""
        return int(self._rows("SELECT seq FROM position")[0][0])

    def saved(self) -> Iterator[Saved]:
        """Yield the saved states that are whole, the newest first, and the copies with them."""
        copies = self.copies.found()
        for (seq,) in self._rows("SELECT seq FROM snapshots ORDER BY seq DESC"):
            while copies and copies[0].seq > seq:
                yield copies.pop(0)
            for crc, state in self._rows("SELECT crc, state FROM snapshots WHERE seq = ?", (seq,)):
                if isinstance(state, bytes) and zlib.crc32(state) == crc:
                    yield Saved(seq, self.time_of(seq), state)
        yield from copies

    def _rows(self, statement: str, values: tuple[int, ...] = ()) -> list[tuple[Any, ...]]:
        address = f"{self._path.absolute().as_uri()}?mode=ro"
        with (
            translated(self._path, "looking at it"),
            closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as connection,
        ):
            return connection.execute(statement, values).fetchall()
