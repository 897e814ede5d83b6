"""The ladder of the reference: it keeps every evaluation, and looks back through them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sensord.core.level import Level
from sensord.core.rules.rule import Comparison, LevelSpec, Rule
from tests.core.reference_values import Change

if TYPE_CHECKING:
    from tests.core.reference import Reference


def meets(rule: Rule, rung: LevelSpec, value: float, margin: float) -> bool:
    """Whether a value meets a rung, or still keeps it when it may be ``margin`` off."""
    high, low = rung.threshold, rung.low
    return {
        Comparison.ABOVE: value > high - margin,
        Comparison.AT_LEAST: value >= high - margin,
        Comparison.BELOW: value < high + margin,
        Comparison.AT_MOST: value <= high + margin,
        Comparison.OUTSIDE: value > high - margin or (low is not None and value < low + margin),
    }[rule.comparison]


class Ladder:
    """The level of one key: it keeps every evaluation, and looks back through them."""

    def __init__(self, reference: Reference, rule: Rule, key: str) -> None:
        self.reference, self.rule, self.key = reference, rule, key
        self.rungs = reference.rungs_and_margins(rule, key)
        self.past: list[tuple[int, float | None, bool]] = []
        self.level = Level.NONE
        self.raises: list[int] = []

    def move(self, at: int, end: int, value: float | None, samples: int) -> Iterator[Change]:
        """Evaluate at ``end``; ``value`` None is unknown."""
        self.past.append((end, value, self.reference.active(self.rule, end)))
        up = max((rung.level for index, (rung, _) in enumerate(self.rungs) if self._applies(index)), default=Level.NONE)
        down = max((rung.level for rung, margin in self.rungs if self._stays(rung, margin)), default=Level.NONE)
        level = max(up, down)
        if level != self.level:
            if self.level is Level.NONE:
                self.raises.append(end)
            yield Change(at, self.rule.id, self.key, self.level, level, end, samples)
            self.level = level

    def _met(self, rung: LevelSpec, evaluation: tuple[int, float | None, bool]) -> bool:
        _, value, active = evaluation
        return active and value is not None and meets(self.rule, rung, value, 0.0)

    def _applies(self, index: int) -> bool:
        """The comparison holds now, and has held long or often enough."""
        rung, own = self.rungs[index][0], self.rule.levels[index]
        if not self._met(rung, self.past[-1]):
            return False
        if own.needed:
            return sum(self._met(rung, one) for one in self.past[-own.among :]) >= own.needed
        start = self.past[-1][0]
        for evaluation in reversed(self.past):
            if not self._met(rung, evaluation):
                break
            start = evaluation[0]
        return self.past[-1][0] - start >= own.hold

    def _stays(self, rung: LevelSpec, margin: float) -> bool:
        """The key is at the rung or above, and the value has not been calm of it for long enough."""
        if self.level < rung.level:
            return False
        start = None
        for end, value, active in reversed(self.past):
            if active and (value is None or meets(self.rule, rung, value, margin)):
                break
            start = end
        return start is None or self.past[-1][0] - start < self._hold()

    def _hold(self) -> int:
        damping, now = self.rule.flapping, self.past[-1][0]
        if damping is None:
            return self.rule.clear.hold
        lately = [raised for raised in self.raises if now - raised <= damping.within]
        return max(self.rule.clear.hold, damping.hold) if len(lately) >= damping.raises else self.rule.clear.hold
