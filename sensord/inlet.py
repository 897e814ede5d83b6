"""The way in: everything between the broker and the journal, put together, started and stopped in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from sensord.config.broker import broker
from sensord.config.load import Loaded
from sensord.ingest.backlog import Backlog, Echoes, Follower
from sensord.ingest.clock import ArrivalClock
from sensord.ingest.committer import WORKER as COMMITTER
from sensord.ingest.committer import Committer, Pace
from sensord.ingest.fresh import WORKER as FRESH
from sensord.ingest.fresh import FreshLane
from sensord.ingest.queue import ArrivalQueue, Lane
from sensord.ingest.receiver import Hooks
from sensord.ingest.sessions import Receivers
from sensord.ingest.topics import Session, ahead
from sensord.ports import Meter
from sensord.store.ballast import Ballast
from sensord.store.journal import Journal
from sensord.store.sessions import KnownSessions
from sensord.telemetry.health import Health

_SILENCE = 30.0
"""Longest silence of each of these threads, in seconds, before the watchdog is no longer fed."""

log = structlog.get_logger()


class Inlet:
    """Who fills the queue of arrivals, and who empties it. ``backlog`` tells whether more comes in than is taken."""

    def __init__(  # noqa: PLR0913  # the parts that the composition root wires
        self,
        loaded: Loaded,
        directory: Path,
        queue: ArrivalQueue,
        journal: Journal,
        core: Follower,
        meter: Meter,
        health: Health,
        *,
        clock: ArrivalClock,
        on_gap: Callable[[], None],
        upkeep: Callable[[], None],
    ) -> None:
        """Prepare. ``on_gap``: messages may be missing; called on a receiver's thread.

        Raises ``ConfigError`` when the broker's secrets or TLS files cannot be used.
        """
        settings, (mqtt, password) = loaded.settings, broker(loaded)
        self._client_id, self._journal, self._health, self._on_gap = mqtt.client_id, journal, health, on_gap
        self._known, self._echoes = KnownSessions(directory), Echoes()
        self.backlog = Backlog(self._echoes, core, meter, lambda: self.receivers.of(Lane.READINGS).connected)
        self.receivers = Receivers(
            mqtt,
            queue,
            meter,
            health,
            password=password,
            clock=clock.arrival,
            hooks=self._hooks,
            echo_number=self._echoes.number,
        )
        self.lane = FreshLane(
            mqtt,
            ahead(mqtt.readings, mqtt.client_id),
            queue,
            self._echoes,
            self.backlog,
            meter,
            health,
            password=password,
            clock=clock,
        )
        self._room, self._meter = Ballast(directory, settings.journal.ballast_mib << 20), meter
        self.committer = Committer(
            queue,
            journal,
            self.receivers.acknowledge,
            meter,
            health,
            pace=Pace(records=settings.journal.group_records),
            clock=clock,
            upkeep=upkeep,
            room=self._room,
            hold=lambda: self.lane.open and self.backlog.holds(),
        )
        for worker in self.threads():
            health.register(worker, _SILENCE)
        for one in self.receivers.each:
            health.set_fact(one.session.fact, False, "not connected yet")

    def cramped(self) -> str:
        """Why files cannot be begun, or soon not, on the journal's disk; empty: they can."""
        if self._room.files is not None:
            self._meter.gauge("disk_free_files", self._room.files)
        return self._journal.late or self._room.cramped

    def threads(self) -> dict[str, Callable[[], bool]]:
        """Whether each thread runs, by its name."""
        own: dict[str, Callable[[], bool]] = {
            FRESH: lambda: self.lane.alive,
            COMMITTER: lambda: self.committer.alive,
        }
        return self.receivers.threads() | own

    def start(self) -> None:
        """Start every thread; the broker need not be there."""
        self.committer.start()
        self.receivers.start(self._had_session)
        self.lane.start()

    def stop(self) -> None:
        """Take nothing more in, journal what came in, acknowledge it."""
        self.lane.stop()
        self.committer.stop()
        self.receivers.stop()

    def _hooks(self, session: Session) -> Hooks:
        """What is done when something happens to a session; called on its receiver's thread."""

        def linked(up: bool, detail: str) -> None:
            self._health.set_fact(session.fact, up, detail)
            if up:
                self._known.add(session.client_id(self._client_id))

        def missed(reason: str) -> None:
            log.error("messages may be missing", session=session.name, reason=reason)
            self._on_gap()

        return Hooks(
            on_gap=missed,
            on_oversize=lambda topic, size, _at: log.warning("a message was too large", topic=topic, size=size),
            on_link=linked,
            on_echo=self._echoes.returned,
        )

    def _had_session(self, session: Session) -> bool:
        """Whether the broker should know it. That of the readings is older than our notes about sessions."""
        if session.lane is Lane.READINGS:
            return self._journal.last_seq > 0
        return self._known.has(session.client_id(self._client_id))
