"""What the broker sends again is recognised, however much of it, in whatever order."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.intake.repeats import RANGES, Number, Repeats


def repeated(repeats: Repeats, boot: int, seq: int) -> bool:
    """Whether this number was seen; it is from now on."""
    return repeats.numbered(boot, seq)[0] is Number.REPEATED


@given(first=st.integers(0, 2**53 - 5000), sent=st.integers(1, 5000), again=st.integers(1, 3))
@settings(max_examples=30)
def test_everything_under_way_may_come_again(first: int, sent: int, again: int) -> None:
    """However much the broker had under way, sent again in order several times: each message counts once."""
    repeats = Repeats()
    assert not any(repeated(repeats, 1, first + number) for number in range(sent))
    for _ in range(again):
        assert all(repeated(repeats, 1, first + number) for number in range(sent))
    assert len(repeats.windows[0].edges) == 2


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(0, 2 * RANGES)), max_size=300), st.integers(0, 299))
@settings(max_examples=100)
def test_any_order_counts_each_number_once(arrivals: list[tuple[int, int]], restart: int) -> None:
    """Of two boots, the first arrival of a number is new, every other one a repeat; saved and restored in between."""
    repeats, seen = Repeats(), set[tuple[int, int]]()
    for number, (boot, seq) in enumerate(arrivals):
        if number == restart:
            repeats = msgspec.msgpack.decode(msgspec.msgpack.encode(repeats), type=Repeats)
        assert repeated(repeats, boot, seq) is ((boot, seq) in seen)
        seen.add((boot, seq))


def test_numbers_far_apart_cost_nothing() -> None:
    """A jump to the largest number is one more range; beyond so many the oldest hole is closed."""
    repeats = Repeats()
    assert [repeated(repeats, 1, seq) for seq in (0, 2**53, 2**53, 1, 1)] == [False, False, True, False, True]
    assert not any(repeated(repeats, 2, 10 * number) for number in range(3 * RANGES))
    assert len(repeats.windows[1].edges) == 2 * RANGES
    assert not repeated(repeats, 2, 10 * 3 * RANGES - 15)
    assert repeated(repeats, 2, 15)


def test_contents_are_kept_for_a_while() -> None:
    """Of messages without numbers the newest are known again, and memory is bounded."""
    repeats = Repeats()
    assert [repeats.content(identity) for identity in (1, 2, 1)] == [False, False, True]
    assert not any(repeats.content(identity) for identity in range(10, 1000))
    assert len(repeats.contents) == 64
