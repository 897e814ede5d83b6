"""Carries the outbox to one channel. Each channel has its own worker: a slow receiver holds nobody else up.

Rules:

- A known failure is tried again with full-jitter backoff, or when the receiver asks (``Retry-After``), which holds no
  page for long (``recovery.py``). What cannot succeed, or was tried for ``give_up`` seconds, is recorded as failed.
  That is the time for which this channel was at work since its first try, sends and pauses between them, added up over
  all runs of the daemon. Time that a clock leapt over, or for which the daemon was away, was not spent trying; a run
  that is killed loses what came after its last failure.
- Once the channel delivers again after an outage, what was put off is tried without waiting for its own turn, in
  order, a few for each delivery (``recovery.py``).
- A send whose outcome is unknown stays claimed in the outbox, so that even a crash cannot hide the doubt; it
  is repeated from memory, marked as possibly repeated, and stays marked. At most ``IN_DOUBT_LIMIT`` of these
  are held; beyond it they go back to the outbox unmarked.
- What was answered in a way that may mean either goes back to the outbox, marked and counted, and out once more after
  each of the pauses ``unclear``, over all runs: a receiver that is out of order for a moment is well by then. After
  the last it is taken as sent, but not as delivered: no receipt says that it was.
- A send under way when the daemon stops gets ``drain`` seconds to finish; after that it is in doubt, too.
- One bad entry never ends the worker. Logs hold a hash of the key, the case and the role: never a text or an
  address.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from msgspec.structs import replace

from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.errors import DeliveryError, SensordError, UnavailableError
from sensord.notify.outcome import InDoubtError, UnclearError, backoff
from sensord.notify.pace import Pace
from sensord.notify.recovery import Recovery
from sensord.ports import Channel, Entry, Links, Meter, Outbox, Standing

IN_DOUBT_LIMIT = 1000
_NOTED = 10 * SECOND
"""Time at work (ns) after which that is written down again at a failure."""
_IDLE = 5.0
_NEVER_BUSIER = 0.05

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits, in seconds: of one send, the backoff's base and ceiling, giving up, the grace at a stop.

    ``per_minute`` bounds the attempts in any minute, also over a restart; None: as many as come. ``unclear`` are the
    pauses after answers that may mean either, for so many times a message is sent again.
    """

    concurrency: int = 4
    send: float = 30.0
    base: float = 1.0
    longest: float = 300.0
    give_up: float = 86_400.0
    drain: float = 3.0
    per_minute: int | None = None
    unclear: tuple[float, ...] = (60.0, 600.0)


