"""What all tests share: logs as tests read them, a broker, and who is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.notify.receiver import Receiver
from tests.support.broker import Mosquitto

# Without the values of variables: to show them takes seconds for a large object, and a test then waits in vain.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what waits for daemons most of the time; what computes fills the gaps."""
    items.sort(key=lambda item: "faults" not in item.path.parts)


@pytest.fixture
def people() -> Iterator[Receiver]:
    """Everybody's telephone."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker."""
    started = Mosquitto(tmp_path).start()
    yield started
    started.stop()
