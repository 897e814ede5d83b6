"""A hundred SIGKILLs on real parts: nothing lost, nothing twice, nothing invented. ``make torture`` does thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import point_kills, random_kills
from tests.faults.tally import Row


def harm(row: Row) -> tuple[int, int, int]:
    """What must be zero."""
    return row.lost, row.doubled, row.invented


@pytest.mark.timeout(400)
def test_random_kills_lose_nothing_and_invent_nothing(tmp_path: Path) -> None:
    """Forty kills while crowds come and go: every reading, page and point is there once, and replay agrees."""
    row = random_kills(tmp_path, range(40), seed=7, fresh=20, leg=25)
    assert harm(row) == (0, 0, 0), row


@pytest.mark.timeout(400)
def test_a_kill_at_every_named_point_loses_nothing(tmp_path: Path) -> None:
    """Twice at each point between receiving a message and recording that somebody was told of it."""
    rows = point_kills(tmp_path, 2, seed=8)
    assert [harm(row) for row in rows] == [(0, 0, 0)] * len(rows), rows
    assert rows[-1].marked > 0, "a page that was under way is sent again, and says so"
