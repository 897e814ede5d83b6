"""A fresh lane wired up for a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sensord.config.settings import Mqtt
from sensord.ingest.backlog import Backlog, Echoes
from sensord.ingest.fresh import FreshLane
from sensord.ingest.queue import Arrival, ArrivalQueue, Lane
from sensord.ingest.topics import ahead
from sensord.telemetry.metrics import PrometheusMeter
from tests.ingest.support import FAST, Beats
from tests.support import wait_until


class Core:
    """A core that is as far behind as the test says: so the lane opens and closes when it should."""

    behind, groups_behind = 0.0, 0


class Prompt(Echoes):
    """Echoes that are back at once: how far behind we are is the core's to say here."""

    @property
    def age(self) -> float:
        """None is under way."""
        return 0.0


class Bench:
    """A lane, and what came by it."""

    def __init__(self, settings: Mqtt, password: str | None) -> None:
        self.core, self.meter, self.beats = Core(), PrometheusMeter(), Beats()
        self.queue, self.echoes = ArrivalQueue(32 << 20), Prompt()
        backlog = Backlog(self.echoes, self.core, self.meter, lambda: True)
        lane = ahead(settings.readings, settings.client_id)
        parts = settings, lane, self.queue, self.echoes, backlog, self.meter, self.beats
        self.lane = FreshLane(*parts, password=password, backoff=FAST)
        self._taken: list[Arrival] = []

    def came(self) -> list[bytes]:
        """The payloads of everything that was handed on."""
        self._taken += self.queue.take(100, 0)
        assert all(one.lane is Lane.FRESH and one.record is not None and one.record.ahead for one in self._taken)
        return [one.record.payload for one in self._taken if one.record is not None]

    def open(self) -> None:
        """Fall behind, and wait until the broker has the lane's subscriptions."""
        self.core.behind = 10.0
        wait_until(lambda: self.lane.open)


@contextmanager
def running(settings: Mqtt, password: str | None = None) -> Iterator[Bench]:
    """A lane that runs for as long as the block does."""
    bench = Bench(settings, password)
    bench.lane.start()
    try:
        yield bench
    finally:
        bench.lane.stop()
        assert not bench.lane.alive
        assert bench.lane.error is None
