"""The databases of the sink tests; each module has its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sensord.store.journal import Journal
from tests.series.databases import Influx1, Victoria


@pytest.fixture(scope="module")
def influx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx1]:
    """A running InfluxDB 1.x."""
    server = Influx1(tmp_path_factory.mktemp("influxdb"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def influxdb(influx_server: Influx1) -> Influx1:
    """A running InfluxDB 1.x with an empty database ``sensord``."""
    influx_server.query("DROP DATABASE sensord")
    influx_server.query("CREATE DATABASE sensord")
    return influx_server


@pytest.fixture
def victoria_metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victoria]:
    """A running, empty VictoriaMetrics."""
    server = Victoria(tmp_path_factory.mktemp("victoria"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty journal."""
    opened = Journal(tmp_path / "journal")
    yield opened
    opened.close()
