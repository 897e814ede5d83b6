"""The embedded time-series store: minutes and hours in SQLite, kept for as long as the settings say.

A roll-up is count, sum, least, greatest and last of a numeric field per series and slot. Points and cursor are one
transaction, so every point counts exactly once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np

from sensord.config.settings import Rollups
from sensord.core.instant import HOUR, MINUTE, parse_duration
from sensord.core.point import Point
from sensord.ports import Cursor
from sensord.store.damage import set_aside_if_damaged
from sensord.store.database import Database
from sensord.store.sqlite import Schema

FILE = "rollups.db"
SLOTS = {"minute": MINUTE, "hour": HOUR}
_PRUNE_EVERY = 1000

SCHEMA = Schema(
    application_id=0x534E5255,  # "SNRU"
    version=1,
    statements=(
        """CREATE TABLE series (
            id INTEGER PRIMARY KEY, measurement TEXT, tags TEXT, field TEXT, UNIQUE (measurement, tags, field)
        )""",
        *(
            f"CREATE TABLE {name} (series INTEGER, slot INTEGER, n INTEGER, total REAL, least REAL, greatest REAL, "
            "last REAL, last_at INTEGER, PRIMARY KEY (series, slot)) WITHOUT ROWID"
            for name in SLOTS
        ),
        "CREATE TABLE cursor (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER, checkpoint INTEGER, state BLOB)",
    ),
)


class Rollup(msgspec.Struct, frozen=True):
    """One slot of one series; ``slot`` is its beginning (ns)."""

    slot: int
    count: int
    total: float
    least: float
    greatest: float
    last: float


class RollupSink:
    """Implements ``ports.Sink``.

    A damaged file is moved aside, and a new one made from the journal, as far as that reaches; ``lost`` says where the
    old one is.
    """

    def __init__(self, directory: Path, settings: Rollups, clock: Callable[[], int | None]) -> None:
        """``clock`` says by which instant (ns) slots are deleted; None while none may be."""
        self.name: str = settings.name
        path = directory / FILE
        self.lost = set_aside_if_damaged(path, SCHEMA, time.time_ns())
        self._database = Database(path, SCHEMA)
        self._keep = {"minute": parse_duration(settings.keep_minutes), "hour": parse_duration(settings.keep_hours)}
        self._series: dict[tuple[str, str, str], int] = {}
        self._clock, self._writes = clock, 0

    async def position(self) -> Cursor | None:
        """Where this sink stands, or None when it has never written."""
        rows = await asyncio.to_thread(
            self._database.rows, "reading the position", "SELECT seq, checkpoint, state FROM cursor"
        )
        return Cursor(int(rows[0][0]), int(rows[0][1]), bytes(rows[0][2])) if rows else None

    async def write(self, points: Sequence[Point], cursor: Cursor) -> None:
        """Add the points and move to ``cursor``, in one transaction; raises ``StoreError``."""
        await asyncio.to_thread(self._write, points, cursor)

    async def close(self) -> None:
        """Checkpoint and close."""
        await asyncio.to_thread(self._database.close)

    def _write(self, points: Sequence[Point], cursor: Cursor) -> None:
        try:
            self._add(points, cursor)
        except BaseException:
            self._series.clear()  # it may hold numbers whose rows were undone; the table is read again
            raise

    def _add(self, points: Sequence[Point], cursor: Cursor) -> None:
        self._writes += 1
        now = self._clock() if self._writes % _PRUNE_EVERY == 0 else None
        with self._database.transaction("writing roll-ups") as connection:
            known = len(self._series)
            rows = self._rows(points)
            for name, width in SLOTS.items():
                connection.executemany(
                    f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET n = n + excluded.n, total = total + excluded.total, "
                    "least = min(least, excluded.least), greatest = max(greatest, excluded.greatest), "
                    "last = CASE WHEN excluded.last_at >= last_at THEN excluded.last ELSE last END, "
                    "last_at = max(last_at, excluded.last_at)",
                    _slots(rows, width),
                )
                if now is not None:
                    connection.execute(f"DELETE FROM {name} WHERE slot < ?", (now - self._keep[name],))
            connection.executemany(
                "INSERT OR IGNORE INTO series VALUES (?, ?, ?, ?)",
                [(number, *key) for key, number in list(self._series.items())[known:]],
            )
            moved = connection.execute(
                "UPDATE cursor SET seq = ? WHERE checkpoint = ?", (cursor.seq, cursor.checkpoint)
            ).rowcount
            if not moved:
                values = (cursor.seq, cursor.checkpoint, cursor.state)
                connection.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?, ?, ?)", values)

    def _rows(self, points: Sequence[Point]) -> list[tuple[int, int, float]]:
        """Every number of the points: its series, when, and what."""
        return [
            (self._number(point.measurement, _text(tuple(point.tags.items())), field), point.at, float(value))
            for point in points
            for field, value in point.fields.items()
            if not isinstance(value, str)
        ]

    def _number(self, measurement: str, tags: str, field: str) -> int:
        """The series' id; the table is read once, and grows with the registry, not with the readings."""
        if not self._series:
            statement = "SELECT measurement, tags, field, id FROM series ORDER BY id"
            self._series = {(m, t, f): n for m, t, f, n in self._database.rows("reading series", statement)}
        return self._series.setdefault((measurement, tags, field), len(self._series) + 1)

    def series(
        self, measurement: str, field: str, tags: dict[str, str], since: int, until: int, slot: str
    ) -> list[Rollup]:
        """Return the slots that begin in ``[since, until)`` of all series with these tags, by time.

        ``slot`` is ``minute`` or ``hour``. Slots of several series that match are joined; their ``last`` is that of
        one.
        """
        conditions = "".join(" AND json_extract(tags, ?) = ?" for _ in tags)
        chosen = [part for name, value in tags.items() for part in (f'$."{name}"', value)]
        rows = self._database.rows(
            "reading roll-ups",
            f"SELECT slot, sum(n), sum(total), min(least), max(greatest), last FROM {slot} WHERE series IN "
            f"(SELECT id FROM series WHERE measurement = ? AND field = ?{conditions}) AND slot >= ? AND slot < ? "
            "GROUP BY slot ORDER BY slot",
            (measurement, field, *chosen, since, until),
        )
        return [Rollup(*row) for row in rows]


@lru_cache(maxsize=8192)
def _text(tags: tuple[tuple[str, str], ...]) -> str:
    return msgspec.json.encode(dict(tags), order="sorted").decode()


def _slots(rows: Sequence[tuple[int, int, float]], width: int) -> list[tuple[float, ...]]:
    """Add rows up by series and slot: one change of the table for each, however many readings.

    Returns rows of a slot's table, in the order of its columns. Of several readings of one instant the last to come is
    the last.
    """
    if not rows:
        return []
    series, at = np.array([(series, at) for series, at, _ in rows], np.int64).T
    value, slot = np.array([value for _, _, value in rows], np.float64), at // width * width
    order = np.lexsort((at, slot, series))
    series, at, value, slot = series[order], at[order], value[order], slot[order]
    begins = np.flatnonzero(np.concatenate([[True], (np.diff(series) != 0) | (np.diff(slot) != 0)]))
    ends = np.append(begins[1:], len(rows)) - 1
    sums, least, greatest = (how.reduceat(value, begins) for how in (np.add, np.minimum, np.maximum))
    columns = (series[begins], slot[begins], ends - begins + 1, sums, least, greatest, value[ends], at[ends])
    return list(zip(*(column.tolist() for column in columns), strict=True))
