"""Raw packets of MQTT 5, and a client that hears them from a socket."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import VariableByteIntegers

GOOD = b"\x30\x07\x00\x03t/g\x00!"
"""A message "!" of QoS 0 on the topic t/g."""


def packet(first: int, body: bytes) -> bytes:
    """A packet: its first byte, the length of the rest, the rest."""
    return bytes([first]) + _length(body) + body


def publish(topic: bytes, payload: bytes, properties: bytes = b"", mid: int = 0) -> bytes:
    """A PUBLISH of QoS 1, or without ``mid`` of QoS 0, with its properties as they are on the wire."""
    number = struct.pack("!H", mid) if mid else b""
    head = struct.pack("!H", len(topic)) + topic
    return packet(0x32 if mid else 0x30, head + number + _length(properties) + properties + payload)


def _length(what: bytes) -> bytes:
    return bytes(VariableByteIntegers.encode(len(what)))  # type: ignore[no-untyped-call]  # paho's, untyped


@contextmanager
def hearing(kind: type[Client]) -> Iterator[Callable[[bytes], list[MQTTMessage]]]:
    """A client of that kind whose broker says what the test says: raw packets, at most 64 KiB at once.

    It answers with the messages that were heard. Raises ``ConnectionError`` when the client gives the connection up.
    """
    client = kind(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True)
    client.on_socket_register_write = lambda *_: None
    heard: list[MQTTMessage] = []
    client.on_message = lambda _client, _data, message: heard.append(message)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        client._sock = ours

        def say(packets: bytes) -> list[MQTTMessage]:
            heard.clear()
            theirs.sendall(packets)
            while select.select([ours], [], [], 0)[0]:
                if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    raise ConnectionError("the client gave the connection up")
            return list(heard)

        yield say
        client._sock = None
