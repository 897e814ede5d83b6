"""A channel whose messages are filled in just before they leave: plates for those who may see them, numbers."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from sensord.ports import Channel, Entry, Filling


class FilledChannel:
    """Wraps a channel; implements ``ports.Channel``. The outbox never holds what is filled in."""

    def __init__(self, channel: Channel, *fillings: Filling) -> None:
        self.name = channel.name
        self._channel, self._fillings = channel, fillings

    async def send(self, entry: Entry) -> str:
        """Fill in what stands open, and deliver; raises ``DeliveryError`` when that cannot be done now."""
        for filling in self._fillings:
            if filling.concerns(entry.notification):
                entry = replace(entry, notification=await asyncio.to_thread(filling.fill, entry.notification))
        return await self._channel.send(entry)

    async def close(self) -> None:
        """Release connections."""
        await self._channel.close()
