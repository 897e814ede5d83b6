"""Whatever a device gives its messages along, they are heard, and those that come after them are."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client

from sensord.config.settings import Mqtt
from sensord.ingest.client import Listener, Unreadable
from sensord.ingest.queue import Lane
from tests.ingest.lane import running
from tests.ingest.raw import GOOD, hearing, packet, publish
from tests.ingest.support import Stage
from tests.support import wait_until
from tests.support.broker import Mosquitto, ScriptedBroker, marked

TOPICS = {
    Lane.READINGS: "linfen/c1/crowd/d1",
    Lane.SIGHTINGS: "linfen/c1/plate/cam",
    Lane.COMMANDS: "linfen/commands/by/somebody/a-case",
}
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("lane", list(TOPICS))
@pytest.mark.parametrize("name", ["UserProperty", "ContentType", "ResponseTopic"])
def test_no_property_of_a_message_deafens_a_session(brokers: Callable[..., Mosquitto], lane: Lane, name: str) -> None:
    """It is a message like any other, acknowledged once, also when it has waited through a restart of both sides."""
    broker = brokers("persistence true", "max_queued_messages 0")
    settings, topic = Mqtt(port=broker.port), TOPICS[lane]
    with Stage(settings, lane=lane) as stage:
        wait_until(lambda: stage.receiver.connected)
        broker.publish(topic, b"marked", properties=marked(name))
        broker.publish(topic, b"plain")
        wait_until(lambda: stage.journal.payloads == [b"marked", b"plain"])
        wait_until(lambda: stage.count("acknowledgements_total", outcome="sent") == 2)
    broker.publish(topic, b"waited", properties=marked(name))
    broker.stop()
    broker.start()
    with Stage(settings, lane=lane, had_session=True) as stage:
        wait_until(lambda: stage.receiver.connected)
        broker.publish(topic, b"after it")
        wait_until(lambda: stage.journal.payloads == [b"waited", b"after it"])
        assert (stage.links, stage.gaps) == ([(True, "connected")], [])
        assert stage.journal.messages[0].topic == topic


def test_no_property_of_a_message_cuts_the_fresh_lane(broker: Mosquitto) -> None:
    """It goes ahead like any other, and the lane stays on its one connection."""
    with running(Mqtt(port=broker.port)) as bench:
        bench.open()
        wait_until(lambda: len(broker.log_lines("sensord-fresh 0 linfen/+/level/+")) > 0)
        broker.publish(TOPICS[Lane.READINGS], b"marked", properties=marked("UserProperty"))
        wait_until(lambda: b"marked" in bench.came())
        assert len(broker.log_lines("Sending CONNACK to sensord-fresh")) == 1


BROKEN = {
    "properties longer than the packet": b"\x00\x03t/x\x00\x09\x7f!",
    "a length of more than four bytes": b"\x00\x03t/x\x00\x09\xff\xff\xff\xff\x01",
    "no properties": b"\x00\x03t/x\x00\x09",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=list(BROKEN))
def test_a_packet_that_is_no_message_is_refused(broken: bytes) -> None:
    """No broker should send one: it is acknowledged and counted, and the message behind it is heard."""
    with ScriptedBroker(4, packet(0x32, broken) + GOOD) as broker, Stage(Mqtt(port=broker.port)) as stage:
        wait_until(lambda: stage.journal.payloads == [b"!"])
        wait_until(lambda: b"\x40\x02\x00\x09" in broker.received)
        assert stage.count("dropped_total", reason="bad_packet") == 1
        assert stage.links == [(True, "connected")]


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x00\x09t/x", b"\x00\x03t/x\x00"])
def test_a_packet_without_a_number_is_not_acknowledged(body: bytes) -> None:
    """There is nothing that could be acknowledged; a number of 0 would end the connection."""
    with hearing(Listener) as say:
        broken, good = say(packet(0x32, body) + GOOD)
    assert isinstance(broken, Unreadable)
    assert (broken.qos, good.payload) == (0, b"!")


def test_what_is_no_mqtt_is_said_to_be_none() -> None:
    """A packet of the broker's own that is none ends the connection, and nobody is sent to the broker's log."""
    with ScriptedBroker(4, b"\xf7\x00") as broker, Stage(Mqtt(port=broker.port)) as stage:
        wait_until(lambda: stage.count("mqtt_disconnections_total", reason="unreadable") == 1)
        assert "no MQTT 5" in stage.links[1][1]


@given(st.integers(0x30, 0x3F), st.binary(max_size=60))
def test_what_follows_is_heard_whatever_came_before(first: int, body: bytes) -> None:
    """Any bytes as the rest of a message."""
    with hearing(Listener) as say:
        assert say(packet(first, body) + GOOD)[-1].payload == b"!"


@given(st.binary(min_size=1, max_size=20), st.binary(max_size=300), st.binary(max_size=20), st.integers(0, 65535))
def test_a_message_is_what_it_is_without_its_properties(
    topic: bytes, properties: bytes, payload: bytes, mid: int
) -> None:
    """Whatever is in the place of the properties: topic, payload and number are as sent."""
    with hearing(Listener) as say:
        (heard,) = say(publish(topic, payload, properties, mid))
    assert (heard._topic, heard.payload, heard.mid, heard.qos) == (topic, payload, mid, int(mid > 0))


@given(st.integers(0x30, 0x33), st.binary(max_size=40))
def test_what_paho_can_read_is_read_as_paho_reads_it(first: int, body: bytes) -> None:
    """Flags, topic, payload and number; of nothing that it takes do we say that it is no message."""
    with hearing(Client) as say:
        try:
            (theirs,) = say(packet(first, body))
        except ConnectionError:
            return
    with hearing(Listener) as say:
        (ours,) = say(packet(first, body))
    names = "_topic", "payload", "mid", "qos", "retain", "dup"
    assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]


def test_paho_is_one_whose_insides_were_looked_at() -> None:
    """``Listener`` holds on to paho's reading, connecting and keepalive: who allows another version looks at them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "paho-mqtt>=2.2,<2.3" in project["dependencies"]
    assert version("paho-mqtt").startswith("2.2.")
    assert Client._handle_publish.__qualname__ == "Client._handle_publish"
    assert Client._handle_connack.__qualname__ == "Client._handle_connack"
    assert Client._create_socket_connection.__qualname__ == "Client._create_socket_connection"
