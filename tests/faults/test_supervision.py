"""Threads that die or hang, a daemon that dies again and again: manager, doctor and ``/readyz`` are told."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from sensord.store.starts import FAST_DEATHS, Starts
from tests.faults import refusing
from tests.faults.harness import Stage
from tests.faults.supervised import (
    DISKS,
    dying_workers,
    failing_disk,
    hung_workers,
    second_daemons,
    stuck_channel,
    stuck_sink,
)
from tests.faults.tally import Row
from tests.support import wait_until
from tests.support.launcher import AGES

SELDOM = ("fsync of the journal fails once", "reading fails (EIO)")
"""Disks that ``make torture`` has only: the ordinary run has one of each kind."""
WATCHED = {"WATCHDOG_USEC": "2000000", AGES: '{"core": 2}'}


def doctor(stage: Stage) -> subprocess.CompletedProcess[str]:
    """Ask the doctor."""
    return stage.daemon.command("doctor")


@pytest.fixture
def idle(tmp_path: Path) -> Stage:
    """The parts, without a daemon yet."""
    return Stage(tmp_path, influx=False)


@pytest.mark.parametrize("point", ["received, not journaled", "stepped, nothing written"])
def test_a_thread_that_fails_ends_the_daemon(idle: Stage, point: str) -> None:
    """Whatever it is that fails, the process ends with exit code 1, so that the service manager starts it again."""
    with idle as stage:
        stage.start(point, 20, "fail")
        stage.await_ready()
        assert stage.await_end(60) == 1
        assert "a fault of the program" in stage.daemon.tail()
        found = doctor(stage)
        assert (found.returncode, "连续 1 次" in found.stdout) == (4, True), found.stdout
        stage.start(forgive=False)
        stage.await_ready()
        wait_until(lambda: stage.answers("/metrics"), 30, "the daemon answers")
        assert stage.metric("deaths_total") == 1, "the metric outlives the process"


def test_a_worker_that_hangs_is_not_covered_by_the_others(idle: Stage) -> None:
    """The watchdog is fed while all make progress, and no more once one does not; health names it."""
    with idle as stage:
        stage.start("stepped, nothing written", 15, "hang", environment=WATCHED)
        stage.await_ready()
        assert stage.hears(b"WATCHDOG=1", 10)
        wait_until(lambda: stage.fact("mqtt") is not None, 20, "its HTTP server answers")
        wait_until(lambda: stage.daemon.get("/healthz").status_code == 503, 60, "the hung worker shows")
        stage.drain()
        assert not stage.hears(b"WATCHDOG=1", 4)
        workers = stage.daemon.get("/readyz").json()["workers"]
        assert [name for name, worker in workers.items() if not worker["ok"]] == ["core"]
        wait_until(lambda: stage.fact("backlog") is False, 30, "the core is in the past, and that shows")
        found = doctor(stage)
        assert found.returncode == 4
        for subject in ("core", "backlog"):
            assert any("✗" in line and subject in line for line in found.stdout.splitlines()), found.stdout
        assert stage.end(signal.SIGKILL) == -signal.SIGKILL


@pytest.mark.timeout(240)
def test_a_daemon_that_dies_again_and_again_goes_on_without_extras(idle: Stage) -> None:
    """A sink that kills the daemon costs the time series, not the alerts; people hear of it; a good run forgives."""
    with idle as stage:
        stage.begin()
        stage.end(signal.SIGKILL)
        for _ in range(FAST_DEATHS - 1):
            stage.start("roll-ups written", 1, forgive=False)
            assert stage.await_end(60) == -signal.SIGKILL
        stage.start("roll-ups written", 1, forgive=False)
        stage.await_ready()
        wait_until(lambda: stage.fact("extras") is False, 20, "safe mode shows")
        before = len(stage.titles())
        wait_until(lambda: any("安全模式" in text for text in stage.texts()), 30, "people are told")
        wait_until(lambda: len(stage.titles()) > before + 2, 40, "crowds are told of as ever")
        found = doctor(stage)
        assert found.returncode == 4, found.stdout
        assert "extras" in found.stdout
        assert stage.end(signal.SIGTERM) == 0
        stage.start(forgive=False)
        stage.await_ready()
        wait_until(lambda: stage.fact("extras") is True, 20, "after an end in good order all is on again")


@pytest.mark.timeout(240)
@pytest.mark.skipif(not refusing.available(), reason="the numbers of this machine's system calls are not known here")
@pytest.mark.parametrize("disk", [disk for disk in DISKS if disk not in SELDOM])
def test_a_disk_that_fails_ends_the_daemon(disk: str, tmp_path: Path) -> None:
    """The kernel says EIO: the daemon does not try again, it ends; what it had acknowledged is there afterwards."""
    row = failing_disk(tmp_path, range(1), 9, disk)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


@pytest.mark.timeout(240)
@pytest.mark.parametrize("experiment", [hung_workers, dying_workers, second_daemons])
def test_what_goes_wrong_inside_is_seen_from_outside(
    experiment: Callable[[Path, Iterable[int], int], Row], tmp_path: Path
) -> None:
    """Hung workers, dead threads, a second daemon: named, ended with the right exit code, and nothing is lost by it."""
    row = experiment(tmp_path, range(1), 9)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


@pytest.mark.timeout(240)
@pytest.mark.parametrize("experiment", [stuck_channel, stuck_sink])
def test_a_call_that_never_returns_holds_nobody_else_up(
    experiment: Callable[[Path, Iterable[int], int], Row], tmp_path: Path
) -> None:
    """Neither another channel nor another sink; it is said that nobody gets through, and nothing is lost by it."""
    row = experiment(tmp_path, range(1), 9)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


def test_fast_deaths_are_counted_in_a_row(tmp_path: Path) -> None:
    """Each start adds one until one has lasted; a torn record counts as none."""
    starts = Starts(tmp_path)
    assert [starts.begin(now) for now in range(4)] == [0, 1, 2, 3]
    starts.settle()
    assert starts.begin(9) == 0
    starts.end()
    assert starts.begin(10) == 0
    (tmp_path / "starts").write_bytes(b"[1, 2")
    assert starts.begin(10) == 0
    assert (tmp_path / "starts").stat().st_mode & 0o777 == 0o600


def test_every_death_is_counted_for_good(tmp_path: Path) -> None:
    """Also after a long life; an end in good order is none, and a record of an earlier version is read."""
    starts, seen = Starts(tmp_path), list[int]()
    for close in (starts.end, starts.settle, starts.settle, starts.end, lambda: None, starts.end):
        starts.begin(1)
        seen.append(starts.deaths_ever())
        close()
    assert seen == [0, 0, 1, 2, 2, 3]
    (tmp_path / "starts").write_bytes(b"[1, 2]")
    assert (starts.begin(3), starts.deaths_ever()) == (2, 1)
