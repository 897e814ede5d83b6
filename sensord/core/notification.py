"""Decided sends, and why: each decision carries a named reason."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from sensord.core.alert import Vehicle
from sensord.core.level import Level

PLATE = "\u2063[plate]\u2063"
"""Stands in a text for a plate until the message is delivered (the invisible separators keep it from being typed)."""


class Reason(StrEnum):
    """Why somebody is told, or is not."""

    CASE_OPENED = "case_opened"
    LEVEL_ROSE = "level_rose"
    CASE_RELAPSED = "case_relapsed"
    NOT_ACKNOWLEDGED = "not_acknowledged"
    STEP_DUE = "step_due"
    CASE_CLOSED = "case_closed"
    HELD_NOBODY = "held_nobody"
    """A step names a role that nobody on the roster holds for this place, at any level."""
    HELD_LEVEL_FELL = "held_level_fell"
    """A later step came due, but the case no longer stands at the step's level."""
    HELD_ACKNOWLEDGED = "held_acknowledged"
    """An escalation step came due, but the case had been acknowledged."""


class Notification(msgspec.Struct, frozen=True):
    """One message to one person over one channel.

    ``key`` is the idempotency key, stable over restarts and replays: ``case:event:receiver:channel``. ``at`` is the
    journal time of the decision (ns). ``grid`` is the responsible residential grid ("" for a case of the street as a
    whole). ``vehicle`` is there when the text holds ``PLATE``: whoever delivers it puts the plate in its place, so
    that no plate is stored anywhere but in the journal.
    """

    key: str
    case: str
    event: str
    at: int
    reason: Reason
    receiver: str
    role: str
    channel: str
    address: str
    level: Level
    place: str
    grid: str
    language: str
    title: str
    text: str
    vehicle: Vehicle | None = None


class Hold(msgspec.Struct, frozen=True):
    """A send that was decided against: which step for which role, and why."""

    case: str
    event: str
    at: int
    role: str
    reason: Reason
