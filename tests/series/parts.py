"""What the sink tests share: journals with points in them, a decoder, cursors, and a sink in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from sensord.core.alert import Transition
from sensord.core.cases.case import CaseEvent
from sensord.core.intake.reader import DeadLetter
from sensord.core.point import Point
from sensord.core.record import Group, Record, RecordKind
from sensord.errors import DeliveryError
from sensord.ports import AT_EASE, Cursor, DeadLetters, JournalReader, JournalWriter, Pressure, Sink
from sensord.series.feeder import Feeder
from sensord.telemetry.metrics import PrometheusMeter

START = 1_700_000_000_000_000_000


def some_points(count: int, measurement: str = "crowd") -> list[Point]:
    """Points of seven devices, some in the same millisecond, with every type of field."""
    return [
        Point(
            measurement,
            {"device": f"camera-{number % 7}", "place": "临汾路 99弄, east=1"},
            {"count": number, "density": number / 7, "moving": number % 2 == 0, "note": f'"{number}" \\ ok'},
            START + number * 1_000,
        )
        for number in range(count)
    ]


def journal_points(journal: JournalWriter, points: Sequence[Point], group: int = 10) -> None:
    """Append the points as messages, ``group`` of them to a group."""
    for start in range(0, len(points), group):
        part = points[start : start + group]
        journal.append([Record(RecordKind.MESSAGE, point.at, "t", msgspec.json.encode(point)) for point in part])


class JsonPoints:
    """A point source whose records are points as JSON; its state is how many it has made."""

    def __init__(self) -> None:
        self.made = 0
        self.fail_at = -1
        self.changes: list[Transition | CaseEvent] = []

    def restore(self, state: bytes) -> None:
        """Continue from a state."""
        self.made = int(state or b"0")

    def state(self) -> bytes:
        """How many points were made."""
        return str(self.made).encode()

    def points(self, group: Group, changes: list[Transition | CaseEvent]) -> list[Point]:
        """Read the group's points; raises once at ``fail_at``."""
        if group.seq == self.fail_at:
            self.fail_at = -1
            raise ValueError("a decoder's bug")
        self.changes += changes
        found = [msgspec.json.decode(record.payload, type=Point) for record in group.records if record.payload]
        self.made += len(found)
        return found


@dataclass
class Applied:
    """Changes that a test sets by group; ``applied`` is how far the core has come."""

    applied: int = 0
    by_group: dict[int, list[Transition | CaseEvent]] = field(default_factory=dict)

    def between(self, after: int, upto: int) -> list[Transition | CaseEvent]:
        """The changes of the groups in between."""
        return [change for seq in range(after + 1, upto + 1) for change in self.by_group.get(seq, [])]


class Cursors:
    """Cursors that outlive a sink, as text: what cannot be written down is not kept."""

    def __init__(self) -> None:
        self.saved: dict[str, str] = {}

    def load(self, name: str) -> Cursor | None:
        """Return the saved cursor."""
        text = self.saved.get(name)
        if not text:
            return None
        seq, checkpoint, state = json.loads(text)
        return Cursor(seq, checkpoint, state.encode())

    def save(self, name: str, cursor: Cursor) -> None:
        """Save it."""
        self.saved[name] = json.dumps([cursor.seq, cursor.checkpoint, cursor.state.decode()])


class MemorySink:
    """A sink that keeps points by identity, refuses poison, and fails as often as it is told."""

    name = "memory"

    def __init__(self) -> None:
        self.points: dict[str, Point] = {}
        self.sizes: list[int] = []
        self.asked: list[Cursor] = []
        self.cursor: Cursor | None = None
        self.failures: list[Exception] = []
        self.poison: set[int] = set()

    async def position(self) -> Cursor | None:
        """Where it stands."""
        return self.cursor

    async def write(self, points: Sequence[Point], cursor: Cursor) -> None:
        """Keep the points; all or nothing."""
        self.asked.append(cursor)
        if self.failures:
            raise self.failures.pop(0)
        if any(point.at in self.poison for point in points):
            raise DeliveryError("bad point", retryable=False)
        self.sizes.append(len(points))
        self.points |= {repr(point): point for point in points}
        self.cursor = cursor

    async def close(self) -> None:
        """Nothing to close."""


class Pulse:
    """A pulse that nobody watches; keeps how attempts went, and counts the beats."""

    def __init__(self) -> None:
        self.attempts, self.beats = list[str](), 0

    def beat(self, worker: str) -> None:
        """Take the beat."""
        self.beats += 1

    def went(self, worker: str, why: str = "") -> None:
        """Take how it went."""
        self.attempts.append(why)


class Aside:
    """Dead letters in a list, each beside its group; refuses as often as it is told, and counts how often it wrote."""

    def __init__(self, *failures: Exception) -> None:
        self.letters, self.writes, self._failures = list[tuple[int, DeadLetter]](), 0, list(failures)

    def put_aside(self, seq: int, letters: Sequence[DeadLetter]) -> None:
        """Keep them."""
        if self._failures:
            raise self._failures.pop(0)
        self.writes += 1
        self.letters += [(seq, letter) for letter in letters]


@asynccontextmanager
async def feeding(
    sink: Sink,
    journal: JournalReader,
    changes: Applied,
    source: JsonPoints,
    meter: PrometheusMeter,
    batch: int = 50,
    pressure: Pressure = AT_EASE,
    pulse: Pulse | None = None,
    *,
    dead: DeadLetters | None = None,
) -> AsyncIterator[Feeder]:
    """Run a quick feeder for as long as the block runs."""
    parts = sink, journal, changes, source, meter, pulse or Pulse(), dead or Aside()
    feeder = Feeder(*parts, batch=batch, interval=0.01, base=0.01, longest=0.05, pressure=pressure)
    task = asyncio.create_task(feeder.run())
    try:
        yield feeder
    finally:
        task.cancel()
        await asyncio.wait({task})
