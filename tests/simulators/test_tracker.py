"""The tracker: what is new since the last look, once and in order."""

from __future__ import annotations

from sensord.core.instant import SECOND
from simulators.tracker import KEPT, Kind, Tracker
from tests.simulators.pictures import case, notification, overview
from tests.simulators.small import START


def test_a_case_is_followed_from_its_opening_to_its_end() -> None:
    """Opened, raised, closed when it is no longer listed; each is told once."""
    tracker, now = Tracker(), START
    looks = [[], [case()], [case()], [case(level="orange", peak="orange")], [case(level="none", peak="orange")], [], []]
    told = []
    for cases in looks:
        now += SECOND
        told.append([event.kind for event in tracker.update(overview(*cases), [], 0, now)])
    assert told == [[], [Kind.OPENED], [], [Kind.LEVEL], [], [Kind.CLOSED], []]
    (seen,) = tracker.cases
    assert (seen.state, seen.peak, seen.closed_at) == ("closed", "orange", START + 6 * SECOND)


def test_a_case_that_is_still_listed_when_closed_is_closed_once() -> None:
    """A daemon that goes on listing closed cases with ``closed_at`` gives the same events."""
    tracker = Tracker()
    tracker.update(overview(case()), [], 0, START)
    closed = case(state="closed", closed_at="2025-11-23T11:31:00+08:00")
    looks = [overview(closed), overview(closed), overview()]
    told = [tracker.update(look, [], 0, START + SECOND) for look in looks]
    assert [[event.kind for event in events] for events in told] == [[Kind.CLOSED], [], []]


def test_notifications_are_told_once_even_when_only_some_are_kept() -> None:
    """Only what arrived since the last look is told; what the receiver no longer keeps is not told again."""
    tracker = Tracker()
    first, second, third = (notification(str(number), START + number) for number in range(3))
    assert len(tracker.update(overview(), [first], 1, START)) == 1
    events = tracker.update(overview(), [second, third], 3, START)
    assert [event.received for event in events] == [second, third]
    assert tracker.update(overview(), [second, third], 3, START) == []
    assert len(tracker.update(overview(), [second, third], 9, START)) == 2


def test_open_cases_come_first_and_few_closed_ones_are_kept() -> None:
    """Open cases lead, newest first; of the closed ones a bounded number is remembered."""
    tracker = Tracker()
    for number in range(KEPT + 20):
        opened = f"2025-11-23T11:{number // 60:02d}:{number % 60:02d}+08:00"
        tracker.update(overview(case(f"c{number}", opened_at=opened)), [], 0, START + number * SECOND)
    assert tracker.cases[0].id == f"c{KEPT + 19}"
    assert not tracker.cases[0].closed_at
    assert all(one.closed_at for one in tracker.cases[1:])
    assert len(tracker.cases) == KEPT + 1


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """The rate follows what was received lately, not since the beginning."""
    tracker = Tracker()
    assert tracker.rate == 0.0
    for second in range(20):
        tracker.update(overview(received=second * 10), [], 0, START + second * SECOND)
    assert tracker.rate == 10.0
    for second in range(20, 30):
        tracker.update(overview(received=200), [], 0, START + second * SECOND)
    assert tracker.rate == 0.0
