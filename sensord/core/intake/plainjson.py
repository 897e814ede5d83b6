"""What a JSON decoder does not tell of a text: whether an object names a key twice, and how deep it is nested. Pure.

RFC 8259 (section 4) leaves open what a repeated key means; whoever reads the other one than the sender meant is wrong
in silence, so such a text is refused. The decoders keep the last one and say nothing. To look at every text again would
cost more than its decoding; the colons are counted instead: there is one for each pair, and those within strings. A
text with as many as its content accounts for repeats no key.

Depth is bounded by a number of our own: a decoder's bound is what is left of the stack, which is not the same in every
program that reads the journal.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np

from sensord.errors import DecodeError

DEEPEST = 64
"""Objects and lists within one another."""
_ANYTHING = msgspec.json.Decoder()
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


def refuse_depth(payload: bytes) -> None:
    """Raise ``DecodeError`` ``too_deep`` for a text that is nested deeper than any decoder should follow."""
    if payload.count(b"[") + payload.count(b"{") <= DEEPEST:
        return
    text = np.frombuffer(_STRING.sub(b"", payload), np.uint8)
    steps = np.isin(text, list(b"[{")).astype(np.int64) - np.isin(text, list(b"]}"))
    if np.cumsum(steps).max(initial=0) > DEEPEST:
        raise DecodeError("too_deep", "the payload is nested too deeply")


def refuse_repeated_keys(payload: bytes) -> None:
    """Raise ``DecodeError`` ``duplicate_key`` for a text with an object that names a key twice, at whatever depth.

    The text has passed a decoder, and is no deeper than ``DEEPEST``. A decoder skips what it does not know, so here may
    still come to light that it is no text at all: ``not_utf8``, ``not_json``.
    """
    # A colon that is written as an escape is one of the content and none of the text.
    if b"\\" not in payload:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            if payload.count(b":") == _colons(_ANYTHING.decode(payload)):
                return
    try:
        _EXACTLY.decode(payload.decode())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise unreadable(payload, error) from None


def unreadable(payload: bytes, error: Exception) -> DecodeError:
    """What to raise for a payload that a decoder gave up with ``error``: ``not_utf8`` or ``not_json``.

    The payload is looked at, not the error: which one is raised for bytes that are no text depends on the decoder.
    """
    try:
        payload.decode()
    except UnicodeDecodeError:
        return DecodeError("not_utf8", "the payload is not UTF-8 text")
    return DecodeError("not_json", str(error))


def is_plain(payload: bytes) -> bool:
    """Whether neither of the two would refuse this JSON text."""
    try:
        refuse_depth(payload)
        refuse_repeated_keys(payload)
    except DecodeError:
        return False
    return True


def _colons(content: object) -> int:
    """The colons that a text with this content has, if no object repeats a key."""
    if isinstance(content, str):
        return content.count(":")
    if isinstance(content, dict):
        return len(content) + sum(map(_colons, content)) + sum(map(_colons, content.values()))
    if isinstance(content, list):
        return sum(map(_colons, content))
    return 0


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DecodeError("duplicate_key", "an object names a key twice")
    return found


_EXACTLY = json.JSONDecoder(object_pairs_hook=_distinct, parse_int=str, parse_float=str)
"""Numbers stay text: an unknown key's may be beyond every type."""
