"""What is decided of cases while groups are stepped once more at a start, and whether it is what was decided before.

It is, when the core goes on from a saved state: then all of it is written down already. After an upgrade there may be
none, and the journal's beginning may be past its keeping: then a case can begin at another instant, with another name,
and nobody would ever hear of it, for what is stepped again is not told again.
"""

from __future__ import annotations

from collections.abc import Collection

from sensord.core.site import Step


class Again:
    """The steps that told of cases which are open still."""

    def __init__(self) -> None:
        self._steps: dict[str, list[Step]] = {}

    def note(self, step: Step, unfinished: Collection[str]) -> None:
        """Keep a step for as long as a case of it is among the ``unfinished``."""
        for case in {event.case for event in step.events}:
            if case in unfinished:
                self._steps.setdefault(case, []).append(step)
            else:
                self._steps.pop(case, None)

    def unheard(self, known: Collection[str]) -> list[Step]:
        """Return, in order, what was decided of open cases that are not among the ``known``, and nothing else."""
        cases = self._steps.keys() - known
        steps = {step.seq: step for case in cases for step in self._steps[case]}
        return [_about(steps[seq], cases) for seq in sorted(steps)]


def _about(step: Step, cases: Collection[str]) -> Step:
    """What a step says of these cases, in the order in which it said it."""
    events = [one for one in step.events if one.case in cases]
    causes = {one.cause for one in events}
    return Step(
        step.seq,
        step.at,
        transitions=[one for one in step.transitions if one.id in causes],
        events=events,
        cases=[one for one in step.cases if one.id in cases],
        notifications=[one for one in step.notifications if one.case in cases],
        holds=[one for one in step.holds if one.case in cases],
        told=step.told,
    )
