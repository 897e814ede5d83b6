"""Experiments with the daemon itself: workers that hang or die, disks that fail it, deaths in a row, a second one."""

from __future__ import annotations

import json
import random
import re
import signal
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import httpx

from sensord.store.starts import FAST_DEATHS
from tests.faults.harness import Stage
from tests.faults.tally import Row
from tests.support import wait_until
from tests.support.launcher import AGES

SAFE = "安全模式"
"""What people are told of safe mode."""
HANGING = {"received, not journaled": "committer", "stepped, nothing written": "core"}
"""Where a worker hangs, and its name."""
DYING = ("received, not journaled", "stepped, nothing written", "outputs committed")
DISKS = {
    "fsync fails": ("received, not journaled", "refuse to sync", "/journal/"),
    "fsync of the journal fails once": ("received, not journaled", "refuse to sync once", "/journal/"),
    "fsync of the state fails once": ("outputs written, not committed", "refuse to sync once", "/state"),
    "fsync of the roll-ups fails once": ("roll-ups to be written", "refuse to sync once", "/rollups"),
    "writing fails (EIO)": ("received, not journaled", "refuse to write", "/journal/"),
    "reading fails (EIO)": ("received, not journaled", "refuse to read", "/"),
}
"""Where the kernel begins to refuse, what it does, and what the file is called of which the daemon must say so."""


def unhealthy(stage: Stage, worker: str) -> bool:
    """Whether ``/healthz`` says 503, and names a worker."""
    try:
        workers = stage.daemon.get("/healthz").json()["workers"]
    except (OSError, ValueError, httpx.HTTPError):  # its HTTP server is not there yet
        return False
    return not workers[worker]["ok"]


