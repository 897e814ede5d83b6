"""Reads a rule's ``levels`` and ``clear``: whether each level can be reached, and left again.

Hysteresis lies on the quiet side of the threshold: a rising rule clears below it, a falling rule above it. A
level that can never be reached is blind, one that can never be left is stuck: both are refused.
"""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

from sensord.config.findings import Findings
from sensord.config.ruletext import ClearText, RuleText, Rung
from sensord.config.yamlfile import KeyPath
from sensord.core.instant import SECOND
from sensord.core.level import BY_WORD
from sensord.core.rules.rule import RISING, Aggregate, Clear, Comparison, LevelSpec, Value

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
_NEVER_NEGATIVE = (
    Aggregate.COUNT,
    Aggregate.DISTINCT,
    Aggregate.DELTA,
    Aggregate.STDDEV,
    Aggregate.OCCUPANCY,
)
_WHOLE = 100
_MOST_EVALUATIONS = 60
ORDER = "levels go blue, yellow, orange, red"
_OF = re.compile(r"(\d+) +of +(\d+)")


class Bounds(NamedTuple):
    """The least and the greatest that a value can be."""

    least: float
    greatest: float

    def always(self, comparison: Comparison, threshold: float, low: float = -_INFINITE) -> bool:
        """Whether the comparison holds whatever the value is."""
        return {
            Comparison.ABOVE: self.least > threshold,
            Comparison.AT_LEAST: self.least >= threshold,
            Comparison.BELOW: self.greatest < threshold,
            Comparison.AT_MOST: self.greatest <= threshold,
            Comparison.OUTSIDE: self.least > threshold or self.greatest < low,
        }[comparison]

    def never(self, comparison: Comparison, threshold: float, low: float = -_INFINITE) -> bool:
        """Whether no value can make the comparison hold."""
        return {
            Comparison.ABOVE: self.greatest <= threshold,
            Comparison.AT_LEAST: self.greatest < threshold,
            Comparison.BELOW: self.least >= threshold,
            Comparison.AT_MOST: self.least > threshold,
            Comparison.OUTSIDE: low <= self.least and self.greatest <= threshold,
        }[comparison]

    def __str__(self) -> str:
        """Write the bounds into a message."""
        if self.greatest == _INFINITE:
            return f"never below {self.least:g}" if self.least != -_INFINITE else "any number"
        return f"between {self.least:g} and {self.greatest:g}"


def bounds_of(value: Value) -> Bounds:
    """Return what an aggregate of a field can be."""
    if value.aggregate in _NEVER_NEGATIVE:
        return Bounds(0, _INFINITE)
    if value.aggregate is Aggregate.SLOPE:
        return Bounds(-_INFINITE, _INFINITE)
    bounds = Bounds(*_DOMAIN.get(value.field or "", (-_INFINITE, _INFINITE)))
    if value.aggregate in (Aggregate.SUM, Aggregate.RATE, Aggregate.TOTAL):
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
        comparison, threshold, low = chosen
        comparisons.append(comparison)
        hold, needed, among = _hold(findings, place, rung, text)
        specs.append(LevelSpec(BY_WORD[word], threshold, hold, low, needed, among))
        if chosen[0] is not comparisons[0]:
            message = f"{word} uses {chosen[0]}, but {specs[0].level.word} uses {comparisons[0]}"
            findings.error(place, message, "use the same comparison on every level")
    ladder = LadderReader(findings, path, text, comparisons[0], tuple(specs))
    ladder.ascending()
    if value is not None:
        ladder.reachable(value)
    return Ladder(comparisons[0], tuple(specs), ladder.clear(value))


def _comparison(findings: Findings, path: KeyPath, rung: Rung) -> tuple[Comparison, float, float | None] | None:
    """Return (comparison, threshold, lower threshold of ``outside``)."""
    given = {word: getattr(rung, word.value) for word in Comparison if getattr(rung, word.value) is not None}
    if len(given) == 1:
        word, value = next(iter(given.items()))
        if word is not Comparison.OUTSIDE:
            return word, float(value), None
        if isinstance(value, str):
            findings.error((*path, "outside"), f"{value!r} is no lower and upper threshold", "write outside: [2, 8]")
            return None
        pair = read_pair(findings, (*path, "outside"), value)
        return None if pair is None else (word, pair[1], pair[0])
    message = "a level takes one comparison, not several" if given else "a level needs a threshold"
    findings.error(path, message, "write one of above, at_least, below, at_most, outside")
    return None


def read_pair(findings: Findings, path: KeyPath, given: tuple[float, ...]) -> tuple[float, float] | None:
    """Read a lower and an upper threshold; notes an error and returns None when they are none."""
    if len(given) != 2 or given[0] >= given[1]:
        numbers = ", ".join(f"{number:g}" for number in given)
        findings.error(path, f"[{numbers}] is no lower and upper threshold", "write [low, high], the lower one first")
        return None
    return given[0], given[1]


