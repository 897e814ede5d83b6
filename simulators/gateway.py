"""MQTT 5 in front of a broker that speaks MQTT 3.1.1 only: packets are translated one by one, nothing is kept.

It lets the demonstration run where mosquitto is not installed. What 3.1.1 lacks is left out: properties (session
expiry, user properties), reasons of success. Clients that speak 3.1.1 themselves pass unchanged. A client that
speaks nonsense is disconnected. Layouts: OASIS MQTT 5.0 and 3.1.1, sections 2 and 3.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import NamedTuple

CONNECT, PUBACK, PUBCOMP = 1, 4, 7
_PASSING = frozenset((12, 13))  # the pings
_REFUSALS = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}
"""Return codes of a 3.1.1 CONNACK as reason codes of MQTT 5."""
_LEVEL_AT = 6
"""Where the protocol level stands in a CONNECT: after the name ``MQTT`` with its length."""


class Packet(NamedTuple):
    """The first byte (type and flags) and everything after the length."""

    first: int
    body: bytes

    @property
    def kind(self) -> int:
        """The control packet's type."""
        return self.first >> 4

    @property
    def bytes(self) -> bytes:
        """The packet as it is sent."""
        length, rest = bytearray(), len(self.body)
        while True:
            rest, digit = divmod(rest, 128)
            length.append(digit | (0x80 if rest else 0))
            if not rest:
                return bytes([self.first, *length]) + self.body


async def read_packet(reader: asyncio.StreamReader) -> Packet:
    """Read one packet; raises ``IncompleteReadError`` at the end, ``ValueError`` for a length that is none."""
    first, length, shift = (await reader.readexactly(1))[0], 0, 0
    while True:
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 0x7F) << shift
        shift += 7
        if digit < 0x80:
            return Packet(first, await reader.readexactly(length))
        if shift > 21:
            raise ValueError("a length of more than four bytes")


def speaks_five(packet: Packet) -> bool:
    """Whether a CONNECT asks for MQTT 5."""
    return packet.kind == CONNECT and packet.body[_LEVEL_AT : _LEVEL_AT + 1] == b"\x05"


def to_older(packet: Packet) -> Packet:
    """Translate a client's packet from MQTT 5 to 3.1.1; raises ``ValueError`` for what nobody here sends."""
    body = packet.body
    match packet.kind:
        case 1:
            return Packet(packet.first, _connect(body))
        case 3:
            return Packet(packet.first, _without_properties(body, _publish_head(packet)))
        case 8:
            return Packet(packet.first, body[:2] + _subscriptions(_without_properties(body, 2)[2:]))
        case 10:
            return Packet(packet.first, _without_properties(body, 2))
        case kind if PUBACK <= kind <= PUBCOMP:
            return Packet(packet.first, body[:2])
        case 14:
            return Packet(packet.first, b"")
        case kind if kind in _PASSING:
            return packet
    raise ValueError(f"a packet of type {packet.kind}")


def to_newer(packet: Packet) -> Packet:
    """Translate the broker's packet from 3.1.1 to MQTT 5; raises ``ValueError`` for what it never sends us."""
    body = packet.body
    match packet.kind:
        case 2:
            return Packet(packet.first, bytes([body[0], _REFUSALS.get(body[1], body[1]), 0]))
        case 3:
            head = _publish_head(packet)
            return Packet(packet.first, body[:head] + b"\0" + body[head:])
        case 9:
            return Packet(packet.first, body[:2] + b"\0" + body[2:])
        case 11:
            return Packet(packet.first, body + b"\0\0")  # one success stands for all: how many there were is not kept
        case kind if PUBACK <= kind <= PUBCOMP or kind in _PASSING:
            return packet
    raise ValueError(f"a packet of type {packet.kind}")


def _text_end(body: bytes, at: int) -> int:
    """Return where the text (or binary) that begins at ``at`` with its two bytes of length ends."""
    return at + 2 + int.from_bytes(body[at : at + 2])


def _publish_head(packet: Packet) -> int:
    """Return where a PUBLISH's topic and packet identifier end."""
    return _text_end(packet.body, 0) + (2 if packet.first & 0x06 else 0)


def _without_properties(body: bytes, at: int) -> bytes:
    """Cut out the properties that begin at ``at`` with their length."""
    length, shift, end = 0, 0, at
    while True:
        digit = body[end]
        length, shift, end = length | (digit & 0x7F) << shift, shift + 7, end + 1
        if digit < 0x80:
            return body[:at] + body[end + length :]


def _connect(body: bytes) -> bytes:
    flags_at, head = _LEVEL_AT + 1, _LEVEL_AT + 4
    body = _without_properties(body[:_LEVEL_AT] + b"\x04" + body[flags_at:], head)
    return _without_properties(body, _text_end(body, head)) if body[flags_at] & 0x04 else body


def _subscriptions(rest: bytes) -> bytes:
    """Keep of each subscription's options only the quality of service."""
    made, at = bytearray(), 0
    while at < len(rest):
        end = _text_end(rest, at)
        made += rest[at:end] + bytes([rest[end] & 0x03])
        at = end + 1
    return bytes(made)


async def serve(host: str, port: int, behind: int) -> asyncio.Server:
    """Listen on ``port`` for clients of the broker that listens on the port ``behind`` of the same host."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with (
            contextlib.suppress(OSError, ValueError, IndexError, asyncio.IncompleteReadError),
            contextlib.closing(writer),
        ):
            await _relay(reader, writer, host, behind)

    return await asyncio.start_server(take, host, port)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, behind: int) -> None:
    """Carry packets both ways until either side ends."""
    hello = await read_packet(reader)
    down, up = (to_older, to_newer) if speaks_five(hello) else (_unchanged, _unchanged)
    broker_reader, broker_writer = await asyncio.open_connection(host, behind)
    with contextlib.closing(broker_writer):
        broker_writer.write(down(hello).bytes)
        ways = [
            asyncio.create_task(_carry(reader, broker_writer, down)),
            asyncio.create_task(_carry(broker_reader, writer, up)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, translate: Callable[[Packet], Packet]
) -> None:
    while True:
        packet = await read_packet(reader)
        writer.write(translate(packet).bytes)
        await writer.drain()


def _unchanged(packet: Packet) -> Packet:
    return packet
