"""A flood of readings: ``python -m tests.faults.flood PORT RATE SECONDS`` publishes so many a second, or what it can.

A process of its own, so that its cost is not the daemon's. It speaks for ``LANES`` lanes from ``FIRST`` on, for so long
or until its standard input is closed.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.faults.harness import Stage
from tests.faults.sensors import FEW
from tests.support.daemon import crowd
from tests.support.launching import ROOT

FIRST, LANES = 3, 500
WINDOW = 900
"""The most that is under way to the broker at a time; it allows a thousand."""


@contextmanager
def flood(stage: Stage, rate: float, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A publisher of so many readings a second, for so long, or until somebody asks what it has ``published``."""
    command = [sys.executable, "-m", __name__, str(stage.broker.port), str(rate), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def published(process: subprocess.Popen[str]) -> tuple[int, float, int]:
    """End a flood, and wait until the broker has all of it; returns how many readings, in what time, of which boot.

    The time is in seconds.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    sent, seconds, boot = process.stdout.readline().split()
    return int(sent), float(seconds), int(boot)


def last_words(stage: Stage, sent: int, boot: int) -> int:
    """Let every lane say one thing more: only then does it show what the broker has dropped of it at the end.

    Returns how many readings that are.
    """
    stage.broker.publish_all([_reading(sent + lane, boot) for lane in range(LANES)])
    return LANES


class Publisher:
    """Publishes at QoS 1 over MQTT 5, packet by packet: a client library is slower than what is to be overloaded."""

    def __init__(self, port: int, name: str) -> None:
        """Connect. Raises ``OSError`` when the broker does not take us."""
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = b"\x00\x04MQTT\x05\x02\x00\x00\x00" + struct.pack("!H", len(name)) + name.encode()
        self._socket.sendall(bytes([0x10, len(head)]) + head)
        assert self._socket.recv(256)[:1] == b"\x20", "the broker greets us"
        self.sent = self.taken = 0
        self._rest = b""

    def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send messages, each as soon as the window has room."""
        while messages:
            room = WINDOW - (self.sent - self.taken)
            self._socket.sendall(b"".join(self._packet(*message) for message in messages[:room]))
            messages = messages[room:]
            self.hear(wait=bool(messages))

    def _packet(self, topic: str, payload: bytes) -> bytes:
        self.sent += 1
        body = (
            struct.pack("!H", len(topic)) + topic.encode() + struct.pack("!H", self.sent % 65535 + 1) + b"\0" + payload
        )
        assert 127 < len(body) < 16384
        return bytes([0x32, len(body) & 127 | 128, len(body) >> 7]) + body

    def hear(self, *, wait: bool) -> None:
        """Count what the broker has taken: each of its answers has four bytes."""
        ready, _, _ = select.select([self._socket], [], [], 60 if wait else 0)
        if ready:
            self._rest += self._socket.recv(65536)
            self.taken += len(self._rest) // 4
            self._rest = self._rest[len(self._rest) // 4 * 4 :]


def speak(port: int, rate: float, seconds: float) -> tuple[int, float, int]:
    """Publish at the rate, a hundredth of a second's worth at a time, for so long or until standard input is closed.

    Returns how many readings there were, after how many seconds the broker had them, and their boot.
    """
    boot = time.time_ns() // 1_000_000
    publisher = Publisher(port, f"flood-{boot}")
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds and not select.select([sys.stdin], [], [], 0)[0]:
        due = range(publisher.sent, min(int(passed * rate), publisher.sent + WINDOW))
        publisher.publish([_reading(number, boot) for number in due])
        time.sleep(0.01 if len(due) < WINDOW else 0)
    while publisher.taken < publisher.sent:
        publisher.hear(wait=True)
    return publisher.sent, time.monotonic() - began, boot


def _reading(number: int, boot: int) -> tuple[str, bytes]:
    topic, _ = crowd(FIRST + number % LANES, FEW, 0)
    body = {"count": FEW, "boot": boot, "seq": number // LANES}
    return topic, json.dumps(body).encode().ljust(120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("rate", type=float)
    parser.add_argument("seconds", type=float)
    asked = parser.parse_args()
    print(*speak(asked.port, asked.rate, asked.seconds), flush=True)  # noqa: T201  # the answer
