"""When the outbox worker gives a notification up: once it was tried for a day, however that was cut into runs."""

from __future__ import annotations

import pytest

from sensord.core.instant import DAY
from sensord.errors import DeliveryError
from sensord.notify.outcome import InDoubtError
from sensord.notify.worker import Limits
from sensord.telemetry.metrics import PrometheusMeter
from tests.notify.parts import Clock, Outboxes, ScriptedChannel, notification, outcomes, until, working


@pytest.mark.parametrize(("tried", "given_up"), [(0, False), (86_399, False), (86_400, True)])
async def test_time_that_the_clock_leapt_over_gives_nothing_up(
    outboxes: Outboxes, tried: int, *, given_up: bool
) -> None:
    """A day older in a moment: it is tried on. It is given up when it has been tried for a day."""
    outbox, meter, clock, steady = outboxes(notification()), PrometheusMeter(), Clock(), [0.0]
    channel = ScriptedChannel(DeliveryError("not now"), DeliveryError("still not"))
    async with working(channel, outbox, meter, clock, Limits(), steady=lambda: steady[0]) as worker:
        await until(lambda: outcomes(meter)["retried"] == 1)
        clock.advance(90_000)
        steady[0] = float(tried)
        worker.wake()
        await until(lambda: outcomes(meter)["failed" if given_up else "retried"] == (1 if given_up else 2))
    assert outbox.states() == ["failed" if given_up else "pending"]


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("failure", [InDoubtError("no answer"), DeliveryError("not now")])
async def test_a_day_of_trying_is_added_up_over_restarts(
    outboxes: Outboxes, failure: DeliveryError, *, killed: bool
) -> None:
    """Each run is shorter than a day: in doubt or not, stopped or killed, it is given up once they make a day."""
    outbox, meter, clock = outboxes(notification()), PrometheusMeter(), Clock()
    tries, hours = 0, [0, 5, 10]
    for night in range(3):
        steady = [1e6 * night]  # another boot has another beginning
        channel = ScriptedChannel(*[failure] * len(hours))
        outbox.table.recover(clock.now)
        async with working(channel, outbox, meter, clock, Limits(), steady=lambda: steady[0]) as worker:  # noqa: B023
            for passed in hours:
                assert outbox.states() != ["failed"]
                steady[0] += passed * 3600
                clock.advance(passed * 3600 + 300)
                worker.wake()
                tries += 1
                await until(lambda: sum(outcomes(meter).values()) == tries)  # noqa: B023
                if outbox.states() == ["failed"]:
                    break
            outbox.broken = killed
        outbox.broken = False
        clock.advance(3600)
        if outbox.states() == ["failed"]:
            break
    assert (night, tries) == (1, 6)  # 15 hours in the first run, 15 in the second


async def test_time_at_work_before_its_first_try_is_not_its_own(outboxes: Outboxes) -> None:
    """A page that is decided when the channel has been at work for a year is tried for a day like any other."""
    outbox, meter, clock, steady = outboxes(), PrometheusMeter(), Clock(), [0.0]
    outbox.work("desk", 365 * DAY)
    channel = ScriptedChannel(*[DeliveryError("not now")] * 3)
    async with working(channel, outbox, meter, clock, Limits(), steady=lambda: steady[0]) as worker:
        steady[0] = 1e5
        outbox.add(notification())
        for retried, passed in ((1, 0), (2, 86_399)):
            steady[0] += passed
            clock.advance(passed)
            worker.wake()
            await until(lambda: outcomes(meter)["retried"] == retried)  # noqa: B023
        steady[0] += 1
        clock.advance(300)
        worker.wake()
        await until(lambda: outcomes(meter)["failed"] == 1)
