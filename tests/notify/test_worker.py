"""The outbox worker: retries, doubt, bulkheads and crashes, over a real HTTP receiver where one takes part."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from pathlib import Path
from urllib.parse import unquote

import pytest
from structlog.testing import capture_logs

from sensord.config.settings import Webhook
from sensord.core.cases.notification import Notification
from sensord.core.level import Level
from sensord.errors import DeliveryError
from sensord.notify.outcome import InDoubtError
from sensord.notify.webhook import WebhookChannel
from sensord.notify.worker import Limits, OutboxWorker
from sensord.telemetry.metrics import PrometheusMeter
from tests.notify.parts import (
    QUICK,
    SECRET_ADDRESS,
    SECRET_TEXT,
    START,
    Clock,
    Outboxes,
    Pulse,
    ScriptedChannel,
    StoredOutbox,
    notification,
    outcomes,
    until,
    working,
)
from tests.notify.receiver import Answer, Receiver
from tests.notify.services import DingtalkGroup, WecomGroup
from tests.notify.test_robots import dingtalk, wecom


def _webhook(receiver: Receiver, name: str = "desk", timeout: str = "5s") -> WebhookChannel:
    return WebhookChannel(Webhook(name=name, url=receiver.url, allow=(receiver.host,), timeout=timeout), None)


async def _look(worker: OutboxWorker, pulse: Pulse) -> None:
    """Have a resting worker look at the outbox, and wait until it has."""
    before = pulse.beats
    worker.wake()
    await until(lambda: pulse.beats > before)


async def test_delivered_once(outboxes: Outboxes) -> None:
    """Each notification arrives once, and its receipt is kept."""
    outbox = outboxes(*(notification(number) for number in range(20)))
    meter = PrometheusMeter()
    with Receiver() as receiver:
        async with working(_webhook(receiver), outbox, meter):
            await until(lambda: set(outbox.states()) == {"sent"})
    keys = [request.json["key"] for request in receiver.requests]
    assert sorted(keys) == sorted(notification(number).key for number in range(20))
    assert not any(request.json["possibly_repeated"] for request in receiver.requests)
    assert set(outbox.notes()) == {"http 200"}
    assert outcomes(meter) == {"sent": 20, "retried": 0, "failed": 0, "repeated": 0}


async def test_errors_are_tried_again_under_the_same_key(outboxes: Outboxes) -> None:
    """500, 500, 200: three attempts, one key, none of them in doubt, because each had an answer."""
    outbox, meter, pulse = outboxes(notification()), PrometheusMeter(), Pulse()
    with Receiver(Answer(500), Answer(500)) as receiver:
        async with working(_webhook(receiver), outbox, meter, pulse=pulse):
            await until(lambda: outbox.states() == ["sent"])
    keys = [unquote(request.headers["Idempotency-Key"]) for request in receiver.requests]
    assert keys == [notification().key] * 3
    assert not any(request.json["possibly_repeated"] for request in receiver.requests)
    assert outcomes(meter) == {"sent": 1, "retried": 2, "failed": 0, "repeated": 0}
    assert pulse.attempts == [f"channel desk: {receiver.host.partition(':')[0]} answered 500"] * 2 + [""]


async def test_retry_after_is_honoured(outboxes: Outboxes) -> None:
    """The receiver asked for 45 s: at 44 s nothing is sent, at 46 s it is."""
    outbox, clock, pulse, meter = outboxes(notification()), Clock(), Pulse(), PrometheusMeter()
    with Receiver(Answer(429, headers={"Retry-After": "45"})) as receiver:
        async with working(_webhook(receiver), outbox, meter, clock, pulse=pulse) as worker:
            await until(lambda: outcomes(meter)["retried"] == 1)
            assert outbox.dues() == [START + 45_000_000_000]
            clock.advance(44)
            await _look(worker, pulse)
            assert len(receiver.requests) == 1
            clock.advance(2)
            worker.wake()
            await until(lambda: outbox.states() == ["sent"])


async def test_an_error_code_in_a_200_is_tried_again(outboxes: Outboxes) -> None:
    """A 200 that says no is a failure like any other."""
    outbox, meter = outboxes(notification()), PrometheusMeter()
    with Receiver(Answer(200, b'{"errcode": 45009}')) as receiver:
        async with working(_webhook(receiver), outbox, meter):
            await until(lambda: outbox.states() == ["sent"])
    assert len(receiver.requests) == 2
    assert outcomes(meter)["retried"] == 1


async def test_a_final_refusal_is_recorded_as_failed(outboxes: Outboxes) -> None:
    """422 is not tried again, and the outbox says why."""
    outbox, meter = outboxes(notification()), PrometheusMeter()
    with Receiver(Answer(422)) as receiver:
        async with working(_webhook(receiver), outbox, meter):
            await until(lambda: outbox.states() == ["failed"])
    assert len(receiver.requests) == 1
    assert "422" in outbox.notes()[0]
    assert outcomes(meter)["failed"] == 1


async def test_silence_is_repeated_and_marked(outboxes: Outboxes) -> None:
    """A receiver that took the request and never answered is asked again, and told that it may be a repeat."""
    outbox, meter = outboxes(notification()), PrometheusMeter()
    with Receiver(Answer(hang=True), Answer(500)) as receiver:
        async with working(_webhook(receiver, timeout="200ms"), outbox, meter):
            await until(lambda: outbox.states() == ["sent"])
    assert [request.json["possibly_repeated"] for request in receiver.requests] == [False, True, True]
    assert outcomes(meter) == {"sent": 1, "retried": 2, "failed": 0, "repeated": 1}


async def test_a_send_in_doubt_stays_claimed(outboxes: Outboxes) -> None:
    """Whatever happens to the process now, the outbox still knows that the message may have arrived."""
    outbox, clock, meter = outboxes(notification()), Clock(), PrometheusMeter()
    channel = ScriptedChannel(InDoubtError("no answer"))
    async with working(channel, outbox, meter, clock, Limits(base=60.0)) as worker:
        await until(lambda: outcomes(meter)["retried"] == 1)
        assert outbox.states() == ["sending"]
        clock.advance(60)
        worker.wake()
        await until(lambda: outbox.states() == ["sent"])
    assert [one.possibly_repeated for one in channel.entries] == [False, True]


async def test_a_worker_killed_before_done_repeats_and_says_so(outboxes: Outboxes, tmp_path: Path) -> None:
    """Between the receiver's taking it and our note of it the process dies: the next one sends again, marked."""
    outboxes(notification()).store.close()
    with Receiver(Answer(hang=True)) as receiver:
        command = [sys.executable, "-m", "tests.notify.victim", str(tmp_path / "state-0"), receiver.host]
        victim = await asyncio.create_subprocess_exec(*command)
        try:
            await until(lambda: len(receiver.requests) == 1)
        finally:
            victim.kill()
            await asyncio.wait_for(victim.wait(), 10)
        after = StoredOutbox(tmp_path / "state-0")
        assert after.table.recover(START) == 1
        async with working(_webhook(receiver), after):
            await until(lambda: after.states() == ["sent"])
        after.store.close()
    assert [request.json["possibly_repeated"] for request in receiver.requests] == [False, True]
    assert len({request.json["key"] for request in receiver.requests}) == 1


