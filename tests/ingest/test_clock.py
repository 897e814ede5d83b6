"""The clock of arrivals while the host's clock is set: a wall and a steady clock that the test moves."""

from __future__ import annotations

from itertools import pairwise

from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.ingest.clock import ArrivalClock

START = 1_777_000_000 * SECOND


class Host:
    """The host's two clocks."""

    def __init__(self, wall: int = START) -> None:
        """Begin together."""
        self.wall, self.steady = wall, 0

    def passes(self, duration: int) -> None:
        """Let time pass on both."""
        self.wall += duration
        self.steady += duration


def clock_of(host: Host, floor: int = 0) -> ArrivalClock:
    """The clock of arrivals on such a host."""
    return ArrivalClock(floor, lambda: host.wall, lambda: host.steady)


def begun(host: Host, floor: int = 0) -> ArrivalClock:
    """A clock that has stamped its first message."""
    clock = clock_of(host, floor)
    clock.arrival()
    return clock


def test_before_the_first_message_it_follows_forward_at_once() -> None:
    """A box that started 60 hours in the past and is set by NTP: no message is of then; after one, no leap."""
    host = Host()
    clock = clock_of(host)
    host.wall += 60 * HOUR
    assert clock.arrival() == host.wall
    host.wall += 60 * HOUR
    host.passes(SECOND)
    assert clock() == host.wall - 60 * HOUR + SECOND


def _run(host: Host, clock: ArrivalClock, duration: int, step: int = SECOND) -> list[int]:
    """Call the clock each ``step`` for ``duration``."""
    instants = []
    for _ in range(duration // step):
        host.passes(step)
        instants.append(clock())
    return instants


def test_it_follows_the_host() -> None:
    """Nobody touches the clock: the host's time, exactly; small steps forward are followed at once."""
    host = Host()
    clock = begun(host)
    assert clock() == START
    host.passes(10 * SECOND)
    assert clock() == START + 10 * SECOND
    host.wall += SECOND
    assert clock() == host.wall


def test_a_small_step_back_is_waited_out() -> None:
    """Time stands still for a moment rather than going back."""
    host = Host()
    clock = begun(host)
    host.wall -= SECOND
    assert clock() == START
    host.passes(SECOND)
    assert clock() == START
    host.passes(SECOND)
    assert clock() == START + SECOND


def test_an_hour_back_neither_stops_nor_reverses_time() -> None:
    """Half speed until the host has caught up, then its time again: absences and escalation go on."""
    host = Host()
    clock = begun(host)
    host.wall -= HOUR
    instants = [START, *_run(host, clock, HOUR)]
    assert [after - before for before, after in pairwise(instants)] == [SECOND // 2] * 3600
    instants = _run(host, clock, 2 * HOUR)
    assert instants == sorted(instants)
    assert instants[-1] == host.wall


def test_an_hour_forward_is_no_leap() -> None:
    """Double speed until the host's time is reached: no sensor seems silent at once."""
    host = Host()
    clock = begun(host)
    host.wall += HOUR
    assert clock.apart == HOUR
    _run(host, clock, HOUR // 2)
    assert clock.apart == HOUR // 2
    host.passes(MINUTE)
    assert clock.apart == HOUR // 2, "asking changes nothing"
    assert _run(host, clock, HOUR)[-1] == host.wall
    assert clock.apart == 0


def test_an_hour_forward_is_made_up_for_evenly() -> None:
    """Each second counts twice until the host's time is reached."""
    host = Host()
    clock = begun(host)
    host.wall += HOUR
    instants = [START, *_run(host, clock, 2 * HOUR)]
    steps = [after - before for before, after in pairwise(instants)]
    assert max(steps[: HOUR // SECOND - 10]) == 2 * SECOND == min(steps[: HOUR // SECOND - 10])
    assert max(steps) <= 4 * SECOND
    assert instants[-1] == host.wall


def test_time_never_goes_back_however_often_the_clock_is_set() -> None:
    """Jumps in both directions in a row."""
    host = Host()
    clock = begun(host)
    instants = [clock()]
    for jump in (HOUR, -2 * HOUR, 5 * SECOND, -3 * SECOND, 30 * MINUTE, -30 * MINUTE):
        host.wall += jump
        instants += _run(host, clock, MINUTE)
    assert instants == sorted(instants)


def test_after_a_restart_it_continues_from_the_journal() -> None:
    """A host whose clock is behind the journal starts at the journal's time, and time goes on."""
    host = Host()
    clock = begun(host, floor=START + HOUR)
    assert clock() == START + HOUR
    host.passes(10 * SECOND)
    assert clock() == START + HOUR + 5 * SECOND


def test_downtime_is_no_jump() -> None:
    """After a day of downtime the first instant is the host's."""
    host = Host()
    assert clock_of(host, floor=START - 24 * HOUR)() == START
