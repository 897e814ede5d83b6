"""How places are described: the worst level below, blind and watched places counted; blind is never normal.

And what is journaled of somebody's count.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sensord.core.cases.case import Case, State
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND
from sensord.core.intake.spoken import Names, action
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.record import Action
from sensord.core.site import Step
from sensord.desk import Desk, describe_places
from sensord.drivers.overview import Standing
from sensord.ingest.clock import ArrivalClock
from sensord.ingest.queue import ArrivalQueue
from sensord.store.state import StateStore
from tests.core.street import START, definition


def described(levels: dict[str, Level], unknown: set[str]) -> dict[str, dict[str, object]]:
    """The street's places by id, with these alerts and blind places."""
    whole = definition()
    tree = Places(whole.places, whole.devices)
    standing = Standing(whole, tree, levels, frozenset(unknown))
    return {str(one["id"]): one for one in describe_places(standing, tree)}


@pytest.fixture(scope="module")
def lane() -> str:
    """A lane with a sensor."""
    whole = definition()
    return next(device.place for device in whole.devices if device.place.startswith("G1"))


def test_all_seen_and_well_is_normal(lane: str) -> None:
    """Every place with a sensor below is normal; one without is unwatched, which is not the same."""
    places = described({}, set())
    assert places[lane]["state"] == "normal"
    for place in places.values():
        assert place["state"] == ("normal" if place["total"] else "unwatched")


def test_one_blind_place_makes_all_above_unknown(lane: str) -> None:
    """Nobody may read "normal" where something is not seen."""
    whole = definition()
    above = set(Places(whole.places, whole.devices).path(lane).values())
    places = described({}, {lane})
    assert {place for place, one in places.items() if one["state"] == "unknown"} == above
    assert all(places[place]["unknown"] == 1 for place in above)


def test_the_worst_level_shows_above_and_beats_blindness(lane: str) -> None:
    """An alert stays visible; the count of blind places is told beside it."""
    whole = definition()
    tree = Places(whole.places, whole.devices)
    places = described({lane: Level.YELLOW, "G1": Level.ORANGE}, {lane})
    assert (places[lane]["state"], places[lane]["unknown"]) == ("yellow", 1)
    street = next(place.id for place in tree.places if place.parent is None)
    assert (places["G1"]["state"], places[street]["level"]) == ("orange", "orange")


def _desk(state: StateStore, *places: str) -> Desk:
    """The desk of the street, with a closed case for each of these places, called like it."""
    whole = definition()
    nothing: Any = None
    tree = Places(whole.places, whole.devices)
    core: Any = SimpleNamespace(standing=Standing(whole, tree, {}, frozenset()), site=SimpleNamespace(definition=whole))
    cases = [
        Case(place, "crowd", place, "G1", "r", State.CLOSED, Level.RED, Level.RED, START, closed_at=START + 1)
        for place in places
    ]
    state.apply(Step(1, START, cases=cases))
    return Desk(core, state, nothing, nothing, nothing)


@pytest.mark.parametrize(
    ("place", "zh", "en"),
    [("C1-N", "小区C1 北门", "小区C1 北门"), ("G2-L1", "小区C2 1弄", "小区C2 Lane 1"), ("gone", "gone", "gone")],
)
def test_a_case_says_where_it_is(tmp_path: Path, place: str, zh: str, en: str) -> None:
    """Every compound has a north gate: the page behind a link says of which."""
    with closing(StateStore(tmp_path)) as state:
        found = _desk(state, place).case(place)
    assert found is not None
    assert (found["place_name"], found["place_name_en"]) == (zh, en)


def test_a_count_is_of_the_same_moment_by_our_time(tmp_path: Path) -> None:
    """Somebody has set the host's clock an hour on, and ours makes up for it slowly: who counts now counts now."""
    wall, steady = [START], [0]
    clock = ArrivalClock(0, lambda: wall[0], lambda: steady[0])
    clock.arrival()
    wall[0] += HOUR + MINUTE
    steady[0] += MINUTE
    queue = ArrivalQueue(1 << 20)
    with closing(StateStore(tmp_path)) as state:
        desk = _desk(state)
        desk._queue, desk._clock = queue, clock
        desk.act(Action("count", "C1", "operator", vehicles=3, at=wall[0] - SECOND))
    (record,) = (arrival.record for arrival in queue.take_urgent(0.0))
    assert record is not None
    assert record.received_at < START + 3 * MINUTE
    assert action(record, Names((), ("C1",), "UTC")).at == record.received_at - SECOND


def test_a_case_whose_story_is_deleted_says_so(tmp_path: Path) -> None:
    """It stays for longer than its events and messages: an empty story of such a case is not one without any."""
    with closing(StateStore(tmp_path)) as state:
        desk = _desk(state, "old")
        assert "known_since" not in (desk.case("old") or {})
        state.keeping.prune(START + 30 * DAY, 0)
        found = desk.case("old")
    assert found is not None
    assert (found["id"], found["events"], found["messages"]) == ("old", [], [])
    assert found["known_since"] == "2023-12-15T06:13:20+08:00"
