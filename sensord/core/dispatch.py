"""Dispatch: from a case's event to notifications, by the policy and the roster; each decision with its reason.

When the level rises, every step without delay that the level reaches speaks (also to those told before: the situation
has changed), and every step with delay that is newly reached is put on the case's list. When the case closes,
everybody who was told is told that it is over.
"""

from __future__ import annotations

from collections.abc import Iterable

from sensord.core.case import Case, CaseEvent, State
from sensord.core.definition import Definition
from sensord.core.message import compose
from sensord.core.notification import PLATE, Hold, Notification, Reason
from sensord.core.place import Places
from sensord.core.policy import Policy, Role
from sensord.core.roster import Person, Roster


class Decisions:
    """Notifications and holds, in the order of the decisions."""

    def __init__(self) -> None:
        self.notifications: list[Notification] = []
        self.holds: list[Hold] = []


class Dispatcher:
    """Decides. It keeps no state of its own: what was told and what is pending is on the case."""

    def __init__(self, definition: Definition, places: Places) -> None:
        self._places, self._zone = places, definition.zone
        self._roster = Roster(definition.people, places)
        self._people = {person.id: person for person in definition.people}
        self._roles = {role.id: role for role in definition.roles}
        self._rules = {rule.id: rule for rule in definition.rules}
        self._policies = {policy.id: policy for policy in definition.policies}

    def rose(self, case: Case, event: CaseEvent, reason: Reason, decisions: Decisions) -> None:
        """The case was opened, rose in level, or came back."""
        policy = self._policy(case)
        roles: list[str] = []
        for number, step in enumerate(policy.steps):
            if case.level < step.at_least:
                continue
            if not step.after:
                roles += step.tell
            elif event.previous < step.at_least and all(number != waiting for _, waiting in case.pending):
                case.pending.append((event.at + step.after, number))
        case.pending.sort()
        self._tell_roles(case, event, roles, reason, decisions)

    def step_due(self, case: Case, event: CaseEvent, number: int, decisions: Decisions) -> None:
        """A step with delay has come due."""
        policy = self._policy(case)
        if number >= len(policy.steps):
            return
        step = policy.steps[number]
        held = self._held(case, number, policy)
        if held is not None:
            decisions.holds += [Hold(case.id, event.id, event.at, role, held) for role in step.tell]
            return
        reason = Reason.NOT_ACKNOWLEDGED if step.unless_acknowledged else Reason.STEP_DUE
        self._tell_roles(case, event, step.tell, reason, decisions)

    def closed(self, case: Case, event: CaseEvent, decisions: Decisions) -> None:
        """The case has ended: those who were told are told so."""
        people = [self._people[person] for person in case.told if person in self._people]
        self._tell(case, event, people, Reason.CASE_CLOSED, decisions)

    @staticmethod
    def _held(case: Case, number: int, policy: Policy) -> Reason | None:
        step = policy.steps[number]
        if step.unless_acknowledged and case.acknowledged_at:
            return Reason.HELD_ACKNOWLEDGED
        if case.level < step.at_least or case.state is State.CLEAR:
            return Reason.HELD_LEVEL_FELL
        return None

    def _policy(self, case: Case) -> Policy:
        return self._policies.get(case.policy) or Policy(case.policy, {}, ())

    def _tell_roles(
        self, case: Case, event: CaseEvent, roles: Iterable[str], reason: Reason, decisions: Decisions
    ) -> None:
        for role in dict.fromkeys(roles):
            people = self._roster.responsible(role, case.place)
            if not people:
                decisions.holds.append(Hold(case.id, event.id, event.at, role, Reason.HELD_NOBODY))
            self._tell(case, event, people, reason, decisions)

    def _tell(
        self, case: Case, event: CaseEvent, people: Iterable[Person], reason: Reason, decisions: Decisions
    ) -> None:
        rule = self._rules.get(case.rule)
        for person in people:
            role = self._roles.get(person.role) or Role(person.role, {}, {})
            title, text = compose(case, rule, role, reason, event.at, person.language, self._places, self._zone)
            for contact in person.contacts:
                decisions.notifications.append(
                    Notification(
                        key=f"{case.id}:{event.id.rpartition(':')[2]}:{person.id}:{contact.channel}",
                        case=case.id,
                        event=event.id,
                        at=event.at,
                        reason=reason,
                        receiver=person.id,
                        role=person.role,
                        channel=contact.channel,
                        address=contact.address,
                        level=case.level,
                        place=case.place,
                        grid=case.grid,
                        language=person.language,
                        title=title,
                        text=text,
                        vehicle=case.vehicle if PLATE in text else None,
                    )
                )
            if person.id not in case.told:
                case.told.append(person.id)
