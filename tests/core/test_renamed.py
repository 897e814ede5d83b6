"""Entries that later readings show to be another vehicle's: whose visit that is, and what is known of the other one."""

from __future__ import annotations

import pytest

from sensord.core.record import Record
from tests.core.follower import A_CONFUSED, A_STRAY, NIGHT, A, Follower, Row, at, short, tick
from tests.core.traffic import token


def misread(second: float, first: str = A_CONFUSED) -> list[Record]:
    """A vehicle comes; its first reading is sure and wrong, and two more say that it is A."""
    return [at(second, first), at(second + 1, A, "in", 0.8), at(second + 2, A, "in", 0.8)]


def known(follower: Follower) -> list[set[str]]:
    """The vehicles that are inside, that are traced, and that are known."""
    presence = follower.tracker.presence
    everybody = presence.compounds["C1"].visits, presence.traces, presence.known
    return [{follower.names[one] for one in tokens} for tokens in everybody]


def stays(rows: list[Row]) -> list[tuple[str, float]]:
    """Whose stay was said to be how long (hours)."""
    return [(row.vehicle, row.numbers["stay"]) for row in rows if "stay" in row.numbers]


@pytest.mark.parametrize("restart", [False, True])
def test_who_is_inside_and_comes_again_has_left_unseen(restart: bool) -> None:
    """Its exit was missed, also when the first reading of the entry was another plate's: that one never existed."""
    follower = Follower(rules=())
    follower.see(at(0, A), tick(10))
    rows = follower.see(*misread(36_000))
    assert short(rows) == [
        (36_000, "passed", "C1-N in", A_CONFUSED),
        (36_002, "ended", "C1-N in", A),
        (36_002, "recognised", "C1-N in", A),
    ]
    assert follower.tracker.counts["visit", "missed_exit"] == 1
    if restart:
        follower.restart()
    assert known(follower) == [{A}, {A}, {A}]
    assert follower.inside() == (1, 1)
    assert stays(follower.see(at(39_600, A, "out"), tick(39_700))) == [(A, 1.0)]
    assert follower.inside() == (0, 1)


def test_who_has_just_come_was_read_twice() -> None:
    """Two sure readings of one passage were two vehicles, until two more say that the second is the first, too."""
    follower = Follower(rules=())
    rows = follower.see(at(0, A), *misread(1, A_STRAY))
    assert short(rows)[2:] == [(3, "ended", "C1-N in", A_STRAY), (3, "recognised", "C1-N in", A)]
    assert known(follower) == [{A}, {A}, {A}]
    assert follower.tracker.presence.compounds["C1"].visits[token(A)].twins == ()
    assert follower.tracker.counts["visit", "read_twice"] == 1
    assert follower.inside() == (1, 0)
    assert stays(follower.see(at(3600, A, "out"), tick(3700))) == [(A, 1.0)]


def test_who_has_left_since_is_not_there() -> None:
    """What more readings say of an entry is history when its vehicle has left by another gate meanwhile."""
    follower = Follower(rules=())
    for second, plate in ((-9000, A), (-7000, A_CONFUSED)):  # so that neither is taken for the other when it leaves
        follower.see(at(second, plate), at(second + 1000, plate, "out"), tick(second + 1100))
    follower.see(at(0, A_CONFUSED), at(1, A, "out", gate="C1-S"), tick(5))
    follower.see(at(6, A, "in", 0.8), at(7, A, "in", 0.8), tick(60))
    assert known(follower)[0] == set()


def test_another_entry_of_the_one_it_was_taken_for_is_left_alone() -> None:
    """It came again by another gate: that visit is its own, whatever its first entry turns out to be."""
    follower = Follower(rules=())
    entry, *more = misread(0)
    follower.see(entry, at(0.5, A_CONFUSED, gate="C1-S"), *more, tick(60))
    assert known(follower)[0] == {A_CONFUSED}
    assert stays(follower.see(at(3600.5, A_CONFUSED, "out"), tick(3700))) == [(A_CONFUSED, 1.0)]


@pytest.mark.parametrize("restart", [False, True])
def test_whoever_may_be_a_misread_vehicle_may_be_the_one_it_was(restart: bool) -> None:
    """A neighbour of it that came at the same moment goes at night, when the vehicle has left under its own plate."""
    follower = Follower(rules=())
    follower.see(at(0, A_STRAY), *misread(1), tick(30))
    if restart:
        follower.restart()
    follower.see(at(3600, A, "out"), tick(3700))
    assert known(follower)[0] == {A_STRAY}
    assert short(follower.see(tick(NIGHT + 60))) == [(NIGHT, "ended", "C1-N in", A_STRAY)]
