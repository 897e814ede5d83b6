"""Takes plates out of texts that strangers, or people in a hurry, may have put one into: topics, reasons, notes, logs.

Better a text too few than a plate too many: whatever may be a plate goes, however it is spaced, escaped or spelt.
"""

from __future__ import annotations

import re
import unicodedata

from sensord.core.vehicles.platekind import ANY_PROVINCE, ARMY

_P, _C, _DIGIT, _GAP = f"[{ANY_PROVINCE}]", "[A-Z0-9]", "[0-9IO]", r"[^A-Z0-9\u4e00-\u9fff]{0,3}"
_ENDING = "(?:[挂学警港澳领临]|应急)"
_LIKE = re.compile(
    rf"{_P}[A-Z]{_GAP}{_C}{{4,5}}(?:{_C}|{_ENDING})"
    rf"|{_P}{_GAP}[A-Z](?=(?:{_GAP}{_C}){{0,3}}{_GAP}[0-9])(?:{_GAP}{_C}){{4}}{_C}{{0,2}}(?:{_GAP}{_ENDING})?"
    rf"|{_P}(?:{_GAP}{_DIGIT}){{5}}{_GAP}领|使(?:{_GAP}{_DIGIT}){{6}}"
    rf"|WJ{_GAP}(?:{_P}|警)?(?:{_GAP}{_DIGIT}){{4}}{_C}{{0,2}}"
    rf"|(?<![A-Z0-9])(?!GB(?:18030|28181))(?-i:[{ARMY}][A-HJ-NP-Z])[·•. -]?{_DIGIT}{{5}}(?![A-Z0-9])",
    re.IGNORECASE,
)
"""What may be a plate. One of the army begins with the letter of a service or command; two standards look like that."""
_ESCAPED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def without_plates(text: str, instead: str = "***") -> str:
    """Replace whatever in a text looks like a plate.

    A text that holds one comes back half-width, without percent-escapes and without invisible characters.
    """
    plain = _plain(text)
    return _LIKE.sub(instead, plain) if _LIKE.search(plain) else text


def _plain(text: str) -> str:
    """Undo what could hide a plate: percent-escapes, full-width forms, characters of no width."""
    wide = unicodedata.normalize("NFKC", _ESCAPED.sub(_unescaped, text))
    return wide if wide.isascii() else "".join(one for one in wide if unicodedata.category(one) != "Cf")


def _unescaped(found: re.Match[str]) -> str:
    return bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "replace")
