"""Real databases on loopback that a test can stop and start again on the same data, and what is in them."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.support import free_port, http, program, wait_until

INFLUX_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{directory}/meta"
[data]
  dir = "{directory}/data"
  wal-dir = "{directory}/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
"""


class _Server:
    """A process with an HTTP interface."""

    ready = "/"

    def __init__(self, command: list[str], port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it until it answers."""
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, stdout=quiet, stderr=quiet)
        wait_until(self._answers, 60, f"{self._command[0]} answers")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it; its data stays."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None

    def freeze(self) -> None:
        """Let it go no further, for now."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            return http.get(self.url + self.ready).is_success
        except httpx.TransportError:
            return False


class Influx1(_Server):
    """InfluxDB 1.x."""

    ready = "/ping"

    def __init__(self, directory: Path) -> None:
        port = free_port()
        config = directory / "influxdb.conf"
        config.write_text(INFLUX_CONFIG.format(directory=directory, port=port, rpc=free_port()))
        super().__init__([program("influxd"), "-config", str(config)], port)

    def query(self, text: str, database: str = "sensord") -> list[dict[str, Any]]:
        """Run a query; returns its series, times in ns."""
        answer = http.post(
            self.url + "/query",
            params={"db": database, "epoch": "ns"},
            data={"q": text},
            timeout=120,  # some count tens of millions of points
        )
        result = msgspec.json.decode(answer.content)["results"][0]
        assert "error" not in result, result
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def everything(self, database: str = "sensord") -> list[tuple[str, dict[str, str], dict[str, Any], int]]:
        """Every point as (measurement, tags, fields, ns), ordered by time."""
        found = []
        for series in self.query("SELECT * FROM /.*/ GROUP BY *", database):
            tags = {name: value for name, value in series.get("tags", {}).items() if value}
            for at, *values in series["values"]:
                fields = dict(zip(series["columns"][1:], values, strict=True))
                kept = {name: _typed(name, value) for name, value in fields.items() if value is not None}
                found.append((series["name"], tags, kept, at))
        return sorted(found, key=lambda point: point[3])


def _typed(name: str, value: Any) -> Any:
    """The database writes a large float without a point or an exponent; such fields are called ``float_``."""
    return float(value) if name.startswith("float_") else value


class Victoria(_Server):
    """VictoriaMetrics, which takes writes as InfluxDB 2.x does."""

    ready = "/health"

    def __init__(self, directory: Path) -> None:
        port = free_port()
        options = [
            f"-storageDataPath={directory}/victoria",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-retentionPeriod=100y",
            "-dedup.minScrapeInterval=1ms",
            "-memory.allowedBytes=128MB",
        ]
        super().__init__([program("victoria-metrics"), *options], port)

    def everything(self) -> dict[tuple[str, str], dict[int, float]]:
        """Samples by (metric, device): time in ms to value."""
        http.get(self.url + "/internal/force_flush").raise_for_status()
        query = {"match[]": '{__name__!=""}'}
        answer = http.get(self.url + "/api/v1/export", params=query)
        found: dict[tuple[str, str], dict[int, float]] = {}
        for line in answer.text.splitlines():
            series = msgspec.json.decode(line)
            metric = series["metric"]
            samples = found.setdefault((metric["__name__"], metric.get("device", "")), {})
            for at, value in zip(series["timestamps"], series["values"], strict=True):
                assert at not in samples, "a sample is there twice"
                samples[at] = value
        return found
