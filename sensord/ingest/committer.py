"""The journal's thread: takes what waits, commits it as one group, then acknowledges.

Rules:
- Nothing is acknowledged, and no future resolves, before the commit that holds it.
- The journal's upkeep (deleting old days) runs here too, between two groups: one thread owns the journal's files.
- In silence a TICK is journaled each interval, so that absence, clearing and escalation advance.
- A journal that refuses for now (disk full) makes us keep the group and try again each second; nothing more
  is taken, so acknowledgements stop and the broker keeps what follows. Any other failure ends the thread, and
  with it the daemon: after a failed ``fsync`` nothing about the file can be trusted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, Thread

import structlog

from sensord.core.record import Record, RecordKind
from sensord.errors import StoreError
from sensord.ingest.queue import Arrival, ArrivalQueue
from sensord.ports import JournalWriter, Meter, Pulse

WORKER = "committer"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how much: tick interval, delay of a retry and upkeep in seconds, the most records of a group."""

    tick: float = 1.0
    retry: float = 1.0
    records: int = 2000
    upkeep: float = 600.0


class Committer:
    """Moves arrivals into the journal, on its own thread."""

    def __init__(
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
    ) -> None:
        """Prepare; :meth:`start` begins.

        ``clock`` stamps ticks (ns since the epoch); the journal keeps its time from going back. ``upkeep`` is called
        on this thread every ``pace.upkeep`` seconds; a ``StoreError`` from it is logged, and the next time tries again.
        """
        self._queue = queue
        self._journal = journal
        self._acknowledge = acknowledge
        self._meter = meter
        self._pulse = pulse
        self._pace = pace or Pace()
        self._clock = clock
        self._upkeep = upkeep
        self._committed_at = self._kept_up_at = time.monotonic()
        self._blocked = False
        self._stopping = Event()
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
        """Close the queue, commit and acknowledge what waits, end the thread.

        A journal that refuses now is not waited for: what it did not take was never acknowledged, the broker
        has it.
        """
        self._stopping.set()
        self._queue.close()
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
        """Commit what waits, or a tick when it is time; False when stopped and drained."""
        remaining = self._committed_at + self._pace.tick - time.monotonic()
        arrivals = self._queue.take(self._pace.records, max(0.0, remaining))
        if arrivals and not self._commit_group(arrivals):
            return False
        if arrivals:
            self._meter.gauge("queue_bytes", self._queue.size)
        elif self._stopping.is_set():
            return False
        elif time.monotonic() - self._committed_at >= self._pace.tick:
            self._commit_tick()
        return True

    def _commit_group(self, arrivals: list[Arrival]) -> bool:
        """Commit, resolve, acknowledge; False when the journal refused until we were told to stop."""
        try:
            records = [arrival.record for arrival in arrivals if arrival.record is not None]
            seq = self._append_patiently(records) if records else 0
        except BaseException as error:
            self._fail_futures(arrivals, error)
            raise
        if seq is None:
            self._fail_futures(arrivals)
            return False
        for arrival in arrivals:
            if arrival.future is not None:
                arrival.future.set_result(seq)
        self._acknowledge(arrivals)
        return True

    def _append_patiently(self, records: list[Record]) -> int | None:
        """Append, trying again while the journal refuses for now; None when we are told to stop meanwhile."""
        while True:
            try:
                return self._append(records)
            except StoreError as error:
                self._refused(error)
            self._pulse.beat(WORKER)
            if self._stopping.wait(self._pace.retry):
                _log.warning("stopped while the journal refused; the broker keeps the messages", records=len(records))
                return None

    def _commit_tick(self) -> None:
        """Journal a tick; one that the journal refuses is forgotten, for the next one says the same."""
        try:
            self._append([Record(RecordKind.TICK, self._clock())])
        except StoreError as error:
            self._refused(error)
            self._committed_at = time.monotonic() + self._pace.retry - self._pace.tick

    def _append(self, records: list[Record]) -> int:
        began = time.monotonic()
        seq = self._journal.append(records)
        self._committed_at = now = time.monotonic()
        if self._blocked:
            self._blocked = False
            self._meter.gauge("journal_blocked", 0)
            _log.info("the journal takes records again", seq=seq)
        self._meter.observe("commit_seconds", now - began)
        self._meter.count("groups_committed_total")
        self._meter.count("messages_committed_total", sum(1 for record in records if record.kind == RecordKind.MESSAGE))
        self._meter.gauge("journal_seq", seq)
        return seq

    def _refused(self, error: StoreError) -> None:
        """Note that the journal refuses for now, with one line in the log; any other error is raised on."""
        if not error.retryable:
            raise error
        self._meter.count("journal_refusals_total")
        if not self._blocked:
            self._blocked = True
            self._meter.gauge("journal_blocked", 1)
            _log.error(
                "the journal takes no records; messages wait at the broker. Free some disk space",
                why=str(error),
            )

    def _keep_up(self) -> None:
        now = time.monotonic()
        if now - self._kept_up_at < self._pace.upkeep:
            return
        self._kept_up_at = now
        try:
            self._upkeep()
        except StoreError as error:
            _log.error("the journal's upkeep failed; it is tried again later", why=str(error))

    def _fail_futures(self, arrivals: Sequence[Arrival], cause: BaseException | None = None) -> None:
        for arrival in arrivals:
            if arrival.future is not None and not arrival.future.done():
                error = StoreError("the action was not recorded: the journal cannot be written; send it again later")
                error.__cause__ = cause
                arrival.future.set_exception(error)
