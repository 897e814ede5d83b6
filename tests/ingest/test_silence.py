"""A broker that is silent: for how long that is borne, and from when it counts."""

from __future__ import annotations

import select
import time
from types import SimpleNamespace
from typing import Any

import pytest

from sensord.config.settings import Mqtt
from sensord.ingest import connection
from sensord.ingest.names import Names
from sensord.ingest.wire import Wire
from tests.ingest.raw import publish
from tests.ingest.support import MemoryJournal, Stage
from tests.support import wait_until
from tests.support.broker import ScriptedBroker

FILTERS = 4
PING = b"\xc0\x00"


def _settings(broker: ScriptedBroker, keepalive: str = "20s") -> Mqtt:
    return Mqtt(port=broker.port, keepalive=keepalive)


def _connected(stage: Stage) -> None:
    wait_until(lambda: stage.receiver.connected)


def test_a_half_open_connection_is_given_up() -> None:
    """The broker's machine is gone without a word: noticed by its silence, and said so."""
    with ScriptedBroker(FILTERS) as silent, Stage(_settings(silent, keepalive="1s")) as stage:
        _connected(stage)
        wait_until(lambda: stage.count("mqtt_disconnections_total", reason="silent") == 1)
        assert "half-open" in stage.links[1][1]


def test_a_silence_may_last_for_one_and_a_half_keepalives(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock of the test's own, which the client library does not see: it would wait for twice the keepalive."""
    ahead = 0.0
    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + ahead))
    with ScriptedBroker(FILTERS) as silent, Stage(_settings(silent, keepalive="10m")) as stage:
        _connected(stage)
        ahead = 901.0
        wait_until(lambda: stage.count("mqtt_disconnections_total", reason="silent") == 1)


class Clockwork:
    """In the place of ``time`` and ``select``: once ``wound``, time stands but for waits, which take no time."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._first = True

    def wind(self) -> None:
        """Let time stand."""
        self._at = time.monotonic()

    def monotonic(self) -> float:
        """Say what time it is."""
        return time.monotonic() if self._at is None else self._at

    def select(self, read: list[Any], write: list[Any], failed: list[Any], timeout: float) -> tuple[list[Any], ...]:
        """Wait for the network; the first wait in vain is cut short, as by an acknowledgement to be sent."""
        if self._at is None:
            return select.select(read, write, failed, timeout)
        found = select.select(read, write, failed, 0)
        if not any(found):
            self._at += 0.2 if self._first else timeout
            self._first = False
        return found


def test_a_silence_is_over_at_one_and_a_half_keepalives_whenever_the_last_turn_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counted from the last packet, and not from the next time that somebody looks."""
    clockwork, silences, end = Clockwork(), list[float](), connection.Connection._end

    def note(ended: connection.Connection, ending: connection.Ending, why: str) -> None:
        silences.append(clockwork.monotonic() - ended._heard)
        end(ended, ending, why)

    monkeypatch.setattr(connection, "time", clockwork)
    monkeypatch.setattr(connection, "select", clockwork)
    monkeypatch.setattr(connection.Connection, "_end", note)
    with ScriptedBroker(FILTERS) as silent, Stage(_settings(silent, keepalive="6s")) as stage:
        _connected(stage)
        clockwork.wind()
        wait_until(lambda: silences)
    assert silences[0] == pytest.approx(9.0, abs=0.001)


def test_what_waited_for_us_may_come_before_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker with much in store sends that first, for longer than an answer may take: it is no silence."""
    monkeypatch.setattr(connection, "ANSWER", 0.6)
    with ScriptedBroker(FILTERS, before=[publish(b"a/b", b"")] * 25) as busy, Stage(_settings(busy)) as stage:
        _connected(stage)
        assert stage.count("mqtt_disconnections_total", reason="silent") == 0
        wait_until(lambda: len(stage.journal.payloads) == 25)


@pytest.mark.parametrize("dictated", [0, 900])
def test_a_broker_that_asks_for_less_is_still_pinged_and_found_silent(dictated: int) -> None:
    """It may ask for no keepalive (0), or for a longer one than ours: it is connected, and given up as with ours."""
    with ScriptedBroker(FILTERS, keepalive=dictated) as silent, Stage(_settings(silent, keepalive="1s")) as stage:
        wait_until(lambda: stage.count("mqtt_disconnections_total", reason="silent") == 1)
        assert stage.links[0] == (True, "connected")
        wait_until(lambda: PING in silent.received)


@pytest.mark.parametrize("dictated", [0, 900])
def test_the_fresh_lanes_connection_to_such_a_broker_is_given_up_too(dictated: int) -> None:
    """By its own pings, as any other."""
    with ScriptedBroker(0, keepalive=dictated) as silent:
        settings, names = _settings(silent, keepalive="1s"), Names(lambda: True)
        with Wire(settings, "fresh", None, None, names, lambda _: None, lambda *_: None) as wire:
            wait_until(lambda: _ended(wire))


def test_the_fresh_lanes_broker_may_be_silent_for_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock of the test's own, which the client library does not see."""
    ahead = 0.0
    monkeypatch.setattr("sensord.ingest.wire.time", SimpleNamespace(monotonic=lambda: time.monotonic() + ahead))
    with ScriptedBroker(0) as silent:
        settings, names = _settings(silent, keepalive="10m"), Names(lambda: True)
        with Wire(settings, "fresh", None, None, names, lambda _: None, lambda *_: None) as wire:
            ahead = 880.0
            wire.turn(0.0)
            ahead = 901.0
            with pytest.raises(OSError, match=r"1\.5 keepalives"):
                wire.turn(0.0)


def _ended(wire: Wire) -> bool:
    try:
        wire.turn(0.01)
    except OSError:
        return True
    return False


def test_a_full_queue_is_no_silence_for_a_broker_that_wants_to_hear_more_often() -> None:
    """While nothing is read it is pinged at the pace that it dictates, not at ours."""
    journal = MemoryJournal()
    journal.gate.clear()
    readings = publish(b"linfen/c1/crowd/d1", b"x" * 1000) * 10
    with (
        ScriptedBroker(FILTERS, readings, keepalive=1) as broker,
        Stage(_settings(broker, keepalive="10m"), journal=journal, max_bytes=5000) as stage,
    ):
        wait_until(lambda: not stage.queue.has_room())
        pinged = broker.received.count(PING)
        wait_until(lambda: broker.received.count(PING) >= pinged + 3)
        assert stage.links == [(True, "connected")]
