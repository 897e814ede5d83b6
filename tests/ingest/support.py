"""The ingest stage wired up for a test: queue, committer, receiver, a journal in memory, real meters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

from sensord.config.settings import Mqtt
from sensord.core.record import Record, RecordKind
from sensord.errors import StoreError
from sensord.ingest.backlog import Echoes
from sensord.ingest.committer import Committer, Pace
from sensord.ingest.queue import Arrival, ArrivalQueue, Lane
from sensord.ingest.receiver import Backoff, Hooks, MqttReceiver
from sensord.ingest.topics import Session, sessions
from sensord.telemetry.metrics import PrometheusMeter

SILENT = 3600.0
"""A tick interval, in seconds, that no test reaches: for those that are not about ticks."""
FAST = Backoff(0.01, 0.2)


class MemoryJournal:
    """A ``JournalWriter`` that keeps groups in a list; ``gate`` holds it up, ``errors`` are raised one by one."""

    def __init__(self) -> None:
        """Open, and well."""
        self.groups: list[list[Record]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.errors: list[Exception] = []
        self.attempts = 0

    def append(self, records: Sequence[Record]) -> int:
        """Keep the group, or raise the next error."""
        self.attempts += 1
        self.entered.set()
        self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.groups.append(list(records))
        return len(self.groups)

    @property
    def payloads(self) -> list[bytes]:
        """The payloads of every message, in order."""
        return [record.payload for record in self.messages]

    @property
    def messages(self) -> list[Record]:
        """Every message, in order."""
        return [record for group in list(self.groups) for record in group if record.kind == RecordKind.MESSAGE]

    @property
    def ticks(self) -> list[Record]:
        """Every tick, in order."""
        return [record for group in list(self.groups) for record in group if record.kind == RecordKind.TICK]


class Beats:
    """A ``Pulse`` that counts."""

    def __init__(self) -> None:
        """Nobody has beaten yet."""
        self.count: dict[str, int] = {}

    def beat(self, worker: str) -> None:
        """Count a beat."""
        self.count[worker] = self.count.get(worker, 0) + 1


class Stage:
    """The whole stage against one broker, with the session of one lane; use as a context manager."""

    def __init__(
        self,
        settings: Mqtt,
        *,
        journal: MemoryJournal | None = None,
        max_bytes: int = 32 << 20,
        password: str | None = None,
        backoff: Backoff = FAST,
        hooks: Hooks | None = None,
        had_session: bool = False,
        lane: Lane = Lane.READINGS,
        others_ready: Callable[[], bool] = lambda: True,
        echoes: Echoes | None = None,
    ) -> None:
        """Build everything; entering starts it."""
        self.journal = journal or MemoryJournal()
        self._had_session, self.echoes = had_session, echoes or Echoes()
        self.meter = PrometheusMeter()
        self.beats = Beats()
        self.queue = ArrivalQueue(max_bytes)
        self.gaps: list[str] = []
        self.oversize: list[tuple[str, int, int]] = []
        self.links: list[tuple[bool, str]] = []
        self.receiver = MqttReceiver(
            settings,
            _session(settings, lane),
            self.queue,
            self.meter,
            self.beats,
            password=password,
            backoff=backoff,
            others_ready=others_ready,
            echo_number=self.echoes.number,
            hooks=hooks
            or Hooks(
                self.gaps.append,
                self._on_oversize,
                lambda ok, detail: self.links.append((ok, detail)),
                self.echoes.returned,
            ),
        )
        self.committer = Committer(
            self.queue,
            self.journal,
            self._acknowledge,
            self.meter,
            self.beats,
            pace=Pace(tick=SILENT, retry=0.01),
        )

    def _on_oversize(self, topic: str, size: int, received_at: int) -> None:
        self.oversize.append((topic, size, received_at))

    def _acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        self.receiver.acknowledge(arrivals)

    def count(self, name: str, **labels: str) -> float:
        """A metric's present value; a session's is that of ours."""
        if name.startswith("mqtt_"):
            labels["session"] = self.receiver.session.name
        return self.meter.value(name, **labels)

    def __enter__(self) -> Self:
        """Start both threads."""
        self.committer.start()
        self.receiver.start(had_session=self._had_session)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop in the daemon's order."""
        self.journal.gate.set()
        self.committer.stop()
        self.receiver.stop()


def _session(settings: Mqtt, lane: Lane) -> Session:
    return next(one for one in sessions(settings.readings, settings.commands, settings.client_id) if one.lane is lane)


def disk_full() -> StoreError:
    """What the journal raises when there is no space."""
    error = StoreError("journal-2026-05-01.db: no space left on the device")
    error.retryable = True
    return error


def message(payload: bytes, epoch: int = 1, mid: int = 1, lane: Lane = Lane.READINGS) -> Arrival:
    """An arrival as the receiver queues it."""
    record = Record(RecordKind.MESSAGE, time.time_ns(), "linfen/c1/crowd/d1", payload)
    return Arrival(record, epoch, mid, 1, lane=lane)
