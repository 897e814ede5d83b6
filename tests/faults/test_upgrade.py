"""The real daemon is started on what a released one left behind: sinks, open cases and pages go on where they were.

``released/VERSION.tar.xz`` was made by that version's own daemon on real parts, under a clock that showed another day.
It followed two lanes with roll-ups and an InfluxDB; somebody acknowledged lane 1's case over MQTT; it was stopped and
started again; then the database was stopped and the receiver answered 503 while lane 2 filled, too, and the daemon was
shot as soon as its last readings were journaled. What the store tests have of that version is started on likewise.
"""

from __future__ import annotations

import json
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sensord.core.site import Site
from sensord.drivers.replay import journal_groups
from sensord.store.reader import DirectoryReader
from tests.notify.receiver import Receiver
from tests.series.databases import Influx1
from tests.support import wait_until
from tests.support.broker import Mosquitto, paho_client
from tests.support.daemon import Daemon, crowd

RELEASED = sorted(Path(__file__).resolve().parents[1].glob("*/released/*.tar.xz"))
LONG = "3650d"
"""For keeping: what was released lies as far back as it does."""
CROWDS = (
    "SELECT coalesce(sum(n), 0) FROM minute WHERE series IN "
    "(SELECT id FROM series WHERE measurement = 'crowd' AND field = 'count')"
)


class Left(NamedTuple):
    """What a released version left to be done: readings, those that the database lacks, pages by key, open cases."""

    readings: int
    for_influx: int
    pending: set[str]
    sent: set[str]
    cases: set[str]


def rows(file: Path, statement: str) -> list[Any]:
    """The first column of what a database says."""
    with closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute(statement)]


def look(directory: Path) -> Left:
    """Look at a state directory, as that version wrote it."""
    state, site, readings = directory / "state.db", Site(), {}
    for group in journal_groups(DirectoryReader(directory / "journal")):
        readings[group.seq] = site.step(group).counts.get(("crowd", "accepted"), 0)
    (had,) = rows(state, "SELECT seq FROM cursors WHERE name = 'influxdb'")
    return Left(
        sum(readings.values()),
        sum(amount for seq, amount in readings.items() if seq > had),
        set(rows(state, "SELECT key FROM outbox WHERE state = 'pending'")),
        set(rows(state, "SELECT key FROM outbox WHERE state = 'sent'")),
        set(rows(state, "SELECT id FROM cases WHERE closed_at = 0")),
    )


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influx1]:
    """A database that has nothing yet: what comes into it comes from the new daemon."""
    running = Influx1(tmp_path)
    running.start()
    running.query("CREATE DATABASE sensord")
    yield running
    running.stop()


class Pages:
    """What people are told, over both channels."""

    def __init__(self, people: Receiver) -> None:
        self._people, self.over_mqtt = people, list[dict[str, Any]]()

    def keys(self) -> list[str]:
        """The keys of pages that do not say that they may be repeated."""
        told = [request.json for request in list(self._people.requests)] + self.over_mqtt
        return [page["key"] for page in told if not page["possibly_repeated"]]


@pytest.fixture
def pages(broker: Mosquitto, people: Receiver) -> Iterator[Pages]:
    """Everything that people are told."""
    heard = Pages(people)
    client = paho_client("everybody")
    client.on_message = lambda _client, _data, message: heard.over_mqtt.append(json.loads(message.payload))
    client.connect("127.0.0.1", broker.port)
    client.subscribe("t/alerts/#", 1)
    client.loop_start()
    yield heard
    client.loop_stop()
    client.disconnect()


@pytest.mark.parametrize("archive", RELEASED, ids=lambda path: f"{path.parts[-3]}-{path.name.removesuffix('.tar.xz')}")
def test_what_a_released_daemon_left_goes_on(
    archive: Path, tmp_path: Path, broker: Mosquitto, people: Receiver, influx: Influx1, pages: Pages
) -> None:
    """Each reading reaches each sink once, each page its receiver once, open cases end by new readings."""
    sinks = [
        {"type": "rollups", "keep_minutes": LONG, "keep_hours": LONG},
        {"type": "influxdb1", "url": influx.url, "database": "sensord"},
    ]
    daemon = Daemon(tmp_path / "new", broker.port, f"{people.url}/notify", sinks=sinks, journal={"keep": LONG})
    with tarfile.open(archive) as packed:
        for directory in (tmp_path / "seen", daemon.state):
            packed.extractall(directory, filter="data")
    left = look(tmp_path / "seen")
    numbers = count(10_000)
    said = 0

    def points() -> tuple[int, int]:
        series = influx.query("SELECT count(count) FROM crowd")
        return rows(daemon.state / "rollups.db", CROWDS)[0], series[0]["values"][0][1] if series else 0

    def all_arrived() -> bool:
        return points() == (left.readings + said, left.for_influx + said)

    def open_cases() -> set[str]:
        return {case["id"] for case in daemon.overview()["cases"]} & left.cases

    def calm() -> bool:
        nonlocal said
        number, said = next(numbers), said + 2
        broker.publish_all([crowd(1, 10, number), crowd(2, 10, number)])
        return not open_cases()

    def new_of_cases() -> set[str]:
        return {key.partition(":")[0] for key in set(pages.keys()) - left.pending}

    daemon.start()
    try:
        wait_until(all_arrived, 30, lambda: f"what was journaled before arrives: {points()} of {left}")
        wait_until(lambda: left.pending <= set(pages.keys()), 30, "who had not been told is told")
        assert open_cases() == left.cases
        assert daemon.metric("orphaned_cases_total") == 0
        wait_until(calm, 60, "the cases end, for nobody is there any more")
        wait_until(all_arrived, 30, lambda: f"new readings arrive: {points()} of {left} and {said}")
        wait_until(lambda: left.cases <= new_of_cases(), 30, "people hear of the end")
        assert daemon.metric('sink_points_total{outcome="written",sink="influxdb"') == len(influx.everything())
        assert daemon.fact("state") is True
        assert daemon.stop() == 0
    finally:
        daemon.kill()
    keys = pages.keys()
    assert len(keys) == len(set(keys))
    assert not left.sent & set(keys)
