"""A database that is throttled, overloaded, and refuses some points costs nobody else anything, and no good point."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.faults.harness import Stage
from tests.notify.receiver import Answer, Receiver, Request
from tests.support import wait_until

POISONED = 5


class Picky:
    """Refuses every write that holds one of the first points of lane 2, as InfluxDB does for a wrong type."""

    def __init__(self) -> None:
        self.poison = set[str]()
        self.written = set[str]()

    def __call__(self, request: Request) -> Answer:
        """Decide on one write; all or nothing."""
        lines = gzip.decompress(request.body).decode().splitlines()
        self.poison |= set([line for line in lines if "place=L2" in line][: POISONED - len(self.poison)])
        if self.poison & set(lines):
            return Answer(400, b'{"error":"partial write: field type conflict"}')
        self.written |= set(lines)
        return Answer(204)

    def readings(self) -> int:
        """How many readings it has."""
        return sum(line.startswith("crowd,") for line in self.written)


@pytest.mark.timeout(240)
def test_a_database_that_refuses_costs_no_alert_and_no_good_point(tmp_path: Path) -> None:
    """503, 429 with its wish, a cut connection, then 400 for some points: pages go out, all others are written."""
    troubles, picky = (Answer(503), Answer(429, headers={"Retry-After": "1"}), Answer(drop=True)), Picky()
    with Receiver(*troubles, decide=picky) as database:
        sink = {"type": "influxdb1", "url": database.url, "database": "sensord"}
        with Stage(tmp_path, influx=False, sinks=[{"type": "rollups"}, sink]) as stage:
            stage.begin()
            wait_until(lambda: len(stage.titles()) >= 2, 40, "people are told of a crowd")
            stage.sensors.fall_silent()
            wanted = sum(stage.sensors.sent.values()) - POISONED
            wait_until(lambda: picky.readings() == wanted, 60, f"every other reading is a point: {wanted}")
            wait_until(lambda: stage.metric('sink_points_total{outcome="refused"') == POISONED, 10, "they are counted")
            assert stage.metric("sink_retries_total") >= len(troubles)
            assert stage.metric("sink_failures_total") == 0
