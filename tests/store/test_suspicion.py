"""Rows that are not what was written: nobody is held up by one, and the next start sets the file aside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from sensord.core.cases.reports import CASE as REPORT_CASE
from sensord.core.level import Level
from sensord.errors import DamageError
from sensord.store import outbox
from sensord.store.past import Past
from sensord.store.state import FILE, StateStore
from tests.notify.parts import SECRET_TEXT, START, Outputs, notification
from tests.store.parts import change
from tests.store.test_history import case, event, hold, transition

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
    store, why = StateStore.open_or_set_aside(directory, START + 9, 9)
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


def test_a_file_that_cannot_be_opened_is_set_aside_by_the_next_start(directory: Path) -> None:
    """A look at the file finds nothing wrong with another kind's number, nor with a row that an upgrade trips over."""
    change(directory / FILE, "PRAGMA application_id=7")
    with pytest.raises(DamageError):
        StateStore.open_or_set_aside(directory, START + 9, 1)
    assert "moved to" in reopened(directory)


def test_an_ended_case_that_cannot_be_read_does_not_stop_the_upkeep(tmp_path: Path) -> None:
    """What cannot forget its vehicle goes when that must be forgotten; the others stay."""
    with closing(StateStore(tmp_path)) as state:
        state.apply(Outputs(1, START, [], [], [], [case(1, closed_at=START), case(2, closed_at=START)]))
    change(tmp_path / FILE, "UPDATE cases SET vehicle = 1")
    change(tmp_path / FILE, "UPDATE cases SET json = x'7b' WHERE id = 'case-1'")
    with closing(StateStore(tmp_path)) as state:
        state.keeping.prune(START + 1, START)
        assert [one.id for one in state.history.cases("all", 9)] == ["case-2"]
        assert state._database.rows("counting", "SELECT id, vehicle FROM cases") == [("case-2", 0)]


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


ROW = {
    "cases": "id = 'case-1'",
    "case_events": "id = 'case-1:1'",
    "transitions": "id = 't-1'",
    "outbox": "key LIKE 'case-1:%'",
    "holds": "seq = 1 AND ord = (SELECT min(ord) FROM holds WHERE seq = 1)",
}
"""Which row is damaged."""


@pytest.fixture
def lived(tmp_path: Path) -> Path:
    """A state with two cases, a page, an event, a transition and a hold of each group, and two reports of each."""
    with closing(StateStore(tmp_path)) as state:
        for number in (1, 2):
            pages = [notification(number), notification(number + 2, case=REPORT_CASE, event=f"report-{number}")]
            holds = [hold(1, "a"), replace(hold(1, "b"), case=REPORT_CASE, event=f"held-{number}")]
            code = f"310106041010000{number}"
            said = [transition(number)], [event(1, number)], [case(number, code=code)], holds
            state.apply(Outputs(number, START + number, pages, *said))
    return tmp_path


@pytest.mark.parametrize("damage", ["x'7b'", "x'7b7dff'", "7", "CAST('{}' AS BLOB)"])
@pytest.mark.parametrize("table", ROW)
def test_who_looks_back_sees_all_other_rows(lived: Path, table: str, damage: str) -> None:
    """Each list holds what can be read, and it is said that something cannot."""
    change(lived / FILE, f"UPDATE {table} SET json = {damage} WHERE {ROW[table]}")
    with closing(StateStore(lived)) as state:
        said, history = heard(state), state.history
        found = {
            "cases": len(history.cases("all", 9)),
            "case_events": len(history.events("case-1")),
            "transitions": len(history.alarms(START, START + 9)),
            "outbox": len(history.messages("case-1")) + len(history.messages("case-2")),
            "holds": len(history.holds("case-1")),
        }
        assert found == {name: 2 - (name == table) for name in ROW}
        assert len(history.alarms(START + 1, START + 9)) == 1, "the newest before that"
        assert len(history.between(START, START + 9)) == found["cases"]
        assert len(history.changes(0, 9)) == 4 - (table in ("case_events", "transitions"))
        assert history.case("3101060410100002") is not None
        assert len(said) > 0
    assert reopened(lived) == "", "the rows beside it may be nowhere else"


@pytest.mark.parametrize("damage", ["x'7b'", "x'7b7dff'", "7", "CAST('{}' AS BLOB)"])
@pytest.mark.parametrize(("table", "lost"), [("outbox", "report-1"), ("holds", "held-1")])
def test_a_report_that_cannot_be_read_keeps_no_other_from_being_made(
    lived: Path, table: str, lost: str, damage: str
) -> None:
    """What the report task asks every two seconds names all others."""
    named = f"json_extract(CAST(json AS TEXT), '$.event') = '{lost}'"
    change(lived / FILE, f"UPDATE {table} SET json = {damage} WHERE {named}")
    with closing(StateStore(lived)) as state:
        said = heard(state)
        found = {event for _, event in state.history.reports(0, 0)}
        assert found == {"report-1", "report-2", "held-1", "held-2"} - {lost}
        assert len(said) == 1


def test_a_case_that_cannot_be_read_is_no_case_that_is_not_there(lived: Path) -> None:
    """Who asks for it hears that it is damaged."""
    change(lived / FILE, "UPDATE cases SET json = x'7b' WHERE id = 'case-1'")
    with closing(StateStore(lived)) as state:
        with pytest.raises(DamageError, match="reading a case"):
            state.history.case("case-1")
        assert state.history.case("case-9") is None
