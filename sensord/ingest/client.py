"""paho's client, but for three things: the properties of messages, how it finds the broker, and its keepalive.

Whatever properties hold, what is published is heard. A broker hands on those that a device gives its messages, and paho
ends the connection over one that it does not like: U+FEFF in a text is enough, which MQTT 5 allows (1.5.4). At QoS 1
the broker sends such a message again, as the first of each connection, so that one message would deafen us for good. We
use no property of a message, so they are cut out before paho reads it.

paho would wait for the resolver for as long as that likes, without a sign of life; ``Names`` does not.

A broker may dictate a keepalive, and paho takes it as it is; ``sensord/keepalive.py`` says which one is in force.

There is no public way to do any of these; a test holds paho to the version whose insides were looked at.
"""

from __future__ import annotations

import socket

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode

from sensord.ingest.names import Names
from sensord.keepalive import in_force

_QOS, _QOS_1 = 0x06, 0x02
"""Bits of a PUBLISH's first byte."""
_LONGEST = 4
"""Bytes of the longest length that MQTT knows."""


class Unreadable(MQTTMessage):
    """A message whose parts do not fit into its packet; of QoS 0 when its number cannot be told either."""


class Listener(Client):
    """Hands on every message that the broker sends, without its properties; one that is none as ``Unreadable``.

    Set ``names`` before it connects.
    """

    names: Names

    def _create_socket_connection(self) -> socket.socket:
        return self.names.connect(self._host, self._port, self.connect_timeout)

    def _handle_connack(self) -> MQTTErrorCode:
        ours = self._keepalive
        done = super()._handle_connack()
        self._keepalive = in_force(ours, self._keepalive)
        return done

    def _handle_publish(self) -> MQTTErrorCode:
        first, body = self._in_packet["command"], self._in_packet["packet"]
        plain = without_properties(first, body)
        if plain is None:
            self._handle_on_message(_unreadable(first, body))
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        self._in_packet["packet"] = plain
        return super()._handle_publish()


def without_properties(first: int, body: bytearray) -> bytearray | None:
    """Cut the properties out of a PUBLISH: its first byte, and what follows its length. None when it is none."""
    at = _head(first, body)
    length = size = 0
    for size, byte in enumerate(body[at : at + _LONGEST], 1):
        length |= (byte & 0x7F) << 7 * (size - 1)
        if byte < 0x80:
            break
    else:
        return None
    end = at + size + length
    if end > len(body) or first & _QOS == _QOS:
        return None
    return body[:at] + b"\0" + body[end:] if end > at + 1 else body


def _head(first: int, body: bytearray) -> int:
    """Where topic and packet number end, and the properties begin."""
    return 2 + int.from_bytes(body[:2]) + (2 if first & _QOS else 0)


def _unreadable(first: int, body: bytearray) -> Unreadable:
    end = _head(first, body)
    number = int.from_bytes(body[end - 2 : end]) if first & _QOS == _QOS_1 and end <= len(body) else 0
    message = Unreadable(mid=number)
    message.qos = 1 if number else 0
    return message
