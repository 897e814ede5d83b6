"""The receiver against a real broker: when it acknowledges, what it keeps, how it comes back."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from sensord.config.settings import Mqtt
from sensord.ingest import connection
from sensord.ingest.receiver import SUSPICIOUS, Backoff, Hooks
from tests.ingest.support import MemoryJournal, Stage
from tests.support import wait_until
from tests.support.broker import Mosquitto, ScriptedBroker, take_over

TOPIC = "linfen/c1/crowd/d1"
FILTERS = 4
WORKER = "receiver"
ROOT = Path(__file__).resolve().parents[2]


def _settings(broker: Mosquitto | ScriptedBroker, **changes: object) -> Mqtt:
    return Mqtt(port=broker.port, **changes)  # type: ignore[arg-type]


def _connected(stage: Stage) -> None:
    wait_until(lambda: stage.receiver.connected)


def _arrived(stage: Stage, number: int) -> bool:
    return len(stage.journal.messages) == number


def _reconnected(stage: Stage, number: int) -> bool:
    return stage.count("mqtt_reconnects_total") == number


def test_a_message_becomes_a_record(broker: Mosquitto) -> None:
    """Topic, payload and the instant of arrival; nothing of it is retained or repeated."""
    with Stage(_settings(broker)) as stage:
        _connected(stage)
        broker.publish(TOPIC, b'{"count": 3}')
        broker.publish("linfen/c1/status/d1", b"{}")
        broker.publish("linfen/c1/weather/d1", b"nobody subscribes to this")
        wait_until(lambda: len(stage.journal.messages) == 2)
        record, status = stage.journal.messages
        assert (record.topic, record.payload, record.retained, record.duplicate) == (
            TOPIC,
            b'{"count": 3}',
            False,
            False,
        )
        assert 0 <= status.received_at - record.received_at < 60e9
        wait_until(lambda: stage.count("acknowledgements_total", outcome="sent") == 2)
        wait_until(lambda: stage.count("messages_received_total", kind="status") == 1)
        assert stage.count("messages_received_total", kind="crowd") == 1
        assert stage.count("mqtt_connected") == 1
        assert stage.links == [(True, "connected")]
        assert stage.gaps == []
        assert stage.beats.count[WORKER] > 0
    assert not stage.receiver.alive
    assert stage.receiver.error is None


def test_a_message_is_acknowledged_only_after_its_commit(broker: Mosquitto) -> None:
    """While the journal is busy the broker sees no PUBACK; after the commit it does."""
    journal = MemoryJournal()
    journal.gate.clear()
    with Stage(_settings(broker), journal=journal) as stage:
        _connected(stage)
        broker.publish(TOPIC, b"m")
        assert journal.entered.wait(10)
        broker.publish("linfen/c1/level/d1", b"a round trip later")
        assert not broker.log_lines("Received PUBACK from sensord")
        journal.gate.set()
        wait_until(lambda: len(broker.log_lines("Received PUBACK from sensord")) == 2)


def test_a_killed_receiver_gets_the_message_again(broker: Mosquitto) -> None:
    """``kill -9`` between arrival and commit: the broker still holds it, and sends it to the next process."""
    command = [sys.executable, "-m", "tests.ingest.stuck_receiver", str(broker.port), "READINGS"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        wait_until(lambda: len(broker.log_lines("Received SUBSCRIBE from sensord")) == 1)
        broker.publish(TOPIC, b"precious")
        assert process.stdout is not None
        lines = iter(process.stdout.readline, b"")
        assert any(b"a message is being committed" in line for line in lines)
        process.send_signal(signal.SIGKILL)
    with Stage(_settings(broker)) as stage:
        wait_until(lambda: stage.journal.payloads == [b"precious"])
        assert stage.journal.messages[0].duplicate


def test_the_session_keeps_messages_while_we_are_away(broker: Mosquitto) -> None:
    """Published between two runs of the daemon: all of them arrive, in order, and are not taken for retained ones."""
    settings = _settings(broker)
    with Stage(settings) as stage:
        _connected(stage)
    expected = [b"m%d" % number for number in range(50)]
    broker.publish_all([(TOPIC, payload) for payload in expected])
    with Stage(settings, had_session=True) as stage:
        wait_until(lambda: stage.journal.payloads == expected)
        assert not any(record.retained for record in stage.journal.messages)
        assert stage.count("mqtt_session_lost_total") == 0
        assert stage.gaps == []


def test_a_broker_that_restarts_is_found_again_each_time(broker: Mosquitto) -> None:
    """Several restarts in a row: the connection and its subscriptions are back each time, and the session is kept."""
    with Stage(_settings(broker)) as stage:
        for number in range(1, 4):
            _connected(stage)
            broker.publish(TOPIC, b"m%d" % number)
            wait_until(partial(_arrived, stage, number))
            wait_until(lambda: stage.queue.size == 0)
            broker.stop()
            wait_until(lambda: not stage.receiver.connected)
            broker.start()
        _connected(stage)
        assert sorted(set(stage.journal.payloads)) == [b"m1", b"m2", b"m3"]
        assert stage.count("mqtt_reconnects_total") == 3
        assert stage.count("mqtt_session_lost_total") == 0
        assert (True, "connected") in stage.links
        assert not all(ok for ok, _ in stage.links)


def test_a_broker_that_forgot_us_is_a_possible_gap(brokers: Callable[..., Mosquitto]) -> None:
    """Killed without persistence: we subscribe anew, count it, and say that messages may be missing."""
    broker = brokers()
    with Stage(_settings(broker)) as stage:
        _connected(stage)
        assert stage.gaps == []
        broker.stop(signal.SIGKILL)
        wait_until(lambda: not stage.receiver.connected)
        broker.start()
        wait_until(lambda: stage.gaps == ["session lost"])
        assert stage.count("mqtt_session_lost_total") == 1
        broker.publish(TOPIC, b"m")
        wait_until(lambda: stage.journal.payloads == [b"m"])


def test_a_session_of_an_earlier_run_can_be_missed_too(broker: Mosquitto) -> None:
    """The journal holds messages, but the broker has never heard of us."""
    with Stage(_settings(broker), had_session=True) as stage:
        wait_until(lambda: stage.gaps == ["session lost"])


def test_a_broker_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    """The first connection fails: no exception, a clear word, and a connection once the broker is up."""
    broker = Mosquitto(tmp_path)
    with Stage(_settings(broker)) as stage:
        wait_until(lambda: stage.count("mqtt_disconnections_total", reason="unreachable") >= 3)
        assert "cannot be reached" in stage.links[0][1]
        assert str(broker.port) in stage.links[0][1]
        assert stage.receiver.alive
        assert not stage.receiver.connected
        broker.start()
        try:
            _connected(stage)
        finally:
            broker.stop()


def test_a_late_acknowledgement_is_not_sent(broker: Mosquitto) -> None:
    """Arrived by one connection, committed during the next: only the repeated delivery is acknowledged."""
    journal = MemoryJournal()
    journal.gate.clear()
    with Stage(_settings(broker), journal=journal) as stage:
        _connected(stage)
        broker.publish(TOPIC, b"m")
        assert journal.entered.wait(10)
        take_over(broker.port, "sensord")
        wait_until(lambda: stage.count("mqtt_reconnects_total") == 1)
        wait_until(lambda: stage.queue.size > 0)
        journal.gate.set()
        wait_until(lambda: len(journal.messages) == 2)
        wait_until(lambda: stage.count("acknowledgements_total", outcome="sent") == 1)
        assert stage.count("acknowledgements_total", outcome="late") == 1
        assert [record.duplicate for record in journal.messages] == [False, True]
        wait_until(lambda: len(broker.log_lines("Received PUBACK from sensord")) == 1)


def test_retained_messages_are_flagged(broker: Mosquitto) -> None:
    """What the broker had kept from before is flagged; the same device's live messages are not, retain flag or no."""
    broker.publish(TOPIC, b"old", retain=True)
    with Stage(_settings(broker)) as stage:
        wait_until(lambda: stage.journal.payloads == [b"old"])
        broker.publish(TOPIC, b"live", retain=True)
        wait_until(lambda: stage.journal.payloads == [b"old", b"live"])
        assert [record.retained for record in stage.journal.messages] == [True, False]


