"""Experiments with the turn of the day: SIGKILL while a new journal file is begun, and while an old one is deleted.

The daemon is shown another day at each start, a little before midnight, and keeps two of them.
"""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sensord.core.instant import SECOND
from sensord.store.dayfile import day_files, day_in
from sensord.store.keepingtime import KeepingTime
from tests.faults.harness import Stage
from tests.faults.outside import HOLE, told_times
from tests.faults.points import POINTS, When, named
from tests.faults.tally import Row

BEFORE = 2.0
"""Seconds before midnight at which a daemon is started: it journals some groups into the old day's file."""
DAYS_AT_MOST = 6
"""For one point: a daemon that starts late, or has not saved its state twice, passes it a day later."""
KEPT = timedelta(days=2)
ZONE = ZoneInfo("Asia/Shanghai")


class _Days:
    """The days that the daemon lives through, one after the other; and all their files, those it deletes included."""

    def __init__(self, stage: Stage, archive: Path) -> None:
        self._stage, self._archive = stage, archive
        self._midnight = datetime.fromtimestamp(time.time(), ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
        archive.mkdir()

    @property
    def _journal(self) -> Path:
        return self._stage.daemon.state / "journal"

    def start(self, point: str = "", nth: int = 1) -> None:
        """Start the daemon shortly before the next midnight."""
        self.keep()
        KeepingTime(self._stage.daemon.state).note(int(self._midnight.timestamp()) * SECOND)  # as one that ran all day
        self._midnight += timedelta(days=1)
        self._stage.ahead = self._midnight.timestamp() - time.time() - BEFORE
        self._stage.start(point, nth)

    def keep(self) -> None:
        """Link every file that there is by now: what is written into it later is in both, its deletion is not."""
        for path in day_files(self._journal):
            if not (self._archive / path.name).exists():
                os.link(path, self._archive / path.name)

    def deleted(self) -> Path:
        """A folder with the days that the journal has deleted."""
        folder = self._archive / "deleted"
        folder.mkdir(exist_ok=True)
        for path in day_files(self._archive):
            if not (self._journal / path.name).exists():
                path.rename(folder / path.name)
        return folder

    def too_soon(self) -> list[str]:
        """The deleted days that were not past their keeping."""
        oldest = (self._midnight - KEPT).strftime("%Y-%m-%d")
        return [path.name for path in day_files(self.deleted()) if day_in(path) >= oldest]

    def left_over(self) -> list[str]:
        """The logs of deleted days that nobody will delete any more, and days that are past their keeping."""
        oldest = (self._midnight - KEPT - timedelta(days=1)).strftime("%Y-%m-%d")
        return [path.name for path in self._journal.glob("journal-*") if path.name[len("journal-") :][:10] < oldest]


def midnight_kills(directory: Path, rounds: int, seed: int) -> Row:
    """Shoot the daemon at each point of the turn of a day, each time on another day; then look at all of them."""
    dice = random.Random(seed)
    turning, pruning = (named(POINTS, when) * rounds for when in (When.MIDNIGHT, When.PRUNING))
    dice.shuffle(turning)
    dice.shuffle(pruning)
    with Stage(directory, seed, influx=False, journal={"keep": f"{KEPT.days}d"}) as stage:
        days = _Days(stage, directory / "archive")
        stage.begin()
        stage.end(signal.SIGKILL)
        for name in turning + pruning:
            _strike(stage, days, name, dice)
        _let_days_pass(stage, days)
        stage.earlier = [days.deleted()]
        stage.settle(patience=120)
        row = stage.verdict(
            f"SIGKILL at {len({*turning, *pruning})} named points of a day's turn", len(turning + pruning)
        )
        wrong = days.too_soon()
        row.lost += len(wrong) + told_times(stage, HOLE)
        row.remark += f"; {len(day_files(stage.earlier[0]))} days deleted, {len(wrong)} of them too soon"
        return row


def _let_days_pass(stage: Stage, days: _Days) -> None:
    """Until a daemon has deleted all that is past its keeping; it runs on."""
    for _ in range(DAYS_AT_MOST):
        days.start()
        stage.await_ready()
        if stage.await_end(4.0) is None and not days.left_over():
            return
        stage.end(signal.SIGTERM)
    raise AssertionError(f"{days.left_over()} are not deleted; {stage.daemon.tail()}")


def _strike(stage: Stage, days: _Days, name: str, dice: random.Random) -> None:
    """Let days pass until the point is reached: nothing is deleted that the core would need after a crash."""
    point = POINTS[name]
    for _ in range(DAYS_AT_MOST):
        days.start(name, dice.randint(point.least, point.often))
        if stage.await_end(8.0) == -signal.SIGKILL:
            return
        stage.end(signal.SIGKILL)
    raise AssertionError(f"{name}: not reached; {stage.daemon.tail()}")
