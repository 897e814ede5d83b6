"""Damaged, missing and foreign files: nothing is deleted, what can be made again is, and people are told."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from sensord.core.cases.case import Case
from sensord.drivers.replay import journal_groups
from sensord.store.reader import DirectoryReader
from sensord.store.state import StateStore
from tests.faults.harness import Stage
from tests.faults.outside import (
    HOLE,
    LOST,
    emptied,
    flipped,
    folded,
    gone,
    headless,
    reworded,
    start_mended,
    truncated,
    zeroed,
)
from tests.store.parts import change
from tests.support import wait_until
from tests.support.daemon import places


def crowd_then_stop(stage: Stage) -> int:
    """Let a crowd be told of, and end the daemon in good order; returns how many pages went out."""
    wait_until(lambda: len(stage.titles()) >= 2, 30, "people are told of a crowd")
    assert stage.end(signal.SIGTERM) == 0
    return len(stage.titles())


@pytest.mark.parametrize("damage", [flipped, truncated, zeroed, emptied, gone])
def test_a_lost_state_is_built_anew_and_people_are_told(stage: Stage, damage: Callable[[Path], None]) -> None:
    """The damaged file is kept, the journal is stepped again, the police hear of it, and the fact says so."""
    crowd_then_stop(stage)
    damage(folded(stage.daemon.state / "state.db"))
    stage.start()
    stage.await_ready()
    wait_until(lambda: any(LOST in text for text in stage.texts()), 20, "people are told")
    assert stage.fact("state") is False
    kept = list(stage.daemon.state.glob("state.db.damaged-*"))
    assert bool(kept) is (damage is not gone)


def test_a_row_that_is_not_what_was_written_stops_the_daemon_once(stage: Stage) -> None:
    """No look at the file shows an open case that cannot be read; the start that meets it lets the next one mend it."""
    crowd_then_stop(stage)
    state = stage.daemon.state
    reworded(folded(state / "state.db"))
    start_mended(stage)
    wait_until(lambda: any(LOST in text for text in stage.texts()), 20, "people are told")
    assert list(state.glob("state.db.damaged-*[0-9]"))


def test_a_page_that_cannot_be_read_is_said_and_crowds_are_told_of(stage: Stage) -> None:
    """The fact and the number of times show it at once; people hear of it when the next start has made a new file."""
    told = crowd_then_stop(stage)
    change(
        folded(stage.daemon.state / "state.db"),
        "UPDATE outbox SET state = 'pending', due = 0, json = x'7b' WHERE key = (SELECT min(key) FROM outbox)",
    )
    stage.start()
    stage.await_ready()
    wait_until(lambda: stage.fact("state") is False, 20, "the fact says so")
    assert stage.metric("state_damage_total") > 0
    wait_until(lambda: len(stage.titles()) > told + 1, 40, "crowds are told of")
    assert not any(LOST in text for text in stage.texts())
    assert stage.end(signal.SIGTERM) == 0
    stage.start()
    stage.await_ready()
    wait_until(lambda: any(LOST in text for text in stage.texts()), 20, "people are told")


def test_after_a_loss_all_is_as_if_nothing_had_been(stage: Stage) -> None:
    """The next start is as it should be, and everything decided is what a replay decides."""
    crowd_then_stop(stage)
    for name in ("state.db", "rollups.db"):
        truncated(folded(stage.daemon.state / name))
    stage.start()
    stage.await_ready()
    stage.end(signal.SIGTERM)
    stage.start()
    stage.await_ready()
    wait_until(lambda: stage.fact("state") is True, 20, "the next start is as it should be")
    stage.settle()
    row = stage.verdict("", 1)
    assert (row.lost, row.invented) == (0, 0), row
    assert list(stage.daemon.state.glob("rollups.db.damaged-*")), "the time series were made again, too"


@pytest.mark.parametrize(("pattern", "words"), [("state.db", LOST), ("journal/*.db", HOLE)])
def test_a_second_loss_is_told_of_too(stage: Stage, pattern: str, words: str) -> None:
    """No start without damage lies between them, so that the first still counts as a trouble when the second comes."""
    for number in (1, 2):
        wait_until(stage.crowds, 60, "there is a crowd")
        stage.end(signal.SIGKILL)
        (file,) = stage.daemon.state.glob(pattern)
        headless(folded(file))
        start_mended(stage)
        wait_until(lambda: told(stage, words) >= number, 120, f"people are told, the {number}. time")  # noqa: B023


def told(stage: Stage, words: str) -> int:
    """Of how many losses people were told; each of them hears of one once."""
    return len({page["case"] for page in stage.pages() if words in page["text"]})


def test_a_state_ahead_of_its_journal_is_not_waited_for(stage: Stage, tmp_path: Path) -> None:
    """A journal that was put back from a backup is older than the state: waiting for it would be blindness."""
    wait_until(lambda: stage.titles() != [], 30, "people are told of a crowd")
    stage.end(signal.SIGTERM)
    for path in (stage.daemon.state / "journal").iterdir():
        path.unlink()
    before = len(stage.titles())
    stage.start()
    stage.await_ready()
    wait_until(lambda: len(stage.titles()) > before + 1, 40, "crowds are told of again")
    assert any(LOST in text for text in stage.texts())
    assert list(stage.daemon.state.glob("state.db.damaged-*"))


@pytest.mark.parametrize("damage", [flipped, truncated, zeroed, headless, emptied])
def test_a_damaged_journal_costs_its_groups_and_no_alert(stage: Stage, damage: Callable[[Path], None]) -> None:
    """The file is kept, people are told, the open case stays open, and crowds are told of as ever."""
    wait_until(lambda: len(stage.titles()) >= 2 and stage.crowds(), 30, "people are told of a crowd")
    stage.end(signal.SIGKILL)
    before = len(stage.titles())
    (file,) = (stage.daemon.state / "journal").glob("*.db")
    damage(folded(file))
    damaged = file.read_bytes()
    start_mended(stage)
    wait_until(lambda: any(HOLE in text for text in stage.texts()), 30, "people are told of the damage")
    wait_until(lambda: stage.fact("record") is False, 20, "the fact says so")
    assert file.name in stage.daemon.get("/readyz").json()["facts"]["record"]["detail"]
    assert [path.read_bytes() for path in file.parent.glob("*.db.damaged-*[0-9]")] == [damaged]
    wait_until(lambda: len(stage.titles()) > before + 3, 40, "crowds are told of again")
    assert not list(stage.daemon.state.glob("state.db.damaged-*")), "what came of the lost groups is kept"
    assert stage.end(signal.SIGTERM) == 0
    stage.start()
    stage.await_ready()
    wait_until(lambda: stage.fact("record") is True, 20, "the next start is as it should be")
    assert len(list(journal_groups(DirectoryReader(file.parent)))) > 0


@pytest.mark.parametrize("lanes", [2, 1], ids=["its place is there", "its place has gone, too"])
def test_a_case_of_lost_groups_ends(stage: Stage, lanes: int) -> None:
    """Nothing of the journal can be read, and the core was never saved: cases told of before are said to be void."""
    assert stage.end(signal.SIGTERM) == 0
    for path in (stage.daemon.state / "state.db", *(stage.daemon.state / "journal").iterdir()):
        path.unlink()
    stage.start(fresh_interpreter=True)  # which saves the core's state every two minutes only
    stage.await_ready()
    wait_until(lambda: stage.answers() and "L2" in stage.crowds(), 60, "there is a crowd")
    stage.end(signal.SIGKILL)
    (stage.daemon.directory / "places.yaml").write_text(places(lanes), encoding="utf-8")
    told = [case.id for case in open_cases(stage)]
    (file,) = (stage.daemon.state / "journal").glob("*.db")
    headless(folded(file))
    start_mended(stage)
    wait_until(lambda: not set(told) & {case.id for case in open_cases(stage)}, 30, "none of them is open")
    wait_until(lambda: any("作废" in title for title in stage.titles()), 30, "people are told")
    wait_until(lambda: stage.metric("orphaned_cases_total") == len(told), 20, "they are counted")
    assert len(told) > 0
    wait_until(stage.crowds, 60, "crowds have cases as ever")


def open_cases(stage: Stage) -> list[Case]:
    """The cases that are written down as open."""
    state = StateStore(stage.daemon.state)
    try:
        return state.cases()
    finally:
        state.close()


def test_a_backup_of_a_running_daemon_is_put_back(stage: Stage, tmp_path: Path) -> None:
    """With crowds coming and going: the copy is whole, and a daemon goes on from it, telling nobody twice."""
    wait_until(lambda: len(stage.titles()) >= 2, 30, "people are told of a crowd")
    done = stage.daemon.command("backup", str(tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    assert stage.daemon.command("restore", str(tmp_path / "backup")).returncode == 1, "over a running daemon"
    stage.end(signal.SIGTERM)
    stage.daemon.state.rename(tmp_path / "old")
    done = stage.daemon.command("restore", str(tmp_path / "backup"))
    assert done.returncode == 0, done.stderr
    told = len(stage.people.requests)
    stage.start()
    stage.await_ready()
    wait_until(lambda: len(stage.people.requests) > told, 40, "it goes on telling people")
    assert stage.fact("state") is True
