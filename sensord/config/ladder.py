"""Reads a rule's ``levels`` and ``clear``: whether each level can be reached, and left again.

Hysteresis lies on the quiet side of the threshold: a rising rule clears below it, a falling rule above it. A
level that can never be reached is blind, one that can never be left is stuck: both are refused.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

from sensord.config.findings import Findings
from sensord.config.ruletext import ClearText, RuleText, Rung
from sensord.config.yamlfile import KeyPath
from sensord.core.instant import SECOND
from sensord.core.level import BY_WORD
from sensord.core.rule import RISING, Aggregate, Clear, Comparison, LevelSpec, Value

_INFINITE = float("inf")
_DOMAIN: dict[str, tuple[float, float]] = {
    "count": (0, _INFINITE),
    "enter": (0, _INFINITE),
    "exit": (0, _INFINITE),
    "density": (0, _INFINITE),
    "confidence": (0, 1),
    "grade": (1, 4),
    "battery": (0, 100),
    "uptime": (0, _INFINITE),
}
"""What a field can be; fields that are not here can be anything."""
_WHOLE = 100


class Bounds(NamedTuple):
    """The least and the greatest that a value can be."""

    least: float
    greatest: float

    def always(self, comparison: Comparison, threshold: float) -> bool:
        """Whether the comparison holds whatever the value is."""
        return {
            Comparison.ABOVE: self.least > threshold,
            Comparison.AT_LEAST: self.least >= threshold,
            Comparison.BELOW: self.greatest < threshold,
            Comparison.AT_MOST: self.greatest <= threshold,
        }[comparison]

    def never(self, comparison: Comparison, threshold: float) -> bool:
        """Whether no value can make the comparison hold."""
        return {
            Comparison.ABOVE: self.greatest <= threshold,
            Comparison.AT_LEAST: self.greatest < threshold,
            Comparison.BELOW: self.least >= threshold,
            Comparison.AT_MOST: self.least > threshold,
        }[comparison]

    def __str__(self) -> str:
        """Write the bounds into a message."""
        if self.greatest == _INFINITE:
            return f"never below {self.least:g}" if self.least != -_INFINITE else "any number"
        return f"between {self.least:g} and {self.greatest:g}"


def bounds_of(value: Value) -> Bounds:
    """Return what an aggregate of a field can be."""
    if value.aggregate is Aggregate.COUNT:
        return Bounds(0, _INFINITE)
    bounds = Bounds(*_DOMAIN.get(value.field or "", (-_INFINITE, _INFINITE)))
    if value.aggregate in (Aggregate.SUM, Aggregate.RATE):
        return Bounds(0 if bounds.least >= 0 else -_INFINITE, _INFINITE)
    return bounds


class Ladder(NamedTuple):
    """What was read: the comparison, the rungs in ascending order, and how they are left."""

    comparison: Comparison
    levels: tuple[LevelSpec, ...]
    clear: Clear


def read_ladder(findings: Findings, path: KeyPath, text: RuleText, value: Value | None) -> Ladder | None:
    """Read ``levels`` and ``clear`` of the rule at ``path``; None (and notes) when there are none."""
    if not text.levels:
        findings.error(path, "the rule has no levels", "add levels: with at least one of blue, yellow, orange, red")
        return None
    comparisons: list[Comparison] = []
    specs: list[LevelSpec] = []
    for word, rung in sorted(text.levels.items(), key=lambda item: BY_WORD[item[0]]):
        place = (*path, "levels", word)
        chosen = _comparison(findings, place, rung)
        if chosen is None:
            return None
        comparisons.append(chosen[0])
        specs.append(LevelSpec(BY_WORD[word], chosen[1], _hold(findings, place, rung, text)))
        if chosen[0] is not comparisons[0]:
            message = f"{word} uses {chosen[0]}, but {specs[0].level.word} uses {comparisons[0]}"
            findings.error(place, message, "use the same comparison on every level")
    ladder = _Reader(findings, path, text, comparisons[0], tuple(specs))
    ladder.ascending()
    if value is not None:
        ladder.reachable(value)
    return Ladder(comparisons[0], tuple(specs), ladder.clear(value))


def _comparison(findings: Findings, path: KeyPath, rung: Rung) -> tuple[Comparison, float] | None:
    given = {word: getattr(rung, word.value) for word in Comparison if getattr(rung, word.value) is not None}
    if len(given) == 1:
        word, threshold = next(iter(given.items()))
        return word, float(threshold)
    message = "a level takes one comparison, not several" if given else "a level needs a threshold"
    findings.error(path, message, "write one of above, at_least, below, at_most")
    return None


def _hold(findings: Findings, path: KeyPath, rung: Rung, text: RuleText) -> int:
    hold = findings.duration((*path, "for"), rung.hold)
    if hold and text.window is None:
        message = "'for' has no meaning here: without a window each reading counts by itself"
        findings.error((*path, "for"), message, "add a window, or remove 'for'")
    return hold


class _Reader:
    """Checks the rungs against each other and against what the value can be."""

    def __init__(
        self,
        findings: Findings,
        path: KeyPath,
        text: RuleText,
        comparison: Comparison,
        specs: tuple[LevelSpec, ...],
    ) -> None:
        self.findings, self.path, self.text, self.comparison, self.specs = (
            findings,
            path,
            text,
            comparison,
            specs,
        )
        self.rising = comparison in RISING

    def _error(self, spec: LevelSpec, message: str, hint: str = "") -> None:
        self.findings.error((*self.path, "levels", spec.level.word), message, hint)

    def ascending(self) -> None:
        """Check that the thresholds ascend with the levels, or descend for a falling rule."""
        for lower, upper in itertools.pairwise(self.specs):
            gap = upper.threshold - lower.threshold
            if (gap if self.rising else -gap) <= 0:
                message = (
                    f"the threshold of {upper.level.word} ({upper.threshold:g}) must lie "
                    f"{'above' if self.rising else 'below'} that of {lower.level.word} ({lower.threshold:g})"
                )
                self._error(upper, message, "levels go blue, yellow, orange, red")

    def reachable(self, value: Value) -> None:
        """Check that each level can be reached and, with a window, that it is not always so.

        Without a window a level runs out by itself: there, "every reading" is a sensible thing to say.
        """
        bounds = bounds_of(value)
        for spec in self.specs:
            condition = f"{self.comparison} {spec.threshold:g}"
            if bounds.never(self.comparison, spec.threshold):
                self._error(spec, f"{condition} is never so: {value} is {bounds}", "correct the threshold")
            elif self.text.window is not None and bounds.always(self.comparison, spec.threshold):
                self._error(spec, f"{condition} is always so: {value} is {bounds}", "correct the threshold")

    def clear(self, value: Value | None) -> Clear:
        """Read how levels are left."""
        clear = self.text.clear or ClearText()
        path = (*self.path, "clear")
        margins = self._margins((*path, "margin"), clear.margin)
        hold = self.findings.duration((*path, "for"), clear.hold)
        if self.text.window is not None:
            if value is not None:
                self._leavable(margins, bounds_of(value))
            return Clear(margins, hold)
        if any(margins):
            message = "a margin has no meaning here: without a window a level simply runs out"
            self.findings.error((*path, "margin"), message, "remove it; clear.for says when")
        if hold < SECOND:
            message = "without a window the rule needs clear.for of at least 1s"
            self.findings.error(path, message, "write clear: {for: 5m}, counted from the last reading")
        return Clear(margins, hold)

    def _margins(self, path: KeyPath, margin: float | str) -> tuple[float, ...]:
        number = float(margin.rstrip("%")) if isinstance(margin, str) else float(margin)
        if number < 0:
            message = f"a margin of {margin} lies on the wrong side: the level would end while it still applies"
            self.findings.error(path, message, "write it without the minus sign")
        if not isinstance(margin, str):
            return tuple(number for _ in self.specs)
        if number >= _WHOLE:
            message = f"a margin of {margin} leaves nothing of the threshold"
            self.findings.error(path, message, "write a share below 100%")
        return tuple(abs(spec.threshold) * number / _WHOLE for spec in self.specs)

    def _leavable(self, margins: tuple[float, ...], bounds: Bounds) -> None:
        """Check that some value no longer meets each threshold after the margin has moved it."""
        for spec, margin in zip(self.specs, margins, strict=True):
            leave = spec.threshold + (-margin if self.rising else margin)
            if margin > 0 and bounds.always(self.comparison, leave):
                message = (
                    f"the margin is too large: {spec.level.word} would clear "
                    f"{'below' if self.rising else 'above'} {leave:g}, but the value is {bounds}"
                )
                self.findings.error((*self.path, "clear", "margin"), message, "make the margin smaller")
                return
