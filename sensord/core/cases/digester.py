"""Sends what waits at a robot: a digest, or by itself what somebody waits for. Whom it tells is asked from then on.

A digest that cannot be written is a mistake of ours. What waited for it goes out in its own words then, one message at
a time, at the robot's rate.
"""

from __future__ import annotations

import msgspec

from sensord.core.cases.agenda import Desk
from sensord.core.cases.case import Due
from sensord.core.cases.damping import PRESSING, Damper, Entry
from sensord.core.cases.decisions import Decisions
from sensord.core.cases.dispatch import Dispatcher
from sensord.core.cases.message import ENDS
from sensord.core.cases.notification import Hold, Notification, Reason, event_number
from sensord.core.cases.story import Story
from sensord.core.people.roster import Roster

A_DIGEST = "a digest"
"""What a failure names that belongs to no case."""


class Digester:
    """Turns what the damper holds into digests, as they come due."""

    def __init__(self, damper: Damper, desk: Desk, roster: Roster, dispatcher: Dispatcher) -> None:
        self._damper, self._desk, self._roster, self._dispatcher = damper, desk, roster, dispatcher

    def send(self, outlet: str, at: int, story: Story) -> None:
        """A robot's digest has come due; the open cases of which it tells have changed."""
        waiting = self._damper.flush(outlet, at)
        if isinstance(waiting, int):
            if waiting:
                self._desk.digest(waiting, outlet)
            return
        said = list[Notification]()
        with self._desk.apart.handling(A_DIGEST, at, story.failures):
            waiting = self._theirs(waiting, at, story)
            said = self._said(waiting, at, story.decisions) if waiting else []
        if not waiting:
            return
        said = said or [self._alone(waiting, at, story.decisions)]
        told = {message.key for message in said}
        rest = [message for message in waiting if message.key not in told]
        if rest:
            self._desk.digest(self._damper.wait_on(outlet, rest, at), outlet)
        self._ask(said, at, story)

    def _theirs(self, waiting: list[Notification], at: int, story: Story) -> list[Notification]:
        """What is still its receivers' to read; the rest is held, and was told to nobody."""
        there = [message for message in waiting if self._is_there(message, at)]
        for one in waiting:
            if one not in there:
                hold = Hold(one.case, one.event, at, one.role, Reason.HELD_OFF_DUTY, one.receiver, one.key)
                story.decisions.hold(hold)
                self._drop(one, at, story)
        return there

    def _drop(self, message: Notification, at: int, story: Story) -> None:
        """Whoever hears nothing of it over other contacts, either, was not told: the case is looked at again."""
        case, number = self._desk.open.get(message.case), message.event.rpartition(":")[2]
        if case is None or self._damper.waits(case.id, message.event, message.receiver):
            return
        if number in case.told[message.receiver].held:
            case.told[message.receiver].drop(number)
            self._desk.schedule(case, at, Due.RECHECK, 0)
            story.changed[case.id] = case

    def _is_there(self, message: Notification, at: int) -> bool:
        """Whether somebody is on duty, and has the contact still: what waits for others need not be theirs to read.

        Nor need what waits at what is another's number by now: whoever had it hears anew (see ``Flow.begin``). The end
        is theirs, on duty or not, if anything of the case was sent to them.
        """
        person, case = self._roster.by_id.get(message.receiver), self._desk.find(message.case)
        way = message.channel, message.address
        if person is None or all((contact.channel, contact.address) != way for contact in person.contacts):
            return False
        told = case.told.get(message.receiver) if case is not None else None
        awaited = message.reason in ENDS and told is not None and told.knows
        return awaited or self._roster.table.on_duty(message.receiver, at)

    def _said(self, waiting: list[Notification], at: int, decisions: Decisions) -> list[Notification]:
        """Send what has its turn, which is the last thing to be done; returns what that tells of."""
        # What has waited since before a change of the channels may belong to several robots by now.
        robot = self._damper.outlet(waiting[0])
        waiting = [one for one in waiting if self._damper.outlet(one) == robot]
        call = next((message for message in waiting if message.reason in PRESSING), None)
        if call is not None:
            return [self._alone([call], at, decisions)]
        worst = max(waiting, key=lambda message: (message.level, -message.at))
        write, longest = self._dispatcher.digests.write, self._damper.longest(worst)
        title, text, covered, vehicles = write(waiting, worst.language, self._desk.open, longest)
        event = self._event(worst, at)
        digest = Notification(
            key=_key(worst, event), case=worst.case, event=event, at=at, reason=Reason.DIGEST,
            receiver=worst.receiver, role=worst.role, channel=worst.channel, address=worst.address, level=worst.level,
            place=worst.place, grid=worst.grid, language=worst.language, title=title, text=text,
            policy=worst.policy, covers=tuple(message.key for message in covered),
            vehicles=vehicles, case_level=worst.case_level,
        )  # fmt: skip
        self._damper.remember(digest, _entries(covered))
        decisions.notify(digest)
        return covered

    @staticmethod
    def _alone(waiting: list[Notification], at: int, decisions: Decisions) -> Notification:
        """Send the gravest in its own words, of several the first; returns it as it waited."""
        one = max(waiting, key=lambda message: (message.level, -message.at))
        decisions.notify(msgspec.structs.replace(one, at=at))
        return one

    def _event(self, worst: Notification, at: int) -> str:
        """What the digest stands for. Two robots that lead to one person since a reload may have one each at once."""
        event = f"{worst.case}:digest-{at}"
        while self._damper.state.told_by(_key(worst, event)) is not None:
            event += "+"
        return event

    def _ask(self, said: list[Notification], at: int, story: Story) -> None:
        """Whoever is told only now is asked from now on; a second way speaks of the gravest that each is told."""
        people = set[str]()
        for message in _gravest_first(said):
            case = self._desk.open.get(message.case)
            if case is None:
                continue
            with self._desk.apart.handling(case.id, at, story.failures):
                story.changed[case.id] = case
                if self._dispatcher.told_late(case, message, at, first=message.receiver not in people):
                    people.add(message.receiver)


def _key(worst: Notification, event: str) -> str:
    return f"{event}:{worst.receiver}:{worst.channel}"


def _entries(covered: list[Notification]) -> list[Entry]:
    latest: dict[tuple[str, str], int] = {}
    for one in _gravest_first(covered):
        about = one.case, one.receiver
        latest[about] = max(latest.get(about, 0), event_number(one.event))
    return [Entry(*about, number) for about, number in latest.items()]


def _gravest_first(messages: list[Notification]) -> list[Notification]:
    return sorted(messages, key=lambda one: -one.level)
