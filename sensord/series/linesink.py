"""What all sinks that write line protocol over the network share; only how a request is made differs."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

from sensord.core.point import Point
from sensord.ports import Cursor, CursorStore, Meter
from sensord.series.lineprotocol import encode_lines
from sensord.series.refusal import unreachable

TIMEOUT = 30.0
"""Seconds that one request may take as a whole."""


class LineSink(ABC):
    """A :class:`sensord.ports.Sink` whose cursor stands in ``cursors``, under its name.

    ``timeout`` (seconds) bounds one request as a whole: the clients' own limits are for each read, so an answer that
    trickles in would never end.
    """

    def __init__(self, name: str, cursors: CursorStore, meter: Meter, timeout: float) -> None:
        self.name = name
        self._cursors, self._meter, self._timeout = cursors, meter, timeout

    async def position(self) -> Cursor | None:
        """Where this sink stands; raises ``StoreError`` when the cursor cannot be read."""
        return await asyncio.to_thread(self._cursors.load, self.name)

    async def write(self, points: Sequence[Point], cursor: Cursor) -> None:
        """Write the points, then the cursor. Raises ``DeliveryError``, see :mod:`sensord.series.refusal`."""
        lines, empty = await asyncio.to_thread(encode_lines, points)
        if lines:
            try:
                async with asyncio.timeout(self._timeout):
                    await self._send(lines)
            except TimeoutError as error:
                raise unreachable(self.name, error) from error
        self._meter.count("sink_points_total", len(points) - empty, sink=self.name, outcome="written")
        self._meter.count("sink_points_total", empty, sink=self.name, outcome="empty")
        await asyncio.to_thread(self._cursors.save, self.name, cursor)

    @abstractmethod
    async def _send(self, lines: str) -> None:
        """Make one request of these lines; raises ``DeliveryError`` unless the database has taken them."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connections."""
