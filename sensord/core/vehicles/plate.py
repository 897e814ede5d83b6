"""Plates: written in one form, recognised, and sorted into classes. Nothing here keeps a plate.

A prefix shows where a vehicle is registered, not where it came from, and says nothing about its driver. What cannot be
read stays unread: nothing is left out of a plate but what is printed or written between its parts or around it, for a
character that is left out makes another vehicle's plate of it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from sensord.core.region import PROVINCES
from sensord.core.vehicles.platekind import (
    ANY_PROVINCE,
    CIVIL,
    NEW_ENERGY,
    PlateKind,
    colour_of,
    fits,
    kind_of,
    may_be,
)
from sensord.core.vehicles.tracking import PlateAreas, stretch

_FOLDED = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_FOLDED |= {lower: lower - 0x20 for lower in range(ord("a"), ord("z") + 1)}
_FOLDED |= {lower + 0xFEE0: lower - 0x20 for lower in range(ord("a"), ord("z") + 1)}
"""Full-width and lower-case letters, and nothing else: foreign letters and figures in circles are no plate's."""
_P = f"[{ANY_PROVINCE}]"
_GAP = re.compile(r"(?<![\s·•‧∙⋅●・･:])[\s·•‧∙⋅●・･]{1,3}(?![\s·•‧∙⋅●・･:])")
_DOTS = frozenset("·‧・･")
"""What separates and nothing else: a space or a heavy dot may stand for a character, too."""
_IN_TWO = re.compile(rf"(临?{_P}[A-Z]|WJ(?:{_P}|警)?|使|[A-Z]{{2}})(?:{_GAP.pattern}|:|([-_.]))(.+)")
_APART = re.compile(rf"临?{_P}{_GAP.pattern}(?=[A-Z])")
_OPENED = re.compile(rf"(?:临?{_P}(?:{_GAP.pattern})?[A-Z]|WJ(?:{_P}|警)?|使)(?={_GAP.pattern})")
_BEFORE_SERIAL = re.compile(rf"临?{_P}.?|WJ(?:{_P}|警)?|使|[A-Z]{{2}}(?=[0-9IO]{{5}}$)")
_FOREIGN = re.compile(r"[^A-Z0-9?\u4e00-\u9fff]")
_SERIAL = str.maketrans("IO", "10")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_BRACKETS = re.compile(r"([(\[【「『〔〈《<\"'])\s*(.*?)\s*([)\]】」』〕〉》>\"'])")
_BEHIND = re.compile(r"(\s*)(黄绿|渐变绿|[蓝黄白黑绿])色?牌?$")
_LAST = tuple("蓝黄白黑绿色牌")
_EARLIEST = "DF"
"""Letters with which green plates began to be issued (GA 36-2018; others follow when these are used up)."""
_GREENS = ("green", "yellow_green")
_IN_FRONT = re.compile(rf"(黄绿|渐变绿|[蓝黄白黑绿])色?牌?\s*(?=临?{_P}[A-Z0-9]|使)")
_NOTHING = {"无", "无牌", "无车牌", "无号牌", "无牌照", "无牌车", "未悬挂", "未悬挂号牌", "未挂牌"}
_NOTHING |= {"UNKNOWN", "NONE", "NOPLATE", "NULL", "NA"}
_BESIDE_WORDS = re.compile(r"[\W_]")


class Verdict(StrEnum):
    """How far a reading of a plate can be trusted."""

    SURE = "sure"
    DOUBTFUL = "doubtful"
    """Legible, but the camera hesitated, or its colour contradicts its form."""
    UNREAD = "unread"


class PlateRead(NamedTuple):
    """One reading of a plate, as a camera sent it: it goes no further than the intake.

    ``confidence`` is that of the whole plate and ``province_confidence`` that of its first character, both 0..1;
    ``colour`` is the source's word for it (``colour_of``), or "".
    """

    text: str | None
    confidence: float
    province_confidence: float = 1.0
    colour: str = ""


class Plate(NamedTuple):
    """A plate in its one form (``text``; "" for none), with what the form tells. ``province`` is its character.

    ``colour`` is what was seen of it: one of the six words that ``colour_of`` gives, or "".
    """

    text: str
    kind: PlateKind
    province: str
    colour: str = ""

    @property
    def new_energy(self) -> bool:
        """Whether it is a new-energy vehicle's."""
        return self.kind in NEW_ENERGY

    @property
    def registered(self) -> str:
        """The plate from its province character on: what areas are told by."""
        return self.text.removeprefix("临")

    @property
    def head(self) -> str:
        """What stands before the serial: province character and letter, or as much of another form."""
        return self.text[: len(self.text) - len(self.registered) + 2]


