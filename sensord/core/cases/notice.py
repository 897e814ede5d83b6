"""What the daemon says of itself in the journal: a trouble begins, or is over.

A notice is a journal record, so that replay decides the same. It raises or clears the alert of a built-in rule at the
street (``builtin``), and takes the same way as any other alert from there.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from sensord.core.cases.case import Case
from sensord.decoders import json_decoder


class Trouble(StrEnum):
    """What can be wrong."""

    STATE_LOST = "state-lost"
    """The state database was damaged, gone, or of another journal; it was built anew."""
    PAST_UNKNOWN = "past-unknown"
    """No saved state could be read: the core has begun anew with the journal's last hours, and knows nothing older."""
    JOURNAL_DAMAGED = "journal-damaged"
    """Files of the journal were damaged or missing: of some readings nothing is known any more."""
    DISK_FULL = "disk-full"
    """Readings wait at the broker; only the newest are taken in, from the space that is kept back.

    Or the disk takes few more files: then all goes on, but a start or the next day may not."""
    DISK_RESERVE_USED = "disk-reserve-used"
    """And that is used up, too: nobody is told of new crowds."""
    POSSIBLE_GAP = "possible-gap"
    """The broker has lost our session, or another client has taken it: messages may be missing."""
    RELOAD_REFUSED = "reload-refused"
    """The configuration holds a mistake; the rules before are in force."""
    BROKER_BEHIND = "broker-behind"
    """More comes in than we take: readings wait at the broker, and only the newest go ahead."""
    BROKER_AWAY = "broker-away"
    """There is no connection to the broker: nothing is known of what goes on."""
    HOST_CLOCK = "host-clock"
    """The host's clock was set: our time is another by more than a minute, and so are times in messages."""
    JOURNAL_CUT = "journal-cut"
    """The journal was too large: days were given up before their time."""
    SERIES_STALLED = "series-stalled"
    """A time-series sink has got no further for long, though points wait for it."""
    HANDLING_FAILED = "handling-failed"
    """A mistake of ours: one case, rule or message, or vehicles, could not be handled. All else goes on."""
    SAFE_MODE = "safe-mode"
    """The daemon died again and again; it runs without time series, reports and the like."""
    LINKS_VOID = "links-void"
    """The key that signs links in messages was damaged: those sent before cannot be answered any more."""
    TOKENS_LOST = "tokens-lost"
    """The file of the tokens was damaged: nobody but this machine has one."""
    PLATES_OFF = "plates-off"
    """The site keys cannot be used: vehicles are sorted into classes and not told apart."""
    CHANGES_UNREAD = "changes-unread"
    """The changes of the duty plan that came over the API cannot be read: the plan is in force without them."""


class Used(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a past that the journal has lost has counted: the ``events`` by case, and the ``counters`` of codes.

    Two messages may not have one identity: the second would be taken for a repetition of the first.
    """

    events: dict[str, int] = {}
    counters: dict[str, int] = {}


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """A trouble begins (``active``), or is over.

    ``orphans`` are open cases, in full, whose opening the journal has lost: people were told of them, and the core does
    not know them any more. ``used`` are identities that are taken without the core's knowledge. ``begun`` is the group
    with which the core has begun anew (0: it has not): a replay that steps what lies before it need not decide the same
    from here on, but one that begins with it does, under the definition that follows.
    """

    trouble: Trouble
    active: bool
    orphans: tuple[Case, ...] = ()
    used: Used | None = None
    begun: int = 0


_NOTICE = json_decoder(Notice)


def decode_notice(text: bytes) -> Notice:
    """Read a notice; raises ``msgspec.DecodeError`` when it is none."""
    return _NOTICE.decode(text)
