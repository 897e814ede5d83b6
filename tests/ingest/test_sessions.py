"""Our sessions at a real broker: none waits behind another, each acknowledges its own, old ones are tidied up."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from sensord.config.settings import Mqtt
from sensord.ingest.queue import Arrival, ArrivalQueue, Lane
from sensord.ingest.receiver import SUSPICIOUS
from sensord.ingest.sessions import Receivers
from sensord.store.sessions import KnownSessions
from sensord.telemetry.metrics import PrometheusMeter
from tests.ingest.support import FAST, Beats, Stage
from tests.support import wait_until
from tests.support.broker import Mosquitto, paho_client, take_over
from tests.support.damages import DAMAGES, Damage
from tests.support.launching import ROOT

COUNT, PLATE, COMMAND = "linfen/c1/crowd/d1", "linfen/c1/plate/cam", "linfen/commands/by/p/case-1"
LANES = {Lane.COMMANDS: COMMAND, Lane.SIGHTINGS: PLATE}


@contextmanager
def _receivers(broker: Mosquitto, queue: ArrivalQueue, meter: PrometheusMeter | None = None) -> Iterator[Receivers]:
    receivers = Receivers(Mqtt(port=broker.port), queue, meter or PrometheusMeter(), Beats(), backoff=FAST)
    receivers.start(lambda _session: False)
    try:
        wait_until(lambda: all(one.connected for one in receivers.each))
        yield receivers
    finally:
        queue.close()
        receivers.stop()
        assert not any(lives() for lives in receivers.threads().values())


def _take(queue: ArrivalQueue, arrivals: list[Arrival]) -> list[Arrival]:
    """Add what waits, and return everything that has come."""
    arrivals += queue.take(9, 0)
    return arrivals


def _payloads(arrivals: list[Arrival]) -> list[bytes]:
    return [one.record.payload for one in arrivals if one.record is not None]


def test_a_command_and_a_plate_overtake_a_heap_of_readings(broker: Mosquitto) -> None:
    """No room for readings, and more of them at the broker: what people and cameras say comes, and goes first."""
    queue = ArrivalQueue(5000)
    with _receivers(broker, queue):
        broker.publish_all([(COUNT, b"%04d" % number * 100) for number in range(50)])
        wait_until(lambda: not queue.has_room())
        broker.publish(PLATE, b"a plate")
        broker.publish(COMMAND, b"a command")
        wait_until(lambda: queue._waiting[Lane.COMMANDS] and queue._waiting[Lane.SIGHTINGS])  # the size says not whose
        assert _payloads(queue.take(4, 0))[:2] == [b"a command", b"a plate"]


def test_each_session_acknowledges_what_came_by_it(broker: Mosquitto) -> None:
    """Packet and connection numbers are the same in all of them, and mean nothing in another."""
    queue = ArrivalQueue(1 << 20)
    with _receivers(broker, queue) as receivers:
        broker.publish_all([(COUNT, b"r"), (PLATE, b"s"), (COMMAND, b"c")])
        arrivals = list[Arrival]()
        wait_until(lambda: len(_take(queue, arrivals)) == 3)
        assert [(one.epoch, one.mid) for one in arrivals] == 3 * [(1, 1)]
        receivers.acknowledge([one for one in arrivals if one.lane is Lane.COMMANDS])
        wait_until(lambda: len(broker.log_lines("Received PUBACK from sensord-commands")) == 1)
        assert len(broker.log_lines("Received PUBACK")) == 1
        receivers.acknowledge([one for one in arrivals if one.lane is not Lane.COMMANDS])
        wait_until(lambda: len(broker.log_lines("Received PUBACK")) == 3)


@pytest.mark.parametrize("lane", LANES)
def test_what_was_not_acknowledged_comes_again(broker: Mosquitto, lane: Lane) -> None:
    """``kill -9`` between arrival and commit: the broker still holds it, and sends it to the next process."""
    command = [sys.executable, "-m", "tests.ingest.stuck_receiver", str(broker.port), lane.name]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        wait_until(lambda: len(broker.log_lines("Received SUBSCRIBE from sensord")) == 1)
        broker.publish(LANES[lane], b"precious")
        assert process.stdout is not None
        lines = iter(process.stdout.readline, b"")
        assert any(b"a message is being committed" in line for line in lines)
        process.send_signal(signal.SIGKILL)
    with Stage(Mqtt(port=broker.port), lane=lane) as stage:
        wait_until(lambda: stage.journal.payloads == [b"precious"])
        assert stage.journal.messages[0].duplicate


@pytest.mark.parametrize("lane", LANES)
def test_a_fight_over_one_session_is_noticed(broker: Mosquitto, lane: Lane) -> None:
    """Another client under the name of one of our sessions: suspected, and said with the session's name."""
    with Stage(Mqtt(port=broker.port), lane=lane) as stage:
        for number in range(SUSPICIOUS):
            wait_until(lambda: stage.receiver.connected)
            take_over(broker.port, f"sensord-{stage.receiver.session.name}")
            wait_until(partial(_reconnected, stage, number + 1))
        assert stage.count("mqtt_takeovers_total", evidence="suspected") == 1
        assert stage.gaps == ["session taken over (suspected)"]


