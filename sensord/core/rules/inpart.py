"""What is seen in part: a key of which one sensor is silent or stuck while others are heard.

Each sensor sees a part of its own. What is seen may raise a level, or keep it, when whatever is not seen could only
raise it more; it lowers nothing, for nobody knows what there is to see where the silent sensor is.

::

    value   what is known with a sensor silent                      raises
    sum     at least what is seen                                   where that meets a rung
    total   likewise; also with a sensor that says too little       likewise
    mean    at least what it is if the silent sensor says zero      where that meets a rung
    min     at most what is seen                                    of a rule on little
    else    nothing
"""

from __future__ import annotations

import numpy as np

from sensord.core.batch import Float64, Int64
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.rule import RISING, Aggregate, Comparison, Rule, Value
from sensord.core.stream import SIGNED, STREAMS

GROWS = (Aggregate.COUNT, Aggregate.MAX, Aggregate.LAST, Aggregate.DISTINCT, Aggregate.DELTA, Aggregate.OCCUPANCY)
"""What more readings raise, but never lower.

The last value, and who is inside, may also be too high while an exit is not seen: better a word too many than none.
"""
_UNSIGNED = (Aggregate.SUM, Aggregate.RATE, Aggregate.MEAN, Aggregate.TOTAL)
"""What more readings raise that are never below zero; of the mean, its least."""


class InPart:
    """What a rule over a window can say of what it sees in part.

    ``suffices``: it may raise a level. ``of_each``: the samples are those of the device that has the fewest, and where
    these are too few, what the others say is seen in part. ``missed`` int64 (devices,) is how many readings each device
    that watches has in a window at least, by its period; 0 for the others.
    """

    def __init__(self, rule: Rule, table: KeyTable) -> None:
        assert rule.value is not None
        periods = np.array([device.period for device in table.devices], np.int64)
        self.suffices = _suffices(rule, rule.value)
        self.missed: Int64 = np.where(table.watching, np.maximum(-(-rule.window // periods), 1), 0)
        self.of_each = rule.value.aggregate is Aggregate.TOTAL
        self._averages = self.suffices and rule.value.aggregate is Aggregate.MEAN

    def least(self, value: Float64, samples: Float64, missed: Int64) -> Float64:
        """What each value is at least, with ``missed`` readings that nobody has: of a mean, as if these were zeros."""
        if not self._averages:
            return value
        with np.errstate(invalid="ignore"):
            return np.where(missed > 0, value * (samples / (samples + missed)), value)


def _suffices(rule: Rule, value: Value) -> bool:
    if rule.readings or rule.stream is None or rule.baseline is not None or rule.trend is not None:
        return False
    if rule.comparison not in RISING:
        return value.aggregate is Aggregate.MIN and rule.comparison is not Comparison.OUTSIDE
    if value.aggregate is Aggregate.MEAN and (STREAMS[rule.stream].eventful or not rule.window):
        return False  # nobody knows how many readings there were
    return value.aggregate in GROWS or (value.aggregate in _UNSIGNED and value.field not in SIGNED)
