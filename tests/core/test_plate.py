"""Plates are recognised and sorted; all plates here are made up, and none stands beside a time or a place."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensord.core.region import CITIES, PROVINCES, registered
from sensord.core.vehicles.plate import PlateKind, PlateRead, PlateTable, Verdict, mask, normalise, recognise
from sensord.core.vehicles.tracking import KeyArea, PlateAreas

AREAS = PlateAreas(("沪",), (KeyArea("皖K"), KeyArea("豫"), KeyArea("浙A", 100, 200)))
TABLE = PlateTable(AREAS)

KINDS: dict[PlateKind, list[str | None]] = {
    PlateKind.ORDINARY: ["沪A12345", "沪a·12345", " 沪A 12345 ", "沪Ａ１２３４５", "苏E1234I", "京AAB123", "沪A·O1234"],
    PlateKind.SMALL_NEW_ENERGY: ["沪AD12345", "粤BF12345", "豫AK1234O", "沪A·GA1234"],
    PlateKind.LARGE_NEW_ENERGY: ["沪A12345D", "粤B12345F"],
    PlateKind.POLICE: ["沪A1234警"],
    PlateKind.TRAILER: ["沪A1234挂"],
    PlateKind.SCHOOL: ["沪A1234学"],
    PlateKind.HONG_KONG: ["粤Z1234港"],
    PlateKind.MACAU: ["粤Z1234澳"],
    PlateKind.CONSULATE: ["沪22478领", "沪A1234领"],
    PlateKind.EMBASSY: ["使123456", "使·123456"],
    PlateKind.ARMED_POLICE: ["WJ警00081", "WJ京1234J", "wj沪·12345", "WJ12345"],
    PlateKind.ARMY: ["BA12345", "VA 12345"],
    PlateKind.RESCUE: ["沪X1234应急"],
    PlateKind.TEMPORARY: ["沪A1234临", "沪A12345临", "临沪A12345"],
    PlateKind.NONE: [None, "", "无车牌", "unknown", " 无牌 ", "no-plate"],
    PlateKind.UNREAD: ["沪A1", "ABC", "沪A123456789", "???????", "沪O12345", "沪I12345", "鸿A12345", "沪A1234港"],
}


@pytest.mark.parametrize(("kind", "plate"), [(kind, plate) for kind, plates in KINDS.items() for plate in plates])
def test_kinds(kind: PlateKind, plate: str | None) -> None:
    """Each form of GA 36-2018 is recognised, however it is written."""
    assert recognise(plate).kind is kind


SORTS: dict[str, list[str | None]] = {
    "local": ["沪A12345", "沪AD12345", "沪A12345D"],
    "out_of_town": ["苏E12345", "粤BF12345", "皖A12345"],
    "key_area": ["皖K12345", "豫A12345", "豫AD12345"],
    "special": ["苏E1234警", "苏E1234学", "使123456", "WJ京1234J", "BA12345", "苏E1234临"],
    "none": [None, "无车牌"],
    "unread": ["沪A1", "???????"],
}


def sort(plate: str | None, at: int = 0, **read: object) -> tuple[str, Verdict]:
    """Sort a plate that was read with certainty, unless said otherwise."""
    values: dict[str, object] = {"confidence": 0.95, **read}
    return TABLE.sort(PlateRead(plate, **values), recognise(plate), at)  # type: ignore[arg-type]


@pytest.mark.parametrize(("word", "plate"), [(word, plate) for word, plates in SORTS.items() for plate in plates])
def test_classes(word: str, plate: str | None) -> None:
    """Home, elsewhere, the operators' key areas, vehicles on duty, none and unread are told apart."""
    assert sort(plate)[0] == word


def test_nobody_is_out_of_town_on_a_guess() -> None:
    """A low confidence of the plate or of its first character makes it unread; no plate stays no plate."""
    assert sort("苏E12345", confidence=0.3) == ("unread", Verdict.UNREAD)
    assert sort("苏E12345", province_confidence=0.3) == ("unread", Verdict.UNREAD)
    assert sort("苏E12345", province_confidence=0.7) == ("out_of_town", Verdict.DOUBTFUL)
    assert sort(None, confidence=0.0)[0] == "none"
    assert sort("苏E12345", confidence=0.7) == ("out_of_town", Verdict.DOUBTFUL)


@pytest.mark.parametrize(
    ("plate", "colour", "verdict"),
    [
        ("苏E12345", "blue", Verdict.SURE),
        ("苏E12345", "蓝色", Verdict.SURE),
        ("苏E12345", "黄", Verdict.SURE),
        ("苏E12345", "green", Verdict.DOUBTFUL),
        ("苏E12345", "chartreuse", Verdict.SURE),
        ("苏ED12345", "绿", Verdict.SURE),
        ("苏ED12345", "blue", Verdict.DOUBTFUL),
        ("苏E12345D", "黄绿", Verdict.SURE),
        ("苏E1234警", "white", Verdict.SURE),
        ("苏E1234警", "blue", Verdict.DOUBTFUL),
        ("使123456", "black", Verdict.SURE),
    ],
)
def test_the_colour_is_held_against_the_form(plate: str, colour: str, verdict: Verdict) -> None:
    """A colour that the form cannot have makes the reading doubtful; an unknown colour proves nothing."""
    assert sort(plate, colour=colour)[1] is verdict


