"""How long visits last: nights, visits without an end, and vehicles that were read as two."""

from __future__ import annotations

import pytest

from sensord.core.instant import DAY, HOUR, SECOND
from sensord.core.record import Record
from tests.core.follower import A_OTHER, A_STRAY, NIGHT, A, B, Follower, at, short, tick
from tests.core.traffic import MONDAY, START, token


def test_nights_are_counted_at_the_night_hour() -> None:
    """Each night inside adds one; the unread vehicle is not forgotten by it, and a stay of days makes unsure."""
    follower = Follower()
    follower.see(at(0, B), at(30, None), tick(60))
    assert follower.inside() == (2, 1)
    nights = [row for row in follower.see(tick(3 * DAY / SECOND)) if row.event == "overnight"]
    assert [(row.at, row.numbers["nights"]) for row in nights] == [
        (((day * DAY + 3 * HOUR) - (START - MONDAY)) / SECOND, float(day)) for day in (1, 2, 3)
    ]
    assert follower.inside() == (2, 2)


def nightly(day: int, plate: str = A) -> list[Record]:
    """A vehicle comes in the evening of a day and leaves the next morning."""
    evening = (day * DAY + 10 * HOUR) / SECOND
    return [at(evening, plate), at(evening + 12 * 3600, plate, "out"), tick(evening + 12 * 3600 + 60)]


def test_a_visit_without_an_end_is_not_believed_for_ever() -> None:
    """At the first night hour after the time of believing the visit ends as missed."""
    follower = Follower(rules=())
    follower.see(at(0, B))
    rows = follower.see(tick(31 * DAY / SECOND))
    assert [(row.at, row.event) for row in rows] == [(NIGHT + 4 * DAY / SECOND, "ended")]
    assert follower.inside()[0] == 0
    assert follower.tracker.counts["visit", "missed_exit"] == 1


@pytest.mark.parametrize("restart", [False, True])
def test_who_lives_here_may_stay_for_as_long_as_it_is_remembered(restart: bool) -> None:
    """Three visits over night make a resident, also over a restart: its visit is believed for weeks, and not unsure."""
    follower = Follower(rules=())
    follower.see(*nightly(0), *nightly(1), *nightly(2))
    if restart:
        follower.restart()
    came = 3 * DAY / SECOND + 36_000
    follower.see(at(came, A), tick(came + 6 * 86_400))
    assert follower.inside() == (1, 0)
    rows = follower.see(tick(came + 31 * 86_400))
    assert [(row.at, row.event) for row in rows] == [(came + 30 * 86_400, "ended")]


def test_two_nights_do_not_make_a_resident() -> None:
    """A guest who stays for a second night, and then for long, is still a guest: after a day that is unsure."""
    follower = Follower(rules=())
    follower.see(*nightly(0))
    came = 2 * DAY / SECOND + 36_000
    follower.see(at(came, A), tick(came + 2 * 86_400))
    assert follower.inside() == (1, 1)
    assert [row.event for row in follower.see(tick(came + 6 * 86_400))] == ["ended"]


def test_who_comes_and_goes_is_not_there_at_night() -> None:
    """After three short visits within a day one that lasts until the night has ended unseen; after two it goes on."""
    short_visits = [
        [at(600 * number, B), at(600 * number + 120, B, "out"), tick(600 * number + 200)] for number in range(3)
    ]
    for count, events in ((3, ["ended"]), (2, [])):
        follower = Follower(rules=())
        for records in short_visits[:count]:
            follower.see(*records)
        follower.see(at(3600, B))
        rows = follower.see(tick(NIGHT + 60))
        assert [row.event for row in rows] == events
        assert follower.inside()[0] == len(short_visits) - count


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("errands", "plate", "sureness", "since", "over"),
    [
        (3, A_STRAY, 0.7, True, True),
        (2, A_STRAY, 0.7, True, False),
        (3, B, 0.7, True, False),
        (3, A_STRAY, 0.97, True, False),
        (3, A_STRAY, 0.7, False, False),
    ],
)
def test_who_comes_and_goes_is_not_there_under_a_misread_plate(
    restart: bool, errands: int, plate: str, sureness: float, since: bool, over: bool
) -> None:
    """Of a courier's plate one character was misread as it came, nobody saw it leave, and it has passed since."""
    follower = Follower(rules=())
    for number in range(errands):
        follower.see(at(600 * number, A), at(600 * number + 120, A, "out"), tick(600 * number + 200))
    follower.see(at(3600, plate, "in", sureness), tick(3700))
    if since:
        follower.see(at(7200, A, gate="C2-N"), at(9000, A, "out", gate="C2-N"), tick(9100))
    if restart:
        follower.restart()
    rows = follower.see(tick(NIGHT + 60))
    assert [(row.event, row.vehicle) for row in rows] == ([("ended", plate)] if over else [])
    assert follower.inside()[0] == (not over)
    assert follower.tracker.counts["visit", "missed_exit"] == over


@pytest.mark.parametrize("plate", ["苏A12345", A_STRAY])
def test_a_neighbour_of_another_province_or_that_is_known_is_no_courier(plate: str) -> None:
    """Provinces have the same numbers, each its own; and who was seen before under this plate bears it."""
    follower = Follower(rules=())
    follower.names[token("苏A12345")] = "苏A12345"
    if plate == A_STRAY:
        follower.see(at(-7200, plate), at(-7000, plate, "out"), tick(-6000))
    for number in range(4):
        second = 600 * number + (3600 if number == 3 else 0)
        follower.see(at(second, A), at(second + 120, A, "out"), tick(second + 200))
        if number == 2:
            follower.see(at(3600, plate, "in", 0.7), tick(3700))
    assert follower.see(tick(NIGHT + 60)) == []
    assert follower.inside()[0] == 1


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
