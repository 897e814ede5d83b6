"""A database that is away, hangs, is overloaded, or refuses points costs nobody else anything, and no good point."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.sinks import TROUBLES, failing_database


@pytest.mark.timeout(240)
@pytest.mark.parametrize("trouble", [one for one in TROUBLES if "503" not in one])  # 429 stands for it
def test_a_database_in_trouble_costs_no_alert_and_no_good_point(trouble: str, tmp_path: Path) -> None:
    """Pages go out meanwhile; then every point is there, once, but for those that it refused, which are counted."""
    row = failing_database(tmp_path, range(1), 3, trouble)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row