def _reconnected(stage: Stage, number: int) -> bool:
    return stage.count("mqtt_reconnects_total") == number


def _leave_an_old_session(broker: Mosquitto) -> None:
    """The session of a version that received everything by one."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's, untyped
    properties.SessionExpiryInterval = 3600
    client, subscribed = paho_client("sensord"), threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", broker.port, clean_start=False, properties=properties)
    client.loop_start()
    client.subscribe([(topic, 1) for topic in ("linfen/+/crowd/+", "linfen/+/plate/+", "linfen/commands/by/+/+")])
    assert subscribed.wait(10)
    client.disconnect()
    client.loop_stop()


def test_a_session_of_an_earlier_version_gives_up_what_others_have_now(broker: Mosquitto) -> None:
    """What waited for it comes by it; what is said once all are there comes once, by the session that it belongs to."""
    _leave_an_old_session(broker)
    broker.publish(COMMAND, b"while away")
    queue, arrivals = ArrivalQueue(1 << 20), list[Arrival]()
    with _receivers(broker, queue):
        wait_until(lambda: len(broker.log_lines("Received UNSUBSCRIBE from sensord")) == 1)
        broker.publish_all([(COMMAND, b"now"), (COUNT, b"the end")])
        wait_until(lambda: b"the end" in _payloads(_take(queue, arrivals)))
        wait_until(lambda: b"now" in _payloads(_take(queue, arrivals)))
    found = {(one.record.payload, one.lane) for one in arrivals if one.record is not None}
    assert found == {(b"while away", Lane.READINGS), (b"now", Lane.COMMANDS), (b"the end", Lane.READINGS)}
    assert len(arrivals) == 3


def test_subscriptions_are_given_up_only_for_sessions_that_are_there(broker: Mosquitto) -> None:
    """While the commands' session cannot connect, the old one keeps its subscription: nothing falls between the two."""
    with Stage(Mqtt(port=broker.port)) as alone:
        wait_until(lambda: alone.receiver.connected)
        wait_until(lambda: len(broker.log_lines("Received UNSUBSCRIBE from sensord")) == 1)
    with Stage(Mqtt(port=broker.port), others_ready=lambda: False) as waiting:
        wait_until(lambda: waiting.receiver.connected)
        broker.publish(COUNT, b"m")
        wait_until(lambda: waiting.journal.payloads == [b"m"])
        assert len(broker.log_lines("Received UNSUBSCRIBE from sensord")) == 1


def test_sessions_that_were_there_are_remembered(tmp_path: Path) -> None:
    """Across runs."""
    known = KnownSessions(tmp_path)
    assert not known.has("sensord-commands")
    known.add("sensord-commands")
    assert KnownSessions(tmp_path).has("sensord-commands")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_list_of_sessions_hides_no_gap(tmp_path: Path, damage: Damage) -> None:
    """What cannot be read was perhaps there: a gap too many is said rather than one too few."""
    KnownSessions(tmp_path).add("sensord")
    path = tmp_path / "sessions"
    path.write_bytes(damage(path.read_bytes()))
    known = KnownSessions(tmp_path)
    assert known.has("sensord")
    known.add("sensord")
    assert not KnownSessions(tmp_path).has("sensord-commands")
