"""A broker that is known by its name, and a resolver that does not answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sensord.config.settings import Mqtt
from sensord.ingest import names
from sensord.ingest.fresh import WORKER
from sensord.ingest.names import THREADS, Names
from sensord.ingest.queue import Lane
from tests.ingest.lane import running
from tests.ingest.support import Stage
from tests.support import wait_until
from tests.support.broker import Mosquitto

NAME = "broker.test"


class Resolver:
    """Knows one name, as several addresses, and says nothing of it while ``answers`` is not set."""

    def __init__(self) -> None:
        self.answers, self.asked, self.known = threading.Event(), 0, ["127.0.0.1"]

    def __call__(self, host: str, port: int, **_: object) -> list[Any]:
        """Take the place of ``socket.getaddrinfo``."""
        self.asked += host == NAME
        if host != NAME:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        self.answers.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in self.known]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """A silent resolver in the place of the system's; it answers when the test ends."""
    silent = Resolver()
    monkeypatch.setattr(names, "TURN", 0.02)
    monkeypatch.setattr(names, "PATIENCE", 0.2)
    stand_in = SimpleNamespace(
        **{name: getattr(socket, name) for name in ("socket", "SOCK_STREAM")}, getaddrinfo=silent
    )
    monkeypatch.setattr(names, "socket", stand_in)
    yield silent
    silent.answers.set()


def _refuse(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def _beats_on(beats: Callable[[], int]) -> None:
    before = beats()
    wait_until(lambda: beats() > before + 20)


@pytest.mark.parametrize("lane", [Lane.READINGS, Lane.SIGHTINGS, Lane.COMMANDS])
def test_a_silent_resolver_stops_no_receiver(
    broker: Mosquitto, resolver: Resolver, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows that it lives in the middle of one question, and connects as soon as that is answered."""
    monkeypatch.setattr(names, "PATIENCE", 3600.0)
    with Stage(Mqtt(host=NAME, port=broker.port), lane=lane) as stage:
        wait_until(lambda: resolver.asked == 1)
        _beats_on(lambda: stage.beats.count.get(stage.receiver.session.worker, 0))
        resolver.answers.set()
        wait_until(lambda: stage.receiver.connected)
        assert resolver.asked == 1


def test_a_silent_resolver_stops_no_fresh_lane(
    broker: Mosquitto, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on looking how far behind we are, too."""
    monkeypatch.setattr(names, "PATIENCE", 3600.0)
    with running(Mqtt(host=NAME, port=broker.port)) as bench:
        wait_until(lambda: resolver.asked == 1)
        bench.core.behind = 7.0
        _beats_on(lambda: bench.beats.count.get(WORKER, 0))
        wait_until(lambda: bench.meter.value("reading_age_seconds") == 7.0)
        resolver.answers.set()
        wait_until(lambda: bench.lane.open)


def test_no_answer_in_time_is_a_broker_that_cannot_be_reached(broker: Mosquitto, resolver: Resolver) -> None:
    """It is said, tried again, and leaves no more than a few threads behind, whose places are free again later."""
    with Stage(Mqtt(host=NAME, port=broker.port)) as stage:
        wait_until(lambda: stage.count("mqtt_disconnections_total", reason="unreachable") > THREADS + 2)
        assert resolver.asked == THREADS
        assert "the resolver has not answered" in stage.links[0][1]
        assert "questions without an answer" in stage.links[-1][1]
        resolver.answers.set()
        wait_until(lambda: stage.receiver.connected)
        wait_until(lambda: not [one for one in threading.enumerate() if one.name == "names"])


def test_a_question_that_gets_no_thread_leaves_nothing_behind(
    broker: Mosquitto, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the service has as many as it may have: the broker cannot be reached then, and can be afterwards."""
    resolver.answers.set()
    asker = Names(lambda: True)
    with monkeypatch.context() as scarce:
        scarce.setattr(threading.Thread, "start", _refuse)
        for _ in range(THREADS + 1):
            with pytest.raises(OSError, match="no thread can be started"):
                asker.connect(NAME, broker.port, 5.0)
    asker.connect(NAME, broker.port, 5.0).close()


def test_who_is_stopped_waits_for_no_resolver(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question is left to itself."""
    monkeypatch.setattr(names, "PATIENCE", 3600.0)
    with Stage(Mqtt(host=NAME, port=1)) as stage:
        wait_until(lambda: resolver.asked == 1)
    assert not stage.receiver.alive
    assert stage.receiver.error is None


def test_a_name_that_is_denied_is_said_to_be(resolver: Resolver) -> None:
    """In the resolver's own words."""
    with Stage(Mqtt(host="nobody.test", port=1)) as stage:
        wait_until(lambda: stage.links)
        assert "no such name" in stage.links[0][1]


def test_each_address_of_a_name_is_tried(broker: Mosquitto, resolver: Resolver) -> None:
    """Nobody listens at the first; a name without any is no broker."""
    resolver.known = ["127.0.0.99", "127.0.0.1"]
    resolver.answers.set()
    with Names(lambda: True).connect(NAME, broker.port, 5.0) as connection:
        assert connection.getpeername() == ("127.0.0.1", broker.port)
    resolver.known = []
    with pytest.raises(OSError, match="has no address"):
        Names(lambda: True).connect(NAME, broker.port, 5.0)
