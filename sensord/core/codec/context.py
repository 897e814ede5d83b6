"""What a codec may know besides the message."""

from __future__ import annotations

from dataclasses import dataclass

from sensord.core.plate import PlateTable


@dataclass(frozen=True, slots=True)
class Context:
    """``zone`` is the time zone of stamps that have none; ``plates`` sorts plates into classes."""

    zone: str
    plates: PlateTable
