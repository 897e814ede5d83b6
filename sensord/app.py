"""The composition root: builds the parts, wires them, supervises them, stops them. No logic of its own.

Order of start: lock, journal, state, core (recovered), sinks and channels, HTTP, broker. Order of stop: the other way
round, so that what was received is journaled, what was journaled is applied, and what was decided gets a moment to go
out. A part that dies ends the daemon with exit code 1; systemd starts it again, and it goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from sensord.api.tokens import TokenStore, write_private
from sensord.bulkheads import Bulkheads, ChannelApart, SinkApart, cancel, ended, let_go, part
from sensord.config.broker import broker
from sensord.config.channels import ChannelSettings, Robot
from sensord.config.load import Spare, key_file, read_secret, with_keys
from sensord.config.settings import Rollups
from sensord.core.cases.notice import Trouble
from sensord.core.definition import Definition
from sensord.core.points import Points
from sensord.core.record import Receipt
from sensord.defining import Definitions
from sensord.desk import Desk
from sensord.drivers.live import LiveCore
from sensord.errors import ConfigError, EndedError, SensordError, StoreError
from sensord.hangup import Ends, HangUp
from sensord.harm import Harm, hear_damage
from sensord.ingest.clock import ArrivalClock, KeepingClock
from sensord.ingest.queue import ArrivalQueue, Lane
from sensord.inlet import Inlet
from sensord.notify.build import build_channels
from sensord.notify.filled import FilledChannel
from sensord.notify.reporter import ReceiptReporter
from sensord.notify.worker import Limits, OutboxWorker
from sensord.reload import Reloaded, Reloader, with_own
from sensord.reporting import Reporter, ReportTask
from sensord.reportmessages import ReportFiller, with_files
from sensord.results import Results
from sensord.revealing import Discretion, plate_filler
from sensord.series.build import SinkPlan, build_sinks
from sensord.series.feeder import Feeder
from sensord.starting import Start, prepare
from sensord.store.findings import forget
from sensord.store.keepingtime import KeepingTime
from sensord.store.lock import StateLock
from sensord.store.opening import open_stores
from sensord.store.rollups import RollupSink
from sensord.store.starts import FAST_DEATHS, Starts
from sensord.supervisor import WORKER as SUPERVISOR
from sensord.supervisor import Conditions, Supervisor, Troubles
from sensord.telemetry.health import Health
from sensord.telemetry.metrics import CONTENT_TYPE, PrometheusMeter
from sensord.telemetry.notify_socket import NotifySocket
from sensord.telemetry.startprogress import StartProgress
from sensord.upkeep import Upkeep

_AGES = {"core": 60.0, "carrier": 120.0, SUPERVISOR: 30.0}
"""Longest silence, in seconds, until the watchdog starves; ``carrier``: whoever carries messages and points."""

log = structlog.get_logger()


class App:
    """One daemon. ``run`` returns the exit code."""

    def __init__(self, start: Start, hang_up: HangUp, bulkheads: Bulkheads) -> None:
        self._hang_up = hang_up
        self._start, self._config, self._loaded, self._seen = start, start.config, start.loaded, start.seen
        self._settings = self._loaded.settings
        self._directory = self._loaded.resolve(self._settings.state_dir)
        self.meter, self.health, self._socket = PrometheusMeter(), Health(), NotifySocket()
        self._stop = asyncio.Event()
        self._ends = Ends(self._stop.set)
        self._progress = StartProgress(self._socket, self._directory, lambda: self._ends.came)
        self._failed = ""
        self._reloading: asyncio.Future[None] | None = None
        self._bulkheads = bulkheads

    # -- building ----------------------------------------------------------------------------------------------------

    def _secret(self, path: str) -> str:
        return read_secret(self._loaded.resolve(path))

    def _build(self) -> None:
        """Open the stores, recover the core, make the rest. Raises ``SensordError`` with what to do."""
        settings, meter, health = self._settings, self.meter, self.health
        for worker in ("core", SUPERVISOR):
            health.register(worker, _AGES[worker])
        self._lock = StateLock(self._directory)
        self._starts = Starts(self._directory)
        deaths = self._starts.begin(time.time_ns())
        self.safe_mode = deaths >= FAST_DEATHS
        meter.count("deaths_total", self._starts.deaths_ever())
        self.harm = Harm(health, self._directory)
        stores = open_stores(self._directory, settings.timezone, meter)
        self.journal, self.state, self._damage, self._lost, self._anew = stores
        self._loaded = self._start.begun(self.journal.reader(), self.state)
        self._secrets = dict(self._loaded.secrets)
        self.clock = ArrivalClock(floor=self.journal.last_received_at)
        keeping = KeepingTime(self._directory)
        self._keeping = KeepingClock(self.clock, keeping.begin(self.journal.last_received_at))
        self.state.on_outbox, self.state.suspicion.hear = self._wake, partial(hear_damage, health, meter)
        repeated = self.state.outbox.recover(self.clock())
        if repeated:
            log.warning("notifications were under way when the daemon ended; they are sent again", count=repeated)
        self._channels = build_channels(settings, broker(self._loaded), self._secret, self._loaded.resolve)
        self._results = Results(self._channels.values(), settings.timezone, meter)
        self._build_core()
        lost = self._lost or self.core.forgotten
        health.set_fact("state", not lost, lost)
        health.set_fact("record", not self._damage, self._damage)
        detail = f"safe mode after {deaths} fast deaths: no time series; see the log" if self.safe_mode else ""
        health.set_fact("extras", not self.safe_mode, detail)
        self.desk = Desk(self.core, self.state, self.journal, self.queue, self.clock)
        self._links = self.harm.links(self._loaded)
        receipts = self.state.outbox, self._journal_receipts, health, meter, self.clock, tuple(self._channels)
        self._reporter = ReceiptReporter(*receipts)
        self._reports = Reporter(lambda: self._reloader.loaded, self.state.history, self._directory)
        self._plates = plate_filler(self.harm.accesses, lambda: self._reloader.loaded.definition, self._secrets)
        self._workers = [self._worker(channel) for channel in settings.channels]
        self._feeders = [] if self.safe_mode else [self._feeder(plan) for plan in self._plan_sinks()]
        for name in (*(one.name for one in self._workers), *(one.name for one in self._feeders), self._reporter.name):
            health.register(name, _AGES["carrier"])
        define, hear = self._definitions.put_into_force, self._hear_reload
        self._reloader = Reloader(self._config, self._loaded, meter, define, hear, self._secrets, self._seen)
        self._build_supervisor()

    def _build_core(self) -> None:
        """The core, and the way in, which tells whether more comes in than the core takes."""
        self.core = LiveCore(
            *(self.journal.reader(), self.state, self.meter, self.health),
            on_outcomes=self._results.hear,
            secrets=self._secrets,
            assumed=self._loaded.definition,
            clock=self.clock,
        )
        self.core.recover(self._progress.go_on)
        keyed = with_keys(self._loaded, time.time_ns(), self.core.named_keys())
        if keyed is not self._loaded:
            self._seen = with_own(self._seen, key_file(self._settings, self._config.parent))
        self._loaded = keyed
        self._secrets.update(self._loaded.secrets)
        if self.core.site.unkeyed and not self._loaded.without.get(Spare.PLATES):
            self._loaded = self._loaded.unfollowed(self.core.site.unkeyed)
        self.harm.note_missing(self._loaded.without)
        self.queue = ArrivalQueue(self._settings.mqtt.queue_mib << 20)
        in_force = None if self.core.assumes else self.core.site.definition.version
        self._definitions = Definitions(self.queue.submit, self.clock, in_force)
        self.core.on_definition = self._definitions.hear
        known = {trouble: self.core.site.book.troubled(trouble) for trouble in Trouble}
        self.troubles = Troubles(self.queue.submit, self.clock, self.meter, known)
        parts = self._directory, self.journal, self.state, self._settings, self.meter, self._keeping, self.harm.look
        self._upkeep = Upkeep(*parts)
        self.inlet = Inlet(
            *(self._loaded, self._directory, self.queue, self.journal, self.core, self.meter, self.health),
            clock=self.clock,
            on_gap=self.troubles.gap,
            upkeep=self._upkeep.journal,
        )
        self.core.pressure = self.inlet.backlog

    def _assumed(self) -> Definition | None:
        """What held before the journal's first definition, when the journal's beginning has gone: today's, we say."""
        return self._loaded.definition if self.journal.first_seq > 1 else None

    def _build_supervisor(self) -> None:
        threads = {
            **self.inlet.threads(),
            "core": lambda: self.core.alive,
            "journal": lambda: self.journal.sound,
            "state directory": lambda: not (self._lock.lost or self.state.lost),
        }
        self._supervisor = Supervisor(
            threads,
            self.health,
            self._socket,
            self.meter,
            self.state.outbox,
            self._starts,
            Conditions(
                *(self.health, self.troubles, self.inlet.committer, self.inlet.backlog, self.inlet.lane, self.meter),
                clock=self.clock,
                applied=lambda: self.core.site.engine.now,
                connected=lambda: self.inlet.receivers.of(Lane.READINGS).connected,
                given_up=lambda: self._upkeep.given_up,
                stalled=lambda: {**self.harm.idle(), **{feeder.sink: feeder.stalled for feeder in self._feeders}},
                failed=lambda: self.core.failed,
                cramped=self.inlet.cramped,
                unproven=lambda: self.safe_mode or any(feeder.unproven for feeder in self._feeders),
            ),
            self._bulkheads.stuck,
        )

    def _worker(self, channel: ChannelSettings) -> OutboxWorker:
        limits = Limits(per_minute=channel.per_minute if isinstance(channel, Robot) else None)
        plates = Discretion(channel, self._plates, lambda: self._reloader.loaded)
        bare = with_files(self._channels[channel.name], channel, self._reports.kept)
        return OutboxWorker(
            ChannelApart(FilledChannel(bare, plates, ReportFiller(self._reports.folder))),
            *(self.state.outbox, self.meter, self.health),
            self.clock,  # what is due is written in journal time, which goes its own way when the host's clock is set
            limits,
            links=self._links,
            on_settled=self._reporter.wake,
        )

    def _plan_sinks(self) -> list[SinkPlan]:
        def rollups(settings: Rollups) -> RollupSink:
            return RollupSink(self._directory, settings, self._keeping)

        return build_sinks(self._settings, self._secret, self.state, self.meter, rollups, self.harm.sink_off)

    def _feeder(self, plan: SinkPlan) -> Feeder:
        parts = SinkApart(plan.sink), self.journal.reader(), self.state, Points(self._assumed()), self.meter
        return Feeder(*parts, self.health, self.state, batch=plan.batch, pressure=self.inlet.backlog)

    # -- running -----------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT (0), or until a part dies (1)."""
        self._ends.hear()
        try:
            self._build()
        except EndedError:
            self._starts.end()
            self._close_stores()
            return 0
        except ConfigError as error:  # a mistake in a file is no death of ours
            self._starts.end()
            self._close_stores()
            raise self._start.with_refusal(error) from None
        except SensordError:
            self._close_stores()
            raise
        finally:
            self._progress.end()
        self.core.start()
        self.inlet.start()
        self.troubles.recall(self.core.used)
        complaint = self._start.complaint
        await asyncio.to_thread(self._definitions.begin, self._loaded.definition, self.health, complaint)
        self.troubles.report(Trouble.RELOAD_REFUSED, bool(complaint))
        self.troubles.lose_state(lost=bool(self._lost), anew=self._anew, begun=self.core.begun)
        self.troubles.lose(self.core.orphans, damaged=bool(self._damage), then=partial(forget, self.journal.directory))
        self.troubles.report(Trouble.SAFE_MODE, self.safe_mode)
        self.harm.tell(self.troubles)
        tasks = self._start_tasks()
        self._socket.ready(f"site {self._settings.site}")
        self._hang_up.heed(self._reload_now)
        log.info("sensord is running", site=self._settings.site, journal_seq=self.journal.last_seq)
        try:
            await self._stop.wait()
        finally:
            await self._shut_down(tasks)
        if not self._failed:
            self._starts.end()
        return 1 if self._failed else 0

    def _start_tasks(self) -> list[asyncio.Task[None]]:
        """Start every asyncio task by name; one that ends before it is told to is a failure."""
        jobs: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = [
            *((worker.name, worker.run) for worker in self._workers),
            *((feeder.name, feeder.run) for feeder in self._feeders),
            (self._reporter.name, self._reporter.run),
            ("http", self._serve),
            (self._results.name, self._results.run),
            (SUPERVISOR, lambda: self._supervisor.run(self._fail)),
            ("upkeep", self._upkeep.run),
            ("watch", self._reloader.watch),
            ("reports", self._report_task().run),
        ]
        return [asyncio.create_task(self._guarded(name, job), name=name) for name, job in jobs]

    def _report_task(self) -> ReportTask:
        parts = self._reports, self.state.history, lambda: self._reloader.loaded, self.meter
        return ReportTask(*parts, self.clock, pressure=self.inlet.backlog, keeping=self._keeping)

    async def _guarded(self, name: str, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            with part(name):
                await job()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.meter.count("worker_failures_total", worker=name)
            expected = isinstance(error, SensordError)
            if self.safe_mode and name not in self._vital():
                log.error("a part has failed; in safe mode the others go on", part=name, why=str(error))
                return
            log.error("a part has failed; the daemon stops", part=name, why=str(error), exc_info=not expected)
            self._fail(name)
        else:
            self._fail(name)

    def _vital(self) -> set[str]:
        """The parts without which nobody would be told of an alert."""
        return {SUPERVISOR, *(worker.name for worker in self._workers)}

    def _fail(self, part: str) -> None:
        self._failed = self._failed or part
        self._stop.set()

    async def _serve(self) -> None:
        from sensord.api.application import Metrics, build  # late: FastAPI takes long to import
        from sensord.api.server import serve
        from sensord.office import open_office

        tokens = TokenStore(self._directory)
        try:
            await asyncio.to_thread(tokens.local)
        except StoreError as error:  # probes and links go on, and so does the daemon
            log.error("this machine has no token: commands get no answer", why=str(error))
        metrics = Metrics(self.meter.text, CONTENT_TYPE, self.meter)
        parts = self._reloader, self._reload, self.state.history, self._reports, self.harm.audit
        office = open_office(self._config, *parts)
        app = build(self.desk, self.health, metrics, tokens, self._links, self._reload, office)
        http = self._settings.http
        await serve(app, http.host, http.port, self._note_port, self.meter)

    def _note_port(self, port: int) -> None:
        """Write down where this machine's commands ask; where that is not possible (full disk), we serve anyway."""
        try:
            write_private(self._directory / "http.port", str(port))
        except OSError as error:
            log.error("the HTTP port could not be written down: commands get no answer", why=str(error))

    async def _journal_receipts(self, receipts: list[Receipt]) -> None:
        """Raises ``UnavailableError`` or ``StoreError``; then they are journaled (again) later."""
        await asyncio.wrap_future(await asyncio.to_thread(self.desk.receipts, receipts))

    # -- definitions, outcomes ---------------------------------------------------------------------------------------

    async def _reload(self, cause: str) -> Reloaded:
        """Read the configuration again; a bad one leaves the old rules running and says so."""
        self._socket.reloading()
        try:
            return await self._reloader.reload(cause)
        finally:
            self._socket.ready()

    def _reload_now(self) -> None:
        """SIGHUP."""
        self._reloading = asyncio.ensure_future(self._guarded_reload())

    async def _guarded_reload(self) -> None:
        try:
            await self._reload("signal")
        except SensordError as error:
            log.error("the configuration could not be put into force; reload again", why=str(error))

    async def _hear_reload(self, outcome: Reloaded) -> None:
        """Show the outcome."""
        detail = "" if outcome.accepted else f"the last reload was refused: {outcome.problems[0]}"
        self.health.set_fact("rules", outcome.accepted, detail)
        self.troubles.report(Trouble.RELOAD_REFUSED, not outcome.accepted)
        if outcome.accepted:
            self.harm.note_missing(self._reloader.loaded.without)
            self.harm.tell(self.troubles)

    def _wake(self) -> None:
        for worker in self._workers:
            worker.wake()

    # -- stopping ----------------------------------------------------------------------------------------------------

    async def _shut_down(self, tasks: list[asyncio.Task[None]]) -> None:
        """Stop in order: nothing new comes in, what came in is journaled and applied, what was decided goes out."""
        self._socket.stopping()
        log.info("sensord is stopping", failed_part=self._failed or None)
        await cancel([task for task in tasks if task.get_name() == SUPERVISOR])  # from here on threads end on purpose
        await asyncio.to_thread(self.inlet.stop)
        await asyncio.to_thread(self.core.stop)
        await cancel(tasks)
        await asyncio.gather(*map(let_go, self._channels.values()), *map(let_go, self._feeders))
        if ended(self.core, self.inlet.committer):
            self._close_stores()

    def _close_stores(self) -> None:
        for name in ("journal", "state", "_lock"):
            if (part := getattr(self, name, None)) is not None:
                part.close()


def run(config: Path, hang_up: HangUp) -> int:
    """Load the configuration and run the daemon; raises ``SensordError`` when it cannot start."""
    from sensord.telemetry.logs import configure

    start = prepare(config)
    configure(start.loaded.settings.log)
    for warning in start.loaded.warnings:
        log.warning("the configuration has a weakness", problem=str(warning))
    bulkheads = Bulkheads()
    return bulkheads.run(App(start, hang_up, bulkheads).run())
