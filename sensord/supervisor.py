"""Watches the parts of a running daemon: feeds the watchdog, states facts, and tells people of the daemon's troubles.

The watchdog is fed only while every worker makes progress. A thread that has ended is a failure at once. Troubles go to
the core as notices (``core/cases/notice.py``), each change once, so that they reach people the way every alert does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial

import structlog

from sensord.core.cases.case import Case
from sensord.core.cases.notice import Notice, Trouble, Used
from sensord.core.instant import SECOND
from sensord.core.record import Record
from sensord.core.site import notice_record
from sensord.errors import UnavailableError
from sensord.ingest.backlog import Backlog
from sensord.ingest.clock import WRONG, ArrivalClock
from sensord.ingest.committer import Committer
from sensord.ingest.fresh import FreshLane
from sensord.ports import Meter
from sensord.store.outbox import OutboxTable
from sensord.store.starts import SETTLED, Starts
from sensord.telemetry.health import Health
from sensord.telemetry.notify_socket import NotifySocket

WORKER = "supervisor"
GAP_SHOWN = 600.0
"""Seconds for which a possible gap stays an active trouble: it is an event, and has no end of its own."""

LATE = 30.0
"""Seconds that readings are behind from which people are told."""
AWAY = 60.0
"""Seconds without a connection to the broker from which people are told: one that is started anew takes less."""
UNSENT = 120.0
"""Seconds that a page may wait for its channel before it is said."""
STALLED = 600.0
"""Seconds for which a sink may get no further, though points wait, before people are told."""
PAST = 10.0
"""Seconds by which the core may be behind before it is said."""

log = structlog.get_logger()


class Troubles:
    """What is wrong with the daemon itself, as the core knows it. Safe from any thread."""

    def __init__(
        self,
        submit: Callable[[Record, float], Future[int]],
        clock: Callable[[], int],
        meter: Meter,
        known: Mapping[Trouble, bool],
    ) -> None:
        """``known`` is what the core takes for active at the start."""
        self._submit, self._clock, self._meter = submit, clock, meter
        self._said = dict(known)
        self._found: dict[Trouble, Callable[[], None]] = {}
        """What this start has found, and has not been able to say."""
        self._gap_at: float | None = None
        self._begun = 0

    def report(self, trouble: Trouble, active: bool) -> None:
        """Say how it stands; only a change is journaled. One that cannot be journaled now is said again later."""
        if self._said.get(trouble, False) is not active:
            self._journal(trouble, active)

    def find(self, trouble: Trouble, then: Callable[[], None] = lambda: None) -> None:
        """Say what a start has found: a loss is one of its own, so whatever is said of the one before ends first.

        That may be over, as people know, and the core not know it: what is lost can hold the record of that. ``then``
        is called once it is durable; until then it is said again and again.
        """
        self._found[trouble] = then
        self._tell(trouble)

    def _tell(self, trouble: Trouble) -> None:
        then = self._found[trouble]
        if self._journal(trouble, False) and self._journal(trouble, True, then):
            del self._found[trouble]

    def _journal(self, trouble: Trouble, active: bool, then: Callable[[], None] | None = None) -> bool:
        """Hand it to the committer; False: that takes nothing now."""
        begun = self._begun if active and trouble is Trouble.PAST_UNKNOWN else 0
        try:
            journaled = self._submit(notice_record(Notice(trouble, active, begun=begun), self._clock()), 0.0)
        except UnavailableError as error:
            log.warning("a trouble of the daemon could not be journaled", trouble=trouble.value, why=str(error))
            return False
        self._said[trouble] = active
        if active:
            self._meter.count("troubles_total", trouble=trouble.value)
        journaled.add_done_callback(partial(self._journaled, trouble, active, then))
        return True

    def _journaled(self, trouble: Trouble, active: bool, then: Callable[[], None] | None, done: Future[int]) -> None:
        """It is durable; or it is not, and nothing was said."""
        if done.exception() is None:
            if then is not None:
                then()
            return
        self._said[trouble] = not active
        if then is not None:
            self._found[trouble] = then

    def lose_state(self, *, lost: bool, anew: bool, begun: int = 0) -> None:
        """Say that the state is ``lost`` until it is made again; of a loss that this start found, ``anew``, as such.

        ``begun``: the core knows nothing from before that group (0: it does), as this start has found.
        """
        self._begun = begun
        if anew:
            self.find(Trouble.STATE_LOST)
        else:
            self.report(Trouble.STATE_LOST, lost)
        if begun:
            self.find(Trouble.PAST_UNKNOWN)
        else:
            self.report(Trouble.PAST_UNKNOWN, False)

    def recall(self, used: Used | None) -> None:
        """Tell the core which identities are taken, before anything else: what it tells of has others from here on."""
        if used is not None:
            log.warning("the journal has lost what happened to cases", cases=list(used.events))
            self._notify(Notice(Trouble.JOURNAL_DAMAGED, self._stands, used=used))

    def lose(self, orphans: tuple[Case, ...], *, damaged: bool, then: Callable[[], None] = lambda: None) -> None:
        """Say which open cases have lost their beginning (the core ends them), and whether the journal is ``damaged``.

        ``then`` is called once people are sure to hear of the damage.
        """
        if orphans:
            log.error("cases of which the journal has lost the beginning are void", cases=[one.id for one in orphans])
            self._meter.count("orphaned_cases_total", len(orphans))
            self._notify(Notice(Trouble.JOURNAL_DAMAGED, self._stands, orphans))
        if damaged:
            self.find(Trouble.JOURNAL_DAMAGED, then)
        else:
            self.report(Trouble.JOURNAL_DAMAGED, False)

    @property
    def _stands(self) -> bool:
        return self._said.get(Trouble.JOURNAL_DAMAGED, False)

    def _notify(self, notice: Notice) -> None:
        try:
            self._submit(notice_record(notice, self._clock()), 0.0)
        except UnavailableError as error:
            log.warning("what the journal has lost could not be journaled; the next start tries again", why=str(error))

    def gap(self) -> None:
        """Messages may be missing."""
        self._gap_at = time.monotonic()
        self.report(Trouble.POSSIBLE_GAP, True)

    def go_on(self) -> None:
        """Say what could not be said; let what has no end of its own end."""
        for trouble in list(self._found):
            self._tell(trouble)
        if self._gap_at is None or time.monotonic() - self._gap_at > GAP_SHOWN:
            self.report(Trouble.POSSIBLE_GAP, False)


class Conditions:
    """How the daemon stands with its disk and with what comes in: facts for those who ask, troubles for people."""

    def __init__(  # noqa: PLR0913  # the parts that the composition root wires
        self,
        health: Health,
        troubles: Troubles,
        committer: Committer,
        backlog: Backlog,
        lane: FreshLane,
        meter: Meter,
        *,
        clock: ArrivalClock,
        applied: Callable[[], int],
        connected: Callable[[], bool] = lambda: True,
        given_up: Callable[[], int] = lambda: 0,
        stalled: Callable[[], Mapping[str, float]] = dict,
        unproven: Callable[[], bool] = lambda: False,
        failed: Callable[[], str] = str,
        cramped: Callable[[], str] = str,
    ) -> None:
        """``applied`` says up to which journal instant (ns) the core has come.

        ``connected`` says whether readings can come in, ``given_up`` how many days of the journal were deleted before
        their time since the start, ``stalled`` for how many seconds each sink has got no further though something waits
        for it, ``unproven`` whether one of them has still to show, since the start, that it does get on. ``failed``
        says what could not be handled of late, ``cramped`` why the disk takes no new files, or few.
        """
        self._cramped = cramped
        self._given_up, self._stalled, self._unproven, self._failed = given_up, stalled, unproven, failed
        self._connected, self._heard_at = connected, time.monotonic()
        self._meter, self._clock, self._applied = meter, clock, applied
        self._health, self._troubles, self._committer = health, troubles, committer
        self._backlog, self._lane, self._late = backlog, lane, False

    def state(self) -> None:
        """State every fact, and report what has changed."""
        self._state_disk()
        behind = max(0.0, (self._clock() - self._applied()) / SECOND)
        past = f"the core steps through what lies {behind:.0f} s back; alerts are late by as much"
        self._health.set_fact("backlog", behind < PAST, past if behind >= PAST else "")
        self._state_clock()
        self._state_keeping()
        self._state_sinks()
        self._state_pressure()
        self._state_broker()
        self._state_handling()
        self._troubles.go_on()

    def _state_keeping(self) -> None:
        """Whether days of the journal go when their time has come, and no sooner."""
        cut, unkept, said = self._given_up(), self._committer.unkept, ""
        if unkept:
            said = f"what is past its keeping cannot be deleted: {unkept}"
        elif cut:
            said = f"the journal is over journal.max_mib: {cut} days were given up before their time"
        self._health.set_fact("keeping", not said, said)
        self._troubles.report(Trouble.JOURNAL_CUT, cut > 0)

    def _state_sinks(self) -> None:
        """Whether time series get on, however it may be that they do not."""
        since = self._stalled()
        for sink, seconds in since.items():
            self._meter.gauge("sink_stalled_seconds", seconds, sink=sink)
        said = [f"sink {sink} gets no further for {age:.0f} s" for sink, age in since.items() if age >= STALLED]
        self._health.set_fact("series", not said, "; ".join(said))
        if said or not self._unproven():
            self._troubles.report(Trouble.SERIES_STALLED, bool(said))

    def _state_clock(self) -> None:
        """Whether times in messages and duty plans are right."""
        apart = self._clock.apart / SECOND
        self._meter.gauge("host_clock_offset_seconds", apart)
        wrong, detail = abs(apart) > WRONG / SECOND, ""
        if wrong and apart > 0:
            detail = (
                f"our time is {apart:.0f} s behind the host's clock, and so are messages and duty plans; "
                "if the host's clock is right, restart sensord"
            )
        elif wrong:
            detail = (
                f"our time is {-apart:.0f} s ahead of the host's clock, and so are messages and duty plans; it never "
                "goes back: if the host's clock is right, this ends by itself, in twice that time "
                "(days: see the manual)"
            )
        self._health.set_fact("clock", not wrong, detail)
        self._troubles.report(Trouble.HOST_CLOCK, wrong)

    def state_outbox(self, oldest: Mapping[str, int]) -> None:
        """Say how channels keep up; ``oldest``: when (ns) the oldest unsent page of each was decided, 0 if none is."""
        now = self._clock()
        ages = {channel: max(0.0, (now - at) / SECOND) if at else 0.0 for channel, at in oldest.items()}
        for channel, age in ages.items():
            self._meter.gauge("outbox_oldest_seconds", age, channel=channel)
        late = [f"a page for {channel} waits for {age:.0f} s" for channel, age in ages.items() if age > UNSENT]
        self._health.set_fact("channels", not late, "; ".join(late))

    def _state_disk(self) -> None:
        """Whether it is full, and whether people are still told of new crowds."""
        blocked, reserve, detail = self._committer.blocked, self._committer.reserve, self._cramped()
        deaf, full = blocked and (not reserve.left or bool(self._lane.missing)), blocked or bool(detail)
        if deaf:
            detail = "the disk is full: readings wait at the broker, nobody is told of new crowds; free some space now"
        elif blocked:
            lasts = f"{reserve.seconds / 60:.0f} min" if reserve.seconds else "as long as nobody else takes it"
            detail = (
                "the disk is full: readings wait at the broker, and the newest go on from "
                f"{reserve.left >> 20} MiB of reserve (lasts: {lasts})"
            )
        self._health.set_fact("journal", not full, detail)
        self._meter.gauge("reserve_bytes", reserve.left)
        self._troubles.report(Trouble.DISK_FULL, full)
        self._troubles.report(Trouble.DISK_RESERVE_USED, deaf)

    def _state_pressure(self) -> None:
        """Readings that wait for seconds are nobody's business; those that wait for long are."""
        late = self._backlog.seconds
        taken = not self._committer.blocked or self._committer.reserve.left
        said = f"readings in their turn are {late:.0f} s late"
        if self._lane.open and taken:
            said = f"readings in their turn are {late:.0f} s late; the newest go ahead"
        said = said if self._backlog.pressed else ""
        self._health.set_fact("readings", late <= LATE, said)
        self._health.set_fact("fresh", not self._lane.missing, self._lane.missing)
        self._late = late > LATE or (self._late and self._backlog.pressed)
        self._troubles.report(Trouble.BROKER_BEHIND, self._late)

    def _state_broker(self) -> None:
        """Whether readings can come in; who says so beforehand is the fact of each session."""
        if self._connected():
            self._heard_at = time.monotonic()
            self._troubles.report(Trouble.BROKER_AWAY, False)
        elif time.monotonic() - self._heard_at >= AWAY:
            self._troubles.report(Trouble.BROKER_AWAY, True)

    def _state_handling(self) -> None:
        """Whether everything could be handled, of late."""
        failed = self._failed()
        self._health.set_fact("handling", not failed, failed)
        self._troubles.report(Trouble.HANDLING_FAILED, bool(failed))


