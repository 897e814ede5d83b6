"""What receipts say to a case: who has been reached, which second ways are not needed, and who knows that it is over.

The word that a case has ended has no second way: nothing follows by which somebody could notice. So when it fails, or
the contact by which it went is there no more, it goes over what is left to its receiver.
"""

from __future__ import annotations

from collections.abc import Collection

from sensord.core.cases.case import Case, CaseEvent, Due, Happening, State
from sensord.core.cases.ending import Ending
from sensord.core.cases.notification import Reason, digest_at
from sensord.core.cases.story import Story
from sensord.core.cases.told import Sent, Told
from sensord.core.people.roster import without
from sensord.core.record import Delivery


class Receipts(Ending):
    """Keeps the ledger's lines; whoever decides what happens builds on it."""

    def receipt(self, case: Case, name: str, sent: Sent, delivery: Delivery, at: int, story: Story) -> None:
        """Hear what became of a message to somebody who was told of the case."""
        told = case.told[name]
        story.changed[case.id] = case
        if delivery is Delivery.FAILED:
            told.fail(sent)
            if _tells_of_end(case, told, sent):
                told.ended_over = {**told.ended_over, sent.channel: ""}
                self._say_end(case, name, at, story)
            return
        told.come_through(sent)
        field = f"{delivery.value}_at"
        setattr(told, field, getattr(told, field) or at)
        if told.over or not told.is_past(sent):  # else it went to a number that is theirs no more
            case.fallbacks = {number: way for number, way in case.fallbacks.items() if not way.spared(name, sent.event)}
        if sent.channel not in told.second_ways:  # the first way works again
            told.second_ways = []
        if _tells_of_end(case, told, sent):
            told.ended_over, told.end_lost = {}, False
        self._settle_spared(case, at, story)

    def _settle_spared(self, case: Case, at: int, story: Story) -> None:
        """A case that waited for second ways ends once none is needed."""
        waits = [number for _, due, number in case.pending if due is Due.SETTLE]
        if waits:
            self.settle(case, at, story, max(waits))

    def say_end_anew(
        self, case: Case, changed: Collection[str], lost: Collection[tuple[str, str]], at: int, story: Story
    ) -> None:
        """A case has ended, and the contacts of some people have ``changed`` who may not have heard of that.

        Over those that are ``lost`` (person, channel) nothing reaches them any more.
        """
        owed = [(name, told) for name, told in case.ledger if told.ended_over or told.end_lost]
        for name, told in owed:
            if name not in changed:
                continue
            gone = {channel for person, channel in lost if person == name}
            told.end_lost = told.end_lost or not gone.isdisjoint(told.ended_over)
            told.ended_over = {channel: said for channel, said in told.ended_over.items() if channel not in gone}
            self._say_end(case, name, at, story)

    def _say_end(self, case: Case, name: str, at: int, story: Story) -> None:
        """Somebody heard nothing of the end over some channel: once that is so of all, they hear over what is left."""
        told, person = case.told[name], self.roster.by_id.get(name)
        story.changed[case.id] = case
        if person is None or any(told.ended_over.values()):
            return
        left = without(person, told.ended_over)
        if left.contacts:
            void = case.state is State.VOID
            how, reason = (Happening.VOID, Reason.CASE_VOID) if void else (Happening.CLOSE, Reason.CASE_CLOSED)
            about = case.policy, case.place, at, how, case.state, case.level, case.level, case.closed_by
            event = CaseEvent(f"{case.id}:over-{at}", case.id, *about)
            self.dispatcher.ended(case, event, reason, story.decisions, [left])


def _tells_of_end(case: Case, told: Told, sent: Sent) -> bool:
    """Whether the message told of the end, by itself or in a digest, and nothing else has got through."""
    said = told.ended_over.get(sent.channel, "")
    instant = digest_at(sent.event)
    return bool(said) and (sent.event == said if instant is None else instant >= case.closed_at)
