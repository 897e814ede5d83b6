"""The second way to a person: taken when the first has not delivered, left alone when it has; on real parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.notify.receiver import Answer, Receiver
from tests.support import wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import Daemon, crowd

ROSTER = """
people:
  - id: 居委干部-1
    role: cadre
    serves: G1
    contacts: [{channel: first, address: cadre-1}, {channel: second, address: cadre-1, after: 3s}]
  - {id: 志愿者-1, role: volunteer, serves: street, contacts: [{channel: second, address: volunteer-1}]}
  - {id: 派出所-1, role: police, serves: street, contacts: [{channel: second, address: police-1}]}
"""


@pytest.fixture
def first() -> Iterator[Receiver]:
    """The first way."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def second() -> Iterator[Receiver]:
    """The second way."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def daemon(tmp_path: Path, first: Receiver, second: Receiver) -> Iterator[tuple[Daemon, Mosquitto]]:
    """A daemon with both ways, not started."""
    channels = [
        {"type": "webhook", "name": name, "url": f"{receiver.url}/to", "allow": [receiver.host]}
        for name, receiver in (("first", first), ("second", second))
    ]
    broker = Mosquitto(tmp_path).start()
    made = Daemon(tmp_path / "sensord", broker.port, f"{first.url}/to", channels=channels)
    (made.directory / "roster.yaml").write_text(ROSTER, encoding="utf-8")
    yield made, broker
    made.kill()
    broker.stop()


def a_crowd_comes(broker: Mosquitto, until: Receiver) -> None:
    """Report a crowd until somebody hears of it."""
    client = paho.Client(CallbackAPIVersion.VERSION2, "sensor", protocol=paho.MQTTv5)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    seq = 0

    def heard() -> bool:
        nonlocal seq
        client.publish(*crowd(1, 150, seq), 1).wait_for_publish(10)
        seq += 1
        return bool(until.requests)

    wait_until(heard, 30, "somebody hears of the crowd")
    client.disconnect()
    client.loop_stop()


def told(receiver: Receiver) -> list[tuple[str, str]]:
    """Who was told over a way, and why."""
    return [(request.path.rpartition("/")[2], request.json["reason"]) for request in receiver.requests]


def test_the_second_way_is_taken_when_the_first_does_not_deliver(
    daemon: tuple[Daemon, Mosquitto], first: Receiver, second: Receiver
) -> None:
    """The first answers 503: after three seconds the same person is told over the second, with the reason."""
    first.otherwise = Answer(503)
    running, broker = daemon
    running.start()
    a_crowd_comes(broker, first)
    wait_until(lambda: ("cadre-1", "not_delivered") in told(second), 30, "the second way is taken")
    assert {who for who, _ in told(first)} == {"cadre-1"}
    first.otherwise = Answer()
    wait_until(lambda: running.overview()["notifications"]["pending"] == 0, 60, "the first way delivers late")


def test_the_second_way_is_taken_when_the_first_says_what_may_mean_either(
    daemon: tuple[Daemon, Mosquitto], first: Receiver, second: Receiver
) -> None:
    """Each message has gone out once by then, and waits for its minute; whether it arrived is not known."""
    first.otherwise = Answer(200, b'{"code": 2}')
    running, broker = daemon
    running.start()
    a_crowd_comes(broker, first)
    wait_until(lambda: ("cadre-1", "not_delivered") in told(second), 30, "the second way is taken")
    sends = Counter(request.json["key"] for request in first.requests)
    assert set(sends.values()) == {1}
    wait_until(lambda: running.overview()["notifications"]["pending"] == len(sends), 30, "nothing says that it arrived")


def test_the_second_way_is_left_alone_when_the_first_delivers(
    daemon: tuple[Daemon, Mosquitto], first: Receiver, second: Receiver
) -> None:
    """The receipt of the first is in the journal before the second's turn: it is not taken."""
    running, broker = daemon
    running.start()
    a_crowd_comes(broker, first)
    wait_until(lambda: '"applied"' in running.get("/api/v1/overview").text, 10)
    began = running.overview()["at"]
    wait_until(lambda: _seconds(running.overview()["at"]) - _seconds(began) >= 5, 30, "the second's turn has passed")
    assert ("cadre-1", "not_delivered") not in told(second)


def _seconds(at: str) -> int:
    hours, minutes, seconds = at[11:19].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)
