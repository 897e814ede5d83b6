"""A page was given up: it has told nobody, and whoever is nearest and in reach hears in its stead.

They are the ones who would have heard besides, had it been known before that nothing gets through (see ``Roster``). So
it is with calls (see ``call``); these go over all ways that their receiver has before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sensord.core.cases.call import Call, by_event
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

    def by_what_is_left(self, case: Case, event: CaseEvent, name: str, decisions: Decisions, of: Case) -> bool:
        """Tell somebody over what has not failed. Returns whether anything is said over that, at once or later."""
        told = case.told[name]
        left = without(self._roster.by_id[name], told.failed)
        spoken = self._tell(case, event, [left], self._again(case, told, of), decisions, of)
        if spoken.reached:
            told.second_ways += [one.channel for one in left.first_ways if one.channel not in told.second_ways]
        return bool(spoken.told)

    def is_known(self, case: Case, at: int) -> bool:
        """Whether anybody on duty knows of the case."""
        return any(self._knows(case, name, at) for name in case.told)

    def in_stead(self, case: Case, of: Case, name: str, at: int) -> list[list[Person]]:
        """Who is in reach and has not been told, or not since they were away: of the same role, else of the plan's.

        Of the plan only when nobody knows of the case. ``of`` is the case as far as people may be told of it. Whoever
        comes after the first is for when none before can be told.
        """
        role = case.told[name].role
        steps = [step for step in self._spoken(case, of, at) if role in step.tell and step.mode is not Mode.REPLACEMENT]
        found = [person for step in steps for person in self._of_role(case, at, step, role)]
        known = {*self._told_and_there(case, at), name}
        people = [self._new(of, found, known, at)]
        if not self.is_known(case, at):
            people += [self._new(of, some, known, at) for some in self._by_role(of, self.policy(case), at)]
        return _once(people)

    def tell_in_stead(
        self, case: Case, event: CaseEvent, people: list[list[Person]], name: str, decisions: Decisions, of: Case
    ) -> bool:
        """Tell the first of these of a case; it passes to them if it was the other's.

        With nobody, say so of that one's role. Returns whether anybody is told.
        """
        for some in people:
            told = self._tell(case, event, some, Reason.NOBODY_TOLD, decisions, of).told
            if told and case.owner == name:
                self.own(case, event.at, told)
            if told:
                return True
        decisions.hold(Hold(case.id, event.id, event.at, case.told[name].role, Reason.HELD_NOBODY))
        return False

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

    def can_call(self, case: Case, name: str, at: int) -> bool:
        """Whether somebody on duty, whom a call did not reach, may be told of it over what is left."""
        left = self._left(case, name)
        there = left is not None and self._roster.table.on_duty(name, at) and not case.muted
        return there and self._why_silenced(case, self._roster.by_id[name], at) is None

    def call_again(self, case: Case, call: Call, event: CaseEvent, name: str, decisions: Decisions) -> bool:
        """Tell somebody of a call over what is left. Returns whether anything is said over that, at once or later."""
        left = self._left(case, name)
        if left is None or not self._say(case, call, event, [left], decisions):
            return False
        told = case.told[name]
        told.second_ways = list(dict.fromkeys((*told.second_ways, *(way.channel for way in left.first_ways))))
        return True

    @staticmethod
    def await_no_call(case: Case, name: str) -> None:
        """No second way waits to tell somebody of a call: they are asked anew over all ways that they have."""
        ways = case.fallbacks.items()
        kept = {number for number, way in ways if way.person != name or by_event(case.calls, way.event) is None}
        case.fallbacks = {number: way for number, way in ways if number in kept}

    def pass_on(self, case: Case, call: Call, name: str, at: int) -> list[list[Person]]:
        """Who else may be asked of a call that did not reach somebody: of the same role, else of any other.

        Of another when none who was told of it may have heard. Whoever comes after the first is for when none before
        can be told.
        """
        roles = list(self.policy(case).supervisors)
        roles += self._approving(case) if call.reason is Reason.APPROVAL_ASKED else []
        own = case.told[name].role
        people = [self._uncalled(case, call, own, at)] if own in roles else []
        if not self.is_heard(case, call, at):
            people += [self._uncalled(case, call, role, at, outwards=True) for role in roles]
        return _once(people)

    def is_heard(self, case: Case, call: Call, at: int) -> bool:
        """Whether anybody on duty was told of it, and may have heard."""
        on_duty = self._roster.table.on_duty
        return any(on_duty(name, at) and self._is_on_its_way(case, call, name) for name in call.people)

    def tell_call(
        self, case: Case, call: Call, event: CaseEvent, people: list[list[Person]], name: str, decisions: Decisions
    ) -> None:
        """Tell the first of these of a call that did not reach somebody; with nobody, or muted, say so of that role."""
        if case.muted or not any(self._say(case, call, event, some, decisions) for some in people):
            held = Reason(case.muted or Reason.HELD_NOBODY)
            decisions.hold(Hold(case.id, event.id, event.at, case.told[name].role, held))

    def _say(self, case: Case, call: Call, event: CaseEvent, people: list[Person], decisions: Decisions) -> bool:
        """Tell these of a call by an event; returns whether any of them is told."""
        number = event.id.rpartition(":")[2]
        call.events += [number] if number not in call.events else []
        return bool(self._tell(case, event, people, call.reason, decisions).told)

    def _approving(self, case: Case) -> list[str]:
        """The roles that approve, and do not supervise."""
        supervisors = self.policy(case).supervisors
        return [role.id for role in self._roles.values() if role.approves and role.id not in supervisors]

    def _is_on_its_way(self, case: Case, call: Call, name: str) -> bool:
        """Whether something that has not failed carries it to somebody, or will, or has."""
        through, last = case.told[name].through, int(call.events[-1])
        if any(through.get(channel, 0) >= last for channel in call.people[name]):
            return True
        left = self._left(case, name)
        channels = {contact.channel for contact in left.contacts} if left is not None else set()
        ways = (way.channel for way in case.fallbacks.values() if way.person == name and way.event in call.events)
        return not channels.isdisjoint((*call.people[name], *ways))

    def _uncalled(self, case: Case, call: Call, role: str, at: int, *, outwards: bool = False) -> list[Person]:
        """Who of a role is in reach and was not told of a call; nor does who asks hear the question.

        ``outwards``: where it is kept from all of these, the next one out.
        """
        people = [one for one in self._roster.responsible(role, case.place, at) if one.id != call.cause]
        there = [person for person in people if self._hears(case, person.id)]
        loud = self._loud(case, (person for person in there if person.id not in call.people), at)
        if loud or not (outwards and there):
            return loud
        others = self._roster.nearest(role, case.place, at, len(self._roster.people), (*call.people, call.cause))
        return self._loud(case, (person for person in others if self._hears(case, person.id)), at)[:1]

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


def _once(people: Iterable[list[Person]]) -> list[list[Person]]:
    """Those of them that have anybody who was not among those before."""
    seen, found = set[str](), list[list[Person]]()
    for some in people:
        new = [person for person in some if person.id not in seen]
        seen.update(person.id for person in new)
        found += [new] if new else []
    return found


def _matters(case: Case, call: Call) -> bool:
    """Whether a call still asks for anything: the stage is as late as it was, or the sensors deny the report."""
    if call.reason is Reason.OVERDUE:
        return case.since <= call.at
    if call.reason is Reason.DISAGREEMENT:
        return bool(case.alerts) and not case.claimed
    return call.reason is Reason.APPROVAL_ASKED
