"""InfluxDB 2.x and everything that takes its write API: InfluxDB 3.x, VictoriaMetrics.

VictoriaMetrics keeps milliseconds, so two points of a series within one millisecond become two samples with
the same time; it skips lines that it cannot read instead of answering 400, and it merges repeated writes only
when it is started with ``-dedup.minScrapeInterval=1ms``.

The maker's client makes the request: address, parameters, credentials, compression. Its own transport reads an answer
whole and decompressed, however large that is, so ours stands in its place. Retries, batching and threads of the client
are off: the feeder does these, once, for every sink.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS

from sensord import answers
from sensord.config.settings import InfluxV2
from sensord.ports import CursorStore, Meter
from sensord.series.linesink import TIMEOUT, LineSink
from sensord.series.refusal import judge, unreachable


@dataclass(frozen=True, slots=True)
class _Taken:
    """What the client is told of an answer that says that the points are written."""

    status: int
    reason: str = ""
    data: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class _Transport:
    """Stands in for the client's urllib3 pool; everything but success is raised past the client."""

    def __init__(self, sink: str, timeout: float) -> None:
        self._sink = sink
        self._http = answers.blocking_client(timeout)

    def request(self, method: str, url: str, *, body: bytes, headers: Mapping[str, str], **_: object) -> _Taken:
        """Make the client's request; raises ``DeliveryError`` unless the database has taken the points."""
        request = self._http.build_request(method, url, content=body, headers=headers)
        try:
            answer = answers.ask(self._http, request)
        except httpx.RequestError as error:
            raise unreachable(self._sink, error) from error
        judge(self._sink, answer)
        return _Taken(answer.status)

    def clear(self) -> None:
        """Close the connections: what the client calls at its end."""
        self._http.close()


class InfluxV2Sink(LineSink):
    """Writes line protocol over ``/api/v2/write``, compressed; ``timeout`` as there."""

    def __init__(
        self, settings: InfluxV2, token: str, cursors: CursorStore, meter: Meter, *, timeout: float = TIMEOUT
    ) -> None:
        super().__init__(settings.name, cursors, meter, timeout)
        self._bucket = settings.bucket
        self._client = InfluxDBClient(settings.url, token, org=settings.org, enable_gzip=True)
        rest: Any = self._client.api_client.rest_client  # typed as if no other transport could stand there
        rest.pool_manager = _Transport(settings.name, timeout)
        self._api = self._client.write_api(write_options=SYNCHRONOUS)

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._client.close)

    async def _send(self, lines: str) -> None:
        await asyncio.to_thread(self._api.write, self._bucket, record=lines)  # its default precision is ns
