"""The pace of a channel, as arithmetic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sensord.notify.pace import Pace

SECOND = 1_000_000_000


@given(
    per_minute=st.integers(1, 20),
    arrivals=st.lists(st.tuples(st.integers(0, 40 * SECOND), st.booleans()), max_size=80),
    before=st.lists(st.integers(0, 59 * SECOND), max_size=20),
)
def test_no_minute_ever_has_too_many(per_minute: int, arrivals: list[tuple[int, bool]], before: list[int]) -> None:
    """However messages come, whatever ran before, no sixty seconds hold more; what is not red keeps to its share."""
    pace, now, took = Pace(per_minute, before[:per_minute]), 60 * SECOND, list[int]()
    for pause, red in arrivals:
        now += pause
        if pace.free(now, red=red):
            pace.take(now)
            took.append(now)
            window = [at for at in [*before[:per_minute], *took] if at > now - 60 * SECOND]
            assert len(window) <= (per_minute if red else per_minute - per_minute // 3)


@given(per_minute=st.integers(1, 20), red=st.booleans())
def test_it_opens_when_it_says(per_minute: int, red: bool) -> None:
    """One nanosecond before the instant it is closed, at the instant it is open."""
    pace, now = Pace(per_minute), 100 * SECOND
    while pace.free(now, red=red):
        pace.take(now)
        now += SECOND // 100
    opens = pace.opens(now, red=red)
    assert not pace.free(opens - 1, red=red)
    assert pace.free(opens, red=red)
    assert pace.opens(opens, red=red) == opens
