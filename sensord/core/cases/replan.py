"""A definition comes into force while cases are open: their steps keep their meaning, whatever their numbers are now.

Steps are matched by content. One that is found again keeps its instant; one that is gone is not awaited any more. A
step that is new to the plan falls due at its own time after the case stood at its level, at once when that has passed
and the case still stands there. One of which only the times are others has spoken when it had come due by its old ones:
it does not speak again at once, and its reminders keep their new rhythm. A case whose plan is gone goes on by the plan
that its rule names now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from sensord.core.cases.builtin import built_in
from sensord.core.cases.case import Case, Due
from sensord.core.cases.policy import Mode, Policy, Step
from sensord.core.definition import Definition
from sensord.core.level import Level

Numbered = Iterable[tuple[int, Step]]


class Replan:
    """From one definition to the next, at ``at`` (ns): puts open cases on the plans of the new one."""

    def __init__(self, before: Definition, now: Definition, at: int) -> None:
        self._before = {policy.id: policy for policy in before.policies}
        self._now = {policy.id: policy for policy in now.policies}
        self._named = {rule.id: rule.dispatch for rule in (*now.rules, *built_in(now))}
        self._at = at

    def put(self, case: Case) -> bool:
        """Put a case on its plan as it is now; returns whether anything has changed for it."""
        plan = self._plan_of(case)
        before, now = (plans.get(name) for plans, name in ((self._before, case.policy), (self._now, plan)))
        old, new = (() if policy is None else policy.steps for policy in (before, now))
        if plan == case.policy and old == new:
            return False
        case.policy = plan
        self._renumber(case, old, now or Policy(plan, {}, ()))
        return True

    def _plan_of(self, case: Case) -> str:
        """The case's plan, or when that is gone the one that its rule, else a rule of another of its alerts, names."""
        rules = (case.rule, *(alert.partition(":")[0] for alert in case.alerts))
        named = (case.policy, *(self._named.get(rule, "") for rule in rules))
        return next((plan for plan in named if plan in self._now), case.policy)

    def _renumber(self, case: Case, old: tuple[Step, ...], policy: Policy) -> None:
        new = policy.steps
        same = _pairs(enumerate(old), enumerate(new), lambda step: step)
        gone = [(number, step) for number, step in enumerate(old) if number not in same]
        added = [(number, step) for number, step in enumerate(new) if number not in same.values()]
        retimed = _pairs(gone, added, _timeless)
        case.passed_over = [(same | retimed)[number] for number in case.passed_over if number in same | retimed]
        others = [one for one in case.pending if one[1] is not Due.STEP]
        kept = [(at, due, same[number]) for at, due, number in case.pending if due is Due.STEP and number in same]
        earlier = {number: old[was] for was, number in retimed.items()}
        due = ((self._due(case, policy, step, earlier.get(number)), number) for number, step in added)
        fresh = [(at, Due.STEP, number) for at, number in due if at is not None and number not in case.passed_over]
        case.pending = [*others, *kept, *fresh]

    def _due(self, case: Case, policy: Policy, step: Step, was: Step | None) -> int | None:
        """When a step that is new, or was another by its times, falls due (ns); None: not any more, or not yet."""
        begun = _reached(case).get(step.at_least.word)
        if begun is None:
            return None
        first, stands = begun + step.after, case.level >= step.at_least
        if was is not None and begun + was.after <= self._at:
            return self._next(first, step.every)
        everybody = case.level >= policy.everybody_at and step.mode is not Mode.REPLACEMENT
        if first > self._at and not (was is None and stands and everybody):
            return first
        return self._at if stands else None

    def _next(self, first: int, every: int) -> int | None:
        """When a step that has spoken speaks again: at its time, if that is to come, else as a reminder, if at all."""
        if first > self._at or not every:
            return first if first > self._at else None
        return first + every * ((self._at - first) // every + 1)


def _reached(case: Case) -> dict[str, int]:
    """When the case came to each level; a state of an earlier version says only when it was opened."""
    return case.reached or {level.word: case.opened_at for level in Level if case.told and level <= case.peak}


def _timeless(step: Step) -> Step:
    return msgspec.structs.replace(step, after=0, every=0, count=0)


def _pairs(old: Numbered, new: Numbered, form: Callable[[Step], Step]) -> dict[int, int]:
    """Old numbers to new ones, of steps of one form; the first of several equal ones is the first again."""
    waiting = dict[Step, list[int]]()
    for number, step in old:
        waiting.setdefault(form(step), []).append(number)
    return {waiting[form(step)].pop(0): number for number, step in new if waiting.get(form(step))}
