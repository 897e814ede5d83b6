"""The sensors of a street under test, on one connection as a gateway has it; crowds come and go by themselves."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from sensord.core.record import Group
from tests.support import wait_until
from tests.support.daemon import crowd

BUSY = 2
"""So many lanes see crowds; on the others a few people pass."""
FEW, MANY = 5, 150
_OURS = re.compile(rb'\{"count": \d+, (?:"boot": 1, "seq"|"exit"): (\d+)(?:, "at": -?\d+)?\}')
"""A message of the stage's own sensors; its number, or what stands for it where the sensor sends none."""


@dataclass(frozen=True, slots=True)
class Speech:
    """How many lanes there are, each with a sensor; seconds between two readings of a lane, and of a crowd's coming.

    Without ``moods`` crowds come and go as the test says. For ``others`` more lanes somebody else speaks. The sensors
    of the last ``unnumbered`` lanes put no number on what they send; every other of these only a stamp.
    """

    lanes: int = 2
    unnumbered: int = 0
    others: int = 0
    every: float = 0.05
    moods: tuple[float, float] | None = (3.0, 9.0)


class Sensors:
    """The sensors of all lanes, and everybody who listens to the broker.

    ``sent`` is how many readings of a lane were handed to the client, ``acknowledged`` how many the broker has taken,
    ``counts`` how many people there are in each lane. ``clocks`` are the lanes' own clocks: from the true time to what
    the sensor takes it for, in seconds; a lane without one puts no stamp on its readings. ``silent`` lanes say nothing.
    ``together`` is how many readings a lane's sensor gathers and sends at once, where it is more than one.
    """

    def __init__(self, port: int, seed: int, speech: Speech) -> None:
        self._speech = speech
        self.sent, self.acknowledged = dict.fromkeys(range(1, speech.lanes + 1), 0), 0
        self.counts = dict.fromkeys(self.sent, FEW)
        self.clocks: dict[int, Callable[[float], float]] = {}
        self.together = dict[int, int]()
        self._gathered = defaultdict[int, list[tuple[int, float | None]]](list)
        self.heard = list[dict[str, Any]]()
        self.calm, self.silent = False, set[int]()
        self._dice = random.Random(seed)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, f"sensors-{seed}", protocol=paho.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe([("t/alerts/#", 1), ("t/results/#", 1)])
        self._client.on_message = lambda _c, _d, message: self.heard.append(json.loads(message.payload))
        self._client.on_publish = self._taken
        self._client.max_queued_messages_set(0)
        self._client.max_inflight_messages_set(1000)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._speak, daemon=True)

    def speak(self) -> None:
        """Begin; before the daemon has its session at the broker nobody would keep what they say."""
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many readings the broker has not taken yet."""
        return sum(self.sent.values()) - self.acknowledged

    def _taken(self, *_: object) -> None:
        self.acknowledged += 1

    def _speak(self) -> None:
        """One lane after the other, evenly spread; what came too late to its turn is said at once."""
        moods, counts = self._speech.moods, self.counts
        turn = {lane: 0.0 for lane in counts if lane <= BUSY}
        due = time.monotonic()
        while not self._stop.is_set():
            for lane in counts:
                if self._stop.wait(max(0.0, due - time.monotonic())):
                    return
                now, due = time.monotonic(), due + self._speech.every / self._speech.lanes
                if moods is not None and lane in turn and now > turn[lane]:
                    counts[lane] = FEW + MANY - counts[lane]
                    turn[lane] = now + self._dice.uniform(*moods)
                if lane in self.silent:
                    continue
                clock, at = self.clocks.get(lane), time.time()
                self._gather(lane, FEW if self.calm else counts[lane], None if clock is None else clock(at))

    def _gather(self, lane: int, count: int, at: float | None) -> None:
        gathered = self._gathered[lane]
        gathered.append((count, at))
        if len(gathered) >= self.together.get(lane, 1):
            for one in gathered:
                self.say(lane, *one)
            gathered.clear()

    def say(self, lane: int, count: int, at: float | None = None) -> None:
        """Let a lane's sensor send its next reading; ``at`` is its stamp (seconds since the epoch)."""
        seq = self.sent.setdefault(lane, 0)
        unnumbered = self._speech.lanes - self._speech.unnumbered < lane <= self._speech.lanes
        if unnumbered:
            at = time.time() if lane % 2 else None
        topic, payload = crowd(lane, count, seq, None if at is None else int(at * 1000))
        payload = payload.replace(b'"boot": 1, "seq"', b'"exit"') if unnumbered else payload
        self._client.publish(topic, payload, 1)
        self.sent[lane] = seq + 1

    def fall_silent(self) -> None:
        """Speak no more; returns once the broker has everything."""
        self._hush()
        wait_until(lambda: self.waiting <= 0, 300, self.who_waits)

    def who_waits(self) -> str:
        """For the case that the broker does not take everything."""
        sent, connected = sum(self.sent.values()), self._client.is_connected()
        return f"the broker has every reading: {self.waiting} of {sent} wait, connected: {connected}"

    def _hush(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def close(self) -> None:
        """Leave."""
        self._hush()
        self._client.disconnect()
        self._client.loop_stop()


def numbered(group: Group) -> set[tuple[str, int]]:
    """The readings of the stage's own sensors in a group: lane and number. Others may say what they like."""
    found = [(record.topic, _OURS.fullmatch(record.payload)) for record in group.records if record.kind == 0]
    return {(topic.rpartition("-")[2], int(said[1])) for topic, said in found if said}