def _hold(findings: Findings, path: KeyPath, rung: Rung, text: RuleText) -> tuple[int, int, int]:
    """Return (duration, needed, among)."""
    often = _OF.fullmatch(rung.hold)
    needed, among = (int(often[1]), int(often[2])) if often else (0, 0)
    if often and not 0 < needed <= among <= _MOST_EVALUATIONS:
        message = f"{rung.hold} cannot be: write the smaller number first, of at most {_MOST_EVALUATIONS} evaluations"
        findings.error((*path, "for"), message, "3 of 5: at three of the last five evaluations")
    hold = 0 if often else findings.duration((*path, "for"), rung.hold)
    if (hold or often) and text.window is None and not looks_regularly(text):
        message = "'for' has no meaning here: without a window each reading counts by itself"
        findings.error((*path, "for"), message, "add a window, or remove 'for'")
    return hold, needed, among


def looks_regularly(text: RuleText) -> bool:
    """Whether a rule is evaluated at fixed times: it has a window, or is about an occupancy."""
    return text.window is not None or (text.value or "").strip().startswith("occupancy")


def out_of_order(
    comparison: Comparison, lower: LevelSpec, upper: LevelSpec, given: tuple[str, str] = ("", "")
) -> str | None:
    """What is wrong with the order of two thresholds, or None.

    ``given`` names where the lower and the upper one are given, when that is not clear.
    """
    rising = comparison in RISING
    if lower.low is not None and upper.low is not None:
        fits = upper.low <= lower.low and upper.threshold >= lower.threshold
        fits = fits and (upper.low, upper.threshold) != (lower.low, lower.threshold)
    else:
        gap = upper.threshold - lower.threshold
        fits = (gap if rising else -gap) > 0
    if fits:
        return None
    inner, outer = _written(lower, given[0]), _written(upper, given[1])
    if comparison is Comparison.OUTSIDE:
        return f"{upper.level.word} ({outer}) must lie further out than {lower.level.word} ({inner})"
    side = "more than" if rising else "less than"
    return f"the threshold of {upper.level.word} ({outer}) must be {side} that of {lower.level.word} ({inner})"


def _written(spec: LevelSpec, place: str) -> str:
    number = f"{spec.threshold:g}" if spec.low is None else f"[{spec.low:g}, {spec.threshold:g}]"
    return f"{place}: {number}" if place else number


class LadderReader:
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
        self.regular = looks_regularly(text)

    def _error(self, spec: LevelSpec, message: str, hint: str = "") -> None:
        self.findings.error((*self.path, "levels", spec.level.word), message, hint)

    def ascending(self) -> None:
        """Check that the thresholds ascend with the levels, or descend for a falling rule."""
        for lower, upper in itertools.pairwise(self.specs):
            fault = out_of_order(self.comparison, lower, upper)
            if fault is not None:
                self._error(upper, fault, ORDER)

    def reachable(self, value: Value) -> None:
        """Check that each level can be reached and, with a window, that it is not always so.

        Without a window a level runs out by itself: there, "every reading" is a sensible thing to say.
        """
        bounds = bounds_of(value)
        for spec in self.specs:
            low = -_INFINITE if spec.low is None else spec.low
            pair = f"{spec.threshold:g}" if spec.low is None else f"[{spec.low:g}, {spec.threshold:g}]"
            condition = f"{self.comparison} {pair}"
            if bounds.never(self.comparison, spec.threshold, low):
                self._error(spec, f"{condition} is never so: {value} is {bounds}", "correct the threshold")
            elif self.regular and bounds.always(self.comparison, spec.threshold, low):
                self._error(spec, f"{condition} is always so: {value} is {bounds}", "correct the threshold")

    def clear(self, value: Value | None) -> Clear:
        """Read how levels are left."""
        clear = self.text.clear or ClearText()
        path = (*self.path, "clear")
        margins = self.margins((*path, "margin"), clear.margin)
        hold = self.findings.duration((*path, "for"), clear.hold)
        if self.regular:
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

    def margins(self, path: KeyPath, margin: float | str) -> tuple[float, ...]:
        """Return each rung's margin in units of the value."""
        number = float(margin.rstrip("%")) if isinstance(margin, str) else float(margin)
        if number < 0:
            message = f"a margin of {margin} lies on the wrong side: the level would end while it still applies"
            self.findings.error(path, message, "write it without the minus sign")
        if not isinstance(margin, str):
            return tuple(number for _ in self.specs)
        if number >= _WHOLE:
            message = f"a margin of {margin} leaves nothing of the threshold"
            self.findings.error(path, message, "write a share below 100%")
        return tuple(
            (abs(spec.threshold) if spec.low is None else spec.threshold - spec.low) * number / _WHOLE
            for spec in self.specs
        )

    def _leavable(self, margins: tuple[float, ...], bounds: Bounds) -> None:
        """Check that some value no longer meets each threshold after the margin has moved it."""
        for spec, margin in zip(self.specs, margins, strict=True):
            if spec.low is not None:
                if 2 * margin >= spec.threshold - spec.low:
                    message = f"the margin is too large: nothing is left between {spec.low:g} and {spec.threshold:g}"
                    self.findings.error((*self.path, "clear", "margin"), message, "make the margin smaller")
                    return
                continue
            leave = spec.threshold + (-margin if self.rising else margin)
            if margin > 0 and bounds.always(self.comparison, leave):
                message = (
                    f"the margin is too large: {spec.level.word} would clear "
                    f"{'below' if self.rising else 'above'} {leave:g}, but the value is {bounds}"
                )
                self.findings.error((*self.path, "clear", "margin"), message, "make the margin smaller")
                return
