"""Looking back: saved states of the past, and what was decided then, while the daemon goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensord.core.instant import DAY, HOUR, MINUTE
from sensord.core.intake.reader import DeadLetter
from sensord.core.site import Step
from sensord.errors import StoreError
from sensord.ports import Saved
from sensord.store.past import Past
from sensord.store.state import StateStore

START = 480_000 * HOUR


def save_every(state: StateStore, minutes: int, until: int) -> None:
    """Save a state every so many minutes, as the daemon does; each says in itself when it was taken."""
    for seq, at in enumerate(range(0, until + 1, minutes * MINUTE), 1):
        state.apply(Step(seq, START + at))
        state.save_snapshot(seq, str(at).encode())


def test_one_state_an_hour_is_kept_for_those_who_look_back(tmp_path: Path) -> None:
    """The first state of every hour and the two newest stay; a restart asks for no more of the journal than before."""
    state = StateStore(tmp_path)
    save_every(state, 20, 5 * HOUR)
    past = Past(tmp_path)
    kept = {found[1] for at in range(0, 6 * HOUR, MINUTE) if (found := past.snapshot_before(START + at))}
    assert kept == {str(hour * HOUR).encode() for hour in range(6)} | {str(280 * MINUTE).encode()}
    assert past.snapshot_before(START - 1) is None
    assert next(state.saved()).seq == 16
    assert state.snapshot_seq == 15
    state.close()


def test_a_start_reads_one_state_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A month of them, each of megabytes, is more than the unit may have in memory; a damaged one is passed over."""
    state = StateStore(tmp_path)
    save_every(state, 60, 5 * HOUR)
    with state._database.transaction("damaging it") as connection:
        connection.execute("UPDATE snapshots SET state = x'00' WHERE seq = 6")
    read, rows = list[int](), state._database.rows

    def counted(doing: str, statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        found = rows(doing, statement, parameters)
        read.append(sum(isinstance(value, bytes) for row in found for value in row))
        return found

    monkeypatch.setattr(state._database, "rows", counted)
    assert next(state.saved()) == Saved(5, START + 4 * HOUR, str(4 * HOUR).encode())
    assert (max(read), sum(read)) == (1, 2)
    state.close()


def test_old_states_go_with_everything_else(tmp_path: Path) -> None:
    """Pruning deletes what is past its keeping, but never the two that a restart needs."""
    state = StateStore(tmp_path)
    save_every(state, 60, 3 * HOUR)
    assert state.keeping.prune(START + 2 * HOUR, 0) == 2
    assert Past(tmp_path).snapshot_before(START + HOUR) is None
    assert state.keeping.prune(START + DAY, 0) == 0
    assert next(state.saved()).seq == 4
    state.close()


def test_a_damaged_state_is_passed_over(tmp_path: Path) -> None:
    """A state whose checksum does not hold is not handed out; the one before is."""
    state = StateStore(tmp_path)
    save_every(state, 60, 2 * HOUR)
    with state._database.transaction("damaging it") as connection:
        connection.execute("UPDATE snapshots SET state = x'00' WHERE seq = 3")
    found = Past(tmp_path).snapshot_before(START + 3 * HOUR)
    assert found is not None
    assert found[0] == 2
    state.close()


def test_without_a_database_it_says_so(tmp_path: Path) -> None:
    """The message says what to do, and nothing is created."""
    with pytest.raises(StoreError, match="there is no state database here"):
        Past(tmp_path).snapshot_before(START)
    assert list(tmp_path.iterdir()) == []


def test_dead_letters_are_bounded_in_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway gone mad fills no disk: beyond the bound the oldest go, in pieces; the newest stay, and can be read."""
    monkeypatch.setattr("sensord.store.keeping.MOST_DEAD_LETTERS", 50)
    state = StateStore(tmp_path)
    for seq in range(1, 5):
        letters = [DeadLetter(index, START, f"t/{index}", "unknown_device", "") for index in range(100)]
        state.apply(Step(seq, START, dead=letters))
    while state.keeping.prune_surplus(batch=100):
        pass
    kept = Past(tmp_path).dead_letters(1000)
    assert [letter.index for letter in kept] == list(range(99, 49, -1))
    state.close()
