"""Answers that may mean either: a page goes out three times at most, and its second way is taken all the same."""

from __future__ import annotations

import pytest

from sensord.config.channels import Success, Webhook
from sensord.core.record import Delivery
from sensord.errors import DeliveryError
from sensord.notify.outcome import InDoubtError, UnclearError
from sensord.notify.webhook import WebhookChannel
from sensord.notify.worker import Limits
from sensord.telemetry.metrics import PrometheusMeter
from tests.notify.parts import Clock, Outboxes, Pulse, ScriptedChannel, notification, outcomes, until, working
from tests.notify.receiver import Answer, Receiver
from tests.notify.test_sms import channel as sms

UNCLEAR = UnclearError("channel desk: it may mean either; add success: to the channel")


def _unclear(meter: PrometheusMeter, channel: str = "desk") -> float:
    return meter.value("notifications_total", channel=channel, outcome="unclear")


def _hook(receiver: Receiver) -> WebhookChannel:
    """Of whose answers it is configured what they must hold."""
    success = Success(path="data.state", equals="queued")
    return WebhookChannel(Webhook(name="desk", url=receiver.url, allow=(receiver.host,), success=success), None)


async def test_a_gateway_whose_code_says_nothing_rings_a_phone_three_times(outboxes: Outboxes) -> None:
    """Its code for success is 2, and nobody wrote ``success:``; the fact says so, and no receipt that it arrived."""
    outbox, meter, pulse = outboxes(notification(1, "sms", address="13800000000")), PrometheusMeter(), Pulse()
    with Receiver() as receiver:
        receiver.otherwise = Answer(200, b'{"code": 2, "msg": "submitted"}')
        async with working(sms(receiver), outbox, meter, pulse=pulse):
            await until(lambda: outbox.states() == ["unclear"])
        marks = ["（可能重复）" in request.json["content"] for request in receiver.requests]
    assert marks == [False, True, True]
    assert (outcomes(meter, "sms"), _unclear(meter, "sms")) == (
        {"sent": 0, "retried": 2, "failed": 0, "repeated": 0},
        1,
    )
    assert pulse.attempts[-1].endswith("which may mean either; add success: to the channel")
    assert outbox.table.unreported(9) == []
    assert outbox.table.totals() == {"sent": 0, "unclear": 1, "pending": 0, "failed": 0}


@pytest.mark.parametrize(
    "body", [b'{"code": 0, "msg": "taken"}', b'{"data": {"code": 1}}', b'{"data": []}', b"taken", b""]
)
async def test_an_answer_in_which_the_configured_path_is_not_comes_three_times(outboxes: Outboxes, body: bytes) -> None:
    """It speaks of the setting, not of the page, which came for a day; the fact says which path was not there."""
    outbox, meter, pulse = outboxes(notification()), PrometheusMeter(), Pulse()
    with Receiver() as receiver:
        receiver.otherwise = Answer(200, body)
        async with working(_hook(receiver), outbox, meter, pulse=pulse):
            await until(lambda: outbox.states() == ["unclear"])
        assert [request.json["possibly_repeated"] for request in receiver.requests] == [False, True, True]
    assert pulse.attempts[-1].endswith("without data.state, which may mean either; correct success: of the channel")


@pytest.mark.parametrize(
    "body",
    [b'{"data": {"state": "full"}}', b'{"data": {"state": null}}', b'{"data": {"state": ""}}', b'{"errcode": 45009}'],
)
async def test_what_is_refused_is_tried_on(outboxes: Outboxes, body: bytes) -> None:
    """By what is at the path; or by what is there in its place, as many a gateway refuses with other members."""
    outbox, meter = outboxes(notification()), PrometheusMeter()
    with Receiver(*[Answer(200, body)] * 5) as receiver:
        receiver.otherwise = Answer(200, b'{"data": {"state": "queued"}}')
        async with working(_hook(receiver), outbox, meter):
            await until(lambda: outbox.states() == ["sent"])
        assert len(receiver.requests) == 6


@pytest.mark.parametrize("killed", [False, True])
async def test_three_times_are_three_over_restarts(outboxes: Outboxes, *, killed: bool) -> None:
    """One send in each run, which is then stopped or killed: the third is the last."""
    outbox, meter, clock, sent = outboxes(notification()), PrometheusMeter(), Clock(), list[bool]()
    for _ in range(5):
        channel = ScriptedChannel(UNCLEAR)
        outbox.table.recover(clock.now)
        async with working(channel, outbox, meter, clock, Limits(), steady=clock.passed) as worker:
            if outbox.states() == ["unclear"]:
                break
            before = outcomes(meter)["retried"] + _unclear(meter)
            worker.wake()
            await until(lambda: outcomes(meter)["retried"] + _unclear(meter) > before)  # noqa: B023
            outbox.broken = killed
        outbox.broken = False
        sent += [one.possibly_repeated for one in channel.entries]
        clock.advance(600)
    assert sent == [False, True, True]


async def test_a_receiver_that_is_out_of_order_for_a_moment_is_well_at_the_next_try(outboxes: Outboxes) -> None:
    """Whatever it says meanwhile: the second time is a minute later, the third ten, or when others come through."""
    outbox, meter, clock = outboxes(notification()), PrometheusMeter(), Clock()
    channel, pulse = ScriptedChannel(UNCLEAR, UNCLEAR), Pulse()
    async with working(channel, outbox, meter, clock, Limits(), pulse, steady=clock.passed) as worker:
        for passed, sends in ((0, 1), (59, 1), (1, 2), (599, 2), (1, 3)):
            clock.advance(passed)
            before = pulse.beats
            worker.wake()
            await until(lambda: len(channel.entries) == sends and pulse.beats > before + 1)  # noqa: B023
        await until(lambda: outbox.states() == ["sent"])
    assert [receipt.delivery for receipt in outbox.table.unreported(9)] == [Delivery.SENT]


async def test_only_such_answers_are_counted(outboxes: Outboxes) -> None:
    """A receiver that was away, or said nothing, was not heard three times; a clear answer ends the doubt."""
    outbox, meter = outboxes(notification()), PrometheusMeter()
    others = [DeliveryError("down"), InDoubtError("no answer"), DeliveryError("down"), InDoubtError("no answer")]
    channel = ScriptedChannel(DeliveryError("down"), DeliveryError("down"), UNCLEAR, *others, UNCLEAR)
    async with working(channel, outbox, meter):
        await until(lambda: outbox.states() == ["sent"])
    assert [one.possibly_repeated for one in channel.entries] == [False] * 3 + [True] * 6
    assert [receipt.delivery for receipt in outbox.table.unreported(9)] == [Delivery.SENT]
    assert _unclear(meter) == 0
