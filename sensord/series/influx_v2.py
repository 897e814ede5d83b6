"""InfluxDB 2.x and everything that takes its write API: InfluxDB 3.x, VictoriaMetrics.

VictoriaMetrics keeps milliseconds, so two points of a series within one millisecond become two samples with
the same time; it skips lines that it cannot read instead of answering 400, and it merges repeated writes only
when it is started with ``-dedup.minScrapeInterval=1ms``.

The client's own retries, batching and threads are off: the feeder does these, once, for every sink.
"""

from __future__ import annotations

import asyncio

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from sensord.config.settings import InfluxV2
from sensord.ports import CursorStore, Meter
from sensord.series.linesink import TIMEOUT, LineSink
from sensord.series.refusal import refused, unreachable


class InfluxV2Sink(LineSink):
    """Writes line protocol over ``/api/v2/write``, compressed; ``timeout`` as there."""

    def __init__(
        self, settings: InfluxV2, token: str, cursors: CursorStore, meter: Meter, *, timeout: float = TIMEOUT
    ) -> None:
        super().__init__(settings.name, cursors, meter, timeout)
        self._settings = settings
        self._client = InfluxDBClient(
            settings.url,
            token,
            org=settings.org,
            timeout=round(timeout * 1000),
            enable_gzip=True,
            retries=False,
        )
        self._api = self._client.write_api(write_options=SYNCHRONOUS)

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._client.close)

    async def _send(self, lines: str) -> None:
        await asyncio.to_thread(self._post, lines)

    def _post(self, lines: str) -> None:
        try:
            self._api.write(self._settings.bucket, record=lines)  # its default precision is ns
        except ApiException as error:
            if not error.status:  # no answer at all: the client reports a failed TLS handshake this way
                raise unreachable(self.name, error) from error
            wish = error.headers.get("Retry-After") if error.headers else None
            raise refused(self.name, error.status, error.body or "", wish) from error
        except (HTTPError, OSError) as error:
            raise unreachable(self.name, error) from error
