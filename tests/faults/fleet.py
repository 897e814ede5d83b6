"""Experiment: a thousand registered devices come back at once, each with what it stored, a birth and a last will.

Every device has a connection of its own; all of them are driven by one thread. A reading that is due while the broker
is away is kept by the device and sent when it is back. The native format has no message of its own for births and
wills: both are signs of life (stream ``status``), retained, as devices do it.
"""

from __future__ import annotations

import json
import random
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import paho.mqtt.client as paho

from tests.faults.brokenlink import DEVICES, GROWTH, many_files
from tests.faults.harness import Stage
from tests.faults.sensors import BUSY, FEW, MANY, Speech
from tests.faults.silent import ALLOWED, SILENT, named, prepare
from tests.faults.tally import Row
from tests.support import wait_until
from tests.support.broker import paho_client
from tests.support.daemon import crowd

FIRST = 3
"""The first lane of the fleet's; those before it see crowds."""
BROKER = ("autosave_on_changes false",)
"""With a thousand retained births the writing down of each change would be what is measured: here it is each second."""
EVERY, PERIOD = 4.0, 10
"""Seconds between two readings of a device, and what it promises; it may be silent for ``ALLOWED`` of these."""


class Device:
    """A sensor and its connection; ``births`` counts its connections, ``taken`` what the broker has acknowledged.

    ``away`` is the longest that the broker can have heard nothing of it (seconds), from the instant ``since`` on: from
    when it said something until what it said next was acknowledged. What keeps this process from its turn is in it.
    """

    def __init__(self, lane: int, port: int, since: float) -> None:
        self.lane, self.sent, self.births, self.taken, self.away = lane, 0, 0, 0, 0.0
        self._said, self._under_way = since, deque[float]()
        self._port, self._topic = port, crowd(lane, 0, 0)[0].replace("/crowd/", "/status/")
        self._client = paho_client(f"crowd-{lane}")
        self._client.max_queued_messages_set(0)
        self._client.on_connect = self._born
        self._client.on_publish = self._took

    @property
    def connected(self) -> bool:
        """Whether it has a connection."""
        return self._client.socket() is not None

    @property
    def waiting(self) -> int:
        """How much of what it said the broker has not taken yet."""
        return self.sent + self.births - self.taken

    def connect(self) -> int:
        """Come back, with a will; returns the connection's file number, raises ``OSError`` when the broker is away."""
        self._client.will_set(self._topic, _sign(self.births), 1, retain=True)
        self._client.connect("127.0.0.1", self._port, 600)
        connection = self._client.socket()
        assert connection is not None
        return int(connection.fileno())

    def speak(self) -> None:
        """Say how many people there are now, or keep it until the broker is there."""
        self._say(*crowd(self.lane, FEW, self.sent, time.time_ns() // 1_000_000))
        self.sent += 1

    def read(self) -> bool:
        """Take what has come; returns whether the connection lives."""
        return self._client.loop_read() is paho.MQTT_ERR_SUCCESS

    def write(self) -> None:
        """Send what did not go out at once."""
        if self._client.want_write():
            self._client.loop_write()

    def fall(self) -> None:
        """Lose the connection without a word, as by a power cut."""
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def leave(self) -> None:
        """Say farewell and close the connection: ``select`` watches no more than a thousand in a process."""
        self._client.disconnect()
        self.fall()
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            connection.close()

    def _born(self, _client: paho.Client, _data: object, _flags: object, code: Any, _properties: object) -> None:
        assert not code.is_failure, code
        self.births += 1
        self._say(self._topic, _sign(0), retain=True)

    def _say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._under_way.append(time.monotonic())
        self._client.publish(topic, payload, 1, retain=retain)

    def _took(self, *_: object) -> None:
        self.taken += 1
        self.away = max(self.away, time.monotonic() - self._said)
        self._said = self._under_way.popleft()  # acknowledged in the order in which they were said


def _sign(uptime: float) -> bytes:
    """A sign of life. It is stamped: what has neither stamp nor number is not recognised when the broker repeats it."""
    return json.dumps({"uptime": uptime, "at": time.time_ns() // 1_000_000}).encode()


class Fleet(Thread):
    """So many devices; they are connected as long as they are ``present``, as far as there is a broker.

    Somebody listens for them ``since`` an instant.
    """

    def __init__(self, port: int, many: int, since: float) -> None:
        super().__init__(daemon=True)
        self.devices = [Device(FIRST + number, port, since) for number in range(many)]
        self.present, self.calm = True, False
        self._ended, self._selector = Event(), selectors.DefaultSelector()

    def run(self) -> None:
        """Come and go, speak in turn, and read the broker's answers, until told to end."""
        due, turn = time.monotonic(), 0
        while not self._ended.is_set():
            self._come_or_go()
            while not self.calm and time.monotonic() >= due:
                self.devices[turn].speak()
                turn, due = (turn + 1) % len(self.devices), due + EVERY / len(self.devices)
            for key, _ in self._selector.select(0.01):
                if not key.data.read():
                    self._forget(key.fd)
            for device in self.devices:
                device.write()

    def _come_or_go(self) -> None:
        for device in self.devices:
            if not self.present:
                device.fall()
            elif not device.connected:
                try:
                    connection = device.connect()
                except OSError:
                    return  # the broker is away
                self._forget(connection)  # a number that a connection had which ended while we wrote
                self._selector.register(connection, selectors.EVENT_READ, device)

    def _forget(self, connection: int) -> None:
        with suppress(KeyError):
            self._selector.unregister(connection)

    def all_there(self) -> bool:
        """Whether every device is connected, and the broker has all that they had to say."""
        return all(one.connected for one in self.devices) and self.waiting < len(self.devices) // 10

    @property
    def waiting(self) -> int:
        """How many messages the broker has not taken yet."""
        return sum(one.waiting for one in self.devices)

    @property
    def births(self) -> int:
        """How often a device has come."""
        return sum(one.births for one in self.devices)

    def invented(self, texts: Iterable[str]) -> int:
        """How many of these pages call devices silent none of which can have been for so long as it may."""
        away = {one.lane: one.away for one in self.devices}
        longest = [max((away.get(lane, 0.0) for lane in named(text)), default=0.0) for text in texts]
        return sum(seconds < ALLOWED * PERIOD for seconds in longest)

    def rest(self) -> dict[int, int]:
        """Speak no more; returns how many readings of each lane there were, once the broker has all."""
        self.calm = True
        wait_until(lambda: not self.waiting, 120, lambda: f"{self.waiting} messages wait")
        self.end()
        return {one.lane: one.sent for one in self.devices}

    def end(self) -> None:
        """Leave."""
        if self._ended.is_set():
            return
        self._ended.set()
        self.join()
        self._selector.close()
        for device in self.devices:
            device.leave()


def registered_storms(directory: Path, rounds: Iterable[int], seed: int, many: int = DEVICES) -> Row:
    """Let all devices come back at once, after a restart of the broker or of their power, while a crowd gathers.

    *Lost* counts births and wills that were not read, and memory that grew beyond its bound; *invented* pages of silent
    devices none of which was silent for as long as it may. (On a busy machine the fleet itself may come too late.)
    """
    dice, recovery, told, wills = random.Random(seed), list[float](), list[float](), 0
    speech = Speech(others=many, moods=None)
    with (
        many_files(),
        Stage(directory, seed, influx=False, speech=speech, broker=BROKER) as stage,
        ExitStack() as ending,
    ):
        prepare(stage, PERIOD)
        began = time.monotonic()
        stage.begin()
        fleet = Fleet(stage.broker.port, many, since=began)
        fleet.start()
        ending.callback(fleet.end)
        wait_until(partial(_back, stage, fleet, 0), 120, "all devices are there")
        before = most = stage.resident()
        for number in rounds:
            lane = 1 + number % BUSY
            wait_until(partial(_over, stage, lane), 90, "the lane's crowd of before is over")
            wills += _scatter(stage, fleet, dice, power=bool(number % 2))
            pages, began = stage.places().count(f"L{lane}"), time.monotonic()
            stage.sensors.counts[lane] = MANY
            most = max(most, _watched(stage, partial(_told, stage, lane, pages), "the crowd is told of in the storm"))
            told.append(time.monotonic() - began)
            stage.sensors.counts[lane] = FEW
            most = max(most, _watched(stage, partial(_back, stage, fleet, wills), "all are back, and read"))
            recovery.append(time.monotonic() - began)
        wait_until(lambda: not stage.crowds(), 90, "the crowds are over, and nobody is silent")
        signs, silent = _signs(stage), [text for text in stage.texts() if SILENT in text]
        stage.others = fleet.rest()
        stage.settle(patience=120)
        row = stage.verdict(f"{many:,} registered devices reconnect at once", len(recovery), recovery, over_mqtt=False)
        row.lost += max(0, fleet.births + wills - signs) + (most > before + GROWTH)
        row.doubled += max(0, signs - fleet.births - wills)
        row.invented += (falsely := fleet.invented(silent))
        row.remark += (
            f"; {fleet.births:,} births and {wills:,} wills; {falsely} devices called silent falsely; pages of silence "
            f"{len(silent)}, and away was one for {max(one.away for one in fleet.devices):.0f} s at most of "
            f"{ALLOWED * PERIOD} s allowed; a crowd that came then was told of after "
            f"{sorted(told)[len(told) // 2]:.1f} s (median), {max(told):.1f} s at most; "
            f"{(most - before) / 2**20:.0f} MiB more at most; recovery is until all are back and read"
        )
        return row


def _scatter(stage: Stage, fleet: Fleet, dice: random.Random, *, power: bool) -> int:
    """Part all devices from the broker for some seconds, by their power or its own; returns how many wills are due.

    A broker that ends in good order publishes the wills of all whom it leaves.
    """
    time.sleep(dice.uniform(0.5, 1.5))
    away = dice.uniform(1.0, 3.0)
    if power:
        fleet.present = False
        time.sleep(away)
        fleet.present = True
    else:
        stage.broker.stop()
        time.sleep(away)
        stage.broker.start()
    return len(fleet.devices)


def _back(stage: Stage, fleet: Fleet, wills: int) -> bool:
    return fleet.all_there() and _signs(stage) >= fleet.births + wills


def _signs(stage: Stage) -> int:
    """Births and wills that were read."""
    return int(sum(stage.metric(f'readings_total{{outcome="{one}",stream="status"') for one in ("accepted", "late")))


def _over(stage: Stage, lane: int) -> bool:
    return f"L{lane}" not in stage.crowds()


def _told(stage: Stage, lane: int, before: int) -> bool:
    return stage.places().count(f"L{lane}") > before


def _watched(stage: Stage, condition: Callable[[], bool], what: str) -> int:
    """Wait; returns the most resident memory that was seen meanwhile (bytes)."""
    most = 0

    def holds() -> bool:
        nonlocal most
        most = max(most, stage.resident())
        return condition()

    wait_until(holds, 120, what)
    return most
