"""Experiment: several times as many readings as the daemon can take, for a while; then how long until all is well.

``python -m tests.faults.overload --flood PORT RATE SECONDS`` is the publisher: a process of its own, so that its cost
is not the daemon's. It speaks for the lanes from ``FIRST`` on; the lanes before that see crowds as ever.
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
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from sensord.drivers.replay import journal_groups
from sensord.store.reader import DirectoryReader
from tests.faults.harness import Stage
from tests.faults.sensors import FEW, Speech
from tests.faults.tally import Row
from tests.support import wait_until
from tests.support.daemon import ROOT, crowd

FIRST, LANES = 3, 500
BROKER = ("autosave_on_changes false",)
"""The broker must not be what gives way."""
WELL, TRIAL = 1.0, 8.0
"""The most that alerting may be behind, and how long a rate is tried, in seconds."""
RATES = (1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000, 16000)


@dataclass
class Watch:
    """The worst that was seen of a daemon while the block ran."""

    rss_mib: float = 0.0
    lag: float = 0.0

    def look(self, stage: Stage) -> float:
        """Look once; returns how far alerting is behind, in seconds."""
        status = Path(f"/proc/{stage.pid}/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        self.rss_mib = max(self.rss_mib, resident / 1024)
        lag = behind(stage)
        self.lag = max(self.lag, lag)
        return lag


def behind(stage: Stage) -> float:
    """How old the newest thing is that the core has seen, in seconds; what has no answer is taken for a second."""
    try:
        return float(stage.daemon.overview()["lag_seconds"])
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return WELL


@contextmanager
def flood(stage: Stage, rate: float, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A publisher of so many readings a second, for so long."""
    command = [sys.executable, "-m", __name__, "--flood", str(stage.broker.port), str(rate), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process


def published(process: subprocess.Popen[str]) -> int:
    """Wait until the broker has everything of a flood; returns how many readings that are."""
    assert process.stdout is not None
    return int(process.stdout.readline())


def sustainable(stage: Stage) -> tuple[int, int]:
    """Find the highest rate at which alerting is not behind; returns it, and how many readings that took."""
    sent, best = 0, RATES[0] // 2
    for rate in RATES:
        watch = Watch()
        with flood(stage, rate, TRIAL) as process:
            while process.poll() is None:
                watch.look(stage)
                time.sleep(0.5)
            sent += published(process)
        recover(stage)
        if watch.lag > WELL:
            break
        best = rate
    return best, sent


def recover(stage: Stage) -> float:
    """Wait until alerting is not behind any more; returns how long that took, in seconds."""
    began = time.monotonic()
    wait_until(lambda: behind(stage) < WELL and _drained(stage), 900, "the backlog is worked off")
    return time.monotonic() - began


def _drained(stage: Stage) -> bool:
    counts = stage.daemon.overview()["counts"]
    return bool(counts["received"] - counts["applied"] <= 5)


def overload(directory: Path, seconds: float, seed: int, times: float = 4.0, rate: int = 0) -> Row:
    """Offer ``times`` the sustainable rate (or ``rate``) for so many seconds, while crowds come and go on two lanes.

    What the broker itself drops, because too much waits in it, must show as gaps in the devices' numbers.
    """
    speech = Speech(others=LANES, moods=(4.0, 8.0))
    with Stage(directory, seed, influx=False, speech=speech, broker=BROKER) as stage:
        stage.begin()
        found, before = (rate, 0) if rate else sustainable(stage)
        watch, began = Watch(), time.monotonic()
        with flood(stage, found * times, seconds) as process:
            while process.poll() is None:
                watch.look(stage)
                time.sleep(0.5)
            sent = published(process)
        offered = sent / (time.monotonic() - began)
        recovery = recover(stage)
        told = len(stage.titles())
        wait_until(lambda: len(stage.titles()) > told, 60, "crowds are told of as ever")
        gaps = stage.metric("sequence_gaps_total")
        stage.sensors.fall_silent()
        recover(stage)
        dropped = before + sent - len(_journaled(stage))
        remark = (
            f"{found:,}/s are sustained, {offered:,.0f}/s were offered until {sent:,} were taken; "
            f"{watch.rss_mib:.0f} MiB resident at most, alerting {watch.lag:.1f} s behind at most; "
            f"{dropped:,} dropped by the broker, {gaps:,.0f} shown as gaps"
        )
        fault = f"{times:g} times the sustainable rate for {seconds:g} s"
        return Row(fault, 1, lost=max(0, dropped - round(gaps)), recovery=[recovery], remark=remark)


def _journaled(stage: Stage) -> Counter[tuple[str, int]]:
    """Each reading of the flooding lanes in the journal, and how often the broker has delivered it."""
    found = Counter[tuple[str, int]]()
    for group in journal_groups(DirectoryReader(stage.daemon.state / "journal")):
        for record in group.records:
            lane = record.topic.rpartition("-")[2]
            if record.kind == 0 and "/crowd/" in record.topic and int(lane) >= FIRST:
                body = json.loads(record.payload)
                found[f"{lane}-{body['boot']}", body["seq"]] += 1
    return found


# -- the publisher ---------------------------------------------------------------------------------------------------

WINDOW = 900
"""The most that is under way to the broker at a time; it allows a thousand."""


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


def speak(port: int, rate: float, seconds: float) -> int:
    """Publish at the rate, a hundredth of a second's worth at a time, and wait until the broker has all of it."""
    boot = time.time_ns() // 1_000_000
    publisher = Publisher(port, f"flood-{boot}")
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        due = range(publisher.sent, min(int(passed * rate), publisher.sent + WINDOW))
        publisher.publish([_reading(number, boot) for number in due])
        time.sleep(0.01 if len(due) < WINDOW else 0)
    while publisher.taken < publisher.sent:
        publisher.hear(wait=True)
    return publisher.sent


def _reading(number: int, boot: int) -> tuple[str, bytes]:
    topic, _ = crowd(FIRST + number % LANES, FEW, 0)
    body = {"count": FEW, "boot": boot, "seq": number // LANES}
    return topic, json.dumps(body).encode().ljust(120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flood", nargs=3, type=float, required=True, metavar=("PORT", "RATE", "SECONDS"))
    port, rate, seconds = parser.parse_args().flood
    print(speak(int(port), rate, seconds), flush=True)  # noqa: T201  # the answer
