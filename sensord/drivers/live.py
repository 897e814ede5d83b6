"""Live running: follow the journal, step the core, write down what came out. One thread.

A group's outputs and its position are one transaction. Groups that change nothing only move the position, at most
once a second. The core's state is saved every few minutes; after a restart it is restored and the groups since then
are stepped again: what they brought was written down before, so it is not written twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog

from sensord.core.cases.case import Case
from sensord.core.cases.casebook import Outcome
from sensord.core.cases.notice import Used
from sensord.core.definition import Definition, decode_definition
from sensord.core.failure import Failures, Part
from sensord.core.instant import SECOND
from sensord.core.record import RecordKind
from sensord.core.rules.carry import Carried
from sensord.core.site import BAD_DEFINITION, Site, Step
from sensord.core.vehicles.pseudonym import Secrets
from sensord.core.vehicles.tracking import PlateKey
from sensord.drivers import overview
from sensord.drivers.again import Again
from sensord.drivers.failures import Heard
from sensord.drivers.measure import measure_site, measure_step
from sensord.drivers.restoring import IN_DOUBT, States, restore
from sensord.errors import EndedError, StoreError
from sensord.ports import AT_EASE, JournalReader, Meter, Pressure, Pulse, Saved

WORKER = "core"
READ_GROUPS = 64
_IDLE = 0.25
"""Seconds of waiting for the next group at a time."""
_DECIDED = 1000
"""So many groups are remembered with what became of the actions in them."""
SNAPSHOT_INTERVAL = 120.0
KEPT_INTERVAL = 60.0
"""Seconds of stepping again between two copies of the core: who is killed in it goes on from there."""
POSITION_INTERVAL = 0.25
"""Seconds between two movements of the position by groups that changed nothing."""
GLANCES = 10.0
"""What is shown is renewed once it is so many times older than its making took: in a storm of alerts the core goes
first."""
PRESSED = 5.0
"""Seconds between two renewals of what is shown while more comes in than we take, and nobody waits for an answer."""
RETRY = 1.0
"""Seconds between two attempts to write to a full disk."""

log = structlog.get_logger()


class Copies(Protocol):
    """Copies of the core's state beside the state database."""

    def keep(self, saved: Saved, apart: int) -> None:
        """Keep one, unless the newest is not older than so many ns."""
        ...


class State(States, Protocol):
    """What the driver needs of the state database."""

    @property
    def copies(self) -> Copies:
        """What serves where this is lost."""
        ...

    def begin(self, cases: Sequence[Case], at: int) -> None:
        """Begin with the cases of a core that has come to the instant ``at`` (ns): all else before it is unknown."""
        ...

    def apply(self, step: Step, *, send_since: int = 0, doubt_until: int = 0) -> None:
        """Write one step's outputs and its position in one transaction.

        Notifications decided before ``send_since`` (ns) are written down, but not sent; those before ``doubt_until``
        say that they may be repeated.
        """
        ...

    def adopt(self, steps: Sequence[Step]) -> None:
        """Write down what steps before the position say of cases that nobody knows, to be told as possibly repeated."""
        ...

    def save_snapshot(self, seq: int, state: bytes) -> None:
        """Save the core's state after group ``seq``."""
        ...

    def cases(self, ended_since: int | None = None) -> list[Case]:
        """Return the open cases, and those that have ended at or after an instant (ns; None: no others)."""
        ...


