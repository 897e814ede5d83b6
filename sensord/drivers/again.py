"""What is decided of cases while groups are stepped once more, and whether it is what was decided before.

It is, when the core goes on from a state that it has lived: then all of it is written down already. After an upgrade
there may be none, and the journal's beginning may be past its keeping: then a case can begin at another instant, with
another name, and nobody would ever hear of it, for what is stepped again is not told again. So whoever saves a state
that was made by stepping again saves this beside it.

A case that nobody closes may relapse every ten minutes for months, and each time brings two kilobytes: of such a case
its beginning and its latest are kept.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection

import msgspec

from sensord.core.alert import Transition
from sensord.core.cases.case import Case, CaseEvent
from sensord.core.cases.notification import Hold, Notification
from sensord.core.site import Step
from sensord.decoders import msgpack_decoder
from sensord.errors import SnapshotError

MOST = 200
"""Steps that are kept of a case: half of them its first, half its latest."""


class _Told(msgspec.Struct, array_like=True):
    """What a step told. For each in turn ``order`` says which of the last four lists has it, and where."""

    seq: int
    at: int
    cases: list[Case]
    transitions: list[Transition]
    events: list[CaseEvent]
    notifications: list[Notification]
    holds: list[Hold]
    order: list[tuple[int, int]]


class _Form(msgspec.Struct, array_like=True):
    """``by_case``: the steps that told of it, by their ``seq``."""

    assumes: bool
    steps: list[_Told]
    by_case: dict[str, list[int]]


_FORM = msgpack_decoder(_Form)


class Again:
    """The steps that told of cases which are open still. ``assumes``: the journal has brought no definition yet."""

    def __init__(self, *, assumes: bool = False) -> None:
        self.assumes = assumes
        self._steps: dict[str, list[Step]] = {}

    @classmethod
    def of(cls, decided: bytes) -> Again:
        """Read what :meth:`packed` wrote; raises ``SnapshotError`` when it is something else."""
        try:
            form = _FORM.decode(zlib.decompress(decided))
            steps = {step.seq: _unpacked(step) for step in form.steps}
            again = cls(assumes=form.assumes)
            again._steps = {case: [steps[seq] for seq in seqs] for case, seqs in form.by_case.items()}
        except (msgspec.DecodeError, zlib.error, LookupError, RecursionError) as error:
            raise SnapshotError(f"what was decided beside the snapshot cannot be read: {error}") from error
        return again

    def note(self, step: Step, unfinished: Collection[str]) -> None:
        """Keep a step for as long as a case of it is among the ``unfinished``."""
        self.assumes = self.assumes and not step.definition
        for case in {event.case for event in step.events}:
            if case in unfinished:
                kept = self._steps.setdefault(case, [])
                kept.append(step)
                del kept[MOST // 2 : len(kept) - MOST // 2]
            else:
                self._steps.pop(case, None)

    def unheard(self, known: Collection[str]) -> list[Step]:
        """Return, in order, what was decided of open cases that are not among the ``known``, and nothing else."""
        cases = self._steps.keys() - known
        steps = {step.seq: step for case in cases for step in self._steps[case]}
        return [_about(steps[seq], cases) for seq in sorted(steps)]

    def packed(self) -> bytes:
        """Return it as bytes, to be kept beside a saved state."""
        steps = {step.seq: step for kept in self._steps.values() for step in kept}
        by_case = {case: [step.seq for step in kept] for case, kept in self._steps.items()}
        form = _Form(self.assumes, [_packed(steps[seq]) for seq in sorted(steps)], by_case)
        return zlib.compress(msgspec.msgpack.encode(form), 1)


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


def _packed(step: Step) -> _Told:
    lists = step.transitions, step.events, step.notifications, step.holds
    found = {id(one): (which, number) for which in range(4) for number, one in enumerate(lists[which])}
    order = [found[id(one)] for one in step.told if id(one) in found]
    return _Told(step.seq, step.at, step.cases, *lists, order)


def _unpacked(told: _Told) -> Step:
    lists = told.transitions, told.events, told.notifications, told.holds
    order = [lists[which][number] for which, number in told.order]
    return Step(
        told.seq,
        told.at,
        transitions=told.transitions,
        events=told.events,
        cases=told.cases,
        notifications=told.notifications,
        holds=told.holds,
        told=order,
    )
