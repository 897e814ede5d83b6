"""Power cuts below SQLite: what was acknowledged is there afterwards. ``make torture`` cuts thousands of times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sensord.config import files
from sensord.core.point import Point
from sensord.ports import Cursor
from sensord.store.rollups import RollupSink
from tests.faults.powercut import power_cuts
from tests.faults.smallcut import small_cuts
from tests.faults.smalldisk import SmallDisk

# SQLite itself writes while it closes; what the shim raises there has nobody to go to.
pytestmark = pytest.mark.filterwarnings(
    "ignore:(?s).*the power is off:pytest.PytestUnraisableExceptionWarning",
)


def test_no_acknowledged_row_is_lost_in_a_power_cut(tmp_path: Path) -> None:
    """Forty seeds, three cuts in a row each, on the journal's, the state database's and the roll-ups' own code."""
    row = power_cuts(tmp_path, 40)
    assert (row.lost, row.doubled) == (0, 0), row


def test_a_weaker_setting_would_lose_rows(tmp_path: Path) -> None:
    """The same cuts with ``synchronous=NORMAL`` lose rows: the experiment can see what it looks for."""
    assert power_cuts(tmp_path, 10, weak=True).lost > 0


class PointsFirst(RollupSink):
    """Points in one transaction, the cursor in the next."""

    def _add(self, points: Sequence[Point], cursor: Cursor) -> None:
        before = self._database.rows("", "SELECT seq, checkpoint, state FROM cursor") or [(0, 0, b"")]
        super()._add(points, Cursor(*before[0]))
        super()._add([], cursor)


class CursorFirst(RollupSink):
    """The cursor in one transaction, points in the next."""

    def _add(self, points: Sequence[Point], cursor: Cursor) -> None:
        super()._add([], cursor)
        super()._add(points, cursor)


@pytest.mark.parametrize(("sink", "harm"), [(PointsFirst, "doubled"), (CursorFirst, "lost")])
def test_a_cursor_with_a_transaction_of_its_own_would_show(tmp_path: Path, sink: type[RollupSink], harm: str) -> None:
    """The same cuts between points and cursor count some points twice, or not at all."""
    assert getattr(power_cuts(tmp_path, 20, sink=sink), harm) > 0


def test_nothing_that_was_answered_with_yes_is_lost_from_small_files(tmp_path: Path) -> None:
    """Registers stay chained; tokens, keys, sessions, starts stay known: twenty seeds, four cuts in a row each."""
    row = small_cuts(tmp_path, 20, 100)
    assert row.lost == 0, row


@pytest.mark.parametrize(
    ("holder", "call"), [(SmallDisk, "_fsync"), (files, "sync_directory")], ids=["no content synced", "no name synced"]
)
def test_a_small_file_that_is_not_synced_would_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holder: object, call: str
) -> None:
    """Without the sync of a file's content, or of its name, the same cuts lose what was answered with yes."""
    monkeypatch.setattr(holder, call, lambda *_: None)
    assert small_cuts(tmp_path, 20, 100).lost > 0
