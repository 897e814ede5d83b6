"""Dispatch: from a case's event to notifications, by the plan and the roster; each decision with its reason.

When the level rises, every step without delay that the level reaches speaks (also to those told before: the situation
has changed), and every step with delay that is newly reached is put on the case's list. From the plan's
``everybody_at`` on, all steps speak at once. When the case ends, everybody who was told hears so.
"""

from __future__ import annotations

from collections.abc import Iterable

from sensord.core.cases.call import MOST_CALLS, Call, by_event
from sensord.core.cases.case import Answer, Case, CaseEvent, Due, SecondWay, State, Subject, about, subject
from sensord.core.cases.decisions import Decisions
from sensord.core.cases.notification import Hold, Notification, Reason, event_number
from sensord.core.cases.paging import NOTICES
from sensord.core.cases.policy import Mode
from sensord.core.cases.told import Sent, Told
from sensord.core.cases.unreached import Unreached
from sensord.core.cases.untold import outrun
from sensord.core.level import Level
from sensord.core.people.roster import Person

_DUE_REASON = {
    Answer.NONE: Reason.STEP_DUE,
    Answer.ACKNOWLEDGED: Reason.NOT_ACKNOWLEDGED,
    Answer.ON_THE_WAY: Reason.NOT_ON_THE_SCENE,
    Answer.ON_THE_SCENE: Reason.NOT_ON_THE_SCENE,
    Answer.DISPERSED: Reason.NOT_DISPERSED,
}
_GOES_ON = (Reason.LEVEL_ROSE, Reason.ANOTHER_VEHICLE, Reason.ANOTHER_TROUBLE, Reason.ANOTHER_ALERT)
"""The case stands already: steps that its level had begun go on as they are."""


