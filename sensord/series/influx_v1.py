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
from collections.abc import Sequence

import httpx

from sensord.config.settings import InfluxV1
from sensord.core.point import Point
from sensord.ports import Cursor, CursorStore, Meter
from sensord.series.lineprotocol import encode_lines
from sensord.series.refusal import refused, unreachable


class InfluxV1Sink:
    """A :class:`sensord.ports.Sink` that writes compressed line protocol.

    ``timeout`` (seconds) bounds one request as a whole.
    """

    def __init__(
        self, settings: InfluxV1, password: str, cursors: CursorStore, meter: Meter, *, timeout: float = 30.0
    ) -> None:
        self.name: str = settings.name
        self._cursors = cursors
        self._meter = meter
        self._timeout = timeout
        self._query = {"db": settings.database, "precision": "ns"}
        self._client = httpx.AsyncClient(
            base_url=settings.url,
            auth=httpx.BasicAuth(settings.username, password) if settings.username else None,
            timeout=timeout,
            trust_env=False,
            verify=ssl.create_default_context(),  # the system's authorities, an organisation's own included
        )

    async def position(self) -> Cursor | None:
        """Where this sink stands; raises ``StoreError`` when the cursor cannot be read."""
        return await asyncio.to_thread(self._cursors.load, self.name)

    async def write(self, points: Sequence[Point], cursor: Cursor) -> None:
        """Write the points, then the cursor. Raises ``DeliveryError``, see :mod:`sensord.series.refusal`."""
        body, empty = await asyncio.to_thread(_body, points)
        if body:
            await self._send(body)
        self._meter.count("sink_points_total", len(points) - empty, sink=self.name, outcome="written")
        self._meter.count("sink_points_total", empty, sink=self.name, outcome="empty")
        await asyncio.to_thread(self._cursors.save, self.name, cursor)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _send(self, body: bytes) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._client.post(
                    "/write", params=self._query, content=body, headers={"Content-Encoding": "gzip"}
                )
        except (httpx.RequestError, TimeoutError) as error:
            raise unreachable(self.name, error) from error
        if not answer.is_success:
            raise refused(self.name, answer.status_code, answer.text, answer.headers.get("Retry-After"))


def _body(points: Sequence[Point]) -> tuple[bytes, int]:
    lines, empty = encode_lines(points)
    return (gzip.compress(lines.encode(), compresslevel=3) if lines else b""), empty
