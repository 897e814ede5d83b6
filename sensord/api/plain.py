"""Values of the core as plain ones, for other programs: what the API shows of a case, a rule, a person."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec

from sensord.core.instant import format_instant

_INSTANTS = frozenset({"at", "since", "until", "deadline"})
_INTERNAL = frozenset(
    {
        "pending",
        "fallbacks",
        "untold",
        "told_of",
        "known",
        "standing",
        "begun",
        "reached",
        "address",
        "vehicle",
        "calls",
    }
)
"""Of no use to others, or nobody's business: contacts' addresses stay in the roster's file, and who may see a plate, or
what stands for one, is decided by audience, message by message."""


def plain(value: object, zone: str) -> Any:  # noqa: ANN401  # any JSON value
    """Turn values of the core into plain ones for other programs.

    Whole numbers called ``at``, ``*_at``, ``since``, ``until`` or ``deadline`` are instants and become RFC 3339 (0:
    null); levels, streams and the like become their words.
    """
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, msgspec.Struct):
        return {
            name: _field(name, getattr(value, name), zone) for name in value.__struct_fields__ if name not in _INTERNAL
        }
    if isinstance(value, dict):
        return {str(key): plain(item, zone) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, zone) for item in value]
    return value


def _field(name: str, value: object, zone: str) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and (name in _INSTANTS or name.endswith("_at")):
        return format_instant(value, zone) if value else None
    return plain(value, zone)
