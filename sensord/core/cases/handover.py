"""A shift changes while a case goes on: who comes on duty hears of it; what those said who left holds nothing back.

A role is handed over when nobody of it stays who knows of the case: was told and has been there since, and has answered
or may have heard, or may yet. Where an answer lapses, the steps that asked for it count anew from then on, as for a
case that has just been told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sensord.core.cases.case import Answer, Case, CaseEvent, Due
from sensord.core.cases.decisions import Decisions
from sensord.core.cases.notification import Reason
from sensord.core.cases.paging import Paging
from sensord.core.cases.policy import Mode, Step
from sensord.core.cases.told import OPERATOR, Told
from sensord.core.people.roster import Person, without


class HandOver(Paging):
    """Decides who takes a case over; what people have said, and the case's stage, are its caller's."""

    def left(self, case: Case, at: int) -> list[str]:
        """Those whose answers stand, and who are off duty, or on no roster any more."""
        return [person for person, told in case.ledger if told.said and self._has_left(person, told, at)]

    def stays(self, case: Case, at: int) -> bool:
        """Whether anybody stays on duty who knows of the case, or has just been asked, whether they hear or not."""
        return any(told.asked_at == at or self._knows(case, person, at) for person, told in case.told.items())

    def incoming(self, case: Case, of: Case, left: Collection[str], at: int) -> list[Person]:
        """Who is to take over: of each role of the steps that have spoken, if nobody stays who knows, or one left.

        Whoever was tried in vain, and has been there since, does not come now. ``of`` is the case as far as people may
        be told of it; ``left`` are those whose answers have lapsed.
        """
        there = self._told_and_there(case, at)
        know = [name for name in there if self._knows(case, name, at)]
        stay, tried = [case.told[name].role for name in know], set(there).difference(know)
        roles = {case.told[person].role for person in left}
        found: dict[str, Person] = {}
        for step in self._spoken(case, of, at):
            for role in step.tell:
                if role not in stay or role in roles:
                    people = self._of_role(case, at, step, role)
                    found.update((person.id, person) for person in people if person.id not in tried)
        if not stay and not self._any_hears(of, found.values(), at):
            found.update((person.id, person) for person in self._anybody(of, self.policy(case), at))
        # Whoever was asked at this very instant knows of it, by a step or by another look.
        return [one for one in found.values() if one.id not in case.told or case.told[one.id].asked_at != at]

    def hand_over(
        self, case: Case, event: CaseEvent, people: list[Person], decisions: Decisions, of: Case, *, anew: bool
    ) -> None:
        """Tell who takes the case over. ``anew``: steps that ask for an answer wait for theirs; for nobody's, not."""
        self._pass_on(case, event.at, self._loud(of, people, event.at))
        if anew and self._any_hears(of, people, event.at):
            self.begin_anew(case, event.at)
        elif anew:
            self.resume(case, event.at)
        self._tell(case, event, people, Reason.HAND_OVER, decisions, of)

    def begin_anew(self, case: Case, at: int) -> None:
        """Steps with delay that ask for what nobody has done (any more) count from now on."""
        for number, step in enumerate(self.policy(case).steps):
            asks = step.until is not Answer.NONE or step.mode is Mode.REPLACEMENT
            wait = step.after or step.every
            if asks and wait and self._held(case, step) is None:
                case.passed_over = [one for one in case.passed_over if one != number]
                case.pending = [one for one in case.pending if one[1:] != (Due.STEP, number)]
                self._desk.schedule(case, at + wait, Due.STEP, number)

    def resume(self, case: Case, at: int) -> None:
        """People have not come as far as they said: steps that were passed over for it are due at once."""
        steps = self.policy(case).steps
        numbers, case.passed_over = case.passed_over, []
        for number in numbers:
            if number < len(steps) and self._held(case, steps[number]) is Reason.HELD_ACKNOWLEDGED:
                case.passed_over.append(number)
            elif not self._awaits(case, number):
                self._desk.schedule(case, at, Due.STEP, number)

    def _spoken(self, case: Case, of: Case, at: int) -> Iterator[Step]:
        """The steps that have told people of the case, and would now; one that waits will by itself."""
        policy = self.policy(case)
        at_once = self._at_once(policy, of.level)
        for number, step in enumerate(policy.steps):
            if (at, Due.STEP, number) in case.pending:  # it speaks now by itself
                continue
            if step in at_once:
                yield step
            elif step.mode is not Mode.REPLACEMENT and not (self._awaits(case, number) or number in case.passed_over):
                begun = case.reached.get(step.at_least.word)
                if begun is not None and begun + step.after <= at and self._held(of, step) is None:
                    yield step

    def _pass_on(self, case: Case, at: int, people: list[Person]) -> None:
        """Give the case, and its lead, to somebody on duty; to whoever has answered before others."""
        on_duty = self._roster.table.on_duty
        if case.lead and not on_duty(case.lead, at):
            leads = ((step, step.lead) for step in self._at_once(self.policy(case), case.level) if step.lead)
            found = (person.id for step, role in leads for person in self._of_role(case, at, step, role))
            case.lead = case.owner = next(found, "")
        if not (case.owner and on_duty(case.owner, at)):
            answered = [person for person, told in case.ledger if told.said and person in self._roster.by_id]
            case.owner = next(iter([*answered, *(person.id for person in people)]), case.owner)
        if not case.owner:
            self.own(case, at, people)

    def _told_and_there(self, case: Case, at: int) -> list[str]:
        """Who was told of the case, and stays on duty since."""
        return [name for name, told in case.ledger if told.was_told(case.round) and self._stays(name, told, at)]

    def _knows(self, case: Case, name: str, at: int) -> bool:
        """Whether somebody was told of the case, stays on duty since, and has answered or may hear of it yet.

        A contact over which nothing was said, or will be by itself, tells nobody of anything.
        """
        told, left = case.told[name], self._left(case, name)
        waits = left is not None and is_awaited(case, left)
        return told.was_told(case.round) and self._stays(name, told, at) and (told.answered or bool(told.over) or waits)

    def _hears(self, case: Case, name: str) -> bool:
        return self._left(case, name) is not None

    def _left(self, case: Case, name: str) -> Person | None:
        """Somebody with the contacts that fail neither in the case nor elsewhere; None when nothing is left."""
        person, told = self._roster.by_id.get(name), case.told.get(name)
        if person is None:
            return None
        failed = {channel for somebody, channel in self._roster.undeliverable if somebody == name}
        left = without(person, failed.union(told.failed if told is not None else ()))
        return left if left.contacts else None

    def _has_left(self, person: str, told: Told, at: int) -> bool:
        """Whether somebody of the roster is off duty; an operator has no duty."""
        if person not in self._roster.by_id:
            return told.role != OPERATOR
        return not self._roster.table.on_duty(person, at)

    def _stays(self, person: str, told: Told, at: int) -> bool:
        """Whether somebody is on duty, and has been since they were asked last, or did anything: so they know.

        Whoever comes back finds out nothing by themselves, whenever somebody looks who has the case.
        """
        since = max(told.asked_at, told.at, told.spoke_at)
        return person in self._roster.by_id and self._roster.table.is_there_since(person, since, at)


def is_awaited(case: Case, person: Person) -> bool:
    """Whether a second way waits to be taken that leads to a contact of somebody's."""
    channels = {contact.channel for contact in person.contacts}
    return any(way.person == person.id and way.channel in channels for way in case.fallbacks.values())
