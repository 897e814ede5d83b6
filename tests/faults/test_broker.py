"""The broker as it fails: restarts, a storm of a thousand devices, sessions lost, retained abuse."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from tests.faults.brokenlink import broker_kills, half_open, lost_sessions, repetitions, storms, takeovers
from tests.faults.fleet import registered_storms
from tests.faults.harness import Stage
from tests.faults.tally import Row
from tests.support import wait_until

ROUNDS = {"shot": 3, "a storm of three hundred registered devices": 2}
"""So often, where that is not once: of registered devices every second time is another fault."""
EXPERIMENTS: dict[str, Callable[[Path, Iterable[int], int], Row]] = {
    "shot": broker_kills,
    "half open": half_open,
    "without its memory": lost_sessions,
    "our client id elsewhere": takeovers,
    "a storm of a thousand strangers": storms,
    "a storm of three hundred registered devices": partial(registered_storms, many=300),
    "everything twice, and retained": repetitions,
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", EXPERIMENTS)
def test_whatever_becomes_of_the_broker_nothing_is_lost(fault: str, tmp_path: Path) -> None:
    """The daemon is back each time, and says what it saw; what the broker forgot is a gap in the devices' numbers."""
    row = EXPERIMENTS[fault](tmp_path, range(ROUNDS.get(fault, 1)), 5)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


def test_retained_readings_raise_nothing_at_a_start(tmp_path: Path) -> None:
    """A crowd that somebody has retained is no crowd: it is counted when we subscribe, and triggers nothing."""
    with Stage(tmp_path, influx=False) as stage:
        for _ in range(5):
            stage.broker.publish("t/C1/crowd/crowd-1", b'{"count": 500}', retain=True)
        stage.start()
        stage.await_ready()
        wait_until(lambda: stage.answers("/readyz"), 30, stage.daemon.standing)
        wait_until(lambda: stage.metric('readings_total{outcome="retained"') == 1, 20, "it has come, and is counted")
        wait_until(stage.daemon.caught_up, 20, "everything is applied")
        assert stage.daemon.overview()["cases"] == []
