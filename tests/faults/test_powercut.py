"""Power cuts below SQLite: what was acknowledged is there afterwards. ``make torture`` cuts thousands of times."""

from __future__ import annotations

from pathlib import Path

from tests.faults.powercut import power_cuts


def test_no_acknowledged_row_is_lost_in_a_power_cut(tmp_path: Path) -> None:
    """Forty seeds, three cuts in a row each, on the journal's and the state database's own code."""
    row = power_cuts(tmp_path, 40)
    assert row.lost == 0, row


def test_a_weaker_setting_would_lose_rows(tmp_path: Path) -> None:
    """The same cuts with ``synchronous=NORMAL`` lose rows: the experiment can see what it looks for."""
    assert power_cuts(tmp_path, 10, weak=True).lost > 0
