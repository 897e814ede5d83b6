"""Brokers for these tests: a real mosquitto that can be killed and restarted, and a scripted one that misbehaves."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.support import free_port, program, wait_until

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "mosquitto.conf"


def shipped(*beginnings: str) -> list[str]:
    """The settings of the shipped ``config/mosquitto.conf`` that begin with one of these words, but for its folder."""
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith(beginnings) and not line.startswith("persistence_location")]


class Mosquitto:
    """A mosquitto on a port of its own; its log shows every packet, or what is at least a warning (``log``)."""

    def __init__(
        self, directory: Path, *lines: str, listener: Sequence[str] = ("allow_anonymous true",), log: str = "all"
    ) -> None:
        """Write the configuration; :meth:`start` runs it. ``lines`` are global, ``listener`` belongs to the port."""
        self.port, self.directory = free_port(), directory
        self._log = directory / f"mosquitto-{self.port}.log"
        self._file = directory / f"mosquitto-{self.port}.conf"
        self._file.write_text(
            "\n".join(
                [
                    "user root",
                    f"log_dest file {self._log}",
                    f"log_type {log}",
                    "sys_interval 0",
                    f"persistence_location {directory}/",
                    *lines,
                    f"listener {self.port} 127.0.0.1",
                    *listener,
                ]
            )
            + "\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Mosquitto:
        """Run it and wait until it listens."""
        self._process = subprocess.Popen([program("mosquitto"), "-c", str(self._file)], stderr=subprocess.DEVNULL)
        wait_until(self._listens)
        return self

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, by ``SIGKILL`` when it shall forget."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(10)
            self._process = None

    def reload(self) -> None:
        """Have it read its access list again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def log_lines(self, *words: str) -> list[str]:
        """The lines of the log that hold all of these words."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return [line for line in lines if all(word in line for word in words)]

    def publish(
        self, topic: str, payload: bytes, qos: int = 1, retain: bool = False, properties: Properties | None = None
    ) -> None:
        """Publish one message and wait until the broker has it."""
        self.publish_all([(topic, payload)], qos, retain, properties)

    def publish_all(
        self,
        messages: Sequence[tuple[str, bytes]],
        qos: int = 1,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> None:
        """Publish messages in this order, each with these properties, and wait until the broker has them."""
        client = paho_client("")
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        sent = [client.publish(topic, payload, qos, retain, properties) for topic, payload in messages]
        for item in sent:
            item.wait_for_publish(10)
        client.disconnect()
        client.loop_stop()


def paho_client(name: str) -> Client:
    """An MQTT 5 client that does not reconnect, and acknowledges nothing."""
    return Client(
        CallbackAPIVersion.VERSION2,
        client_id=name,
        protocol=MQTTProtocolVersion.MQTTv5,
        reconnect_on_failure=False,
        manual_ack=True,
    )


def marked(name: str) -> Properties:
    """A property of a message that begins with a byte order mark, as texts of some editors do."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's, untyped
    setattr(properties, name, ("\ufeff", "\ufeff") if name == "UserProperty" else "\ufeff")
    return properties


def take_over(port: int, name: str) -> None:
    """Connect with another client's id, acknowledge nothing, leave the session behind."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's, untyped
    properties.SessionExpiryInterval = 3600
    client, accepted = paho_client(name), threading.Event()
    client.on_connect = lambda *_: accepted.set()
    client.connect("127.0.0.1", port, clean_start=False, properties=properties)
    client.loop_start()
    assert accepted.wait(10)
    client.disconnect()
    client.loop_stop()


class ScriptedBroker:
    """Accepts one client, greets it properly, sends some raw packets, and is silent from then on."""

    CONNACK = b"\x20\x03\x00\x00\x00"
    DICTATING = b"\x20\x06\x00\x00\x03\x13"

    def __init__(
        self,
        filters: int,
        packets: bytes = b"",
        granted: int = 1,
        then: Sequence[int] = (),
        before: Sequence[bytes] = (),
        keepalive: int | None = None,
    ) -> None:
        """Answer ``filters`` subscriptions with the reason code ``granted``, more with ``then``; send ``packets``.

        What is sent ``before`` that answer comes at ten packets a second, as from a broker with much in store. Without
        subscriptions none is awaited. ``keepalive`` is what it dictates, in seconds.
        """
        self._connack = self.CONNACK if keepalive is None else self.DICTATING + keepalive.to_bytes(2)
        self._before = before
        self._suback = bytes([granted]) * filters + bytes(then)
        self._packets = packets
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.received = b""
        self._clients: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        for sock in (*self._clients, self._listener):
            sock.close()

    def _serve(self) -> None:
        try:
            client, _ = self._listener.accept()
            self._clients.append(client)
            client.recv(4096)
            client.sendall(self._connack)
            if self._suback:
                self._answer(client, client.recv(4096))
            while chunk := client.recv(4096):
                self.received += chunk
        except OSError:
            return  # the test is over

    def _answer(self, client: socket.socket, subscribe: bytes) -> None:
        for packet in self._before:
            client.sendall(packet)
            threading.Event().wait(0.1)
        mid = subscribe[2:4]
        client.sendall(bytes([0x90, 3 + len(self._suback)]) + mid + b"\x00" + self._suback + self._packets)
