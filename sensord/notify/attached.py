"""A channel whose messages bring files: those of a report with the message that tells of it."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from sensord.ports import Attaching, Channel, Entry


class AttachedChannel:
    """Wraps a channel; implements ``ports.Channel``. The outbox never holds what is attached."""

    def __init__(self, channel: Channel, attaching: Attaching) -> None:
        self.name = channel.name
        self._channel, self._attaching = channel, attaching

    async def send(self, entry: Entry) -> str:
        """Attach what there is, and deliver; raises ``DeliveryError``."""
        files = await asyncio.to_thread(self._attaching.files, entry.notification)
        return await self._channel.send(replace(entry, attachments=files))

    async def close(self) -> None:
        """Release connections."""
        await self._channel.close()
