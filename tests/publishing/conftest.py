"""A real broker to publish into, and who listens there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulators.broker import Broker, running_broker
from tests.simulators.test_publish import Subscriber


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run mosquitto for this module."""
    with running_broker(tmp_path_factory.mktemp("broker"), "mosquitto") as running:
        yield running


@pytest.fixture
def subscriber(broker: Broker) -> Iterator[Subscriber]:
    """Subscribe to everything."""
    one = Subscriber(broker)
    yield one
    one.close()
