"""Input that is nonsense, by the real daemon behind a real broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.nonsense import nonsense


@pytest.mark.timeout(240)
def test_all_nonsense_is_accounted_for_and_costs_nothing(tmp_path: Path) -> None:
    """NaN, 100,000 brackets, thousands of strangers, 10 MB: counted one by one, while crowds are told of as ever."""
    row = nonsense(tmp_path, range(1), 6)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row