class LiveCore:
    """The core at work.

    ``site`` belongs to this thread; others read ``overview`` and ``standing``, which are replaced as a whole, and
    ``decided``: what became of the actions in the latest groups that had any, by group. ``orphans`` are open cases that
    were written down and that the core, after ``recover``, does not know: the journal has lost their beginning;
    ``used`` are other identities that were given away in what it has lost. With the group ``begun``, if it is not 0, it
    has begun anew. It ``assumes`` a definition while the journal has brought none. While ``pressure`` is on, what is
    shown is renewed less often. ``on_definition`` hears of each group that brings one, and which version holds then.
    """

    def __init__(  # noqa: PLR0913  # the parts that the composition root wires
        self,
        journal: JournalReader,
        state: State,
        meter: Meter,
        pulse: Pulse,
        *,
        on_outcomes: Callable[[Sequence[Outcome]], None],
        secrets: Secrets | None = None,
        assumed: Definition | None = None,
        snapshot_interval: float = SNAPSHOT_INTERVAL,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """``assumed`` holds, where the journal's beginning is not stepped, until it brings a definition."""
        self.pressure: Pressure = AT_EASE
        self.on_definition: Callable[[int, str], None] = lambda _seq, _version: None
        self._journal, self._state, self._meter, self._pulse = journal, state, meter, pulse
        self._on_outcomes, self._clock = on_outcomes, clock
        self.decided: dict[int, list[Outcome]] = {}
        self._snapshot_interval = snapshot_interval
        self._secrets: Secrets = {} if secrets is None else secrets
        self._assumed, self.assumes = assumed, False
        self.site = Site(None, self._secrets, lenient=True)
        self.position = 0
        self.overview: overview.Overview = {}
        self.standing = overview.standing(self.site)
        self.error: BaseException | None = None
        self.orphans: tuple[Case, ...] = ()
        self.used: Used | None = None
        self.begun = 0
        self._send_since = self._doubt_until = 0
        self._applied_at = self._saved_at = time.monotonic()
        self._stale, self._glance_again, self._answer_again = False, 0.0, 0.0
        self._unanswered = list[tuple[int, list[Outcome]]]()
        self._stepped_at = 0
        self._heard = Heard(meter)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._main, name=WORKER, daemon=True)

    @property
    def behind(self) -> float:
        """How far the core is behind the journal, in seconds; safe from any thread."""
        if self.position >= self._journal.last_seq or not self._stepped_at:
            return 0.0
        return max(0.0, (self._clock() - self._stepped_at) / SECOND)

    @property
    def groups_behind(self) -> int:
        """The same in groups."""
        return self._journal.last_seq - self.position

    @property
    def failed(self) -> str:
        """What could not be handled, for a while after it; empty when nothing has failed. Safe from any thread."""
        return self._heard.said

    @property
    def forgotten(self) -> str:
        """What it does not know of the past; empty: nothing that could be known."""
        return f"no saved state could be read; nothing from before group {self.begun} is known" if self.begun else ""

    # -- starting ----------------------------------------------------------------------------------------------------

    def recover(self, go_on: Callable[[int, int], bool] = lambda _done, _of: True) -> None:
        """Restore what was saved and step again what was applied since.

        ``go_on`` hears how many of how many groups were stepped, and says whether to go on; else ``EndedError``.

        When the state database was lost, that is everything from a copy on, or everything that the journal still holds,
        and of what was decided before only the decisions of the last minutes are sent; a crash in the middle of this
        changes nothing about it.
        """
        restored = restore(self._journal, self._state, self._secrets, self._assumed)
        self.site, self.position, again, lived, self.begun = restored
        written, applied = self.site.engine.now if lived else 0, self._state.applied
        self._doubt_until = self._state.doubt
        self._send_since = self._doubt_until - IN_DOUBT
        if not applied and self._doubt_until:
            log.error(
                "the state database was lost; it is rebuilt from the journal",
                after=self.position,
                groups=self._journal.last_seq,
            )
            if self.position:
                book, at = self.site.book, self._journal.read(self.position - 1, 1)[0].received_at
                self._state.begin([*book.open.values(), *book.ended.values()], at)
        began, first = time.monotonic(), self.position
        self._saved_at = began
        while self.position < applied and (groups := self._journal.read(self.position, READ_GROUPS)):
            for group in groups:
                if group.seq > applied:
                    break
                step = self.site.step(group)
                self._heard.hear(step.failures)
                again.note(step, self.site.book.open)
                self.position = group.seq
            going_on = go_on(self.position - first, applied - first)
            # The next start is not to take one that has begun anew for one that knows the past.
            if not self.begun and (not going_on or time.monotonic() - self._saved_at >= KEPT_INTERVAL):
                self._saved_at, decided = time.monotonic(), b"" if lived else again.packed()
                if (state := self._snapshot()) is not None:
                    self._state.copies.keep(Saved(self.position, self.site.engine.now, state, decided), 0)
            if not going_on:
                log.warning("the start was ended", position=self.position, stepped_again=self.position - first)
                raise EndedError("the start was told to end")
            if groups[-1].seq > applied:
                break
        self._saved_at, self.assumes = time.monotonic(), again.assumes
        self._compare(again, written)
        self.overview, self.standing = overview.build(self.site), overview.standing(self.site)
        log.info(
            "the core is ready",
            position=self.position,
            stepped_again=self.position - first,
            seconds=time.monotonic() - began,
        )

    def _compare(self, again: Again, since: int) -> None:
        """Find what is known here or there only: of the latter people are told, marked as possibly repeated."""
        book, known = self.site.book, {case.id: case for case in self._state.cases(since)}
        self.orphans = tuple(case for name, case in known.items() if not case.closed_at and name not in book.open)
        self.used = book.used(known.values(), self.site.engine.now)
        if unheard := again.unheard(known):
            log.error(
                "cases begin otherwise when the journal is stepped again; people are told of them", steps=len(unheard)
            )
            self._state.adopt(unheard)

    def named_keys(self) -> tuple[PlateKey, ...]:
        """The site keys by which vehicles were followed: of the definition in force, else of the journal's first."""
        if self.position and not self.assumes:
            return self.site.definition.plate_keys
        records = (record for group in self._journal.read(0, READ_GROUPS) for record in group.records)
        first = next((record for record in records if record.kind == RecordKind.DEFINITION), None)
        try:
            return () if first is None else decode_definition(first.payload).plate_keys
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs; ``error`` says of what it died."""
        return self._thread.is_alive()

    def stop(self, timeout: float = 10.0) -> None:
        """Finish the group at hand, save the state, end the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            while not self._stopping.is_set():
                self._turn()
                self._pulse.beat(WORKER)
            self._save()
            self._show()
        except Exception as error:  # the task's boundary: the daemon sees ``alive`` turn False, and ends
            self.error = error
            self._meter.count("worker_failures_total", worker=WORKER)
            log.exception("the core has failed; the daemon stops and its supervisor starts it again")

    def _turn(self) -> None:
        groups = self._journal.read(self.position, READ_GROUPS)
        if not groups:
            self._glance_if_due()
            wanted = self._answer_again - time.monotonic() if self._unanswered else _IDLE
            self._journal.wait(self.position, max(0.0, min(wanted, _IDLE)))
        for group in groups:
            began = time.monotonic()
            step = self.site.step(group)
            self.position = step.seq
            if step.outcomes:
                self._unanswered.append((step.seq, step.outcomes))
            if step.outcomes or not step.changes_nothing:  # a silence is in no table, and shown all the same
                self._apply(step)
            if step.definition:
                self.assumes = False
                self._say_what_became()
            self._heard.hear(step.failures)
            if step.definition or any(one.reason == BAD_DEFINITION for one in step.dead):
                self.on_definition(step.seq, self.site.definition.version)
            self._measure(step, time.monotonic() - began)
            if self._stopping.is_set():
                break
        if self.position > self._state.applied and time.monotonic() - self._applied_at >= POSITION_INTERVAL:
            self._apply(Step(self.position, self.site.engine.now))
        if time.monotonic() - self._saved_at >= self._snapshot_interval:
            self._save()

    def _say_what_became(self) -> None:
        """After a new definition: which rules go on, which warm up, which start afresh."""
        kinds: dict[str, list[str]] = {}
        for rule, carried in self.site.engine.carried.items():
            if carried is not Carried.UNCHANGED:
                kinds.setdefault(carried.value, []).append(rule)
        log.info("a new definition is in force", version=self.site.definition.version, rules=kinds)

    def _apply(self, step: Step) -> None:
        """Write a step down; a full disk is waited out, for what was decided must not be forgotten."""
        while True:
            try:
                self._state.apply(step, send_since=self._send_since, doubt_until=self._doubt_until)
                break
            except StoreError as error:
                if not error.retryable or self._stopping.is_set():
                    raise
                self._meter.count("state_refusals_total")
                log.error("the state database takes nothing; trying again", why=str(error))
            self._pulse.beat(WORKER)
            self._stopping.wait(RETRY)
        self._applied_at, self._stale = time.monotonic(), True
        self._glance_if_due()

    def _save(self) -> None:
        """Save the core's state, and with it the position."""
        began = time.monotonic()
        if self.position > self._state.applied:
            self._apply(Step(self.position, self.site.engine.now))
        state = self._snapshot()
        self._saved_at = time.monotonic()
        if state is None:
            return
        try:
            self._state.save_snapshot(self.position, state)
        except StoreError as error:
            if not error.retryable:
                raise
            log.error("the core's state could not be saved; it is tried again with the next one", why=str(error))
            return
        self._state.copies.keep(Saved(self.position, self.site.engine.now, state), IN_DOUBT)
        self._meter.gauge("snapshot_bytes", len(state))
        self._meter.observe("snapshot_seconds", self._saved_at - began)

    def _snapshot(self) -> bytes | None:
        """The core's state; None where a mistake of ours keeps it from being made: whoever alerts goes on alerting."""
        failures = Failures()
        with failures.apart(Part.STATE, "snapshot", self.site.engine.now):
            return self.site.snapshot()
        self._heard.hear(failures)
        return None

    def _glance_if_due(self) -> None:
        """Renew what is shown, unless that would take more than its share of the time."""
        due = self._answer_again if self._unanswered else self._glance_again
        if self._stale and time.monotonic() >= due:
            self._show()

    def _show(self) -> None:
        """Renew what is shown, then give the answers that wait: whoever has one finds what it says."""
        began = time.monotonic()
        self._glance()
        self._stale, now = False, time.monotonic()
        self._answer_again = now + GLANCES * (now - began)
        self._glance_again = max(self._answer_again, now + PRESSED if self.pressure.pressed else 0.0)
        for seq, outcomes in self._unanswered:
            self.decided[seq] = outcomes
            self._on_outcomes(outcomes)
        self._unanswered.clear()
        while len(self.decided) > _DECIDED:
            del self.decided[next(iter(self.decided))]

    def _glance(self) -> None:
        """Renew the overview and the gauges that come from it."""
        view = self.overview = overview.build(self.site)
        self.standing = overview.standing(self.site)
        measure_site(self._meter, self.site, view)
        self._meter.gauge("applied_seq", self._state.applied)

    def _measure(self, step: Step, seconds: float) -> None:
        self._stepped_at = step.at
        self._meter.observe("step_seconds", seconds)
        self._meter.gauge("lag_seconds", max(0.0, (self._clock() - step.at) / SECOND))
        measure_step(self._meter, step)
