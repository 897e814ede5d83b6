"""More than the daemon can take: what happens now is told of now, and what waits is worked off, each reading once."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from sensord.ingest.backlog import OPEN
from tests.faults.flood import LANES, flood, published
from tests.faults.harness import Stage
from tests.faults.overload import BROKER, MOST_MIB, Seen, replayed
from tests.faults.sensors import MANY, Speech
from tests.support import wait_until

RATE, LONGEST = 3000, 120
"""Readings a second, until the crowd was told of and answered, or for so many seconds."""


@pytest.mark.timeout(300)
def test_a_crowd_that_comes_in_a_flood_is_told_of_at_once(tmp_path: Path) -> None:
    """The page comes while what came before it waits, and so does its answer's outcome; each reading counts once.

    Groups of a single reading make the daemon slow, so that a small flood is too much for it. It is started again
    with groups as usual to work off what waits: a crowd that was told of must not be told of again for that.
    """
    speech = Speech(others=LANES, moods=None)
    with Stage(tmp_path, influx=False, speech=speech, broker=BROKER, journal={"group_records": 1}) as stage:
        stage.begin()
        with flood(stage, RATE, LONGEST) as publisher:
            wait_until(lambda: stage.metric("fresh_lane_open") == 1, 30, "readings wait, and the lane opens")
            stage.sensors.counts[1] = MANY
            wait_until(lambda: "L1" in stage.places(), 30, "somebody is told of the crowd")
            answer(stage)
            assert stage.metric("reading_age_seconds") > OPEN, "neither waited for the backlog"
            assert stage.resident() < MOST_MIB << 20
            sent, _, _ = published(publisher)
        assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()
        stage.daemon.set(journal={})
        stage.start()
        stage.await_ready()
        seen = Seen(stage)
        wait_until(lambda: seen.count() == sent, 120, lambda: f"{sent} readings are in the journal: {seen.different}")
        assert stage.resident() < MOST_MIB << 20
        stage.sensors.fall_silent()
        wait_until(lambda: not stage.missing(), 60, "every reading is in the journal")
        wait_until(stage.daemon.caught_up, 60, "everything is applied")
        assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()
        assert replayed(stage) == (sent + sum(stage.sensors.sent.values()), sent)
        assert len({page["case"] for page in stage.pages() if page["place"] == "L1"}) == 1


def answer(stage: Stage) -> None:
    """Answer the page as whoever got it, over the broker, and hear what became of it."""
    page = next(page for page in stage.pages() if page["place"] == "L1")
    stage.broker.publish(f"t/commands/by/{page['receiver']}/{page['case']}", b'{"verb": "acknowledge"}')
    heard = stage.sensors.heard
    wait_until(lambda: any(one["case"] == page["case"] and one.get("verdict") for one in list(heard)), 30, "an outcome")