def test_a_takeover_is_noticed_and_backed_off_from() -> None:
    """The broker says that another client uses our id: counted, and the next delay is a long one."""
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return 0.0

    goodbye = b"\xe0\x02\x8e\x00"
    with (
        ScriptedBroker(FILTERS, goodbye) as broker,
        Stage(_settings(broker), backoff=Backoff(0.5, 8.0, uniform)) as stage,
    ):
        wait_until(lambda: stage.count("mqtt_takeovers_total", evidence="told") == 1)
        wait_until(lambda: len(drawn) > 0)
        assert stage.gaps == ["session taken over (told)"]
        assert drawn[0] == (4.0, 8.0)
        assert stage.count("mqtt_disconnections_total", reason="taken_over") == 1


def test_a_fight_over_our_client_id_is_suspected(broker: Mosquitto) -> None:
    """Older brokers cut the loser off without a word: several times in a row is no accident."""
    with Stage(_settings(broker), backoff=Backoff(60.0, 60.0, lambda low, high: 0.0)) as stage:
        for number in range(SUSPICIOUS):
            _connected(stage)
            assert stage.gaps == []
            take_over(broker.port, "sensord")
            wait_until(partial(_reconnected, stage, number + 1))
        assert stage.count("mqtt_takeovers_total", evidence="suspected") == 1
        assert stage.gaps == ["session taken over (suspected)"]


