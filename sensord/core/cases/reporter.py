"""Tells people of scheduled reports as they come due: everybody on duty of the roles told, each by themselves."""

from __future__ import annotations

from sensord.core.cases.agenda import REPORT, Agenda
from sensord.core.cases.apart import Apart
from sensord.core.cases.notification import Hold, Reason
from sensord.core.cases.reportplan import ReportPlan
from sensord.core.cases.reports import CASE, event_of, messages, next_due, span
from sensord.core.cases.story import Story
from sensord.core.cases.watch import Watched
from sensord.core.definition import Definition
from sensord.core.people.roster import Roster
from sensord.core.place import PlaceKind, Places

A_REPORT = "a report"
"""What a failure names that belongs to no case."""


class Reporter:
    """Decides who is told of a report. When each is due next is in ``watched``."""

    def __init__(
        self, definition: Definition, places: Places, roster: Roster, agenda: Agenda, watched: Watched, apart: Apart
    ) -> None:
        self._plans, self._zone = {plan.id: plan for plan in definition.reports}, definition.zone
        self._street = next((place.id for place in places.places if place.kind is PlaceKind.STREET), "")
        self._roster, self._agenda, self._watched, self._apart = roster, agenda, watched, apart

    def begin(self, at: int) -> None:
        """A definition comes into force at ``at`` (ns): its schedules count from then on."""
        self._watched.reports = {}
        for plan in self._plans.values():
            self._await(plan, at)

    def _await(self, plan: ReportPlan, after: int) -> None:
        due = next_due(plan, self._roster.table, self._zone, after)
        self._watched.reports[plan.id] = due
        self._agenda.add(due, REPORT, 0, plan.id)

    def send(self, name: str, at: int, story: Story) -> None:
        """Tell people of a report, unless its schedule has changed since it was put on the agenda.

        A role of which nobody is on duty has a hold.
        """
        plan = self._plans.get(name)
        if plan is None or at != self._watched.reports.get(name):
            return
        self._await(plan, at)
        covered, told = span(plan, self._roster.table, self._zone, at), set[str]()
        for role in plan.tell:
            people = self._roster.responsible(role, self._street, at)
            if not people:
                story.decisions.hold(Hold(CASE, event_of(covered), at, role, Reason.HELD_NOBODY))
            for person in (one for one in people if one.id not in told):
                told.add(person.id)
                with self._apart.handling(A_REPORT, at, story.failures):
                    for message in messages(plan, covered, person, at, self._street, self._zone):
                        story.decisions.notify(message)
