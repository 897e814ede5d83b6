"""The stage at which a case stands: its move through the table, its time limit, and what it awaits."""

from __future__ import annotations

from sensord.core.cases.agenda import Agenda
from sensord.core.cases.case import ENDED, TABLE, Case, CaseEvent, Due, Happening
from sensord.core.cases.dispatch import Dispatcher
from sensord.core.cases.policy import Category, Policy
from sensord.core.cases.story import Story
from sensord.core.definition import Definition
from sensord.core.failure import Failure, Part
from sensord.core.level import Level


class Stages:
    """Moves cases through the table and keeps their time limits; whoever decides what happens builds on it."""

    dispatcher: Dispatcher

    def __init__(self, definition: Definition, agenda: Agenda) -> None:
        self._agenda, self.zone = agenda, definition.zone
        self._categories = {category.id: category for category in definition.categories}

    def policy(self, case: Case) -> Policy:
        """The case's plan."""
        return self.dispatcher.policy(case)

    def category(self, case: Case) -> Category | None:
        """What kind of case it is, if its plan says so."""
        return self._categories.get(self.policy(case).category)

    def limit(self, case: Case) -> int:
        """The longest stay (ns) at the case's stage; 0: none."""
        category = self.category(case)
        return category.limits.get(case.state, 0) if category is not None else 0

    def schedule(self, case: Case, at: int, due: Due, number: int = 0) -> None:
        """Note what a case awaits."""
        case.pending.append((at, due, number))
        self._agenda.add(at, due, number, case.id)

    @staticmethod
    def unschedule(case: Case, due: Due) -> None:
        """Await something no longer."""
        case.pending = [one for one in case.pending if one[1] is not due]

    def happen(
        self,
        case: Case,
        happening: Happening,
        at: int,
        cause: str,
        story: Story,
        previous: Level | None = None,
        note: str = "",
        via: str = "",
    ) -> CaseEvent:
        """Move the case through the table and write the event; a new stage begins a new time limit.

        What cannot come by the table is a mistake of ours. It leaves the case at its stage, and people are told all the
        same.
        """
        state = TABLE.get((case.state, happening))
        if state is None:
            story.failures.note(Failure(Part.CASE, case.id, at, f"{happening.value} while {case.state.value}"))
            state = case.state
        if state is not case.state or happening is Happening.OVERDUE:
            case.state, case.since, case.deadline = state, at, 0
            self.unschedule(case, Due.LIMIT)
            limit = self.limit(case)
            if limit and state not in ENDED:
                self.set_deadline(case, at + limit)
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
            via=via,
        )
        story.tell(event)
        story.changed[case.id] = case
        return event

    def set_deadline(self, case: Case, at: int) -> None:
        """Set the limit of the present stage."""
        self.unschedule(case, Due.LIMIT)
        case.deadline = at
        self.schedule(case, at, Due.LIMIT)