def test_delays_grow_and_are_spread_from_zero() -> None:
    """Full jitter: each delay is drawn between 0 and a ceiling that doubles up to the limit."""
    backoff = Backoff(1.0, 60.0, lambda low, high: high - low)
    assert [backoff.delay(failures, taken_over=False) for failures in (1, 2, 3, 6, 7, 500)] == [
        1,
        2,
        4,
        32,
        60,
        60,
    ]
    assert Backoff().delay(1, taken_over=True) >= 30


def test_failures_in_a_row_raise_the_ceiling(tmp_path: Path) -> None:
    """The receiver counts them."""
    ceilings: list[float] = []

    def uniform(low: float, high: float) -> float:
        ceilings.append(high)
        return 0.0

    with Stage(_settings(Mosquitto(tmp_path)), backoff=Backoff(1.0, 60.0, uniform)):
        wait_until(lambda: len(ceilings) >= 8)
    assert ceilings[:8] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_payload_over_the_limit_is_not_journaled(broker: Mosquitto) -> None:
    """Acknowledged, counted, told to the hook, up to what the shipped broker lets in; a far larger one is not sent."""
    with Stage(_settings(broker, payload_kib=1)) as stage:
        _connected(stage)
        broker.publish(TOPIC, b"x" * 1025)
        broker.publish(TOPIC, b"x" * connection.BROKER_LIMIT)
        broker.publish(TOPIC, b"x" * 2 * connection.BROKER_LIMIT)
        broker.publish(TOPIC, b"x" * 1024)
        wait_until(lambda: stage.journal.payloads == [b"x" * 1024])
        assert [(topic, size) for topic, size, _ in stage.oversize] == [(TOPIC, 1025), (TOPIC, connection.BROKER_LIMIT)]
        assert stage.count("dropped_total", reason="too_large") == 2
        wait_until(lambda: len(broker.log_lines("Received PUBACK from sensord")) == 3)


