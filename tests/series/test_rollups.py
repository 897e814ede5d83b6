"""The embedded store: a reading counts once, whenever the daemon dies."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sensord.config.settings import Rollups
from sensord.ports import Cursor
from sensord.store.rollups import FILE, RollupSink
from tests.series.parts import some_points


async def test_points_and_their_cursor_are_there_together(tmp_path: Path) -> None:
    """At no statement does anybody who looks see one without the other: a crash there would count points again."""
    sink, seen = RollupSink(tmp_path, Rollups()), list[tuple[int, ...]]()
    with closing(sqlite3.connect(tmp_path / FILE, check_same_thread=False)) as other:

        def look(_statement: str = "") -> None:
            columns = ("sum(n)", "minute"), ("sum(n)", "hour"), ("max(seq)", "cursor")
            rows = [other.execute(f"SELECT coalesce({one}, 0) FROM {table}").fetchone() for one, table in columns]
            seen.append(tuple(row[0] for row in rows))

        sink._database.connection.set_trace_callback(look)
        await sink.write(some_points(10), Cursor(1, 1, b""))
        await sink.write(some_points(10), Cursor(2, 1, b""))
        look()
    await sink.close()
    numbers = 3 * 10  # of each point; its note is none
    assert list(dict.fromkeys(seen)) == [(0, 0, 0), (numbers, numbers, 1), (2 * numbers, 2 * numbers, 2)]
