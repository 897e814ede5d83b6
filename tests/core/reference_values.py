"""What the reference works with, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field

from sensord.core.instant import SECOND
from sensord.core.stream import Stream

LOCAL = 8 * 3600 * SECOND
"""Shanghai is eight hours ahead of UTC, always."""


@dataclass(frozen=True)
class Reading:
    """One reading, as the intake hands it on. Times are ns."""

    device: str
    stream: Stream
    received_at: int
    event_at: int
    fields: dict[str, float]
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class Change:
    """What is compared: an alert has moved from one level to another."""

    at: int
    rule: str
    key: str
    previous: int
    level: int
    end: int
    samples: int
