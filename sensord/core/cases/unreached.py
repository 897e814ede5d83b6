"""A page was given up: it has told nobody, and whoever is nearest and in reach hears in its stead.

They are the ones who would have heard besides, had it been known before that nothing gets through (see ``Roster``).
"""

from __future__ import annotations

from collections.abc import Iterable

from sensord.core.cases.case import Case, CaseEvent
from sensord.core.cases.decisions import Decisions
from sensord.core.cases.handover import HandOver, was_told
from sensord.core.cases.notification import Hold, Reason, digest_at
from sensord.core.cases.policy import Mode
from sensord.core.people.roster import Person, without


class Unreached(HandOver):
    """Decides who is told in the stead of somebody."""

    def is_unreached(self, case: Case, name: str) -> bool:
        """Whether somebody was asked in this round, has not answered, and is left with nothing by which to hear."""
        return self._owes_answer(case, name) and not self._hears(case, name)

    def is_wayless(self, case: Case, name: str, event: str, at: int) -> bool:
        """Whether a digest (of that event) was the last that somebody was told, who has ways left that nothing takes.

        A digest has second ways for the gravest case of which it told them, and for no other.
        """
        told, instant = case.told[name], digest_at(event)
        if instant is None or told.told_at > instant or not (self._owes_answer(case, name) and self._hears(case, name)):
            return False
        waits = any(way.person == name for way in case.fallbacks.values())
        fails = all(contact.channel in told.failed for contact in self._roster.by_id[name].first_ways)
        return fails and not waits and self._roster.table.on_duty(name, at)

    def by_what_is_left(self, case: Case, event: CaseEvent, name: str, decisions: Decisions, of: Case) -> None:
        """Tell somebody over what has not failed."""
        told = case.told[name]
        left = without(self._roster.by_id[name], told.failed)
        if self._tell(case, event, [left], Reason.NOT_DELIVERED, decisions, of).reached:
            told.second_ways += [one.channel for one in left.first_ways if one.channel not in told.second_ways]

    def is_known(self, case: Case, at: int) -> bool:
        """Whether anybody on duty was told of the case in this round, and may have heard."""
        told = (name for name, line in case.told.items() if was_told(case, line) and name in self._roster.by_id)
        return any(self._roster.table.on_duty(name, at) and self._hears(case, name) for name in told)

    def in_stead(self, case: Case, of: Case, name: str, at: int) -> list[Person]:
        """Who is in reach and has not been told: of the same role, else, when nobody else has it, of the plan.

        ``of`` is the case as far as people may be told of it.
        """
        role = case.told[name].role
        steps = [step for step in self._spoken(case, of, at) if role in step.tell and step.mode is not Mode.REPLACEMENT]
        found = [person for step in steps for person in self._of_role(case, at, step, role)]
        people = self._new(case, found)
        if people or self.is_known(case, at):
            return people
        others = (self._new(case, some) for some in self._by_role(case, self.policy(case), at))
        return next(filter(None, others), [])

    def tell_in_stead(
        self, case: Case, event: CaseEvent, people: list[Person], name: str, decisions: Decisions, of: Case
    ) -> None:
        """Tell these of a case, which passes to them if it was the other's; with nobody, say so of that one's role."""
        if not people:
            decisions.hold(Hold(case.id, event.id, event.at, case.told[name].role, Reason.HELD_NOBODY))
        elif case.owner == name:
            self.own(case, event.at, people)
        self._tell(case, event, people, Reason.NOBODY_TOLD, decisions, of)

    def _owes_answer(self, case: Case, name: str) -> bool:
        """Whether somebody of the roster was asked in this round, and has not answered."""
        told = case.told[name]
        asked = bool(told.times) and told.round == case.round and not told.answered
        return asked and name in self._roster.by_id

    def _hears(self, case: Case, name: str) -> bool:
        return self._roster.reachable(without(self._roster.by_id[name], case.told[name].failed))

    def _new(self, case: Case, people: Iterable[Person]) -> list[Person]:
        known = {name for name, told in case.told.items() if was_told(case, told)}
        return [person for person in people if person.id not in known and self._roster.reachable(person)]
