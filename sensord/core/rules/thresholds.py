"""The thresholds of a rule, key by key: the rule's own, or those of the nearest override."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64
from sensord.core.place import PlaceKind, Places
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.rule import RISING, Capacity, Comparison, LevelSpec, Override, Rule

Bools = NDArray[np.bool_]

NEAREST = (
    PlaceKind.LANE,
    PlaceKind.GATE,
    PlaceKind.MICRO_GRID,
    PlaceKind.COMPOUND,
    PlaceKind.GRID,
    PlaceKind.BLOCK,
    PlaceKind.STREET,
)
"""Which place of a key's path decides first."""


class Thresholds:
    """``enter`` and ``leave`` float64 (rungs, keys): where a rung begins to apply, and where it no longer does.

    ``outside`` rules have a lower pair, too: ``enter_low`` and ``leave_low``. ``easiest`` and ``easiest_low`` float64
    (keys,) are where the first of all rungs applies: overrides of several places may give a key a graver one below the
    lowest.
    """

    def __init__(self, rule: Rule, keys: int, table: KeyTable | None = None, places: Places | None = None) -> None:
        self.comparison = rule.comparison
        shape = (len(rule.levels), keys)
        self.enter, self.leave = np.empty(shape), np.empty(shape)
        self.enter_low, self.leave_low = np.full(shape, -np.inf), np.full(shape, -np.inf)
        for index, (rung, margin) in enumerate(zip(rule.levels, rule.clear.margin, strict=True)):
            self._set(index, slice(None), rung, margin)
        if rule.overrides and table is not None and places is not None:
            self._override(rule, table, places)
        falling = self.comparison in (Comparison.BELOW, Comparison.AT_MOST)
        self.easiest = self.enter.max(axis=0) if falling else self.enter.min(axis=0)
        self.easiest_low = self.enter_low.max(axis=0)

    def _set(self, index: int, key: slice | int, rung: LevelSpec, margin: float) -> None:
        down = self.comparison in RISING or self.comparison is Comparison.OUTSIDE
        self.enter[index, key] = rung.threshold
        self.leave[index, key] = rung.threshold - margin if down else rung.threshold + margin
        if rung.low is not None:
            self.enter_low[index, key], self.leave_low[index, key] = rung.low, rung.low + margin

    def _override(self, rule: Rule, table: KeyTable, places: Places) -> None:
        by_place = {override.place: override for override in rule.overrides}
        for key, (device, place) in enumerate(zip(table.devices_of, table.places, strict=True)):
            found = applying(by_place, device, place, places)
            for index, rung in enumerate(rule.levels):
                own = next(
                    (pair for override in found for pair in _pairs(override) if pair[0].level == rung.level), None
                )
                if own is not None:
                    self._set(index, key, *own)

    def of_key(self, rule: Rule, key: int) -> Rule:
        """The rule as it reads for one key: with the thresholds and margins that apply there."""
        levels = []
        for index, rung in enumerate(rule.levels):
            low = None if rung.low is None else float(self.enter_low[index, key])
            levels.append(msgspec.structs.replace(rung, threshold=float(self.enter[index, key]), low=low))
        margins = np.abs(self.leave[:, key] - self.enter[:, key]).tolist()
        clear = msgspec.structs.replace(rule.clear, margin=tuple(margins))
        return msgspec.structs.replace(rule, levels=tuple(levels), clear=clear)

    def meets(self, index: int, value: Float64) -> Bools:
        """Whether each key's value meets the rung."""
        return compare(self.comparison, value, self.enter[index], self.enter_low[index])

    def meets_any(self, value: Float64) -> Bools:
        """Whether each key's value, (keys,) or (evaluations, keys), meets at least one rung."""
        return compare(self.comparison, value, self.easiest, self.easiest_low)

    def keeps(self, index: int, value: Float64) -> Bools:
        """Whether each key's value still keeps the rung up: it has not passed the threshold by the margin."""
        return compare(self.comparison, value, self.leave[index], self.leave_low[index])

    def of(self, index: int, key: int, value: float) -> float:
        """The threshold that ``value`` is held against: of ``outside``, the one on its side."""
        low, high = float(self.enter_low[index, key]), float(self.enter[index, key])
        return low if value < low or (np.isfinite(low) and value - low < high - value) else high


def applying(by_place: Mapping[str, Override], device: str, place: str, places: Places) -> list[Override]:
    """Which of the overrides apply to a key, the nearest first; ``device`` is empty for a key that is a place."""
    path = places.path(place)
    order = [device, *(path[kind] for kind in NEAREST if kind in path)]
    return [by_place[name] for name in order if name in by_place]


def _pairs(override: Override) -> list[tuple[LevelSpec, float]]:
    return list(zip(override.levels, override.margin, strict=True))


def compare(comparison: Comparison, value: Float64, threshold: Float64 | float, low: Float64 | float) -> Bools:
    """Hold values against thresholds; ``low`` is used by ``outside`` only."""
    result: Bools
    if comparison is Comparison.OUTSIDE:
        result = (value < low) | (value > threshold)
    else:
        result = _COMPARE[comparison](value, threshold)
    return result


_COMPARE = {
    Comparison.ABOVE: np.greater,
    Comparison.AT_LEAST: np.greater_equal,
    Comparison.BELOW: np.less,
    Comparison.AT_MOST: np.less_equal,
}


def capacities(kind: Capacity, table: KeyTable, places: Places) -> Float64:
    """Per key, what 100 % is; NaN where the place does not say."""
    amounts = [
        place.parking if kind is Capacity.PARKING else place.capacity
        for place in (places.by_id[place] for place in table.places)
    ]
    return np.array([amount or np.nan for amount in amounts], np.float64)
