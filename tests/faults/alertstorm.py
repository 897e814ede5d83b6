"""Experiment: five thousand alerts in a minute, and robots that refuse what is too much (``bench/storm.py``)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from bench.storm import FIRST_RED, PLAN, Counted, storm
from tests.faults.tally import Row

ALERTS, SECONDS, PATIENCE = 5000, 60.0, 150.0
"""So many alerts within so many seconds, and how long we look on after the last one."""


def alert_storms(
    directory: Path,
    rounds: Iterable[int],
    seed: int,
    alerts: int = ALERTS,
    seconds: float = SECONDS,
    patience: float = PATIENCE,
) -> Row:
    """Raise so many alerts of one lane each: every lane must be told of, in digests but for the first, and red at once.

    *Lost* counts lanes and messages of which nobody was or will be told, messages that the outbox has for sent and no
    robot has heard, and first red alerts later than ``FIRST_RED``, unless others kept the machine busy when the storm
    began. Recovery is from the first red reading to its message. Raises ``AssertionError`` when a robot is too loud.
    """
    recovery, found, judged, late, repeated, unheard = list[float](), list[Counted](), 0, 0, 0, 0
    for number in rounds:
        idle = os.getloadavg()[0] < (os.cpu_count() or 1)
        folder = directory / str(number)
        folder.mkdir(parents=True)
        groups, latency, _, counted = storm(folder, alerts, seconds, patience, seed + number)
        assert groups.busiest() <= PLAN, "a robot says no more than it may in a minute"
        assert groups.refused == 0, "the service refuses nothing for its rate"
        assert counted.digests, "so many alerts are gathered in digests"
        recovery.append(latency)
        found.append(counted)
        judged += idle
        late += idle and latency > FIRST_RED
        repeated += groups.repeated
        unheard += max(0, counted.sent - groups.told)
    return Row(
        f"{alerts:,} alerts in {seconds:g} s",
        len(found),
        lost=sum(one.lost + alerts - one.lanes for one in found) + unheard + late,
        doubled=repeated,
        recovery=recovery,
        remark=f"{sum(one.alone + one.in_digests for one in found):,} messages, {sum(one.alone for one in found):,} by "
        f"themselves, {sum(one.in_digests for one in found):,} in {sum(one.digests for one in found):,} digests, "
        f"{sum(one.waiting for one in found):,} not sent yet; {judged} of these storms on a machine that was idle "
        f"before (bound: {FIRST_RED:g} s); recovery is from the first red reading to its message",
    )
