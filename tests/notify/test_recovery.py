"""After an outage of a channel: what was put off goes out as soon as one message arrives, and nobody is run down."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.errors import DeliveryError
from sensord.notify import worker as module
from sensord.notify.outcome import InDoubtError
from sensord.notify.recovery import OUTAGE, Recovery
from sensord.notify.worker import Limits, OutboxWorker
from sensord.ports import Entry
from tests.notify.parts import START, Clock, Outboxes, Pulse, notification, until, working

WAIT = 300.0
"""Seconds for which each failure puts off here."""
ONE_BY_ONE = Limits(concurrency=1, give_up=1e9)


class Receiver:
    """A channel that fails as long as ``failure`` says so, for the keys of ``never`` always; ``tried`` is in order."""

    name = "desk"

    def __init__(self) -> None:
        self.failure: Exception | None = DeliveryError("down")
        self.never, self.never_says = set[str](), DeliveryError("not for this one")
        self.tried = list[str]()

    async def send(self, entry: Entry) -> str:
        """Fail or deliver."""
        key = entry.notification.key
        self.tried.append(entry.notification.case)
        if self.failure is not None or key in self.never:
            raise self.failure or self.never_says
        return "taken"

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every failure put off for the same time."""
    monkeypatch.setattr(module, "backoff", lambda *_: WAIT)


@pytest.mark.parametrize("failure", [DeliveryError("down"), InDoubtError("nobody knows")])
async def test_what_was_put_off_follows_the_first_that_arrives(outboxes: Outboxes, failure: Exception) -> None:
    """The worst first, then the oldest, though its turn would be minutes later; whether it waits in memory or not."""
    levels = (Level.YELLOW, Level.RED, Level.ORANGE, Level.RED)
    outbox = outboxes(*(notification(number, level=level) for number, level in enumerate(levels)))
    receiver, clock = Receiver(), Clock()
    receiver.failure = failure
    async with working(receiver, outbox, clock=clock, limits=ONE_BY_ONE) as worker:
        await until(lambda: len(receiver.tried) == len(levels))
        receiver.failure = None
        clock.advance(60)
        outbox.add(notification(9, level=Level.YELLOW))
        worker.wake()
        await until(lambda: set(outbox.states()) == {"sent"})
    assert receiver.tried[len(levels) :] == ["case-9", "case-1", "case-3", "case-2", "case-0"]


def _throttled(seconds: float) -> DeliveryError:
    return DeliveryError("throttled", retry_after=seconds)


async def _look(worker: OutboxWorker, pulse: Pulse) -> None:
    """Have a resting worker look at the outbox, and wait until it has."""
    before = pulse.beats
    worker.wake()
    await until(lambda: pulse.beats > before)


@pytest.mark.parametrize(
    ("level", "wish", "tried"),
    [
        (Level.RED, 3600.0, [60, 120, 180]),
        (Level.BLUE, 3600.0, [300, 600]),
        (Level.NONE, 3600.0, [3600]),
        (Level.NONE, 86_400.0, [3600]),
    ],
)
async def test_a_page_is_held_no_longer_than_minutes(
    outboxes: Outboxes, level: Level, wish: float, tried: list[int]
) -> None:
    """A red one looks after a minute whether the receiver is well, others after five; a report waits as it is told."""
    outbox, receiver, clock, pulse = outboxes(notification(level=level)), Receiver(), Clock(), Pulse()
    receiver.failure = _throttled(wish)
    async with working(receiver, outbox, clock=clock, limits=ONE_BY_ONE, pulse=pulse) as worker:
        await until(lambda: len(receiver.tried) == 1)
        for number, at in enumerate(tried, 2):
            await until(lambda: outbox.dues() == [START + at * SECOND])  # noqa: B023
            clock.now = START + at * SECOND - 1
            await _look(worker, pulse)
            assert len(receiver.tried) == number - 1
            clock.now += 1
            worker.wake()
            await until(lambda: len(receiver.tried) == number)  # noqa: B023


@given(
    asks=st.lists(
        st.tuples(st.integers(0, 200), st.sampled_from(list(Level)), st.sampled_from([1.0, 59.0, 600.0, 3600.0])),
        max_size=60,
    )
)
def test_one_page_a_minute_looks_in(asks: list[tuple[int, Level, float]]) -> None:
    """However many wait, and whatever the receiver says to each; nobody comes before a minute has passed."""
    channel, now, looks = Recovery(), START, list[int]()
    for pause, level, wish in asks:
        now += pause * SECOND
        due, looking = channel.rest(level, now, wish)
        assert due <= now + wish * SECOND
        assert due - now >= min(wish * SECOND, MINUTE)
        if looking:
            assert all(abs(due - look) >= MINUTE for look in looks)
            looks.append(due)


