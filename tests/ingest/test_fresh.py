"""The fresh lane against a real broker: closed without need; while it is open, the newest of each topic goes ahead."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from sensord.config.settings import Mqtt
from sensord.core.record import Record, RecordKind
from sensord.ingest import fresh
from sensord.ingest.fresh import WORKER, Conflated, FreshLane
from tests.ingest.lane import Bench, running
from tests.support import wait_until
from tests.support.broker import Mosquitto

CROWD, PLATE = "linfen/c1/crowd/d1", "linfen/c1/plate/cam"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds are shorter here."""
    monkeypatch.setattr(fresh, "EVERY", 0.05)
    monkeypatch.setattr(fresh, "TURN", 0.02)
    monkeypatch.setattr(fresh, "PROOF", 1.0)


def _subscribed(broker: Mosquitto) -> bool:
    return len(broker.log_lines("sensord-fresh 0 linfen/+/level/+")) > 0


def test_without_need_it_is_closed_and_only_echoes(broker: Mosquitto) -> None:
    """It hears its own echo and nothing else."""
    with running(Mqtt(port=broker.port)) as bench:
        wait_until(lambda: len(broker.log_lines("Received PUBLISH from sensord-fresh")) >= 3)
        broker.publish(CROWD, b"a reading")
        said = len(broker.log_lines("Received PUBLISH from sensord-fresh"))
        wait_until(lambda: len(broker.log_lines("Received PUBLISH from sensord-fresh")) > said + 3)
        assert (bench.lane.open, bench.lane.missing, bench.came()) == (False, "", [])
        assert bench.beats.count[WORKER] > 0


def test_while_we_are_behind_the_newest_of_each_topic_comes(broker: Mosquitto) -> None:
    """What is retained, and what is said of vehicles, does not; when we have caught up, nothing does any more."""
    broker.publish("linfen/c1/crowd/d9", b"retained", retain=True)
    with running(Mqtt(port=broker.port)) as bench:
        bench.open()
        wait_until(lambda: _subscribed(broker))
        broker.publish_all([(PLATE, b"a plate"), *((CROWD, b"%d" % number) for number in range(500))])
        wait_until(lambda: b"499" in bench.came())
        assert len(bench.came()) < 100
        assert not {b"a plate", b"retained"} & set(bench.came())
        wait_until(lambda: bench.meter.value("fresh_messages_total", what="overwritten") > 400)
        assert bench.meter.value("fresh_lane_open") == 1
        bench.core.behind = 0.0
        wait_until(lambda: not bench.lane.open)
        wait_until(lambda: len(broker.log_lines("Received UNSUBSCRIBE from sensord-fresh")) == 1)
        broker.publish(CROWD, b"later")
        said = len(broker.log_lines("Received PUBLISH from sensord-fresh"))
        wait_until(lambda: len(broker.log_lines("Received PUBLISH from sensord-fresh")) > said + 3)
        assert b"later" not in bench.came()
        assert bench.meter.value("fresh_lane_open") == 0


def test_a_broker_that_restarts_is_found_again_and_the_lane_opens_again(broker: Mosquitto) -> None:
    """A clean session: it subscribes anew, and begins with what is said then."""
    with running(Mqtt(port=broker.port)) as bench:
        bench.open()
        broker.stop()
        wait_until(lambda: not bench.lane.open)
        broker.start()
        wait_until(lambda: bench.lane.open)
        broker.publish(CROWD, b"after")
        wait_until(lambda: b"after" in bench.came())


@pytest.mark.parametrize("right", ["", "topic read linfen/echo/+", "topic write linfen/echo/+"])
def test_a_missing_permission_is_said_and_keeps_the_lane_closed(
    brokers: Callable[..., Mosquitto], tmp_path: Path, right: str
) -> None:
    """Neither reading nor writing alone will do; the word says what to add, and once it is there the lane opens."""
    rules = tmp_path / "acl"
    rules.write_text(f"topic read linfen/+/crowd/+\n{right}\n")
    broker = brokers(f"acl_file {rules}")
    with running(Mqtt(port=broker.port)) as bench:
        bench.core.behind = 10.0
        wait_until(lambda: bench.lane.missing)
        assert "topic readwrite linfen/echo/+" in bench.lane.missing
        assert not bench.lane.open
        rules.write_text("topic read linfen/+/crowd/+\ntopic readwrite linfen/echo/+\n")
        broker.reload()
        wait_until(lambda: bench.lane.open)
        assert bench.lane.missing == ""


def test_a_template_without_kinds_keeps_the_lane_closed(broker: Mosquitto) -> None:
    """What is a plate cannot be told there; how far behind we are is still known."""
    with running(Mqtt(port=broker.port, readings="site/{device}")) as bench:
        bench.core.behind = 10.0
        wait_until(lambda: len(broker.log_lines("Received PUBLISH from sensord-fresh")) >= 5)
        assert (bench.lane.open, bench.lane.missing) == (False, "")


