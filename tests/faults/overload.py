"""Experiment: several times as many readings as the daemon can take, for a while; then how long until all is well.

``python -m tests.faults.overload --flood PORT RATE SECONDS`` is the publisher: a process of its own, so that its cost
is not the daemon's. It speaks for the lanes from ``FIRST`` on; the lanes before that see crowds as ever.
"""

from __future__ import annotations

import argparse
import json
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Thread

import httpx

from sensord.drivers.replay import journal_groups
from sensord.ingest.backlog import OPEN
from sensord.store.reader import DirectoryReader
from tests.faults.harness import Stage
from tests.faults.sensors import BUSY, FEW, MANY, Speech
from tests.faults.tally import Row
from tests.support import wait_until
from tests.support.daemon import ROOT, crowd

FIRST, LANES = 3, 500
BROKER = ("autosave_on_changes false",)
"""The broker must not be what gives way."""
WELL, TRIAL = 1.0, 8.0
"""The most that alerting may be behind, and how long a rate is tried, in seconds."""
SLACK, PATIENCE = 50, 10
"""Messages that may be under way while we look, and looks without progress until no more is expected."""
MOST = 30.0
"""So long somebody may take to hear of a crowd, in seconds; a crowd that takes longer is missed."""
RATES = (1000, 2000, 3000, 4000, 6000, 8000, 12000, 16000)


@dataclass
class Watch:
    """The worst that was seen of a daemon while the block ran; ``age`` is how late readings were in their turn."""

    rss_mib: float = 0.0
    lag: float = 0.0
    age: float = 0.0

    def look(self, stage: Stage) -> float:
        """Look once; returns how far alerting is behind, in seconds."""
        self.rss_mib = max(self.rss_mib, stage.resident() / 2**20)
        lag = behind(stage)
        self.lag = max(self.lag, lag)
        self.age = max(self.age, stage.metric("reading_age_seconds"))
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


def published(process: subprocess.Popen[str]) -> tuple[int, float]:
    """Wait until the broker has everything of a flood; returns how many readings that are, and in how many seconds."""
    assert process.stdout is not None
    sent, seconds = process.stdout.readline().split()
    return int(sent), float(seconds)


@dataclass
class Flooded:
    """What became of a flood: readings sent, the rate at which the broker took them, and how long they took after it.

    ``drain`` (seconds) is also how late the last reading of the flood was: what comes in goes in order.
    """

    sent: int
    rate: float
    drain: float
    watch: Watch


def flooded(stage: Stage, rate: float, seconds: float) -> Flooded:
    """Flood, and wait until the daemon has taken everything, or no more comes."""
    watch, before = Watch(), _taken(stage)
    others = stage.sensors.acknowledged
    with flood(stage, rate, seconds) as process:
        while process.poll() is None:
            watch.look(stage)
            time.sleep(0.2)
        sent, lasted = published(process)
    ended = time.monotonic()
    wanted = before + sent + stage.sensors.acknowledged - others
    last, idle = before, 0
    while (taken := _taken(stage)) < wanted - SLACK and idle < PATIENCE:
        watch.look(stage)
        idle = 0 if taken - last > SLACK else idle + 1
        last = taken
        time.sleep(0.5)
    wait_until(lambda: behind(stage) < WELL, 900, "the backlog is worked off")
    return Flooded(sent, sent / lasted, time.monotonic() - ended, watch)


def _taken(stage: Stage) -> float:
    """Messages that came in their turn."""
    return stage.metric("messages_committed_total") - stage.metric('fresh_messages_total{what="handed_on"}')


def sustainable(stage: Stage) -> tuple[int, int]:
    """Find the highest rate at which nothing piles up anywhere; returns it, and how many readings that took."""
    sent, best = 0, RATES[0]
    for rate in RATES:
        found = flooded(stage, rate, TRIAL)
        sent += found.sent
        if found.drain > 2 * WELL or found.rate < 0.8 * rate:
            break
        best = rate
    return best, sent


