"""A disk that really fills: nothing more is acknowledged, alerting goes on, and it recovers by itself."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from sensord.errors import StoreError
from sensord.store.ballast import FEW, FILES, LAST, LOW, Ballast
from sensord.store.dayfile import day_files
from sensord.store.journal import Journal
from sensord.store.room import nearly_full
from sensord.store.sqlite import create_file
from tests.faults.outside import FULL, MIB, fill, on_small_disk, small_disk, use_up_files
from tests.faults.sensors import MANY, Speech
from tests.notify.receiver import Receiver
from tests.store.parts import fill as append
from tests.store.parts import groups, read_all
from tests.support import free_port, wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import Daemon

PEOPLE = 4000
"""So many make a definition for which what SQLite's logs have room for is too little."""


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
        assert (stage.daemon.state / "ballast").stat().st_size == LAST, "what was kept back is given up"
        wait_until(lambda: any(FULL in text for text in stage.texts()), 30, "people are told of the full disk")
        applied = stage.daemon.overview()["counts"]["applied"]
        wait_until(lambda: stage.daemon.overview()["counts"]["applied"] > applied + 2, 30, "time goes on")
        assert b"sensord_journal_blocked 1.0" in stage.daemon.get("/metrics").content
        hog.unlink()
        freed = time.monotonic()
        wait_until(lambda: stage.fact("journal") is True, 30, "it goes on")
        assert time.monotonic() - freed < 10
        wait_until(lambda: (stage.daemon.state / "ballast").stat().st_size > LAST, 10, "space is kept back again")
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
        assert (tmp_path / "ballast").stat().st_size == (MIB if room else MIB // 8)


@pytest.mark.timeout(240)
def test_a_disk_without_files_is_told_of_and_alerting_goes_on(tmp_path: Path) -> None:
    """Also over a restart, for which some are kept; and it is over by itself."""
    with small_disk(tmp_path, 400) as place:
        if place is None:
            pytest.skip("only root may mount a small file system")
        with on_small_disk(tmp_path, place, 8, speech=Speech(moods=None, every=0.5)) as stage:
            stage.begin()
            hog = use_up_files(place)
            wait_until(lambda: any(FULL in text for text in stage.texts()), 30, "people are told")
            assert stage.fact("journal") is False
            assert stage.metric("disk_free_files") < FEW
            assert stage.metric("journal_blocked") == 0, "readings are taken in as ever"
            found = stage.daemon.command("doctor")
            assert "inode" in found.stdout
            stage.shoot(signal.SIGTERM)
            assert stage.await_end(30) == 0
            use_up_files(place)
            stage.start()
            stage.await_ready()
            stage.sensors.counts[1] = MANY
            wait_until(lambda: "L1" in stage.places(), 60, "people are told of a crowd")
            shutil.rmtree(hog)
            wait_until(lambda: any((stage.daemon.state / FILES).iterdir()), 30, "files are kept back again")


def test_a_day_that_cannot_begin_a_file_goes_on_in_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is refused at midnight; the day's file begins once there is a file to be had, and readers see no seam."""
    with small_disk(tmp_path, 40) as place:
        if place is None:
            pytest.skip("only root may mount a small file system")
        with closing(Journal(place / "journal")) as journal:
            append(journal, 20)
            first = len(day_files(place / "journal"))
            hog = use_up_files(place)
            append(journal, 30)
            assert "make room there" in journal.late
            assert len(day_files(place / "journal")) == first
            assert journal.last_seq == 50
            shutil.rmtree(hog)
            append(journal, 1)
            assert journal.late, "not tried at each group"
            monkeypatch.setattr("sensord.store.journal._AGAIN", 0.0)
            monkeypatch.setattr(journal, "_again_at", 0.0)
            append(journal, 19)
            assert not journal.late
            assert len(day_files(place / "journal")) > first
            assert read_all(journal.reader()) == groups(1, 70)
        with closing(Journal(place / "journal")) as journal:
            assert read_all(journal.reader()) == groups(1, 70)


def test_a_disk_that_refuses_for_room_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what it says itself, whatever is free there: a quota, too; and anything else is for people to mend."""
    real, why = os.open, [errno.EDQUOT]

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(why[0], os.strerror(why[0]), str(path))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)
    for why[0], again in ((errno.EDQUOT, True), (errno.ENOSPC, True), (errno.EACCES, False)):
        with pytest.raises(StoreError, match="cannot be created") as caught:
            create_file(tmp_path / "file")
        assert caught.value.retryable is again
        assert nearly_full(tmp_path) is again
        assert ("make room" in str(caught.value)) is again


class Crowded(Daemon):
    """A daemon on a disk that a neighbour keeps full; where it serves is known without a file."""

    place: Path | None = None
    port = 0

    @property
    def url(self) -> str:
        """Where its HTTP server listens."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> httpx.Response:
        """Ask it, on a disk that is full again."""
        if self.place is not None:
            fill(self.place)
        return super().get(path)


@pytest.fixture
def crowded(tmp_path: Path, place: Path, broker: Mosquitto, people: Receiver) -> Iterator[Crowded]:
    """A daemon that was shot, and whose rules were changed since."""
    settings: dict[str, Any] = {"state_dir": str(place / "state"), "journal": {"ballast_mib": 16}}
    port = free_port()
    daemon = Crowded(tmp_path / "sensord", broker.port, people.url + "/notify", http={"port": port}, **settings)
    daemon.state, daemon.port = place / "state", port
    try:
        daemon.start()
        daemon.kill()
        rules = daemon.directory / "rules" / "crowd.yaml"
        rules.write_text(rules.read_text(encoding="utf-8").replace("margin: 10%", "margin: 11%"), encoding="utf-8")
        with (daemon.directory / "roster.yaml").open("a", encoding="utf-8") as roster:
            for number in range(PEOPLE):
                contact = f"{{channel: people, address: {secrets.token_hex(32)}}}"  # what cannot be compressed
                roster.write(f"  - {{id: 志愿者-9{number}, role: volunteer, serves: G1-1, contacts: [{contact}]}}\n")
        yield daemon
    finally:
        daemon.kill()


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
    fill(place)
    crowded.start(ready="/healthz")  # SQLite's logs are there: it was shot
    crowded.place = place
    wait_until(lambda: crowded.fact("journal") is False, 30, "the full disk shows")
    assert crowded.fact("rules") is False
    if freed:
        crowded.place = None
        (place / "hog").unlink()
        wait_until(lambda: crowded.fact("rules") is True, 30, "the rules are in force")
    assert crowded.stop() == 0


@pytest.mark.timeout(240)
def test_the_last_that_was_kept_back_makes_room_for_a_start(crowded: Crowded, place: Path) -> None:
    """After a clean stop SQLite's logs are gone, and without room for new ones no start came past that."""
    crowded.start()
    assert crowded.stop() == 0
    Ballast(crowded.state, 16 * MIB).release()
    fill(place)
    crowded.start(ready="/healthz")
    assert not (crowded.state / "ballast").exists()
    crowded.place = place
    wait_until(lambda: crowded.fact("journal") is False, 30, "the full disk shows")
    crowded.place = None
    (place / "hog").unlink()
    wait_until(lambda: crowded.fact("rules") is True, 30, "the rules are in force")


@pytest.mark.timeout(240)
def test_a_start_for_which_nothing_is_left_says_so_and_costs_nothing(crowded: Crowded, place: Path) -> None:
    """It ends, to be started again by the service manager; the first start with some space goes on."""
    crowded.start()
    assert crowded.stop() == 0
    (crowded.state / "ballast").unlink()
    fill(place)
    with pytest.raises(AssertionError):
        crowded.start(ready="/healthz")
    assert "磁盘已满：什么也没有写" in crowded.tail()
    (place / "hog").unlink()
    crowded.start()
    assert crowded.fact("rules") is True
