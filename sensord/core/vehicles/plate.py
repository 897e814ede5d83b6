"""Plates: written in one form, recognised, and sorted into classes. Nothing here keeps a plate.

Source: GA 36-2018 (forms and colours of mainland plates). Letters stop at Z without I and O. A prefix shows where a
vehicle is registered, not where it came from, and says nothing about its driver.

::

    沪A12345    ordinary       沪AD12345  small new-energy      沪A12345D   large new-energy
    沪A1234警   police         沪A1234学  driving school        沪A1234挂   trailer
    粤Z1234港   Hong Kong      粤Z1234澳  Macau                 沪22478领   consulate     使123456  embassy
    WJ沪1234J   armed police   BA12345    army                  沪X1234应急 rescue        沪A1234临 temporary
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import NamedTuple

from sensord.core.region import PROVINCES
from sensord.core.vehicles.tracking import PlateAreas, stretch

_SEPARATORS = re.compile(r"[\s·•・.\-_]+")
_FOREIGN = re.compile(r"[^A-Z0-9?\u4e00-\u9fff]")
_SERIAL = str.maketrans("IO", "10")
_NOTHING = {"", "无车牌", "无牌", "无", "UNKNOWN", "NONE", "NOPLATE"}


class PlateKind(StrEnum):
    """What a plate is, by its form."""

    ORDINARY = "ordinary"
    SMALL_NEW_ENERGY = "small_new_energy"
    LARGE_NEW_ENERGY = "large_new_energy"
    POLICE = "police"
    TRAILER = "trailer"
    SCHOOL = "school"
    HONG_KONG = "hong_kong"
    MACAU = "macau"
    CONSULATE = "consulate"
    EMBASSY = "embassy"
    ARMED_POLICE = "armed_police"
    ARMY = "army"
    RESCUE = "rescue"
    TEMPORARY = "temporary"
    NONE = "none"
    UNREAD = "unread"


class Verdict(StrEnum):
    """How far a reading of a plate can be trusted."""

    SURE = "sure"
    DOUBTFUL = "doubtful"
    """Legible, but the camera hesitated, or its colour contradicts its form."""
    UNREAD = "unread"


_P, _L, _S = f"[{''.join(PROVINCES)}]", "[A-HJ-NP-Z]", "[A-HJ-NP-Z0-9]"
_FORMS: dict[PlateKind, str] = {
    PlateKind.ORDINARY: f"{_P}{_L}{_S}{{5}}",
    PlateKind.SMALL_NEW_ENERGY: rf"{_P}{_L}[A-HJK]{_S}\d{{4}}",
    PlateKind.LARGE_NEW_ENERGY: rf"{_P}{_L}\d{{5}}[A-HJK]",
    PlateKind.POLICE: f"{_P}{_L}{_S}{{4}}警",
    PlateKind.TRAILER: f"{_P}{_L}{_S}{{4}}挂",
    PlateKind.SCHOOL: f"{_P}{_L}{_S}{{4}}学",
    PlateKind.HONG_KONG: f"粤Z{_S}{{4}}港",
    PlateKind.MACAU: f"粤Z{_S}{{4}}澳",
    PlateKind.CONSULATE: rf"{_P}(?:\d{{5}}|{_L}{_S}{{4}})领",
    PlateKind.EMBASSY: r"使\d{6}",
    PlateKind.ARMED_POLICE: rf"WJ(?:{_P}|警)?\d{{4}}[A-Z0-9]",
    PlateKind.ARMY: rf"{_L}{{2}}\d{{5}}",
    PlateKind.RESCUE: rf"{_P}{_L}{_S}{{4}}应急",
    PlateKind.TEMPORARY: rf"{_P}{_L}{_S}{{4,5}}临|临{_P}{_L}{_S}{{4,5}}",
}
_ANY = re.compile("|".join(f"(?P<{kind.value}>{form})" for kind, form in _FORMS.items()))

_ROAD, _BLACK, _WHITE, _YELLOW = {"blue", "yellow", "black"}, {"black"}, {"white"}, {"yellow"}
_GREEN, _YELLOW_GREEN = {"green"}, {"green", "yellow_green", "yellow"}
_COLOURS: dict[PlateKind, set[str]] = {
    PlateKind.ORDINARY: _ROAD,
    PlateKind.SMALL_NEW_ENERGY: _GREEN,
    PlateKind.LARGE_NEW_ENERGY: _YELLOW_GREEN,
    PlateKind.POLICE: _WHITE,
    PlateKind.TRAILER: _YELLOW,
    PlateKind.SCHOOL: _YELLOW,
    PlateKind.HONG_KONG: _BLACK,
    PlateKind.MACAU: _BLACK,
    PlateKind.CONSULATE: _BLACK,
    PlateKind.EMBASSY: _BLACK,
    PlateKind.ARMED_POLICE: _WHITE,
    PlateKind.ARMY: _WHITE,
}
"""The colours that a form may have. A large new-energy plate is half yellow, half green: cameras say either."""
COLOUR_WORDS = {
    "蓝": "blue",
    "黄": "yellow",
    "白": "white",
    "黑": "black",
    "绿": "green",
    "黄绿": "yellow_green",
    "渐变绿": "green",
} | {word: word for word in ("blue", "yellow", "white", "black", "green", "yellow_green")}
"""Words for colours, with or without 色 at the end; a source with codes maps them in its codec."""

_GAP, _ANY_OF = r"[\s·•・._-]*", "[A-Z0-9]"
_LIKE = re.compile(
    rf"{_P}[A-Z][·•. -]?{_ANY_OF}{{4,5}}(?:{_ANY_OF}|[挂学警港澳领])"
    rf"|{_P}{_GAP}[A-Z](?=(?:{_GAP}{_ANY_OF}){{0,3}}{_GAP}[0-9])(?:{_GAP}{_ANY_OF}){{4}}{_ANY_OF}{{0,2}}"
    rf"(?:{_GAP}(?:[挂学警港澳领临]|应急))?"
    rf"|{_P}(?:{_GAP}[0-9]){{5}}{_GAP}领|使(?:{_GAP}[0-9]){{6}}"
    rf"|WJ{_GAP}(?:{_P}|警)?(?:{_GAP}[0-9]){{4}}[0-9]?{_ANY_OF}?",
    re.IGNORECASE,
)
"""What may be a plate inside another text; army plates cannot be told from device names there."""

_CIVIL = (PlateKind.ORDINARY, PlateKind.SMALL_NEW_ENERGY, PlateKind.LARGE_NEW_ENERGY)
NEW_ENERGY = (PlateKind.SMALL_NEW_ENERGY, PlateKind.LARGE_NEW_ENERGY)


class PlateRead(NamedTuple):
    """One reading of a plate, as a camera sent it: it goes no further than the intake.

    ``confidence`` is that of the whole plate and ``province_confidence`` that of its first character, both 0..1;
    ``colour`` is a word of ``COLOUR_WORDS`` or "".
    """

    text: str | None
    confidence: float
    province_confidence: float = 1.0
    colour: str = ""


class Plate(NamedTuple):
    """A plate in its one form (``text``; "" for none), with what the form tells. ``province`` is its character."""

    text: str
    kind: PlateKind
    province: str

    @property
    def new_energy(self) -> bool:
        """Whether it is a new-energy vehicle's."""
        return self.kind in NEW_ENERGY

    @property
    def prefix(self) -> str:
        """Province character and letter of a plate that has both, else ""."""
        start = 1 if self.text.startswith("临") else 0
        prefix = self.text[start : start + 2]
        return prefix if self.province and prefix[1:].isalpha() else ""


