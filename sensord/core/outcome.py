"""What became of an action."""

from __future__ import annotations

import msgspec


class Outcome(msgspec.Struct, frozen=True):
    """What became of an operator's action: ``accepted``, the named reason, and a sentence that says it (zh, en)."""

    case: str
    verb: str
    by: str
    via: str
    at: int
    accepted: bool
    verdict: str
    detail: str
    detail_en: str