class Dispatcher(Unreached):
    """Decides who is told of what happens to a case, and of what comes due."""

    def rose(self, case: Case, event: CaseEvent, reason: Reason, decisions: Decisions, of: Case | None = None) -> bool:
        """The case was opened, rose in level, or came back. Returns whether anybody could be told.

        ``of`` is the case as far as a lesser alert goes, when only that is to be told of.
        """
        policy, level = self.policy(case), (of or case).level
        fresh = case.begun if reason in _GOES_ON else Level.NONE
        case.reached = {**case.reached, **{one.word: event.at for one in Level if fresh < one <= level}}
        for number, step in enumerate(policy.steps):
            wait = step.after or step.every if level >= step.at_least else 0
            if wait and (not step.after or fresh < step.at_least) and not self._awaits(case, number):
                self._desk.schedule(case, event.at + wait, Due.STEP, number)
        case.begun = max(fresh, level)
        speaks = self._at_once(policy, level)
        people = [person for step in speaks for person in self._people(case, event, step, decisions)]
        instead: list[Person] = []
        if self.speaks(case, level) and not self._any_hears(of or case, people, event.at):
            instead = [one for one in self._anybody(of or case, policy, event.at) if one not in people]
        if not (people or instead or speaks):
            held = Reason.HELD_NOBODY if self.speaks(case, level) else Reason.HELD_NO_STEP
            decisions.hold(*(Hold(case.id, event.id, event.at, role, held) for role in policy.roles))
        if of is None:
            self.own(case, event.at, (*instead, *self._loud(case, people, event.at)))
        if reason is Reason.VERIFYING_ASKED and not case.unwatched:
            self._call(case, event, reason)
        told = self._tell(case, event, people, reason, decisions, of).told
        why = Reason.NOBODY_TOLD if policy.steps and level else reason
        return bool(told + self._tell(case, event, instead, why, decisions, of).told)

    def step_due(self, case: Case, event: CaseEvent, number: int, decisions: Decisions) -> bool:
        """A step with delay, or a reminder, has come due. Returns whether anybody could be told.

        Of a case of which nobody has been told, whoever of the plan is there hears instead; else the step waits for the
        next shift.
        """
        policy = self.policy(case)
        if number >= len(policy.steps):
            return False
        step = policy.steps[number]
        held = self._held(case, step)
        if held is None and step.every:
            self._desk.schedule(case, event.at + step.every, Due.STEP, number)
        beside = self._mutes.beside(case, event.at) if case.muted else case
        of = beside or case
        if held is None and (beside is None or of.level < step.at_least):
            held, case.begun = Reason(case.muted), Level.NONE
        if held is not None:
            if held is Reason.HELD_ACKNOWLEDGED and number not in case.passed_over:
                case.passed_over.append(number)
            decisions.hold(*(Hold(case.id, event.id, event.at, role, held) for role in step.tell))
            return False
        reason = Reason.REPLACEMENT if step.mode is Mode.REPLACEMENT else _DUE_REASON[step.until]
        people = self._people(case, event, step, decisions)
        told = self._tell(case, event, people, reason, decisions, of).told
        known = case.state is not State.FILED or case.untold or self._any_hears(of, people, event.at)
        if known or step.mode is Mode.REPLACEMENT:
            return bool(told)
        instead = [one for one in self._anybody(of, policy, event.at) if one not in people]
        told += self._tell(case, event, instead, Reason.NOBODY_TOLD, decisions, of).told
        look = self.next_look(event.at)
        if not (self._loud(of, people, event.at) or instead or look is None or self._awaits(case, number)):
            self._desk.schedule(case, look, Due.STEP, number)
        return bool(told)

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
        self._call(case, event, reason)
        reached = self._inform(case, event, self.policy(case).supervisors, reason, decisions)
        if not reached and reason is Reason.APPROVAL_ASKED:
            reached = self._inform(case, event, self._approving(case), reason, decisions)
        return reached

    @staticmethod
    def _call(case: Case, event: CaseEvent, reason: Reason) -> None:
        """What people are told by an event must come through to one of them."""
        call = Call(reason, event.cause, event.note, event.at, [event.id.rpartition(":")[2]])
        case.calls = [*case.calls, call][-MOST_CALLS:]

    def _inform(self, case: Case, event: CaseEvent, roles: Iterable[str], reason: Reason, decisions: Decisions) -> bool:
        """Tell whoever of these roles is on duty, but for who asks; returns whether any of them can be reached."""
        told: list[Person] = []
        for role in roles:
            on_duty = self._roster.responsible(role, case.place, event.at)
            people = [person for person in on_duty if person.id != event.cause]
            if not people:
                decisions.hold(Hold(case.id, event.id, event.at, role, Reason.HELD_NOBODY))
            told += self._tell(case, event, people, reason, decisions).reached
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
            people = [self._roster.by_id[name] for name, _ in case.ledger if name in self._roster.by_id]
        self._tell(case, event, people, reason, decisions)

    def anew(self, case: Case, event: CaseEvent, names: Iterable[str], decisions: Decisions, of: Case) -> list[str]:
        """These were told, and are reached in another way by now. Returns who is on duty and hears nothing of it."""
        missed: list[str] = []
        for person in [self._roster.by_id[name] for name in names]:
            told = case.told[person.id]
            spoken = self._tell(case, event, [person], self._again(case, told, of), decisions, of)
            if spoken.reached:
                _spare(case, person.id, event, subject(of))
            elif not spoken.told and self._roster.table.on_duty(person.id, event.at):
                self._keep_from(told, event, (contact.channel for contact in person.contacts))
                missed.append(person.id)
        return missed

    @staticmethod
    def _keep_from(told: Told, event: CaseEvent, channels: Iterable[str]) -> None:
        """A silence has kept something from somebody, or a mistake of ours: it is as if it had failed."""
        for channel in channels:
            told.fail(Sent(event.id, channel, event_number(event.id)))

    def muted(self, case: Case, event: CaseEvent, reason: Reason, decisions: Decisions) -> None:
        """Nobody is told, and why: a hold for each role that would have heard."""
        roles = dict.fromkeys(role for step in self.policy(case).steps if not step.after for role in step.tell)
        decisions.hold(*(Hold(case.id, event.id, event.at, role, reason) for role in roles))

    def fall_back(self, case: Case, event: CaseEvent, number: int, decisions: Decisions) -> list[Case]:
        """A first way to somebody has not delivered by now: the second is taken, or another case has it (see there)."""
        way = case.fallbacks.pop(str(number))
        name, of = way.person, about(case, way.about) if way.about is not None else case
        person, told = self._roster.by_id.get(name), case.told.get(name)
        if person is None or told is None or told.spoke_at > way.at or not self._roster.table.on_duty(name, event.at):
            return []
        rule, call = self._rules.get(of.rule), by_event(case.calls, way.event)
        if call is None and outrun(case, subject(of), rule):
            return []
        reason = Reason.NOT_DELIVERED if call is None else call.reason
        muted = self._mutes.of_case(of, rule, event.at)
        held = muted[0] if muted is not None else self._why_silenced(of, person, event.at)
        if held is not None:
            decisions.hold(Hold(case.id, event.id, event.at, person.role, held, name))
            if muted is None:  # it comes no more: of a muted case all hear anew
                self._keep_from(told, event, [way.channel])
            return self.hand_on(case, way, event.at)
        contacts = [contact for contact in person.contacts if contact.channel == way.channel]
        messages = self._messages(of, event, person, told, contacts, reason, call)
        self._page(of, event, told, messages, decisions, reason=reason, again=True)
        if call is not None:
            call.went(name, [way.channel])
        told.second_ways += [way.channel] if way.channel not in told.second_ways else []
        return []

    def told_late(self, case: Case, message: Notification, at: int, *, first: bool) -> bool:
        """A message that was held is told now: its receiver is asked from now on, and so the stand-in's time begins.

        ``first``: it is the first of those that the receiver is told now, for which the second way is taken if need be.
        Returns False when they heard of it before, over another contact.
        """
        person, told = self._roster.by_id.get(message.receiver), case.told.get(message.receiver)
        number = message.event.rpartition(":")[2]
        if person is None or told is None:
            return False
        told.paged, told.level = True, max(told.level, message.level)
        if number not in told.held:
            return False
        told.held.remove(number)
        if first:
            self._await_first(case, number, at, person, subject(case))
        if message.reason in NOTICES:
            return True
        told.ask(self._roster.table.shift_at(message.receiver, at) or "", at, case.round)
        for step_number, step in enumerate(self.policy(case).steps):
            replaces = step.mode is Mode.REPLACEMENT and told.role in step.tell and case.level >= step.at_least
            if replaces and not self._awaits(case, step_number):
                self._desk.schedule(case, at + step.after, Due.STEP, step_number)
        return True


def _spare(case: Case, name: str, event: CaseEvent, one: Subject) -> None:
    """Somebody hears of it anew by an event: the second ways of what they were told before say no more than its own."""
    number = event.id.rpartition(":")[2]

    def is_spared(way: SecondWay) -> bool:
        said_now = way.person == name and way.event != number and (way.about is None or way.about.same(one))
        return said_now and by_event(case.calls, way.event) is None

    case.fallbacks = {key: way for key, way in case.fallbacks.items() if not is_spared(way)}