def recognise(raw: str | None) -> Plate:
    """Recognise a plate by its form alone; never raises."""
    text = normalise(raw) if raw is not None else ""
    if text in _NOTHING:
        return Plate("", PlateKind.NONE, "")
    found = _ANY.fullmatch(text)
    if found is None:
        return Plate(text, PlateKind.UNREAD, "")
    kind = PlateKind(str(found.lastgroup))
    province = next((character for character in text[:3] if character in PROVINCES), "")
    return Plate(text, kind, province)


def normalise(raw: str) -> str:
    """Write a plate in its one form: half-width, upper case, no separators, and no I or O in the serial.

    What can be no part of a plate becomes ``?``, so that nothing is invented by leaving it out. Idempotent; never
    raises.
    """
    upper = _SEPARATORS.sub("", unicodedata.normalize("NFKC", raw).upper())
    plain = _FOREIGN.sub("?", upper)
    return plain[:2] + plain[2:].translate(_SERIAL) if plain and plain[0] in PROVINCES else plain


def without_plates(text: str, instead: str = "***") -> str:
    """Replace whatever in a text looks like a plate, for texts that strangers may have put one into.

    A text that holds one comes back in its half-width form: full-width plates are found, too.
    """
    plain = unicodedata.normalize("NFKC", text)
    return _LIKE.sub(instead, plain) if _LIKE.search(plain) else text