async def test_a_delivery_ends_the_rest(outboxes: Outboxes) -> None:
    """The receiver was well three seconds later, and takes a new page: those that it held follow at once."""
    outbox = outboxes(*(notification(number) for number in range(5)))
    receiver, clock = Receiver(), Clock()
    receiver.failure = _throttled(3600.0)
    async with working(receiver, outbox, clock=clock, limits=ONE_BY_ONE) as worker:
        await until(lambda: len(receiver.tried) == 5)
        receiver.failure = None
        clock.advance(3)
        outbox.add(notification(9))
        worker.wake()
        await until(lambda: set(outbox.states()) == {"sent"})
    assert receiver.tried[5:] == ["case-9", "case-0", "case-1", "case-2", "case-3", "case-4"]


async def test_whoever_is_let_alone_for_its_own_sake_is_tried_once_a_minute(outboxes: Outboxes) -> None:
    """A number that had too many messages: those to others go out, and each of them must not bring the next try."""
    outbox, receiver, clock, pulse = outboxes(notification(0)), Receiver(), Clock(), Pulse()
    receiver.never, receiver.failure = {notification(0).key}, None
    receiver.never_says = _throttled(3600.0)
    async with working(receiver, outbox, clock=clock, limits=ONE_BY_ONE, pulse=pulse) as worker:
        await until(lambda: len(receiver.tried) == 1)
        for number in range(1, 30):
            clock.advance(5)
            outbox.add(notification(number))
            worker.wake()
            await until(lambda: outbox.states().count("sent") == number)  # noqa: B023
            await _look(worker, pulse)
    assert 2 <= receiver.tried.count("case-0") <= 6  # of its own turn, and for a delivery: once a minute each


def test_what_began_before_the_receiver_asked_for_rest_does_not_end_it() -> None:
    """Of messages under way together some are taken, and the last is one too many."""
    channel = Recovery()
    channel.fail("a", START, START + 2)
    channel.rest(Level.RED, START + 2, 600.0)
    assert not channel.deliver(START + 1, START + 3)
    assert channel.deliver(START + 2, START + 4)


async def test_what_alone_cannot_arrive_is_tried_once_more_and_holds_up_nobody(outboxes: Outboxes) -> None:
    """The others follow each other past it; it waits for its own turn."""
    outbox = outboxes(*(notification(number) for number in range(5)))
    receiver, clock = Receiver(), Clock()
    receiver.never = {notification(0).key}
    async with working(receiver, outbox, clock=clock, limits=replace(ONE_BY_ONE, concurrency=2)) as worker:
        await until(lambda: len(receiver.tried) == 5)
        receiver.failure = None
        clock.advance(60)
        outbox.add(notification(9))
        worker.wake()
        await until(lambda: outbox.states().count("sent") == 5)
        await until(lambda: outbox.dues()[0] > clock.now)
    assert sorted(receiver.tried[5:]) == ["case-0", "case-1", "case-2", "case-3", "case-4", "case-9"]


def test_only_an_outage_is_recovered_from() -> None:
    """A process that begins takes it that there was one; a failure between deliveries is none, nor one of before."""
    channel = Recovery()
    assert channel.deliver(START, START)
    channel.finish()
    channel.fail("a", START + 1, START + 2)
    assert not channel.deliver(START + 3, START + OUTAGE)
    channel.fail("a", START + 3, START + OUTAGE + 1)
    assert not channel.deliver(START + OUTAGE, START + 3 * OUTAGE), "it began before the last delivery"
    channel.fail("a", START + 4 * OUTAGE, START + 4 * OUTAGE)
    assert channel.deliver(START + 4 * OUTAGE, START + 5 * OUTAGE)


def test_a_rest_lasts_for_an_hour_at_most_whatever_is_asked_for() -> None:
    """Then one message that arrives lets the others go, also when it set out before the rest was asked for."""
    recovery = Recovery()
    recovery.fail("case-1", 0, 0)
    assert recovery.rest(Level.NONE, SECOND, 86_400.0) == (SECOND + HOUR, False)
    assert not recovery.deliver(0, HOUR)
    assert recovery.deliver(0, SECOND + HOUR)
