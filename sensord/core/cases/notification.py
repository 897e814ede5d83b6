"""Decided sends, and why: each decision carries a named reason."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from sensord.core.alert import Vehicle
from sensord.core.level import Level

MARK = "\u2063"
"""An invisible separator: it makes a mark of what stands for something until the message is delivered."""
PLATE = f"{MARK}[plate]{MARK}"
"""Stands in a text for a plate until the message is delivered."""

REPORT = f"{MARK}[report]{MARK}"
"""Stands in a text for the numbers of a report until the message is delivered."""


class Reason(StrEnum):
    """Why somebody is told, or is not."""

    CASE_OPENED = "case_opened"
    LEVEL_ROSE = "level_rose"
    ANOTHER_VEHICLE = "another_vehicle"
    ANOTHER_TROUBLE = "another_trouble"
    """Something else is wrong with the daemon itself, while the case of what was wrong before is open."""
    ANOTHER_ALERT = "another_alert"
    """Another alert of the place is raised, or rises, no higher than the case stands already."""
    CASE_RELAPSED = "case_relapsed"
    CASE_RETURNED = "case_returned"
    VERIFYING_ASKED = "verifying_asked"
    """The case was given back when its alerts were over: what is left is to verify."""
    HAND_OVER = "hand_over"
    """A shift has changed: of the receiver's role nobody stays who was told, or whoever had answered has left."""
    MUTE_ENDED = "mute_ended"
    """The case went on while it was muted, and is muted no more."""
    NOT_ACKNOWLEDGED = "not_acknowledged"
    NOT_ON_THE_SCENE = "not_on_the_scene"
    NOT_DISPERSED = "not_dispersed"
    STEP_DUE = "step_due"
    REPLACEMENT = "replacement"
    """Somebody who was told before is silent; the receiver stands in."""
    NOT_DELIVERED = "not_delivered"
    """The first way to reach the receiver did not deliver in time."""
    HELP_NEEDED = "help_needed"
    OVERDUE = "overdue"
    """To supervisors: the stage took longer than its limit."""
    DISAGREEMENT = "disagreement"
    """To supervisors: a person reported the end, and the sensors still alarm."""
    APPROVAL_ASKED = "approval_asked"
    NOBODY_TOLD = "nobody_told"
    """To whoever of the plan can be reached: nobody of the step's roles could."""
    CASE_CLOSED = "case_closed"
    CASE_VOID = "case_void"
    DIGEST = "digest"
    """Several messages in one; ``covers`` names them."""
    REPORT_DUE = "report_due"
    """A scheduled report, not a case."""
    HELD_NOBODY = "held_nobody"
    """A step names a role of which nobody is on duty and reachable for this place, at any level."""
    HELD_NO_STEP = "held_no_step"
    """The plan has nobody told of this level at once: no step of it is reached, or those that are wait."""
    HELD_LEVEL_FELL = "held_level_fell"
    """A later step came due, but the case no longer stands at the step's level."""
    HELD_ACKNOWLEDGED = "held_acknowledged"
    """A step came due, but people had already come as far as it asks."""
    HELD_SILENCED = "held_silenced"
    HELD_MAINTENANCE = "held_maintenance"
    HELD_INHIBITED = "held_inhibited"
    """An alarm of a larger place says it already."""
    HELD_OFF_DUTY = "held_off_duty"
    """The receiver was told before, but is off duty now."""
    HELD_BUDGET = "held_budget"
    """The receiver has had so many messages this hour; it goes into the next digest."""
    HELD_RATE = "held_rate"
    """The robot has had so many messages this minute; it goes into the next digest."""
    HELD_STORM = "held_storm"
    """The whole site is alarming; it goes into the next digest."""


DAMPED = (Reason.HELD_BUDGET, Reason.HELD_RATE, Reason.HELD_STORM)
"""Why a message waits for a digest."""


class Notification(msgspec.Struct, frozen=True):
    """One message to one person over one channel.

    ``key`` is the idempotency key, stable over restarts and replays: ``case:event:receiver:channel``. ``at`` is the
    journal time of the decision (ns). ``grid`` is the responsible residential grid ("" for a case of the street as a
    whole). A digest ``covers`` the keys of the messages that it stands for; its own case is that of the highest
    level. ``vehicle`` is there when the text holds ``PLATE``: whoever delivers it puts the plate in its place, so that
    no plate is stored anywhere but in the journal. ``mask`` is what the receiver may see of the vehicle before that,
    "" when nothing. A digest's ``vehicles`` are those of its text's marks, in their order. ``level`` is that of what is
    told; ``case_level`` that of the case, which a lesser alert leaves where it stands.
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
    policy: str = ""
    covers: tuple[str, ...] = ()
    mask: str = ""
    vehicles: tuple[Vehicle, ...] = ()
    case_level: Level = Level.NONE


def digest_at(event: str) -> int | None:
    """The instant (ns) of a digest's event, as a key names it; None when it is no digest's."""
    number = event.rstrip("+").removeprefix("digest-")
    return int(number) if event.startswith("digest-") and number.isdecimal() and len(number) < 20 else None


def event_number(event: str) -> int:
    """The number of a case's event, as a key names it or as it ends its id; 0 when it has none."""
    number = event.rpartition(":")[2]
    return int(number) if number.isdecimal() and len(number) < 20 else 0


class Hold(msgspec.Struct, frozen=True):
    """A send that was decided against: which step for which role, and why.

    ``receiver`` and ``key`` are given when one message to one person is held back; a digest covers such keys.
    """

    case: str
    event: str
    at: int
    role: str
    reason: Reason
    receiver: str = ""
    key: str = ""