def mask(plate: Plate) -> str:
    """Write a plate for those who must find the vehicle without knowing it: prefix and last three (``沪A·**345``).

    "" when there is nothing legible.
    """
    if plate.kind in (PlateKind.NONE, PlateKind.UNREAD):
        return ""
    head, tail = plate.text[:2], plate.text[2:]
    shown = tail[-3:]
    return f"{head}·{'*' * (len(tail) - len(shown))}{shown}"


def judge(read: PlateRead, plate: Plate, floor: float, sure: float) -> Verdict:
    """Say how far the reading can be trusted: below ``floor`` it counts as unread, from ``sure`` on as certain."""
    if plate.kind is PlateKind.UNREAD or read.confidence < floor:
        return Verdict.UNREAD
    if plate.province and read.province_confidence < floor:
        return Verdict.UNREAD
    allowed, colour = _COLOURS.get(plate.kind), COLOUR_WORDS.get(read.colour.removesuffix("色").lower())
    contradicted = allowed is not None and colour is not None and colour not in allowed
    hesitant = read.confidence < sure or (plate.province != "" and read.province_confidence < sure)
    return Verdict.DOUBTFUL if contradicted or hesitant else Verdict.SURE


class PlateTable:
    """Sorts plates into the words of the label ``class`` by the areas that operators list."""

    def __init__(self, areas: PlateAreas) -> None:
        self._areas = areas
        self._from = self._until = 0
        self._key: tuple[str, ...] = ()

    def sort(self, read: PlateRead, plate: Plate, at: int) -> tuple[str, Verdict]:
        """Return the class at the instant ``at`` (ns), and how far to trust it.

        Nobody is called out-of-town on a guess: an unread plate is ``unread``, whatever its first character.
        """
        verdict = judge(read, plate, self._areas.floor, self._areas.sure)
        if plate.kind is PlateKind.NONE:
            return "none", Verdict.SURE
        if verdict is Verdict.UNREAD:
            return "unread", verdict
        if plate.kind not in _CIVIL:
            return "special", verdict
        if plate.text.startswith(self._key_at(at)):
            return "key_area", verdict
        return "local" if plate.text.startswith(self._areas.local) else "out_of_town", verdict

    def classify(self, raw: str | None, confidence: float, at: int) -> str:
        """Return the class of a plate as a camera sent it."""
        return self.sort(PlateRead(raw, confidence), recognise(raw), at)[0]

    def _key_at(self, at: int) -> tuple[str, ...]:
        """The prefixes of the key areas in force at ``at``; found once per stretch in which none begins or ends."""
        if not self._from <= at < self._until:
            edges = (edge for area in self._areas.key for edge in (area.since, area.until))
            self._from, self._until = stretch(edges, at)
            self._key = tuple(area.prefix for area in self._areas.key if area.since <= at < area.until)
        return self._key
