"""The main job on real parts: broker, daemon, database and receiver as processes, a crowd through a real client."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from sensord.config.platekeys import load_keys
from sensord.core.site import Site
from sensord.drivers.replay import journal_groups
from sensord.store.reader import DirectoryReader
from sensord.store.state import StateStore
from tests.notify.receiver import Receiver
from tests.series.databases import Influx1
from tests.support import wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import Daemon, crowd


class Sensors:
    """Both lanes' sensors, speaking four times a second through a real client; ``counts`` is what they see."""

    def __init__(self, port: int) -> None:
        self.counts = {1: 5, 2: 5}
        self.sent = {1: 0, 2: 0}
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "sensors", protocol=paho.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe([("t/alerts/#", 1), ("t/results/#", 1)])
        self._client.on_message = lambda _c, _d, message: self.heard.append(
            (message.topic, json.loads(message.payload))
        )
        self._client.max_queued_messages_set(0)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._speak, daemon=True)

    def __enter__(self) -> Self:
        """Begin to speak."""
        self._thread.start()
        return self

    def fall_silent(self) -> None:
        """Speak no more, but go on listening."""
        self._stop.set()
        self._thread.join()

    def __exit__(self, *_: object) -> None:
        """Leave."""
        self.fall_silent()
        self._client.disconnect()
        self._client.loop_stop()

    def _speak(self) -> None:
        while not self._stop.wait(0.25):
            for lane, count in self.counts.items():
                self.publish(*crowd(lane, count, self.sent[lane]))
                self.sent[lane] += 1

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1; what a broker that is away misses is sent when it is back."""
        self._client.publish(topic, payload, 1)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A mosquitto that forgets nothing."""
    started = Mosquitto(tmp_path, "persistence true", "max_queued_messages 0").start()
    yield started
    started.stop()


@pytest.fixture
def people() -> Iterator[Receiver]:
    """Everybody's telephone."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def daemons(tmp_path: Path, broker: Mosquitto, people: Receiver) -> Iterator[Callable[..., Daemon]]:
    """Start daemons on the broker and the receiver; they end with the test."""
    started: list[Daemon] = []

    def start(**settings: Any) -> Daemon:
        daemon = Daemon(tmp_path / "sensord", broker.port, people.url + "/notify", **settings)
        daemon.fresh = True
        started.append(daemon)
        return daemon.start()

    yield start
    for daemon in started:
        daemon.kill()


def told(people: Receiver) -> list[tuple[str, str]]:
    """Who was told, and why, in the order of arrival."""
    return [(request.path.removeprefix("/notify/"), request.json["reason"]) for request in people.requests]


def replayed(daemon: Daemon) -> bytes:
    """What the core decides on the daemon's journal, as JSON lines."""
    site = Site(None, load_keys(daemon.state / "plate.keys").secrets)
    return b"".join(site.step(group).decisions() for group in journal_groups(DirectoryReader(daemon.state / "journal")))


def written(daemon: Daemon) -> bytes:
    """What the daemon decided and wrote down while it ran, in the same form."""
    state = StateStore(daemon.state)
    try:
        return state.decisions()
    finally:
        state.close()


def test_from_a_crowd_to_the_people_and_back(
    broker: Mosquitto, people: Receiver, daemons: Callable[..., Daemon], tmp_path: Path
) -> None:
    """The right grid's people hear of it once, the points are in InfluxDB, the case closes, replay is identical."""
    influx = Influx1(tmp_path)
    influx.start()
    try:
        influx.query("CREATE DATABASE sensord")
        sinks = [{"type": "influxdb1", "url": influx.url, "database": "sensord"}, {"type": "rollups"}]
        daemon = daemons(sinks=sinks)
        with Sensors(broker.port) as sensors:
            wait_until(lambda: sensors.sent[1] > 8, 20, "the sensors speak")
            assert told(people) == []
            sensors.counts[1] = 150
            wait_until(lambda: ("police-1", "level_rose") in told(people), 30, "the police are told")
            wait_until(lambda: daemon.overview()["cases"], 10, "the overview follows")
            (case,) = daemon.overview()["cases"]
            assert (case["place"], case["level"]) == ("L1", "orange")
            refused = daemon.command("close", case["id"], "--by", "居委干部-1")
            assert refused.returncode == 1
            assert "传感器仍报橙色" in refused.stderr
            sensors.publish(f"t/commands/by/居委干部-1/{case['id']}", json.dumps({"verb": "acknowledge"}).encode())
            wait_until(lambda: daemon.overview()["cases"][0]["acknowledged_by"], 10, "the case is acknowledged")
            sensors.counts[1] = 5
            wait_until(lambda: not daemon.overview()["cases"], 30, "the case is closed")
            wait_until(lambda: told(people).count(("police-1", "case_closed")) == 1, 10, "the police hear the end")
            wait_until(lambda: len(sensors.heard) >= 4, 10, "alerts and the result were published")
            sensors.fall_silent()
        wait_until(daemon.caught_up, 10, "everything is applied")
        sent = sum(sensors.sent.values())
        count = "SELECT count(count) FROM crowd"
        wait_until(lambda: _count(influx, count) == sent, 20, "every point is in InfluxDB")
        assert {tags["level"] for name, tags, _, _ in influx.everything() if name == "alert"} == {
            "yellow",
            "orange",
            "none",
        }
        assert daemon.stop() == 0
        _check_who(people, sensors)
        assert replayed(daemon) == written(daemon) != b""
    finally:
        influx.stop()


def _count(influx: Influx1, query: str) -> int:
    found = influx.query(query)
    return int(found[0]["values"][0][1]) if found else 0


def _check_who(people: Receiver, sensors: Sensors) -> None:
    """Only that grid's people, each message once."""
    keys = [request.json["key"] for request in people.requests]
    assert len(keys) == len(set(keys))
    assert not any(request.json["possibly_repeated"] for request in people.requests)
    receivers = [receiver for receiver, _ in told(people)]
    assert set(receivers) == {"volunteer-1", "cadre-1", "police-1"}
    assert [reason for receiver, reason in told(people) if receiver == "police-1"] == ["level_rose", "case_closed"]
    alerts = {topic for topic, _ in sensors.heard if topic.startswith("t/alerts/")}
    assert alerts == {"t/alerts/G1"}
    (result,) = [body for topic, body in sensors.heard if topic.startswith("t/results/")]
    assert result["accepted"] is True