async def test_a_stop_lets_sends_finish(outboxes: Outboxes) -> None:
    """An orderly stop leaves nothing in doubt that is about to be answered."""
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    outbox, channel = outboxes(notification()), ScriptedChannel(answer)
    async with working(channel, outbox, limits=Limits(drain=10.0)):
        await until(lambda: len(channel.entries) == 1)
        asyncio.get_running_loop().call_later(0.05, answer.set_result, None)
    assert outbox.states() == ["sent"]


async def test_a_hung_channel_holds_nobody_else_up(outboxes: Outboxes) -> None:
    """Twenty messages to a dead desk, twenty to a living one: the living one has all of its own."""
    outbox = outboxes(*(notification(number, channel) for number in range(20) for channel in ("dead", "desk")))
    with Receiver() as dead, Receiver() as living:
        dead.otherwise = Answer(hang=True)
        async with (
            working(_webhook(dead, "dead", timeout="60s"), outbox),
            working(_webhook(living), outbox),
        ):
            await until(lambda: outbox.states().count("sent") == 20)
            assert len(dead.requests) == QUICK.concurrency
    assert set(outbox.states("desk")) == {"sent"}


async def test_no_more_than_four_at_a_time(outboxes: Outboxes) -> None:
    """The fifth waits until one of the first four is through."""
    loop = asyncio.get_running_loop()
    gates = [loop.create_future() for _ in range(6)]
    outbox = outboxes(*(notification(number) for number in range(6)))
    channel = ScriptedChannel(*gates)
    async with working(channel, outbox):
        await until(lambda: len(channel.entries) == 4)
        assert sorted(outbox.states()) == ["pending"] * 2 + ["sending"] * 4
        gates[0].set_result(None)
        await until(lambda: len(channel.entries) == 5)
        assert outbox.states().count("sending") == 4
        for gate in gates[1:]:
            gate.set_result(None)
        await until(lambda: set(outbox.states()) == {"sent"})


