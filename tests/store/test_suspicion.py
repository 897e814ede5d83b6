"""Rows that are not what was written: nobody is held up by one, and the next start sets the file aside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sensord.core.level import Level
from sensord.errors import DamageError
from sensord.store import outbox
from sensord.store.past import Past
from sensord.store.state import FILE, StateStore
from tests.notify.parts import SECRET_TEXT, START, Outputs, notification
from tests.store.parts import change
from tests.store.test_history import case, event, transition

OTHER_WORD = "UPDATE {0} SET json = CAST(replace(CAST(json AS TEXT), ?, ?) AS BLOB)"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A state with an open case, its story, and three red pages and one yellow."""
    pages = [notification(number, level=Level.YELLOW if number == 4 else Level.RED) for number in (1, 2, 3, 4)]
    with closing(StateStore(tmp_path)) as state:
        state.apply(Outputs(1, START, pages, [transition(1)], [event(1, 1)], [case(1)]))
    return tmp_path


@pytest.fixture
def state(directory: Path) -> Iterator[StateStore]:
    """The same, opened."""
    with closing(StateStore(directory)) as opened:
        yield opened


def heard(state: StateStore) -> list[str]:
    """Let what is said of damage be collected here."""
    said = list[str]()
    state.suspicion.hear = said.append
    return said


def reopened(directory: Path) -> str:
    """Start again; returns why the state is a new one."""
    store, why = StateStore.open_or_set_aside(directory, START + 9, 1)
    store.close()
    return why


def claimed(state: StateStore, now: int = START) -> list[str]:
    """The cases of the pages that are claimed."""
    return [entry.notification.case for entry in state.outbox.claim("desk", now, 9)]


DAMAGED_PAGES = {
    "a word that is none": "json = CAST(replace(CAST(json AS TEXT), 'case_opened', 'case_Opened') AS BLOB)",
    "no JSON": "json = x'7b'",
    "no text": "json = CAST(replace(CAST(json AS TEXT), '弄', '') AS BLOB) || x'ff'",
    "another's content": "json = CAST(replace(CAST(json AS TEXT), 'case-2', 'case-9') AS BLOB)",
    "a number": "json = 7",
    "a key that is no text": "key = CAST(x'ff' AS TEXT)",
    "a count that is none": "attempts = x'00'",
}


@pytest.mark.parametrize("damage", DAMAGED_PAGES.values(), ids=DAMAGED_PAGES)
def test_a_page_that_cannot_be_read_holds_up_no_other(directory: Path, damage: str) -> None:
    """It stays and is said, without a word of it; it is looked at again later; the next start makes the file anew."""
    change(directory / FILE, f"UPDATE outbox SET {damage} WHERE key LIKE 'case-2:%'")
    with closing(StateStore(directory)) as state:
        said = heard(state)
        assert claimed(state) == ["case-1", "case-3", "case-4"]
        assert len(said) == 1
        assert SECRET_TEXT not in said[0]
        assert claimed(state) == [], "it does not make a worker turn without a pause"
        assert state.outbox.next_due("desk") == START + outbox.PUT_OFF
        assert state.outbox.waiting() == {"desk": 4}
        assert claimed(state, START + outbox.PUT_OFF) == []
        assert len(said) == 2
    assert "moved to" in reopened(directory)
    assert reopened(directory) == "the state was lost, and is not made again yet", "it is set aside once"


def test_an_open_case_that_cannot_be_read_is_set_aside_with_its_file(directory: Path) -> None:
    """The core must know every open case: the start fails once, and the next one goes on with a new file."""
    change(directory / FILE, OTHER_WORD.format("cases"), '"dispatched"', '"dispAtched"')
    state, why = StateStore.open_or_set_aside(directory, START + 9, 1)
    assert why == "", "no look at the file shows it"
    with closing(state), pytest.raises(DamageError, match="a row is not what was written"):
        state.cases()
    assert "moved to" in reopened(directory)
    assert list(directory.glob(f"{FILE}.damaged-*[0-9]"))
    assert not (directory / f"{FILE}.suspect").exists()


def test_a_text_that_is_none_is_damage(directory: Path) -> None:
    """Python's own error has no code of SQLite's, and quotes the text."""
    change(directory / FILE, "UPDATE outbox SET channel = CAST(x'6465736bff' AS TEXT) WHERE key LIKE 'case-2:%'")
    with closing(StateStore(directory)) as state, pytest.raises(DamageError, match="a text in it") as raised:
        state._database.rows("counting", "SELECT channel FROM outbox")
    assert "desk" not in str(raised.value)
    assert "moved to" in reopened(directory)


def test_whoever_looks_back_notes_nothing(directory: Path) -> None:
    """It may be another user than the daemon's; a row that is not what was written is an error with what to do."""
    change(directory / FILE, OTHER_WORD.format("transitions"), '"raised"', '"rAised"')
    with pytest.raises(DamageError, match="a row is not what was written"):
        Past(directory).transition("t-1")
    assert reopened(directory) == ""


def test_a_full_disk_keeps_nobody_from_going_on(state: StateStore, directory: Path) -> None:
    """The mark cannot be written; it is tried again with the next look."""
    state._database.connection.execute("UPDATE outbox SET json = x'7b' WHERE key LIKE 'case-2:%'")
    (directory / f".{FILE}.suspect.new").mkdir()
    said = heard(state)
    assert claimed(state) == ["case-1", "case-3", "case-4"]
    (directory / f".{FILE}.suspect.new").rmdir()
    assert claimed(state, START + outbox.PUT_OFF) == []
    assert len(said) == 2
    assert (directory / f"{FILE}.suspect").exists()
