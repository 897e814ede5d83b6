"""Experiments with the way to the broker: dead without a word, sessions lost and taken over, storms, repetition."""

from __future__ import annotations

import json
import random
import resource
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import paho.mqtt.client as paho

from sensord.ingest.receiver import SUSPICIOUS
from sensord.keepalive import SILENCE
from tests.faults.harness import Stage
from tests.faults.tally import Row
from tests.support import wait_until
from tests.support.broker import paho_client, take_over

KEEPALIVE = 2.0
"""Seconds; a broker that was silent for half as long again is given up."""
GIVEN_UP = SILENCE * KEEPALIVE + 0.5
"""Seconds from the moment at which nothing comes through any more until that must show.

The last packet came before; half a second is for a machine that has other things to do, and for asking the daemon.
"""
GAP = "消息可能缺失"
"""What people are told when the broker may have forgotten messages."""
DEVICES = 1000
GROWTH = 64 << 20
"""Bytes of resident memory that a storm may cost."""


def connected(stage: Stage) -> bool:
    """Whether the daemon says that it has its broker."""
    return stage.fact("mqtt") is True


def half_open(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Let the connection go dead, both ends unknowing; recovery counts from that moment, the keepalive included.

    *Lost* counts connections that were given up too late, too.
    """
    dice, recovery, noticed = random.Random(seed), list[float](), list[float]()
    with Stage(directory, seed, influx=False, mqtt={"keepalive": f"{KEEPALIVE:g}s"}) as stage:
        assert stage.link is not None
        stage.begin()
        for number in rounds:
            time.sleep(dice.uniform(0.5, 2.0))
            stage.link.die()
            began = time.monotonic()
            wait_until(partial(_given_up, stage, number + 1), 60, "the dead connection is given up")
            noticed.append(time.monotonic() - began)
            wait_until(partial(connected, stage), 90, "the daemon is connected again")
            recovery.append(time.monotonic() - began)
        stage.settle()
        row = stage.verdict("connection to the broker half open", len(recovery), recovery)
        row.lost += sum(seconds > GIVEN_UP for seconds in noticed)
        row.remark += (
            f"; keepalive {KEEPALIVE:g} s; given up after {max(noticed):.2f} s at most (bound: {GIVEN_UP:g} s), which "
            "recovery holds"
        )
        return row


def _given_up(stage: Stage, times: int) -> bool:
    return stage.metric('mqtt_disconnections_total{reason="silent",session="readings"') >= times


def lost_sessions(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Let the broker lose its memory; what it had taken must show as gaps, and each loss be seen by the daemon."""
    dice, recovery = random.Random(seed), list[float]()
    with Stage(directory, seed, influx=False) as stage:
        stage.begin()
        for number in rounds:
            time.sleep(dice.uniform(1.0, 2.5))
            stage.broker.stop(signal.SIGKILL)
            for path in stage.broker.directory.glob("mosquitto.db*"):
                path.unlink()
            stage.broker.start()
            began = time.monotonic()
            wait_until(partial(_lost, stage, number + 1), 90, "the lost session is seen")
            wait_until(partial(connected, stage), 90, "the daemon is connected again")
            recovery.append(time.monotonic() - began)
        wait_until(lambda: any(GAP in text for text in stage.texts()), 30, "people are told")
        published = sum(stage.sensors.sent.values())
        wait_until(lambda: stage.sensors.acknowledged > published, 300, "the sensors are connected again, and go on")
        stage.settle(gaps=True)
        row = stage.verdict("session lost by the broker", len(recovery), recovery, over_mqtt=False)
        return less_forgotten(stage, row)


def _lost(stage: Stage, times: int) -> bool:
    return stage.metric('mqtt_session_lost_total{session="readings"') >= times


def less_forgotten(stage: Stage, row: Row) -> Row:
    """What the broker forgot is no loss of the daemon's, as far as it shows as gaps in the devices' own numbers."""
    forgotten, (gaps, filled) = len(stage.missing()), stage.gaps()
    row.lost += max(0, forgotten - (gaps - filled)) - forgotten
    row.remark += f"; {forgotten} readings forgotten by the broker, {gaps - filled} shown as gaps that stay"
    row.remark += f" ({filled} more were filled later)" if filled else ""
    return row


def takeovers(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Let somebody else use the daemon's client id, take its messages, acknowledge none, and go.

    This mosquitto does not say why it cuts the daemon off, so a round is as many cuts as make it suspect somebody: that
    must be counted in each, and people be told.
    """
    dice, recovery = random.Random(seed), list[float]()
    with Stage(directory, seed, influx=False) as stage:
        stage.begin()
        for number in rounds:
            for _ in range(SUSPICIOUS):
                time.sleep(dice.uniform(0.5, 2.0))
                take_over(stage.broker.port, "sensord")
                began = time.monotonic()
                wait_until(partial(_again, stage, len(recovery) + 1), 90, "the daemon is connected again")
                recovery.append(time.monotonic() - began)
            wait_until(partial(_suspected, stage, number + 1), 30, "that is suspected, and counted")
        wait_until(lambda: any(GAP in text for text in stage.texts()), 30, "people are told")
        seen = stage.metric("mqtt_takeovers_total")
        stage.settle()
        row = stage.verdict("client id used by somebody else", len(recovery), recovery)
        row.remark += f"; said {seen:.0f} times (this mosquitto does not name the reason: three cuts in a row are one)"
        return row


def _suspected(stage: Stage, times: int) -> bool:
    return stage.metric("mqtt_takeovers_total") >= times


def _again(stage: Stage, times: int) -> bool:
    return stage.metric('mqtt_reconnects_total{session="readings"') >= times and connected(stage)


@contextmanager
def many_files() -> Iterator[None]:
    """Allow this process a connection for each device of a storm."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def storms(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Let a thousand devices that nobody registered connect at once and say something, while crowds come and go."""
    heard = most = 0
    with Stage(directory, seed, influx=False) as stage, many_files():
        stage.begin()
        before = stage.resident()
        done = 0
        for number in rounds:
            storm(stage, number)
            wait_until(partial(_all_refused, stage, (number + 1) * DEVICES), 60, "all of the storm is accounted for")
            most, done = max(most, stage.resident()), number + 1
        heard = int(stage.metric('dead_letters_total{reason="unknown_device"'))
        stage.settle()
        row = stage.verdict(f"{DEVICES:,} devices reconnect at once", done)
        row.lost += max(0, done * DEVICES - heard) + (most > before + GROWTH)
        row.remark += f"; {heard:,} messages of strangers told apart; {(most - before) / 2**20:.0f} MiB more at most"
        return row


def storm(stage: Stage, number: int) -> None:
    """Connect all devices, let each say one thing, and disconnect them."""
    clients = [paho_client(f"device-{number}-{one}") for one in range(DEVICES)]
    try:
        for one, client in enumerate(clients):
            client.connect("127.0.0.1", stage.broker.port)
            body = json.dumps({"count": 1, "boot": number, "seq": one}).encode()
            client.publish(f"t/C1/crowd/unknown-{one}", body, 1)
        for _ in range(20):
            for client in clients:
                client.loop_write()
        wait_until(partial(_all_refused, stage, (number + 1) * DEVICES), 60, "the daemon has heard all of them")
    finally:
        for client in clients:
            client.disconnect()


def _all_refused(stage: Stage, many: int) -> bool:
    return stage.metric('dead_letters_total{reason="unknown_device"') >= many


def repetitions(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Let a gateway say everything again, much of it retained, and restart the daemon in between."""
    dice, done = random.Random(seed), 0
    with Stage(directory, seed, influx=False) as stage, closing(Parrot(stage.broker.port, seed)) as parrot:
        stage.begin()
        for _ in rounds:
            time.sleep(dice.uniform(0.5, 2.0))
            assert stage.end(dice.choice((signal.SIGTERM, signal.SIGKILL))) in (0, -signal.SIGKILL)
            stage.start()
            stage.await_ready()
            done += 1
        stage.settle()
        row = stage.verdict("everything said twice, and retained", done)
        row.remark += f"; {parrot.said:,} repetitions, half of them retained and read again at each start"
        return row


class Parrot:
    """Hears every reading, and publishes it again once: with ``retain`` every second time."""

    def __init__(self, port: int, seed: int) -> None:
        self.said = 0
        self._known, self._dice = set[bytes](), random.Random(seed)
        self._client = paho_client("parrot")
        self._client.on_connect = lambda client, *_: client.subscribe("t/+/crowd/+", 1)
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _hear(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        client.ack(message.mid, message.qos)
        said = message.topic.encode() + message.payload
        if said not in self._known:
            self._known.add(said)
            client.publish(message.topic, message.payload, 1, retain=self._dice.random() < 0.5)
            self.said += 1

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


def broker_kills(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Kill the broker and start it again; what it had taken and forgot must show as gaps in the devices' numbers.

    It writes down at each change which sessions it has, and ours must go on: a new one would forget what waits.
    """
    dice, recovery = random.Random(seed), list[float]()
    with Stage(directory, seed, influx=False) as stage:
        stage.begin()
        for _ in rounds:
            time.sleep(dice.uniform(1.0, 2.5))  # a connection that lives longer than the pause before it counts as good
            stage.broker.stop(signal.SIGKILL)
            stage.broker.start()
            began = time.monotonic()
            wait_until(partial(connected, stage), 90, "the daemon is connected again")
            recovery.append(time.monotonic() - began)
        published = sum(stage.sensors.sent.values())
        wait_until(lambda: stage.sensors.acknowledged > published, 300, "the sensors are connected again, and go on")
        stage.come_to_rest(gaps=True)
        begun_anew = int(stage.metric("mqtt_session_lost_total"))
        assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()
        row = stage.verdict("broker shot and started again", len(recovery), recovery, over_mqtt=False)
        row.lost += begun_anew
        return less_forgotten(stage, row)
