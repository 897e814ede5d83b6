"""A plate is gone when its day has expired: from every file of the state directory, damaged ones that were kept too."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from sensord.store.dayfile import day_files
from sensord.store.keepingtime import KeepingTime
from tests.support import wait_until
from tests.support.broker import Mosquitto
from tests.support.clock import at
from tests.support.daemon import Daemon

FIRST, SECOND, TODAY = "皖K13579", "苏E24680", "沪AD12345"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that remembers nothing: only the daemon's own files are looked at."""
    made = Mosquitto(tmp_path, "persistence false").start()
    yield made
    made.stop()


@pytest.fixture
def daemon(tmp_path: Path, broker: Mosquitto) -> Iterator[Daemon]:
    """A daemon that keeps its journal for thirty days, as it comes."""
    made = Daemon(tmp_path / "sensord", broker.port, "http://127.0.0.1:9")
    yield made
    made.kill()


def drive(daemon: Daemon, port: int, plate: str) -> None:
    """A vehicle drives in and out; each message is journaled by itself, so its bytes lie in the file as they are."""
    client = paho.Client(CallbackAPIVersion.VERSION2, "camera", protocol=paho.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for seq, direction in enumerate(("in", "out")):
        body = {"plate": plate, "direction": direction, "confidence": 0.95, "boot": plate[-1], "seq": seq}
        text = json.dumps(body, ensure_ascii=False).encode()
        client.publish("t/C1/plate/camera-1", text, 1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()
    wait_until(daemon.caught_up, 20, "it is applied")


def holding(state: Path, plate: str) -> set[str]:
    """The files in which a plate stands."""
    return {path.name for path in state.rglob("*") if path.is_file() and plate.encode() in path.read_bytes()}


def lived(daemon: Daemon, offset: str, plate: str, port: int) -> None:
    """Let the daemon live on another day, see a vehicle, and end in good order."""
    daemon.start(at(offset), "/api/v1/overview")  # after damage it is not as it should be, and says so
    drive(daemon, port, plate)
    assert daemon.stop() == 0, daemon.tail()


@pytest.mark.timeout(240)
def test_after_its_keep_no_file_holds_a_plate(daemon: Daemon, broker: Mosquitto) -> None:
    """Forty days ago, and a day later with the file of the day before damaged; today nothing of either is left."""
    lived(daemon, "-40d", FIRST, broker.port)
    (old,) = day_files(daemon.state / "journal")
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert holding(daemon.state, FIRST) == {old.name}, "where the search must find it"
    old.write_bytes(b"no database any more" + old.read_bytes()[20:])
    lived(daemon, "-39d", SECOND, broker.port)
    kept = [path for path in (daemon.state / "journal").iterdir() if ".damaged-" in path.name]
    assert kept, "the damaged file was set aside"
    assert {path.name for path in kept} <= holding(daemon.state, FIRST)
    lived(daemon, "+0", TODAY, broker.port)  # with each ending a state is saved; the last two need no old day
    KeepingTime(daemon.state).note(time.time_ns())  # as of a daemon that ran through the days between
    daemon.start(None, "/api/v1/overview")  # the page about the damage waits for its receiver
    wait_until(lambda: not holding(daemon.state, FIRST) | holding(daemon.state, SECOND), 60, "both days expire")
    assert daemon.stop() == 0
    assert not [path for path in (daemon.state / "journal").iterdir() if ".damaged-" in path.name]
    assert len(day_files(daemon.state / "journal")) == 1
    assert holding(daemon.state, TODAY), "what is younger is kept"
    assert holding(daemon.state, FIRST) | holding(daemon.state, SECOND) == set()
