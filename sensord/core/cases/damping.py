"""How much is said: a budget per person, a rate per robot, and storm mode. What is held goes into a digest, all of it.

A *robot* is a channel with an address. Of its ``per_minute`` messages ordinary ones may use half, digests four fifths,
and urgent ones (red, and what somebody waits for) all: so these find room while everything else floods. Budgets and
storms never hold what is urgent; budgets never hold the roles that are ``unlimited`` (police), nor what rises above all
that a person was told of the case. All of it is decided here, on journal time, so that a replay tells who would have
been told what.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sensord.core.cases.notification import Notification, Reason, digest_at
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND
from sensord.core.level import Level

DIGEST_WAIT = 30 * SECOND
"""So long a robot gathers before its digest goes out (Alertmanager's ``group_wait``)."""
REMEMBERED = 2 * DAY
"""So long are digests known, for their receipts: a message is tried for a day, and its receipt may have to wait."""
MOST_REMEMBERED = 5000
PRESSING = (Reason.HELP_NEEDED, Reason.APPROVAL_ASKED, Reason.DISAGREEMENT)
"""Somebody waits for an answer: these never become a line of a digest."""


def is_urgent(message: Notification) -> bool:
    """Whether a message finds room when others wait."""
    return message.level is Level.RED or message.reason in PRESSING


class Damping(msgspec.Struct, frozen=True, omit_defaults=True):
    """The limits. ``per_minute`` per channel name, for each of its robots; one that is not named has none.

    ``per_hour``: events told to one person, over however many contacts; 0: no limit. ``digest_every`` (ns): how long
    those over it wait. ``storm_at``: so many messages a minute, over the whole site, are a storm; 0: never. ``groups``
    are channels that lead to one group each, where an address only says who is mentioned: such a channel is one robot.
    ``digest_bytes`` is what the text of a digest may have, by channel name (UTF-8; one that is not named: any length).
    ``by_grid`` are channels that say to each grid's subscribers what is theirs: the digests of each grid are its own.
    ``undamped`` are channels that lead to programs which gather by themselves, and must see every case.
    """

    per_minute: dict[str, int] = {}
    per_hour: int = 0
    digest_every: int = 30 * MINUTE
    storm_at: int = 0
    groups: tuple[str, ...] = ()
    digest_bytes: dict[str, int] = {}
    by_grid: tuple[str, ...] = ()
    undamped: tuple[str, ...] = ()

    def outlet(self, message: Notification) -> str:
        """The robot that carries a message."""
        if message.channel in self.groups:
            return message.channel
        if message.channel in self.by_grid:
            return f"{message.channel} {message.grid} {message.address}"
        return f"{message.channel} {message.address}"


class Outlet(msgspec.Struct):
    """One robot: when it spoke in the last minute, what waits for its next digest, and when that is due (0: none)."""

    sent: list[int] = []
    waiting: list[Notification] = []
    due: int = 0


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """Of which case a digest told whom. ``number`` is that of the latest event of which it told them.

    It is 0 in the state of an earlier version.
    """

    case: str
    receiver: str
    number: int = 0


class Damped(msgspec.Struct):
    """The state: outlets by robot (:meth:`Damping.outlet`), instants of each person's messages of the last hour.

    ``seconds`` counts the site's messages of the last minute as [second, count]; ``digests`` holds the keys of the
    digests of late, each with what it told whom, the gravest first.
    """

    outlets: dict[str, Outlet] = {}
    people: dict[str, list[int]] = {}
    seconds: list[tuple[int, int]] = []
    digests: list[tuple[str, list[Entry]]] = []

    def told_by(self, key: str) -> list[Entry] | None:
        """What a digest told whom; None when the key is not that of a late digest."""
        # Most keys are no digest's, and most receipts are of late ones.
        late = reversed(self.digests) if ":digest-" in key else ()
        return next((told for name, told in late if name == key), None)


class Damper:
    """Decides whether a message goes out by itself; ``None`` from :meth:`offer` means that it does."""

    def __init__(self, damping: Damping, unlimited: frozenset[str], state: Damped) -> None:
        self._damping, self._unlimited, self.state = damping, unlimited, state

    def outlet(self, message: Notification) -> str:
        """The robot that carries a message."""
        return self._damping.outlet(message)

    def offer(
        self, messages: Sequence[Notification], *, rises: bool = False, again: bool = False
    ) -> list[tuple[Reason, int] | None]:
        """Count in what one person is told of one event, over each contact.

        ``rises``: it is above all that they were told of the case; ``again``: it was counted as they were told of it
        over other contacts. Returns for each message why it waits for a digest, and when that is due; None: it goes out
        now.
        """
        over = not (rises or again) and any(map(self._over_budget, messages[:1]))
        waits = [self._offer(message, over) for message in messages]
        said = [one for one, wait in zip(messages, waits, strict=True) if wait is None]
        counts = any(one.channel not in self._damping.undamped for one in said)  # what programs read does not
        if self._damping.per_hour and counts and not again:
            self.state.people.setdefault(said[0].receiver, []).append(said[0].at)
        return waits

    def _offer(self, message: Notification, over: bool) -> tuple[Reason, int] | None:
        if message.channel in self._damping.undamped:
            return None
        outlet = self.state.outlets.setdefault(self.outlet(message), Outlet())
        reason = self._why_wait(message, outlet, over)
        if reason is None:
            self._speak(outlet, message.channel, message.at)
            return None
        outlet.waiting.append(message)
        due = self._due(message, outlet, reason)
        outlet.due = min(outlet.due, due) if outlet.due else due
        return reason, outlet.due

    def _why_wait(self, message: Notification, outlet: Outlet, over: bool) -> Reason | None:
        urgent = is_urgent(message)
        if self._storm(message.at) and not urgent:
            return Reason.HELD_STORM
        if over:
            return Reason.HELD_BUDGET
        cap = self._damping.per_minute.get(message.channel, 0)
        if cap and self._said(outlet, message.at) >= (cap if urgent else max(cap // 2, 1)):
            return Reason.HELD_RATE
        return None

    def _due(self, message: Notification, outlet: Outlet, reason: Reason) -> int:
        if is_urgent(message):
            return self._free_at(outlet, message.channel, message.at, urgent=True)
        return message.at + (self._damping.digest_every if reason is Reason.HELD_BUDGET else DIGEST_WAIT)

    def _storm(self, at: int) -> bool:
        if not self._damping.storm_at:
            return False
        second, seconds = at // SECOND, self.state.seconds
        while seconds and seconds[0][0] <= second - 60:
            del seconds[0]
        if seconds and seconds[-1][0] == second:
            seconds[-1] = (second, seconds[-1][1] + 1)
        else:
            seconds.append((second, 1))
        return sum(count for _, count in seconds) > self._damping.storm_at

    def _over_budget(self, message: Notification) -> bool:
        if not self._damping.per_hour:
            return False
        said = self.state.people.get(message.receiver, [])
        while said and said[0] <= message.at - HOUR:
            del said[0]
        free = is_urgent(message) or message.role in self._unlimited
        return len(said) >= self._damping.per_hour and not free

    @staticmethod
    def _said(outlet: Outlet, at: int) -> int:
        while outlet.sent and outlet.sent[0] <= at - MINUTE:
            del outlet.sent[0]
        return len(outlet.sent)

    def _free_at(self, outlet: Outlet, channel: str, at: int, *, urgent: bool) -> int:
        """The first instant from ``at`` on at which a digest may go out."""
        cap = self._damping.per_minute.get(channel, 0)
        most = max(cap if urgent else cap - cap // 5, 1)
        if not cap or self._said(outlet, at) < most:
            return at
        return outlet.sent[-most] + MINUTE

    def flush(self, key: str, at: int) -> list[Notification] | int:
        """Take what waits at an outlet for its digest; or the instant at which to come again (0: nothing waits)."""
        outlet = self.state.outlets.get(key)
        if outlet is None or not outlet.waiting or outlet.due > at:
            return 0
        outlet.due = 0
        urgent = any(map(is_urgent, outlet.waiting))
        free = self._free_at(outlet, outlet.waiting[0].channel, at, urgent=urgent)
        if free > at:
            outlet.due = free
            return free
        waiting, outlet.waiting = outlet.waiting, []
        self._speak(outlet, waiting[0].channel, at)
        return waiting

    def wait_on(self, key: str, rest: list[Notification], at: int) -> int:
        """Let what did not fit into a digest wait for the next one; returns when that is due."""
        outlet = self.state.outlets[key]
        outlet.waiting = rest + outlet.waiting
        outlet.due = self._free_at(outlet, rest[0].channel, at, urgent=any(map(is_urgent, rest)))
        return outlet.due

    def waits(self, case: str, event: str, receiver: str) -> bool:
        """Whether anything that somebody is to be told of an event of a case waits for a digest."""
        waiting = (one for outlet in self.state.outlets.values() for one in outlet.waiting)
        return any((one.case, one.event, one.receiver) == (case, event, receiver) for one in waiting)

    def longest(self, message: Notification) -> int:
        """What the text of a digest on the message's channel may have (bytes; 0: any length)."""
        return self._damping.digest_bytes.get(message.channel, 0)

    def _speak(self, outlet: Outlet, channel: str, at: int) -> None:
        if channel in self._damping.per_minute:
            outlet.sent.append(at)

    def told_after(self, case: str, receiver: str, at: int) -> list[str]:
        """The cases of which a digest at ``at`` told the receiver, after this one."""
        for key, told in self.state.digests:
            names = [one.case for one in told if one.receiver == receiver] if _told_at(key) == at else []
            if case in names:
                return names[names.index(case) + 1 :]
        return []

    def remember(self, digest: Notification, told: list[Entry]) -> None:
        """Keep whom a digest told, for its receipts."""
        digests = self.state.digests
        digests.append((digest.key, told))
        del digests[:-MOST_REMEMBERED]
        while _told_at(digests[0][0]) < digest.at - REMEMBERED:
            del digests[0]


def _told_at(key: str) -> int:
    return digest_at(key.rsplit(":", 3)[1]) or 0
