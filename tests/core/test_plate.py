"""Plates are recognised and sorted; all plates here are made up, and none stands beside a time or a place."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensord.core.cities import CITIES
from sensord.core.region import PROVINCES, registered
from sensord.core.vehicles.plate import PlateRead, PlateTable, Verdict, mask, recognise
from sensord.core.vehicles.platekind import CIVIL, PlateKind, colour_of
from sensord.core.vehicles.tracking import KeyArea, PlateAreas

AREAS = PlateAreas(("沪",), (KeyArea("皖K"), KeyArea("豫"), KeyArea("浙A", 100, 200)))
TABLE = PlateTable(AREAS)

KINDS: dict[PlateKind, list[str | None]] = {
    PlateKind.ORDINARY: [
        "沪A12345",
        "沪a·12345",
        " 沪A 12345 ",
        "沪Ａ１２３４５",
        "苏E1234I",
        "京AAB123",
        "沪A·O1234",
        "沪A●12345",
        "沪A‧12345",
        "沪A∙12345",
        "沪A•12345",
        "沪A･12345",
        "蓝沪A12345",
        "黄牌 皖A12345",
        "皖 K12345",
        "皖·K12345",
        "皖 K·12345",
        "皖K：12345",
        "皖K12345蓝",
        "皖K12345 蓝牌",
        "（皖K12345）",
        "【皖K·12345】",
        "\u200b皖K12345",
        "皖K\ufeff12345",
        "沪 D 12345",
        "沪·D12345",
        "沪A1 2345",
        "黑沪A12345",
        "黑A12345",
    ],
    PlateKind.SMALL_NEW_ENERGY: [
        "沪AD12345",
        "粤BF12345",
        "豫AK1234O",
        "沪A·GA1234",
        "黑BA12345",
        "绿沪AD12345",
        "沪AD1 2345",
        "沪AD12345绿",
    ],
    PlateKind.LARGE_NEW_ENERGY: ["沪A12345D", "粤B12345F", "沪A-12345D", "沪A_12345F", "沪A.I2345D", "黄绿沪A12345D"],
    PlateKind.POLICE: ["沪A1234警", "沪A-1234警"],
    PlateKind.TRAILER: ["沪A1234挂"],
    PlateKind.SCHOOL: ["沪A1234学"],
    PlateKind.HONG_KONG: ["粤Z1234港"],
    PlateKind.MACAU: ["粤Z1234澳"],
    PlateKind.CONSULATE: ["沪22478领", "沪A1234领", "沪224·78领"],
    PlateKind.EMBASSY: ["使123456", "使·123456", "使014·578"],
    PlateKind.ARMED_POLICE: ["WJ警00081", "WJ京1234J", "wj沪·12345", "WJ12345", "WJ沪1O34J"],
    PlateKind.ARMY: ["BA12345", "VA 12345", "BA12O45", "BA-12345", *(f"{letter}Z12345" for letter in "BCGHJKLNSV")],
    PlateKind.RESCUE: ["沪X1234应急"],
    PlateKind.TEMPORARY: ["沪A1234临", "沪A12345临", "临沪A12345", "临苏E1O345", "临沪A·1234"],
    PlateKind.NONE: [
        None,
        "",
        "无车牌",
        "unknown",
        " 无牌 ",
        "no-plate",
        "No Plate",
        "无牌车",
        "无号牌",
        "未悬挂",
        "未悬挂号牌",
        "NULL",
        "null",
        "N/A",
    ],
    PlateKind.UNREAD: [
        "沪A1",
        "ABC",
        "沪A123456789",
        "???????",
        "沪O12345",
        "沪I12345",
        "鸿A12345",
        "沪A1234港",
        "-",
        "--------",
        "未识别",
        "沪AD1234-",
        "沪AD_2345",
        "沪AD2.45",
        "沪A-2345D",
        "苏E-12345",
        "临苏E-1234",
        "沪-A12345",
        "沪 D12345",
        "沪AD 2345",
        "沪AB1 234",
        "沪A1234 D",
        "沪A1234·D",
        "沪A1234●D",
        "沪A12345·",
        "沪A12345 绿",
        "沪A1234 临",
        "临沪A1 234",
        "B A12345",
        "((沪A12345))",
        "(沪A12345",
        "WJ-12345",
        "沪A--12345D",
        "沪Aß123",
        "沪Aﬁ123",
        "沪A①②③④⑤",
        "沪Aı2345",
        "沪A½234",
        *(f"{letter}A12345" for letter in "ADEFMPQRTUWXYZ"),
    ],
}


@pytest.mark.parametrize(("kind", "plate"), [(kind, plate) for kind, plates in KINDS.items() for plate in plates])
def test_kinds(kind: PlateKind, plate: str | None) -> None:
    """Each form of GA 36-2018 is recognised, however it is written."""
    assert recognise(plate).kind is kind


SORTS: dict[str, list[str | None]] = {
    "local": ["沪A12345", "沪AD12345", "沪A12345D", "临沪A1234", "沪A1234学"],
    "out_of_town": ["苏E12345", "粤BF12345", "皖A12345", "苏E1234临", "临苏E12345", "苏E1234挂", "苏E1234学"],
    "key_area": ["皖K12345", "豫A12345", "豫AD12345", "临皖K1234", "皖K1234挂"],
    "special": ["苏E1234警", "使123456", "WJ京1234J", "BA12345", "粤Z1234港", "沪X1234应急"],
    "none": [None, "无车牌"],
    "unread": ["沪A1", "???????"],
}


def sort(plate: str | None, at: int = 0, **read: object) -> tuple[str, Verdict]:
    """Sort a plate that was read with certainty, unless said otherwise."""
    values: dict[str, object] = {"confidence": 0.95, **read}
    seen = PlateRead(plate, **values)  # type: ignore[arg-type]
    return TABLE.sort(seen, recognise(plate, seen.colour), at)


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
        ("苏ED12345", "蓝牌", Verdict.DOUBTFUL),
        ("苏ED12345", " Blue", Verdict.DOUBTFUL),
        ("苏ED12345", "gradient green", Verdict.SURE),
        ("苏E12345", "渐变绿色", Verdict.DOUBTFUL),
        ("苏E12345", "黄绿双拼", Verdict.DOUBTFUL),
        ("苏E12345D", "green-yellow", Verdict.SURE),
        ("苏ED12345", "yellow_green", Verdict.DOUBTFUL),
        ("苏E12345", "1", Verdict.SURE),
        ("沪X1234应急", "white", Verdict.SURE),
        ("沪X1234应急", "blue", Verdict.DOUBTFUL),
        ("临沪A1234", "blue", Verdict.SURE),
        ("沪A1234临", "green", Verdict.DOUBTFUL),
        ("BA12345", "white", Verdict.SURE),
        ("BA12345", "green", Verdict.UNREAD),
        ("BA12345", "blue", Verdict.UNREAD),
        ("BA12345", "7", Verdict.SURE),
        ("蓝苏ED12345", "", Verdict.DOUBTFUL),
        ("蓝苏ED12345", "green", Verdict.SURE),
        ("绿苏ED12345", "", Verdict.SURE),
    ],
)
def test_the_colour_is_held_against_the_form(plate: str, colour: str, verdict: Verdict) -> None:
    """A colour that the form cannot have makes the reading doubtful; an unknown colour proves nothing.

    Without a province character the form proves little: in another colour, an army plate is a green one cut short.
    """
    assert sort(plate, colour=colour)[1] is verdict


@pytest.mark.parametrize(
    ("plate", "colour", "text"),
    [
        ("苏E-12345", "", "苏E?12345"),
        ("苏E-12345", "green", "苏E?12345"),
        ("苏E-12345", "blue", "苏E12345"),
        ("蓝苏E-12345", "", "苏E12345"),
        ("苏E-1234D", "yellow", "苏E?1234D"),
        ("苏E-12345", "yellow", "苏E12345"),
        ("苏E-2345", "blue", "苏E?2345"),
        ("沪 D12345", "", "沪?D12345"),
        ("沪 D12345", "blue", "沪D12345"),
        ("沪 D12345蓝", "", "沪D12345"),
        ("皖 K12345", "green", "皖?K12345"),
        ("皖 K12345", "", "皖K12345"),
    ],
)
def test_a_hyphen_or_a_gap_separates_only_where_no_character_can_stand(plate: str, colour: str, text: str) -> None:
    """It may stand for a character that was not read; a colour can rule that out.

    Behind the letter a hyphen may be the first of six characters, behind the province a space may be the letter.
    """
    assert recognise(plate, colour).text == text


def test_words_for_colours() -> None:
    """Chinese and English, with and without 色 and 牌, however joined; numbers mean nothing without a list."""
    words = {
        "蓝牌": "blue",
        "蓝色车牌照": "",
        "Yellow plate": "yellow",
        "绿渐变": "green",
        "黄绿色": "yellow_green",
        "1": "",
    }
    assert {word: colour_of(word) for word in words} == words


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
        ("临沪A12345", "临沪A·**345"),
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
    assert all(re.fullmatch("[A-Z][a-zü']+", english) for _, english in CITIES.values())
    assert all(dict(CITIES.values())[chinese] == english for chinese, english in CITIES.values())
    zh = {"渝A": "重庆", "渝F": "重庆万州", "琼C": "海南", "陕V": "陕西杨凌"}
    zh |= {"苏E": "江苏苏州", "沪A": "上海", "苏Y": "江苏", "皖": "安徽"}
    assert {prefix: registered(prefix, "zh") for prefix in zh} == zh
    assert registered("皖K·**579", "en") == "Anhui, Fuyang"
    assert registered("京N·**579", "en") == "Beijing"
    assert [registered(prefix, "zh") for prefix in ("使1·***456", "WJ·***34J", "BA", "")] == [""] * 4
    assert registered("临皖K·**579", "zh") == "安徽阜阳"


_HARD = "沪苏临蓝黑绿ABDIO01oi·・:.-_ ?使警鸿Ａ１ﬁß①WJ()\u200b"


@given(st.one_of(st.text(max_size=12), st.text(alphabet=_HARD, max_size=12)), st.sampled_from(["", "blue", "green"]))
def test_recognising_is_idempotent_and_never_raises(text: str, colour: str) -> None:
    """Recognising a form gives the same form, and the same kind, whatever it was made of."""
    once = recognise(text, colour)
    assert recognise(once.text, once.colour) == once._replace(colour=once.colour if once.text else "")


@given(st.text(alphabet=_HARD, max_size=12))
def test_a_legible_plate_leaves_nothing_out_but_separators_and_a_colour(text: str) -> None:
    """Every other character that was written is in it, in this order, and none besides."""
    plate = recognise(text)
    halves = [chr(ord(one) - 0xFEE0) if 0xFF01 <= ord(one) <= 0xFF5E else one for one in text]
    written = "".join(one.upper() for one in halves if one not in "·・:.-_ \u200b").translate(str.maketrans("IO", "10"))
    written = written[1:-1] if written[:1] + written[-1:] == "()" else written
    said = plate.text.translate(str.maketrans("IO", "10"))
    coloured = [f"{front}{said}{behind}" for front in ("", *"蓝黑绿") for behind in ("", *"蓝黑绿")]
    assert plate.kind in (PlateKind.UNREAD, PlateKind.NONE) or written in coloured


_FORMS = ["[沪苏黑][A-HJ-NP-Z][A-HJ-NP-Z0-9]{5}", "[沪苏黑][A-HJ-NP-Z][A-HJK][A-HJ-NP-Z0-9][0-9]{4}"]
_FORMS += ["[沪苏黑][A-HJ-NP-Z][0-9]{5}[A-HJK]", "[沪苏][A-Z][A-Z0-9]{4}[挂学临]", "[沪苏][AE][A-Z0-9]{5}临"]
_FORMS += ["临[沪苏][AE][A-HJ0-9]{4,5}"]


@given(st.one_of(*(st.from_regex(form, fullmatch=True) for form in _FORMS)))
def test_a_plate_with_a_placeholder_in_it_is_no_civil_plate(plate: str) -> None:
    """Whichever character was not read, and whatever stands for it: no other vehicle's plate comes of it."""
    unread = [plate[:place] + one + plate[place + 1 :] for place in range(len(plate)) for one in "-_.?*#－＿．？"]
    assert not [one for one in unread if recognise(one).kind in CIVIL]


@given(st.one_of(*(st.from_regex(form, fullmatch=True) for form in _FORMS)), st.sampled_from([" ", "●", "\u3000", "·"]))
def test_a_gap_within_the_serial_makes_no_other_plate(plate: str, gap: str) -> None:
    """Whichever character a gap stands for: no other vehicle's plate comes of what is left.

    Behind the province and behind the letter gaps are usual; at the end there is none.
    """
    start = 4 if plate.startswith("临") else 3
    unread = [plate[:place] + gap + plate[place + 1 :] for place in range(start, len(plate) - 1)]
    assert not [one for one in unread if recognise(one).kind in CIVIL]


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
