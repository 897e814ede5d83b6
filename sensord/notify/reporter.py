"""Tells the core how messages ended: what the outbox has settled becomes receipts in the journal.

The outbox is where an outcome is durable first. From there each is journaled and then ticked off, so a crash in between
journals it twice at most, which changes nothing. Without receipts the core would take every message for undelivered.

What waits for a channel that was taken out, or renamed, has ended, too: no worker will ever carry it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection

import structlog

from sensord.core.record import Receipt
from sensord.errors import SensordError
from sensord.notify.outcome import backoff
from sensord.ports import Meter, Pulse, Settled

NAME = "receipts"
_BATCH = 200
_IDLE = 5.0

log = structlog.get_logger()


class ReceiptReporter:
    """Works until cancelled.

    ``journal`` makes receipts durable and raises ``SensordError`` when it cannot now. ``running`` are the channels that
    are there.
    """

    def __init__(
        self,
        settled: Settled,
        journal: Callable[[list[Receipt]], Awaitable[None]],
        pulse: Pulse,
        meter: Meter,
        clock: Callable[[], int],
        running: Collection[str],
    ) -> None:
        self.name = NAME
        self._settled, self._journal, self._pulse = settled, journal, pulse
        self._meter, self._clock, self._running = meter, clock, running
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
                await self._give_up()
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

    async def _give_up(self) -> None:
        """Settle what waits for a channel that is gone."""
        given_up = await asyncio.to_thread(self._settled.give_up, self._running, self._clock())
        for channel, count in given_up.items():
            log.error("notifications over a channel that is gone are given up", channel=channel, count=count)
            self._meter.count("notifications_total", count, channel=channel, outcome="failed")

    async def _some(self) -> bool:
        receipts = await asyncio.to_thread(self._settled.unreported, _BATCH)
        if receipts:
            await self._journal(receipts)
            await asyncio.to_thread(self._settled.reported, [receipt.key for receipt in receipts])
        return len(receipts) == _BATCH
