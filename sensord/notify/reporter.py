"""Tells the core how messages ended: what the outbox has settled becomes receipts in the journal.

The outbox is where an outcome is durable first. From there each is journaled and then ticked off, so a crash in between
journals it twice at most, which changes nothing. Without receipts the core would take every message for undelivered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from sensord.core.record import Receipt
from sensord.errors import SensordError
from sensord.notify.outcome import backoff
from sensord.ports import Pulse, Settled

NAME = "receipts"
_BATCH = 200
_IDLE = 5.0

log = structlog.get_logger()


class ReceiptReporter:
    """Works until cancelled. ``journal`` makes receipts durable and raises ``SensordError`` when it cannot now."""

    def __init__(self, settled: Settled, journal: Callable[[list[Receipt]], Awaitable[None]], pulse: Pulse) -> None:
        self.name = NAME
        self._settled, self._journal, self._pulse = settled, journal, pulse
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look now; for the event loop's thread."""
        self._woken.set()

    async def run(self) -> None:
        """Journal what was settled; the boundary of this task."""
        failures = 0
        while True:
            self._woken.clear()
            pause = _IDLE
            try:
                while await self._some():
                    self._pulse.beat(self.name)
                failures = 0
            except SensordError as error:
                log.warning("receipts wait for the journal", why=str(error))
                pause = backoff(failures, 0.5, _IDLE)
                failures += 1
            self._pulse.beat(self.name)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()

    async def _some(self) -> bool:
        receipts = await asyncio.to_thread(self._settled.unreported, _BATCH)
        if receipts:
            await self._journal(receipts)
            await asyncio.to_thread(self._settled.reported, [receipt.key for receipt in receipts])
        return len(receipts) == _BATCH
