"""Rules about alerts, in the reference: from the changes of their parts alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sensord.core.level import Level
from sensord.core.place import PlaceKind
from sensord.core.rules.rule import Logic, Rule
from tests.core.reference_values import Change

if TYPE_CHECKING:
    from tests.core.reference import Reference


class Combined:
    """A rule about alerts, from the changes of its parts."""

    def __init__(self, reference: Reference, rule: Rule, found: dict[str, list[Change]]) -> None:
        assert rule.combination is not None
        self.reference, self.rule, self.combination = reference, rule, rule.combination
        self.found = found

    def changes(self) -> Iterator[Change]:
        """Every change of every place."""
        for key in sorted({key for part in self.combination.parts for key in self._places(part.rule)}):
            yield from self._key(key)

    def _above(self, rule: Rule, key: str) -> str | None:
        return self.reference.places.above(self.reference.place_of(key.split("/", maxsplit=1)[0]), PlaceKind(rule.by))

    def _places(self, part: str) -> set[str]:
        rule = next(one for one in self.reference.definition.rules if one.id == part)
        keys = Combined(self.reference, rule, self.found).all_keys() if rule.combination else self.reference.keys(rule)
        return {above for above in (self._above(self.rule, key) for key in keys) if above is not None}

    def all_keys(self) -> list[str]:
        """The places that this rule can be about."""
        return sorted({key for part in self.combination.parts for key in self._places(part.rule)})

    def _key(self, key: str) -> Iterator[Change]:
        """Walk through every nanosecond at which something can happen."""
        rule, hold = self.rule, self.rule.clear.hold
        events = self._events(key)
        level, ended, at = Level.NONE, None, -1
        armed: int | None = None
        while True:
            dues = [one for one in self._dues(events, at, armed, ended, level) if at < one <= self.reference.now]
            if not dues:
                return
            at = min(dues)
            happened = [one for one in events if one[0] == at]
            if self.combination.logic is Logic.MISSING:
                armed, holds = self._missing(events, happened, at, armed)
            else:
                holds = self._holds(events, at)
            answered = self.combination.logic is Logic.MISSING and self._on(events, 1, at)
            if holds and level is Level.NONE:
                yield Change(at, rule.id, key, 0, rule.levels[0].level, at, 0)
                level = rule.levels[0].level
            if self.combination.logic is Logic.MISSING and holds:
                ended = at
            elif holds:
                ended = None
            elif level is not Level.NONE:
                ended = at if ended is None else ended
                if answered or at - ended >= hold:
                    yield Change(at, rule.id, key, level, 0, at, 0)
                    level, ended = Level.NONE, None

    def _events(self, key: str) -> list[tuple[int, int, str, bool]]:
        """(instant, part, alert, on?) for every alert at or below the place that comes on or goes off."""
        events = []
        for number, part in enumerate(self.combination.parts):
            for change in self.found[part.rule]:
                before, after = change.previous >= part.at_least, change.level >= part.at_least
                if self._above(self.rule, change.key) == key and before != after:
                    events.append((change.at, number, change.key, after))
        return sorted(events)

    @staticmethod
    def _on(events: list[tuple[int, int, str, bool]], part: int, at: int) -> bool:
        """Whether a part is on right after an instant."""
        alerts = {alert for _, number, alert, _ in events if number == part}
        return any(
            [on for moment, number, name, on in events if (number, name) == (part, alert) and moment <= at][-1:]
            == [True]
            for alert in alerts
        )

    def _dues(
        self,
        events: list[tuple[int, int, str, bool]],
        at: int,
        armed: int | None,
        ended: int | None,
        level: Level,
    ) -> list[int]:
        within = self.combination.within
        dues = [one[0] for one in events]
        dues += [one[0] + within for one in events] if self.combination.logic is Logic.ALL else []
        dues += [armed + within] if armed is not None else []
        return dues + ([ended + self.rule.clear.hold] if ended is not None else [])

    def _holds(self, events: list[tuple[int, int, str, bool]], at: int) -> bool:
        parts = range(len(self.combination.parts))
        on = [self._on(events, part, at) for part in parts]
        if self.combination.logic is Logic.ANY:
            return any(on)
        if self.combination.logic is Logic.ALL:
            return all(on[part] or self._lately(events, part, at) for part in parts)
        return on[-1] and self._followed(events, at)

    def _lately(self, events: list[tuple[int, int, str, bool]], part: int, at: int) -> bool:
        """Whether a part ceased to be on less than ``within`` ago."""
        ends = [
            moment
            for moment, number, _, on in events
            if number == part and not on and moment <= at and not self._on(events, part, moment)
        ]
        return bool(ends) and at - max(ends) < self.combination.within

    def _followed(self, events: list[tuple[int, int, str, bool]], at: int) -> bool:
        """Whether, since the last part was last off, it was raised in time after a chain of the others."""
        chain: dict[int, int] = {}
        matched = False
        for moment in sorted({one[0] for one in events if one[0] <= at}):
            for part in range(len(self.combination.parts)):
                if any(one[:2] == (moment, part) and one[3] for one in events):
                    start = moment if part == 0 else chain.get(part - 1)
                    if start is not None and moment - start <= self.combination.within:
                        chain[part] = start
                        matched |= part == len(self.combination.parts) - 1
            matched &= self._on(events, len(self.combination.parts) - 1, moment)
        return matched

    def _missing(
        self,
        events: list[tuple[int, int, str, bool]],
        happened: list[tuple[int, int, str, bool]],
        at: int,
        armed: int | None,
    ) -> tuple[int | None, bool]:
        """``after`` A, ``not`` B: return (the raise that a deadline counts from, whether one passes now)."""
        answered = any(part == 1 and on for _, part, _, on in happened)
        if any(part == 0 and on for _, part, _, on in happened) and armed is None and not self._on(events, 1, at - 1):
            armed = at
        if answered:
            armed = None
        if armed is not None and at - armed >= self.combination.within:
            return None, True
        return armed, False
