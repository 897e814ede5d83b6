"""The InfluxDB 2.x sink against VictoriaMetrics, which takes the same writes but keeps milliseconds, and numbers."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sensord.config.settings import InfluxV2
from sensord.core.point import Point
from sensord.errors import DeliveryError
from sensord.ports import Cursor
from sensord.series.influx_v2 import InfluxV2Sink
from sensord.store.journal import Journal
from sensord.telemetry.metrics import PrometheusMeter
from tests.notify.parts import until
from tests.series.databases import Victoria
from tests.series.parts import START, Applied, Cursors, JsonPoints, feeding, journal_points

MILLISECOND = 1_000_000


def _points(count: int) -> list[Point]:
    """Points of seven devices a millisecond apart, that VictoriaMetrics can keep exactly."""
    return [
        Point(
            "crowd",
            {"device": f"camera-{number % 7}", "place": "临汾路 99弄, east=1"},
            {"count": number, "density": number / 8, "moving": number % 2 == 0},
            START + number * MILLISECOND + number % MILLISECOND,
        )
        for number in range(count)
    ]


def _expected(points: list[Point]) -> dict[tuple[str, str], dict[int, float]]:
    found: dict[tuple[str, str], dict[int, float]] = {}
    for point in points:
        for name, value in point.fields.items():
            samples = found.setdefault((f"{point.measurement}_{name}", point.tags["device"]), {})
            samples[point.at // MILLISECOND] = float(value)
    return found


def _sink(url: str, cursors: Cursors, meter: PrometheusMeter) -> InfluxV2Sink:
    return InfluxV2Sink(InfluxV2(url=url, bucket="sensord"), "token", cursors, meter, timeout=5.0)


async def test_every_point_is_read_back(victoria_metrics: Victoria) -> None:
    """Every number at its millisecond; writing twice changes nothing; the cursor is saved."""
    points, cursors, meter = _points(2500), Cursors(), PrometheusMeter()
    sink = _sink(victoria_metrics.url, cursors, meter)
    assert await sink.position() is None
    for _ in range(2):
        await sink.write([*points, Point("empty", {}, {}, START)], Cursor(7, 7, b"state"))
    assert victoria_metrics.everything() == _expected(points)
    assert await sink.position() == Cursor(7, 7, b"state")
    assert meter.value("sink_points_total", sink="influxdb", outcome="written") == 5000
    assert meter.value("sink_points_total", sink="influxdb", outcome="empty") == 2
    await sink.close()


@pytest.fixture
def trickling() -> Iterator[tuple[str, threading.Event]]:
    """The address of a database whose answer comes letter by letter, until the event ends it."""
    over = threading.Event()

    def answer() -> None:
        with suppress(OSError):
            connection = listener.accept()[0]
            with connection:
                connection.sendall(b"HTTP/1.1 204 No Content\r\nX: ")
                while not over.wait(0.05):
                    connection.sendall(b"1")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=answer)
        serving.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", over
        serving.join(10)


async def test_an_answer_that_trickles_in_is_none(trickling: tuple[str, threading.Event]) -> None:
    """Each piece comes in time, the whole does not: the request is bounded as a whole, and the cursor stays."""
    (url, over), cursors = trickling, Cursors()
    sink = InfluxV2Sink(InfluxV2(url=url, bucket="sensord"), "token", cursors, PrometheusMeter(), timeout=0.3)
    try:
        with pytest.raises(DeliveryError, match="no answer"):
            await asyncio.wait_for(sink.write(_points(1), Cursor(1, 1, b"")), 10)
    finally:
        over.set()  # the loop's end waits for the thread that reads
    assert await sink.position() is None


async def test_down_and_up_again(tmp_path: Path, journal: Journal) -> None:
    """The database is down at the start and once in between: nothing is lost, nothing is there twice."""
    server, meter, points = Victoria(tmp_path), PrometheusMeter(), _points(3000)
    cursors, changes = Cursors(), Applied(100)
    sink = _sink(server.url, cursors, meter)
    journal_points(journal, points)
    try:
        async with feeding(sink, journal.reader(), changes, JsonPoints(), meter, batch=100):
            await until(lambda: meter.value("sink_retries_total", sink="influxdb") > 3)
            await asyncio.to_thread(server.start)
            await until(lambda: (cursors.load("influxdb") or Cursor(0, 0, b"")).seq > 50)
            await asyncio.to_thread(
                server.stop, signal.SIGTERM
            )  # it writes to disk once a second, or when asked to end
            changes.applied = 300
            before = meter.value("sink_retries_total", sink="influxdb")
            await until(lambda: meter.value("sink_retries_total", sink="influxdb") > before + 2)
            await asyncio.to_thread(server.start)
            await until(lambda: (cursors.load("influxdb") or Cursor(0, 0, b"")).seq == 300)
        assert server.everything() == _expected(points)
    finally:
        server.stop()
        await sink.close()
