"""After an outage of a channel: what was put off goes out as soon as one message arrives, and nobody is run down."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sensord.core.level import Level
from sensord.errors import DeliveryError
from sensord.notify import worker as module
from sensord.notify.outcome import InDoubtError
from sensord.notify.recovery import OUTAGE, Recovery
from sensord.notify.worker import Limits
from sensord.ports import Entry
from tests.notify.parts import START, Clock, Outboxes, notification, until, working

WAIT = 300.0
"""Seconds for which each failure puts off here."""
ONE_BY_ONE = Limits(concurrency=1, give_up=1e9)


class Receiver:
    """A channel that fails as long as ``failure`` says so, for the keys of ``never`` always; ``tried`` is in order."""

    name = "desk"

    def __init__(self) -> None:
        self.failure: Exception | None = DeliveryError("down")
        self.never = set[str]()
        self.tried = list[str]()

    async def send(self, entry: Entry) -> str:
        """Fail or deliver."""
        key = entry.notification.key
        self.tried.append(entry.notification.case)
        if self.failure is not None or key in self.never:
            raise self.failure or DeliveryError("not for this one")
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


async def test_a_receiver_that_wants_rest_has_it(outboxes: Outboxes) -> None:
    """Its ``Retry-After`` holds for all that waits, whatever else it takes meanwhile."""
    outbox, receiver, clock = outboxes(notification(1)), Receiver(), Clock()
    receiver.failure = DeliveryError("throttled", retry_after=120.0)
    async with working(receiver, outbox, clock=clock, limits=ONE_BY_ONE) as worker:
        await until(lambda: len(receiver.tried) == 1)
        receiver.failure = None
        for number, seconds in ((2, 60), (3, 61)):
            clock.advance(seconds)
            outbox.add(notification(number))
            worker.wake()
            await until(lambda: outbox.states()[number - 1] == "sent")  # noqa: B023
        await until(lambda: set(outbox.states()) == {"sent"})
    assert receiver.tried == ["case-1", "case-2", "case-3", "case-1"]


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
    assert channel.deliver(START)
    channel.finish()
    channel.fail("a", START + 1, START + 2, 0.0)
    assert not channel.deliver(START + OUTAGE)
    channel.fail("a", START + 3, START + OUTAGE + 1, 0.0)
    assert not channel.deliver(START + 3 * OUTAGE), "it began before the last delivery"
    channel.fail("a", START + 4 * OUTAGE, START + 4 * OUTAGE, 0.0)
    assert channel.deliver(START + 5 * OUTAGE)
