"""The embedded store: a reading counts once, whenever the daemon dies."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sensord.config.settings import Rollups
from sensord.core.instant import DAY, HOUR, MINUTE
from sensord.core.point import Point
from sensord.ports import Cursor
from sensord.store.rollups import FILE, SLOTS, RollupSink
from tests.series.parts import START, some_points


async def test_points_and_their_cursor_are_there_together(tmp_path: Path) -> None:
    """At no statement does anybody who looks see one without the other: a crash there would count points again."""
    sink, seen = RollupSink(tmp_path, Rollups(), lambda: None), list[tuple[int, ...]]()
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


async def _slots_left(directory: Path, monkeypatch: pytest.MonkeyPatch, clock: Callable[[], int | None]) -> list[int]:
    """How many minutes and hours are left of a day, thirty days being kept, after a point of forty days later."""
    monkeypatch.setattr("sensord.store.rollups._PRUNE_EVERY", 1)
    sink = RollupSink(directory, Rollups(keep_minutes="30d", keep_hours="30d"), clock)
    day = [Point("crowd", {"device": "d"}, {"count": 1.0}, START - number * MINUTE) for number in range(24 * 60)]
    await sink.write(day, Cursor(1, 1, b""))
    await sink.write([Point("crowd", {"device": "d"}, {"count": 1.0}, START + 40 * DAY)], Cursor(2, 1, b""))
    left = [len(sink.series("crowd", "count", {}, 0, START + DAY, slot)) for slot in SLOTS]
    await sink.close()
    return left


async def test_slots_go_by_the_clock_of_keeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A point says when it was made by a clock that may be wrong; by that nothing is deleted."""
    all_of_them = [24 * 60, 25]
    clocks: list[Callable[[], int | None]] = [lambda: None, lambda: START, lambda: START + 28 * DAY]
    for number, clock in enumerate(clocks):
        assert await _slots_left(tmp_path / str(number), monkeypatch, clock) == all_of_them
    noon = START + 30 * DAY - 12 * HOUR
    assert await _slots_left(tmp_path / "noon", monkeypatch, lambda: noon) == [12 * 60, 12]
    assert await _slots_left(tmp_path / "over", monkeypatch, lambda: START + 31 * DAY) == [0, 0]
