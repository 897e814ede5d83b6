"""Plates are sorted into classes; all plates here are made up, and none stands beside a time or a place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensord.core.plate import PlateTable, normalise

TABLE = PlateTable(("沪",), ("皖K", "豫"))

CLASSES: dict[str, list[str | None]] = {
    "local": ["沪A12345", "沪a·12345", " 沪A 12345 ", "沪AD12345", "沪A12345D", "沪Ａ１２３４５"],
    "out_of_town": ["苏E12345", "粤BF12345", "皖A12345", "京AAB123"],
    "key_area": ["皖K12345", "豫A12345", "豫AD12345"],
    "special": [
        "沪A1234警",
        "粤Z1234港",
        "粤Z1234澳",
        "沪A1234学",
        "沪A1234挂",
        "沪22478领",
        "使123456",
        "WJ沪1234J",
        "BA12345",
    ],
    "none": [None, "", "无车牌", "unknown"],
    "unread": ["沪A1", "ABC", "沪A123456789", "???????"],
}


@pytest.mark.parametrize(("sort", "plate"), [(sort, plate) for sort, plates in CLASSES.items() for plate in plates])
def test_classes(sort: str, plate: str | None) -> None:
    """Each form is sorted as GA 36-2018 and the operators' lists say."""
    assert TABLE.classify(plate, 0.9) == sort


def test_nobody_is_out_of_town_on_a_guess() -> None:
    """A low confidence makes a plate unread; a missing plate stays a missing plate."""
    assert TABLE.classify("苏E12345", 0.3) == "unread"
    assert TABLE.classify(None, 0.0) == "none"


@given(st.text(max_size=12))
def test_normalising_is_idempotent_and_never_raises(text: str) -> None:
    """Normalising twice is normalising once."""
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(max_size=12), st.floats(0, 1))
def test_any_text_gets_a_class(text: str, confidence: float) -> None:
    """Whatever a camera sends is one of the six classes."""
    assert TABLE.classify(text, confidence) in {"local", "out_of_town", "key_area", "special", "none", "unread"}
