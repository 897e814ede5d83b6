"""Fixtures of the ingest tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sensord.ingest.committer import Committer, Pace
from sensord.ports import Room
from tests.ingest.bench import Bench
from tests.ingest.support import SILENT
from tests.support.broker import Mosquitto


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Start brokers (arguments as of ``Mosquitto``); they end with the test."""
    started: list[Mosquitto] = []

    def start(*lines: str, **options: object) -> Mosquitto:
        broker = Mosquitto(tmp_path, *lines, **options)  # type: ignore[arg-type]
        started.append(broker)
        return broker.start()

    yield start
    for broker in started:
        broker.stop()


@pytest.fixture
def broker(brokers: Callable[..., Mosquitto]) -> Mosquitto:
    """A broker with persistence that takes anybody."""
    return brokers("persistence true", "max_queued_messages 0")


@pytest.fixture
def bench() -> Bench:
    """Everything around a committer."""
    return Bench()


@pytest.fixture
def start(bench: Bench) -> Iterator[Callable[..., Committer]]:
    """Start committers on the bench; they are stopped at the end."""
    with ExitStack() as stack:

        def begin(
            tick_interval: float = SILENT,
            clock: Callable[[], int] = lambda: 7,
            room: Room | None = None,
            gather: float = 0.0,
            every: float = 600.0,
            upkeep: Callable[[], None] = lambda: None,
        ) -> Committer:
            committer = Committer(
                bench.queue,
                bench.journal,
                bench.acknowledge,
                bench.meter,
                bench.beats,
                pace=Pace(tick=tick_interval, retry=0.01, gather=gather, enough=3, upkeep=every),
                clock=clock,
                upkeep=upkeep,
                room=room,
            )
            committer.start()
            stack.callback(committer.stop)
            stack.callback(bench.journal.gate.set)
            return committer

        yield begin
