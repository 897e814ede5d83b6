"""The day of a street: how busy it is at which hour. Shapes only, each with a mean of one over the day.

The curves are illustrative (a residential area with two peaks), not measured.
"""

from __future__ import annotations

import numpy as np

from sensord.core.batch import Float64, Int64
from sensord.core.instant import DAY, HOUR

_PEOPLE = (1, 1, 1, 1, 1, 3, 7, 12, 11, 9, 9, 9, 8, 7, 8, 9, 11, 14, 14, 12, 9, 6, 3, 2)
_VEHICLES = (2, 1, 1, 1, 1, 3, 8, 14, 12, 8, 7, 7, 8, 7, 7, 8, 10, 14, 13, 10, 8, 6, 4, 3)
_INWARD = (60, 55, 50, 50, 45, 30, 22, 22, 30, 42, 48, 50, 52, 50, 50, 54, 60, 70, 74, 72, 70, 68, 66, 64)
"""Per cent of the vehicles that drive in, by hour."""


def _scaled(hours: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(value * len(hours) / sum(hours) for value in hours)


PEOPLE = _scaled(_PEOPLE)
VEHICLES = _scaled(_VEHICLES)
INWARD = tuple(value / 100 for value in _INWARD)


def at_hour(curve: tuple[float, ...], instant: int, offset: int) -> float:
    """Read a curve at an instant, between the hours linearly; ``offset`` (ns) is local time minus UTC."""
    hour, rest = divmod((instant + offset) % DAY, HOUR)
    share = rest / HOUR
    return curve[hour] * (1 - share) + curve[(hour + 1) % len(curve)] * share


def at_hours(curve: tuple[float, ...], instants: Int64, offset: int) -> Float64:
    """As :func:`at_hour`, for many instants at once."""
    hour, rest = np.divmod((instants + offset) % DAY, HOUR)
    values, share = np.array(curve), rest / HOUR
    mixed: Float64 = values[hour] * (1 - share) + values[(hour + 1) % len(curve)] * share
    return mixed


def is_weekend(instants: Int64, offset: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether instants lie on a Saturday or Sunday, local time; day 0 of the epoch was a Thursday."""
    weekend: np.ndarray[tuple[int], np.dtype[np.bool_]] = ((instants + offset) // DAY + 3) % 7 >= 5
    return weekend
