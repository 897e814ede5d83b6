"""The ledger of a case: what was told to each person, and what they have said and done."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import msgspec

from sensord.core.cases.notification import event_number
from sensord.core.level import Level

OPERATOR = "operator"
"""The role of who has answered and is on no roster: by the API, or at the machine."""


class Sent(NamedTuple):
    """A message to somebody, as its key names it: that of an event (its number, or a digest) over a channel.

    ``number`` is that of the event, a digest's that of the latest event of which it tells; 0: not known.
    """

    event: str
    channel: str
    number: int


class Told(msgspec.Struct):
    """The ledger's line of one person in one case: when each thing happened first (ns; 0: not yet).

    ``number`` is the place in the order of telling. ``times`` is how often the person was asked to do something,
    ``at`` when first (never: when the line began), ``asked`` how often in each of their shifts ("": on no shift's
    account), ``round`` in which round last; what supervisors are told for their information, and that a case has
    ended, does not count. ``unanswered`` are the shifts in which they were asked and have said nothing since.
    ``said`` holds the answers of the present round that stand, by verb, each with its instant; ``heard`` is the round
    of the last answer. ``failed`` lists channels that did not deliver, or over which a silence has kept from the person
    what was said for want of another way. ``rules`` are those of whose alerts the person heard, in that order: of
    these, and of no others, they hear the end. ``level`` is the highest at which they were told of the case in the
    present round. ``held`` lists the events (their numbers) of which nothing was sent: all waits for digests, or did
    until the case was over. Nobody is asked by what was not sent.
    ``spoke_at`` is when they last did anything about the case, ``second_ways`` the channels over which they were told
    since the first last got through. ``ended_over`` are the channels over which they were told that the case has ended,
    each with the number of the event, none once that has failed; it is empty when the word has got through.
    ``end_lost``: it went over a channel, too, that has led elsewhere since, if anywhere, and has not got through.
    ``paged``: something of the case was sent to them, in whatever round; of an earlier version's lines ``knows``
    guesses it. ``told_at`` is when they were told last, at once or by a digest to come. ``asked_at`` is the same of
    what asks them to see after the case, also when it is said again. ``through`` is, by channel, the number of the
    latest event whose message has come through, ``failed_of`` of the latest whose message has failed, and ``past`` of
    the first event since the channel leads where it does now: what fails and is of before one that has come through, or
    of before that, says nothing of them any more. ``over`` are the channels over which they may have heard what they
    were told last, or may yet, each with the number of the event: those that were taken, have not failed, and are
    theirs still, if nothing has come through.
    """

    role: str
    at: int
    number: int = 0
    asked: dict[str, int] = {}
    unanswered: list[str] = []
    times: int = 0
    sent_at: int = 0
    delivered_at: int = 0
    seen_at: int = 0
    acknowledged_at: int = 0
    on_the_way_at: int = 0
    on_the_scene_at: int = 0
    help_at: int = 0
    dispersed_at: int = 0
    round: int = 0
    heard: int = 0
    said: dict[str, int] = {}
    failed: list[str] = []
    rules: list[str] = []
    level: Level = Level.NONE
    held: list[str] = []
    spoke_at: int = 0
    second_ways: list[str] = []
    ended_over: dict[str, str] = {}
    end_lost: bool = False
    paged: bool = False
    told_at: int = 0
    asked_at: int = 0
    past: dict[str, int] = {}
    through: dict[str, int] = {}
    failed_of: dict[str, int] = {}
    over: dict[str, int] = {}

    @property
    def knows(self) -> bool:
        """Whether anything about the case was sent to the person: what only waits for digests was not."""
        return bool(self.rules and (self.paged or self.times or self.level or not self.held))

    @property
    def answered(self) -> bool:
        """Whether an answer of the person stands in the present round."""
        return bool(self.said)

    @property
    def waited(self) -> bool:
        """Whether something waits for a digest, or has, that asks for something."""
        return bool(self.held and self.asked_at)

    def was_asked(self, case_round: int) -> bool:
        """Whether the person was asked in a round: what waits for a digest asks nobody yet."""
        return bool(self.times) and self.round == case_round

    def was_told(self, case_round: int) -> bool:
        """Whether the person was asked in the present round, or is by what waits for a digest; a notice asks nobody."""
        return self.was_asked(case_round) or self.waited

    @property
    def silent(self) -> bool:
        """Whether the person was asked, and has said nothing since the round in which they were asked last."""
        return bool(self.unanswered)

    def is_above(self, level: Level) -> bool:
        """Whether a page at a level is above all that the person was told of the case, or begins it gravely."""
        return level > self.level and (self.level is not Level.NONE or level >= Level.ORANGE)

    def hear_of(self, rule: str, *, alone: bool) -> None:
        """Note that they are told of an alert of a rule; ``alone``: only if it is the first of which they hear."""
        if rule not in self.rules and not (alone and self.rules):
            self.rules.append(rule)

    def ask(self, shift: str, at: int, case_round: int) -> None:
        """Note that the person is asked to do something, in their shift and in a round of the case."""
        self.at = self.at if self.times else at
        self.times, self.round = self.times + 1, case_round
        self.asked = {**self.asked, shift: self.asked.get(shift, 0) + 1}
        heard = self.acknowledged_at and self.heard == case_round
        if not heard and shift not in self.unanswered:
            self.unanswered = [*self.unanswered, shift]

    def tell(self, event: str, channels: Iterable[str], *, again: bool) -> None:
        """Note that they are told of an event (its id) over channels; ``again``: beside what was said of it before."""
        over = self.over if again else {}
        self.over = {**over, **dict.fromkeys(channels, event_number(event))}

    def drop(self, event: str) -> None:
        """What waited for digests of an event (its number) is never sent; with nothing else it is as if never told."""
        self.held.remove(event)
        self.over = {one: number for one, number in self.over.items() if number != event_number(event)}
        if not (self.paged or self.times or self.level or self.held):
            self.rules = []

    def is_past(self, sent: Sent) -> bool:
        """Whether it is no matter that a message has failed."""
        return 0 < sent.number < max(self.past.get(sent.channel, 0), self.through.get(sent.channel, 0))

    def fail(self, sent: Sent) -> None:
        """A message was given up."""
        if self.is_past(sent):
            return
        if sent.channel not in self.failed:
            self.failed = [*self.failed, sent.channel]
        self.failed_of = {**self.failed_of, sent.channel: max(sent.number, self.failed_of.get(sent.channel, 0))}
        if self.over.get(sent.channel, 0) <= sent.number:
            self.over = {one: number for one, number in self.over.items() if one != sent.channel}

    def come_through(self, sent: Sent) -> None:
        """A message was delivered: its channel works, and what has failed before is made up for, but nothing later."""
        self.through = {**self.through, sent.channel: max(sent.number, self.through.get(sent.channel, 0))}
        if sent.number >= self.failed_of.get(sent.channel, 0):
            self.failed = [one for one in self.failed if one != sent.channel]

    def moved(self, channels: Collection[str], number: int, *, wholly: bool) -> None:
        """What was told before an event (its number) went elsewhere than these channels lead now, if anywhere.

        What they were told last is lost with its way, unless it has come through; if they have ``wholly`` moved, then,
        too: it may have come through to nobody.
        """
        over = {} if wholly else self.over
        self.over = {one: told for one, told in over.items() if one not in channels or self.through.get(one, 0) >= told}
        self.past = {**self.past, **dict.fromkeys(channels, number)}
        self.failed = [one for one in self.failed if one not in channels]

    @property
    def reached(self) -> bool:
        """Whether a message is known to have reached the person's side."""
        return bool(self.sent_at or self.delivered_at or self.seen_at or self.acknowledged_at)
