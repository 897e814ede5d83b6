"""Recognising repeats: the broker sends again whatever was not acknowledged, and so do gateways.

A device that numbers its messages (``boot``, ``seq``) is known by the ranges of numbers that were seen of a boot. These
are few, for numbers follow one another; and they have no width, for what a broker sends again has none: mosquitto does
not keep to the limit of messages under way when a session is resumed. The boot before is remembered, too: what is sent
again may begin before a restart. A number that is too far from all of these is none of them: a mistake of the device,
or it counts anew; a *run* begins with it, and what lies between is no gap. Where the number is a time (us, ns), each
begins a run; so the newest numbers of runs that are forgotten are kept one by one, as contents are.

A device that only stamps its messages is known by their content; so many of the newest are kept.

Of a device that does neither two messages may say the same, and both count. Only what the broker marks as sent again
can be a repeat, and only of what may have been *under way* still, not acknowledged: what came last, and shortly before.

A camera reports a passage again as well, for a trigger and periodically, or because it lost the acknowledgement: in
another message, with another number and perhaps another confidence, but of the same vehicle, direction and stamp. That
is known for some minutes. What comes so within seconds may be another look at it, by a clock of whole seconds.

A message that came *ahead* of what waits at the broker comes once more in its turn; until then it is remembered. What
comes in its turn and is older than one of those was *overtaken* (see ``precedence``).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right, insort
from enum import Enum

import msgspec
import numpy as np

from sensord.core.batch import Int64
from sensord.core.instant import MINUTE, SECOND

RANGES = 256
"""Ranges kept of a boot. Beyond that the oldest hole is closed: what comes out of it later is taken for a repeat."""
RUNS = 3
"""Of these numbers are known: the last boot's, those of the one before, and what one number that leapt has begun.

Until one leaps, those of one boot more.
"""
LEAP = 1_000_000
"""No outage leaves out so many: of ten messages a second a whole day's."""
CONTENTS = 64
UNDER_WAY = 10 * SECOND
"""What is so much older than the newest message was acknowledged: that is done as soon as a message is on the disk."""
MOST_UNDER_WAY = 4096
PASSAGES = 256
KNOWN = 10 * MINUTE
TOGETHER = 5 * SECOND
AHEAD = 256
"""Messages that came ahead and are remembered; of numbered ones every other is forgotten beyond that."""
_ODD = 0x1E3779B97F4A7C15
"""Spreads stamps over all bits."""


class Number(Enum):
    """What the number of a message is to what was heard of its boot before."""

    REPEATED = "repeated"
    """It was heard already."""
    FURTHER = "further"
    """It is beyond all that were heard, or before them."""
    FILLING = "filling"
    """It lies in a hole: its successors were heard before it."""
    LEAPT = "leapt"
    """It is too far from all that were heard: a new run begins. Where no number follows another that says nothing."""


class Window(msgspec.Struct, array_like=True):
    """The numbers seen of one boot, in one run: ``edges`` are start and end (exclusive) of each range, ascending.

    ``leads`` are those that came ahead and whose turn has not come: number and arrival (ns), ascending.
    """

    boot: int
    edges: list[int]
    leads: list[tuple[int, int]] = []

    def reaches(self, boot: int, seq: int) -> bool:
        """Whether a number may belong to this run."""
        return boot == self.boot and self.edges[0] - LEAP <= seq <= self.edges[-1] + LEAP

    def counts(self) -> bool:
        """Whether a number has followed on another, so that they count messages."""
        return any(end - start > 1 for start, end in zip(self.edges[::2], self.edges[1::2], strict=True))

    def newest(self) -> list[int]:
        """The numbers that were seen, the largest of them, ascending."""
        found = list[int]()
        for end in range(len(self.edges) - 1, 0, -2):
            start, stop = self.edges[end - 1], self.edges[end]
            found[:0] = range(max(start, stop - CONTENTS + len(found)), stop)
            if len(found) == CONTENTS:
                break
        return found

    def follows(self, boot: int, seq: int) -> bool:
        """Whether a number is the next one; it is remembered then."""
        edges = self.edges
        if boot != self.boot or edges[-1] != seq:
            return False
        edges[-1] = seq + 1
        return True

    def lead(self, seq: int, at: int) -> None:
        """Remember that a number came ahead of its turn, at the instant ``at``."""
        insort(self.leads, (seq, at))
        if len(self.leads) > AHEAD:
            del self.leads[1::2]

    def follow(self, seq: int) -> None:
        """Forget what came ahead, up to a number that has come in its turn: turns come in order."""
        if self.leads:
            del self.leads[: bisect_right(self.leads, seq, key=_number)]

    def see(self, seq: int) -> Number:
        """Say what the number is to those that were seen, and remember it."""
        edges = self.edges
        place = bisect_right(edges, seq)
        if place % 2:
            return Number.REPEATED
        found = Number.FILLING if 0 < place < len(edges) else Number.FURTHER
        after = place > 0 and edges[place - 1] == seq
        before = place < len(edges) and edges[place] == seq + 1
        if after and before:
            del edges[place - 1 : place + 1]
        elif after:
            edges[place - 1] = seq + 1
        elif before:
            edges[place] = seq
        else:
            edges[place:place] = [seq, seq + 1]
            if len(edges) > 2 * RANGES:
                del edges[1:3]
        return found