class Crowds(Thread):
    """Crowds that come one after the other on the two lanes, each until somebody is told of it, or ``MOST`` seconds.

    ``told`` are the seconds that it took for those that came while readings were late, ``missed`` counts those of
    which nobody was told.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__(daemon=True)
        self._stage, self._stop_now = stage, Event()
        self.told, self.missed = list[float](), 0

    def run(self) -> None:
        """Come and go until told to stop."""
        lane = 0
        while not self._stop_now.is_set():
            lane = lane % BUSY + 1
            self._come(lane)
            self._await(partial(self._gone, f"L{lane}"))

    def _come(self, lane: int) -> None:
        late = self._stage.metric("reading_age_seconds") > OPEN
        pages, began = self._pages(lane), time.monotonic()
        self._stage.sensors.counts[lane] = MANY
        told = self._await(lambda: self._pages(lane) > pages)
        self._stage.sensors.counts[lane] = FEW
        if late and told:
            self.told.append(time.monotonic() - began)
        elif late and not self._stop_now.is_set():
            self.missed += 1

    def _gone(self, place: str) -> bool:
        return place not in self._stage.crowds()

    def _pages(self, lane: int) -> int:
        return self._stage.places().count(f"L{lane}")

    def _await(self, condition: Callable[[], bool]) -> bool:
        """Whether it comes true before it takes too long, or we are to stop."""
        deadline = time.monotonic() + MOST
        while time.monotonic() < deadline and not self._stop_now.wait(0.1):
            with suppress(OSError, ValueError, KeyError, httpx.HTTPError):
                if condition():
                    return True
        return False

    def end(self) -> None:
        """Let the last one go."""
        self._stop_now.set()
        self.join()
        self._stage.sensors.counts.update(dict.fromkeys(self._stage.sensors.counts, FEW))


def overload(directory: Path, seconds: float, seed: int, times: float = 4.0, rate: int = 0) -> Row:
    """Offer ``times`` the sustainable rate (or ``rate``) for so many seconds, while crowds come and go on two lanes.

    What the broker itself drops, because too much waits in it, must show as gaps in the devices' numbers.
    """
    speech = Speech(others=LANES, moods=None)
    with Stage(directory, seed, influx=False, speech=speech, broker=BROKER) as stage:
        stage.begin()
        found, before = (rate, 0) if rate else sustainable(stage)
        crowds = Crowds(stage)
        crowds.start()
        end = flooded(stage, found * times, seconds)
        crowds.end()
        gaps = stage.metric("sequence_gaps_total") - stage.metric("sequence_gaps_filled_total")
        stage.sensors.fall_silent()
        wait_until(stage.daemon.caught_up, 60, "everything is applied")
        assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()
        journaled = _journaled(stage)
        dropped = before + end.sent - len(journaled)
        doubled = counted(stage) - len(journaled) - sum(stage.sensors.sent.values())
        times_told = sorted(crowds.told) or [0.0]
        remark = (
            f"{found:,}/s are sustained, {end.rate:,.0f}/s came in: {end.sent:,} readings, at most "
            f"{end.watch.age:.0f} s late in their turn; {len(crowds.told)} crowds that came meanwhile were told of "
            f"after {times_told[len(times_told) // 2]:.1f} s (median), {times_told[-1]:.1f} s at most, {crowds.missed} "
            f"not within {MOST:g} s; {end.watch.rss_mib:.0f} MiB resident at most; {dropped:,} dropped by the broker, "
            f"{gaps:,.0f} shown as gaps; recovery is from the flood's end until nothing is late"
        )
        fault = f"{times:g} times the sustainable rate for {seconds:g} s"
        lost = max(0, dropped - round(gaps))
        return Row(fault, 1, lost=lost, doubled=max(0, doubled), recovery=[end.drain], remark=remark)


def counted(stage: Stage) -> int:
    """How many readings a replay counts; it must decide what was decided."""
    site, readings, decided = stage.daemon.site(), 0, b""
    for group in journal_groups(DirectoryReader(stage.daemon.state / "journal")):
        step = site.step(group)
        decided += step.decisions()
        readings += sum(n for (_, outcome), n in step.counts.items() if outcome in ("accepted", "late"))
    assert stage.written() == decided, "what was written down while it ran is what a replay decides"
    return readings


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


def speak(port: int, rate: float, seconds: float) -> tuple[int, float]:
    """Publish at the rate, a hundredth of a second's worth at a time, until the broker has all of it; and how long."""
    boot = time.time_ns() // 1_000_000
    publisher = Publisher(port, f"flood-{boot}")
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        due = range(publisher.sent, min(int(passed * rate), publisher.sent + WINDOW))
        publisher.publish([_reading(number, boot) for number in due])
        time.sleep(0.01 if len(due) < WINDOW else 0)
    while publisher.taken < publisher.sent:
        publisher.hear(wait=True)
    return publisher.sent, time.monotonic() - began


def _reading(number: int, boot: int) -> tuple[str, bytes]:
    topic, _ = crowd(FIRST + number % LANES, FEW, 0)
    body = {"count": FEW, "boot": boot, "seq": number // LANES}
    return topic, json.dumps(body).encode().ljust(120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flood", nargs=3, type=float, required=True, metavar=("PORT", "RATE", "SECONDS"))
    port, rate, seconds = parser.parse_args().flood
    print(*speak(int(port), rate, seconds), flush=True)  # noqa: T201  # the answer
