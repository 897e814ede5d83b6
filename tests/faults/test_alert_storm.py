"""Many alerts at once, from real messages to robots that refuse what is too much."""

from __future__ import annotations

from pathlib import Path

from tests.faults.alertstorm import alert_storms


def test_a_burst_of_alerts_stays_within_the_robots_minute_and_loses_nothing(tmp_path: Path) -> None:
    """Four hundred lanes alarm in two seconds: red is there, no robot is too loud, every message is told or awaited."""
    row = alert_storms(tmp_path, range(1), 4, alerts=400, seconds=2.0, patience=2.0)
    assert (row.lost, row.doubled) == (0, 0), row
