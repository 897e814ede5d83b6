"""What a rule says, as a frozen value; no state, no evaluation.

A *threshold* rule aggregates a field of a stream over a window per key and climbs the level ladder. Without a window it
looks at each reading by itself. An *absence* rule watches that the registered devices are heard.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from sensord.core.derived import Baseline, Trend
from sensord.core.level import Level
from sensord.core.stream import Stream


class Aggregate(StrEnum):
    """How the readings of a window become one value. ``rate`` is the sum divided by the window, per ``per``."""

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    LAST = "last"
    RATE = "rate"


class Comparison(StrEnum):
    """How a value is held against a threshold."""

    ABOVE = "above"
    AT_LEAST = "at_least"
    BELOW = "below"
    AT_MOST = "at_most"


RISING = (Comparison.ABOVE, Comparison.AT_LEAST)


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """``aggregate(field)``; ``per`` (ns) is the unit of time of ``rate`` and zero otherwise."""

    aggregate: Aggregate
    field: str | None = None
    per: int = 0

    def __str__(self) -> str:
        """Write the value as rules write it."""
        return f"{self.aggregate.value}({self.field or ''})"


class LevelSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rung: ``level`` applies once the comparison has held at every evaluation for ``hold`` (ns; YAML: ``for``)."""

    level: Level
    threshold: float
    hold: int = 0


class Clear(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a level is left: the value must stay beyond threshold -/+ ``margin`` for ``hold`` (ns).

    ``margin`` is in units of the value; the configuration also accepts a share of the threshold.
    """

    margin: tuple[float, ...]
    hold: int


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule. Durations are ns; ``by`` is ``device`` or a place kind; ``levels`` ascend.

    ``where`` maps a label (``class``, ``direction``, ``severity``), a place kind or ``device`` to the accepted words.
    ``window`` 0 means: each reading by itself. ``absent`` > 0 makes it an absence rule: that many periods of silence.
    With ``baseline`` or ``trend`` (never both) the levels are held against what these make of the value.
    """

    id: str
    name: dict[str, str]
    stream: Stream | None
    by: str
    dispatch: str
    levels: tuple[LevelSpec, ...]
    clear: Clear
    comparison: Comparison = Comparison.AT_LEAST
    value: Value | None = None
    where: dict[str, tuple[str, ...]] = {}
    window: int = 0
    every: int = 0
    min_samples: int = 1
    absent: float = 0.0
    baseline: Baseline | None = None
    trend: Trend | None = None
    message: dict[str, str] = {}
    labels: dict[str, str] = {}
    runbook: str = ""

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits of the content's hash: the same text, the same version."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:12]
