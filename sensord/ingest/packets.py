"""The few packets of MQTT 5 that the fresh lane speaks, as bytes.

While readings pile up, the lane has to read several times as many messages as we can take in, and to throw most of
them away. A client library costs more for each than all that the lane does with it, so it reads them itself. Layouts
are those of the OASIS standard "MQTT Version 5.0", chapters 2 and 3.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

CONNACK, PUBLISH, PUBACK, SUBACK, UNSUBACK = 2, 3, 4, 9, 11
PINGREQ, DISCONNECT = b"\xc0\x00", b"\xe0\x00"
FAILURE = 0x80
"""Reason codes from here on are refusals."""
_FRESH_ONLY = 0x20
"""Subscription options: QoS 0, and nothing that was retained."""
_LENGTH_BYTES = 4
_SHORT = struct.Struct("!H")


class Packet(NamedTuple):
    """A packet from the broker: its type, the low bits of its first byte, and what follows its length."""

    kind: int
    flags: int
    body: bytes


def _text(words: bytes) -> bytes:
    return _SHORT.pack(len(words)) + words


def _packet(first: int, body: bytes) -> bytes:
    length, left = bytearray(), len(body)
    while True:
        left, digit = left >> 7, left & 127
        length.append(digit | (128 if left else 0))
        if not left:
            return bytes([first]) + bytes(length) + body


def connect(client_id: str, username: str | None, password: str | None, keepalive: int, largest: int) -> bytes:
    """CONNECT with a clean session; ``largest`` is the most bytes that a packet to us may have."""
    flags = 2 | (128 if username is not None else 0) | (64 if password is not None else 0)
    body = _text(b"MQTT") + bytes([5, flags]) + _SHORT.pack(keepalive) + b"\x05\x27" + struct.pack("!I", largest)
    body += _text(client_id.encode())
    for secret in (username, password):
        if secret is not None:
            body += _text(secret.encode())
    return _packet(0x10, body)


def subscribe(mid: int, filters: Sequence[str]) -> bytes:
    """SUBSCRIBE to what is published from now on, at QoS 0."""
    wanted = b"".join(_text(one.encode()) + bytes([_FRESH_ONLY]) for one in filters)
    return _packet(0x82, _SHORT.pack(mid) + b"\0" + wanted)


def unsubscribe(mid: int, filters: Sequence[str]) -> bytes:
    """UNSUBSCRIBE."""
    return _packet(0xA2, _SHORT.pack(mid) + b"\0" + b"".join(_text(one.encode()) for one in filters))


def publish(mid: int, topic: str, payload: bytes) -> bytes:
    """PUBLISH at QoS 1."""
    return _packet(0x32, _text(topic.encode()) + _SHORT.pack(mid) + b"\0" + payload)


def split(buffer: bytearray) -> list[Packet]:
    """Take the whole packets off the front of what was read. Raises ``ValueError`` when it is no MQTT."""
    found, start, end = list[Packet](), 0, len(buffer)
    while start + 2 <= end:
        length, place, shift = 0, start + 1, 0
        while True:
            if place == end:
                del buffer[:start]
                return found
            digit = buffer[place]
            length |= (digit & 127) << shift
            place, shift = place + 1, shift + 7
            if digit < FAILURE:
                break
            if place - start > _LENGTH_BYTES:
                raise ValueError("a length of more than four bytes")
        if place + length > end:
            break
        first = buffer[start]
        found.append(Packet(first >> 4, first & 15, bytes(buffer[place : place + length])))
        start = place + length
    del buffer[:start]
    return found


def message(packet: Packet) -> tuple[bytes, bytes]:
    """Return topic and payload of a PUBLISH at QoS 0; raises ``ValueError`` for one that is cut short."""
    body = packet.body
    if len(body) < 3:  # a topic's length, and that of the properties
        raise ValueError("a PUBLISH is cut short")
    place = 2 + _SHORT.unpack_from(body)[0]
    properties, shift, at = 0, 0, place
    while True:
        if at >= len(body):
            raise ValueError("a PUBLISH is cut short")
        properties |= (body[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if body[at - 1] < FAILURE:
            return body[2:place], body[at + properties :]


def number_of(packet: Packet) -> int:
    """The packet number that a SUBACK, UNSUBACK or PUBACK answers; 0 when it is cut short."""
    return int(_SHORT.unpack_from(packet.body)[0]) if len(packet.body) > 1 else 0


def refused(packet: Packet) -> bool:
    """Whether a CONNACK, SUBACK or PUBACK says no."""
    body = packet.body
    if packet.kind == CONNACK:
        return len(body) < 2 or body[1] >= FAILURE  # flags, then the reason
    if packet.kind == PUBACK:
        return len(body) > 2 and body[2] >= FAILURE  # without a reason it is success
    return bool(body) and body[-1] >= FAILURE
