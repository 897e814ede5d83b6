"""What became of an action."""

from __future__ import annotations

import msgspec


class Outcome(msgspec.Struct, frozen=True):
    """What became of an operator's action: ``accepted`` and a sentence that says why (not)."""

    case: str
    verb: str
    by: str
    via: str
    at: int
    accepted: bool
    detail: str
