"""The line protocol encoder, against a reader of its own and by example."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensord.core.point import Point
from sensord.series.lineprotocol import encode, encode_lines
from tests.series.lines import Line, parse

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters='\\"#'), min_size=1, max_size=12)
STRINGS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=20)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    STRINGS,
)
POINTS = st.builds(
    Point,
    measurement=NAMES,
    tags=st.dictionaries(NAMES, NAMES, max_size=4),
    fields=st.dictionaries(NAMES, VALUES, min_size=1, max_size=4),
    at=st.integers(0, 2**62),
)


@given(POINTS)
def test_every_point_reads_back_as_it_was(point: Point) -> None:
    """Names, tags, values of each type and the nanosecond survive encoding and parsing."""
    line = parse(encode(point))
    assert line == Line(point.measurement, dict(sorted(point.tags.items())), point.fields, point.at)
    assert [type(value) for value in line.fields.values()] == [type(value) for value in point.fields.values()]


@pytest.mark.parametrize(
    ("point", "line"),
    [
        pytest.param(
            Point("crowd", {"place": "lane-99"}, {"count": 12}, 7), "crowd,place=lane-99 count=12i 7", id="int"
        ),
        pytest.param(Point("crowd", {}, {"density": 2.0}, 7), "crowd density=2.0 7", id="float"),
        pytest.param(Point("crowd", {}, {"ok": True}, 7), "crowd ok=true 7", id="bool"),
        pytest.param(
            Point("a b,c", {"d e": "f=g, h"}, {"i=j": 1}, 7), r"a\ b\,c,d\ e=f\=g\,\ h i\=j=1i 7", id="escapes"
        ),
        pytest.param(Point("m", {}, {"s": 'a "b" \\ c'}, 7), r'm s="a \"b\" \\ c" 7', id="string"),
        pytest.param(Point("m", {"b": "2", "a": "1", "c": ""}, {"v": 1}, 7), "m,a=1,b=2 v=1i 7", id="tags"),
        pytest.param(Point("m", {"a": "x\\"}, {"v": 1}, 7), "m,a=x_ v=1i 7", id="backslash at a tag's end"),
        pytest.param(Point("m", {'a"': 'x"y'}, {'"': 1}, 7), "m,a_=x_y _=1i 7", id="quotes"),
        pytest.param(Point("#m", {"a": "x\ny"}, {"s": "x\ny"}, 7), '_m,a=x_y s="x y" 7', id="line ends"),
        pytest.param(Point("m", {}, {"nan": math.nan, "inf": math.inf, "v": 1}, 7), "m v=1i 7", id="no number"),
        pytest.param(Point("m", {}, {"huge": 2**63, "low": -(2**63)}, 7), f"m low={-(2**63)}i 7", id="too large"),
        pytest.param(Point("m", {}, {"nan": math.nan}, 7), "", id="nothing left"),
        pytest.param(Point("m", {}, {}, 7), "", id="no fields"),
        pytest.param(Point("", {}, {"v": 1}, 7), "", id="no measurement"),
    ],
)
def test_examples(point: Point, line: str) -> None:
    """One line for each rule of the module."""
    assert encode(point) == line


def test_points_without_anything_to_write_are_counted() -> None:
    """The caller learns how many points are missing from the lines."""
    points = [Point("m", {}, {"v": 1}, 1), Point("m", {}, {"v": math.nan}, 2), Point("m", {}, {"v": 3}, 3)]
    assert encode_lines(points) == ("m v=1i 1\nm v=3i 3", 1)
