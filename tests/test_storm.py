"""Many alerts at once, from real messages to robots that refuse what is too much (``bench/storm.py``)."""

from __future__ import annotations

from pathlib import Path

from bench.storm import PLAN, storm


def test_a_burst_of_alerts_stays_within_the_robots_minute_and_loses_nothing(tmp_path: Path) -> None:
    """Four hundred lanes alarm in two seconds: red is there, no robot is too loud, every message is told or awaited."""
    groups, _, _, counted = storm(tmp_path, alerts=400, seconds=2.0, patience=2.0)
    assert groups.busiest() <= PLAN
    assert groups.refused == 0
    assert counted.lost == 0
    assert counted.alone + counted.in_digests >= 400
    assert counted.digests
