"""Takes plates out of texts that strangers, or people in a hurry, may have put one into: topics, reasons, notes, logs.

Better a text too few than a plate too many: whatever may be a plate goes, full-width, in lower case, with spaces and
signs in it, escaped once (addresses, JSON, HTML), in older characters. What goes unseen: a plate spelt backwards or
with words in it, and one without digits that is spaced anywhere but behind its letter or between all its characters.
"""

from __future__ import annotations

import re
import unicodedata

from sensord.core.vehicles.platekind import ANY_PROVINCE, ARMY

_OLDER = "滬蘇粵魯晉遼閩贛瓊貴雲陝寧蔵"
"""Characters of provinces as they are written elsewhere."""
_P, _C, _DIGIT, _GAP = f"[{ANY_PROVINCE}{_OLDER}]", "[A-Z0-9]", "[0-9IO]", r"[^A-Z0-9\u4e00-\u9fff]{0,3}"
_ENDING, _ONE = "(?:[挂学警港澳领临]|应急)", "[ ·•-]?"
_DOTS = r"[\s·•‧∙⋅●・･]{1,3}"
_MORE, _LAST = f"(?:{_C}|{_DOTS}{_C}{{1,2}}(?![A-Z0-9]))", f"(?:{_DOTS}{_C}(?![A-Z0-9]))?"
_LIKE = re.compile(
    rf"{_P}[A-Z]{_GAP}{_C}{{4,5}}(?:{_C}|{_ENDING}){_LAST}|临{_P}[A-Z]{_GAP}{_C}{{4,6}}{_LAST}"
    rf"|{_P}{_GAP}[A-Z](?=(?:{_GAP}{_C}){{0,3}}{_GAP}[0-9])(?:{_GAP}{_C}){{4}}{_MORE}{{0,2}}(?:{_GAP}{_ENDING})?"
    rf"|{_P}{_GAP}[A-Z](?:[ ·•-]{_C}(?![A-Z0-9])){{4,6}}(?:{_GAP}{_ENDING})?"
    rf"|{_P}(?:{_GAP}{_DIGIT}){{5}}{_GAP}领|使(?:{_GAP}{_DIGIT}){{6}}"
    rf"|W{_ONE}J{_GAP}(?:{_P}|警)?(?:{_GAP}{_DIGIT}){{4}}{_MORE}?{_LAST}"
    rf"|[{ARMY}](?<![A-Z0-9].)(?<!G(?=B[ -]?(?:18030|28181)))"
    rf"(?:[A-HJ-NP-Z][·•. -]?{_DIGIT}{{5}}|(?-i:(?<=[A-Z]){_ONE}[A-HJ-NP-Z])(?:{_ONE}{_DIGIT}){{5}})(?![A-Z0-9])",
    re.IGNORECASE,
)
"""What may be a plate. One of the army begins with the letter of a service or command; two standards look like that."""
_ESCAPED = re.compile(r"((?:%[0-9A-Fa-f]{2})+)|\\+u([0-9A-Fa-f]{4})|&#(?:x([0-9A-Fa-f]{1,5})|([0-9]{1,6}));")
"""Escapes of addresses, of JSON (in JSON) and of HTML."""
_HALVES = range(0xD800, 0xE000)


def without_plates(text: str, instead: str = "***") -> str:
    """Replace whatever in a text looks like a plate.

    A text that holds one comes back half-width, without escapes and without invisible characters.
    """
    plain = _plain(text)
    return _LIKE.sub(instead, plain) if _LIKE.search(plain) else text


def _plain(text: str) -> str:
    """Undo what could hide a plate: escapes, full-width forms, characters of no width."""
    wide = unicodedata.normalize("NFKC", _ESCAPED.sub(_unescaped, text))
    return wide if wide.isascii() else "".join(one for one in wide if unicodedata.category(one) != "Cf")


def _unescaped(found: re.Match[str]) -> str:
    address, of_json, hexadecimal, decimal = found.groups()
    if address:
        return bytes.fromhex(address.replace("%", "")).decode("utf-8", "replace")
    code = int(of_json or hexadecimal, 16) if of_json or hexadecimal else int(decimal)
    return "\ufffd" if code in _HALVES else chr(code)  # a half by itself could be written nowhere
