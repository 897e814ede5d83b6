"""A receiver that fails in every way: nobody is told less for it, nor twice without a word."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import pytest

from tests.faults.harness import Stage
from tests.faults.receivers import WAYS, arrived, failing_receiver, second_ways
from tests.faults.sensors import FEW, MANY, Speech
from tests.faults.waiting import well_again, worst_first
from tests.notify.receiver import Answer
from tests.support import wait_until


@pytest.mark.timeout(240)
@pytest.mark.parametrize("way", list(WAYS)[:-4])  # of each kind one; ``make torture`` has the others, too
def test_a_receiver_that_fails_gets_every_page_later(way: str, tmp_path: Path) -> None:
    """Cut, hung, 500, 429, 404, a 200 that lies: all arrives once it is well, and the other channel never waits."""
    row = failing_receiver(tmp_path, range(1), 4, way)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


@pytest.mark.timeout(240)
def test_a_first_way_that_fails_is_followed_by_the_second(tmp_path: Path) -> None:
    """Each person who has one is told over it, once, and not before its time; others hear when the first is well."""
    row = second_ways(tmp_path, range(2), 4, after=5)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row
    assert len(row.recovery) == 4


@pytest.mark.timeout(240)
def test_the_worst_goes_out_first_when_many_pages_wait(tmp_path: Path) -> None:
    """Red before orange and yellow, the red of a crowd that has come last too; what is less bad follows, all of it."""
    row = worst_first(tmp_path, range(1), 4)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


@pytest.mark.timeout(240)
def test_what_was_put_off_follows_as_soon_as_the_receiver_is_well(tmp_path: Path) -> None:
    """The first page that arrives takes all others with it, whose own turn would be minutes later."""
    row = well_again(tmp_path, range(1), 4)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


@pytest.mark.timeout(240)
def test_a_channel_that_refused_everybody_for_good_tells_of_the_next_crowd(tmp_path: Path) -> None:
    """Nobody has another way, and each is thought out of reach: they are told all the same, and trusted again."""
    with Stage(tmp_path, influx=False, speech=Speech(moods=None, every=0.5)) as stage:
        roster = stage.daemon.directory / "roster.yaml"
        roster.write_text(roster.read_text(encoding="utf-8").replace(", {channel: grid}", ""), encoding="utf-8")
        stage.people.otherwise = Answer(200, b'{"errcode": 1, "retryable": false}', lies=True)
        stage.begin()
        stage.sensors.counts[1] = MANY
        people = {"志愿者-1", "居委干部-1", "派出所-1"}
        wait_until(lambda: people <= _failing(stage), 60, "everybody is out of reach")
        stage.sensors.counts[1] = FEW
        wait_until(lambda: "L1" not in stage.crowds(), 60, "the crowd has gone")
        wait_until(lambda: not stage.daemon.overview()["notifications"]["pending"], 60, "its end is refused as well")
        stage.people.otherwise, before = Answer(), len(stage.people.requests)
        stage.sensors.counts[1] = MANY
        wait_until(partial(arrived, stage, before), 60, "people are told of the next crowd")
        wait_until(lambda: not _failing(stage), 60, "everybody is trusted again")
        assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()


def _failing(stage: Stage) -> set[str]:
    """Who is known not to be reached by some channel."""
    posts = stage.daemon.get("/api/v1/roster/now").json()["posts"]
    return {one["person"] for post in posts for one in post["people"] if one["failing"]}
