"""What was, read back: cases by id, code and state, stories in order, changes by group."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sensord.core.alert import Change, Transition
from sensord.core.cases.case import Case, CaseEvent, Happening, State
from sensord.core.cases.notification import Hold, Reason
from sensord.core.level import Level
from sensord.store.state import StateStore
from tests.notify.parts import START, Outputs, notification

CODE = "3101060410100001"


def case(number: int, *, closed_at: int = 0, code: str = "") -> Case:
    """A case; the higher the number, the later it was opened."""
    level, state = Level.RED, State.CLOSED if closed_at else State.DISPATCHED
    opened = START + number
    made = Case(f"case-{number}", "crowd", "lane-99", "G01", "crowding", state, level, level, opened)
    made.closed_at, made.code = closed_at, code
    return made


def event(number: int, nth: int) -> CaseEvent:
    """The nth event of a case."""
    name = f"case-{number}"
    return CaseEvent(
        f"{name}:{nth}", name, "crowd", "lane-99", START + nth, Happening.LEVEL_ROSE, State.FILED,
        Level.RED, Level.NONE, "t",
    )  # fmt: skip


def hold(number: int, receiver: str) -> Hold:
    """A message that was not sent."""
    return Hold(f"case-{number}", f"case-{number}:1", START, "cadre", Reason.HELD_OFF_DUTY, receiver)


def transition(nth: int) -> Transition:
    """A change of an alert."""
    return Transition(
        f"t-{nth}", "crowding", "v", "lane-99", "lane-99", Change.RAISED, Level.RED, Level.NONE, START, START,
        4.0, 3.0, 6,
    )  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateStore]:
    """Three groups: two cases open, one closed; holds of both in one group."""
    store = StateStore(tmp_path)
    store.apply(
        Outputs(1, START, [notification(1)], [transition(1)], [event(1, 1)], [case(1, code=CODE)], [hold(1, "a")])
    )
    store.apply(Outputs(2, START, [], [], [event(2, 1)], [case(2, closed_at=START + 9)]))
    both = [hold(2, "b"), hold(1, "c")]
    store.apply(Outputs(3, START, [notification(1, "sms")], [transition(2)], [event(1, 2)], [case(3)], both))
    yield store
    store.close()


def test_cases_by_state_newest_first(state: StateStore) -> None:
    """Open, closed, all; no more than asked for."""
    found = {which: [one.id for one in state.history.cases(which, 10)] for which in ("open", "closed", "all")}
    assert found == {"open": ["case-3", "case-1"], "closed": ["case-2"], "all": ["case-3", "case-2", "case-1"]}
    assert [one.id for one in state.history.cases("all", 1)] == ["case-3"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("case-1", "case-1"), (CODE, "case-1"), ("9" * 16, None), ("", None), ("case-9", None), ("'", None), ("²", None)],
)
def test_a_case_by_id_or_code(state: StateStore, name: str, found: str | None) -> None:
    """What is neither is nothing."""
    case = state.history.case(name)
    assert (case.id if case else None) == found


def test_a_story_is_its_cases_alone_and_in_order(state: StateStore) -> None:
    """Events, messages with what became of them, and holds, though others' stand between them."""
    history = state.history
    state.outbox.claim("desk", START, 10)
    state.outbox.fail(notification(1).key, START + 5, "no such number")
    assert [one.id for one in history.events("case-1")] == ["case-1:1", "case-1:2"]
    assert [(one.notification.channel, one.state, one.settled_at, one.error) for one in history.messages("case-1")] == [
        ("desk", "failed", START + 5, "no such number"),
        ("sms", "pending", 0, ""),
    ]
    assert [one.receiver for one in history.holds("case-1")] == ["a", "c"]
    assert history.holds("case-9") == []


def test_changes_come_group_by_group(state: StateStore) -> None:
    """Transitions before the case events that they caused, each with its group; the bounds are kept."""
    changes = [(seq, change.id) for seq, change in state.history.changes(0, 3)]
    assert changes == [(1, "t-1"), (1, "case-1:1"), (2, "case-2:1"), (3, "t-2"), (3, "case-1:2")]
    assert [seq for seq, _ in state.history.changes(1, 2)] == [2]


def test_what_was_is_looked_up_beside_what_is_written(state: StateStore) -> None:
    """Whoever asks waits for no transaction, and so none waits for whoever asks; what is committed is seen."""
    questions = (lambda: len(state.history.cases("all", 10)), state.outbox.waiting, state.outbox.oldest)
    with ThreadPoolExecutor() as pool, state._database.transaction("applying a step") as connection:
        connection.execute("DELETE FROM cases")
        found = [pool.submit(question).result(timeout=30) for question in questions]
    assert found == [3, {"desk": 1, "sms": 1}, {"desk": START, "sms": START}]
    assert state.history.cases("all", 10) == []


def test_a_channel_on_which_nothing_waits_is_counted_as_well(state: StateStore) -> None:
    """Else its gauge would stand for ever at what waited last."""
    assert state.outbox.waiting() == {"desk": 1, "sms": 1}
    (entry,) = state.outbox.claim("desk", START, 10)
    assert state.outbox.waiting()["desk"] == 1
    state.outbox.done(entry.notification.key, START + 1, "")
    assert (state.outbox.waiting(), state.outbox.oldest()) == ({"desk": 0, "sms": 1}, {"desk": 0, "sms": START})


def test_what_the_watchdog_asks_waits_for_nobodys_list(state: StateStore) -> None:
    """While a year of cases is looked up, the outbox is asked over another connection."""
    with ThreadPoolExecutor(2) as threads, state.history._questions._lock:
        assert threads.submit(state.outbox.waiting).result(5)
        assert threads.submit(state.outbox.oldest).result(5)
