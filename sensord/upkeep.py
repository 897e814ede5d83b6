"""Keeping the state directory in bounds: old days of the journal, finished rows of the state database, damaged files.

What alerts need is never deleted: the groups that the core would step again after a crash. A sink that is away is
waited for as long as ``journal.keep`` lasts and ``journal.max_mib`` holds; beyond that its backlog goes, and is
counted: plates are not kept, and alerting is not endangered, for the sake of time series.

How old something is, ``KeepingClock`` says: while the host's clock is wrong nothing is deleted for its age, only what
there is too much of. Where that clock stands is written down here, so that a restart changes nothing about it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from sensord.config.settings import Settings
from sensord.core.instant import parse_duration
from sensord.errors import StoreError, UnavailableError
from sensord.ports import Meter
from sensord.store.expiry import expire
from sensord.store.journal import Journal
from sensord.store.keepingtime import KeepingTime
from sensord.store.state import StateStore

INTERVAL, PAUSE, DAILY = 600.0, 0.1, 86_400.0
"""Seconds."""

log = structlog.get_logger()


class Upkeep:
    """Deletes what is past its keeping. ``given_up``: journal days deleted before their time since the start."""

    def __init__(
        self,
        directory: Path,
        journal: Journal,
        state: StateStore,
        settings: Settings,
        meter: Meter,
        clock: Callable[[], int | None],
        daily: Callable[[], None] = lambda: None,
    ) -> None:
        """``clock`` says by which instant (ns) things are deleted; None while none may be. ``daily`` is done so."""
        self._clock, self._daily = clock, daily
        self._folders = (directory, journal.directory)
        self._time = KeepingTime(directory)
        self._journal, self._state, self._meter = journal, state, meter
        self.given_up = 0
        self._keep, self._most = parse_duration(settings.journal.keep), settings.journal.max_mib << 20
        self._history = settings.kept

    def journal(self) -> None:
        """Delete journal days that are past their keeping, or too many, and that the core does not need.

        What was set aside as damaged goes when it is past its keeping, too. Called on the journal's thread. Raises
        ``StoreError``; the cap holds nevertheless.
        """
        now = self._clock()
        needed = min(self._state.snapshot_seq, self._state.applied) + 1
        try:
            if now is not None:
                self._expire(now, needed)
        finally:
            self._cut(needed)

    def _cut(self, needed: int) -> None:
        if self._most:
            early = self._journal.prune_to_size(self._most, needed)
            self._meter.count("journal_days_given_up_total", len(early))
            self.given_up += len(early)
        self._meter.gauge("journal_bytes", self._journal.size)

    def _expire(self, now: int, needed: int) -> None:
        self._time.note(now)
        self._journal.prune(self._keep, now, needed)
        for folder in self._folders:
            expire(folder, now - self._keep, self._journal.zone)

    def state(self) -> bool:
        """Delete rows of the state database that are past their keeping, or too many; whether there may be more.

        What a full disk refuses is tried again later. Raises ``StoreError`` for everything else.
        """
        now = self._clock()
        try:
            deleted = self._state.keeping.prune_surplus()
            if now is not None:
                deleted += self._state.keeping.prune(now - self._keep, now - self._history)
        except StoreError as error:
            if not error.retryable:
                raise
            log.warning("old rows cannot be deleted now; it is tried again later", why=str(error))
            return False
        return deleted > 0

    async def run(self) -> None:
        """Keep the state database in bounds, and do what is daily, for ever."""
        pause, tomorrow = INTERVAL, time.monotonic() + DAILY
        while True:
            await asyncio.sleep(pause)
            pause = INTERVAL
            try:
                if time.monotonic() >= tomorrow:
                    await asyncio.to_thread(self._daily)
                    tomorrow = time.monotonic() + DAILY
                if await asyncio.to_thread(self.state):
                    pause = PAUSE
            except UnavailableError as error:
                log.warning("nothing is looked after now; it is tried again later", why=str(error))
