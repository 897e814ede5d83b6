"""Devices whose clocks are wrong, and those that send late what they have stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.clocks import device_clocks, stored_hours


@pytest.mark.timeout(240)
def test_a_crowd_is_told_of_whatever_the_sensors_clock(tmp_path: Path) -> None:
    """Off, at its epoch, a day ahead, another one each time, or just set; one reading at a time, or five at once."""
    (row,) = device_clocks(tmp_path, range(1), 2)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row


@pytest.mark.timeout(240)
def test_a_stored_hour_is_stored_as_that_hour(tmp_path: Path) -> None:
    """A crowd of an hour ago is nobody's alert now, and its points have its own time; be it the first that is heard."""
    (row,) = stored_hours(tmp_path, range(2), 2)
    assert (row.lost, row.doubled, row.invented) == (0, 0, 0), row