class Supervisor:
    """Looks once a second; ``run`` ends when a thread has ended, after telling ``fail`` which."""

    def __init__(
        self,
        threads: Mapping[str, Callable[[], bool]],
        health: Health,
        socket: NotifySocket,
        meter: Meter,
        outbox: OutboxTable,
        starts: Starts,
        conditions: Conditions,
        stuck: Callable[[], Mapping[str, int]],
    ) -> None:
        """``threads`` say whether they run, ``stuck`` how many calls hang in each part."""
        self._stuck = stuck
        self._threads, self._health, self._socket, self._meter = threads, health, socket, meter
        self._outbox, self._starts, self._conditions = outbox, starts, conditions

    async def run(self, fail: Callable[[str], None]) -> None:
        """Watch until cancelled, or until a thread has ended."""
        every = min(self._socket.watchdog_interval() or 1.0, 1.0)
        began, settled = time.monotonic(), False
        while True:
            dead = next((name for name, runs in self._threads.items() if not runs()), None)
            if dead is not None:
                fail(dead)
                return
            self._health.beat(WORKER)
            self._feed()
            self._conditions.state()
            for channel, waiting in (await asyncio.to_thread(self._outbox.waiting)).items():
                self._meter.gauge("outbox_pending", waiting, channel=channel)
            for part, calls in self._stuck().items():
                self._meter.gauge("stuck_calls", calls, part=part)
            self._conditions.state_outbox(await asyncio.to_thread(self._outbox.oldest))
            for fact, good in self._health.facts().items():
                self._meter.gauge("fact_good", good, fact=fact)
            if not settled and time.monotonic() - began >= SETTLED:
                settled = True
                self._starts.settle()
            await asyncio.sleep(every)

    def _feed(self) -> None:
        live, report = self._health.live()
        if live:
            self._socket.watchdog()
        else:
            log.error("a worker makes no progress; the watchdog is not fed", **report)
