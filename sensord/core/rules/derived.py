"""What a rule may put between a window's value and the ladder: how unusual the value is, or where it is heading.

The specifications, as frozen values, and the shape of what carries them out (:mod:`sensord.core.rules.baseline`,
:mod:`sensord.core.rules.trend`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Float64

Bools = NDArray[np.bool_]


class Season(StrEnum):
    """What the usual depends on: the hour of the day (working days and days of rest apart), or of the week as well."""

    DAY = "day"
    WEEK = "week"


class Measure(StrEnum):
    """How the distance from the usual is measured: in spreads (``4 sigma``) or as a multiple (``ratio: 2``)."""

    SIGMA = "sigma"
    RATIO = "ratio"


class Baseline(msgspec.Struct, frozen=True, omit_defaults=True):
    """Levels are held against the distance from what is usual for this key at this hour.

    ``outside``: a value that is too low counts like one that is too high. ``smallest`` (in the value's unit) is the
    least spread, and the least usual value that a ratio is taken of: a lane that is always empty is not in alarm
    over its first visitor. ``learn_from_alarms`` is the greatest share (0..1) that values in alarm may have in what
    is learnt.
    """

    season: Season = Season.WEEK
    measure: Measure = Measure.SIGMA
    outside: bool = False
    smallest: float = 0.0
    learn_from_alarms: float = 0.05


class Trend(msgspec.Struct, frozen=True, omit_defaults=True):
    """Levels are held against the value expected ``within`` (ns) from now, by the slope over the last ``over`` (ns)."""

    within: int
    over: int


class Derivation(Protocol):
    """Turns the values of all keys, pane by pane, into what the ladder sees. State is arrays with keys as last axis."""

    def derive(self, end: int, value: Float64, known: Bools) -> tuple[Float64, Bools]:
        """Return what the ladder sees at the pane's end (ns), and for which keys it is known."""
        ...

    def settle(self, value: Float64, known: Bools, alarmed: Bools) -> None:
        """Learn from the pane, now that the ladder has spoken; called once after each ``derive``."""
        ...

    def shown(self, key: int, value: float, threshold: float | None) -> tuple[float, float | None]:
        """Return (value, threshold) as people read them, from the window's value and the ladder's threshold."""
        ...

    def skip(self, ends: range) -> None:
        """Take it that the panes with these ends (ns) passed with an unknown value."""
        ...

    def learning(self) -> Bools:
        """Return for which keys too little has been seen yet to say anything."""
        ...

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Return the live state arrays by name, for snapshots."""
        ...

    def rescale(self, factor: Float64) -> None:
        """Multiply what was learnt of each key, float64 (keys,): its values come in another unit from now on."""
        ...

    def restored(self) -> None:
        """Recompute what follows from the arrays, after they were filled."""
        ...
