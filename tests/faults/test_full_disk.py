"""A disk that really fills: nothing more is acknowledged, alerting goes on, and it recovers by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensord.store.ballast import LOW, Ballast
from tests.faults.outside import FULL, MIB, fill, on_small_disk, small_disk
from tests.faults.sensors import MANY, Speech
from tests.support import wait_until


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB of our own; without the right to mount one the test is skipped, and says so."""
    with small_disk(tmp_path) as found:
        if found is None:
            pytest.skip("only root may mount a small file system")
        yield found


@pytest.mark.timeout(240)
def test_a_full_disk_stops_readings_and_not_alerting(tmp_path: Path, place: Path) -> None:
    """Readings wait at the broker, the police are told of it, and ten seconds after there is space all goes on."""
    with on_small_disk(tmp_path, place, 16) as stage:
        stage.begin()
        assert (stage.daemon.state / "ballast").stat().st_size == 16 * MIB
        hog = fill(place, leave=LOW // 2)
        wait_until(lambda: stage.fact("journal") is False, 30, "the full disk shows")
        assert not (stage.daemon.state / "ballast").exists(), "what was kept back is given up"
        wait_until(lambda: any(FULL in text for text in stage.texts()), 30, "people are told of the full disk")
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
def test_a_crowd_on_a_full_disk_is_told_of(tmp_path: Path, place: Path) -> None:
    """From what was kept back, while the disk stays full; a replay decides the same, and each reading counts once."""
    with on_small_disk(tmp_path, place, 16, speech=Speech(moods=None, every=0.5)) as stage:
        stage.begin()
        hog = fill(place, leave=LOW // 2)
        wait_until(lambda: stage.fact("journal") is False, 30, "the full disk shows")
        stage.sensors.counts[1] = MANY
        wait_until(lambda: "L1" in stage.places(), 60, "people are told of the crowd")
        assert stage.fact("journal") is False, "and not for there being space again"
        assert stage.metric("reserve_bytes") > 0
        hog.unlink()
        wait_until(lambda: stage.fact("journal") is True, 30, "it goes on")
        stage.settle()
        row = stage.verdict("", 1)
        assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


@pytest.mark.timeout(240)
def test_a_disk_without_a_single_byte_is_waited_out(tmp_path: Path, place: Path) -> None:
    """When a neighbour takes the ballast, too, not even time goes on; but nothing is lost."""
    with on_small_disk(tmp_path, place, 8) as stage:
        stage.begin()
        deadline = time.monotonic() + 6
        while time.monotonic() < deadline:
            hog = fill(place)
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
