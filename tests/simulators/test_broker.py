"""The embedded broker and the children of the demonstration: they start, they are watched, they end."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from sensord.errors import UnavailableError
from simulators import broker as broker_module
from simulators.broker import find_mosquitto, running_broker
from simulators.children import Child
from tests.simulators.small import eventually


@pytest.mark.parametrize("protocol", [MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311])
@pytest.mark.parametrize("kind", ["mosquitto", "amqtt"])
def test_a_message_goes_through_and_the_broker_ends(tmp_path: Path, kind: str, protocol: MQTTProtocolVersion) -> None:
    """Each broker carries a QoS 1 message in either version of the protocol, and is gone after its context."""
    got: list[bytes] = []
    subscribed = threading.Event()
    with running_broker(tmp_path, kind) as broker:
        client = Client(CallbackAPIVersion.VERSION2, protocol=protocol)

        def take(_client: Client, _data: object, message: MQTTMessage) -> None:
            got.append(bytes(message.payload))

        client.on_message = take
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect(broker.host, broker.port)
        client.loop_start()
        assert eventually(client.is_connected)
        client.subscribe("linfen/#", 1)
        assert subscribed.wait(10)
        client.publish("linfen/C1/crowd/a", b"hello", qos=1).wait_for_publish(10)
        assert eventually(lambda: got == [b"hello"])
        client.disconnect()
        client.loop_stop()
        child, port = broker.child, broker.port
        child.check()
    assert child.exit_code is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_mosquitto_is_chosen_when_it_is_there(tmp_path: Path) -> None:
    """Without a wish the installed mosquitto is taken, found even outside the usual search path."""
    assert find_mosquitto() is not None
    with running_broker(tmp_path) as broker:
        assert (broker.kind, broker.host) == ("mosquitto", "127.0.0.1")


def test_no_broker_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With neither broker installed the error names both and how to get them."""
    monkeypatch.setattr(broker_module, "find_mosquitto", lambda: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UnavailableError, match=r"apt install mosquitto.*sensord\[demo\]"), running_broker(tmp_path):
        pass


def test_a_dead_child_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    """A child that ends early is reported with its exit code and its last lines, not its first."""
    program = "for n in range(100): print('line', n)\nraise SystemExit(7)"
    with Child.running("worker", [sys.executable, "-c", program], tmp_path / "log") as child:
        assert eventually(lambda: child.exit_code is not None)
        with pytest.raises(UnavailableError) as found:
            child.check()
    assert "worker has ended with exit code 7" in str(found.value)
    assert "line 99" in str(found.value)
    assert "line 3\n" not in str(found.value)


def test_a_child_ends_with_its_context_even_after_an_error(tmp_path: Path) -> None:
    """An exception inside the context ends the child, too."""
    program = "import time\nprint('up', flush=True)\ntime.sleep(600)"
    children: list[Child] = []

    def fail_inside() -> None:
        with Child.running("sleeper", [sys.executable, "-c", program], tmp_path / "log") as child:
            children.append(child)
            assert eventually(lambda: child.tail() == "up")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_inside()
    (child,) = children
    assert child.exit_code == -signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    """A command that cannot be started raises ``UnavailableError`` with its name."""
    with (
        pytest.raises(UnavailableError, match="ghost"),
        Child.running("ghost", ["/nonexistent/ghost"], tmp_path / "log"),
    ):
        pass