async def test_an_exception_is_survived(outboxes: Outboxes) -> None:
    """A bug in a channel costs neither the worker nor the message; what may have left is marked."""
    outbox, meter = outboxes(notification()), PrometheusMeter()
    channel = ScriptedChannel(RuntimeError(SECRET_TEXT), KeyError("x"))
    async with working(channel, outbox, meter):
        await until(lambda: outbox.states() == ["sent"])
    assert [one.possibly_repeated for one in channel.entries] == [False, True, True]
    assert outcomes(meter)["retried"] == 2


async def test_a_send_takes_no_longer_than_its_limit(outboxes: Outboxes) -> None:
    """A channel without a timeout of its own is cut off by the worker, in doubt."""
    outbox = outboxes(notification())
    channel = ScriptedChannel(asyncio.get_running_loop().create_future())
    async with working(channel, outbox, limits=Limits(send=0.05, base=0.01)):
        await until(lambda: outbox.states() == ["sent"])
    assert [one.possibly_repeated for one in channel.entries] == [False, True]


async def test_backoff_grows_and_is_bounded(outboxes: Outboxes) -> None:
    """The pause before the next attempt is random, grows with the attempts, and ends at the ceiling."""
    clock, meter, pauses = Clock(), PrometheusMeter(), []
    outbox = outboxes(notification())
    channel = ScriptedChannel(*(DeliveryError("down") for _ in range(30)))
    limits = Limits(base=1.0, longest=300.0)
    async with working(channel, outbox, meter, clock, limits) as worker:
        for attempt in range(1, 31):
            await until(lambda: outcomes(meter)["retried"] == attempt)  # noqa: B023
            pauses.append((outbox.dues()[0] - clock.now) / 1e9)
            clock.advance(300)
            worker.wake()
    assert all(0 <= pause <= min(300, 2**attempt) for attempt, pause in enumerate(pauses))
    assert len(set(pauses)) == len(pauses)
    assert max(pauses) > 60


async def test_the_outbox_may_fail_for_a_while(outboxes: Outboxes) -> None:
    """A full disk stops the sending, not the worker: it goes on when there is room, and repeats nothing."""
    outbox, meter, channel = outboxes(notification()), PrometheusMeter(), ScriptedChannel()
    outbox.broken = True
    async with working(channel, outbox, meter):
        await until(lambda: meter.value("notify_failures_total", channel="desk") > 0)
        assert channel.entries == []
        outbox.broken = False
        await until(lambda: outbox.states() == ["sent"])
    assert len(channel.entries) == 1


async def test_an_outcome_is_written_down_in_the_end(outboxes: Outboxes) -> None:
    """When the disk is full at the moment of ``done``, the worker keeps trying to note it and does not send again."""
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    outbox, meter, channel = outboxes(notification()), PrometheusMeter(), ScriptedChannel(answer)
    async with working(channel, outbox, meter):
        await until(lambda: len(channel.entries) == 1)
        outbox.broken = True
        answer.set_result(None)
        await until(lambda: meter.value("notify_failures_total", channel="desk") > 0)
        outbox.broken = False
        await until(lambda: outbox.states() == ["sent"])
    assert len(channel.entries) == 1


@pytest.mark.parametrize("threaded", [True, False])
async def test_a_new_notification_goes_out_when_woken(threaded: bool, outboxes: Outboxes) -> None:
    """``wake`` works from any thread; nobody waits for the next look."""
    outbox, channel, pulse = outboxes(), ScriptedChannel(), Pulse()
    async with working(channel, outbox, pulse=pulse) as worker:
        await until(lambda: pulse.beats > 0)
        outbox.add(notification())
        if threaded:
            thread = threading.Thread(target=worker.wake)
            thread.start()
            thread.join()
        else:
            worker.wake()
        await until(lambda: outbox.states() == ["sent"], seconds=3)
    worker.wake()  # after the end it does nothing


@pytest.mark.parametrize("make", ["wecom", "ding"])
async def test_a_backlog_keeps_the_robot_within_its_limit(make: str, outboxes: Outboxes) -> None:
    """Thirty messages after an outage: red first, ten a minute (the rest is kept for red), none refused; all arrive."""
    clock, pulse, meter = Clock(), Pulse(), PrometheusMeter()
    levels = [Level.RED if number % 6 == 5 else Level.YELLOW for number in range(30)]
    outbox = outboxes(*(notification(n, title=f"t{n}", level=level) for n, level in enumerate(levels)))
    group = WecomGroup(clock) if make == "wecom" else DingtalkGroup(clock)
    with Receiver(decide=group.decide) as receiver:
        channel = wecom(receiver, clock) if make == "wecom" else dingtalk(receiver, clock)
        channel.name = "desk"
        limits = Limits(base=0.01, longest=0.02, per_minute=15)
        async with working(channel, outbox, meter, clock, limits, pulse, clock.passed) as worker:
            for minute in range(1, 4):
                expected = 10 * minute
                await until(lambda: outbox.states().count("sent") == expected)  # noqa: B023
                await _look(worker, pulse)
                assert len(group.texts) == expected
                clock.advance(60)
                worker.wake()
            await until(lambda: set(outbox.states()) == {"sent"})
    beside = limits.concurrency - 1  # beside the last of the red ones others may be on their way, and arrive before it
    assert {text[:3].strip() for text in group.texts[: 5 + beside]} >= {"t5", "t11", "t17", "t23", "t29"}
    assert outcomes(meter)["retried"] == 0


