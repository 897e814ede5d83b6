"""Plates in texts of strangers are blotted out, however they are written; names of devices and numbers stay."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sensord.config.places import load_places
from sensord.core.region import PROVINCES
from sensord.core.vehicles.blot import without_plates
from sensord.core.vehicles.plate import recognise
from sensord.core.vehicles.platekind import PlateKind

CONFIG = Path(__file__).parents[2] / "config"
SEPARATORS = [
    "",
    "·",
    "•",
    "●",
    "‧",
    "∙",
    "-",
    "—",
    "――",
    "_",
    ".",
    ":",
    "：",
    "/",
    "／",
    " ",
    "\u3000",
    " · ",
    "\u200b",
    "|",
]
INVISIBLE = "\u200b\u200c\u2060\ufeff\u00ad"


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize(
    ("before", "behind"), [("沪A", "12345"), ("沪a", "D12345"), ("临苏E", "1234"), ("WJ沪", "1234J")]
)
def test_a_plate_goes_whatever_separates_its_parts(before: str, behind: str, separator: str) -> None:
    """Dots, dashes, colons, strokes, spaces, and characters that nobody sees."""
    left = without_plates(f"t/C1/plate/{before}{separator}{behind}!")
    assert left.removesuffix("!") in ("t/C1/plate/***", "t/C1/plate/临***")


@pytest.mark.parametrize("plate", ["沪A12345", "皖K·13579", "使123456", "沪22478领", "粤Z1234港", "沪A●D12345"])
@pytest.mark.parametrize("safe", ["", "·●"])
def test_an_escaped_plate_goes(plate: str, safe: str) -> None:
    """In an address its characters are written with percent signs."""
    assert without_plates(f"/t/{quote(plate, safe=safe)}?x=1") == "/t/***?x=1"
    assert without_plates(f"/t/{quote(plate).lower()}") == "/t/***"


@given(
    st.sampled_from(sorted(PROVINCES)), st.from_regex("[A-HJ-NP-Z][0-9][A-HJ-NP-Z0-9]{4}", fullmatch=True), st.data()
)
def test_no_plate_hides_behind_invisible_characters(province: str, rest: str, data: st.DataObject) -> None:
    """They may stand anywhere in it."""
    gaps = data.draw(st.lists(st.sampled_from(["", *INVISIBLE]), min_size=len(rest), max_size=len(rest)))
    hidden = province + "".join(gap + one for gap, one in zip(gaps, rest, strict=True))
    assert without_plates(f"原因 {hidden} 协查") == "原因 *** 协查"


_RECOGNISED = [kind for kind in PlateKind if kind not in (PlateKind.NONE, PlateKind.UNREAD, PlateKind.ARMY)]
_LETTERS = "ADEIOWJ015警挂学港领临应急使沪粤·●-. "


@given(st.text(alphabet=_LETTERS, min_size=6, max_size=11))
@example("沪AABCD临")
@example("使O12345")
@example("沪224O8领")
@example("WJ沪1O34J")
def test_whatever_is_recognised_goes(text: str) -> None:
    """What a camera may send as a plate is taken for one in a text."""
    if recognise(text).kind in _RECOGNISED:
        assert recognise(without_plates(text)).kind not in _RECOGNISED
        assert not any(character.isdigit() for character in without_plates(text))


@pytest.mark.parametrize(
    "plate",
    [
        r"\u82cfE24680",
        r"\\u82cfE24680",
        r"\u82cf\u004524680",
        "&#33487;E24680",
        "&#x82CF;E24680",
        "蘇E24680",
        "粵B1234D",
        "苏 E A B C D E",
        "苏E123 4 5",
        "W J 京 1 2 3 4 J",
        "WJ 1 2 3 4 5",
    ],
)
def test_a_plate_goes_however_it_is_escaped_or_spaced(plate: str) -> None:
    """By JSON, in JSON, by HTML; in older characters; a sign between all of its characters."""
    assert without_plates(f"车“{plate}”已核实") == "车“***”已核实"


def test_half_of_a_character_can_be_written() -> None:
    """An escape may hold one, and no file takes it."""
    assert without_plates(r"\ud83d 苏E24680").encode().endswith(b"***")


@pytest.mark.parametrize(
    "plate",
    [
        "BA12345",
        "BA12O45",
        "VA·12345",
        "KA 12345",
        "ＢＡ１２３４５",
        "ba12345",
        "B A 1 2 3 4 5",
        "BA 12 345",
        "BA-1-2-3-4-5",
    ],
)
def test_an_army_plate_goes(plate: str) -> None:
    """One that stands by itself."""
    assert without_plates(f"t/C1/plate/{plate}") == "t/C1/plate/***"


@pytest.mark.parametrize(
    "text",
    [
        "t/C1/plate/camera-1",
        "GB28181",
        "GB18030",
        "ID12345",
        "ba12345f00",
        "GB 28181",
        "it's a 2026-11-24",
        "更新 sensord README level1",
        "&#9999999;",
        r"\u12",
        "0a1b2c3d4e5f6789",
        "group 12345 of 20000",
        "HTTP 12345",
        "2026-11-24T12:00:00+08:00",
        "沪",
        "苏州路12345号",
        "临汾路99弄",
        "100%",
        "%zz",
    ],
)
def test_what_is_no_plate_stays(text: str) -> None:
    """Names, numbers, instants, streets."""
    assert without_plates(text) == text


def test_the_names_of_the_sample_site_stay() -> None:
    """No place and no device of the shipped configuration is taken for a plate."""
    site = load_places(CONFIG / "places.yaml")
    names = [text for one in site.places for text in (one.id, one.name)] + [one.id for one in site.devices]
    assert [name for name in names if without_plates(name) != name] == []
