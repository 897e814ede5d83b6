"""Keeping the state directory in bounds: old days of the journal, what was set aside, finished rows of the state.

What alerts need is never deleted: the groups that the core would step again after a crash. A sink that is away is
waited for as long as ``journal.keep`` lasts and ``journal.max_mib`` holds; beyond that its backlog goes, and is
counted: plates are not kept, and alerting is not endangered, for the sake of time series.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from sensord.config.settings import Settings
from sensord.core.instant import parse_duration
from sensord.ports import Meter
from sensord.store.journal import Journal
from sensord.store.setaside import delete_set_aside
from sensord.store.state import StateStore

INTERVAL, PAUSE = 600.0, 0.1


class Upkeep:
    """Deletes what is past its keeping; ``directory`` is the state directory, ``clock`` tells the host's time (ns)."""

    def __init__(
        self,
        directory: Path,
        journal: Journal,
        state: StateStore,
        settings: Settings,
        meter: Meter,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._directory, self._journal, self._state, self._meter = directory, journal, state, meter
        self._keep, self._most = parse_duration(settings.journal.keep), settings.journal.max_mib << 20
        self._zone, self._clock = settings.timezone, clock

    def journal(self) -> None:
        """Delete journal days that are past their keeping, or too many, and that the core does not need.

        Damaged files that were set aside, and hold the same, go after the same time.
        Called on the journal's thread. Raises ``StoreError``.
        """
        needed = min(self._state.snapshot_seq, self._state.applied) + 1
        now = self._clock()
        self._journal.prune(self._keep, now, needed)
        delete_set_aside(self._directory, now - self._keep, self._zone)
        if self._most:
            early = self._journal.prune_to_size(self._most, needed)
            self._meter.count("journal_days_given_up_total", len(early))
        self._meter.gauge("journal_bytes", self._journal.size)

    async def state(self) -> None:
        """Delete finished rows of the state database that are past their keeping, a few at a time, for ever."""
        pause = INTERVAL
        while True:
            await asyncio.sleep(pause)
            more = await asyncio.to_thread(self._state.prune, self._clock() - self._keep)
            pause = PAUSE if more else INTERVAL
