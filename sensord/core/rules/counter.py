"""Cumulative counters: what was added between two readings of a device.

What a counter that fell means (people counters in the field wrap at 65,535 and start again at local midnight):

=======================================  ==========================================  =====================
what is seen                             what happened                               added
=======================================  ==========================================  =====================
a later local day                        the daily reset at midnight                 the new reading
from the top quarter of 16 bits into     the counter wrapped                         65,536 - old + new
the bottom quarter, the same local day
anything else                            the device restarted, or was reset          the new reading
=======================================  ==========================================  =====================

A device's first reading adds nothing that is known. A reading that is not newer (by event time) than the device's last
one adds nothing and changes nothing: it was overtaken, and what it held is in the newer one.
"""

from __future__ import annotations

import numpy as np

from sensord.core.batch import Float64, Int32, Int64, by_number
from sensord.core.instant import DAY

SPAN = 65_536.0
_TOP, _BOTTOM = 0.75 * SPAN, 0.25 * SPAN
_NEVER = np.iinfo(np.int64).min


class Counters:
    """The last reading of each device: ``at`` int64 ns and ``value`` float64, both (devices,)."""

    def __init__(self, devices: int, offset: int) -> None:
        self._offset = offset
        self.at: Int64 = np.full(devices, _NEVER)
        self.value: Float64 = np.full(devices, np.nan)

    def added(self, device: Int32, event_at: Int64, values: Float64) -> Float64:
        """Return what each reading (in arrival order) added; NaN where that is not known. Remembers the newest."""
        if not len(device):
            return np.empty(0)
        order = by_number(device)
        ordered, at, value = device[order], event_at[order], values[order]
        fresh = self._newer(ordered, at)
        rows = order[fresh]
        ordered, at, value = ordered[fresh], at[fresh], value[fresh]
        first = np.ones(len(ordered), np.bool_)
        first[1:] = ordered[1:] != ordered[:-1]
        before_at = np.where(first, self.at[ordered], np.roll(at, 1))
        before = np.where(first, self.value[ordered], np.roll(value, 1))
        result = np.full(len(device), np.nan)
        result[rows] = self._difference(before_at, before, at, value)
        last = np.ones(len(ordered), np.bool_)
        last[:-1] = ordered[1:] != ordered[:-1]
        self.at[ordered[last]], self.value[ordered[last]] = at[last], value[last]
        return result

    def _newer(self, device: Int32, at: Int64) -> Int64:
        """Positions of the readings that are newer than all before them of the same device (sorted by device)."""
        first = np.r_[True, device[1:] != device[:-1]]
        before = np.where(first, self.at[device], np.roll(at, 1))
        fresh = at > before
        if not fresh.all():
            starts = np.flatnonzero(first)
            ends = np.append(starts[1:], len(device))
            # Only where something was overtaken is it necessary to look at every reading.
            for group in np.unique(np.searchsorted(starts, np.flatnonzero(~fresh), side="right") - 1):
                start, end = starts[group], ends[group]
                newest = np.maximum.accumulate(np.r_[self.at[device[start]], at[start:end]])
                fresh[start:end] = at[start:end] > newest[:-1]
        return np.flatnonzero(fresh)

    def _difference(self, before_at: Int64, before: Float64, at: Int64, value: Float64) -> Float64:
        same_day = (before_at + self._offset) // DAY == (at + self._offset) // DAY
        wrapped = same_day & (before >= _TOP) & (before < SPAN) & (value < _BOTTOM)
        fallen = np.where(wrapped, SPAN - before + value, value)
        return np.where(np.isnan(before), np.nan, np.where(value >= before, value - before, fallen))
