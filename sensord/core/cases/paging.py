"""Telling people: what keeps somebody from being told, over which ways they are, and what is noted of it.

Each decision has its reason; what is damped waits for a digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sensord.core.cases.agenda import Desk
from sensord.core.cases.call import Call, by_event
from sensord.core.cases.case import Case, CaseEvent, Due, SecondWay, Subject, subject
from sensord.core.cases.damping import Damper
from sensord.core.cases.decisions import Decisions
from sensord.core.cases.digest import DigestWriter
from sensord.core.cases.message import ENDS, Names
from sensord.core.cases.mute import Mutes
from sensord.core.cases.notification import PLATE, Hold, Notification, Reason
from sensord.core.cases.told import Told
from sensord.core.cases.whom import Whom
from sensord.core.cases.wording import Wording
from sensord.core.definition import Definition
from sensord.core.people.roster import Contact, Person, Roster
from sensord.core.rules.rule import Rule

INFORMS = (Reason.OVERDUE, Reason.DISAGREEMENT, Reason.APPROVAL_ASKED, *ENDS)
"""These inform, and ask nobody to see after the case."""
NOTICES = (Reason.NOT_DELIVERED, *INFORMS)
"""These inform, or say again what was asked: nobody owes an answer to them."""


class Spoken(NamedTuple):
    """Whom nothing kept from hearing, and those of them who hear at once: the others by a digest."""

    told: list[Person]
    reached: list[Person]


class Paging(Whom):
    """Tells people. What was told and what is pending is on the case; what is damped is in the damper's state."""

    def __init__(
        self,
        definition: Definition,
        names: Names,
        rules: Mapping[str, Rule],
        roster: Roster,
        mutes: Mutes,
        damper: Damper,
        desk: Desk,
    ) -> None:
        super().__init__(definition, names.places, rules, roster, mutes, desk)
        self._damper = damper
        self._roles = {role.id: role for role in definition.roles}
        self.digests = DigestWriter(names.places, names.plans, names.zone)
        self._words = Wording(rules, self._roles, self.policy, names, desk.open).words

    def _tell(
        self,
        case: Case,
        event: CaseEvent,
        people: Iterable[Person],
        reason: Reason,
        decisions: Decisions,
        of: Case | None = None,
    ) -> Spoken:
        """Tell people, each over their first ways. A mistake of ours over one of them is none over any other."""
        spoken = Spoken([], [])
        for person in {person.id: person for person in people}.values():
            with self._desk.apart.handling(case.id, event.at, decisions.failures):
                at_once = self._tell_one(case, event, person, reason, decisions, of or case)
                spoken.told.extend([] if at_once is None else [person])
                spoken.reached.extend([person] if at_once else [])
        return spoken

    def _tell_one(
        self, case: Case, event: CaseEvent, person: Person, reason: Reason, decisions: Decisions, of: Case
    ) -> bool | None:
        """Tell one person. Until the messages are made nothing is noted.

        Returns whether they hear at once, not only by digests; None: something kept it from them.
        """
        held = self._kept(case, of, person, reason, event.at)
        if held is not None:
            decisions.hold(Hold(case.id, event.id, event.at, person.role, held, person.id))
            return None
        told = case.told.get(person.id) or Told(person.role, event.at, len(case.told))
        number, ways = event.id.rpartition(":")[2], list(person.first_ways)
        if reason in ENDS:  # nothing follows: whoever has heard over a second way hears of it over that one, too
            ways += [contact for contact in person.second_ways if contact.channel in told.second_ways]
        call = by_event(case.calls, number)
        again = reason is Reason.NOT_DELIVERED or (call is not None and person.id in call.people)
        messages = self._messages(of, event, person, told, ways, reason, call)
        case.told[person.id] = told
        if call is not None:
            call.went(person.id, (contact.channel for contact in ways))
        if reason in ENDS:
            told.ended_over = {**told.ended_over, **dict.fromkeys((contact.channel for contact in ways), number)}
        if not self._page(of, event, told, messages, decisions, reason=reason, again=again):
            told.held.append(number)
            return False
        if reason not in NOTICES:
            told.ask(self._roster.table.shift_at(person.id, event.at) or "", event.at, case.round)
        if reason not in ENDS:
            self._await_first(case, number, event.at, person, subject(of))
        return True

    def _kept(self, case: Case, of: Case, person: Person, reason: Reason, at: int) -> Reason | None:
        """Why somebody is not told; nothing keeps whoever knows of the case from hearing of its end."""
        told = case.told.get(person.id)
        if reason in ENDS and told is not None and told.knows:
            return None if person.contacts else Reason.HELD_NOBODY
        if not self._roster.table.on_duty(person.id, at):
            return Reason.HELD_OFF_DUTY
        if not person.contacts:
            return Reason.HELD_NOBODY
        if case.muted and reason in ENDS:
            return Reason(case.muted)
        return self._why_silenced(of, person, at)

    def _await_first(self, case: Case, event: str, at: int, person: Person, one: Subject) -> None:
        """Put the second ways to somebody, who was told of an event (its number) at ``at``, on the case's list."""
        for contact in person.second_ways:
            self._await_way(case, SecondWay(person.id, contact.channel, event, one, at), at + contact.after)

    def _await_way(self, case: Case, way: SecondWay, due: int) -> None:
        # Not the number of a way that was spared, either: its instant is on the list still.
        waiting = (taken for _, kind, taken in case.pending if kind is Due.FALLBACK)
        number = max((*map(int, case.fallbacks), *waiting), default=0) + 1
        case.fallbacks[str(number)] = way
        self._desk.schedule(case, due, Due.FALLBACK, number)

    def hand_on(self, case: Case, way: SecondWay, due: int) -> list[Case]:
        """A second way says nothing of a case any more, which is over, or muted: it speaks of the next of its digest.

        Nobody has heard of that one, either, if the digest has not come through. Returns the case that has the way now.
        """
        told = case.told.get(way.person)
        if told is None or told.spoke_at > way.at:
            return []
        names = self._damper.told_after(case.id, way.person, way.at)
        there = (self._desk.open[name] for name in names if name in self._desk.open)
        others = [other for other in there if not _spoke(other, way)][:1]
        for other in others:
            self._await_way(other, SecondWay(way.person, way.channel, "", subject(other), way.at), due)
        return others

    def _messages(
        self,
        case: Case,
        event: CaseEvent,
        person: Person,
        told: Told,
        contacts: Iterable[Contact],
        reason: Reason,
        call: Call | None,
    ) -> list[Notification]:
        """Make what one person reads over each of these contacts; ``told`` is their line of the ledger."""
        title, text = self._words(case, event, person, reason, told.rules, call)
        return [
            Notification(
                key=f"{case.id}:{event.id.rpartition(':')[2]}:{person.id}:{contact.channel}",
                case=case.id, event=event.id, at=event.at, reason=reason, receiver=person.id, role=person.role,
                channel=contact.channel, address=contact.address, level=case.level, place=case.place, grid=case.grid,
                language=person.language, title=title, text=text, policy=case.policy,
                vehicle=case.vehicle if PLATE in text else None,
                mask=case.vehicle.mask if case.vehicle is not None and case.vehicle.mask in text else "",
                case_level=event.level,
            )
            for contact in contacts
        ]  # fmt: skip

    def _page(
        self,
        case: Case,
        event: CaseEvent,
        told: Told,
        messages: list[Notification],
        decisions: Decisions,
        *,
        reason: Reason,
        again: bool,
    ) -> bool:
        """Tell one person what was made for them; returns False when all of it waits for digests.

        ``again``: they were told of it over other contacts.
        """
        told.told_at = event.at
        told.tell(event.id, (message.channel for message in messages), again=again)
        if reason not in ENDS:
            told.hear_of(case.rule, alone=not case.level)
        if reason not in INFORMS:
            told.asked_at = event.at
        rises = reason not in ENDS and told.is_above(case.level)
        waits = self._damper.offer(messages, rises=rises, again=again)
        for message, wait in zip(messages, waits, strict=True):
            if wait is None:
                decisions.notify(message)
                told.paged, told.level = True, max(told.level, case.level)
                continue
            why, due = wait
            decisions.hold(Hold(case.id, event.id, event.at, message.role, why, message.receiver, message.key))
            self._desk.digest(due, self._damper.outlet(message))
        return not waits or None in waits


def _spoke(case: Case, way: SecondWay) -> bool:
    """Whether a second way has said something of another case of its digest since."""
    told = case.told.get(way.person)
    return told is not None and told.told_at > way.at and way.channel in told.second_ways
