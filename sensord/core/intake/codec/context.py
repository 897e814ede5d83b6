"""What a codec may know besides the message."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Context:
    """``zone`` is the time zone of stamps that have none."""

    zone: str
