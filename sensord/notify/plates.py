"""A channel that shows plates to those who may see them: the plate is put in just before a message leaves."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from sensord.ports import Channel, Entry, Plates


class PlateChannel:
    """Wraps a channel; implements ``ports.Channel``. The outbox never holds what it puts in."""

    def __init__(self, channel: Channel, plates: Plates) -> None:
        self.name = channel.name
        self._channel, self._plates = channel, plates

    async def send(self, entry: Entry) -> str:
        """Fill in the plate, if the message is about a vehicle, and deliver."""
        if entry.notification.vehicle is not None:
            entry = replace(entry, notification=await asyncio.to_thread(self._plates.fill, entry.notification))
        return await self._channel.send(entry)

    async def close(self) -> None:
        """Release connections."""
        await self._channel.close()
