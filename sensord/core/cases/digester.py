"""Sends what waits at a robot: a digest, or by itself what somebody waits for. Whom it tells is asked from then on."""

from __future__ import annotations

import msgspec

from sensord.core.cases.agenda import Desk
from sensord.core.cases.case import Case
from sensord.core.cases.damping import PRESSING, Damper
from sensord.core.cases.decisions import Decisions
from sensord.core.cases.dispatch import Dispatcher
from sensord.core.cases.message import ENDS
from sensord.core.cases.notification import Hold, Notification, Reason
from sensord.core.people.roster import Roster


class Digester:
    """Turns what the damper holds into digests, as they come due."""

    def __init__(self, damper: Damper, desk: Desk, roster: Roster, dispatcher: Dispatcher) -> None:
        self._damper, self._desk, self._roster, self._dispatcher = damper, desk, roster, dispatcher

    def send(self, outlet: str, at: int, decisions: Decisions) -> list[Case]:
        """A robot's digest has come due; returns the open cases of which it tells."""
        waiting = self._damper.flush(outlet, at)
        if isinstance(waiting, int):
            if waiting:
                self._desk.digest(waiting, outlet)
            return []
        off = [message for message in waiting if not self._is_there(message, at)]
        for one in off:
            decisions.hold(Hold(one.case, one.event, at, one.role, Reason.HELD_OFF_DUTY, one.receiver, one.key))
        waiting = [message for message in waiting if message not in off]
        if not waiting:
            return []
        # What has waited since before a change of the channels may belong to several robots by now.
        robot = self._damper.outlet(waiting[0])
        said = self._said([one for one in waiting if self._damper.outlet(one) == robot], at, decisions)
        told = {message.key for message in said}
        rest = [message for message in waiting if message.key not in told]
        if rest:
            self._desk.digest(self._damper.wait_on(outlet, rest, at), outlet)
        return self._ask(said, at)

    def _is_there(self, message: Notification, at: int) -> bool:
        """Whether somebody is on duty, and has the contact still: what waits for others need not be theirs to read.

        The end is theirs, on duty or not, if anything of the case was sent to them.
        """
        person, case = self._roster.by_id.get(message.receiver), self._desk.find(message.case)
        if person is None or all(contact.channel != message.channel for contact in person.contacts):
            return False
        told = case.told.get(message.receiver) if case is not None else None
        awaited = message.reason in ENDS and told is not None and told.knows
        return awaited or self._roster.table.on_duty(message.receiver, at)

    def _said(self, waiting: list[Notification], at: int, decisions: Decisions) -> list[Notification]:
        """Send what has its turn; returns what that tells of."""
        call = next((message for message in waiting if message.reason in PRESSING), None)
        if call is not None:
            decisions.notify(msgspec.structs.replace(call, at=at))
            return [call]
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
        decisions.notify(digest)
        self._damper.remember(digest, list(dict.fromkeys((message.case, message.receiver) for message in covered)))
        return covered

    def _event(self, worst: Notification, at: int) -> str:
        """What the digest stands for. A person whose address has changed meanwhile may have two at one instant."""
        event = f"{worst.case}:digest-{at}"
        while self._damper.state.told_by(_key(worst, event)) is not None:
            event += "+"
        return event

    def _ask(self, said: list[Notification], at: int) -> list[Case]:
        """Whoever is told only now is asked from now on; a second way speaks of the gravest that each is told."""
        cases, people = dict[str, Case](), set[str]()
        for message in sorted(said, key=lambda one: -one.level):
            case = self._desk.open.get(message.case)
            if case is not None:
                cases[case.id] = case
                if self._dispatcher.told_late(case, message, at, first=message.receiver not in people):
                    people.add(message.receiver)
        return list(cases.values())


def _key(worst: Notification, event: str) -> str:
    return f"{event}:{worst.receiver}:{worst.channel}"
