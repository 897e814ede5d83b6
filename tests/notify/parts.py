"""What the notification tests share: notifications, an outbox on disk, a clock to drive, running workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sensord.core.alert import Transition
from sensord.core.cases.case import Case, CaseEvent
from sensord.core.cases.notification import Hold, Notification, Reason
from sensord.core.intake.reader import DeadLetter
from sensord.core.level import Level
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.byhand import ByHand
from sensord.core.vehicles.tally import Occupancy, PassageCount
from sensord.errors import StoreError
from sensord.notify.worker import Limits, OutboxWorker
from sensord.ports import Channel, Entry
from sensord.store.outbox import OutboxTable
from sensord.store.state import StateStore
from sensord.telemetry.metrics import PrometheusMeter
from tests.support import POLL

START = 1_700_000_000_000_000_000
SECRET_TEXT = "text-that-no-log-may-hold"
SECRET_ADDRESS = "13800000000"


def notification(number: int = 1, channel: str = "desk", **changes: object) -> Notification:
    """An alert to a cadre over a channel; ``changes`` replace fields."""
    fields: dict[str, object] = {
        "key": f"case-{number}:1:居委干部-03:{channel}",
        "case": f"case-{number}",
        "event": f"case-{number}:1",
        "at": START,
        "reason": Reason.CASE_OPENED,
        "receiver": "居委干部-03",
        "role": "cadre",
        "channel": channel,
        "address": "",
        "level": Level.RED,
        "place": "lane-99",
        "grid": "G01",
        "language": "zh",
        "title": "临汾路99弄 拥挤",
        "text": SECRET_TEXT,
    }
    return Notification(**(fields | changes))  # type: ignore[arg-type]


def entry(number: int = 1, *, repeated: bool = False, attempts: int = 1, link: str = "", **changes: object) -> Entry:
    """A claimed notification."""
    return Entry(notification(number, **changes), attempts, repeated, link)  # type: ignore[arg-type]


class Clock:
    """Unix time in ns that a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        """The time."""
        return self.now

    def passed(self) -> float:
        """Seconds since the beginning: of the time that really passes, unless a test says otherwise."""
        return (self.now - START) / 1e9

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * 1_000_000_000)


@dataclass
class Outputs:
    """What a step of the core hands to the state store: here, notifications only."""

    seq: int
    at: int
    notifications: list[Notification]
    transitions: list[Transition] = field(default_factory=list)
    events: list[CaseEvent] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    passages: list[PassageCount] = field(default_factory=list)
    occupancy: list[Occupancy] = field(default_factory=list)
    blind: list[Blind] = field(default_factory=list)
    by_hand: list[ByHand] = field(default_factory=list)

    @property
    def told(self) -> list[Any]:
        """Everything, one kind after the other."""
        return [*self.transitions, *self.events, *self.notifications, *self.holds]


