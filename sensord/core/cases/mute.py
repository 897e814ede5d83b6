"""What keeps a case from being told: silences, recurring maintenance, and inhibition by a larger alarm.

Each mute answers one question, ``covers(case, rule, at) -> when to look again, or None``; the first that does gives the
named reason. A muted case is open and visible, and is told as soon as the mute ends. Red is muted only where that is
said explicitly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from sensord.core.cases.case import Case, about
from sensord.core.cases.notification import Reason
from sensord.core.cases.standing import heard
from sensord.core.instant import MINUTE
from sensord.core.level import Level
from sensord.core.people.duty import Shift
from sensord.core.place import Places
from sensord.core.record import Scope
from sensord.core.rules.rule import Rule

LOOK_AGAIN = MINUTE
"""An inhibited case is looked at again so often; what inhibits it has no known end."""


class Silence(msgspec.Struct, frozen=True):
    """An operator's silence: from ``start`` to ``end`` (ns), by whom and why."""

    id: str
    scope: Scope
    start: int
    end: int
    by: str
    note: str


class Maintenance(msgspec.Struct, frozen=True, omit_defaults=True):
    """A recurring window of work: ``shift`` says when, until the instant ``until`` (ns); by whom and why."""

    id: str
    scope: Scope
    shift: Shift
    until: int
    by: str
    note: str


class Inhibition(msgspec.Struct, frozen=True, omit_defaults=True):
    """While an alert of one of the ``rules`` stands at ``at_least``, lesser cases below its place are muted.

    ``mutes`` are the rules whose cases are muted, up to the level ``up_to``.
    """

    rules: tuple[str, ...]
    mutes: tuple[str, ...]
    at_least: Level = Level.ORANGE
    up_to: Level = Level.ORANGE


Sources = Callable[[str], Iterable[Case]]
"""(rule) -> the case of every active alert of that rule, as far as the alert goes, which no larger one inhibits.

An inhibited alarm inhibits no other: else two of them could keep each other quiet."""
Running = Callable[[Shift, int], int | None]
"""(shift, instant) -> the end of the shift that is running then, or None."""


class Mutes:
    """All mutes of a definition, and the silences in force."""

    def __init__(
        self,
        places: Places,
        maintenance: tuple[Maintenance, ...],
        inhibitions: tuple[Inhibition, ...],
        running: Running,
        sources: Sources,
        rules: Mapping[str, Rule],
    ) -> None:
        self._places, self._maintenance, self._inhibitions = places, maintenance, inhibitions
        self._running, self._sources, self._rules = running, sources, rules
        self.silences: dict[str, Silence] = {}
        self.inhibiting = frozenset(rule for one in inhibitions for rule in one.rules)

    def of_case(self, case: Case, rule: Rule | None, at: int) -> tuple[Reason, int] | None:
        """Why nobody is told of the case at ``at``, and when to look again; None when it is not muted."""
        quiet = self._quiet(case, rule, at)
        if quiet is None and any(self._inhibits(one, case, at) for one in self._inhibitions):
            return Reason.HELD_INHIBITED, at + LOOK_AGAIN
        return quiet

    def _quiet(self, case: Case, rule: Rule | None, at: int) -> tuple[Reason, int] | None:
        """What people have asked for: a silence, or maintenance."""
        for silence in self.silences.values():
            if silence.start <= at < silence.end and not silence.scope.people and self._fits(silence.scope, case, rule):
                return Reason.HELD_SILENCED, silence.end
        for window in self._maintenance:
            end = self._window_end(window, at)
            if end is not None and not window.scope.people and self._fits(window.scope, case, rule):
                return Reason.HELD_MAINTENANCE, end
        return None

    def beside(self, case: Case, at: int) -> Case | None:
        """A muted case as far as the gravest alert in it goes that people know of and nothing mutes."""
        known = (about(case, one) for one in heard(case, at))
        loud = [of for of in known if self.of_case(of, self._rules.get(of.rule), at) is None]
        return max(loud, key=lambda of: (of.level, of.subject_at, of.rule, of.key), default=None)

    def of_person(self, person: str, case: Case, rule: Rule | None, at: int) -> Reason | None:
        """Why this person is not told of the case at ``at``."""
        theirs = ((scope, why) for scope, why, _ in self._of_people(at) if person in scope.people)
        return next((why for scope, why in theirs if self._fits(scope, case, rule)), None)

    def people_until(self, at: int) -> int | None:
        """When the first that mutes people, and not cases, ends; None where nothing does."""
        return min((end for _, _, end in self._of_people(at)), default=None)

    def _of_people(self, at: int) -> Iterator[tuple[Scope, Reason, int]]:
        """What mutes people at ``at``: its scope, its name and its end."""
        for silence in self.silences.values():
            if silence.scope.people and silence.start <= at < silence.end:
                yield silence.scope, Reason.HELD_SILENCED, silence.end
        for window in self._maintenance:
            end = self._window_end(window, at) if window.scope.people else None
            if end is not None:
                yield window.scope, Reason.HELD_MAINTENANCE, end

    def forget(self, at: int) -> None:
        """Drop the silences that have ended."""
        self.silences = {name: one for name, one in self.silences.items() if one.end > at}

    def _window_end(self, window: Maintenance, at: int) -> int | None:
        if at >= window.until:
            return None
        end = self._running(window.shift, at)
        return None if end is None else min(end, window.until)

    def _fits(self, scope: Scope, case: Case, rule: Rule | None) -> bool:
        if case.level > scope.up_to:
            return False
        if scope.places and not any(self._below(case.place, place) for place in scope.places):
            return False
        if scope.rules and case.rule not in scope.rules:
            return False
        if scope.policies and case.policy not in scope.policies:
            return False
        labels = rule.labels if rule is not None else {}
        return all(labels.get(name) == value for name, value in scope.labels.items())

    def _inhibits(self, inhibition: Inhibition, case: Case, at: int) -> bool:
        """Whether a larger alarm says it, which people hear of: a muted alarm mutes no other."""
        if case.rule not in inhibition.mutes or case.level > inhibition.up_to:
            return False
        least = max(inhibition.at_least, case.level)
        return any(
            source.id != case.id
            and source.level >= least
            and self._below(case.place, source.place)
            and self._quiet(source, self._rules.get(source.rule), at) is None
            for rule in inhibition.rules
            for source in self._sources(rule)
        )

    def _below(self, place: str, above: str) -> bool:
        return above in self._places.by_id and (place == above or place in self._places.within(above))