class OutboxWorker:
    """Sends what is due on one channel; ``run`` ends only by cancellation. ``clock`` is Unix time in ns.

    ``links`` gives each message the address at which to answer it. ``on_settled`` is called when the outbox holds an
    outcome.
    """

    def __init__(  # noqa: PLR0913  # the parts that the composition root wires
        self,
        channel: Channel,
        outbox: Outbox,
        meter: Meter,
        pulse: Standing,
        clock: Callable[[], int] = time.time_ns,
        limits: Limits | None = None,
        *,
        links: Links | None = None,
        on_settled: Callable[[], None] = lambda: None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = f"notify-{channel.name}"
        self._channel = channel
        self._outbox = outbox
        self._meter = meter
        self._pulse = pulse
        self._clock = clock
        self._limits = limits or Limits()
        self._pace: Pace | None = None
        self._recovery = Recovery()
        self._links = links
        self._on_settled = on_settled
        self._sending: set[asyncio.Task[None]] = set()
        self._doubtful: dict[str, tuple[int, Entry]] = {}
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failures = 0
        self._steady, self._began = steady, 0.0
        self._before: int | None = None
        self._noted = 0
        self._log = log.bind(channel=channel.name)

    def wake(self) -> None:
        """Look at the outbox now; safe from any thread, at any time."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Work until cancelled; the boundary of this task."""
        self._loop, self._began = asyncio.get_running_loop(), self._steady()
        try:
            while True:
                delay = await self._turn()
                self._pulse.beat(self.name)
                await self._rest(delay)
        finally:
            self._loop = None
            await self._drain()
            await self._note_at_stop()

    async def _turn(self) -> float:
        """Start what is due; returns the seconds until more is. A boundary: a bad outbox is asked again."""
        self._woken.clear()
        try:
            started = await self._start_due()
            delay = await self._until_due()
        except Exception as error:  # noqa: BLE001  # the task's boundary
            self._meter.count("notify_failures_total", channel=self._channel.name)
            self._log.error("outbox cannot be read; trying again", failure=_described(error))
            self._failures += 1
            return min(_IDLE, backoff(self._failures, 0.5, _IDLE))
        self._failures = 0
        return delay if started else max(delay, _NEVER_BUSIER)

    async def _start_due(self) -> bool:
        """Start sends in doubt first, they are older; returns whether there was any."""
        now = self._clock()
        if self._before is None:
            self._before = await asyncio.to_thread(self._outbox.worked, self._channel.name)
        if self._limits.per_minute is not None and self._pace is None:
            self._pace = await self._paced(self._limits.per_minute, now)
        ready = [entry for due, entry in self._doubtful.values() if due <= now][: self._free(red=True)]
        for entry in ready:
            del self._doubtful[entry.notification.key]
            self._start(entry)
        for level in (Level.RED, Level.NONE) if self._pace is not None else (Level.NONE,):
            free = self._free(red=level is Level.RED)
            if free > 0:
                worked = self._worked()
                claimed = await asyncio.to_thread(self._outbox.claim, self._channel.name, now, free, level, worked)
                for entry in claimed:
                    self._start(entry)
                ready += claimed
        return bool(ready)

    async def _paced(self, per_minute: int, now: int) -> Pace:
        """Begin to count, with what an earlier run sent: since then at least half of the journal's time has passed."""
        before = await asyncio.to_thread(self._outbox.recent, self._channel.name, now - 2 * MINUTE)
        return Pace(per_minute, (self._ticks() - max(0, now - at) // 2 for at in before))

    def _ticks(self) -> int:
        """The time that really passes (ns)."""
        return round(self._steady() * SECOND)

    def _free(self, *, red: bool) -> int:
        """How many sends, red or others, may be started now."""
        free = self._limits.concurrency - len(self._sending)
        return free if self._pace is None else min(free, self._pace.free(self._ticks(), red=red))

    def _start(self, entry: Entry) -> None:
        name = f"{self.name}-{_hashed(entry.notification.key)}"
        if self._pace is not None:
            self._pace.take(self._ticks())
        task = asyncio.create_task(self._deliver(entry), name=name)
        self._sending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._woken.set()

    async def _until_due(self) -> float:
        """Seconds until something is due that may go out; the end of a send wakes the worker by itself."""
        if self._limits.concurrency <= len(self._sending):
            return _IDLE
        waits = [await self._wait(Level.NONE)]
        if self._pace is not None:
            waits.append(await self._wait(Level.RED))
        return max(0.0, min(waits))

    async def _wait(self, level: Level) -> float:
        """Seconds until something of at least this level is due, and the channel may speak."""
        dues = [due for due, entry in self._doubtful.values() if entry.notification.level >= level]
        stored = await asyncio.to_thread(self._outbox.next_due, self._channel.name, level)
        dues += [stored] if stored is not None else []
        if not dues:
            return _IDLE
        ticks = self._ticks()
        shut = self._pace.opens(ticks, red=level is Level.RED) - ticks if self._pace is not None else 0
        return max(min(dues) - self._clock(), shut) / SECOND

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, _IDLE)):
                await self._woken.wait()

    async def _drain(self) -> None:
        sending = set(self._sending)
        if sending:
            _, late = await asyncio.wait(sending, timeout=self._limits.drain)
            for task in late:
                task.cancel()
            if late:
                self._log.warning("stopped with sends under way; they may be repeated", sends=len(late))
                await asyncio.wait(late)

    async def _deliver(self, entry: Entry) -> None:
        """Send one entry and record how it ended; the boundary for whatever a channel may raise."""
        started, began = time.monotonic(), self._clock()
        receipt, failure = "", None
        try:
            async with asyncio.timeout(self._limits.send):
                receipt = await self._channel.send(self._prepared(entry, began))
        except DeliveryError as error:
            failure = error
        except UnavailableError as error:  # no thread has taken the call, so nothing has gone out
            failure = DeliveryError(str(error))
        except Exception as error:  # noqa: BLE001  # the task's boundary
            failure = InDoubtError(f"channel {self._channel.name}: send ended with {_described(error)}")
        self._meter.observe("send_seconds", time.monotonic() - started, channel=self._channel.name)
        self._pulse.went(self.name, str(failure or ""))
        if failure is None:
            await self._sent(entry, receipt, began)
        elif not failure.retryable:
            await self._give_up(entry, failure)
        elif isinstance(failure, UnclearError) and entry.unclear >= len(self._limits.unclear):
            await self._leave_open(entry, failure)
        else:
            await self._put_off(entry, failure, began)

    def _prepared(self, entry: Entry, now: int) -> Entry:
        link = "" if self._links is None else self._links.link(entry.notification)
        return replace(entry, link=link, late=max(0, now - entry.notification.at))

    async def _sent(self, entry: Entry, receipt: str, began: int) -> None:
        key, now = entry.notification.key, self._clock()
        await self._record(lambda: self._outbox.done(key, now, receipt))
        self._on_settled()
        age = max(0, now - entry.notification.at) / SECOND
        self._meter.observe("notification_seconds", age, channel=self._channel.name)
        self._count("sent")
        if entry.possibly_repeated:
            self._count("repeated")
        self._log.info("notification sent", repeated=entry.possibly_repeated, **_named(entry))
        if self._recovery.deliver(began, now):
            await self._let_go(now)

    async def _let_go(self, now: int) -> None:
        """Let the first of what was put off go out now, as many as may be under way."""
        many, failed = self._limits.concurrency, frozenset(self._recovery.failed)
        doubtful = [one for due, one in self._doubtful.values() if due > now and one.notification.key not in failed]
        doubtful.sort(key=lambda one: (-one.notification.level, one.notification.at))
        for entry in doubtful[:many]:
            self._doubtful[entry.notification.key] = (now, entry)
        left = list[int]()
        await self._record(lambda: left.append(self._outbox.let_go(self._channel.name, now, many, failed)))
        if len(doubtful) <= many and not any(left):
            self._recovery.finish()

    async def _give_up(self, entry: Entry, error: DeliveryError) -> None:
        key, now = entry.notification.key, self._clock()
        await self._record(lambda: self._outbox.fail(key, now, str(error)))
        self._on_settled()
        self._count("failed")
        self._log.error("notification failed for good", error=str(error), **_named(entry))

    async def _leave_open(self, entry: Entry, error: DeliveryError) -> None:
        key, now = entry.notification.key, self._clock()
        await self._record(lambda: self._outbox.leave_open(key, now, str(error)))
        self._count("unclear")
        self._log.error("notification sent, perhaps; no more attempts", error=str(error), **_named(entry))

    async def _put_off(self, entry: Entry, error: DeliveryError, began: int) -> None:
        limits, key, now = self._limits, entry.notification.key, self._clock()
        self._recovery.fail(key, began, now)
        if self._worked() - entry.since >= limits.give_up * SECOND:
            await self._give_up(entry, error)
            return
        due = self._next_try(entry, error, now)
        doubtful = entry.possibly_repeated or isinstance(error, InDoubtError)
        if isinstance(error, UnclearError):
            await self._record(lambda: self._outbox.repeat(key, due, str(error)))
        elif doubtful and len(self._doubtful) < IN_DOUBT_LIMIT:
            again = replace(entry, attempts=entry.attempts + 1, possibly_repeated=True)
            self._doubtful[key] = (due, again)
        else:
            await self._record(lambda: self._outbox.retry(key, due, str(error)))
        self._count("retried")
        self._log.warning(
            "notification not sent; trying again",
            error=str(error),
            seconds=round((due - now) / SECOND, 1),
            **_named(entry),
        )
        worked = self._worked()
        if worked - self._noted >= _NOTED:
            self._noted = worked
            await self._record(lambda: self._outbox.work(self._channel.name, worked))

    def _next_try(self, entry: Entry, error: DeliveryError, now: int) -> int:
        """When to try again what failed: the receiver's wish counts, and is not drawn out by a pause of ours."""
        due, looking = now, False
        if error.retry_after:
            due, looking = self._recovery.rest(entry.notification.level, now, error.retry_after)
        if isinstance(error, UnclearError):
            pause = self._limits.unclear[entry.unclear]
        else:
            pause = backoff(max(0, entry.attempts - 1), self._limits.base, self._limits.longest)
        return due if looking else max(due, now + round(pause * SECOND))

    def _worked(self) -> int:
        """For how long (ns) this channel has been at work, in this run and those before it."""
        return (self._before or 0) + round((self._steady() - self._began) * SECOND)

    async def _note_at_stop(self) -> None:
        """Write down for how long; a disk that refuses it now costs messages some of the time that they were tried."""
        if self._before is not None:
            with contextlib.suppress(SensordError):
                await asyncio.to_thread(self._outbox.work, self._channel.name, self._worked())

    async def _record(self, write: Callable[[], None]) -> None:
        """Write down how a send ended, however long the disk refuses: else the message would be repeated."""
        attempt = 0
        while True:
            try:
                await asyncio.to_thread(write)
            except Exception as error:  # noqa: BLE001  # the task's boundary
                self._meter.count("notify_failures_total", channel=self._channel.name)
                self._log.error("outbox refuses an outcome; trying again", failure=_described(error))
                await asyncio.sleep(backoff(attempt, 0.5, 30.0))
                attempt += 1
            else:
                return

    def _count(self, outcome: str) -> None:
        self._meter.count("notifications_total", channel=self._channel.name, outcome=outcome)


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def _named(entry: Entry) -> dict[str, str]:
    """What a log line may say about an entry."""
    notification = entry.notification
    return {"key": _hashed(notification.key), "case": notification.case, "role": notification.role}


def _described(error: Exception) -> str:
    """Our own messages are safe to log and keep; a stranger's may quote an address or a text."""
    return str(error) if isinstance(error, SensordError) else type(error).__name__
