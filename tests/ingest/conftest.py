"""Fixtures of the ingest tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
