"""InfluxDB 1.x over its ``/write`` endpoint.

Source: https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint

A 400 "partial write" means that the database kept the good points and refused the others. The feeder cannot
know which ones, so it bisects; writing the good ones again changes nothing, because series and time are a
point's identity.
"""

from __future__ import annotations

import asyncio
import gzip

import httpx

from sensord import answers
from sensord.config.settings import InfluxV1
from sensord.ports import CursorStore, Meter
from sensord.series.linesink import TIMEOUT, LineSink
from sensord.series.refusal import judge, unreachable


class InfluxV1Sink(LineSink):
    """Writes compressed line protocol; ``timeout`` as there."""

    def __init__(
        self, settings: InfluxV1, password: str, cursors: CursorStore, meter: Meter, *, timeout: float = TIMEOUT
    ) -> None:
        super().__init__(settings.name, cursors, meter, timeout)
        self._query = {"db": settings.database, "precision": "ns"}
        self._client = answers.client(
            timeout,
            base_url=settings.url,
            auth=httpx.BasicAuth(settings.username, password) if settings.username else None,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _send(self, lines: str) -> None:
        body = await asyncio.to_thread(gzip.compress, lines.encode(), 3)
        encoded = {"Content-Encoding": "gzip"}
        request = self._client.build_request("POST", "/write", params=self._query, content=body, headers=encoded)
        try:
            answer = await answers.read(await self._client.send(request, stream=True))
        except httpx.RequestError as error:
            raise unreachable(self.name, error) from error
        judge(self.name, answer)