def recognise(raw: str | None, colour: str = "") -> Plate:
    """Write a plate in its one form and recognise it by that; never raises.

    The form is half-width, upper case, without separators, and without I and O in the serial. Whatever else stands
    there becomes ``?``, and the plate is unread. ``colour`` is the source's word; a colour in front of the plate, or
    behind it, counts where there is none. Recognising the form again gives the same form.
    """
    text = _INVISIBLE.sub("", raw or "").translate(_FOLDED).strip()
    around = _BRACKETS.fullmatch(text)
    text = around[2] if around else text
    if not text or _BESIDE_WORDS.sub("", text) in _NOTHING:
        return Plate("", PlateKind.NONE, "")
    front = _IN_FRONT.match(text)
    seen = colour_of(colour) or (colour_of(front[1]) if front else "")
    text, seen = _uncoloured(text[front.end() :] if front else text, seen)
    kind = kind_of(text, seen)
    province = next((one for one in text[:3] if one in PROVINCES), "") if kind is not PlateKind.UNREAD else ""
    return Plate(text, kind, province, seen)


def _uncoloured(text: str, colour: str) -> tuple[str, str]:
    """The one form, and the colour: that behind a legible plate is none of its characters."""
    behind = _BEHIND.search(text) if text.endswith(_LAST) else None
    if behind is not None:
        seen = colour or colour_of(behind[2])
        bare = _joined(text[: behind.start()], seen)
        kind = kind_of(bare, seen)
        if kind is not PlateKind.UNREAD and (not behind[1] or fits(kind, seen)):
            return bare, seen
    return _joined(text, colour), colour


def _joined(text: str, colour: str) -> str:
    """Leave out what separates the parts of a plate.

    Beside the usual place, behind the letter, spaces and dots separate where a plate comes of it that a word could not
    be (it has a digit), and no other plate would with a character in their place that was not read.
    """
    written = _in_two(text, colour)
    if kind_of(written) is not PlateKind.UNREAD or (text[:1].isascii() and not text.startswith("WJ")):
        return written
    closed = _in_two(_GAP.sub("", text), colour)
    plain = any(one.isdigit() for one in closed[2:6]) and kind_of(closed) is not PlateKind.UNREAD
    return closed if plain and not _hides(text, colour) else written


def _hides(text: str, colour: str) -> bool:
    """Whether a gap may stand for a character that was not read.

    Between province and letter only a space may, and only before a letter with which green plates mostly begin, or in
    their colour: ``沪 D12345`` may be one whose letter was not read, ``皖 K12345`` is taken as it is written.
    """
    usual, apart = _OPENED.match(text), _APART.match(text)
    for gap in _GAP.finditer(text):
        if usual is not None and gap.start() == usual.end():
            continue
        if apart is not None and gap.end() == apart.end():
            early = text[gap.end()] in _EARLIEST or colour in _GREENS
            if usual is not None or _DOTS.issuperset(gap[0]) or not early:
                continue
        before, behind = _GAP.sub("", text[: gap.start()]), _GAP.sub("", text[gap.end() :])
        if may_be(_plain(f"{before}?{behind}"), colour):
            return True
    return False


def _in_two(text: str, colour: str) -> str:
    """Join what stands before and behind the usual separator.

    Spaces and dots separate. A hyphen, a low line or a full stop may as well stand for a character that was not read
    (GA/T 1400 has a hyphen for it): each separates only where no character could stand, as in ``沪A-12345D``.
    ``苏E-12345`` may be a new-energy plate with its first character unread; blue, it cannot.
    """
    parts = _IN_TWO.fullmatch(text)
    if parts is None:
        return _plain(text)
    before, hyphen, behind = parts.groups()
    joined, unread = _plain(before + behind), _plain(f"{before}?{behind}")
    doubtful = hyphen is not None and (kind_of(joined) is PlateKind.UNREAD or may_be(unread, colour))
    return unread if doubtful else joined


def _plain(text: str) -> str:
    """Write ``?`` for what can be no part of a plate, and no I or O in the serial."""
    plain = _FOREIGN.sub("?", text)
    serial = before.end() if (before := _BEFORE_SERIAL.match(plain)) else len(plain)
    return plain[:serial] + plain[serial:].translate(_SERIAL)


def mask(plate: Plate) -> str:
    """Write a plate for those who must find the vehicle without knowing it: prefix and last three (``沪A·**345``).

    "" when there is nothing legible.
    """
    if plate.kind in (PlateKind.NONE, PlateKind.UNREAD):
        return ""
    tail = plate.text.removeprefix(plate.head)
    shown = tail[-3:]
    return f"{plate.head}·{'*' * (len(tail) - len(shown))}{shown}"


def judge(read: PlateRead, plate: Plate, floor: float, sure: float) -> Verdict:
    """Say how far the reading can be trusted: below ``floor`` it counts as unread, from ``sure`` on as certain."""
    if plate.kind is PlateKind.UNREAD or read.confidence < floor:
        return Verdict.UNREAD
    if plate.province and read.province_confidence < floor:
        return Verdict.UNREAD
    hesitant = read.confidence < sure or (plate.province != "" and read.province_confidence < sure)
    return Verdict.SURE if fits(plate.kind, plate.colour) and not hesitant else Verdict.DOUBTFUL


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
        if plate.kind not in CIVIL:
            return "special", verdict
        if plate.registered.startswith(self._key_at(at)):
            return "key_area", verdict
        return "local" if plate.registered.startswith(self._areas.local) else "out_of_town", verdict

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
