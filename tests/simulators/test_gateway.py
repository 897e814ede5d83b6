"""MQTT 5 in front of an MQTT 3.1.1 broker: packets are translated as the two standards lay them out."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.gateway import Packet, read_packet, speaks_five, to_newer, to_older

TOPIC = b"\x00\x03a/b"
"""A topic of three letters behind its length."""

DOWN = {
    "a publication at QoS 0 loses its properties": (Packet(0x30, TOPIC + b"\x00hi"), Packet(0x30, TOPIC + b"hi")),
    "at QoS 1 the packet identifier stays": (
        Packet(0x32, TOPIC + b"\x00\x07" + b"\x02\x01\x01" + b"hi"),
        Packet(0x32, TOPIC + b"\x00\x07" + b"hi"),
    ),
    "a subscription keeps its quality of service only": (
        Packet(0x82, b"\x00\x01" + b"\x00" + TOPIC + b"\x2d"),
        Packet(0x82, b"\x00\x01" + TOPIC + b"\x01"),
    ),
    "the end of a subscription loses its properties": (
        Packet(0xA2, b"\x00\x01" + b"\x00" + TOPIC + TOPIC),
        Packet(0xA2, b"\x00\x01" + TOPIC + TOPIC),
    ),
    "an acknowledgement loses its reason": (Packet(0x40, b"\x00\x07\x10\x00"), Packet(0x40, b"\x00\x07")),
    "a farewell loses everything": (Packet(0xE0, b"\x00\x00"), Packet(0xE0, b"")),
    "a ping passes": (Packet(0xC0, b""), Packet(0xC0, b"")),
}
UP = {
    "consent to a connection gains empty properties": (Packet(0x20, b"\x01\x00"), Packet(0x20, b"\x01\x00\x00")),
    "a refusal gets the newer code": (Packet(0x20, b"\x00\x05"), Packet(0x20, b"\x00\x87\x00")),
    "a publication gains empty properties": (
        Packet(0x32, TOPIC + b"\x00\x07hi"),
        Packet(0x32, TOPIC + b"\x00\x07\x00hi"),
    ),
    "an answer to a subscription likewise": (Packet(0x90, b"\x00\x01\x01"), Packet(0x90, b"\x00\x01\x00\x01")),
    "an answer to its end gains empty properties, and success": (
        Packet(0xB0, b"\x00\x01"),
        Packet(0xB0, b"\x00\x01\x00\x00"),
    ),
    "an acknowledgement passes": (Packet(0x40, b"\x00\x07"), Packet(0x40, b"\x00\x07")),
}


@pytest.mark.parametrize("case", DOWN)
def test_what_a_client_sends(case: str) -> None:
    """Each packet of a client that speaks MQTT 5 becomes the one that says the same in 3.1.1."""
    newer, older = DOWN[case]
    assert to_older(newer) == older


@pytest.mark.parametrize("case", UP)
def test_what_the_broker_sends(case: str) -> None:
    """Each packet of the broker becomes the one that says the same in MQTT 5."""
    older, newer = UP[case]
    assert to_newer(older) == newer


def test_a_connection_with_a_will() -> None:
    """The version becomes 4, and the properties of the connection and of its will are cut out."""
    will, user = TOPIC + b"\x00\x04gone", b"\x00\x01u"
    head, client = b"\x00\x04MQTT", b"\x00\x02me"
    newer = head + b"\x05\x86\x00\x14" + b"\x05\x11\x00\x00\x0e\x10" + client + b"\x02\x01\x01" + will + user
    older = head + b"\x04\x86\x00\x14" + client + will + user
    assert speaks_five(Packet(0x10, newer))
    assert not speaks_five(Packet(0x10, older))
    assert to_older(Packet(0x10, newer)) == Packet(0x10, older)


def test_what_nobody_sends_is_refused() -> None:
    """A packet that has no place in the conversation ends it."""
    with pytest.raises(ValueError, match="type 15"):
        to_older(Packet(0xF0, b""))
    with pytest.raises(ValueError, match="type 8"):
        to_newer(Packet(0x82, b""))


@given(st.integers(0, 255), st.one_of(st.binary(max_size=300), st.integers(0, 40_000).map(bytes)))
def test_a_packet_is_read_as_it_was_written(first: int, body: bytes) -> None:
    """Writing and reading a packet gives it back, at every length."""

    async def read() -> Packet:
        reader = asyncio.StreamReader(limit=1 << 20)
        reader.feed_data(Packet(first, body).bytes)
        return await read_packet(reader)

    assert asyncio.run(read()) == Packet(first, body)


async def test_a_length_without_end_is_refused() -> None:
    """A length of more than four bytes is no packet."""
    reader = asyncio.StreamReader()
    reader.feed_data(b"\x30\xff\xff\xff\xff\x01")
    with pytest.raises(ValueError, match="four bytes"):
        await read_packet(reader)