class StoredOutbox:
    """The real outbox in a state database; while ``broken``, every call fails as on a full disk."""

    def __init__(self, directory: Path, *notifications: Notification) -> None:
        self.store = StateStore(directory)
        self.table = self.store.outbox
        self.broken = False
        if notifications:
            self.add(*notifications)

    def add(self, *notifications: Notification) -> None:
        """Apply one more step of the core."""
        self.store.apply(Outputs(self.store.applied + 1, START, list(notifications)))

    def claim(self, channel: str, now: int, limit: int, at_least: Level = Level.NONE, worked: int = 0) -> list[Entry]:
        """Take due rows."""
        return self._sound().claim(channel, now, limit, at_least, worked)

    def done(self, key: str, now: int, receipt: str) -> None:
        """Sent."""
        self._sound().done(key, now, receipt)

    def fail(self, key: str, now: int, error: str) -> None:
        """Failed for good."""
        self._sound().fail(key, now, error)

    def retry(self, key: str, due: int, error: str) -> None:
        """Waits again."""
        self._sound().retry(key, due, error)

    def repeat(self, key: str, due: int, error: str) -> None:
        """Waits again, marked."""
        self._sound().repeat(key, due, error)

    def leave_open(self, key: str, now: int, error: str) -> None:
        """Sent no more."""
        self._sound().leave_open(key, now, error)

    def let_go(self, channel: str, now: int, limit: int, spared: Collection[str]) -> int:
        """Due now."""
        return self._sound().let_go(channel, now, limit, spared)

    def next_due(self, channel: str, at_least: Level = Level.NONE) -> int | None:
        """The earliest waiting row."""
        return self._sound().next_due(channel, at_least)

    def recent(self, channel: str, since: int) -> list[int]:
        """When sends ended of late."""
        return self._sound().recent(channel, since)

    def worked(self, channel: str) -> int:
        """For how long it was at work."""
        return self._sound().worked(channel)

    def work(self, channel: str, worked: int) -> None:
        """At work for so long."""
        self._sound().work(channel, worked)

    def states(self, channel: str = "") -> list[str]:
        """Each row's state, in the order in which they came; of one channel, or of all."""
        return [str(state) for (state,) in self._select("state", channel)]

    def notes(self) -> list[str]:
        """Each row's receipt, or its last error."""
        return [str(receipt or error) for receipt, error in self._select("receipt, error")]

    def dues(self) -> list[int]:
        """When each row is due."""
        return [int(due) for (due,) in self._select("due")]

    def _sound(self) -> OutboxTable:
        if self.broken:
            raise StoreError("state.db: the disk is full")
        return self.table

    def _select(self, columns: str, channel: str = "") -> list[tuple[Any, ...]]:
        statement = f"SELECT {columns} FROM outbox WHERE ? IN ('', channel) ORDER BY seq, ord"
        return self.store._database.rows("looking", statement, (channel,))


Outboxes = Callable[..., StoredOutbox]


class Pulse:
    """Counts beats, and keeps how attempts went."""

    def __init__(self) -> None:
        self.beats = 0
        self.attempts = list[str]()

    def beat(self, worker: str) -> None:
        """Take the beat."""
        self.beats += 1

    def went(self, worker: str, why: str = "") -> None:
        """Take how it went."""
        self.attempts.append(why)


class ScriptedChannel:
    """A channel that does what a test says, one word a send: an error to raise, or a future to wait for."""

    name = "desk"

    def __init__(self, *script: Exception | asyncio.Future[None]) -> None:
        self.script = list(script)
        self.entries: list[Entry] = []

    async def send(self, entry: Entry) -> str:
        """Note the entry and follow the script; then deliver."""
        self.entries.append(entry)
        word = self.script.pop(0) if self.script else None
        if isinstance(word, Exception):
            raise word
        if word is not None:
            await word
        return "taken"

    async def close(self) -> None:
        """Nothing to close."""


def outcomes(meter: PrometheusMeter, channel: str = "desk") -> dict[str, float]:
    """How many sends ended in each way."""
    names = ("sent", "retried", "failed", "repeated")
    return {name: meter.value("notifications_total", channel=channel, outcome=name) for name in names}


QUICK = Limits(send=5.0, base=0.01, longest=0.02, drain=0.2, unclear=(0.01, 0.02))


@asynccontextmanager
async def working(
    channel: Channel,
    outbox: StoredOutbox,
    meter: PrometheusMeter | None = None,
    clock: Callable[[], int] | None = None,
    limits: Limits = QUICK,
    pulse: Pulse | None = None,
    steady: Callable[[], float] = time.monotonic,
) -> AsyncIterator[OutboxWorker]:
    """Run a worker for as long as the block runs; without ``clock``, time goes on from ``START``."""
    running = asyncio.get_running_loop().time()

    def ticking() -> int:
        return START + round((asyncio.get_running_loop().time() - running) * 1e9)

    meter, pulse = meter or PrometheusMeter(), pulse or Pulse()
    worker = OutboxWorker(channel, outbox, meter, pulse, clock or ticking, limits, steady=steady)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.wait({task})
        await channel.close()


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition; fails when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while True:
            if condition():
                return
            await asyncio.sleep(POLL)
