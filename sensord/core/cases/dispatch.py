"""Dispatch: from a case's event to notifications, by the plan and the roster; each decision with its reason.

When the level rises, every step without delay that the level reaches speaks (also to those told before: the situation
has changed), and every step with delay that is newly reached is put on the case's list. From the plan's
``everybody_at`` on, all steps speak at once. When the case ends, everybody who was told hears so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sensord.core.cases.agenda import Desk
from sensord.core.cases.case import Answer, Case, CaseEvent, Due, SecondWay, Subject, Told, about, subject
from sensord.core.cases.damping import Damper
from sensord.core.cases.decisions import Decisions
from sensord.core.cases.digest import DigestWriter
from sensord.core.cases.message import ENDS, Names
from sensord.core.cases.mute import Mutes
from sensord.core.cases.notification import PLATE, Hold, Notification, Reason
from sensord.core.cases.policy import Mode, Policy, Step
from sensord.core.cases.untold import outrun
from sensord.core.cases.wording import Wording
from sensord.core.definition import Definition
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person, Roster
from sensord.core.place import Places
from sensord.core.rules.rule import Rule

_DUE_REASON = {
    Answer.NONE: Reason.STEP_DUE,
    Answer.ACKNOWLEDGED: Reason.NOT_ACKNOWLEDGED,
    Answer.ON_THE_WAY: Reason.NOT_ON_THE_SCENE,
    Answer.ON_THE_SCENE: Reason.NOT_ON_THE_SCENE,
    Answer.DISPERSED: Reason.NOT_DISPERSED,
}
_GOES_ON = (Reason.LEVEL_ROSE, Reason.ANOTHER_VEHICLE, Reason.ANOTHER_TROUBLE, Reason.ANOTHER_ALERT)
"""The case stands already: steps that its level had begun go on as they are."""
_NOTICES = (Reason.NOT_DELIVERED, Reason.OVERDUE, Reason.DISAGREEMENT, Reason.APPROVAL_ASKED, *ENDS)
"""These inform, or say again what was asked: nobody owes an answer to them."""


class Dispatcher:
    """Decides. What was told and what is pending is on the case; what is damped is in the damper's state."""

    def __init__(
        self,
        definition: Definition,
        places: Places,
        rules: Mapping[str, Rule],
        roster: Roster,
        mutes: Mutes,
        damper: Damper,
        desk: Desk,
    ) -> None:
        self._places, self._rules = places, rules
        self._roster, self._mutes, self._damper, self._desk = roster, mutes, damper, desk
        self._roles = {role.id: role for role in definition.roles}
        self._policies = {policy.id: policy for policy in definition.policies}
        self._names = Names(places, {policy.id: policy.name for policy in definition.policies}, definition.zone)
        self.digests = DigestWriter(*self._names)
        self._words = Wording(rules, self._roles, self.policy, self._names).words

    def policy(self, case: Case) -> Policy:
        """The case's plan; one that was removed while the case was open is an empty one."""
        return self._policies.get(case.policy) or Policy(case.policy, {}, ())

    # -- what happens to the case ------------------------------------------------------------------------------------

    def rose(self, case: Case, event: CaseEvent, reason: Reason, decisions: Decisions, of: Case | None = None) -> bool:
        """The case was opened, rose in level, or came back. Returns whether anybody could be told.

        ``of`` is the case as far as a lesser alert goes, when only that is to be told of.
        """
        policy, level = self.policy(case), (of or case).level
        people: list[Person] = []
        everybody = level >= policy.everybody_at
        fresh = case.begun if reason in _GOES_ON else Level.NONE
        case.reached = {**case.reached, **{one.word: event.at for one in Level if fresh < one <= level}}
        # Without an alert whoever is told first of all is told: the rest of the plan has nothing to wait for.
        reached = level or min((step.at_least for step in policy.steps if not step.after), default=level)
        for number, step in enumerate(policy.steps):
            if reached < step.at_least:
                continue
            wait = step.after or step.every
            if level and wait and (not step.after or fresh < step.at_least) and not self._awaits(case, number):
                self._desk.schedule(case, event.at + wait, Due.STEP, number)
            if not step.after or (everybody and step.mode is not Mode.REPLACEMENT):
                people += self._people(case, event, step, decisions)
        case.begun = max(fresh, level)
        instead: list[Person] = []
        if not any(map(self._roster.reachable, people)):
            instead = [one for one in self._anybody(case, policy, event.at) if one not in people]
        if not (people or instead) and all(step.after or reached < step.at_least for step in policy.steps):
            decisions.hold(*(Hold(case.id, event.id, event.at, role, Reason.HELD_NOBODY) for role in policy.roles))
        if of is None:
            self.own(case, event.at, (*instead, *people))
        self._tell(case, event, people, reason, decisions, of)
        self._tell(case, event, instead, Reason.NOBODY_TOLD if policy.steps and level else reason, decisions, of)
        return bool(people or instead)

    def step_due(self, case: Case, event: CaseEvent, number: int, decisions: Decisions) -> None:
        """A step with delay, or a reminder, has come due."""
        policy = self.policy(case)
        if number >= len(policy.steps):
            return
        step = policy.steps[number]
        held = self._held(case, step)
        if held is None and step.every:
            self._desk.schedule(case, event.at + step.every, Due.STEP, number)
        of = self._mutes.beside(case, event.at) if case.muted else case
        if held is None and (of is None or of.level < step.at_least):
            held, case.begun = Reason(case.muted), Level.NONE
        if held is not None:
            if held is Reason.HELD_ACKNOWLEDGED and number not in case.passed_over:
                case.passed_over.append(number)
            decisions.hold(*(Hold(case.id, event.id, event.at, role, held) for role in step.tell))
            return
        reason = Reason.REPLACEMENT if step.mode is Mode.REPLACEMENT else _DUE_REASON[step.until]
        people = self._people(case, event, step, decisions)
        self._tell(case, event, people, reason, decisions, of)

    def resume(self, case: Case, at: int) -> None:
        """People have not come as far as they said: steps that were passed over for it are due at once."""
        steps = self.policy(case).steps
        numbers, case.passed_over = case.passed_over, []
        for number in numbers:
            if number < len(steps) and self._held(case, steps[number]) is Reason.HELD_ACKNOWLEDGED:
                case.passed_over.append(number)
            elif not self._awaits(case, number):
                self._desk.schedule(case, at, Due.STEP, number)

    def help_needed(self, case: Case, event: CaseEvent, decisions: Decisions) -> None:
        """Somebody on the case asks for help: everybody of the plan but them hears it."""
        policy = self.policy(case)
        roles = dict.fromkeys((*policy.roles, *policy.supervisors))
        people = [one for role in roles for one in self._roster.responsible(role, case.place, event.at)]
        self._tell(case, event, (one for one in people if one.id != event.cause), Reason.HELP_NEEDED, decisions)

    def supervise(self, case: Case, event: CaseEvent, reason: Reason, decisions: Decisions) -> bool:
        """Supervisors hear that a limit passed, that report and sensors disagree, or that something is asked.

        What is asked goes to all roles that approve when no supervisor is reached. Returns whether anybody is.
        """
        supervisors = self.policy(case).supervisors
        reached = self._inform(case, event, supervisors, reason, decisions)
        if not reached and reason is Reason.APPROVAL_ASKED:
            others = [role.id for role in self._roles.values() if role.approves and role.id not in supervisors]
            reached = self._inform(case, event, others, reason, decisions)
        return reached

    def _inform(self, case: Case, event: CaseEvent, roles: Iterable[str], reason: Reason, decisions: Decisions) -> bool:
        """Tell whoever of these roles is on duty, but for who asks; returns whether any of them can be reached."""
        told: list[Person] = []
        for role in roles:
            on_duty = self._roster.responsible(role, case.place, event.at)
            people = [person for person in on_duty if person.id != event.cause]
            if not people:
                decisions.hold(Hold(case.id, event.id, event.at, role, Reason.HELD_NOBODY))
            told += self._tell(case, event, people, reason, decisions)
        return any(map(self._roster.reachable, told))

    def ended(
        self,
        case: Case,
        event: CaseEvent,
        reason: Reason,
        decisions: Decisions,
        people: Iterable[Person] | None = None,
    ) -> None:
        """The case has ended: those who were told are told so, or these, as they are reached now.

        Nothing that has muted it since keeps it from whoever knows of the case, and no end of their shift.
        """
        if people is None:
            ledger = sorted(case.told, key=lambda person: case.told[person].number)
            people = [self._roster.by_id[person] for person in ledger if person in self._roster.by_id]
        self._tell(case, event, people, reason, decisions)

    def anew(self, case: Case, event: CaseEvent, people: Iterable[str], decisions: Decisions, of: Case) -> None:
        """These were told, and are reached in another way by now."""
        self._tell(case, event, map(self._roster.by_id.__getitem__, people), Reason.NOT_DELIVERED, decisions, of)

    def muted(self, case: Case, event: CaseEvent, reason: Reason, decisions: Decisions) -> None:
        """Nobody is told, and why: a hold for each role that would have heard."""
        roles = dict.fromkeys(role for step in self.policy(case).steps if not step.after for role in step.tell)
        decisions.hold(*(Hold(case.id, event.id, event.at, role, reason) for role in roles))

    def fall_back(self, case: Case, event: CaseEvent, number: int, decisions: Decisions) -> None:
        """A first way to somebody has not delivered by now: the second is taken."""
        way = case.fallbacks.pop(str(number))
        name, of = way.person, about(case, way.about) if way.about is not None else case
        person, told = self._roster.by_id.get(name), case.told.get(name)
        if person is None or told is None or told.spoke_at > way.at or not self._roster.table.on_duty(name, event.at):
            return
        rule = self._rules.get(of.rule)
        if outrun(case, subject(of), rule):
            return
        muted = self._mutes.of_case(of, rule, event.at)
        held = muted[0] if muted is not None else self._mutes.of_person(name, of, rule, event.at)
        if held is not None:
            decisions.hold(Hold(case.id, event.id, event.at, person.role, held, name))
            return
        contacts = [contact for contact in person.contacts if contact.channel == way.channel]
        self._page(of, event, person, contacts, Reason.NOT_DELIVERED, decisions)
        told.second_ways += [way.channel] if way.channel not in told.second_ways else []

    def told_late(self, case: Case, message: Notification, at: int, *, first: bool) -> bool:
        """A message that was held is told now: its receiver is asked from now on, and so the stand-in's time begins.

        ``first``: it is the first of those that the receiver is told now, for which the second way is taken if need be.
        Returns False when they heard of it before, over another contact.
        """
        person, told = self._roster.by_id.get(message.receiver), case.told.get(message.receiver)
        number = message.event.rpartition(":")[2]
        if person is None or told is None:
            return False
        told.level = max(told.level, message.level)
        if number not in told.held:
            return False
        told.held.remove(number)
        if first:
            self._await_first(case, number, at, person, subject(case))
        if message.reason in _NOTICES:
            return True
        told.ask(self._roster.table.shift_at(message.receiver, at) or "", at, case.round)
        for step_number, step in enumerate(self.policy(case).steps):
            replaces = step.mode is Mode.REPLACEMENT and told.role in step.tell and case.level >= step.at_least
            if replaces and not self._awaits(case, step_number):
                self._desk.schedule(case, at + step.after, Due.STEP, step_number)
        return True

    # -- who ---------------------------------------------------------------------------------------------------------

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
        """Whether anybody of the plan is on duty."""
        return bool(self._anybody(case, self.policy(case), at))

    def _people(self, case: Case, event: CaseEvent, step: Step, decisions: Decisions) -> list[Person]:
        """The people of a step, and a hold for each role that finds nobody."""
        found: list[Person] = []
        for role in step.tell:
            people = list(self._of_role(case, event, step, role))
            if not people and not (step.mode is Mode.REPLACEMENT and not self._silent(case, role)):
                decisions.hold(Hold(case.id, event.id, event.at, role, Reason.HELD_NOBODY))
            found += people
            if step.mode is Mode.JOINT and role == step.lead and people and not case.lead:
                case.lead = people[0].id
        return found

    def _of_role(self, case: Case, event: CaseEvent, step: Step, role: str) -> Iterable[Person]:
        roster, at = self._roster, event.at
        if step.mode is Mode.NEAREST:
            busy = [person for person, cases in self._desk.engaged.items() if set(cases) - {case.id}]
            return roster.nearest(role, case.place, at, step.count, {*busy, *case.returned})
        if step.mode is Mode.REPLACEMENT:
            return roster.nearest(role, case.place, at, len(self._silent(case, role)), case.told)
        people = roster.responsible(role, case.place, at)
        kept = [person for person in people if person.id not in case.returned]
        # All of a circle have given the case back: the next one out is asked.
        return kept or roster.nearest(role, case.place, at, 1 if people else 0, case.returned)

    @staticmethod
    def _silent(case: Case, role: str) -> list[str]:
        asked = ((person, told) for person, told in case.told.items() if told.times and told.round == case.round)
        return [person for person, told in asked if told.role == role and not told.answered]

    def _anybody(self, case: Case, policy: Policy, at: int) -> list[Person]:
        """Whoever of the plan can be reached, when nobody of the steps at hand can; else whoever is on duty.

        The first role that has any.
        """
        roles = (*policy.roles, *policy.supervisors)
        on_duty = [self._roster.responsible(role, case.place, at) for role in roles]
        found = list(filter(None, ([one for one in some if one.id not in case.returned] for some in on_duty)))
        reached = (people for people in found if any(map(self._roster.reachable, people)))
        return next(reached, found[0] if found else [])

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

    # -- telling -----------------------------------------------------------------------------------------------------

    def _tell(
        self,
        case: Case,
        event: CaseEvent,
        people: Iterable[Person],
        reason: Reason,
        decisions: Decisions,
        of: Case | None = None,
    ) -> list[Person]:
        """Tell people, each over their first ways; returns those from whom nothing kept it."""
        of, reached = of or case, list[Person]()
        for person in {person.id: person for person in people}.values():
            held = self._kept(case, of, person, reason, event.at)
            if held is not None:
                decisions.hold(Hold(case.id, event.id, event.at, person.role, held, person.id))
                continue
            told = case.told.setdefault(person.id, Told(person.role, event.at, len(case.told)))
            number = event.id.rpartition(":")[2]
            ways = list(person.first_ways)
            if reason in ENDS:  # nothing follows: whoever has heard over a second way hears of it over that one, too
                ways += [contact for contact in person.second_ways if contact.channel in told.second_ways]
                told.ended_over = {**told.ended_over, **dict.fromkeys((contact.channel for contact in ways), number)}
            if not self._page(of, event, person, ways, reason, decisions):
                told.held.append(number)
                continue
            if reason not in _NOTICES:
                told.ask(self._roster.table.shift_at(person.id, event.at) or "", event.at, case.round)
            if reason not in ENDS:
                self._await_first(case, number, event.at, person, subject(of))
            reached.append(person)
        return reached

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
        return self._mutes.of_person(person.id, of, self._rules.get(of.rule), at)

    def _await_first(self, case: Case, event: str, at: int, person: Person, one: Subject) -> None:
        """Put the second ways to somebody, who was told of an event (its number) at ``at``, on the case's list."""
        for contact in person.second_ways:
            # Not that of a way that was spared, either: its instant is on the list still.
            waiting = (taken for _, due, taken in case.pending if due is Due.FALLBACK)
            number = max((*map(int, case.fallbacks), *waiting), default=0) + 1
            case.fallbacks[str(number)] = SecondWay(person.id, contact.channel, event, one, at)
            self._desk.schedule(case, at + contact.after, Due.FALLBACK, number)

    def _page(
        self,
        case: Case,
        event: CaseEvent,
        person: Person,
        contacts: Iterable[Contact],
        reason: Reason,
        decisions: Decisions,
    ) -> bool:
        """Tell one person over these contacts; returns False when all of it waits for digests."""
        title, text = self._words(case, event, person, reason)
        messages = list[Notification]()
        for contact in contacts:
            message = Notification(
                key=f"{case.id}:{event.id.rpartition(':')[2]}:{person.id}:{contact.channel}",
                case=case.id, event=event.id, at=event.at, reason=reason, receiver=person.id, role=person.role,
                channel=contact.channel, address=contact.address, level=case.level, place=case.place, grid=case.grid,
                language=person.language, title=title, text=text, policy=case.policy,
                vehicle=case.vehicle if PLATE in text else None,
                mask=case.vehicle.mask if case.vehicle is not None and case.vehicle.mask in text else "",
                case_level=event.level,
            )  # fmt: skip
            messages.append(message)
        told = case.told[person.id]
        waits = self._damper.offer(messages, rises=reason not in ENDS and told.is_above(case.level))
        for message, wait in zip(messages, waits, strict=True):
            if wait is None:
                decisions.notify(message)
                told.level = max(told.level, case.level)
                continue
            why, due = wait
            decisions.hold(Hold(case.id, event.id, event.at, person.role, why, person.id, message.key))
            self._desk.digest(due, self._damper.outlet(message))
        return not waits or None in waits