def hung_workers(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Hang one worker after the other: health names it, the manager hears no more, shoots the daemon and starts it."""
    dice, recovery, fed = random.Random(seed), list[float](), 0
    watchdog = _watched(core=2)
    with Stage(directory, seed, influx=False) as stage:
        stage.begin()
        for number in rounds:
            point = list(HANGING)[number % len(HANGING)]
            stage.end(signal.SIGKILL)
            stage.start(point, dice.randint(3, 12), "hang", environment=watchdog)
            stage.await_ready()
            wait_until(partial(unhealthy, stage, HANGING[point]), 60, f"{HANGING[point]} is named by /healthz")
            stage.drain()
            fed += stage.hears(b"WATCHDOG=1", 3)
            stage.end(signal.SIGKILL)
            _start_again(stage, recovery)
        stage.settle()
        row = stage.verdict("a worker hangs", len(recovery), recovery)
        row.lost += fed
        row.remark += f"; the watchdog was fed {fed} times meanwhile"
        return row


CARRIER_AGE = 15
"""Seconds for which a carrier may be silent here: it looks up every five."""


def stuck_channel(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Let every call of one channel never return: all others go on, it is said, and the daemon ends when it is told to.

    Such is a resolver that does not answer while the uplink is away, or a mail server that says a letter a minute.
    """
    recovery, late = list[float](), 0
    stage = Stage(directory, seed, influx=False)
    host = stage.people.host
    channel = {"type": "webhook", "name": "people", "url": f"http://{host}/notify", "allow": [host], "timeout": "1s"}
    stage.daemon.set(channels=[channel, {"type": "mqtt", "name": "grid"}])
    with stage:
        stage.begin()
        for _ in rounds:
            stage.end(signal.SIGKILL)
            stage.start("a receiver's name is looked up", 1, "stick", environment=_watched(carrier=CARRIER_AGE))
            stage.await_ready()
            wait_until(lambda: stage.fact("notify-people") is False, 60, "nobody gets through, and it is said")
            assert stage.metric('outbox_pending{channel="people"') > 0
            _others_go_on(stage, "roll-ups")
            doctor = stage.daemon.command("doctor")
            assert (doctor.returncode, "notify-people" in doctor.stdout) == (4, True), doctor.stdout
            wait_until(stage.answers, 5, "everybody is alive")
            stage.drain()
            assert stage.hears(b"WATCHDOG=1", 5), "no reason to be started again"
            late += stage.end(signal.SIGTERM) != 0
            arrived = len(stage.people.requests)
            began = time.monotonic()
            stage.start()
            stage.await_ready()
            wait_until(partial(_page_arrives, stage, arrived), 60, "pages go out")
            recovery.append(time.monotonic() - began)
            assert stage.fact("notify-people") is True
        stage.settle(patience=120)
        row = stage.verdict("a channel's calls never return", len(recovery), recovery)
        row.lost += late
        row.remark += f"; {late} times it did not end in good order; recovery is to the next page"
        return row


def stuck_sink(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Let a call of one sink never return: all others go on, health names it, and the watchdog starves."""
    recovery, fed = list[float](), 0
    with Stage(directory, seed) as stage:
        stage.begin()
        for _ in rounds:
            stage.end(signal.SIGKILL)
            stage.start("roll-ups written", 1, "hang", environment=_watched(carrier=CARRIER_AGE))
            stage.await_ready()
            wait_until(partial(unhealthy, stage, "sink-rollups"), 60, "the sink is named by /healthz")
            _others_go_on(stage, "InfluxDB")
            stage.drain()
            fed += stage.hears(b"WATCHDOG=1", 3)
            stage.end(signal.SIGKILL)
            _start_again(stage, recovery)
        stage.settle(patience=120)
        row = stage.verdict("a sink's call never returns", len(recovery), recovery)
        row.lost += fed
        row.remark += f"; the watchdog was fed {fed} times meanwhile"
        return row


def _watched(**ages: float) -> dict[str, str]:
    return {"WATCHDOG_USEC": "2000000", AGES: json.dumps(ages)}


def _others_go_on(stage: Stage, sink: str) -> None:
    """Wait until the other channel has told of two crowds more, and the other sink has points of a hundred readings."""
    heard, written = len(stage.sensors.heard), stage.points()[sink]
    wait_until(lambda: len(stage.sensors.heard) > heard + 1, 60, "the other channel goes on")
    wait_until(lambda: stage.points()[sink] > written + 100, 60, "the other sink goes on")


def _page_arrives(stage: Stage, before: int) -> bool:
    return len(stage.people.requests) > before


def dying_workers(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Let a thread fail for a reason that no code foresaw: the daemon ends with exit code 1, and is started again."""
    dice, recovery, others = random.Random(seed), list[float](), 0
    with Stage(directory, seed, influx=False) as stage:
        stage.begin()
        for number in rounds:
            stage.end(signal.SIGKILL)
            stage.start(DYING[number % len(DYING)], dice.randint(3, 20), "fail")
            stage.await_ready()
            others += stage.await_end(60) != 1
            _start_again(stage, recovery)
        stage.settle()
        row = stage.verdict("a thread dies", len(recovery), recovery)
        row.lost += others
        row.remark += f"; {others} times another end than exit code 1"
        return row


def failing_disk(directory: Path, rounds: Iterable[int], seed: int, name: str) -> Row:
    """Let the kernel refuse: the daemon must end, not try again and go on; the next one finds all acknowledged there.

    Files are not closed in good order then: what the process could not write, it does not acknowledge either. A sync
    that fails once would succeed when it is tried again, and mean nothing, for what was to be synced is gone: who tries
    lives on, and is counted as lost. So are last words that do not name the file.
    """
    dice, recovery, lived, unnamed = random.Random(seed), list[float](), 0, 0
    point, deed, file = DISKS[name]
    why = r"(disk I/O error|database disk image is malformed)"  # a page that cannot be read may be the latter to SQLite
    words = re.compile(re.escape(file) + rf"[^ ]*\.db: [^(]* failed \({why}\)")
    with Stage(directory, seed, influx=False) as stage:
        stage.begin()
        for _ in rounds:
            stage.end(signal.SIGKILL)
            said = len(stage.daemon.log.read_text(encoding="utf-8"))
            stage.start(point, dice.randint(2, 20), deed)
            stage.await_ready()
            code = stage.await_end(60)
            lived += code in (None, 0)
            if code is None:
                stage.end(signal.SIGKILL)
            unnamed += words.search(stage.daemon.log.read_text(encoding="utf-8"), said) is None
            _start_again(stage, recovery)
        stage.settle()
        row = stage.verdict(f"disk: {name}", len(recovery), recovery)
        row.lost += lived + unnamed
        row.remark += f"; {lived} times it did not end by itself, {unnamed} times it did not say which file it was"
        return row


def _start_again(stage: Stage, recovery: list[float]) -> None:
    """Start it as the service manager does, with a fresh interpreter, and note how long it takes."""
    began = time.monotonic()
    stage.start(fresh_interpreter=True)
    stage.await_ready()
    recovery.append(time.monotonic() - began)


def crash_loops(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Let a sink kill the daemon at each start: it goes on without time series, people hear of it, and it ends well."""
    done = 0
    with Stage(directory, seed, influx=False) as stage:
        stage.begin()
        for number in rounds:
            stage.end(signal.SIGKILL)
            for _ in range(FAST_DEATHS - 1):
                stage.start("roll-ups written", 1, forgive=False)
                assert stage.await_end(60) == -signal.SIGKILL
            stage.start("roll-ups written", 1, forgive=False)  # forked, so that it would die there: not timed
            stage.await_ready()
            wait_until(partial(_is_safe, stage), 20, "safe mode shows")
            wait_until(partial(_told_safe, stage, number + 1), 60, "people are told")
            seen = len(stage.titles())
            wait_until(partial(_more_titles, stage, seen), 40, "crowds are told of as ever")
            assert stage.end(signal.SIGTERM) == 0
            stage.start(forgive=False)
            stage.await_ready()
            wait_until(partial(_is_whole, stage), 20, "after an end in good order all is on again")
            done += 1
        stage.settle()
        row = stage.verdict(f"{FAST_DEATHS} deaths in a row: safe mode", done)
        row.remark += "; crowds were told of meanwhile"
        return row


def _is_safe(stage: Stage) -> bool:
    return stage.fact("extras") is False


def _is_whole(stage: Stage) -> bool:
    return stage.fact("extras") is True


def _told_safe(stage: Stage, least: int) -> bool:
    return sum(SAFE in text for text in stage.texts()) >= least


def _more_titles(stage: Stage, seen: int) -> bool:
    return len(stage.titles()) > seen


def second_daemons(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Start a second daemon on the same state: it ends with exit code 1 and names the first, which goes on."""
    done = wrong = 0
    with Stage(directory, seed, influx=False) as stage:
        stage.begin()
        wait_until(stage.crowds, 30, "there is a crowd")
        for _ in rounds:
            second = stage.daemon.command("run")
            wrong += second.returncode != 1 or str(stage.pid) not in second.stderr
            done += 1
        stage.settle()
        row = stage.verdict("second daemon on the same state", done)
        row.lost += wrong
        row.remark += f"; {wrong} times it did not end with the first one's process id"
        return row
