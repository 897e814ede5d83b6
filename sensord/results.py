"""Tells whoever sent a command over MQTT what became of it; every outcome is logged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
import structlog

from sensord.core.instant import format_instant
from sensord.core.outcome import Outcome
from sensord.errors import DeliveryError
from sensord.notify.mqtt import MqttChannel
from sensord.ports import Channel, Meter

NAME = "results"
_WAITING = 1000
"""Outcomes that wait to be published; what is over it is counted, and only in the case's story."""

log = structlog.get_logger()


class Results:
    """Publishes over the first MQTT channel, if there is one; ``zone`` is the site's. Made on the event loop."""

    def __init__(self, channels: Iterable[Channel], zone: str, meter: Meter) -> None:
        self.name, self._zone, self._meter = NAME, zone, meter
        self._channel = next((one for one in channels if isinstance(one, MqttChannel)), None)
        self._outcomes: asyncio.Queue[Outcome] = asyncio.Queue(_WAITING)
        self._loop = asyncio.get_running_loop()

    def hear(self, outcomes: Sequence[Outcome]) -> None:
        """Take what was decided; called on the core's thread."""
        self._loop.call_soon_threadsafe(self._note, outcomes)

    def _note(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            try:
                self._outcomes.put_nowait(outcome)
            except asyncio.QueueFull:
                self._meter.count("results_dropped_total")

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            outcome = await self._outcomes.get()
            log.info("an action was decided", case=outcome.case, verb=outcome.verb, accepted=outcome.accepted)
            if self._channel is None or outcome.via != "mqtt":
                continue
            body = msgspec.to_builtins(outcome) | {"at": format_instant(outcome.at, self._zone)}
            try:
                await self._channel.publish_result(outcome.case, msgspec.json.encode(body))
            except DeliveryError as error:
                log.warning("an action's result could not be published", case=outcome.case, why=str(error))
