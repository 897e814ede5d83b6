"""One vehicle that a camera read as two when it came: until when both are believed."""

from __future__ import annotations

import pytest

from tests.core.follower import A_OTHER, A_STRAY, NIGHT, A, B, Follower, at, short, tick
from tests.core.traffic import token


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("read", [(A, A_STRAY), (A_STRAY, A)])
def test_who_was_read_twice_is_gone_when_it_has_left(read: tuple[str, str], restart: bool) -> None:
    """Two sure readings of one passage were two vehicles; the one never seen before goes with the other, unmissed."""
    follower = Follower(rules=())
    follower.see(*[at(second, plate) for second, plate in enumerate(read)], tick(10))
    if restart:
        follower.restart()
    follower.see(at(3600, A, "out"), tick(3610))
    assert follower.inside()[0] == 1, "until the night it may be another"
    assert short(follower.see(tick(NIGHT + 60))) == [(NIGHT, "ended", "C1-N in", A_STRAY)]
    assert follower.inside() == (0, 0)
    assert (follower.tracker.counts["visit", "read_twice"], follower.tracker.counts["visit", "missed_exit"]) == (1, 0)


@pytest.mark.parametrize(("second", "plate"), [(1, B), (10, A_STRAY)])
def test_who_only_came_behind_another_is_there_at_night(second: float, plate: str) -> None:
    """Another plate, or a neighbour that was read later than one passage lasts, stays when the first one leaves."""
    follower = Follower(rules=())
    follower.see(at(0, A), at(second, plate), at(3600, A, "out"), tick(NIGHT + 60))
    assert set(follower.tracker.presence.compounds["C1"].visits) == {token(plate)}


@pytest.mark.parametrize("again", [False, True])
def test_of_two_neighbours_inside_one_goes_when_the_other_has_been_away(again: bool) -> None:
    """While both are there both are believed; one that left and came back was not both."""
    follower = Follower(rules=())
    back = [at(3600, A, "out"), at(7200, A)] if again else []
    follower.see(at(0, A), at(1, A_STRAY), *back, tick(NIGHT + 60))
    assert set(follower.tracker.presence.compounds["C1"].visits) == {token(A)} | (set() if again else {token(A_STRAY)})


def test_two_neighbours_that_leave_on_the_same_day_are_two() -> None:
    """Until the night both are believed: each has the length of its visit."""
    follower = Follower(rules=())
    follower.see(at(0, A), at(1, A_STRAY), at(3600, A, "out"), tick(3610))
    (left,) = follower.see(at(7200, A_STRAY, "out"), tick(7300))
    assert left.numbers["stay"] == 2.0


def test_a_neighbour_that_was_seen_before_is_there_at_night() -> None:
    """A plate that is known is no misreading."""
    follower = Follower(rules=())
    follower.see(at(-7200, A_STRAY), at(-7100, A_STRAY, "out"), tick(-7000))
    follower.see(at(0, A), at(1, A_STRAY), at(3600, A, "out"), tick(NIGHT + 60))
    assert follower.inside() == (1, 0)


def test_who_was_misread_twice_is_gone_when_it_has_left() -> None:
    """Both readings of the entry were wrong, each by a character: the vehicle that leaves was both."""
    follower = Follower(rules=())
    follower.see(at(0, A_STRAY), at(1, A_OTHER), at(3600, A, "out"), tick(3610))
    assert follower.inside()[0] == 1
    assert [row.event for row in follower.see(tick(NIGHT + 60))] == ["ended"]
    assert follower.inside() == (0, 0)


@pytest.mark.parametrize("since", [False, True])
def test_who_was_also_read_as_one_that_is_elsewhere_is_gone_after_a_day(since: bool) -> None:
    """One reading of the entry shows a vehicle that was seen elsewhere since; within a day that may be its clone."""
    follower = Follower(rules=())
    follower.see(at(-7200, A, gate="C2-N"), at(0, A_STRAY), at(1, A, "in", 0.7), tick(30))
    elsewhere = [at(3600, A, "out", gate="C2-N"), at(7200, A, gate="C2-N")] if since else []
    follower.see(*elsewhere, tick(NIGHT + 60))
    assert follower.inside()[0] == 1
    assert [row.event for row in follower.see(tick(NIGHT + 86_460))] == (["ended"] if since else [])
    assert follower.tracker.counts["visit", "missed_exit"] == since