def test_an_echo_counts_once_the_broker_has_taken_it(broker: Mosquitto) -> None:
    """Nobody hands them back here. While the broker hangs they are sent, and none is waited for."""
    with running(Mqtt(port=broker.port)) as bench:
        wait_until(lambda: len(bench.echoes._waiting) >= 5)
        assert broker._process is not None
        broker._process.send_signal(signal.SIGSTOP)
        try:
            hung = bench.echoes._number
            wait_until(lambda: bench.echoes._number >= hung + 20)
            assert len(bench.echoes._waiting) < hung + 5
        finally:
            broker._process.send_signal(signal.SIGCONT)
        wait_until(lambda: len(bench.echoes._waiting) >= hung + 15)


def _record(topic: str, payload: bytes) -> Record:
    return Record(RecordKind.MESSAGE, 1, topic, payload, ahead=True)


def test_the_newest_of_each_topic_is_kept_until_it_is_due() -> None:
    """Oldest topics first, as many as there is room for; a topic is due again after the pace, with what is newest."""
    kept, room = Conflated(), [True, False]
    for topic, payload in (("a", b"1"), ("b", b"2"), ("a", b"3")):
        kept.put(_record(topic, payload))
    assert [one.payload for one in kept.take(0.0, 1.0, lambda: room.pop(0))] == [b"3"]
    assert [one.payload for one in kept.take(0.0, 1.0, lambda: True)] == [b"2"]
    kept.put(_record("a", b"4"))
    assert kept.take(0.9, 1.0, lambda: True) == []
    assert [one.payload for one in kept.take(1.0, 1.0, lambda: True)] == [b"4"]
    assert kept.what == {"overwritten": 1, "handed_on": 3}


def test_what_is_kept_is_bounded_and_what_is_left_out_counted() -> None:
    """A flood of topics costs no more than it may; those that are known get their newest all the same."""
    kept = Conflated(most=1000)
    for number in range(100):
        kept.put(_record(f"topic/{number}", json.dumps(number).encode()))
    kept.put(_record("topic/0", b"new"))
    taken = kept.take(0.0, 1.0, lambda: True)
    assert taken[0].payload == b"new"
    assert len(taken) + kept.what["no_room"] == 100
    assert len(taken) < 10


def test_what_is_remembered_of_topics_is_bounded() -> None:
    """Those whose time has come are forgotten; of more than there is room for, the newest are remembered."""
    kept = Conflated(most=10_000)
    for second in range(20):
        for number in range(10):
            kept.put(_record(f"stranger/{second}/{number}", b"1"))
        assert len(kept.take(float(second), 1.0, lambda: True)) == 10
        assert len(kept._due) == 10
    for number in range(1000):
        kept.put(_record(f"crowd/{number:04}", b"1"))
        kept.take(100.0, 60.0, lambda: True)
    for number in (0, 999):
        kept.put(_record(f"crowd/{number:04}", b"2"))
    assert len(kept._due) < 50
    assert [one.topic for one in kept.take(101.0, 60.0, lambda: True)] == ["crowd/0000"]
    kept.clear()
    assert (len(kept._due), kept._remembered) == (0, 0)


class Slow:
    """A wire by which an echo comes back at every ``nth`` turn: with 2, each comes later than the one before."""

    def __init__(self, lane: FreshLane, nth: int) -> None:
        self._lane, self._nth, self._turns, self._under_way = lane, nth, 0, list[bytes]()

    def subscribe(self, _filters: Sequence[str]) -> int:
        """Take a subscription."""
        return 1

    def publish(self, _topic: str, payload: bytes) -> int:
        """Send an echo; perhaps one comes back."""
        self._under_way.append(payload)
        self._turns += 1
        if self._turns % self._nth == 0:
            self._lane._prove(self._under_way.pop(0))
        return 1 + self._turns


@pytest.mark.parametrize(("nth", "begins_anew"), [(1, False), (2, True)])
def test_a_lane_whose_echoes_come_later_and_later_begins_anew(
    nth: int, begins_anew: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More is said than it can hear: what it hands on would be older and older, though an echo comes in time."""
    seconds, bench = [100.0], Bench(Mqtt(port=1), None)
    monkeypatch.setattr(fresh, "PROOF", 5.0)
    monkeypatch.setattr(fresh, "time", SimpleNamespace(monotonic=lambda: seconds[0], time_ns=time.time_ns))
    wire, lane = Slow(bench.lane, nth), bench.lane
    lane._heard_at = lane._answered_at = seconds[0]
    bench.core.behind, began_anew = 10.0, False
    for _ in range(60):
        seconds[0] += 1.0
        bench.lane._backlog.look()
        try:
            lane._tend(wire)  # type: ignore[arg-type]
        except OSError:
            began_anew = True
            break
    assert (began_anew, lane.missing) == (begins_anew, "")
