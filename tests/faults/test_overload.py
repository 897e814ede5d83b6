"""More than the daemon can take: what happens now is told of now, and what waits is worked off, each reading once."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from sensord.ingest.backlog import CLOSE, OPEN
from tests.faults.flood import LANES, flood, published
from tests.faults.harness import Stage
from tests.faults.overload import BROKER, replayed
from tests.faults.sensors import MANY, Speech
from tests.support import wait_until

GROUP = 4
"""Small groups make the daemon slow, so that a small flood is too much for it."""
RATE, SECONDS = 6000, 5
LONG = "SENSORD_LONG"
"""Set for what takes minutes of a processor: the ordinary run has fifteen for everything."""


@pytest.mark.skipif(not os.environ.get(LONG), reason=f"takes two minutes of a processor: {LONG}=1 runs it")
@pytest.mark.timeout(420)
def test_a_crowd_that_comes_in_a_flood_is_told_of_at_once(tmp_path: Path) -> None:
    """The page comes while what the flood has left still waits; each reading counts once, and replay is the same."""
    speech = Speech(others=LANES, moods=None)
    with Stage(tmp_path, influx=False, speech=speech, broker=BROKER, journal={"group_records": GROUP}) as stage:
        stage.begin()
        with flood(stage, RATE, SECONDS) as publisher:
            wait_until(lambda: stage.metric("fresh_lane_open") == 1, 30, "readings wait, and the lane opens")
            stage.sensors.counts[1] = MANY
            wait_until(lambda: "L1" in stage.places(), 30, "somebody is told of the crowd")
            assert stage.metric("reading_age_seconds") > OPEN, "the page did not wait for the backlog"
            sent, _, _ = published(publisher)
        wait_until(lambda: worked_off(stage), 240, "the backlog is worked off")
        wait_until(stage.daemon.caught_up, 60, "everything is applied")
        wait_until(lambda: holes(stage) == 0, 60, lambda: f"{holes(stage):g} holes are filled")
        stage.sensors.fall_silent()
        wait_until(lambda: not stage.missing(), 60, "every reading is in the journal")
        wait_until(stage.daemon.caught_up, 60, "everything is applied")
        assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()
        assert replayed(stage) == (sent + sum(stage.sensors.sent.values()), sent)


def holes(stage: Stage) -> float:
    """How many readings of devices' own numbers have not come."""
    return stage.metric("sequence_gaps_total") - stage.metric("sequence_gaps_filled_total")


def worked_off(stage: Stage) -> bool:
    """Whether readings come in their turn again. The lane alone does not say so: it closes to begin anew, too."""
    return stage.metric("fresh_lane_open") == 0 and stage.metric("reading_age_seconds") < CLOSE
