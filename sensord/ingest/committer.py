"""The journal's thread: takes what waits, commits it as one group, then acknowledges.

Rules:
- Nothing is acknowledged, and no future resolves, before the commit that holds it.
- The journal's upkeep (deleting old days) runs here too, between two groups: one thread owns the journal's files. So it
  does at once when the disk is found full, and while it is: what is past its keeping may be what fills it.
- In silence a TICK is journaled each interval, so that absence, clearing and escalation advance.
- A group's records are in the order in which they arrived, whatever lanes they waited in.
- While we are pressed, readings in their turn are taken no faster than the core steps them (``hold``): what waits in
  the journal would be in the way of what comes ahead.
- When the disk is full the group at hand is kept and tried again each second; no more readings are taken in their
  turn, so acknowledgements stop and the broker keeps what follows. Ticks, our own records and operators' commands go on
  from the space that was kept back, so that absence and escalation advance and people can answer; and the newest
  readings (``Lane.FRESH``), so that people are told of new crowds, as long as there is space for them (``Reserve``).
  Without space they are let go, and counted: stale ones would be of no use, and all come in their turn.
- While the journal refuses our own records and commands, too, no more of them are taken: their lanes are bounded, the
  group at hand is not.
- Any other failure ends the thread, and with it the daemon: after a failed ``fsync`` nothing about the file can be
  trusted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, Thread

import structlog

from sensord.core.record import Record, RecordKind
from sensord.errors import StoreError
from sensord.ingest.queue import Arrival, ArrivalQueue, Lane
from sensord.ports import JournalWriter, Meter, Pulse, Room

WORKER = "committer"
_SETTLED = 5.0
"""Seconds from the start to the first upkeep: by then today's file has begun, and an old last one may go."""
AGAIN = 1 << 20
"""Bytes of reserve from which readings of now go on once it was used up: so it is not one second so, one otherwise."""
TELLING = 30.0
"""Seconds of a full disk from which one can tell how fast it loses what is left."""
HELD = 0.05
"""Seconds between two looks whether readings still have to wait."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how much: tick interval, delay of a retry and upkeep in seconds, the most records of a group.

    A group is not committed sooner than ``gather`` seconds after the one before, unless ``enough`` records wait:
    readings that trickle in would otherwise make groups of one or two, which take four times the disk and the work.
    """

    tick: float = 1.0
    retry: float = 1.0
    records: int = 2000
    upkeep: float = 600.0
    gather: float = 0.05
    enough: int = 64


