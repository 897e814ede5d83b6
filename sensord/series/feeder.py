"""The task that follows the journal at a sink's own pace: cursor -> groups -> points -> batch -> sink.

Rules:

- It reads only groups that the core has applied, so that transitions and cases come with the readings that
  made them.
- Memory is bounded by one batch and one chunk of groups: while the sink is down, the journal is the queue.
- The sink moves the cursor after the points, so a crash repeats points (which changes nothing) and never
  loses one.
- While more comes in than we take, it reads a batch from time to time: alerts go first, and the journal keeps the rest.
- The decoder's state, which is large, is saved every so many groups. After a crash, what lies between it and
  the cursor is decoded again, and not written again.
- A decoder's state that is damaged or of another version is made again from the journal's beginning.
- A cursor beyond the journal's end (an older journal was put back) goes on at that end, and is counted.
- A sink that is down, throttled or wrongly configured is tried again for ever. A batch that it refuses is
  bisected, like beside like, down to the points that it cannot hold; these are counted and skipped, the first of each
  kind logged and put among the dead letters (``refused.py``), all others written.
- A fault of the code itself (a decoder that raises) never skips data: the feeder says where, waits, and
  starts again from the cursor. The lag shows it; the alerts do not depend on it.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from sensord.core.alert import Transition
from sensord.core.cases.case import CaseEvent
from sensord.core.point import Point
from sensord.core.record import Group
from sensord.errors import DeliveryError, SensordError, SnapshotError, StoreError
from sensord.ports import AT_EASE, Changes, Cursor, DeadLetters, JournalReader, Meter, Pressure, Sink, Standing
from sensord.series.refusal import backoff
from sensord.series.refused import Refused

CHUNK = 64
"""Groups read at a time; a full group holds thousands of raw messages, so this bounds memory."""
CHECKPOINT_GROUPS = 5000
"""Groups between two saved states of the decoder: after a crash so many are decoded, not written, again."""
QUIET_GROUPS = 60
"""Groups without a point (ticks) after which the cursor moves all the same: about a minute of silence, for which a
report that waits for the roll-ups may wait, too."""
PRESSED = 5.0
"""Seconds between two batches while more comes in than we take."""
LONGEST_HOLD = 3600.0
"""Seconds that a database's ``Retry-After`` can hold us up at most."""
_BEAT = 5.0

log = structlog.get_logger()


class PointSource(Protocol):
    """Turns groups into points, in order; its state travels with the cursor."""

    def restore(self, state: bytes) -> None:
        """Continue from a state that :meth:`state` gave earlier; raises ``SnapshotError``."""
        ...

    def state(self) -> bytes:
        """Everything that points of later groups depend on."""
        ...

    def points(self, group: Group, changes: list[Transition | CaseEvent]) -> list[Point]:
        """The points of one group and of what the core decided on it."""
        ...


@dataclass(frozen=True, slots=True)
class _Batch:
    """Points of whole groups, the cursor behind them, and how many groups the core is ahead of it."""

    points: list[Point]
    cursor: Cursor
    full: bool
    lag: int


