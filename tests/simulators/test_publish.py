"""Publishing and recording: everything arrives exactly once and in order, at a real mosquitto and in a file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from sensord.config.settings import Mqtt
from sensord.core.instant import MILLISECOND, SECOND, parse_instant
from sensord.core.place import Places
from sensord.core.record import RecordKind
from sensord.errors import StoreError, UnavailableError
from sensord.recordings.lines import read_messages
from simulators.broker import Broker, free_port, running_broker
from simulators.publish import Statistics, publish, restamp, run_simulation
from simulators.receiver import Inbox, Receiver
from simulators.recorded import record_simulation, write_recording
from simulators.stage import SHIPPED, write_config
from simulators.street import Message, Street
from tests.simulators.small import START, definition, eventually, scenario


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run mosquitto for this module."""
    with running_broker(tmp_path_factory.mktemp("broker"), "mosquitto") as running:
        yield running


class Subscriber:
    """Everything that a subscriber of ``linfen/#`` got, with the instant of its arrival."""

    def __init__(self, broker: Broker) -> None:
        self.got: list[tuple[int, str, bytes]] = []
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._take
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect(broker.host, broker.port)
        self._client.subscribe("linfen/#", 1)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def _take(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.got.append((time.time_ns(), message.topic, bytes(message.payload)))

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def subscriber(broker: Broker) -> Iterator[Subscriber]:
    """Subscribe to everything."""
    one = Subscriber(broker)
    yield one
    one.close()


def mqtt(broker: Broker) -> Mqtt:
    """Make the settings of that broker."""
    return Mqtt(host=broker.host, port=broker.port)


async def test_every_message_arrives_once_and_in_order(broker: Broker, subscriber: Subscriber) -> None:
    """A minute at 100 times the speed: what arrives is what was sent, in order, and all of it acknowledged."""
    street = Street(definition(), scenario(), START, 60 * SECOND)
    sent = list(street.messages())
    seen: list[int] = []
    done = await publish(
        mqtt(broker), iter(sent), 100, start=street.start, on_progress=lambda now: seen.append(now.messages)
    )
    assert await asyncio.to_thread(eventually, lambda: len(subscriber.got) >= len(sent))
    assert [topic for _, topic, _ in subscriber.got] == [message.topic for message in sent]
    numbers: dict[str, list[int]] = defaultdict(list)
    for _, topic, payload in subscriber.got:
        numbers[topic.rsplit("/", 1)[1]].append(json.loads(payload)["seq"])
    assert all(found == list(range(len(found))) for found in numbers.values())
    assert (done.messages, done.acknowledged, done.interrupted) == (len(sent), len(sent), False)
    assert sum(done.kinds.values()) == len(sent)
    assert done.kinds["crowd"] == 18
    assert seen[-1] == len(sent)


async def test_faster_than_the_clock_stamps_are_those_of_sending(broker: Broker, subscriber: Subscriber) -> None:
    """With a speed other than one the stamps are the wall clock's, in the form that they had; the rest stays."""
    street = Street(definition(), scenario(), START, 60 * SECOND)
    sent = list(street.messages())
    before = time.time_ns() // MILLISECOND
    await publish(mqtt(broker), iter(sent), 200)
    assert await asyncio.to_thread(eventually, lambda: len(subscriber.got) >= len(sent))
    forms = set()
    for (arrived, _, payload), message in zip(subscriber.got, sent, strict=True):
        body, original = json.loads(payload), json.loads(message.payload)
        forms.add(type(body["at"]))
        stamp = parse_instant(body["at"]) // MILLISECOND if isinstance(body["at"], str) else body["at"]
        assert before <= stamp <= arrived // MILLISECOND
        assert body | {"at": None} == original | {"at": None}
        assert type(body["at"]) is type(original["at"])
    assert forms == {int, str}


async def test_at_normal_speed_nothing_is_changed(broker: Broker, subscriber: Subscriber) -> None:
    """At speed one the bytes are sent as the street made them."""
    sent = [
        Message(START + n * 10 * MILLISECOND, f"linfen/C1/crowd/crowd-{n}", b'{"at":1,"count":2}') for n in range(5)
    ]
    sent.append(Message(sent[-1].at, "linfen/C1/crowd/crowd-9", b"\xff\x00"))
    await publish(mqtt(broker), sent)
    assert await asyncio.to_thread(eventually, lambda: len(subscriber.got) >= len(sent))
    assert [(topic, payload) for _, topic, payload in subscriber.got] == [(one.topic, one.payload) for one in sent]


async def test_messages_keep_their_distances(broker: Broker, subscriber: Subscriber) -> None:
    """A message is never sent before its time: two that lie 4 s apart are at least 0.4 s apart at speed 10."""
    sent = [Message(START + at * SECOND, "linfen/C1/crowd/crowd-1", b"{}") for at in (0, 4)]
    await publish(mqtt(broker), sent, 10)
    assert await asyncio.to_thread(eventually, lambda: len(subscriber.got) == 2)
    assert subscriber.got[1][0] - subscriber.got[0][0] > 0.35 * SECOND


async def test_a_stop_ends_it_after_what_is_in_flight(broker: Broker, subscriber: Subscriber) -> None:
    """Setting ``stop`` ends a long simulation at once: what was sent is acknowledged, and it is marked."""
    stop, street = asyncio.Event(), Street(definition(), scenario(), START)
    running = asyncio.create_task(publish(mqtt(broker), street.messages(), 2, start=START, stop=stop))
    assert await asyncio.to_thread(eventually, lambda: len(subscriber.got) >= 1)
    stop.set()
    done = await asyncio.wait_for(running, 10)
    assert done.interrupted
    assert 1 <= done.messages == done.acknowledged < len(list(street.messages()))


async def test_a_broker_that_is_not_there_is_said(tmp_path: Path) -> None:
    """No broker: ``UnavailableError`` with its address; one that goes away: how many were acknowledged."""
    nowhere = free_port()
    with pytest.raises(UnavailableError, match=f"127.0.0.1:{nowhere}"):
        await publish(Mqtt(host="127.0.0.1", port=nowhere), [Message(START, "linfen/C1/crowd/a", b"{}")])
    with running_broker(tmp_path, "mosquitto") as broker:
        seen: list[Statistics] = []

        def end_the_broker(now: Statistics) -> None:
            seen.append(now)
            if now.acknowledged:
                broker.child.end()

        street = Street(definition(), scenario(), START)
        with pytest.raises(UnavailableError, match=r"\d+ of \d+ were acknowledged"):
            await publish(mqtt(broker), street.messages(), 5, start=START, on_progress=end_the_broker)
    assert seen


async def test_a_speed_must_be_positive() -> None:
    """A speed of zero is refused before anything is connected."""
    with pytest.raises(ValueError, match="speed"):
        await publish(Mqtt(), [], 0)


@pytest.mark.parametrize("payload", [b"not json", b"[1]", b'{"count":1}', b"\xff", b'{"at":null}'])
def test_what_has_no_stamp_is_not_restamped(payload: bytes) -> None:
    """Only a native message with a stamp is changed."""
    assert restamp(payload, START) == payload


def test_a_recording_is_read_back_as_it_was(tmp_path: Path) -> None:
    """What is written is read back, byte for byte, plain and through gzip, texts and other bytes alike."""
    messages = [*Street(definition(), scenario(), START).messages()]
    messages.append(Message(messages[-1].at + 1, "linfen/C1/crowd/crowd-1", b"\xff\xfe not UTF-8"))
    for name in ("day.jsonl", "day.jsonl.gz"):
        written = write_recording(tmp_path / name, messages)
        records = list(read_messages(tmp_path / name))
        assert [(one.received_at, one.topic, one.payload) for one in records] == [tuple(one) for one in messages]
        assert {one.kind for one in records} == {RecordKind.MESSAGE}
        assert written == len(messages)
    assert (tmp_path / "day.jsonl.gz").stat().st_size < (tmp_path / "day.jsonl").stat().st_size


def test_a_recording_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A folder that is not there raises ``StoreError`` with the path."""
    with pytest.raises(StoreError, match="nowhere"):
        write_recording(tmp_path / "nowhere" / "day.jsonl", [])


@pytest.fixture
def config(tmp_path: Path, broker: Broker) -> Path:
    """Write a configuration of the shipped street with that broker."""
    return write_config(tmp_path, SHIPPED, broker, Receiver(Inbox(), "127.0.0.1", 9), "zh")


def test_a_simulation_of_the_shipped_street_arrives(config: Path, broker: Broker, subscriber: Subscriber) -> None:
    """``run_simulation`` plays a shipped scenario from the configuration alone: every message arrives."""
    done = run_simulation(config, "lane-crowd", 100, 20)
    assert eventually(lambda: len(subscriber.got) >= done.messages)
    assert len(subscriber.got) == done.messages == done.acknowledged > 200
    with pytest.raises(UnavailableError):
        run_simulation(config, "lane-crowd", 100, 20, port=free_port())


def test_a_simulation_can_be_written_down_instead(config: Path, tmp_path: Path, subscriber: Subscriber) -> None:
    """Nothing is published; the file holds the whole scenario."""
    done = record_simulation(config, "everyday", 60, tmp_path / "everyday.jsonl.gz")
    records = list(read_messages(tmp_path / "everyday.jsonl.gz"))
    assert len(records) == done > 700
    assert records[-1].received_at - records[0].received_at > 58 * SECOND
    assert subscriber.got == []


def test_sigint_ends_a_simulation_cleanly(config: Path, subscriber: Subscriber) -> None:
    """Ctrl-C: the simulation ends with its statistics instead of a traceback, and has sent what it says."""
    code = (
        "import pathlib, sys; from simulators.publish import run_simulation\n"
        "done = run_simulation(pathlib.Path(sys.argv[1]), 'everyday')\n"
        "print(done.messages, done.acknowledged, done.interrupted)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert eventually(lambda: len(subscriber.got) > 5)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, "")
    messages, acknowledged, interrupted = out.split()
    assert interrupted == "True"
    assert messages == acknowledged
    assert eventually(lambda: len(subscriber.got) >= int(messages))


def test_the_small_street_is_a_street() -> None:
    """The places of these tests hang together (a mistake here would look like one of the simulators)."""
    whole = definition()
    assert len(Places(whole.places, whole.devices).devices) == 6
