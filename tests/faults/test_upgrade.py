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
from pathlib import Path
from typing import Any, NamedTuple, Self

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


class Street:
    """A daemon of today on what a released version left, with all that is around it."""

    def __init__(self, archive: Path, directory: Path, broker: Mosquitto, people: Receiver, influx: Influx1) -> None:
        sinks = [
            {"type": "rollups", "keep_minutes": LONG, "keep_hours": LONG},
            {"type": "influxdb1", "url": influx.url, "database": "sensord"},
        ]
        self.daemon = Daemon(
            directory / "new", broker.port, f"{people.url}/notify", sinks=sinks, journal={"keep": LONG}
        )
        with tarfile.open(archive) as packed:
            for place in (directory / "seen", self.daemon.state):
                packed.extractall(place, filter="data")
        self.left = look(directory / "seen")
        self._broker, self._people, self._influx = broker, people, influx
        self._said, self._heard = 0, list[dict[str, Any]]()
        self._client = paho_client("everybody")
        self._client.on_message = lambda _client, _data, message: self._heard.append(json.loads(message.payload))

    def __enter__(self) -> Self:
        """Listen as everybody does, and start."""
        self._client.connect("127.0.0.1", self._broker.port)
        self._client.subscribe("t/alerts/#", 1)
        self._client.loop_start()
        self.daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self.daemon.kill()
        self._client.loop_stop()
        self._client.disconnect()

    def told(self) -> list[str]:
        """The keys of all pages that do not say that they may be repeated."""
        pages = [request.json for request in list(self._people.requests)] + self._heard
        return [page["key"] for page in pages if not page["possibly_repeated"]]

    def marked(self) -> set[str]:
        """The places of pages that say that they may be repeated."""
        pages = [request.json for request in list(self._people.requests)]
        return {page["place"] for page in pages if page["possibly_repeated"]}

    def places(self) -> set[str]:
        """Where there are open cases."""
        return {case["place"] for case in self.daemon.overview()["cases"]}

    def points(self) -> tuple[int, int]:
        """How many readings the roll-ups and the database have."""
        series = self._influx.query("SELECT count(count) FROM crowd")
        return rows(self.daemon.state / "rollups.db", CROWDS)[0], series[0]["values"][0][1] if series else 0

    def await_points(self) -> None:
        """Wait until each sink has got every reading."""
        wanted = self.left.readings + self._said, self.left.for_influx + self._said
        wait_until(lambda: self.points() == wanted, 60, lambda: f"{wanted} readings are there: {self.points()}")

    def written_once(self) -> bool:
        """Whether the database has got nothing twice: what it holds is what was sent."""
        sent = self.daemon.metric('sink_points_total{outcome="written",sink="influxdb"')
        return sent == len(self._influx.everything())

    def open_cases(self) -> set[str]:
        """Those of the released version that go on."""
        return {case["id"] for case in self.daemon.overview()["cases"]} & self.left.cases

    def calm(self) -> bool:
        """Say that hardly anybody is there; returns whether all of its cases have ended by that."""
        self._broker.publish_all([crowd(lane, 10, 10_000 + self._said) for lane in (1, 2)])
        self._said += 2
        return not self.open_cases()


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influx1]:
    """A database that has nothing yet: what comes into it comes from the new daemon."""
    running = Influx1(tmp_path)
    running.start()
    running.query("CREATE DATABASE sensord")
    yield running
    running.stop()


@pytest.mark.parametrize("archive", RELEASED, ids=lambda path: f"{path.parts[-3]}-{path.name.removesuffix('.tar.xz')}")
def test_what_a_released_daemon_left_goes_on(
    archive: Path, tmp_path: Path, broker: Mosquitto, people: Receiver, influx: Influx1
) -> None:
    """Each reading reaches each sink once, each page its receiver once, open cases end by new readings."""
    with Street(archive, tmp_path, broker, people, influx) as street:
        left = street.left
        street.await_points()
        wait_until(lambda: left.pending <= set(street.told()), 60, "who had not been told is told")
        assert street.open_cases() == left.cases
        assert street.daemon.metric("orphaned_cases_total") == 0
        wait_until(street.calm, 60, "the cases end, for nobody is there any more")
        wait_until(lambda: left.cases <= cases(set(street.told()) - left.pending), 60, "people hear of the end")
        street.await_points()
        assert street.written_once()
        assert street.daemon.fact("state") is True
        assert street.daemon.stop() == 0
        told = street.told()
    assert len(told) == len(set(told))
    assert not left.sent & set(told)


def test_a_journal_whose_beginning_is_past_its_keeping_goes_on(
    tmp_path: Path, broker: Mosquitto, people: Receiver, influx: Influx1
) -> None:
    """And with it the definition and a case's beginning: today's definition holds, and the crowd has a case still."""
    street = Street(RELEASED[0], tmp_path, broker, people, influx)
    oldest = min((street.daemon.state / "journal").glob("*.db"))
    for path in oldest.parent.glob(f"{oldest.name}*"):
        path.unlink()
    with street:
        street.await_points()
        crowded = {"L1", "L2"}
        assert crowded <= street.places()
        wait_until(lambda: street.marked() == crowded, 60, "of crowds that go on people hear again")
        wait_until(lambda: street.calm() and not crowded & street.places(), 60, "the cases end, for nobody is there")
        street.await_points()
        assert street.daemon.stop() == 0
        assert not street.left.sent & set(street.told())


def cases(keys: set[str]) -> set[str]:
    """The cases that pages are about."""
    return {key.partition(":")[0] for key in keys}
