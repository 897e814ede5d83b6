"""Device clocks: a table of what devices do, and how their readings must be judged."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sensord.core.instant import DAY, HOUR, MINUTE, SECOND
from sensord.core.intake.clock import PLAUSIBLE, Clock
from tests.core.street import START

PERIOD = 10 * SECOND
LATENESS = 2 * SECOND


@dataclass(frozen=True)
class Sent:
    """A reading: arrival and stamp in seconds after START (stamp None: it has none)."""

    arrival: float
    stamp: float | None


def judge(
    sent: list[Sent], period: int = PERIOD, *, lateness: int = LATENESS, camera: bool = False, finding: bool = False
) -> list[tuple[float, bool]]:
    """Return (event time in seconds after START, suspect) per reading."""
    clock, out = Clock(), []
    for one in sent:
        stamp = None if one.stamp is None else START + round(one.stamp * SECOND)
        arrival = START + round(one.arrival * SECOND)
        event, suspect = clock.event_time(stamp, arrival, period, lateness, camera=camera, finding=finding)
        out.append(((event - START) / SECOND, suspect))
    return out


def fresh(judged: list[tuple[float, bool]], sent: list[Sent]) -> bool:
    """Whether every reading counts as of its arrival, give or take the lateness."""
    return all(one.arrival - 2 <= event <= one.arrival for (event, _), one in zip(judged, sent, strict=True))


@pytest.mark.parametrize("skew", [0, -30, 30, -300, 300, -3600, 3600])
def test_a_constant_skew_is_corrected(skew: float) -> None:
    """A clock that is constantly off gives the same event times as a right one, and no suspicion.

    Only the very first reading of one that is behind is taken for a stored one.
    """
    sent = [Sent(second, second + skew - 0.05 * (second % 3)) for second in range(0, 600, 10)]
    judged = judge(sent)
    known = 1 if skew < 0 else 0
    assert fresh(judged[known:], sent[known:])
    assert [event for event, _ in judged[:known]] == [one.stamp for one in sent[:known]]
    assert not any(suspect for _, suspect in judged)


def test_a_drifting_clock_stays_fresh() -> None:
    """A clock that loses a second an hour is followed."""
    sent = [Sent(second, second * (1 - 1 / 3600)) for second in range(0, 6 * 3600, 10)]
    assert fresh(judge(sent), sent)


@pytest.mark.parametrize("stamp", [-START / SECOND, DAY / SECOND, -400 * DAY / SECOND])
def test_nonsense_counts_on_arrival_and_is_flagged(stamp: float) -> None:
    """Epoch 0, a day ahead, more than a year behind: judged by arrival, suspect."""
    sent = [Sent(second, stamp + second) for second in range(0, 200, 10)]
    judged = judge(sent)
    assert fresh(judged, sent)
    assert all(suspect for _, suspect in judged)


def test_no_stamp_counts_on_arrival() -> None:
    """A reading without a stamp is taken at its arrival."""
    assert judge([Sent(5, None)]) == [(5.0, True)]


@pytest.mark.parametrize("jump", [-5, -30, -300, -7200, 5, 300, 7200])
def test_a_clock_that_is_set_never_makes_fresh_readings_late(jump: float) -> None:
    """When the clock is set back or forward while the device keeps sending, no reading becomes late."""
    sent = [Sent(second, second if second < 300 else second + jump) for second in range(0, 900, 10)]
    judged = judge(sent)
    assert fresh(judged, sent)
    assert not judged[-1][1], "the new offset has been learnt"


def test_a_clock_that_jumps_all_the_time_is_judged_by_arrival() -> None:
    """A clock that is another one in every message cannot make its readings late."""
    jumps = (0, -300, 40, -7000, 3000, 0, -12)
    sent = [Sent(second, second + jumps[second // 10 % len(jumps)]) for second in range(0, 900, 10)]
    assert fresh(judge(sent), sent)


def test_a_clock_that_jumps_is_no_backlog_where_messages_are_missing() -> None:
    """Every second one is: a small jump back looks like a stall, and none of these readings becomes late."""
    jumps = (0, -5, 8, -12, 3, -15, -4)
    sent = [Sent(second, second + jumps[second // 20 % len(jumps)]) for second in range(0, 1800, 20)]
    assert fresh(judge(sent), sent)


@pytest.mark.parametrize("outage", [10 * MINUTE, HOUR, 6 * HOUR])
def test_stored_readings_keep_their_own_times(outage: int) -> None:
    """After an outage the stored readings come in a burst: each at its own time, the last ones fresh."""
    before = [Sent(second, second) for second in range(0, 300, 10)]
    back = 300 + outage // SECOND
    stored = [Sent(back + number * 0.02, 300 + number * 10) for number in range((outage // SECOND) // 10)]
    after = [Sent(back + 60 + second, back + 60 + second) for second in range(0, 100, 10)]
    judged = judge([*before, *stored, *after])
    history = judged[len(before) : len(before) + len(stored)]
    for (event, _), one in zip(history, stored, strict=True):
        assert event == pytest.approx(one.stamp)
    assert fresh(judged[-len(after) :], after)


def test_a_camera_that_speaks_at_irregular_times() -> None:
    """Events seconds apart on a device with a period of a minute: a clock set back makes at most the first one late."""
    arrivals = [0, 3, 4, 31, 60, 62, 63, 90, 100, 101, 120, 130]
    sent = [Sent(at, at if at < 62 else at - 300) for at in arrivals]
    judged = judge(sent, MINUTE)
    late = [one for (event, _), one in zip(judged, sent, strict=True) if event < one.arrival - 2]
    assert len(late) <= 1


@pytest.mark.parametrize("slow", [30, 3600])
def test_the_first_passage_of_a_slow_camera_has_one_time(slow: float) -> None:
    """As if it had been stored, in all its readings; the next one is taken as of now."""
    sent = [Sent(at + part, at + part - slow) for at in (0, 400, 700) for part in (0, 0.6, 1.2)]
    judged = judge(sent, MINUTE, camera=True)
    assert [event for event, _ in judged[:3]] == pytest.approx([one.stamp for one in sent[:3]])
    assert fresh(judged[3:], sent[3:])


@pytest.mark.parametrize("old", [HOUR, 13 * HOUR])
def test_stored_readings_as_the_first_word_are_of_their_own_times(old: int) -> None:
    """Whatever comes first of a device that nobody has heard before, it is no crowd of now."""
    stored = [Sent(number * 0.01, number * 5 - old // SECOND) for number in range(720)]
    judged = judge([*stored, Sent(10, 9.9)], MINUTE)
    assert [event for event, _ in judged] == pytest.approx([one.stamp for one in (*stored, Sent(10, 9.9))], abs=2)


@pytest.mark.parametrize("slow", [30 * SECOND, HOUR, PLAUSIBLE + HOUR])
def test_the_first_thing_that_somebody_reports_is_of_now(slow: int) -> None:
    """By a telephone that is slow: nobody says it again."""
    assert judge([Sent(0, -slow / SECOND)], HOUR, finding=True) == [(0, slow > PLAUSIBLE)]
