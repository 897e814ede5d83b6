"""Reading the tallies of vehicles from a state database that a daemon may be writing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sensord.core.instant import HOUR
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.tally import SLOT, Occupancy, PassageCount
from sensord.errors import StoreError
from sensord.store.sqlite import open_reader, translated
from sensord.store.state import FILE
from sensord.store.tables import STATE

_LATELY = HOUR + SLOT
"""While a daemon is stopped, how it was is told, with its instant, for so long: what is older is none of today."""


class PassageReader:
    """Every method raises ``StoreError`` when the file cannot be read."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def counts(self, start: int, end: int) -> Iterator[PassageCount]:
        """Yield the passages of the slots ``start <= slot < end`` (ns): of a quarter of a year they are a million."""
        columns = "start, gate, direction, sort, province, energy, count"
        with self._reading() as connection:
            statement = f"SELECT {columns} FROM passages WHERE start >= ? AND start < ?"
            for row in connection.execute(statement, (start, end)):
                yield PassageCount(*row)

    def occupancy(self, at: int) -> list[Occupancy]:
        """Return who was inside at the last full quarter of an hour at or before the instant ``at`` (ns).

        Of the quarter that is running, it is who is inside now, as far as the core has come. Nothing when it has not
        come so far, or did not look yet.
        """
        newest = "SELECT max(at) FROM occupancy WHERE at <= ? AND at > ?"
        statement = f"SELECT at, compound, inside, unsure FROM occupancy WHERE at = ({newest})"
        return [Occupancy(*row) for row in self._rows(statement, (at, at - _LATELY))]

    def blind(self, start: int, end: int) -> list[Blind]:
        """Return when cameras were blind in [start, end) (ns); a stretch may reach beyond.

        Those from 0 on are always there: a camera without one was never spoken of.
        """
        statement = "SELECT device, since, until FROM blind WHERE since < ? AND (until = 0 OR until > ? OR since = 0)"
        return [Blind(*row) for row in self._rows(statement, (end, start))]

    @property
    def applied_at(self) -> int:
        """Journal time up to which all this is known (ns)."""
        return int(self._rows("SELECT at FROM position", ())[0][0])

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        with self._reading() as connection:
            return connection.execute(statement, values).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if not self._path.exists():
            raise StoreError(f"{self._path}: there is no state database here; has the daemon ever run?")
        with closing(open_reader(self._path, STATE)) as connection, translated(self._path, "reading the tallies"):
            yield connection
