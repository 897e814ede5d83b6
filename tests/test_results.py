"""What became of commands over MQTT: told in order, and counted where it is not told."""

from __future__ import annotations

import asyncio

from sensord.core.outcome import Outcome
from sensord.results import Results
from sensord.telemetry.metrics import PrometheusMeter


def test_what_is_not_told_is_counted() -> None:
    """More outcomes at once than wait: those over it are in the case's story only, and a number says how many."""
    meter, outcome = (
        PrometheusMeter(),
        Outcome("case", "acknowledge", "居委干部-1", "mqtt", 1, True, "noted", "已记录", "noted"),
    )

    async def flood() -> None:
        results = Results([], "Asia/Shanghai", meter)
        results.hear([outcome] * 1003)
        await asyncio.sleep(0)  # the loop takes what the core's thread has handed over

    asyncio.run(flood())
    assert meter.value("results_dropped_total") == 3
