"""The host's clock is set while the daemon runs, for real (libfaketime): nobody is told too late, or of what is not."""

from __future__ import annotations

import signal
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from sensord.core.instant import DAY, SECOND
from sensord.core.record import Group
from sensord.drivers.replay import journal_groups
from sensord.store.dayfile import day_of
from sensord.store.reader import DirectoryReader
from tests.faults.clocks import Shown, told_of
from tests.faults.harness import Stage
from tests.faults.sensors import MANY, Speech
from tests.support import wait_until
from tests.support.clock import faketime


@pytest.mark.timeout(240)
def test_an_hour_forth_and_back_changes_nothing_for_people(tmp_path: Path) -> None:
    """Lane after lane becomes crowded: each crowd is told of, no case ends by the clock, nobody is taken for silent."""
    shown = Shown(faketime(), tmp_path / "shown")
    with Stage(tmp_path, influx=False, speech=Speech(lanes=3, moods=None)) as stage:
        places = stage.daemon.directory / "places.yaml"
        places.write_text(places.read_text().replace("place: L1, period: 1h", "place: L1, period: 20s"))
        began = time.monotonic()
        stage.start(fresh_interpreter=True, environment=shown.environment)
        stage.await_ready()
        wait_until(lambda: stage.answers("/readyz"), 30, stage.daemon.standing)
        stage.sensors.speak()
        for jump, lane in ((0, 1), (3600, 2), (-3600, 3)):
            shown.set(jump)
            wait_until(partial(shows, stage, jump), 30, f"the metric shows {jump} s")
            before = [case["id"] for case in stage.daemon.overview()["cases"]]
            stage.sensors.counts[lane] = MANY
            wait_until(partial(told_of, stage, lane), 40, f"the crowd in lane {lane} is told of at {jump}")
            wait_until(partial(crowded, stage, lane), 40, f"the overview, which follows later, shows all at {jump}")
            cases = stage.daemon.overview()["cases"]
            assert set(before) <= {case["id"] for case in cases}, f"open cases go on at {jump}"
        shown.set(0)
        stage.settle()
        row = stage.verdict("", 3)
        assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row
        times = [group.received_at for group in journal_groups(DirectoryReader(stage.daemon.state / "journal"))]
        assert all(earlier <= later for earlier, later in pairwise(times)), "journal time never goes back"
        assert (times[-1] - times[0]) / SECOND < 2 * (time.monotonic() - began), "and does not leap"


@pytest.mark.timeout(240)
def test_a_start_a_month_ahead_can_be_undone(tmp_path: Path) -> None:
    """As the handbook says: the days that have not come, and what came of them, are moved away; all else is there."""
    with Stage(tmp_path, influx=False, speech=Speech(moods=None)) as stage:
        stage.begin()
        end(stage)
        before = groups_of(stage)
        stage.ahead = 30 * DAY / SECOND
        stage.start()
        stage.await_ready()
        end(stage)
        stage.ahead = 0.0
        stage.start()
        stage.await_ready()
        wait_until(lambda: stage.fact("clock") is False, 30, "the clock is said to be wrong")
        end(stage)
        move_what_has_not_come(stage.daemon.state, tmp_path / "aside")
        stage.start()
        stage.await_ready()
        wait_until(lambda: stage.fact("clock") is True, 30, "the clock is right")
        stage.sensors.counts[1] = MANY
        wait_until(lambda: "L1" in stage.places(), 60, "people are told of a crowd")
        assert groups_of(stage)[: len(before)] == before, "what was received before is there"


def end(stage: Stage) -> None:
    """End the daemon in good order."""
    stage.shoot(signal.SIGTERM)
    assert stage.await_end(30) == 0


def groups_of(stage: Stage) -> list[Group]:
    """All that the journal holds."""
    return list(journal_groups(DirectoryReader(stage.daemon.state / "journal")))


def move_what_has_not_come(state: Path, aside: Path) -> None:
    """Do by hand what the handbook says."""
    aside.mkdir()
    today = day_of(time.time_ns(), "Asia/Shanghai")
    files = (state / "journal").glob("journal-*.db*")
    later = [path for path in files if path.name.partition(".")[0] > f"journal-{today}"]
    assert later
    for path in (*later, *state.glob("state.db*"), *state.glob("rollups.db*")):
        path.rename(aside / path.name)


def shows(stage: Stage, jump: int) -> bool:
    """Whether the daemon says by how much the host's clock was set; it makes up for some of that meanwhile."""
    return abs(stage.metric("host_clock_offset_seconds") - jump) < 600


def crowded(stage: Stage, lanes: int) -> bool:
    """Whether exactly the first lanes have open cases; from the first jump on the street has one about the clock."""
    expected = {f"L{number}" for number in range(1, lanes + 1)} | ({"street"} if lanes > 1 else set())
    return {case["place"] for case in stage.daemon.overview()["cases"]} == expected
