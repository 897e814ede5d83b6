"""Look-ups over the open cases, so that a step's cost does not depend on how many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sensord.core.cases.case import Case, Subject, about
from sensord.core.cases.notification import Reason
from sensord.core.record import Verb

ENGAGING = (Verb.ON_THE_WAY, Verb.ON_THE_SCENE)
"""Who says so is busy with the case for the rest of its round."""
Group = tuple[str, str]
"""What nearby cases have in common: the category, and the place that the plan names."""


class CaseIndex:
    """The open cases: by id, by place and plan, by alert, by watched rule, by neighbourhood; and who is busy where.

    ``watched`` are the rules whose alerts can inhibit others; ``group_of`` names a case's neighbourhood.
    """

    def __init__(self, watched: Callable[[], frozenset[str]], group_of: Callable[[Case], Group | None]) -> None:
        self._watched, self._group_of = watched, group_of
        self.open: dict[str, Case] = {}
        self.engaged: dict[str, set[str]] = {}
        self._by_place: dict[tuple[str, str], dict[str, None]] = {}
        self._by_alert: dict[str, str] = {}
        self._by_rule: dict[str, dict[str, None]] = {}
        self._nearby: dict[Group, dict[str, None]] = {}

    def add(self, case: Case) -> None:
        """Take a case in: a new one, or one of a state that is restored."""
        self.open[case.id] = case
        self._by_place.setdefault((case.place, case.policy), {})[case.id] = None
        for alert in case.alerts:
            self.hold(alert, case)
        for person, told in case.told.items():
            if any(verb in told.said for verb in ENGAGING):
                self.engage(person, case)

    def remove(self, case: Case) -> None:
        """Let a case go that has ended (one that was never taken in may be an orphan of a damaged journal)."""
        self.open.pop(case.id, None)
        self._by_place.get((case.place, case.policy), {}).pop(case.id, None)
        for alert in list(case.alerts):
            self.release(alert, case)
        self.disengage(case)
        group = self._group_of(case)
        if group is not None:
            self._nearby.get(group, {}).pop(case.id, None)

    def at(self, place: str, policy: str) -> Case | None:
        """The open case of a place and a plan: the oldest, when plans have become one while several were open."""
        return self.open.get(next(iter(self._by_place.get((place, policy), {})), ""))

    def of_alert(self, alert: str) -> Case | None:
        """The open case that holds an alert."""
        return self.open.get(self._by_alert.get(alert, ""))

    def alone(self, alert: str) -> Case | None:
        """The same as far as the alert goes, to be read only."""
        case = self.of_alert(alert)
        return None if case is None else _alone(case, alert)

    def hold(self, alert: str, case: Case) -> None:
        """An alert belongs to a case from now on."""
        self._by_alert[alert] = case.id
        rule = alert.partition(":")[0]
        if rule in self._watched():
            self._by_rule.setdefault(rule, {})[case.id] = None

    def release(self, alert: str, case: Case) -> None:
        """An alert is over."""
        self._by_alert.pop(alert, None)
        rule = alert.partition(":")[0]
        if not any(other.startswith(rule + ":") for other in case.alerts if other != alert):
            self._by_rule.get(rule, {}).pop(case.id, None)

    def engage(self, person: str, case: Case) -> None:
        """Somebody is on the way to a case, or there."""
        self.engaged.setdefault(person, set()).add(case.id)

    def disengage(self, case: Case, people: Iterable[str] | None = None) -> None:
        """Nobody, or none of these, is on the way to a case, or there, any more."""
        for person in case.told if people is None else people:
            self.engaged.get(person, set()).discard(case.id)

    def sources(self, rule: str) -> Iterator[Case]:
        """The cases of the rule's active alerts, each as far as the alert goes, but those that are inhibited."""
        for case in (self.open[name] for name in self._by_rule.get(rule, ())):
            for alert in case.alerts:
                if alert.startswith(rule + ":") and case.muted != Reason.HELD_INHIBITED:
                    yield _alone(case, alert)

    def neighbour(self, case: Case) -> Case | None:
        """Add a case to its neighbourhood; returns the oldest open case that was there before."""
        group = self._group_of(case)
        if group is None:
            return None
        nearby = self._nearby.setdefault(group, {})
        oldest = next((self.open[name] for name in nearby if name != case.id), None)
        nearby[case.id] = None
        return oldest


def _alone(case: Case, alert: str) -> Case:
    rule, _, key = alert.partition(":")
    return about(case, Subject(case.alerts[alert], rule, key, 0))
