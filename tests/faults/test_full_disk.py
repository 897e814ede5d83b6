"""A disk that really fills: nothing more is acknowledged, alerting goes on, and it recovers by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from sensord.store.ballast import LOW, Ballast
from tests.faults.outside import FULL, MIB, fill, on_small_disk, small_disk
from tests.faults.sensors import MANY, Speech
from tests.notify.receiver import Receiver
from tests.support import wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import Daemon

PORT = 38871
"""Where a daemon serves that cannot write its port down."""
STARTS = 6


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


class Crowded(Daemon):
    """A daemon on a disk that a neighbour keeps full; where it serves is known without a file."""

    place: Path | None = None

    @property
    def url(self) -> str:
        """Where its HTTP server listens."""
        return f"http://127.0.0.1:{PORT}"

    def start(self, environment: Mapping[str, str] | None = None, ready: str = "/readyz") -> Daemon:
        """As systemd does: one that finds no room for the index of SQLite's log ends, and is started again."""
        for _ in range(STARTS):
            with suppress(AssertionError):
                return super().start(environment, ready)
            assert self._process is not None
            if self._process.poll() is None:
                break
        raise AssertionError(self.tail())

    def get(self, path: str) -> httpx.Response:
        """Ask it, on a disk that is full again."""
        if self.place is not None:
            fill(self.place)
        return super().get(path)


@pytest.fixture
def crowded(tmp_path: Path, place: Path) -> Iterator[Crowded]:
    """A daemon that was shot, and whose rules were changed since."""
    broker = Mosquitto(tmp_path, log="warning").start()
    with Receiver() as people:
        settings: dict[str, Any] = {"state_dir": str(place / "state"), "journal": {"ballast_mib": 16}}
        daemon = Crowded(tmp_path / "sensord", broker.port, people.url + "/notify", http={"port": PORT}, **settings)
        daemon.state = place / "state"
        daemon.start()
        daemon.kill()
        rules = daemon.directory / "rules" / "crowd.yaml"
        rules.write_text(rules.read_text(encoding="utf-8").replace("margin: 10%", "margin: 11%"), encoding="utf-8")
        yield daemon
        daemon.kill()
    broker.stop()


@pytest.mark.timeout(240)
def test_new_rules_come_into_force_from_what_is_kept_back(crowded: Crowded, place: Path) -> None:
    """A start on a full disk gives the ballast up for them."""
    fill(place, leave=LOW // 2)
    crowded.start(ready="/healthz")
    wait_until(lambda: crowded.fact("journal") is False, 30, "the full disk shows")
    wait_until(lambda: crowded.fact("rules") is True, 30, "the rules are in force")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("freed", [True, False])
def test_a_start_with_new_rules_on_a_disk_without_a_byte_goes_on(crowded: Crowded, place: Path, freed: bool) -> None:
    """It answers, says what is the matter, and obeys; or the rules come into force once there is space."""
    (crowded.state / "ballast").unlink()
    crowded.place = place
    fill(place)
    crowded.start(ready="/healthz")
    wait_until(lambda: crowded.fact("journal") is False, 30, "the full disk shows")
    assert crowded.fact("rules") is False
    if freed:
        crowded.place = None
        (place / "hog").unlink()
        wait_until(lambda: crowded.fact("rules") is True, 30, "the rules are in force")
    assert crowded.stop() == 0
