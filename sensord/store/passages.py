"""Reading the tallies of vehicles from a state database that a daemon may be writing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sensord.core.instant import HOUR
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.byhand import ByHand
from sensord.core.vehicles.tally import SLOT, Occupancy, PassageCount
from sensord.errors import StoreError
from sensord.store.sqlite import open_reader, translated
from sensord.store.state import FILE
from sensord.store.tables import STATE

_LATELY = HOUR + SLOT
"""While a daemon is stopped, how it was is told, with its instant, for so long: what is older is none of today."""


@contextmanager
def tallies(directory: Path) -> Iterator[Tallies]:
    """Open the tallies of one moment, whatever is counted and deleted meanwhile.

    Raises ``StoreError`` when the file cannot be read.
    """
    path = directory / FILE
    if not path.exists():
        raise StoreError(f"{path}: there is no state database here; has the daemon ever run?")
    with closing(open_reader(path, STATE)) as connection, translated(path, "reading the tallies"):
        connection.execute("BEGIN")
        yield Tallies(connection)


class Tallies:
    """Every method raises ``sqlite3.Error``, which :func:`tallies` translates."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def counts(self, start: int, end: int) -> Iterator[PassageCount]:
        """Yield the passages of the slots ``start <= slot < end`` (ns): of a quarter of a year they are a million."""
        columns = "start, gate, direction, sort, province, energy, count"
        statement = f"SELECT {columns} FROM passages WHERE start >= ? AND start < ?"
        for row in self._connection.execute(statement, (start, end)):
            yield PassageCount(*row)

    def occupancy(self, at: int) -> list[Occupancy]:
        """Return who was inside at the last full quarter of an hour at or before the instant ``at`` (ns).

        Of the quarter that is running, it is who is inside now, as far as the core has come. Nothing when it has not
        come so far, or did not look yet.
        """
        newest = "SELECT max(at) FROM occupancy WHERE at <= ? AND at > ?"
        statement = f"SELECT at, compound, inside, unsure FROM occupancy WHERE at = ({newest})"
        return [Occupancy(*row) for row in self._connection.execute(statement, (at, at - _LATELY))]

    def by_hand(self, start: int, end: int) -> list[ByHand]:
        """Return where people counted who was inside in [start, end) (ns), in order of time."""
        statement = "SELECT at, compound, before, inside FROM by_hand WHERE at >= ? AND at < ? ORDER BY at, compound"
        return [ByHand(*row) for row in self._connection.execute(statement, (start, end))]

    def blind(self, start: int, end: int) -> list[Blind]:
        """Return when cameras were blind in [start, end) (ns); a stretch may reach beyond.

        Those from 0 on are always there: a camera without one was never spoken of.
        """
        statement = "SELECT device, since, until FROM blind WHERE since < ? AND (until = 0 OR until > ? OR since = 0)"
        return [Blind(*row) for row in self._connection.execute(statement, (end, start))]

    @property
    def applied_at(self) -> int:
        """Journal time up to which all this is known (ns)."""
        return int(self._connection.execute("SELECT at FROM position").fetchone()[0])

    @property
    def since(self) -> int:
        """What passed before this instant (ns) was deleted."""
        return int(self._connection.execute("SELECT tallies FROM kept").fetchone()[0])
