"""What a rule says, as a frozen value; no state, no evaluation.

A *threshold* rule turns the readings of a window, per key, into a value and climbs the level ladder; without a window
it looks at each reading by itself. An *absence* rule watches that the registered devices are heard, a *stuck* rule
that what they say moves, and a *combination* looks at the alerts of other rules.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from sensord.core.level import Level
from sensord.core.rules.derived import Baseline, Trend
from sensord.core.schedule import Active
from sensord.core.stream import PRESENCE, STREAMS, Stream


class Aggregate(StrEnum):
    """How the readings of a window become one value; ``docs/rules.md`` defines each."""

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    LAST = "last"
    FIRST = "first"
    RATE = "rate"
    DELTA = "delta"
    DISTINCT = "distinct"
    PERCENTILE = "percentile"
    STDDEV = "stddev"
    SLOPE = "slope"
    OCCUPANCY = "occupancy"
    TOTAL = "total"


class Comparison(StrEnum):
    """How a value is held against a threshold (``outside``: against a lower and an upper one)."""

    ABOVE = "above"
    AT_LEAST = "at_least"
    BELOW = "below"
    AT_MOST = "at_most"
    OUTSIDE = "outside"


RISING = (Comparison.ABOVE, Comparison.AT_LEAST)


class Capacity(StrEnum):
    """What a value can be a percentage of: how many people a place holds, or how many parking spaces it has."""

    CAPACITY = "capacity"
    PARKING = "parking"


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """``aggregate(field)``.

    ``per`` (ns) is the unit of time of ``rate`` and ``slope``, ``rank`` the percentage of ``percentile``, ``anchor``
    (ns after local midnight) the time of day at which ``occupancy`` starts from zero; each is zero elsewhere.
    """

    aggregate: Aggregate
    field: str | None = None
    per: int = 0
    rank: float = 0.0
    anchor: int = 0

    def __str__(self) -> str:
        """Write the value as rules write it."""
        return f"{self.aggregate.value}({self.field or ''})"


class LevelSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rung: ``level`` applies once the comparison has held at every evaluation for ``hold`` (ns; YAML: ``for``).

    With ``needed`` > 0 it applies once the comparison has held at ``needed`` of the last ``among`` evaluations
    (YAML: ``for: 3 of 5``). ``low`` is the lower bound of ``outside``, whose upper one is ``threshold``.
    """

    level: Level
    threshold: float
    hold: int = 0
    low: float | None = None
    needed: int = 0
    among: int = 0


class Clear(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a level is left: the value must stay beyond threshold -/+ ``margin`` for ``hold`` (ns).

    ``margin`` is in units of the value; the configuration also accepts a share of the threshold.
    """

    margin: tuple[float, ...]
    hold: int


class Override(msgspec.Struct, frozen=True, omit_defaults=True):
    """Other thresholds for one place and all below it, or for one device: rungs with their clear margins.

    The nearest place that gives a level decides that level's threshold; ``for`` stays the rule's own.
    """

    place: str
    levels: tuple[LevelSpec, ...]
    margin: tuple[float, ...]


class Flapping(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key that was raised ``raises`` times ``within`` (ns) is flapping: it stays up for ``hold`` (ns) at least.

    Raising and escalating are never delayed; only leaving a level is, for at most ``hold``.
    """

    raises: int
    within: int
    hold: int


class Stuck(msgspec.Struct, frozen=True, omit_defaults=True):
    """How long (ns; 0: not watched) ``field`` may stay within ``tolerance``, and how long it may be exactly zero."""

    field: str
    hold: int
    zero: int
    tolerance: float = 0.0


class Logic(StrEnum):
    """How a combination looks at its parts."""

    ALL = "all"
    ANY = "any"
    SEQUENCE = "sequence"
    MISSING = "missing"
    """``after`` A, ``not`` B: the second part did not follow the first."""


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule that a combination looks at: its alert counts from the level ``at_least`` on."""

    rule: str
    at_least: Level = Level.BLUE


class Combination(msgspec.Struct, frozen=True, omit_defaults=True):
    """Alerts of other rules at a common place, ``within`` (ns) of each other."""

    logic: Logic
    parts: tuple[Part, ...]
    within: int


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule. Durations are ns; ``by`` is ``device`` or a place kind; ``levels`` ascend.

    ``split`` names labels that make keys of their own (``by: [gate, class]``). ``where`` maps a label, a place kind or
    ``device`` to the accepted words. The window is the last ``window`` ns, the current session (readings no further
    apart than ``session`` ns) or the last ``readings`` readings; without any: each reading by itself. ``absent`` > 0
    makes it an absence rule: that many periods of silence. With ``baseline`` or ``trend`` (never both) the levels are
    held against what these make of the value. ``each`` (rules without a window): while an alert is active, every other
    vehicle, or finding, that meets it is told of, too.
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
    split: tuple[str, ...] = ()
    window: int = 0
    session: int = 0
    readings: int = 0
    every: int = 0
    min_samples: int = 1
    percent_of: Capacity | None = None
    each: bool = False
    overrides: tuple[Override, ...] = ()
    flapping: Flapping | None = None
    active: tuple[Active, ...] = ()
    absent: float = 0.0
    baseline: Baseline | None = None
    trend: Trend | None = None
    stuck: Stuck | None = None
    combination: Combination | None = None
    message: dict[str, str] = {}
    labels: dict[str, str] = {}
    runbook: dict[str, str] | str = ""

    @property
    def on_presence(self) -> bool:
        """Whether it is about how many vehicles are inside, and not about single ones."""
        return self.stream is Stream.VISIT and self.value is not None and self.value.field in PRESENCE

    @property
    def lasting(self) -> bool:
        """Whether what it is about goes on though nobody looks: no event by itself, and no device's own state."""
        if self.combination is not None:
            return True
        eventful = self.stream is not None and STREAMS[self.stream].eventful
        return self.value is not None and (self.every > 0 or not eventful)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits of the content's hash: the same text, the same version."""
        return _digest(self)

    @property
    def gathering(self) -> str:
        """The hash of what the rule's windows depend on: with the same, they are carried over when it changes."""
        return _digest(msgspec.structs.replace(self, **_JUDGING, **_TELLING))

    @property
    def judging(self) -> str:
        """The hash of all that decides about a level: with the same, running clocks are carried over, too."""
        return _digest(msgspec.structs.replace(self, **_TELLING))

    @property
    def subject(self) -> str:
        """What the rule is about: with the same, its active alerts go on when it changes."""
        kind = "absent" if self.absent else "stuck" if self.stuck else "combined" if self.combination else "value"
        windowed = "window" if self.every else "reading"
        return " ".join((kind, windowed, str(self.stream), self.by, *self.split))


_TELLING: dict[str, object] = {"name": {}, "dispatch": "", "message": {}, "labels": {}, "runbook": ""}
"""What only says how an alert is told."""
_JUDGING: dict[str, object] = {
    "levels": (),
    "clear": Clear((), 0),
    "comparison": Comparison.AT_LEAST,
    "min_samples": 1,
    "percent_of": None,
    "each": False,
    "overrides": (),
    "flapping": None,
    "active": (),
}
"""What turns the window's value into a level."""


def _digest(rule: Rule) -> str:
    return hashlib.sha256(msgspec.json.encode(rule, order="deterministic")).hexdigest()[:12]