def test_pressure_reaches_the_broker(broker: Mosquitto) -> None:
    """A slow journal: the queue stays within its bytes, the rest waits at the broker, and everything comes in order."""
    journal = MemoryJournal()
    journal.gate.clear()
    expected = [b"%05d" % number * 100 for number in range(400)]
    limit = 50_000
    with Stage(_settings(broker, receive_maximum=65535), journal=journal, max_bytes=limit) as stage:
        _connected(stage)
        broker.publish_all([(TOPIC, payload) for payload in expected])
        wait_until(lambda: not stage.queue.has_room())
        assert limit <= stage.queue.size < limit + 1000
        journal.gate.set()
        wait_until(lambda: len(journal.payloads) == len(expected))
        assert journal.payloads == expected
        wait_until(lambda: stage.count("acknowledgements_total", outcome="sent") == len(expected))


def test_a_full_queue_does_not_cost_the_connection(broker: Mosquitto) -> None:
    """While nothing is read the broker still hears from us, and the worker shows that it lives."""
    journal = MemoryJournal()
    journal.gate.clear()
    settings = _settings(broker, keepalive="1s", receive_maximum=65535)
    with Stage(settings, journal=journal, max_bytes=5000) as stage:
        _connected(stage)
        broker.publish_all([(TOPIC, b"x" * 1000)] * 50)
        wait_until(lambda: not stage.queue.has_room())
        beats = stage.beats.count[WORKER]
        wait_until(lambda: len(broker.log_lines("Received PINGREQ from sensord")) >= 5)
        assert stage.receiver.connected
        assert stage.links == [(True, "connected")]
        assert stage.beats.count[WORKER] > beats
        journal.gate.set()
        wait_until(lambda: len(journal.payloads) == 50)
        assert stage.count("mqtt_reconnects_total") == 0


def test_a_topic_that_is_no_text_is_refused() -> None:
    """Acknowledged and counted; the receiver lives on."""
    publish = b"\x00\x02\xff\xfe" + b"\x00\x09" + b"\x00" + b"payload"
    packet = bytes([0x32, len(publish)]) + publish
    with ScriptedBroker(FILTERS, packet) as broker, Stage(_settings(broker)) as stage:
        wait_until(lambda: stage.count("dropped_total", reason="bad_topic") == 1)
        wait_until(lambda: b"\x40\x02\x00\x09" in broker.received)
        assert stage.receiver.alive
        assert stage.journal.groups == []


def test_an_exception_in_a_callback_ends_the_thread(broker: Mosquitto) -> None:
    """It must be impossible to miss: the thread is dead, the error is kept and counted."""

    def fail(*_: object) -> None:
        raise RuntimeError("a mistake")

    with Stage(_settings(broker, payload_kib=1), hooks=Hooks(on_oversize=fail)) as stage:
        _connected(stage)
        broker.publish(TOPIC, b"x" * 2000)
        wait_until(lambda: not stage.receiver.alive)
        assert isinstance(stage.receiver.error, RuntimeError)
        assert not stage.receiver.connected
        assert stage.count("worker_failures_total", worker=WORKER) == 1


def test_a_refused_subscription_is_not_taken_for_a_connection() -> None:
    """A broker whose access list does not let us read: we say so instead of listening to nothing."""
    with ScriptedBroker(FILTERS, granted=135) as broker, Stage(_settings(broker)) as stage:
        wait_until(lambda: stage.count("mqtt_disconnections_total", reason="refused") >= 1)
        assert "refused our subscription" in stage.links[0][1]
        assert "linfen/+/crowd/+" in stage.links[0][1]
        assert stage.count("mqtt_connected") == 0


@pytest.mark.parametrize("stopped_while", ["connected", "waiting"])
def test_stopping_is_prompt_and_clean(brokers: Callable[..., Mosquitto], stopped_while: str) -> None:
    """Whether connected or between two attempts; the broker gets a proper goodbye."""
    broker = brokers()
    with Stage(_settings(broker), backoff=Backoff(60.0, 60.0, lambda low, high: high)) as stage:
        _connected(stage)
        if stopped_while == "waiting":
            broker.stop()
            wait_until(lambda: not stage.receiver.connected)
    assert not stage.receiver.alive
    if stopped_while == "connected":
        wait_until(lambda: len(broker.log_lines("Received DISCONNECT from sensord")) == 1)
