"""What a plain (unquoted) YAML scalar means here: YAML 1.2's core schema (10.3.2), less what people mistake.

YAML 1.1 reads ``no`` as false, ``010`` as 8 and ``12:30`` as 45000; 1.2 reads none of them so. Words that the
two read differently as a truth value or as a number are refused; times of day are text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

Scalar = str | int | float | bool | None

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_OCTAL_LOOKING = re.compile(r"[-+]?0[0-9]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_AMBIGUOUS = frozenset(form for word in ("yes", "no", "on", "off") for form in (word, word.title(), word.upper()))
_INT64 = 2**63
_DIGITS = 20
"""No number of 64 bits is longer, with its sign."""
_SHOWN = 40

NEEDS_A_LOOK = frozenset("+-.0123456789~nNtTfFyYoO")
"""A plain scalar that begins with anything else is text; the caller checks this first: it is cheap."""


class Refusal(NamedTuple):
    """Why a scalar is refused, and what to write instead."""

    message: str
    hint: str


def plain(word: str) -> Scalar | Refusal:
    """Return the meaning of a plain scalar, or why it is refused."""
    if word in _WORDS:
        return _WORDS[word]
    if word in _AMBIGUOUS:
        truth = "true" if word.lower() in ("yes", "on") else "false"
        return Refusal(f"plain {word} is ambiguous", f'write {truth}, or "{word}" in quotes if you mean the word')
    if word[0].isalpha():
        return word
    if _OCTAL_LOOKING.fullmatch(word):
        decimal = word.lstrip("+-").lstrip("0") or "0"
        hint = f'write {short(decimal)} if it is a number, or "{short(word)}" in quotes if it is text'
        return Refusal(f"{short(word)} looks like an octal number", hint)
    if _INTEGER.fullmatch(word):
        return _integer(word)
    if _FLOAT.fullmatch(word):
        number = float(word)
        return number if abs(number) != float("inf") else _not_finite(word)
    return _not_finite(word) if _NOT_FINITE.fullmatch(word) else word


def short(text: str) -> str:
    """Cut a text for a message."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _integer(word: str) -> int | Refusal:
    number = int(word, 0) if len(word) <= _DIGITS else _INT64
    if -_INT64 <= number < _INT64:
        return number
    return Refusal(f"{short(word)} does not fit into 64 bits", "write a smaller number, or quote it if it is text")


def _not_finite(word: str) -> Refusal:
    return Refusal(f"{short(word)} is not a finite number", "write a finite number, or quote it if it is text")
