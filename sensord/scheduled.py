"""The task that sends the scheduled reports: wait, add up, put into the outbox. What was missed is made up for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from sensord.config.load import Loaded
from sensord.core.instant import HOUR, SECOND
from sensord.drivers.schedule import Due, messages, next_due
from sensord.drivers.vehiclereport import build, day_before, span
from sensord.store.outbox import OutboxTable
from sensord.store.passages import PassageReader

CATCH_UP = 6 * HOUR
"""A report that came due while the daemon was not running is sent late by so much at most."""
_LOOK = 60.0

log = structlog.get_logger()


class ReportTask:
    """Sends reports by ``loaded()``'s schedule; ``wake`` is called when messages are in the outbox."""

    def __init__(
        self,
        loaded: Callable[[], Loaded],
        directory: Path,
        outbox: OutboxTable,
        wake: Callable[[], None],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._loaded, self._outbox, self._wake, self._clock = loaded, outbox, wake, clock
        self._reader = PassageReader(directory)
        self._done = clock() - CATCH_UP

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await asyncio.to_thread(self.turn)
            await asyncio.sleep(_LOOK)

    def turn(self) -> None:
        """Send everything that is due now; raises ``StoreError`` when the state cannot be read or written."""
        while (due := self._next()) is not None and due.at <= self._clock():
            self._send(due)
            self._done = due.at

    def _next(self) -> Due | None:
        settings = self._loaded().settings
        return next_due(((one.at, one.roles) for one in settings.reports), self._done, settings.timezone)

    def _send(self, due: Due) -> None:
        definition = self._loaded().definition
        day = day_before(due.at, definition.zone)
        start, end = span(day, definition.zone)
        report = build(definition, day, self._reader.counts(start, end), self._reader.occupancy(end))
        sent = list(messages(report, definition, due))
        self._outbox.add(sent)
        self._wake()
        log.info(
            "a report on vehicles goes out", day=report.day, messages=len(sent), late=(self._clock() - due.at) / SECOND
        )
