"""Devices that send several readings at once: a clock that was set blinds none, and a backlog stays one."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import groupby
from operator import neg

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.instant import SECOND
from sensord.core.intake.clock import PLAUSIBLE, PROOF, Clock
from tests.core.street import START

DEVICE, STAMP, HOST = "its clock is set", "one stamp is ahead", "our time catches up at double speed"


@dataclass
class Device:
    """Says something ``every`` so many seconds, and sends what it has said when it is told to."""

    every: float
    period: float
    lateness: float
    off: float = 0.0
    clock: Clock = field(default_factory=Clock)
    said: float = 0.0

    def hear(self, stamp: float, arrival: float) -> float:
        """How old the reading with this stamp (by a right clock) is as it is judged on arrival (seconds)."""
        times = (round(one * SECOND) + START for one in (stamp + self.off, arrival))
        stamped, received_at = times
        event, _ = self.clock.event_time(
            stamped, received_at, round(self.period * SECOND), round(self.lateness * SECOND)
        )
        return (received_at - event) / SECOND

    def send(self, now: float, behind: float = 0.0, last: float = 0.0) -> float:
        """Send all that was said until now; ``behind`` is added to arrivals, ``last`` to the last stamp.

        Returns how old the newest reading is.
        """
        youngest, sent = float("inf"), 0
        while self.said + self.every < now + 0.001:
            self.said += self.every
            ahead = last if self.said + self.every > now + 0.001 else 0.0
            youngest = min(youngest, self.hear(self.said + ahead, now + behind + 0.005 * sent))
            sent += 1
        return youngest


@dataclass(frozen=True)
class Sending:
    """A way to send: ``size`` readings at once, one ``every`` so many seconds; its ``period`` says which of both."""

    size: int
    every: float
    whole: bool
    lateness: float

    def device(self, off: float) -> Device:
        """One that sends so."""
        return Device(self.every, self.pause if self.whole else self.every, self.lateness, off)

    @property
    def pause(self) -> float:
        """Seconds between bursts."""
        return self.size * self.every


WAYS = st.builds(
    Sending,
    st.sampled_from((1, 2, 3, 5, 12)),
    st.sampled_from((1.0, 5.0, 10.0)),
    st.booleans(),
    st.sampled_from((2.0, 30.0)),
)
FAR = st.sampled_from((13 * 3600.0, 7 * 86400.0))
"""A clock that is so far behind is nonsense, and never learnt."""
DICE = st.randoms(use_true_random=False)
OFFSETS = st.sampled_from((0.0, -30.0, 300.0, -3600.0))


def blind(way: Sending, off: float, what: str, step: float, before: int = 12, after: int = 40) -> list[bool]:
    """Which of the bursts after a step told nothing of now: not even the newest reading was fresh."""
    device, found = way.device(off), list[bool]()
    for number in range(1, before + after + 1):
        now, since = number * way.pause, (number - before) * way.pause
        if number == before + 1 and what == DEVICE:
            device.off += step
        behind = min(max(since, 0.0), abs(step)) if what == HOST else 0.0
        last = abs(step) if number == before + 1 and what == STAMP else 0.0
        newest = device.send(now, behind, last)
        if number > before:
            found.append(newest > way.lateness + 0.1)
    return found


@pytest.mark.parametrize(
    ("what", "step"), [(DEVICE, -3.0), (DEVICE, -300.0), (HOST, 10.0), (HOST, 3600.0), (STAMP, 300.0)]
)
@pytest.mark.parametrize("size", [1, 5, 10])
def test_a_clock_that_was_set_blinds_nobody_for_long(size: int, what: str, step: float) -> None:
    """A sensor that speaks once a second, and sends that every few seconds."""
    found = blind(Sending(size, 1.0, whole=False, lateness=2.0), 0.0, what, step, after=4000 // size)
    assert sum(found) <= 4


@given(
    way=WAYS,
    off=OFFSETS,
    what=st.sampled_from((DEVICE, STAMP, HOST)),
    step=st.sampled_from((-2.5, -3.0, -10.0, -60.0, -300.0, -7200.0, 40.0)),
)
@settings(max_examples=150)
def test_no_step_blinds_for_more_than_a_few_bursts(way: Sending, off: float, what: str, step: float) -> None:
    """Whatever is set, by whatever, however many readings come together."""
    stretches = [len(list(stretch)) for told, stretch in groupby(blind(way, off, what, step)) if told]
    assert max(stretches, default=0) <= 4


@given(
    way=WAYS,
    off=st.sampled_from((0.0, -30.0, 300.0)) | FAR.map(neg),
    known=st.booleans(),
    outage=st.sampled_from((6, 20, 100)),
    chunk=st.sampled_from((5, 20, 10**6)),
    rest=st.sampled_from((0.3, 1.0, 3.0, 10.0)),
)
@settings(max_examples=150)
def test_a_backlog_keeps_its_own_times(
    way: Sending, off: float, known: bool, outage: int, chunk: int, rest: float
) -> None:
    """Sent at once or piece by piece, faster than it was said: nothing of it is taken for now, be it the first word.

    Of a clock that is nonsense the last minute may be.
    """
    device, young = way.device(off if known else 0.0), way.pause + way.lateness
    if device.off * SECOND < -PLAUSIBLE:
        young += PROOF / SECOND
    for number in range(1, 13 if known else 1):
        device.send(number * way.pause)
    now, sent = device.said + outage * way.pause, 0
    if chunk / (rest + 0.02 * chunk) < 3 / way.every:
        chunk = 10**6
    while (stamp := device.said + way.every) <= now:
        device.said, old = stamp, now - stamp
        judged = device.hear(stamp, now)
        if old > young:
            assert judged >= old - 0.5
        sent += 1
        now += 0.02 + (rest if sent % chunk == 0 else 0.0)
    now = max(now, device.said + 0.1)
    for _ in range(3):
        now += way.pause
        newest = device.send(now)
    assert newest <= way.lateness + way.every


def test_a_backlog_that_drains_slowly_is_no_clock_that_was_set() -> None:
    """Where much lateness is allowed, all bursts of a minute are of about one age; but they catch up."""
    device, now = Device(1.0, 1.0, 30.0), 0.0
    for _ in range(60):
        now += 1.0
        device.send(now)
    now += 3600.0
    while now - device.said > 60:
        for number in range(16):
            device.said += 1.0
            arrival = now + 0.02 * number
            assert device.hear(device.said, arrival) == pytest.approx(arrival - device.said, abs=0.1)
        now += 10.0


@pytest.mark.parametrize("slow", [10.0, 300.0, 3600.0])
@pytest.mark.parametrize("size", [1, 5])
def test_the_first_burst_of_a_slow_clock_is_all_that_is_late(size: int, slow: float) -> None:
    """It looks as stored readings do; the next one shows that it is none."""
    device = Sending(size, 1.0, whole=False, lateness=2.0).device(-slow)
    assert device.send(size) == pytest.approx(slow, abs=0.1)
    assert all(device.send(size * number) <= 2.1 for number in range(2, 30))


def test_a_slow_clock_that_never_pauses_is_settled_too() -> None:
    """A device that speaks five times a second, of which nothing is expected for an hour."""
    device = Device(0.2, 3600.0, 2.0, -300.0)
    ages = [device.send(number / 5) for number in range(1, 60)]
    assert ages[0] == pytest.approx(300)
    assert all(age <= 2 for age in ages[3:])


@given(
    way=WAYS,
    slow=FAR,
    jitter=st.sampled_from((0.0, 0.5, 3.0)),
    rests=st.lists(st.sampled_from((1, 1, 5, 20))),
    dice=DICE,
)
@settings(max_examples=150)
def test_a_new_sensor_whose_clock_is_nonsense_is_taken_at_its_arrival(
    way: Sending, slow: float, jitter: float, rests: list[int], dice: random.Random
) -> None:
    """From its second burst on, however many come together and whenever; soon, where the way here takes its time."""
    device, now, arrived, told = way.device(-slow), 0.0, 0.0, list[float]()
    for rest in [1, *rests, *[1] * 40]:
        now += rest * way.pause
        device.said = now - way.pause
        behind = max(dice.uniform(0.0, jitter), arrived - now)
        stamps = [device.said + way.every * number for number in range(1, way.size + 1)]
        told.append(max(device.hear(stamp, now + behind + 0.005 * number) for number, stamp in enumerate(stamps)))
        arrived = now + behind + 0.005 * way.size
    assert sum(age > 0 for age in told) <= (10 if jitter else 1)


@given(way=WAYS, slow=FAR, outage=st.sampled_from((6, 20, 100)))
def test_a_backlog_behind_the_newest_reading_is_not_of_now(way: Sending, slow: float, outage: int) -> None:
    """A nonsense clock, and how things are now is sent first: no more of the rest is of now than a burst may hold."""
    device = way.device(-slow)
    for number in range(1, 13):
        device.send(number * way.pause)
    now, judged = device.said + outage * way.pause, list[float]()
    until = now - max(4 * way.pause, PROOF / SECOND) - way.lateness
    assert device.hear(now - (way.size - 1) * way.every, now) == 0  # as old as the first of each burst before
    while (stamp := device.said + way.every) <= until:
        device.said, now = stamp, now + 0.15
        judged.append(device.hear(stamp, now))
    assert 0 not in judged[:60]
    assert sum(age == 0 for age in judged) <= 1 + 2.5 * way.size


@given(way=WAYS, old=FAR, chunk=st.sampled_from((5, 20, 10**6)), rest=st.sampled_from((0.3, 1.0, 3.0, 10.0)))
@settings(max_examples=100)
def test_stored_readings_that_are_older_than_any_skew_stay_late(
    way: Sending, old: float, chunk: int, rest: float
) -> None:
    """An hour of them, the first word of a sensor, at once or piece by piece."""
    if chunk / (rest + 0.02 * chunk) < 3 / way.every:
        chunk = 10**6
    device, now = way.device(0.0), old + 3600.0
    for number in range(1, round(3600 / way.every)):
        stamp = number * way.every
        assert device.hear(stamp, now) == pytest.approx(now - stamp, abs=0.1)
        now += 0.02 + (rest if number % chunk == 0 else 0.0)
    device.said = now
    assert device.send(now + way.pause) <= way.lateness + way.every


@given(slow=FAR, outage=st.sampled_from((6, 20, 100)), size=st.sampled_from((1, 5, 12)))
def test_a_nonsense_clock_is_known_again_after_a_backlog(slow: float, outage: int, size: int) -> None:
    """How things are now is sent first, and what is stored so slowly that some of it is taken for now."""
    way = Sending(size, 5.0, whole=True, lateness=2.0)
    device = way.device(-slow)
    for number in range(1, 13):
        device.send(number * way.pause)
    now = device.said + outage * way.pause
    until = now - way.every
    device.hear(now, now)
    while (stamp := device.said + way.every) <= until:
        device.said, now = stamp, now + 0.15
        device.hear(stamp, now)
    assert device.send(now + way.pause) <= way.lateness + way.every


@pytest.mark.parametrize("off", [-13 * 3600.0, -60 * 86400.0])
@pytest.mark.parametrize("slow", [0.0, 1e-4])
@pytest.mark.parametrize("restarts", [True, False])
def test_a_nonsense_clock_that_goes_on_going_wrong_blinds_nobody(off: float, slow: float, *, restarts: bool) -> None:
    """A gauge that is away for an hour now and then: its clock begins anew where it began, or is slow."""
    device, now, begun, told = Device(600.0, 600.0, 2.0, off), 0.0, 0.0, list[float]()
    for number in range(10 * 144):
        now += 600.0
        if number % 288 == 287:
            now += 3600.0
            if restarts:
                device.off, begun = device.off - (now - begun), now
        if restarts and number == 100:
            device.off -= 86400.0  # that it began anew is not always seen by a silence
        device.off -= slow * 600.0
        told.append(device.hear(now, now + 5.0 * ((number + 1) % 4 // 2)))
    assert [number for number, age in enumerate(told) if age > 0] == [0]


@given(way=WAYS, slow=FAR, outage=st.sampled_from((60, 200)), since=st.sampled_from((1, 2, 12)))
def test_what_is_stored_after_a_nonsense_clock_has_begun_anew_is_history(
    way: Sending, slow: float, outage: int, since: int
) -> None:
    """The usual age is that of the clock as it is now: it tells nothing that a day was lost before."""
    device, now = way.device(-slow), 0.0
    for number in range(1, 13 + since):
        device.off -= 86400.0 if number == 13 else 0.0
        now = number * way.pause
        device.send(now)
    now += outage * way.pause
    while (stamp := device.said + way.every) <= now - PROOF / SECOND - way.pause - way.lateness:
        device.said, now = stamp, now + 0.01
        assert device.hear(stamp, now) > 0


def test_what_is_stored_by_a_nonsense_clock_that_is_fast_is_history() -> None:
    """Its readings have become a quarter of an hour less old in ten days, and what was stored since no less."""
    device, now = Device(600.0, 600.0, 2.0, -60 * 86400.0), 0.0
    for _ in range(10 * 144):
        now += 600.0
        device.off += 0.6
        device.hear(now, now)
    said = now
    now += 7200.0
    for number in range(1, 12):
        assert device.hear(said + 600.0 * number, now + 0.1 * number) > 0