async def test_a_new_process_knows_what_the_old_one_has_sent(outboxes: Outboxes) -> None:
    """A restart does not give the robot a fresh minute; a red message still finds room."""
    clock, pulse, channel = Clock(), Pulse(), ScriptedChannel()
    outbox = outboxes(*(notification(number, level=Level.BLUE) for number in range(12)))
    limits = Limits(per_minute=6)
    async with working(channel, outbox, clock=clock, limits=limits, steady=clock.passed):
        await until(lambda: outbox.states().count("sent") == 4)
    async with working(channel, outbox, clock=clock, limits=limits, pulse=pulse, steady=clock.passed) as worker:
        await _look(worker, pulse)
        assert len(channel.entries) == 4
        outbox.add(notification(99))
        worker.wake()
        await until(lambda: len(channel.entries) == 5)
        await _look(worker, pulse)
    assert [entry.notification.case for entry in channel.entries][-1] == "case-99"


async def test_the_pace_is_that_of_time_that_really_passes(outboxes: Outboxes) -> None:
    """While journal time catches up with the host's clock it goes at twice the speed: a minute stays a minute.

    So it is for a new process: what the journal says is a minute old may have gone out half a minute ago.
    """
    clock, channel, passed = Clock(), ScriptedChannel(), [0.0]

    def steady() -> float:
        return passed[0]

    outbox = outboxes(*(notification(number) for number in range(18)))
    limits = Limits(per_minute=6)
    for run in range(2):
        pulse = Pulse()
        async with working(
            channel, outbox, clock=clock, limits=limits, pulse=pulse, steady=lambda: passed[0]
        ) as worker:
            await until(lambda: len(channel.entries) == 6 * (run + 1))  # noqa: B023
            for _ in range(2):
                await _look(worker, pulse)
            assert len(channel.entries) == 6 * (run + 1)
            clock.advance(119)
            passed[0] += 59.5
            await _look(worker, pulse)
            assert len(channel.entries) == 6 * (run + 1)
        clock.advance(1)
        passed[0] += 0.5


async def test_each_message_has_its_link(outboxes: Outboxes) -> None:
    """The channel is given the address at which to answer this very message."""

    class Links:
        def link(self, notification: Notification) -> str:
            return f"https://s.example/a/{notification.case}"

    outbox, channel = outboxes(notification(1), notification(2)), ScriptedChannel()
    worker = OutboxWorker(channel, outbox, PrometheusMeter(), Pulse(), links=Links())
    task = asyncio.create_task(worker.run())
    await until(lambda: outbox.states() == ["sent", "sent"])
    task.cancel()
    await asyncio.wait({task})
    assert sorted(entry.link[-6:] for entry in channel.entries) == ["case-1", "case-2"]


async def test_logs_name_nobody(outboxes: Outboxes) -> None:
    """Neither text nor address nor the key itself is logged, whatever goes wrong; the case is."""
    outbox = outboxes(notification(address=SECRET_ADDRESS))
    channel = ScriptedChannel(RuntimeError(SECRET_TEXT), DeliveryError("down"), DeliveryError("no", retryable=False))
    with capture_logs() as logs:
        async with working(channel, outbox):
            await until(lambda: outbox.states() == ["failed"])
    text = json.dumps(logs, ensure_ascii=False)
    assert text.count("case-1") == 3
    for secret in (SECRET_TEXT, SECRET_ADDRESS, notification().key, "居委干部"):
        assert secret not in text


def test_the_oldest_page_of_each_channel_is_known(outboxes: Outboxes) -> None:
    """Until it is settled; what has no level, as a report, is no page."""
    report = notification(3, channel="office", level=Level.NONE)
    outbox = outboxes(notification(1), notification(2, at=START - 5), report)
    assert outbox.table.oldest() == {"desk": START - 5, "office": 0}
    for entry in outbox.claim("desk", START + 10, 9):
        outbox.done(entry.notification.key, START, "taken")
    assert outbox.table.oldest() == {"desk": 0, "office": 0}
