"""Reading the tallies of vehicles from a state database that a daemon may be writing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from sensord.core.vehicles.tally import Occupancy, PassageCount
from sensord.errors import StoreError
from sensord.store.sqlite import open_reader, translated
from sensord.store.state import FILE
from sensord.store.tables import STATE


class PassageReader:
    """Every method raises ``StoreError`` when the file cannot be read."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def counts(self, start: int, end: int) -> list[PassageCount]:
        """Return the passages of the hours ``start <= hour < end`` (ns)."""
        columns = "hour, gate, direction, sort, province, energy, count"
        rows = self._rows(f"SELECT {columns} FROM passages WHERE hour >= ? AND hour < ?", (start, end))
        return [PassageCount(*row) for row in rows]

    def occupancy(self, at: int) -> list[Occupancy]:
        """Return who was inside at the last full hour at or before the instant ``at`` (ns)."""
        newest = "SELECT max(at) FROM occupancy WHERE at <= ?"
        statement = f"SELECT at, compound, inside, unsure FROM occupancy WHERE at = ({newest})"
        return [Occupancy(*row) for row in self._rows(statement, (at,))]

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        if not self._path.exists():
            raise StoreError(f"{self._path}: there is no state database here; has the daemon ever run?")
        doing = "reading the tallies"
        with closing(open_reader(self._path, STATE)) as connection, translated(self._path, doing):
            return connection.execute(statement, values).fetchall()
