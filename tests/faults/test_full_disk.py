"""A disk that really fills: nothing more is acknowledged, alerting goes on, and it recovers by itself."""

from __future__ import annotations

import os
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensord.store.ballast import LOW, Ballast
from tests.faults.harness import Stage
from tests.support import wait_until

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB of our own; without the right to mount one the test is skipped, and says so."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m,mode=0700", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        warnings.warn("a full disk was not tried for real: only root may mount one", stacklevel=1)
        pytest.skip("only root may mount a small file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path, leave: int = 0) -> Path:
    """Take all the space but so many bytes, as a neighbour does who writes too much."""
    usage = os.statvfs(place)
    hog = place / "hog"
    with hog.open("ab", buffering=0) as file:
        room = usage.f_bavail * usage.f_frsize - leave
        while room > 0:
            try:
                room -= file.write(bytes(min(room, MIB)))
            except OSError:
                break
    return hog


@pytest.mark.timeout(240)
def test_a_full_disk_stops_readings_and_not_alerting(tmp_path: Path, small_disk: Path) -> None:
    """Readings wait at the broker, the police are told of it, and ten seconds after there is space all goes on."""
    settings: dict[str, Any] = {"state_dir": str(small_disk / "state"), "journal": {"ballast_mib": 16}}
    with Stage(tmp_path, influx=False, **settings) as stage:
        stage.daemon.state = small_disk / "state"
        stage.begin()
        assert (stage.daemon.state / "ballast").stat().st_size == 16 * MIB
        hog = fill(small_disk, leave=LOW // 2)
        wait_until(lambda: stage.fact("journal") is False, 30, "the full disk shows")
        assert not (stage.daemon.state / "ballast").exists(), "what was kept back is given up"
        wait_until(lambda: any("磁盘已满" in text for text in stage.texts()), 30, "people are told of the full disk")
        applied = stage.daemon.overview()["counts"]["applied"]
        wait_until(lambda: stage.daemon.overview()["counts"]["applied"] > applied + 2, 30, "time goes on")
        assert b"sensord_journal_blocked 1.0" in stage.daemon.get("/metrics").content
        hog.unlink()
        freed = time.monotonic()
        wait_until(lambda: stage.fact("journal") is True, 30, "it goes on")
        assert time.monotonic() - freed < 10
        wait_until((stage.daemon.state / "ballast").exists, 10, "space is kept back again")
        stage.settle()
        row = stage.verdict("", 1)
        assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


@pytest.mark.timeout(240)
def test_a_disk_without_a_single_byte_is_waited_out(tmp_path: Path, small_disk: Path) -> None:
    """When a neighbour takes the ballast, too, not even time goes on; but nothing is lost."""
    settings: dict[str, Any] = {"state_dir": str(small_disk / "state"), "journal": {"ballast_mib": 8}}
    with Stage(tmp_path, influx=False, **settings) as stage:
        stage.daemon.state = small_disk / "state"
        stage.begin()
        deadline = time.monotonic() + 6
        while time.monotonic() < deadline:
            hog = fill(small_disk)
            time.sleep(0.2)
        assert stage.fact("journal") is False
        hog.unlink()
        wait_until(lambda: stage.fact("journal") is True, 30, "it goes on")
        stage.settle()
        row = stage.verdict("", 1)
        assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


def test_what_is_kept_back_is_given_up_and_filled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule by numbers: given up below the line, filled when all of it fits again, and not a moment before."""
    free = 100 * MIB
    monkeypatch.setattr(Ballast, "_free", lambda _self: free)
    ballast = Ballast(tmp_path, MIB)
    assert ballast.available()
    assert (tmp_path / "ballast").stat().st_mode & 0o777 == 0o600
    for left, room in ((LOW, True), (LOW - 1, False), (LOW + MIB, False), (2 * LOW + MIB, True)):
        free = left
        assert ballast.available() is room
        assert (tmp_path / "ballast").exists() is room
