"""A daemon that is shot again and again, amid a real broker, a real database and a real receiver of notifications.

Numbered readings go in through the broker; what the broker has acknowledged must come out. ``Stage`` holds the parts,
``Stage.verdict`` compares from outside: what was published, what the journal holds, what a replay of it decides, what
people were told, which points the sinks have.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import httpx

from sensord.core.record import Group
from sensord.core.stream import Stream
from sensord.drivers.replay import journal_groups
from sensord.store.reader import DirectoryReader
from sensord.store.state import StateStore
from tests.faults.link import Link
from tests.faults.sensors import Sensors, Speech, numbered
from tests.faults.tally import Row
from tests.notify.receiver import Receiver
from tests.series.databases import Influx1
from tests.support import wait_until
from tests.support.broker import Mosquitto, shipped
from tests.support.daemon import Daemon
from tests.support.launching import launcher

_READY = b"READY=1"
_WINDOW = 5.0
"""Seconds until no window of the rules holds a reading that came before."""


class Stage:
    """All parts, in ``directory``; use as a context manager. One daemon at a time."""

    def __init__(
        self,
        directory: Path,
        seed: int = 1,
        *,
        influx: bool = True,
        speech: Speech | None = None,
        broker: Sequence[str] = (),
        mqtt: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        """Lay everything out; the sensors speak as ``speech`` says; ``settings`` are the daemon's.

        The broker has the shipped settings, but for the lines of ``broker``. With ``mqtt`` (settings of that section)
        the daemon's way to the broker is ``link``, which can go dead. Daemons see ``resolver``, if set, as their
        ``resolv.conf``. ``others`` is how many readings came of lanes for which somebody else speaks.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self._seed, self._speech = seed, speech or Speech()
        named = {line.split()[0] for line in broker}
        lines = [line for line in shipped("persistence", "autosave", "max_") if line.split()[0] not in named]
        self.broker = Mosquitto(directory, *lines, *broker, log="warning")
        self.link = Link(self.broker.port) if mqtt is not None else None
        self.people, self.influx = Receiver(), Influx1(directory) if influx else None
        sinks: list[dict[str, Any]] = [{"type": "rollups"}]
        if self.influx is not None:
            sinks.append({"type": "influxdb1", "url": self.influx.url, "database": "sensord"})
        self.daemon = Daemon(
            directory / "sensord",
            self.broker.port,
            self.people.url + "/notify",
            lanes=self._speech.lanes + self._speech.others,
            **{
                "sinks": sinks,
                "mqtt": {} if self.link is None else {**(mqtt or {}), "port": self.link.port},
                **settings,
            },
        )
        self.pid = 0
        self.resolver: Path | None = None
        self.others = dict[int, int]()
        self._read, self._read_upto = set[tuple[str, int]](), 0
        self.earlier: list[Path] = []
        """Folders with files that the journal has deleted, when a test has kept them."""
        self.ahead = 0.0
        """Seconds by which the clock of the next daemon is ahead."""
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(f"\0sensord-{uuid.uuid4().hex}")  # an abstract name: a path may be too long for a socket
        self._started = list[int]()

    def __enter__(self) -> Self:
        """Start everything but the daemon."""
        self.broker.start()
        self.people.__enter__()
        if self.influx is not None:
            self.influx.start()
            self.influx.query("CREATE DATABASE sensord")
        self.sensors = Sensors(self.broker.port, self._seed, self._speech)
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self.sensors.close()
        launcher().order(leave=self._started)
        self.people.__exit__()
        if self.link is not None:
            self.link.close()
        self.broker.stop()
        if self.influx is not None:
            self.influx.stop()
        self._manager.close()

    # -- the daemon ------------------------------------------------------------------------------------------------

    def start(
        self,
        point: str = "",
        nth: int = 1,
        deed: str = "die",
        *,
        fresh_interpreter: bool = False,
        forgive: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the daemon, which does its ``deed`` when it passes ``point`` for the ``nth`` time, if one is named.

        With ``forgive`` the deaths before do not count: most experiments are not about safe mode.
        """
        if forgive:
            (self.daemon.state / "starts").unlink(missing_ok=True)
        socket_name = "@" + self._manager.getsockname()[1:].decode()
        self.pid = self._launch(
            "run",
            point=point,
            nth=nth,
            deed=deed,
            exec=fresh_interpreter,
            environment={**os.environ, "NOTIFY_SOCKET": socket_name, **(environment or {})},
        )

    def _launch(self, *command: str, environment: Mapping[str, str], **experiment: Any) -> int:
        line, log = [*command, "--config", str(self.daemon.config)], str(self.daemon.log)
        shown = {"ahead": self.ahead, "resolver": str(self.resolver or "")}
        order = {"command": line, "out": log, "err": log, "environment": dict(environment)}
        self._started.append(int(launcher().order(**order, experiment={**shown, **experiment})))
        return self._started[-1]

    def command(self, *command: str, point: str = "", nth: int = 1) -> int | None:
        """Run another command of sensord, which dies when it passes ``point`` for the ``nth`` time; its exit code."""
        pid = self._launch(*command, point=point, nth=nth, deed="die", exec=False, environment={**os.environ})
        code = launcher().order(wait=pid, patience=60.0)
        return None if code is None else int(code)

    def begin(self, environment: Mapping[str, str] | None = None) -> None:
        """Start the daemon for the first time, and the sensors once it has its session at the broker."""
        self.start(environment=environment)
        self.await_ready()
        wait_until(lambda: self.answers("/readyz"), 30, lambda: f"the daemon is connected; {self.daemon.standing()}")
        self.sensors.speak()

    def await_ready(self, patience: float = 60.0) -> None:
        """Wait until it tells the service manager that it is ready."""
        assert self.hears(_READY, patience), f"the daemon is not ready; its log: {self.daemon.tail()}"

    def hears(self, word: bytes, patience: float) -> bool:
        """Whether the service manager is told this word within so many seconds."""
        deadline = time.monotonic() + patience
        while (left := deadline - time.monotonic()) > 0:
            self._manager.settimeout(left)
            try:
                if word in self._manager.recv(4096):
                    return True
            except TimeoutError:
                break
        return False

    def await_end(self, patience: float) -> int | None:
        """Wait for the daemon's end; returns its exit code, or None when it lives on."""
        code = launcher().order(wait=self.pid, patience=patience)
        self.drain()
        return None if code is None else int(code)

    def drain(self) -> None:
        """Forget what a daemon that has ended said: a READY of its own must not be taken for the next one's."""
        self._manager.setblocking(False)
        try:
            while True:
                self._manager.recv(4096)
        except BlockingIOError:
            return

    def shoot(self, how: signal.Signals) -> None:
        """Send the daemon a signal, and do not wait."""
        os.kill(self.pid, how)

    def end(self, how: signal.Signals) -> int:
        """End the daemon; returns its exit code."""
        self.shoot(how)
        code = self.await_end(60.0)
        assert code is not None, self.daemon.tail()
        return code

    def answers(self, path: str = "/healthz") -> bool:
        """Whether its HTTP server says that all is well (the port in the file may be an old one)."""
        try:
            return self.daemon.get(path).status_code == 200
        except (OSError, ValueError, httpx.HTTPError):
            return False

    def fact(self, name: str) -> bool | None:
        """How a fact of ``/readyz`` stands; None while there is no answer."""
        return self.daemon.fact(name)

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        return self.daemon.metric(name)

    def resident(self) -> int:
        """The daemon's resident memory, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) << 10

    def crowds(self) -> list[str]:
        """The places of the open cases, without the street's: those are the daemon's own troubles."""
        return [case["place"] for case in self.daemon.overview()["cases"] if case["place"] != "street"]

    def pages(self) -> list[dict[str, Any]]:
        """What people were told, in the order of arrival."""
        return [request.json for request in list(self.people.requests) if request.whole]

    def titles(self) -> list[str]:
        """As ``pages``, the titles."""
        return [page["title"] for page in self.pages()]

    def places(self) -> list[str]:
        """As ``pages``, the places."""
        return [page["place"] for page in self.pages()]

    def texts(self) -> list[str]:
        """As ``pages``, the texts."""
        return [page["text"] for page in self.pages()]

    # -- the verdict -----------------------------------------------------------------------------------------------

    def settle(self, *, gaps: bool = False, patience: float = 60.0) -> None:
        """Come to rest, then end the daemon in good order."""
        self.come_to_rest(gaps=gaps, patience=patience)
        assert self.end(signal.SIGTERM) == 0, self.daemon.tail()

    def catch_up(self) -> None:
        """Let the sensors be silent until the daemon has everything that they said."""
        wait_until(self.answers, 60, "the daemon answers")
        self.sensors.silent = set(self.sensors.sent)
        wait_until(lambda: self.sensors.waiting <= 0, 300, self.sensors.who_waits)
        wait_until(self._has_everything, 300, "every reading is in the journal")
        self.sensors.silent = set()

    def _has_everything(self) -> bool:
        """As ``not missing()``, but what was seen in the journal before is not read again: here it cannot go."""
        for group in journal_groups(DirectoryReader(self.daemon.state / "journal"), self._read_upto):
            self._read |= numbered(group)
            self._read_upto = group.seq
        return len(self._read) == sum(self.sensors.sent.values())

    def _judged(self, moment: float) -> bool:
        """Whether the daemon has judged all that came until this moment (of the monotonic clock)."""
        return time.monotonic() - float(self.daemon.overview()["lag_seconds"]) > moment

    def come_to_rest(self, *, gaps: bool = False, patience: float = 60.0) -> None:
        """Let the crowds go and everything in flight arrive.

        With ``gaps`` the broker itself may have forgotten readings that it had taken. ``patience`` (seconds) is for
        crowds to go, and for looking through the journal: after hours of readings that takes long.
        """
        wait_until(self.answers, 30, "the daemon answers")
        self.sensors.calm, calmed = True, time.monotonic()
        wait_until(lambda: self._judged(calmed + _WINDOW), patience, "no window holds a crowd")
        wait_until(lambda: not self.crowds(), patience, "every case of a crowd has closed")
        self.sensors.fall_silent()
        last = {(str(lane), count - 1) for lane, count in self.sent().items()}
        wait_until(
            lambda: not self.missing() & last if gaps else not self.missing(),
            patience,
            "every reading is in the journal",
        )
        wait_until(self.daemon.caught_up, 30, "everything is applied")
        wait_until(
            lambda: not self.daemon.overview()["notifications"]["pending"], max(60, patience), "every page has gone out"
        )
        wanted = self._accepted()
        wait_until(lambda: set(self.points().values()) == {wanted}, 60, f"all {wanted} points: {self.points()}")

    def verdict(
        self,
        fault: str,
        runs: int,
        recovery: Sequence[float] = (),
        *,
        over_mqtt: bool = True,
        letters: Iterable[tuple[str, bool]] = (),
    ) -> Row:
        """Count what is lost, doubled and invented, over readings, decisions, pages and points.

        Without ``over_mqtt`` pages that went out over the broker need not have arrived: it has forgotten some itself.
        ``letters`` came by mail: what their Message-IDs begin with, and whether they say that they may be repeats.
        """
        site, readings = self.daemon.site(), Counter[str]()
        decided = b""
        for group in self.groups():
            step = site.step(group)
            decided += step.decisions()
            for (stream, outcome), amount in step.counts.items():
                readings[outcome] += amount if stream == Stream.CROWD.word else 0
        accepted, published = readings["accepted"] + readings["late"], sum(self.sent().values())
        wanted = {json.loads(line)["key"] for line in decided.splitlines() if line.startswith(b'{"key"')}
        refused = {id(request) for request in self.people.refused}
        taken = [request for request in self.people.requests if request.whole and id(request) not in refused]
        pages = [request.json for request in taken]
        pages += [one for one in self.sensors.heard if "key" in one]
        hashed = {hashlib.sha256(key.encode()).hexdigest()[:32]: key for key in wanted}
        pages += [{"key": hashed.get(name, name), "possibly_repeated": again} for name, again in letters]
        told, first = Counter(page["key"] for page in pages), Counter[str]()
        first.update(page["key"] for page in pages if not page["possibly_repeated"])
        points = self.points()
        written = self.written()
        assert written == decided, "what was written down while it ran is what a replay decides"
        return Row(
            fault,
            runs,
            lost=max(len(self.missing()), published - accepted)
            + sum(over_mqtt or not key.endswith(":grid") for key in wanted - set(told))
            + sum(max(0, accepted - n) for n in points.values()),
            doubled=max(0, accepted - published)
            + sum(count - 1 for count in first.values())
            + sum(max(0, count - accepted) for count in points.values()),
            invented=len(set(told) - wanted),
            marked=sum(page["possibly_repeated"] for page in pages),
            recovery=list(recovery),
            remark=f"{published:,} readings, {len(wanted):,} pages, {sum(points.values()):,} points in "
            + " and ".join(points),
        )

    def groups(self) -> Iterator[Group]:
        """All that was journaled, in order."""
        for journal in (*self.earlier, self.daemon.state / "journal"):
            yield from journal_groups(DirectoryReader(journal))

    def _journaled(self) -> set[tuple[str, int]]:
        return {reading for group in self.groups() for reading in numbered(group)}

    def sent(self) -> dict[int, int]:
        """How many readings of each lane there were."""
        return self.sensors.sent | self.others

    def missing(self) -> set[tuple[str, int]]:
        """Readings that the broker has taken, and that are not in the journal."""
        published = {(str(lane), seq) for lane, count in self.sent().items() for seq in range(count)}
        return published - self._journaled()

    def gaps(self) -> tuple[int, int]:
        """How many readings the devices' own numbers showed as missing, and how many of these came later."""
        site = self.daemon.site()
        steps = [site.step(group) for group in self.groups()]
        return sum(step.gaps.total() for step in steps), sum(step.filled.total() for step in steps)

    def _accepted(self) -> int:
        site, kinds = self.daemon.site(), [(Stream.CROWD.word, outcome) for outcome in ("accepted", "late")]
        steps = (site.step(group) for group in self.groups())
        return sum(step.counts.get(kind, 0) for step in steps for kind in kinds)

    def points(self) -> dict[str, int]:
        """How many readings of the crowd each sink has."""
        minutes = self._select(
            "rollups.db",
            "SELECT coalesce(sum(n), 0) FROM minute WHERE series IN "
            "(SELECT id FROM series WHERE measurement = 'crowd' AND field = 'count')",
        )
        found = {"roll-ups": minutes}
        if self.influx is not None:
            series = self.influx.query("SELECT count(count) FROM crowd")
            found["InfluxDB"] = int(series[0]["values"][0][1]) if series else 0
        return found

    def _select(self, file: str, statement: str) -> int:
        with closing(sqlite3.connect(f"file:{self.daemon.state / file}?mode=ro", uri=True)) as connection:
            return int(connection.execute(statement).fetchone()[0])

    def written(self) -> bytes:
        """What was decided, as it was written down while it ran; the daemon has ended."""
        with closing(StateStore(self.daemon.state)) as state:
            return state.decisions()
