"""The broker as it fails: restarts, a storm of a thousand devices, sessions lost, retained abuse."""

from __future__ import annotations

import json
import resource
import signal
from pathlib import Path

import pytest

from tests.faults.harness import Stage
from tests.faults.outside import broker_kills
from tests.support import wait_until
from tests.support.broker import paho_client

DEVICES = 1000


@pytest.mark.timeout(300)
def test_a_broker_that_is_shot_again_and_again_is_found_each_time(tmp_path: Path) -> None:
    """Three kills: the daemon is back each time; what the broker forgot is a gap in the devices' numbers, no more."""
    row = broker_kills(tmp_path, 3, seed=5)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


@pytest.mark.timeout(300)
def test_a_storm_of_a_thousand_devices_is_bounded(stage: Stage) -> None:
    """All reconnect at once and say something: memory stays in bounds, and crowds are told of as ever."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    before, told = stage.metric("process_resident_memory_bytes"), len(stage.titles())
    clients = [paho_client(f"device-{number}") for number in range(DEVICES)]
    try:
        for number, client in enumerate(clients):
            client.connect("127.0.0.1", stage.broker.port)
            body = json.dumps({"count": 1, "boot": 1, "seq": number}).encode()
            client.publish(f"t/C1/crowd/unknown-{number}", body, 1)
        for _ in range(20):
            for client in clients:
                client.loop_write()
        received = stage.metric("dead_letters_total")
        wait_until(lambda: stage.metric('dead_letters_total{reason="unknown_device"}') >= DEVICES, 60, str(received))
        wait_until(lambda: len(stage.titles()) > told, 40, "crowds are told of as ever")
        assert stage.metric("process_resident_memory_bytes") < before + (64 << 20)
    finally:
        for client in clients:
            client.disconnect()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_lost_session_is_told_to_people(stage: Stage) -> None:
    """A broker without a memory: subscribed again, counted, and people know that messages may be missing."""
    stage.broker.stop(signal.SIGKILL)
    for path in stage.broker.directory.glob("mosquitto.db*"):
        path.unlink()
    stage.broker.start()
    wait_until(lambda: stage.fact("mqtt") is True, 90, "the daemon is connected again")
    wait_until(lambda: any("消息可能缺失" in text for text in stage.texts()), 30, "people are told")
    wait_until(lambda: stage.metric("mqtt_session_lost_total") == 3, 90, "each session is back, and was missed")


def test_retained_readings_raise_nothing_at_a_start(tmp_path: Path) -> None:
    """A crowd that somebody has retained is no crowd: it is counted when we subscribe, and triggers nothing."""
    with Stage(tmp_path, influx=False) as stage:
        for _ in range(5):
            stage.broker.publish("t/C1/crowd/crowd-1", b'{"count": 500}', retain=True)
        stage.start()
        stage.await_ready()
        wait_until(lambda: stage.answers("/readyz"), 30, "the daemon is connected")
        wait_until(lambda: stage.metric('readings_total{outcome="retained"') == 1, 20, "it has come, and is counted")
        wait_until(stage.daemon.caught_up, 20, "everything is applied")
        assert stage.daemon.overview()["cases"] == []
