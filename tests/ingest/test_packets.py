"""The packets of the fresh lane: whole ones come out however they are cut, and nonsense is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.ingest import packets
from sensord.ingest.packets import PUBACK, PUBLISH, SUBACK, Packet

_TOPICS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


def _publish(topic: str, payload: bytes) -> bytes:
    """A PUBLISH as a broker sends it at QoS 0, with a property that we do not know."""
    words = topic.encode()
    body = len(words).to_bytes(2, "big") + words + b"\x05\x02\x00\x00\x00\x09" + payload
    whole, left = bytearray([0x30]), len(body)
    while left > 127:
        whole.append(left & 127 | 128)
        left >>= 7
    return bytes(whole) + bytes([left]) + body


@given(st.lists(st.tuples(_TOPICS, st.binary(max_size=400)), max_size=8), st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_whole_packets_come_out_however_they_are_cut(sent: list[tuple[str, bytes]], size: int) -> None:
    """Topic and payload are what was sent, in order; what is not whole yet waits."""
    stream = b"".join(_publish(*one) for one in sent)
    buffer, found = bytearray(), list[Packet]()
    for start in range(0, len(stream), size):
        buffer += stream[start : start + size]
        found += packets.split(buffer)
    assert buffer == b""
    assert all(packet.kind == PUBLISH for packet in found)
    assert [packets.message(packet) for packet in found] == [(topic.encode(), payload) for topic, payload in sent]


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_nonsense_is_refused_and_never_more(noise: bytes) -> None:
    """Whatever comes in the place of a broker's packets: a ``ValueError``, or packets that say little."""
    with contextlib.suppress(ValueError):
        for packet in packets.split(bytearray(noise)):
            packets.refused(packet)
            packets.number_of(packet)
            if packet.kind == PUBLISH:
                packets.message(packet)


@pytest.mark.parametrize(
    ("packet", "refused"),
    [
        (Packet(packets.CONNACK, 0, b"\x00\x00\x00"), False),
        (Packet(packets.CONNACK, 0, b"\x00\x87\x00"), True),
        (Packet(packets.CONNACK, 0, b""), True),
        (Packet(PUBACK, 0, b"\x00\x01"), False),
        (Packet(PUBACK, 0, b"\x00\x01\x10\x00"), False),
        (Packet(PUBACK, 0, b"\x00\x01\x87\x00"), True),
        (Packet(SUBACK, 0, b"\x00\x02\x00\x00"), False),
        (Packet(SUBACK, 0, b"\x00\x02\x00\x87"), True),
    ],
)
def test_a_refusal_is_told_from_consent(packet: Packet, refused: bool) -> None:
    """By the reason code; "nobody subscribes" (0x10) is consent."""
    assert packets.refused(packet) is refused
