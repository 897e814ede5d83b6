"""Panes looked at ahead, many at once, give the bits that sealing them one by one gives, and leave the same state."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.instant import SECOND
from sensord.core.rules.rule import Aggregate, Value
from sensord.core.rules.session import Session
from sensord.core.rules.summary import Plain, Readings, summary_of
from sensord.core.rules.window import Sliding

KEYS, DEPTH, EVERY = 3, 8, 10 * SECOND
FIRST = 1000
"""The first pane; panes are counted from 1970 on."""
SLIDING = [one for one in Aggregate if one not in (Aggregate.DISTINCT, Aggregate.PERCENTILE, Aggregate.OCCUPANCY)]
Reading = tuple[int, int, int, float]
"""(pane, key, ns within the pane, value)."""

readings = st.lists(
    st.tuples(
        st.integers(FIRST, FIRST + 19),
        st.integers(0, KEYS - 1),
        st.integers(0, EVERY - 1),
        st.sampled_from((-3.5, 0.1, 0.2, 7e9, 1e140)),
    ),
    max_size=60,
).map(lambda rows: sorted(rows, key=lambda row: row[0]))


def window_of(aggregate: Aggregate | None, length: int) -> Sliding | Session:
    """A sliding window of an aggregate, or the session that counts."""
    if aggregate is None:
        return Session(Plain("", lambda window: window["count"]), KEYS, length, DEPTH)
    value = Value(aggregate, "value", SECOND if aggregate is Aggregate.SLOPE else 0)
    return Sliding(summary_of(value, EVERY, length * EVERY), KEYS, length, DEPTH)


def some(rows: list[Reading], first: int, width: int) -> Readings:
    """Readings whose cells count from the pane ``first``, or wrap around after ``width`` panes."""
    panes, keys, within = (np.array([row[n] for row in rows], np.int64) for n in range(3))
    cells = ((panes - first) % width) * KEYS + keys
    return Readings(cells, keys, panes, within, np.array([row[3] for row in rows], np.float64))


def one_by_one(window: Sliding | Session, rows: list[Reading], panes: range) -> list[tuple[bytes, bytes]]:
    """What each pane gives; readings are added as their pane comes."""
    given = []
    for pane in panes:
        window.add(some([row for row in rows if row[0] == pane], 0, DEPTH))
        value, samples = window.seal(pane)
        given.append((value.tobytes(), samples.tobytes()))
    return given


def state(window: Sliding | Session) -> dict[str, bytes]:
    """Everything that is saved of a window."""
    return {name: array.tobytes() for name, array in window.arrays().items()}


@pytest.mark.parametrize("aggregate", [*SLIDING, None])
@given(
    rows=readings,
    length=st.integers(1, 6),
    start=st.integers(FIRST, FIRST + 6),
    count=st.integers(1, 12),
    known=st.booleans(),
    left=st.integers(0, 11),
)
@settings(max_examples=40)
def test_many_panes_at_once_are_the_same_bits(
    aggregate: Aggregate | None, rows: list[Reading], length: int, start: int, count: int, known: bool, left: int
) -> None:
    """Values, samples and state are equal, wherever in a block it begins, and whatever was in open panes already.

    Of the panes that were looked at the last ones may be ``left``.
    """
    singly = window_of(aggregate, length)
    one_by_one(singly, rows, range(FIRST, start))
    ahead = copy.deepcopy(singly)
    mine = [row for row in rows if start <= row[0] < start + count]
    opened = [row for row in mine if known and row[0] < start + DEPTH // 2]
    ahead.add(some(opened, 0, DEPTH))
    rest = [row for row in mine if row not in opened]
    found = ahead.ahead(start, count, some(rest, start, count))
    assert found is not None
    taken = max(count - left, 1)
    found.take(taken)
    given = one_by_one(singly, mine, range(start, start + taken))
    seen = [(value.tobytes(), samples.tobytes()) for value, samples in zip(*found[:2], strict=True)]
    assert seen[:taken] == given
    if taken == count or not opened:
        assert state(ahead) == state(singly)
    after = [row for row in rows if row[0] >= start + taken]
    rest = [row for row in after if row not in opened]
    then = range(start + taken, FIRST + 20)
    assert seen[taken:] == one_by_one(copy.deepcopy(singly), mine, range(start + taken, start + count))
    assert one_by_one(ahead, rest, then) == one_by_one(singly, after, then)


def test_what_cannot_be_added_in_another_order_is_sealed_one_by_one() -> None:
    """A session of sums says so."""
    summing = Session(summary_of(Value(Aggregate.SUM, "value"), EVERY, 0), KEYS, 2, DEPTH)
    assert summing.ahead(0, 4, some([], 0, 4)) is None
