"""What the journal holds: records, in the order in which they were received, in groups that were committed together.

Everything that changes an outcome is a record: a message from the broker, a tick in silence, an operator's action,
what became of a message to a person, and the definition (places, rules, roster, policies) in force from here on.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec


class RecordKind(IntEnum):
    """What a record is; the number is what the journal stores."""

    MESSAGE = 0
    TICK = 1
    ACTION = 2
    DEFINITION = 3
    RECEIPT = 4


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One journaled thing.

    ``received_at`` is the instant of arrival (ns), non-decreasing along the journal. ``topic`` and ``payload`` are the
    raw message; an ACTION's payload is an ``Action``, a DEFINITION's a ``Definition``, a RECEIPT's a ``Receipt``, all
    as JSON; a TICK has none.
    """

    kind: int
    received_at: int
    topic: str = ""
    payload: bytes = b""
    retained: bool = False
    duplicate: bool = False


class Group(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Records that one durable commit holds. ``seq`` counts groups from 1 without holes."""

    seq: int
    records: tuple[Record, ...]

    @property
    def received_at(self) -> int:
        """The instant of the group's last record: journal time after this group."""
        return self.records[-1].received_at


class Action(msgspec.Struct, frozen=True):
    """What a person did about a case: ``verb`` is ``acknowledge`` or ``close``; ``by`` is a role id of the roster."""

    verb: str
    case: str
    by: str
    via: str = "cli"
    note: str = ""


class Delivery(StrEnum):
    """How far a message to a person has come."""

    SENT = "sent"
    """The channel's service took it."""
    DELIVERED = "delivered"
    SEEN = "seen"
    FAILED = "failed"
    """It will never be delivered on this channel."""


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a notification: its idempotency key ``case:event:receiver:channel``, and how far it came."""

    key: str
    delivery: Delivery
