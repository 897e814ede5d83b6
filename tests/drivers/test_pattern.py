"""The compact notation of series."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensord.config.pattern import Item, read_pattern


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("10", [10]),
        (10, [10]),
        (2.5, [2.5]),
        ("10*3", [10, 10, 10]),
        ("0*2 _ -5", [0, 0, None, -5]),
        ("_*2 1.5", [None, None, 1.5]),
        ("20..60*5", [20, 30, 40, 50, 60]),
        ("1.0..0*3", [1, 0.5, 0]),
        ("1..2*4", [1, 1, 2, 2]),
        ("out_of_town*2 key_area#1", ["out_of_town", "out_of_town", "key_area#1"]),
        ("  7   8 ", [7, 8]),
    ],
)
def test_what_a_series_means(text: str | float, items: list[Item]) -> None:
    """Each form stands for these values."""
    assert read_pattern(text) == items


@pytest.mark.parametrize("text", ["", " ", "5*0", "5*x", "5**2", "*3", "1..5", "1..5*1", "9*200000"])
def test_what_is_no_series(text: str) -> None:
    """Each of these is refused with a sentence."""
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        read_pattern(text)


@given(st.lists(st.one_of(st.none(), st.integers(-1000, 1000)), min_size=1, max_size=30))
def test_values_written_out_are_read_back(items: list[int | None]) -> None:
    """A series that is written value by value means those values."""
    assert read_pattern(" ".join("_" if item is None else str(item) for item in items)) == items
