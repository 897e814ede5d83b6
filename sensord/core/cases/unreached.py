"""A page was given up: it has told nobody, and whoever is nearest and in reach hears in its stead.

They are the ones who would have heard besides, had it been known before that nothing gets through (see ``Roster``). So
it is with calls (see ``call``); these go over all ways that their receiver has before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sensord.core.cases.call import Call
from sensord.core.cases.case import Case, CaseEvent
from sensord.core.cases.decisions import Decisions
from sensord.core.cases.handover import HandOver, is_awaited
from sensord.core.cases.notification import Hold, Reason
from sensord.core.cases.policy import Mode
from sensord.core.cases.told import Told
from sensord.core.people.roster import Person, without


class Unreached(HandOver):
    """Decides who is told in the stead of somebody."""

    def is_unreached(self, case: Case, name: str) -> bool:
        """Whether somebody was asked in this round, has not answered, and is left with nothing by which to hear."""
        return self._owes_answer(case, name) and not self._hears(case, name)

    def is_wayless(self, case: Case, name: str, at: int) -> bool:
        """Whether all has failed over which somebody was told last, who has ways left that nothing takes by itself.

        A digest has second ways for the gravest case of which it told them, and for no other; a contact that has come
        since was not there to be taken.
        """
        if case.told[name].over or not (self._owes_answer(case, name) and self._hears(case, name)):
            return False
        return not is_awaited(case, self._roster.by_id[name]) and self._roster.table.on_duty(name, at)

    def by_what_is_left(self, case: Case, event: CaseEvent, name: str, decisions: Decisions, of: Case) -> None:
        """Tell somebody over what has not failed."""
        told = case.told[name]
        left = without(self._roster.by_id[name], told.failed)
        if self._tell(case, event, [left], self._again(case, told, of), decisions, of).reached:
            told.second_ways += [one.channel for one in left.first_ways if one.channel not in told.second_ways]

    def is_known(self, case: Case, at: int) -> bool:
        """Whether anybody on duty knows of the case."""
        return any(self._knows(case, name, at) for name in case.told)

    def in_stead(self, case: Case, of: Case, name: str, at: int) -> list[Person]:
        """Who is in reach and has not been told, or not since they were away: of the same role, else of the plan.

        Of the plan only when nobody knows of the case. ``of`` is the case as far as people may be told of it.
        """
        role = case.told[name].role
        steps = [step for step in self._spoken(case, of, at) if role in step.tell and step.mode is not Mode.REPLACEMENT]
        found = [person for step in steps for person in self._of_role(case, at, step, role)]
        known = {*self._told_and_there(case, at), name}
        people = self._new(of, found, known, at)
        if people or self.is_known(case, at):
            return people
        others = (self._new(of, some, known, at) for some in self._by_role(of, self.policy(case), at))
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

    @staticmethod
    def asked_to_verify(case: Case, name: str, event: str) -> Call | None:
        """By what somebody was asked, by an event (see below), to verify a case that was given back as it was over."""
        asked = (call for call in case.calls if call.reason is Reason.VERIFYING_ASKED and call.may_be(name, event))
        return None if case.alerts or case.unwatched else next(asked, None)

    def given_up_calls(self, case: Case, name: str, event: str) -> list[Call]:
        """What somebody was told by an event (its number, or a digest), or before, and matters, and is on no way."""
        spoke_at = case.told[name].spoke_at
        calls = (call for call in case.calls if call.may_be(name, event) and spoke_at <= call.at)
        return [call for call in calls if _matters(case, call) and not self._is_on_its_way(case, call, name)]

    def pass_on(self, case: Case, call: Call, name: str, at: int) -> list[Person]:
        """Who hears of a call that did not reach somebody: they, over what is left, else who else may be asked.

        Of the same role, else, when none who was told of it hears, of the first role that has anybody.
        """
        left = self._left(case, name)
        if left is not None and self._roster.table.on_duty(name, at):
            return [left]
        roles = list(self.policy(case).supervisors)
        roles += self._approving(case) if call.reason is Reason.APPROVAL_ASKED else []
        own = case.told[name].role
        found = self._uncalled(case, call, own, at) if own in roles else []
        if found or self.is_heard(case, call, at):
            return found
        return next(filter(None, (self._uncalled(case, call, role, at) for role in roles)), [])

    def is_heard(self, case: Case, call: Call, at: int) -> bool:
        """Whether anybody on duty was told of it, and may have heard."""
        on_duty = self._roster.table.on_duty
        return any(on_duty(name, at) and self._hears(case, name) for name in call.people)

    def tell_call(
        self, case: Case, call: Call, event: CaseEvent, people: list[Person], name: str, decisions: Decisions
    ) -> None:
        """Tell these of a call that did not reach somebody; with nobody, or muted, say so of that one's role."""
        held = Reason(case.muted) if case.muted else None if people else Reason.HELD_NOBODY
        if held is not None:
            decisions.hold(Hold(case.id, event.id, event.at, case.told[name].role, held))
            return
        call.events.append(event.id.rpartition(":")[2])
        self._tell(case, event, people, call.reason, decisions)
        told = case.told[name]
        own = (way.channel for person in people for way in person.first_ways if person.id == name)
        told.second_ways = list(dict.fromkeys((*told.second_ways, *own)))

    def _approving(self, case: Case) -> list[str]:
        """The roles that approve, and do not supervise."""
        supervisors = self.policy(case).supervisors
        return [role.id for role in self._roles.values() if role.approves and role.id not in supervisors]

    def _is_on_its_way(self, case: Case, call: Call, name: str) -> bool:
        """Whether something that has not failed carries it to somebody, or will."""
        left = self._left(case, name)
        channels = {contact.channel for contact in left.contacts} if left is not None else set()
        ways = (way.channel for way in case.fallbacks.values() if way.person == name and way.event in call.events)
        return not channels.isdisjoint((*call.people[name], *ways))

    def _uncalled(self, case: Case, call: Call, role: str, at: int) -> list[Person]:
        """Who of a role is in reach and was not told of a call; nor does who asks hear the question."""
        on_duty = self._roster.responsible(role, case.place, at)
        people = (person for person in on_duty if person.id not in call.people and person.id != call.cause)
        return [person for person in people if self._hears(case, person.id)]

    def _owes_answer(self, case: Case, name: str) -> bool:
        """Whether somebody of the roster was asked in this round, or was to be, and has not answered."""
        told = case.told[name]
        return told.was_told(case.round) and not told.answered and name in self._roster.by_id

    @staticmethod
    def _again(case: Case, told: Told, of: Case) -> Reason:
        """How somebody is told again: as for the first time if all of it has waited, which asked them for nothing."""
        if told.was_asked(case.round) or not told.waited:
            return Reason.NOT_DELIVERED
        return Reason.CASE_OPENED if of.level else Reason.VERIFYING_ASKED

    def _new(self, of: Case, people: Iterable[Person], known: Collection[str], at: int) -> list[Person]:
        new = (person for person in people if person.id not in known and self._roster.reachable(person))
        return self._loud(of, new, at)


def _matters(case: Case, call: Call) -> bool:
    """Whether a call still asks for anything: the stage is as late as it was, or the sensors deny the report."""
    if call.reason is Reason.OVERDUE:
        return case.since <= call.at
    if call.reason is Reason.DISAGREEMENT:
        return bool(case.alerts) and not case.claimed
    return call.reason is Reason.APPROVAL_ASKED
