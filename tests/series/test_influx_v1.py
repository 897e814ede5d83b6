"""The InfluxDB 1.x sink against a real one: what is written is what is there, to the nanosecond."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensord.config.settings import InfluxV1
from sensord.core.instant import SECOND
from sensord.core.point import Point
from sensord.errors import DeliveryError
from sensord.ports import Cursor
from sensord.series.influx_v1 import InfluxV1Sink
from sensord.series.lineprotocol import encode_lines
from sensord.store.journal import Journal
from sensord.telemetry.metrics import PrometheusMeter
from tests.notify.parts import until
from tests.series.databases import Influx1
from tests.series.parts import START, Applied, Cursors, JsonPoints, Pulse, feeding, journal_points, some_points
from tests.series.test_lineprotocol import NAMES, POINTS
from tests.support import http


def _sink(url: str, cursors: Cursors, meter: PrometheusMeter | None = None, database: str = "sensord") -> InfluxV1Sink:
    return InfluxV1Sink(InfluxV1(url=url, database=database), "", cursors, meter or PrometheusMeter(), timeout=5.0)


def _plain(points: list[Point]) -> list[tuple[str, dict[str, str], dict[str, object], int]]:
    return [(point.measurement, point.tags, dict(point.fields), point.at) for point in points]


def _settled(point: Point, at: int) -> Point:
    """The same point at its own time, with names that say their type: the database keeps one type a field."""
    fields = {f"{type(value).__name__}_{name}": value for name, value in point.fields.items()}
    return Point(point.measurement, {f"tag_{name}": value for name, value in point.tags.items()}, fields, at)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(POINTS, min_size=40, max_size=80))
def test_any_point_is_accepted_and_kept(influxdb: Influx1, drawn: list[Point]) -> None:
    """A thousand random points and more: the database takes every line and gives back exactly the same."""
    points = [_settled(point, START + number) for number, point in enumerate(drawn)]
    influxdb.query("DROP DATABASE sensord")
    influxdb.query("CREATE DATABASE sensord")
    lines, empty = encode_lines(points)
    query = {"db": "sensord", "precision": "ns"}
    answer = http.post(influxdb.url + "/write", params=query, content=lines.encode())
    assert (answer.status_code, answer.text, empty) == (204, "", 0)
    assert influxdb.everything() == _plain(points)


async def test_every_point_is_read_back(influxdb: Influx1) -> None:
    """Tags, fields and nanoseconds as written; the cursor is saved; writing twice changes nothing."""
    points, cursors, meter = some_points(2500), Cursors(), PrometheusMeter()
    sink = _sink(influxdb.url, cursors, meter)
    assert await sink.position() is None
    for _ in range(2):
        await sink.write([*points, Point("empty", {}, {}, START)], Cursor(7, 7, b"state"))
    assert influxdb.everything() == _plain(points)
    assert await sink.position() == Cursor(7, 7, b"state")
    assert meter.value("sink_points_total", sink="influxdb", outcome="written") == 5000
    assert meter.value("sink_points_total", sink="influxdb", outcome="empty") == 2
    await sink.close()


async def test_a_type_conflict_costs_only_its_own_points(influxdb: Influx1, journal: Journal) -> None:
    """A field that changes its type is refused with a partial write: bisected, counted, everything else kept."""
    points, meter = some_points(300), PrometheusMeter()
    poison = [Point("crowd", {"device": "bad"}, {"count": "many"}, START - 1 + number) for number in (0, 200_000)]
    journal_points(journal, sorted([*points, *poison], key=lambda point: point.at))
    sink = _sink(influxdb.url, Cursors(), meter)
    await sink.write([Point("crowd", {"device": "first"}, {"count": 1}, START - 2)], Cursor(0, 0, b""))
    async with feeding(sink, journal.reader(), Applied(journal.last_seq), JsonPoints(), meter, batch=500):
        await until(lambda: meter.value("sink_points_total", sink="influxdb", outcome="refused") == 2)
        await until(lambda: len(influxdb.everything()) == 301)
    assert influxdb.everything()[1:] == _plain(points)
    await sink.close()


class _Counting(InfluxV1Sink):
    """Counts its requests."""

    requests = 0

    async def _send(self, lines: str) -> None:
        self.requests += 1
        await super()._send(lines)


async def test_what_a_database_keeps_no_more_costs_few_requests(influxdb: Influx1, journal: Journal) -> None:
    """A backlog older than the retention, and a field of another type between: refused in whole stretches."""
    influxdb.query("CREATE DATABASE a_day WITH DURATION 1d")
    now = time.time_ns() - 3600 * SECOND
    fresh = [Point("crowd", {"device": f"camera-{number}"}, {"count": number}, now + number) for number in range(1000)]
    other = [Point("crowd", one.tags, {"count": "many"}, one.at) for one in fresh[::2]]
    mixed = [one for pair in zip(fresh[::2], other, fresh[1::2], strict=True) for one in pair]
    journal_points(journal, [*some_points(4000), *mixed], group=100)
    meter, pulse = PrometheusMeter(), Pulse()
    sink = _Counting(InfluxV1(url=influxdb.url, database="a_day"), "", Cursors(), meter, timeout=5.0)
    await sink.write([Point("crowd", {"device": "first"}, {"count": 1}, now - 1)], Cursor(0, 0, b""))
    whole = Applied(journal.last_seq)
    async with feeding(sink, journal.reader(), whole, JsonPoints(), meter, batch=5000, pulse=pulse):
        await until(lambda: sink.requests > 1 and meter.value("sink_lag_groups", sink="influxdb") == 0)
        await until(lambda: meter.value("sink_points_total", sink="influxdb", outcome="refused") == 4500)
    assert sink.requests < 100
    assert pulse.beats >= sink.requests
    (kept,) = influxdb.query("SELECT count(count) FROM crowd", database="a_day")
    assert kept["values"][0][1] == 1001
    await sink.close()


async def test_down_and_up_again(tmp_path: Path, journal: Journal) -> None:
    """The database is down at the start, then killed in the middle: nothing is lost, nothing is there twice."""
    server, meter, points = Influx1(tmp_path), PrometheusMeter(), some_points(6000)
    cursors, changes = Cursors(), Applied()
    sink = _sink(server.url, cursors, meter)
    journal_points(journal, points, group=20)
    try:
        async with feeding(sink, journal.reader(), changes, JsonPoints(), meter, batch=100):
            changes.applied = 100
            await until(lambda: meter.value("sink_retries_total", sink="influxdb") > 3)
            await asyncio.to_thread(server.start)
            await asyncio.to_thread(server.query, "CREATE DATABASE sensord")
            await until(lambda: (cursors.load("influxdb") or Cursor(0, 0, b"")).seq > 50)
            await asyncio.to_thread(server.stop, signal.SIGKILL)
            changes.applied = 300
            before = meter.value("sink_retries_total", sink="influxdb")
            await until(lambda: meter.value("sink_retries_total", sink="influxdb") > before + 2)
            await asyncio.to_thread(server.start)
            await until(lambda: (cursors.load("influxdb") or Cursor(0, 0, b"")).seq == 300)
        assert server.everything() == _plain(points)
    finally:
        server.stop()
        await sink.close()


async def test_a_restart_goes_on_from_the_cursor(influxdb: Influx1, journal: Journal) -> None:
    """A new sink with the saved cursor writes what is new, and only that."""
    points, cursors, meter = some_points(400), Cursors(), PrometheusMeter()
    journal_points(journal, points)
    for applied in (25, 40):
        sink = _sink(influxdb.url, cursors, meter)
        async with feeding(sink, journal.reader(), Applied(applied), JsonPoints(), meter):
            await until(lambda: (cursors.load("influxdb") or Cursor(0, 0, b"")).seq == applied)  # noqa: B023
        await sink.close()
    assert influxdb.everything() == _plain(points)
    assert meter.value("sink_points_total", sink="influxdb", outcome="written") == 400


async def test_a_missing_database_is_not_the_points_fault(influxdb: Influx1) -> None:
    """A wrong name in the configuration is retryable and says what to create."""
    sink = _sink(influxdb.url, Cursors(), database="nowhere")
    with pytest.raises(DeliveryError, match="database") as caught:
        await sink.write(some_points(1), Cursor(1, 1, b""))
    assert caught.value.retryable
    assert await sink.position() is None
    await sink.close()


def test_names_are_random_enough() -> None:
    """The strategy that the tests above draw from does reach the characters that need escaping."""
    found: set[str] = set()

    @settings(max_examples=300, database=None)
    @given(NAMES)
    def draw(name: str) -> None:
        found.update(name)

    draw()
    assert set(", =") <= found