class Feeder:
    """Feeds one sink; ``run`` ends only by cancellation.

    ``batch`` is the number of points from which a batch is written at once; at the end of the journal, what
    is there is written every ``interval`` seconds. ``base`` and ``longest`` bound the backoff (seconds).
    """

    def __init__(  # noqa: PLR0913  # the parts that the composition root wires
        self,
        sink: Sink,
        journal: JournalReader,
        changes: Changes,
        source: PointSource,
        meter: Meter,
        pulse: Standing,
        dead: DeadLetters,
        *,
        batch: int = 5000,
        interval: float = 1.0,
        pressure: Pressure = AT_EASE,
        base: float = 0.5,
        longest: float = 60.0,
    ) -> None:
        self.name, self.sink = f"sink-{sink.name}", sink.name
        self._sink = sink
        self._journal = journal
        self._changes = changes
        self._source = source
        self._meter = meter
        self._pulse = pulse
        self._batch = batch
        self._interval = interval
        self._pressure = pressure
        self._base = base
        self._longest = longest
        self._fresh = source.state()
        self._read = self._written = 0
        self._end = journal.last_seq
        """The last group that a sink can have: nothing of this run is journaled yet, and what it writes is added."""
        self._checkpoint = Cursor(0, 0, b"")
        self._failures = 0
        self._moved_at = self._began_at = time.monotonic()
        self._log = log.bind(sink=sink.name)
        self._refused = Refused(sink.name, dead, meter, self._log)

    @property
    def stalled(self) -> float:
        """For how long (seconds) the sink has got no further although something waits for it."""
        return time.monotonic() - self._moved_at

    @property
    def unproven(self) -> bool:
        """Whether it has got no further since the start: it may be as stuck as it was before that."""
        return self._moved_at == self._began_at

    async def run(self) -> None:
        """Follow the journal until cancelled; the boundary of this task, so it outlives every fault but one.

        Raises ``StoreError`` when a file of ours must not be touched again by this process, as after a failed sync.
        """
        while True:
            try:
                await self._follow()
            except Exception as error:
                if isinstance(error, StoreError) and not error.retryable:
                    raise
                self._meter.count("sink_failures_total", sink=self._sink.name)
                described = _described(error)
                self._pulse.went(self.name, described["failure"])
                self._log.error("feeder failed; it starts again from its cursor", **described)
                await self._pause(backoff(self._failures, self._base, self._longest))
                self._failures += 1

    async def close(self) -> None:
        """Let go of the sink; call it after ``run`` was cancelled."""
        await self._sink.close()

    async def _follow(self) -> None:
        found = await self._sink.position() or Cursor(0, 0, b"")
        cursor = self._placed(found)
        if cursor is not found:
            await self._write([], cursor)
        self._checkpoint, self._read, self._written = cursor, cursor.checkpoint, cursor.seq
        while True:
            before = self._read
            batch = await asyncio.to_thread(self._collect)
            again = batch.cursor.checkpoint - cursor.checkpoint
            if batch.points or batch.cursor.seq - cursor.seq >= QUIET_GROUPS or again >= CHECKPOINT_GROUPS:
                self._end = max(self._end, batch.cursor.seq)
                await self._deliver(batch.points, batch.cursor, cursor)
                cursor = batch.cursor
            self._failures = 0
            if self._read > before or not batch.lag:
                self._moved_at = time.monotonic()
            self._meter.gauge("sink_lag_groups", batch.lag, sink=self._sink.name)
            self._pulse.beat(self.name)
            if self._pressure.pressed:
                await self._pause(PRESSED)
            elif not batch.full:
                await self._pause(self._interval)

    def _placed(self, cursor: Cursor) -> Cursor:
        """Let the decoder go on from the cursor; a cursor that leads nowhere gives one that does."""
        if cursor.seq > self._end:
            self._meter.count("sink_resets_total", sink=self._sink.name)
            self._log.error(
                "the sink stands behind the journal's end: that is an older journal, or another one; it goes on there",
                sink_group=cursor.seq,
                journal_group=self._end,
            )
            cursor = Cursor(self._end, 0, b"")
        try:
            self._source.restore(cursor.state or self._fresh)
        except SnapshotError as error:
            self._log.warning("the decoder's saved state is of no use; the journal is decoded again", why=str(error))
            self._source.restore(self._fresh)
            return Cursor(cursor.seq, 0, b"")
        return cursor

    def _collect(self) -> _Batch:
        """Read on until the batch is full or the core's position is reached (runs in a thread).

        No more groups at a time than lie between two saved states: many may have to be decoded again.
        """
        points: list[Point] = []
        applied = self._changes.applied
        stop = self._read + CHECKPOINT_GROUPS
        while len(points) < self._batch and self._read < min(applied, stop):
            groups = [group for group in self._journal.read(self._read, CHUNK) if group.seq <= applied]
            if not groups:
                break
            for group in groups:
                self._note_gap(group.seq)
                new = group.seq > self._written
                made = self._source.points(group, self._changes.between(group.seq - 1, group.seq) if new else [])
                points += made if new else []
                self._read = group.seq
                if len(points) >= self._batch or self._read >= stop:
                    break
        full = len(points) >= self._batch or self._read >= stop
        return _Batch(points, self._cursor(), full, max(0, applied - self._read))

    def _cursor(self) -> Cursor:
        """Where we stand, with the decoder's state of the last checkpoint (a new one from time to time)."""
        if self._read - self._checkpoint.checkpoint >= CHECKPOINT_GROUPS or not self._checkpoint.state:
            self._checkpoint = Cursor(self._read, self._read, self._source.state())
        return Cursor(max(self._read, self._written), self._checkpoint.checkpoint, self._checkpoint.state)

    def _note_gap(self, seq: int) -> None:
        missing = seq - max(self._read, self._written) - 1
        if missing > 0 and self._read:
            self._meter.count("sink_missed_groups_total", missing, sink=self._sink.name)
            self._log.error(
                "groups are gone: cleared before the sink had read them (raise journal.keep), or damaged",
                groups=missing,
            )

    async def _deliver(self, points: list[Point], cursor: Cursor, before: Cursor) -> None:
        """Write a batch and move the cursor; only what the sink refuses is left out."""
        try:
            await self._write(points, cursor)
        except DeliveryError as error:
            self._log.warning("batch refused; looking for its bad points", size=len(points), error=str(error))
            try:
                await self._bisect(sorted(points, key=_likeness), before, error)
            finally:
                await self._refused.put_aside(self._read)
            await self._write([], cursor)

    async def _bisect(self, points: list[Point], before: Cursor, error: DeliveryError) -> None:
        """Write what was refused in halves, down to what is refused as a whole; the cursor stays where it was.

        That is a single point, or as many as the database says that it cannot hold.
        """
        if error.dropped == len(points) or len(points) == 1:
            for point in points:
                self._refused.note(point, error)
            return
        middle = len(points) // 2
        for half in (points[:middle], points[middle:]):
            try:
                await self._write(half, before)
            except DeliveryError as refusal:
                await self._bisect(half, before, refusal)

    async def _write(self, points: Sequence[Point], cursor: Cursor) -> None:
        """Write, trying again for as long as that makes sense; raises ``DeliveryError`` when it does not."""
        attempt = 0
        while True:
            started = time.monotonic()
            try:
                await self._sink.write(points, cursor)
            except DeliveryError as error:
                self._pulse.went(self.name, str(error) if error.retryable else "")  # else it has looked at them
                if not error.retryable:
                    self._pulse.beat(self.name)
                    raise
                await self._hold(error, attempt)
                attempt += 1
            else:
                self._meter.observe("sink_write_seconds", time.monotonic() - started, sink=self._sink.name)
                self._pulse.beat(self.name)
                if points:
                    self._moved_at = time.monotonic()
                    self._pulse.went(self.name)
                return

    async def _hold(self, error: DeliveryError, attempt: int) -> None:
        delay = backoff(attempt, self._base, self._longest)
        if error.retry_after is not None:
            delay += min(error.retry_after, LONGEST_HOLD)
        self._meter.count("sink_retries_total", sink=self._sink.name)
        self._log.warning("write failed; trying again", error=str(error), seconds=round(delay, 1))
        await self._pause(delay)

    async def _pause(self, seconds: float) -> None:
        """Sleep in slices: a sink that is down is no reason for the watchdog to restart the daemon."""
        while seconds > 0:
            self._pulse.beat(self.name)
            await asyncio.sleep(min(seconds, _BEAT))
            seconds -= _BEAT
        self._pulse.beat(self.name)


def _likeness(point: Point) -> tuple[str, list[tuple[str, str]], int]:
    """What makes points alike to a database that refuses some: a field of another type, a time that it keeps no more.

    Side by side they are found with few requests.
    """
    types = sorted((name, type(value).__name__) for name, value in point.fields.items())
    return point.measurement, types, point.at


def _described(error: Exception) -> dict[str, str]:
    """What to log of an exception: our own messages are safe, a stranger's may quote a payload."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    failure = str(error) if isinstance(error, SensordError) else type(error).__name__
    return {"failure": failure, "where": where}
