"""A sensor that dies in the middle of a crowd leaves its place unknown, never quiet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.silent import silent_sensors


@pytest.mark.timeout(240)
def test_a_sensor_that_dies_in_a_crowd_leaves_its_case_open_and_is_told_of(tmp_path: Path) -> None:
    """Beside a sensor that was never heard: people are told, the metric shows it, and no case ends unseen."""
    row = silent_sensors(tmp_path, range(1), 4)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row
