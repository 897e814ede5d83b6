"""Whom a plan and the roster name: the people of a step, whoever else of the plan is there, and who owns a case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sensord.core.cases.agenda import Desk
from sensord.core.cases.case import Answer, Case, CaseEvent, Due
from sensord.core.cases.decisions import Decisions
from sensord.core.cases.mute import Mutes
from sensord.core.cases.notification import Hold, Reason
from sensord.core.cases.policy import Mode, Policy, Step
from sensord.core.definition import Definition
from sensord.core.level import Level
from sensord.core.people.roster import Person, Roster
from sensord.core.place import Places
from sensord.core.rules.rule import Rule


class Whom:
    """Looks people up; whoever tells them builds on it."""

    def __init__(
        self,
        definition: Definition,
        places: Places,
        rules: Mapping[str, Rule],
        roster: Roster,
        mutes: Mutes,
        desk: Desk,
    ) -> None:
        self._places, self._rules, self._roster, self._mutes, self._desk = places, rules, roster, mutes, desk
        self._policies = {policy.id: policy for policy in definition.policies}

    def policy(self, case: Case) -> Policy:
        """The case's plan; one that was removed while the case was open is an empty one."""
        return self._policies.get(case.policy) or Policy(case.policy, {}, ())

    def speaks(self, case: Case, level: Level) -> bool:
        """Whether the plan has anybody told at once of a case that comes to this level; without an alert, always."""
        policy = self.policy(case)
        return not (level and policy.steps) or bool(self._at_once(policy, level))

    @staticmethod
    def _at_once(policy: Policy, level: Level) -> list[Step]:
        """The steps that speak as a case comes to a level.

        Without an alert whoever is told first of all is told: the rest of the plan has nothing to wait for.
        """
        reached = level or min((step.at_least for step in policy.steps if not step.after), default=level)
        steps = (step for step in policy.steps if step.at_least <= reached)
        everybody = level >= policy.everybody_at
        return [step for step in steps if not step.after or (everybody and step.mode is not Mode.REPLACEMENT)]

    def own(self, case: Case, at: int, people: Iterable[Person]) -> None:
        """Give the case an owner: its lead, else the first who is told, else whoever is accountable, on duty or not."""
        first = next(iter(people), None)
        if case.lead:
            case.owner = case.lead
        elif first is not None and case.answer is Answer.NONE:
            case.owner = first.id
        elif not case.owner:
            case.owner = self._accountable(case)

    def _accountable(self, case: Case) -> str:
        """The nearest of the plan's people, on duty or not."""
        policy = self.policy(case)
        roles = {*policy.roles, *policy.supervisors}
        for circle in self._places.responsible(case.place):
            found = [person.id for person in self._roster.people if person.serves in circle and person.role in roles]
            if found:
                return min(found, key=lambda person: (person in case.returned, person))
        return ""

    def can_tell(self, case: Case, at: int) -> bool:
        """Whether anybody of the plan is on duty, and no silence keeps it from them."""
        return bool(self._anybody(case, self.policy(case), at))

    def next_look(self, at: int) -> int | None:
        """When it can change next who is told: at a change of duty, or as a silence on people ends."""
        looks = self._roster.table.next_boundary(at), self._mutes.people_until(at)
        return min((look for look in looks if look is not None), default=None)

    def _why_silenced(self, case: Case, person: Person, at: int) -> Reason | None:
        """Why somebody is to hear nothing of a case (as far as people may be told of it); None if nothing does."""
        return self._mutes.of_person(person.id, case, self._rules.get(case.rule), at)

    def _loud(self, case: Case, people: Iterable[Person], at: int) -> list[Person]:
        """Those from whom no silence keeps the case."""
        return [person for person in people if self._why_silenced(case, person, at) is None]

    def _any_hears(self, case: Case, people: Iterable[Person], at: int) -> bool:
        """Whether any of these can be reached, and no silence keeps it from them."""
        return any(map(self._roster.reachable, self._loud(case, people, at)))

    def _people(self, case: Case, event: CaseEvent, step: Step, decisions: Decisions) -> list[Person]:
        """The people of a step, and a hold for each role that finds nobody."""
        found: list[Person] = []
        for role in step.tell:
            people = list(self._of_role(case, event.at, step, role))
            if not people and not (step.mode is Mode.REPLACEMENT and not self._silent(case, role, event.at)):
                decisions.hold(Hold(case.id, event.id, event.at, role, Reason.HELD_NOBODY))
            found += people
            if step.mode is Mode.JOINT and role == step.lead and people and not case.lead:
                case.lead = people[0].id
        return found

    def _of_role(self, case: Case, at: int, step: Step, role: str) -> Iterable[Person]:
        roster = self._roster
        if step.mode is Mode.NEAREST:
            busy = [person for person, cases in self._desk.engaged.items() if set(cases) - {case.id}]
            return roster.nearest(role, case.place, at, step.count, {*busy, *case.returned})
        if step.mode is Mode.REPLACEMENT:
            return roster.nearest(role, case.place, at, len(self._silent(case, role, at)), case.told)
        people = roster.responsible(role, case.place, at)
        kept = [person for person in people if person.id not in case.returned]
        # All of a circle have given the case back: the next one out is asked.
        return kept or roster.nearest(role, case.place, at, 1 if people else 0, case.returned)

    def _silent(self, case: Case, role: str, at: int) -> list[str]:
        """Who was asked in this round and has not answered; whoever has left is no matter while others are there."""
        asked = [person for person, told in case.told.items() if told.role == role and told.was_asked(case.round)]
        there = [person for person in asked if self._roster.table.on_duty(person, at)]
        return [person for person in there or asked if not case.told[person].answered]

    def _anybody(self, case: Case, policy: Policy, at: int) -> list[Person]:
        """Whoever of the plan can be reached, when nobody of the steps at hand can; else whoever is on duty.

        The first role that has any.
        """
        found = list(filter(None, self._by_role(case, policy, at)))
        reached = (people for people in found if any(map(self._roster.reachable, people)))
        return next(reached, found[0] if found else [])

    def _by_role(self, case: Case, policy: Policy, at: int) -> Iterator[list[Person]]:
        """Who is on duty of each role of the plan, the supervisors last, and has not given the case back.

        Where silences keep it from all of them, the next one out.
        """
        for role in (*policy.roles, *policy.supervisors):
            on_duty = self._roster.responsible(role, case.place, at)
            kept = [one for one in on_duty if one.id not in case.returned]
            loud = self._loud(case, kept, at)
            if on_duty and not loud:
                outwards = self._roster.nearest(role, case.place, at, len(self._roster.people), case.returned)
                loud = self._loud(case, outwards, at)[:1]
            yield loud

    @staticmethod
    def _awaits(case: Case, number: int) -> bool:
        return any(due is Due.STEP and number == waiting for _, due, waiting in case.pending)

    @staticmethod
    def _held(case: Case, step: Step) -> Reason | None:
        if step.until is not Answer.NONE and case.answer >= step.until:
            return Reason.HELD_ACKNOWLEDGED
        if case.level < step.at_least:
            return Reason.HELD_LEVEL_FELL
        return None
