"""Which words somebody reads of a case: of an alert, of the calm after it, or of its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sensord.core.cases.call import Call
from sensord.core.cases.case import Case, CaseEvent
from sensord.core.cases.message import ENDS, Names, ask_when_calm, compose, compose_calm, compose_end
from sensord.core.cases.notification import Reason
from sensord.core.cases.opening import opening
from sensord.core.cases.parts import parts_of
from sensord.core.cases.policy import Policy, Role
from sensord.core.people.roster import Person
from sensord.core.rules.rule import Rule


class Wording:
    """Chooses the words; ``policy`` says by which plan a case goes, ``cases`` are the open ones."""

    def __init__(
        self,
        rules: Mapping[str, Rule],
        roles: Mapping[str, Role],
        policy: Callable[[Case], Policy],
        names: Names,
        cases: Mapping[str, Case],
    ) -> None:
        self._rules, self._roles, self._policy, self._names, self._open = rules, roles, policy, names, cases

    def words(
        self, case: Case, event: CaseEvent, person: Person, reason: Reason, heard: Sequence[str], call: Call | None
    ) -> tuple[str, str]:
        """Write title and text; whoever hears the end hears of which alerts: of rules they have ``heard`` of.

        ``call`` is what the event tells of, when that is of an earlier one.
        """
        rules = tuple(heard) or (case.rule,)
        if reason in ENDS:
            return compose_end(case, rules, reason, event, person.language, self._names)
        said = (
            self._alert(case, event, person, reason) if case.level else self._calm(case, event, person, reason, rules)
        )
        title, text = said
        return title, opening(event, reason, person.language, call) + text

    def _calm(
        self, case: Case, event: CaseEvent, person: Person, reason: Reason, rules: Sequence[str]
    ) -> tuple[str, str]:
        ask = ask_when_calm(case, self._policy(case), self._role(person), reason, person.language)
        return compose_calm(case, rules, ask, reason, event, person.language, self._names)

    def _alert(self, case: Case, event: CaseEvent, person: Person, reason: Reason) -> tuple[str, str]:
        rule, parts, language = self._rules.get(case.rule), "", person.language
        if rule is not None and rule.combination is not None:
            parts = parts_of(case, rule, self._open.values(), self._names, language)
        return compose(case, rule, self._role(person), reason, event, language, self._names, parts)

    def _role(self, person: Person) -> Role:
        return self._roles.get(person.role) or Role(person.role, {}, {})
