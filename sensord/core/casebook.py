"""The case book: alerts and actions in, cases and their stories out; dispatch asks it what to tell whom.

Everything happens at a journal instant, in order: before anything at ``t``, every step that came due at or before
``t``. A case's id is its place, its policy and the second it was opened, so it is the same in every run and every
shard.
"""

from __future__ import annotations

import msgspec

from sensord.core.alert import Change, Transition
from sensord.core.case import TABLE, Case, CaseEvent, Happening, State
from sensord.core.definition import Definition
from sensord.core.dispatch import Decisions, Dispatcher
from sensord.core.instant import to_datetime
from sensord.core.level import Level
from sensord.core.notification import Reason
from sensord.core.place import PlaceKind, Places
from sensord.core.record import Action


class Outcome(msgspec.Struct, frozen=True):
    """What became of an operator's action: ``accepted`` and a sentence that says why (not)."""

    case: str
    verb: str
    by: str
    via: str
    at: int
    accepted: bool
    detail: str


class Story:
    """What a stretch of journal did to the cases; filled by the book, read by the site."""

    def __init__(self) -> None:
        self.events: list[CaseEvent] = []
        self.changed: dict[str, Case] = {}
        self.decisions = Decisions()
        self.outcomes: list[Outcome] = []


class CaseBook:
    """Holds the open cases.

    It changes only by ``transition``, ``action``, ``advance`` and ``abandon``, each with an instant that never falls.
    """

    def __init__(self, definition: Definition, places: Places) -> None:
        self._zone, self._places = definition.zone, places
        self._rules = {rule.id: rule for rule in definition.rules}
        self._dispatcher = Dispatcher(definition, places)
        self._policies = {policy.id: policy for policy in definition.policies}
        self.open: dict[str, Case] = {}

    # -- what happens ------------------------------------------------------------------------------------------------

    def transition(self, transition: Transition, story: Story) -> None:
        """Take one change of an alert."""
        self.advance(transition.at, story)
        alert = f"{transition.rule}:{transition.key}"
        if transition.change in (Change.RAISED, Change.ESCALATED):
            case = self._case_for(transition) or self._open(transition)
            case.alerts[alert] = transition.level
            self._rise(case, transition, story)
        elif (holder := self._holder(alert)) is not None:
            if transition.level is Level.NONE:
                holder.alerts.pop(alert)
            else:
                holder.alerts[alert] = transition.level
            self._fall(holder, transition, story)

    def action(self, action: Action, at: int, story: Story) -> None:
        """Take what a person did; what the state machine does not allow is refused and said."""
        self.advance(at, story)
        accepted, detail = self._act(action, at, story)
        story.outcomes.append(Outcome(action.case, action.verb, action.by, action.via, at, accepted, detail))

    def advance(self, to: int, story: Story) -> None:
        """Let every pending step that is due at or before ``to`` happen, each at its own instant."""
        while True:
            due = [(case.pending[0], case.id) for case in self.open.values() if case.pending]
            if not due:
                return
            (at, step), name = min(due)
            if at > to:
                return
            case = self.open[name]
            case.pending.pop(0)
            event = self._happen(case, Happening.STEP_DUE, at, f"step {step + 1}", story)
            self._dispatcher.step_due(case, event, step, story.decisions)

    def abandon(self, places: set[str], at: int, story: Story) -> None:
        """Close the cases of places that exist no more; their alerts have been withdrawn before."""
        for case in [case for case in self.open.values() if case.place not in places]:
            self._close(case, at, "definition", "", story)

    # -- how it happens ----------------------------------------------------------------------------------------------

    def _case_for(self, transition: Transition) -> Case | None:
        policy = self._rules[transition.rule].dispatch
        found = (case for case in self.open.values() if case.place == transition.place and case.policy == policy)
        return next(found, None)

    def _holder(self, alert: str) -> Case | None:
        return next((case for case in self.open.values() if alert in case.alerts), None)

    def _open(self, transition: Transition) -> Case:
        policy = self._rules[transition.rule].dispatch
        moment = to_datetime(transition.at, self._zone).strftime("%Y%m%dT%H%M%S")
        case = Case(
            id=f"{transition.place}-{policy}-{moment}",
            policy=policy,
            place=transition.place,
            grid=self._places.above(transition.place, PlaceKind.GRID) or "",
            rule=transition.rule,
            state=State.OPEN,
            level=Level.NONE,
            peak=Level.NONE,
            opened_at=transition.at,
        )
        self.open[case.id] = case
        return case

    def _rise(self, case: Case, transition: Transition, story: Story) -> None:
        level, previous = max(case.alerts.values()), case.level
        relapse = case.state is State.CLEAR
        if level <= previous and not relapse:
            story.changed[case.id] = case
            return
        case.rule, case.key = transition.rule, transition.key
        case.value, case.threshold, case.samples = transition.value, transition.threshold, transition.samples
        case.vehicle = transition.vehicle
        case.level, case.peak = level, max(case.peak, level)
        happening = Happening.RELAPSE if relapse else Happening.LEVEL_ROSE
        event = self._happen(case, happening, transition.at, transition.id, story, previous)
        reason = Reason.CASE_RELAPSED if relapse else Reason.LEVEL_ROSE if event.previous else Reason.CASE_OPENED
        self._dispatcher.rose(case, event, reason, story.decisions)

    def _fall(self, case: Case, transition: Transition, story: Story) -> None:
        level, previous = max(case.alerts.values(), default=Level.NONE), case.level
        case.level = level
        if not case.alerts:
            case.cleared_at = transition.at
            self._happen(case, Happening.ALL_CLEAR, transition.at, transition.id, story, previous)
            policy = self._policies.get(case.policy)
            if policy is None or policy.close == "when_clear":
                self._close(case, transition.at, "sensors", "", story)
        elif level < previous:
            self._happen(case, Happening.LEVEL_FELL, transition.at, transition.id, story, previous)
        else:
            story.changed[case.id] = case

    def _act(self, action: Action, at: int, story: Story) -> tuple[bool, str]:
        case = self.open.get(action.case)
        if case is None:
            return False, "no open case has this id"
        if action.verb == "acknowledge":
            if not case.acknowledged_at:
                case.acknowledged_at, case.acknowledged_by = at, action.by
            self._happen(case, Happening.ACKNOWLEDGE, at, action.by, story, case.level, action.note)
            return True, "acknowledged"
        if action.verb != "close":
            return False, "the verb is not one of: acknowledge, close"
        if (case.state, Happening.CLOSE) not in TABLE:
            return False, f"the sensors still report {case.level.word}: a case closes when they agree that it is over"
        self._close(case, at, action.by, action.note, story)
        return True, "closed"

    def _close(self, case: Case, at: int, by: str, note: str, story: Story) -> None:
        case.closed_at, case.closed_by = at, by
        event = self._happen(case, Happening.CLOSE, at, by, story, case.level, note)
        case.pending.clear()
        self._dispatcher.closed(case, event, story.decisions)
        del self.open[case.id]

    def _happen(
        self,
        case: Case,
        happening: Happening,
        at: int,
        cause: str,
        story: Story,
        previous: Level | None = None,
        note: str = "",
    ) -> CaseEvent:
        """Move the case through the table and write the event."""
        case.state = TABLE[case.state, happening]
        case.events += 1
        event = CaseEvent(
            id=f"{case.id}:{case.events}",
            case=case.id,
            policy=case.policy,
            place=case.place,
            at=at,
            happening=happening,
            state=case.state,
            level=case.level,
            previous=case.level if previous is None else previous,
            cause=cause,
            note=note,
        )
        story.events.append(event)
        story.changed[case.id] = case
        return event
