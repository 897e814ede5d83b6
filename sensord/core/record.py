"""What the journal holds: records, in the order in which they were received, in groups that were committed together.

Everything that changes an outcome is a record: a message from the broker, a tick in silence, an operator's action,
what became of a message to a person, and the definition (places, rules, roster, policies) in force from here on.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from operator import attrgetter

import msgspec

from sensord.core.level import Level


class RecordKind(IntEnum):
    """What a record is; the number is what the journal stores."""

    MESSAGE = 0
    TICK = 1
    ACTION = 2
    DEFINITION = 3
    RECEIPT = 4
    NOTICE = 5


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One journaled thing.

    ``received_at`` is the instant of arrival (ns), non-decreasing along the journal. ``topic`` and ``payload`` are the
    raw message; an ACTION's payload is an ``Action``, a DEFINITION's a ``Definition``, a RECEIPT's a ``Receipt``, a
    NOTICE's a ``Notice``, all as JSON; a TICK has none. ``ahead``: a message that came ahead of what waited at the
    broker; it comes once more in its turn.
    """

    kind: int
    received_at: int
    topic: str = ""
    payload: bytes = b""
    retained: bool = False
    duplicate: bool = False
    ahead: bool = False


class Group(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Records that one durable commit holds. ``seq`` counts groups from 1 without holes."""

    seq: int
    records: tuple[Record, ...]

    @property
    def received_at(self) -> int:
        """The instant of the group's last record: journal time after this group."""
        return self.records[-1].received_at


def kinds(records: Iterable[Record]) -> set[int]:
    """The kinds that are among the records."""
    return set(map(attrgetter("kind"), records))


class Verb(StrEnum):
    """What a person can do. The first six are answers of responders, the next four decisions about a case.

    ``COUNT`` says how many vehicles are inside a compound.
    """

    ACKNOWLEDGE = "acknowledge"
    ON_THE_WAY = "on_the_way"
    ON_THE_SCENE = "on_the_scene"
    DISPERSED = "dispersed"
    FALSE_ALARM = "false_alarm"
    NEED_HELP = "need_help"
    CLOSE = "close"
    VOID = "void"
    EXTEND = "extend"
    RETURN = "return"
    SILENCE = "silence"
    UNSILENCE = "unsilence"
    COUNT = "count"


ANSWERS = (
    Verb.ACKNOWLEDGE,
    Verb.ON_THE_WAY,
    Verb.ON_THE_SCENE,
    Verb.DISPERSED,
    Verb.FALSE_ALARM,
    Verb.NEED_HELP,
)
"""What a responder says, for example by a link in the message."""


class Scope(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a silence or a maintenance window covers: everything that fits each part that is given.

    ``places`` covers all that lies below them; ``labels`` are those of the rule; ``up_to`` is the highest level that
    is covered (red only when it is said). With ``people``, only messages to them are held back.
    """

    places: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    people: tuple[str, ...] = ()
    up_to: Level = Level.ORANGE


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person did: ``verb`` is a ``Verb``; ``by`` is a role id of the roster, or an operator's account.

    ``case`` is the case it is about; for ``unsilence`` the silence's id, for ``count`` the compound, in which so many
    ``vehicles`` were counted ``at`` then (ns; 0: it is not said when). ``until`` (ns) is the new deadline of ``extend``
    and the end of a ``silence``, whose ``scope`` says what is silenced and whose ``note`` must say why.
    """

    verb: str
    case: str
    by: str
    via: str = "cli"
    note: str = ""
    until: int = 0
    scope: Scope | None = None
    vehicles: int = 0
    at: int = 0


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