class Reserve:
    """What is left of the space kept back, and for how long it lasts for readings. One thread looks; all may ask.

    ``left`` is bytes (0: readings do not go on; once used up, there must be ``AGAIN`` of it before they do).
    ``seconds`` is an estimate from what the disk has lost since it was full, whoever took it; 0: cannot be told yet.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: tuple[float, int] | None = None
        self.left, self.seconds = 0, 0.0

    def look(self, left: int) -> None:
        """Note what is left now."""
        now = self._clock()
        began, before = self._began or (now, left)
        if self._began is not None and not self.left and left < AGAIN:
            left = 0
        self._began, self.left = (began, before), left
        used = before - left
        self.seconds = left * (now - began) / used if used > 0 and now - began >= TELLING else 0.0

    def end(self) -> None:
        """There is space again."""
        self._began, self.left, self.seconds = None, 0, 0.0


class Boundless:
    """A ``Room`` that always is: nothing is kept back, and only the journal itself can refuse."""

    def available(self) -> bool:
        """Yes."""
        return True

    def release(self) -> None:
        """Nothing."""

    def spare(self) -> int:
        """Nothing was kept back."""
        return 0


class Committer:
    """Moves arrivals into the journal, on its own thread."""

    def __init__(  # noqa: PLR0913  # the parts that the composition root wires
        self,
        queue: ArrivalQueue,
        journal: JournalWriter,
        acknowledge: Callable[[Sequence[Arrival]], None],
        meter: Meter,
        pulse: Pulse,
        *,
        pace: Pace | None = None,
        clock: Callable[[], int] = time.time_ns,
        upkeep: Callable[[], None] = lambda: None,
        room: Room | None = None,
        hold: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare; :meth:`start` begins.

        ``clock`` stamps ticks (ns since the epoch); the journal keeps its time from going back. ``upkeep`` is called
        on this thread every ``pace.upkeep`` seconds; a ``StoreError`` from it is logged, and the next time tries again:
        until then :attr:`unkept` says why.
        ``room`` says whether readings may be journaled, ``hold`` whether those in their turn have to wait.
        """
        self._queue = queue
        self._journal = journal
        self._acknowledge = acknowledge
        self._meter = meter
        self._pulse = pulse
        self._pace = pace or Pace()
        self._clock = clock
        self._upkeep = upkeep
        self.unkept = ""
        self._room = room or Boundless()
        self._hold = hold
        self._committed_at = time.monotonic()
        self._kept_up_at = self._committed_at - self._pace.upkeep + _SETTLED
        self._blocked = False
        self.reserve = Reserve()
        self._stopping, self._leaving = Event(), Event()
        self._thread = Thread(target=self._main, name=WORKER, daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs; False after :meth:`stop`, or when it died (:attr:`error` says of what)."""
        return self._thread.is_alive()

    @property
    def blocked(self) -> bool:
        """Whether the journal refuses for now (disk full)."""
        return self._blocked

    def stop(self, timeout: float = 10.0) -> None:
        """Close the queue, commit and acknowledge what waits, for so many seconds; end the thread.

        Neither a journal that refuses now is waited for nor more than it takes by then: what it did not take was never
        acknowledged, the broker has it.
        """
        self._stopping.set()
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._leaving.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    # --- the thread -----------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            while self._turn():
                self._pulse.beat(WORKER)
                self._keep_up()
        except Exception as error:  # noqa: BLE001  # the task's boundary: ``alive`` turns False, the daemon ends
            self.error = error
            self._meter.count("worker_failures_total", worker=WORKER)
            _log.exception("the journal cannot be written; the daemon stops. Check the disk before you start it again")
        finally:
            self._queue.close()
            self._fail_futures(self._queue.take(1 << 30, 0.0, 1 << 62))

    def _turn(self) -> bool:
        """Commit what waits, or a tick when it is time; False when stopped and drained, or when time is up."""
        if self._leaving.is_set():
            _log.warning("stopped while much waits; the broker keeps what was not journaled", bytes=self._queue.size)
            return False
        since = time.monotonic() - self._committed_at
        if since < self._pace.gather:
            self._queue.gather(self._pace.enough, self._pace.gather - since)
        remaining = max(0.0, self._committed_at + self._pace.tick - time.monotonic())
        held = self._hold() and not self._stopping.is_set()
        patience = min(remaining, HELD) if held else remaining
        arrivals = self._queue.take(self._pace.records, patience, readings=not held)
        if arrivals and not self._commit_group(arrivals):
            return False
        if arrivals:
            self._meter.gauge("queue_bytes", self._queue.size)
        elif self._stopping.is_set():
            return False
        elif time.monotonic() - self._committed_at >= self._pace.tick:
            if not self._room.available():
                self._block("there is less space than sensord keeps back")
            self._commit_own([])
        return True

    def _commit_group(self, arrivals: list[Arrival]) -> bool:
        """Commit, resolve, acknowledge; False when the journal refused until we were told to stop."""
        try:
            while not self._commit_now(arrivals):
                arrivals = self._commit_own(arrivals)
                self._keep_up()
                refused = any(arrival.lane <= Lane.COMMANDS for arrival in arrivals)
                arrivals += self._queue.take_urgent(self._pace.retry, own=not refused)
                self._pulse.beat(WORKER)
                if self._stopping.is_set():
                    _log.warning("stopped while the disk is full; the broker keeps the messages", records=len(arrivals))
                    self._fail_futures(arrivals)
                    return False
        except BaseException as error:
            self._fail_futures(arrivals, error)
            raise
        return True

    def _commit_now(self, arrivals: list[Arrival]) -> bool:
        """Commit everything as one group, if there is room; then resolve and acknowledge."""
        if not self._room.available():
            self._block("there is less space than sensord keeps back")
            return False
        records = [arrival.record for arrival in arrivals if arrival.record is not None]
        records.sort(key=_received_at)
        try:
            seq = self._append(records) if records else 0
        except StoreError as error:
            self._refused(error)
            return False
        self._unblock(seq)
        self._resolve(arrivals, seq)
        self._acknowledge(arrivals)
        return True

    def _commit_own(self, arrivals: list[Arrival]) -> list[Arrival]:
        """Journal that time passes, and what must go on among the arrivals; returns the others, or all when refused.

        A tick that the journal refuses is forgotten, for the next one says the same; so are readings of now.
        """
        self.reserve.look(self._room.spare())
        own, fresh, others = _parted(arrivals)
        if fresh and not self.reserve.left:
            fresh = self._let_go(fresh)
        records = [arrival.record for arrival in (*own, *fresh) if arrival.record is not None]
        records.sort(key=_received_at)
        try:
            seq = self._append([*records, Record(RecordKind.TICK, self._clock())])
        except StoreError as error:
            self._refused(error)
            self._let_go(fresh)
            self._committed_at = time.monotonic() + self._pace.retry - self._pace.tick
            return [*own, *others]
        if self._room.available():
            self._unblock(seq)
        self._resolve(own, seq)
        if own:
            self._acknowledge(own)
        return others

    def _let_go(self, fresh: list[Arrival]) -> list[Arrival]:
        """Forget readings that came ahead: they are not acknowledged, and come in their turn."""
        self._meter.count("fresh_messages_total", len(fresh), what="no_space")
        return []

    @staticmethod
    def _resolve(arrivals: Sequence[Arrival], seq: int) -> None:
        for arrival in arrivals:
            if arrival.future is not None:
                arrival.future.set_result(seq)

    def _append(self, records: list[Record]) -> int:
        began = time.monotonic()
        seq = self._journal.append(records)
        self._committed_at = now = time.monotonic()
        self._meter.observe("commit_seconds", now - began)
        self._meter.count("groups_committed_total")
        self._meter.count("messages_committed_total", sum(1 for record in records if record.kind == RecordKind.MESSAGE))
        self._meter.gauge("journal_seq", seq)
        return seq

    def _refused(self, error: StoreError) -> None:
        """Note that the journal refuses for now, and give up what was kept back; any other error is raised on."""
        if not error.retryable:
            raise error
        self._meter.count("journal_refusals_total")
        self._room.release()
        self._block(str(error))

    def _block(self, why: str) -> None:
        if not self._blocked:
            self.reserve.look(self._room.spare())
            self._blocked = True
            self._kept_up_at = -math.inf
            self._meter.gauge("journal_blocked", 1)
            _log.error("readings wait at the broker, and only the newest go on. Free some disk space", why=why)

    def _unblock(self, seq: int) -> None:
        if self._blocked:
            self._blocked = False
            self.reserve.end()
            self._meter.gauge("journal_blocked", 0)
            _log.info("the journal takes readings again", seq=seq)

    def _keep_up(self) -> None:
        now = time.monotonic()
        if now - self._kept_up_at < self._pace.upkeep:
            return
        self._kept_up_at = now
        try:
            self._upkeep()
            self.unkept = ""
        except StoreError as error:
            self.unkept = str(error)
            _log.error("the journal's upkeep failed; it is tried again later", why=str(error))

    def _fail_futures(self, arrivals: Sequence[Arrival], cause: BaseException | None = None) -> None:
        for arrival in arrivals:
            if arrival.future is not None and not arrival.future.done():
                error = StoreError("the action was not recorded: the journal cannot be written; send it again later")
                error.__cause__ = cause
                arrival.future.set_exception(error)


def _parted(arrivals: list[Arrival]) -> tuple[list[Arrival], list[Arrival], list[Arrival]]:
    """Our own records and commands; readings that came ahead; all others."""
    own = [arrival for arrival in arrivals if arrival.lane <= Lane.COMMANDS]
    fresh = [arrival for arrival in arrivals if arrival.lane is Lane.FRESH]
    return own, fresh, [arrival for arrival in arrivals if arrival.lane > Lane.FRESH]


def _received_at(record: Record) -> int:
    return record.received_at
