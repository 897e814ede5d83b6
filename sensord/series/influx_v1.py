"""InfluxDB 1.x over its ``/write`` endpoint.

Source: https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint

A 400 "partial write" means that the database kept the good points and refused the others. The feeder cannot
know which ones, so it bisects; writing the good ones again changes nothing, because series and time are a
point's identity.
"""

from __future__ import annotations

import asyncio
import gzip
import ssl

import httpx

from sensord.config.settings import InfluxV1
from sensord.ports import CursorStore, Meter
from sensord.series.linesink import TIMEOUT, LineSink
from sensord.series.refusal import refused, unreachable


class InfluxV1Sink(LineSink):
    """Writes compressed line protocol; ``timeout`` as there."""

    def __init__(
        self, settings: InfluxV1, password: str, cursors: CursorStore, meter: Meter, *, timeout: float = TIMEOUT
    ) -> None:
        super().__init__(settings.name, cursors, meter, timeout)
        self._query = {"db": settings.database, "precision": "ns"}
        self._client = httpx.AsyncClient(
            base_url=settings.url,
            auth=httpx.BasicAuth(settings.username, password) if settings.username else None,
            timeout=timeout,
            trust_env=False,
            verify=ssl.create_default_context(),  # the system's authorities, an organisation's own included
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _send(self, lines: str) -> None:
        body = await asyncio.to_thread(gzip.compress, lines.encode(), 3)
        try:
            answer = await self._client.post(
                "/write", params=self._query, content=body, headers={"Content-Encoding": "gzip"}
            )
        except httpx.RequestError as error:
            raise unreachable(self.name, error) from error
        if not answer.is_success:
            raise refused(self.name, answer.status_code, answer.text, answer.headers.get("Retry-After"))