class Repeats(msgspec.Struct, array_like=True):
    """What is remembered of one device; part of every snapshot.

    ``windows`` are runs, the one that was heard of last behind all others of its boot. ``passages`` and ``under_way``
    hold when (ns) what they know came, in the order of arrival.
    """

    windows: list[Window] = []
    contents: list[int] = []
    awaited: list[int] = []
    passages: dict[int, int] = {}
    under_way: dict[int, int] = {}

    def passage(self, passage: int, at: int) -> bool:
        """Say whether a vehicle's passage, a hash, that arrives at ``at`` (ns) was reported before, and remember it."""
        known = self.passages
        while known and (len(known) > PASSAGES or at - next(iter(known.values())) > KNOWN):
            del known[next(iter(known))]
        return at - known.setdefault(passage, at) > TOGETHER

    def lead(self, boot: int, seq: int, at: int) -> None:
        """Remember that a number, which was seen first now, came ahead of its turn at the instant ``at``."""
        place = self._run(boot, seq)
        assert place is not None
        self.windows[place].lead(seq, at)

    def _run(self, boot: int, seq: int) -> int | None:
        """Where the run is to which this number may belong."""
        places = range(len(self.windows) - 1, -1, -1)
        return next((place for place in places if self.windows[place].reaches(boot, seq)), None)

    def overtaken(self, boot: int, seq: int) -> int:
        """Take note that this number's turn has come; return when (ns) the first that overtook it came (0: none).

        A later boot overtakes all that an earlier one said.
        """
        if not any(window.leads for window in self.windows):  # as nearly always
            return 0
        mine = self._run(boot, seq)
        if mine is None:
            return 0
        self.windows[mine].follow(seq)
        return next((window.leads[0][1] for window in self.windows[mine:] if window.leads), 0)

    def numbered(self, boot: int, seq: int) -> tuple[Number, int]:
        """Say what this number is to those that were seen, and how many it leaves out; and remember it."""
        if self.windows and self.windows[-1].follows(boot, seq):  # as nearly always
            return Number.FURTHER, 0
        place = self._run(boot, seq)
        if place is None:
            return self._begin(boot, seq), 0
        window = self.windows[place]
        if self.windows[-1].boot == boot:
            self.windows.append(self.windows.pop(place))
        end = window.edges[-1]
        return window.see(seq), max(0, seq - end)

    def _begin(self, boot: int, seq: int) -> Number:
        """Begin a run with a number that belongs to none, unless it is one of a run that was forgotten."""
        runs = [window for window in self.windows if window.boot == boot]
        if runs and self._is_known(_named(boot, seq)):
            return Number.REPEATED
        self.windows.append(Window(boot, [seq, seq + 1]))
        if len(self.windows) > RUNS:
            self._forget_one()
        counts = len(runs) == 1 or any(window.counts() for window in runs)
        return Number.LEAPT if runs and counts else Number.FURTHER

    def _forget_one(self) -> None:
        """Forget the oldest of more boots than two, or the first run of a boot that has another one.

        What is left of that one are its newest numbers.
        """
        boots = [window.boot for window in self.windows]
        doubled = (place for place, boot in enumerate(boots) if boot in boots[place + 1 :])
        gone = self.windows.pop(0 if len(set(boots)) > 2 else next(doubled))
        if all(window.boot != gone.boot for window in self.windows):
            return
        ahead = {seq for seq, _ in gone.leads}
        for seq in gone.newest():
            keep = self.await_content if seq in ahead else self.content
            keep(_named(gone.boot, seq))

    def sent_again(self, identity: int, at: int, *, marked: bool) -> bool:
        """Say whether a message with this hash is one that was under way, and remember that it is, at ``at`` (ns).

        ``marked``: the broker says that it sends it again.
        """
        known = self.under_way
        if not marked:  # what the broker sends again comes before all that it sends for the first time
            while known and at - next(iter(known.values())) > UNDER_WAY:
                del known[next(iter(known))]
        repeated = known.pop(identity, None) is not None
        known[identity] = at
        if len(known) > MOST_UNDER_WAY:
            del known[next(iter(known))]
        return marked and repeated

    def content(self, identity: int) -> bool:
        """Say whether a message with this hash is among the newest or came ahead, and remember it."""
        if self._is_known(identity):
            return True
        self.contents.append(identity)
        del self.contents[:-CONTENTS]
        return False

    def _is_known(self, identity: int) -> bool:
        if identity in self.awaited:
            self.awaited.remove(identity)
            return True
        return identity in self.contents

    def await_content(self, identity: int) -> bool:
        """Take the hash of a message that comes ahead of its turn; say whether it was seen before."""
        if identity in self.contents or identity in self.awaited:
            return True
        self.awaited.append(identity)
        del self.awaited[:-AHEAD]
        return False


def passages(token: Int64, direction: Int64, stamp: Int64) -> Int64:
    """Hash passages: int64 columns (n,) of pseudonym, direction's code and stamp (ns)."""
    return token ^ (2 * stamp + direction) * np.int64(_ODD)


def _number(lead: tuple[int, int]) -> int:
    return lead[0]


def _named(boot: int, seq: int) -> int:
    """What a number is known by among contents."""
    return fingerprint(seq, str(boot), b"")


def fingerprint(nth: int, topic: str, payload: bytes) -> int:
    """Return what a reading without a number of its own is known by: a negative number made of its content."""
    text = f"{nth} {topic}\0".encode() + payload
    return -1 - int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "big")