def test_a_key_area_counts_from_its_first_instant_to_its_last() -> None:
    """Outside its dates an area on the list is like any other, in whatever order it is asked."""
    assert [sort("浙A12345", at)[0] for at in (99, 100, 199, 200, 150, 50)] == [
        "out_of_town",
        "key_area",
        "key_area",
        "out_of_town",
        "key_area",
        "out_of_town",
    ]


@pytest.mark.parametrize(
    ("plate", "masked"),
    [
        ("沪A12345", "沪A·**345"),
        ("沪AD12345", "沪A·***345"),
        ("粤Z1234港", "粤Z·**34港"),
        ("使123456", "使1·**456"),
        ("沪A1", ""),
        (None, ""),
    ],
)
def test_masks(plate: str | None, masked: str) -> None:
    """A mask shows the prefix and the last three characters, and nothing of what cannot be read."""
    assert mask(recognise(plate)) == masked


def test_the_table_of_registration() -> None:
    """31 provinces, and their cities; a letter without a city of its own belongs to the province."""
    assert len(PROVINCES) == 31
    assert {prefix[0] for prefix in CITIES} == set(PROVINCES) - set("京津沪")
    assert dict(Counter(prefix[0] for prefix in CITIES)) == {
        "冀": 12, "晋": 11, "蒙": 12, "辽": 14, "吉": 9, "黑": 14, "苏": 14, "浙": 11, "皖": 16, "闽": 9, "赣": 12,
        "鲁": 20, "豫": 19, "鄂": 18, "湘": 14, "粤": 23, "桂": 15, "琼": 4, "渝": 4, "川": 22, "贵": 9, "云": 17,
        "藏": 7, "陕": 12, "甘": 14, "青": 8, "宁": 5, "新": 16,
    }  # fmt: skip
    assert all(prefix[1] in "ABCDEFGHJKLMNPQRSTUVWXYZ" for prefix in CITIES)
    zh = {"渝A": "重庆", "渝F": "重庆万州", "琼C": "海南", "陕V": "陕西杨凌"}
    zh |= {"苏E": "江苏苏州", "沪A": "上海", "苏Y": "江苏", "皖": "安徽"}
    assert {prefix: registered(prefix, "zh") for prefix in zh} == zh
    assert registered("皖K·**579", "en") == "Anhui, 阜阳"
    assert registered("京N·**579", "en") == "Beijing"
    assert [registered(prefix, "zh") for prefix in ("使1·***456", "WJ·***34J", "BA", "")] == [""] * 4
    assert recognise("临沪A12345").prefix == "沪A"
    assert recognise("沪22478领").prefix == ""


@given(st.text(max_size=12))
def test_normalising_is_idempotent_and_never_raises(text: str) -> None:
    """Normalising twice is normalising once."""
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(alphabet="沪苏ABIO01oi·・.- ?使警鸿Ａ１", max_size=10))
def test_normalising_never_invents(text: str) -> None:
    """Every legible character of the result stands in the text, in this order; none is made up."""
    source = iter(unicodedata.normalize("NFKC", text).upper().translate(str.maketrans("IO", "10")))
    said = normalise(text).translate(str.maketrans("IO", "10"))
    assert all(char in source for char in said if char != "?")


@given(st.text(max_size=12), st.floats(0, 1))
def test_any_text_gets_a_class(text: str, confidence: float) -> None:
    """Whatever a camera sends is one of the six classes."""
    assert sort(text, confidence=confidence)[0] in SORTS


_SERIAL = st.text(alphabet="ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", min_size=5, max_size=5)


@given(st.sampled_from(sorted(PROVINCES)), st.sampled_from("ABCDEFGHJKLMNPQRSTUVWXYZ"), _SERIAL)
def test_every_ordinary_plate_keeps_its_characters(province: str, letter: str, serial: str) -> None:
    """A plate of the ordinary form is recognised as it stands, with its province."""
    plate = recognise(f"{province}{letter}{serial}")
    assert (plate.text, plate.province) == (f"{province}{letter}{serial}", province)
    assert plate.kind is PlateKind.ORDINARY


def _list() -> Path:
    shared = Path(os.environ.get("SENSORD_DATA", Path(__file__).parents[3] / "shared" / "data"))
    return shared / "plates" / "plates.txt"


@pytest.mark.skipif(not _list().exists(), reason="the list of plates is not part of the project")
def test_every_plate_of_the_list_is_classified() -> None:
    """Of some three thousand plates of real form every one is recognised, as ordinary or new-energy."""
    plates = _list().read_text(encoding="utf-8").split()
    kinds = Counter(recognise(plate).kind for plate in plates)
    assert kinds[PlateKind.UNREAD] + kinds[PlateKind.NONE] == 0, f"{kinds[PlateKind.UNREAD]} are not recognised"
    assert kinds[PlateKind.SMALL_NEW_ENERGY] > 20
    assert sum(kinds.values()) == len(plates) > 3000
    assert all(recognise(plate).province in PROVINCES for plate in plates)
