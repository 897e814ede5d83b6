"""Plates: normalised and sorted into classes, and then forgotten. Nothing here returns a plate to the outside.

Sources: GA 36-2018 (forms of mainland plates); the province characters are those of the 31 mainland provinces. A prefix
shows where a vehicle is registered, not where it came from.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from sensord.core.definition import PlateAreas

_PROVINCES = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新"
_SEPARATORS = re.compile(r"[\s·•・.\-_]+")
_FOREIGN = re.compile(r"[^A-Z0-9?\u4e00-\u9fff]")
_SERIAL = str.maketrans("IO", "10")
_ORDINARY = re.compile(rf"[{_PROVINCES}][A-HJ-Z][A-HJ-NP-Z0-9]{{5}}")
_NEW_ENERGY = re.compile(rf"[{_PROVINCES}][A-HJ-Z](?:[A-HJK][A-HJ-NP-Z0-9]\d{{4}}|\d{{5}}[A-HJK])")
_SPECIAL = re.compile(
    rf"[{_PROVINCES}][A-HJ-Z][A-HJ-NP-Z0-9]{{4}}[警挂学港澳领]"
    rf"|[{_PROVINCES}]\d{{5}}领|使\d{{6}}|WJ[{_PROVINCES}警]?[A-Z0-9]{{4,6}}|[A-Z]{{2}}\d{{5}}"
    rf"|[{_PROVINCES}][A-Z][A-Z0-9]{{3,5}}应急"
)
_NOTHING = {"", "无车牌", "无牌", "无", "UNKNOWN", "NONE", "NOPLATE"}


@dataclass(frozen=True, slots=True)
class PlateTable:
    """Sorts plates: ``local`` and ``key`` are prefixes (province character, optionally with the city letter)."""

    local: tuple[str, ...]
    key: tuple[str, ...]
    floor: float = 0.5
    """Below this confidence a plate counts as unread: nobody is called out-of-town on a guess."""

    @classmethod
    def of(cls, areas: PlateAreas) -> PlateTable:
        """Make the table that a definition asks for."""
        return cls(areas.local, areas.key)

    def classify(self, raw: str | None, confidence: float) -> str:
        """Return the class of a plate as a camera sent it: a word of the label ``class``."""
        plate = normalise(raw) if raw is not None else ""
        if plate in _NOTHING:
            return "none"
        if confidence < self.floor:
            return "unread"
        if _SPECIAL.fullmatch(plate):
            return "special"
        if not (_ORDINARY.fullmatch(plate) or _NEW_ENERGY.fullmatch(plate)):
            return "unread"
        if plate.startswith(self.key):
            return "key_area"
        return "local" if plate.startswith(self.local) else "out_of_town"


def normalise(raw: str) -> str:
    """Write a plate in its one form: half-width, upper case, no separators, and no I or O in the serial.

    What can be no part of a plate becomes ``?``, so that nothing is invented by leaving it out. Idempotent; never
    raises.
    """
    upper = _SEPARATORS.sub("", unicodedata.normalize("NFKC", raw).upper())
    plain = _FOREIGN.sub("?", upper)
    return plain[:2] + plain[2:].translate(_SERIAL) if plain and plain[0] in _PROVINCES else plain
