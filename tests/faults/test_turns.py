"""SIGKILL in what runs seldom: the turn of a day, repairs, upgrades, backups. ``make torture`` does it many times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.copies import copy_kills
from tests.faults.mends import mend_kills, upgrade_kills
from tests.faults.midnight import midnight_kills
from tests.faults.tally import Row


@pytest.mark.timeout(240)
@pytest.mark.parametrize("experiment", [midnight_kills, mend_kills, upgrade_kills, copy_kills])
def test_what_runs_seldom_may_be_shot_anywhere(experiment: Callable[[Path, int, int], Row], tmp_path: Path) -> None:
    """Once at each point: nothing is lost, doubled or invented, and the next start, or the same command, is whole."""
    row = experiment(tmp_path, 1, 11)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row
