"""What the state database keeps: persons and vehicles go with the journal, numbers stay for longer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sensord.core.alert import Vehicle
from sensord.core.cases.case import Case, SecondWay, State, subject
from sensord.core.instant import DAY, HOUR
from sensord.core.level import Level
from sensord.core.site import Step
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.tally import Occupancy, PassageCount
from sensord.store.passages import tallies
from sensord.store.sqlite import open_reader
from sensord.store.state import StateStore
from sensord.store.tables import STATE
from tests.notify.parts import Outputs, notification
from tests.store.parts import change

START = 20_000 * DAY
PSEUDONYM, MASK = "3fa94c0e5b7712d8", "沪A·**345"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateStore]:
    """A new state database."""
    made = StateStore(tmp_path)
    yield made
    made.close()


def case(name: str, opened: int, closed: int) -> Case:
    """A case about a vehicle."""
    seen = Vehicle(PSEUDONYM, MASK, opened)
    stage = State.CLOSED if closed else State.HANDLING
    whole = Case(name, "vehicle", "C1-N", "G1", "stranger", stage, Level.BLUE, Level.BLUE, opened, value=0.1 + 0.2)
    whole.vehicle, whole.closed_at = seen, closed
    return whole


def test_a_vehicle_does_not_outlive_the_journal(state: StateStore, tmp_path: Path) -> None:
    """A case that has ended stays, but for whom it was about; an open one stays as it is; a later one, too."""
    cases = [case("old", START, START + HOUR), case("open", START, 0), case("new", START, START + 40 * DAY)]
    for one in cases:
        about = subject(one)
        one.untold = [about]
        one.fallbacks = {"1": SecondWay("post", "sms", "2", about)}
    state.apply(Step(1, START + 41 * DAY, cases=cases))
    assert state.keeping.prune(START + 10 * DAY, START - 300 * DAY) == 1
    assert state.keeping.prune(START + 10 * DAY, START - 300 * DAY) == 0
    kept = {one.id: one for one in state.history.cases("all", 10)}
    cases[0].vehicle, cases[0].fallbacks, cases[0].untold = None, {}, []
    assert kept == {one.id: one for one in cases}
    rows = open_reader(tmp_path / "state.db", STATE).execute("SELECT json FROM cases WHERE id = 'old'").fetchall()
    assert json.loads(rows[0][0])["vehicle"] is None
    assert PSEUDONYM.encode() not in rows[0][0]
    assert MASK.encode() not in rows[0][0]


def test_numbers_stay_for_longer(state: StateStore, tmp_path: Path) -> None:
    """Tallies, blind stretches and cases that have ended go when their own time has come, and not before."""
    passed = [PassageCount(START + day * DAY, "C1-N", "in", "local", "沪", "fuel", 1) for day in range(5)]
    inside = [Occupancy(START + day * DAY, "C1", 1, 0) for day in range(5)]
    blind = [Blind("cam", 0, START), *(Blind("cam", START + day * DAY, START + day * DAY + HOUR) for day in range(5))]
    ended = [case(f"case-{day}", START, START + day * DAY) for day in range(1, 5)]
    state.apply(Step(1, START + 5 * DAY, passages=passed, occupancy=inside, blind=blind, cases=ended))
    state.keeping.prune(START + 5 * DAY, START)
    assert left(tmp_path) == (5, 5, 6, 4)
    while state.keeping.prune(START + 5 * DAY, START + 2 * DAY + 7 * HOUR, batch=1):
        pass
    assert left(tmp_path) == (2, 2, 3, 2)
    with tallies(tmp_path) as stored:
        assert stored.since == START + 2 * DAY + 7 * HOUR
        assert stored.blind(0, START)[0] == blind[0], "since when the camera is heard stays known"
    state.keeping.prune(0, 0)
    with tallies(tmp_path) as stored:
        assert stored.since == START + 2 * DAY + 7 * HOUR, "what is gone does not come back with a longer keeping"


def test_what_a_message_said_goes_with_the_journal_once_it_is_settled(state: StateStore, tmp_path: Path) -> None:
    """However it ended; what still waits stays."""
    states = ("pending", "sending", "sent", "unclear", "failed", "skipped")
    state.apply(Outputs(1, START, [notification(number, at=START) for number, _ in enumerate(states)]))
    with closing(sqlite3.connect(tmp_path / "state.db")) as direct, direct:
        for number, settled in enumerate(states):
            direct.execute("UPDATE outbox SET state = ? WHERE key = ?", (settled, notification(number).key))
    state.keeping.prune(START, 0)
    state.keeping.prune(START + 1, 0)
    with closing(sqlite3.connect(tmp_path / "state.db")) as direct:
        assert direct.execute("SELECT state FROM outbox ORDER BY ord").fetchall() == [("pending",), ("sending",)]


def left(directory: Path) -> tuple[int, ...]:
    """How many rows are left of each."""
    with tallies(directory) as stored:
        connection = stored._connection
        tables = ("passages", "occupancy", "blind", "cases")
        return tuple(connection.execute(f"SELECT count(*) FROM {one}").fetchone()[0] for one in tables)


def test_a_file_that_was_pruned_before_knows_nothing_of_what_is_gone(tmp_path: Path) -> None:
    """File version 5 did not write down how far it had deleted: nothing before what is left is known."""
    state = StateStore(tmp_path)
    inside = [Occupancy(START + day * DAY, "C1", 1, 0) for day in range(3, 6)]
    late = [PassageCount(START, "C1-N", "in", "local", "沪", "fuel", 1)]
    ended = [case("ended", START, START + 4 * DAY)]
    state.apply(Step(1, START + 5 * DAY, occupancy=inside, passages=late, cases=ended))
    state.save_snapshot(1, b"the newest saved state stays for ever, and so tells nothing")
    state.close()
    as_version_5(tmp_path / "state.db")
    state = StateStore(tmp_path)
    with tallies(tmp_path) as stored:
        assert stored.since == START + 3 * DAY
    assert state.keeping.prune(START + 5 * DAY, START) > 0
    (kept,) = state.history.cases("all", 1)
    assert kept.vehicle is None, "which cases hold a vehicle is found out"
    state.close()


def test_an_old_file_of_which_nothing_is_left_knows_nothing(tmp_path: Path) -> None:
    """Of what was before it ended, that is."""
    state = StateStore(tmp_path)
    state.apply(Step(1, START))
    state.close()
    as_version_5(tmp_path / "state.db")
    StateStore(tmp_path).close()
    with tallies(tmp_path) as stored:
        assert stored.since == START


def as_version_5(path: Path) -> None:
    """Take out what that version did not have."""
    for statement in (
        "DROP TABLE kept",
        "DROP INDEX cases_with_vehicle",
        "ALTER TABLE cases DROP COLUMN vehicle",
        "PRAGMA user_version=5",
    ):
        change(path, statement)
