"""Outcomes become receipts in the journal, each at least once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sensord.core.record import Delivery, Receipt
from sensord.errors import UnavailableError
from sensord.notify.reporter import ReceiptReporter
from sensord.telemetry.metrics import PrometheusMeter
from tests.notify.parts import START, Outboxes, Pulse, StoredOutbox, notification, until


class Journal:
    """Takes receipts, unless it is full."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.full = False
        self.asked = 0

    async def take(self, receipts: list[Receipt]) -> None:
        """Make them durable."""
        self.asked += 1
        if self.full:
            raise UnavailableError("the journal does not keep up")
        self.receipts += receipts


@asynccontextmanager
async def reporting(
    outbox: StoredOutbox, journal: Journal, meter: PrometheusMeter
) -> AsyncIterator[Callable[[], None]]:
    """Run a reporter for as long as the block runs; the only channel is ``desk``."""
    reporter = ReceiptReporter(outbox.table, journal.take, Pulse(), meter, lambda: START, ("desk",))
    task = asyncio.create_task(reporter.run())
    try:
        yield reporter.wake
    finally:
        task.cancel()
        await asyncio.wait({task})


def settle(outbox: StoredOutbox, *numbers: int, failed: bool = False) -> None:
    """End these notifications."""
    for number in numbers:
        outbox.table.claim("desk", START, 1000)
        key = notification(number).key
        if failed:
            outbox.table.fail(key, START, "no such number")
        else:
            outbox.table.done(key, START, "http 200")


async def test_sent_and_failed_are_journaled_once(outboxes: Outboxes) -> None:
    """Each outcome by its key; what is still on its way is not; nothing is journaled again by the next process."""
    outbox, journal = outboxes(*(notification(number) for number in range(4))), Journal()
    settle(outbox, 0, 1)
    settle(outbox, 2, failed=True)
    async with reporting(outbox, journal, PrometheusMeter()):
        await until(lambda: len(journal.receipts) == 3)
        await until(lambda: not outbox.table.unreported(10))
    async with reporting(outbox, journal, PrometheusMeter()) as wake:
        settle(outbox, 3)
        wake()
        await until(lambda: len(journal.receipts) == 4)
    keys = [notification(number).key for number in range(4)]
    stages = [Delivery.SENT, Delivery.SENT, Delivery.FAILED, Delivery.SENT]
    assert sorted(journal.receipts, key=lambda one: one.key) == [
        Receipt(key, stage) for key, stage in zip(keys, stages, strict=True)
    ]


async def test_a_full_journal_is_asked_again(outboxes: Outboxes) -> None:
    """Receipts wait in the outbox, however long."""
    outbox, journal = outboxes(notification()), Journal()
    journal.full = True
    settle(outbox, 1)
    async with reporting(outbox, journal, PrometheusMeter()) as wake:
        await until(lambda: journal.asked > 1)
        assert outbox.table.unreported(10)
        journal.full = False
        wake()
        await until(lambda: len(journal.receipts) == 1)


async def test_many_are_journaled_in_batches(outboxes: Outboxes) -> None:
    """More than one batch at once, none left behind."""
    outbox, journal = outboxes(*(notification(number) for number in range(450))), Journal()
    outbox.table.claim("desk", START, 1000)
    for number in range(450):
        outbox.table.done(notification(number).key, START, "http 200")
    async with reporting(outbox, journal, PrometheusMeter()):
        await until(lambda: len(journal.receipts) == 450)
    assert journal.asked == 3


async def test_what_waits_for_a_channel_that_is_gone_is_given_up(outboxes: Outboxes) -> None:
    """It was never sent, and says so; also what was decided in the last moment. What can go out waits on."""
    outbox, journal, meter = outboxes(notification(1, "gone"), notification(2)), Journal(), PrometheusMeter()
    outbox.table.claim("gone", START, 9)
    async with reporting(outbox, journal, meter) as wake:
        await until(lambda: len(journal.receipts) == 1)
        outbox.add(notification(3, "renamed"), notification(4))
        wake()
        await until(lambda: len(journal.receipts) == 2)
    keys = notification(1, "gone").key, notification(3, "renamed").key
    assert journal.receipts == [Receipt(key, Delivery.FAILED) for key in keys]
    assert outbox.states() == ["failed", "pending", "failed", "pending"]
    assert outbox.table.oldest()["gone"] == 0
    assert meter.value("notifications_total", channel="gone", outcome="failed") == 1
