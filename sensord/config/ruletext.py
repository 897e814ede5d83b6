"""The schema of rule files, as people write them; ``rules.py`` gives it its meaning.

A rule has ``value`` and ``levels`` (*threshold*), or one ``level`` and either ``absent``, ``stuck``, or the names of
other rules (``all``, ``any``, ``sequence``, ``after`` with ``not``).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sensord.config.schema import Duration, Entry, LocalText, Text

LevelWord = Literal["blue", "yellow", "orange", "red"]
StreamWord = Literal["crowd", "plate", "level", "report", "status", "visit"]
KeyWord = Literal[
    "device",
    "lane",
    "gate",
    "compound",
    "micro_grid",
    "grid",
    "block",
    "street",
    "place",
    "class",
    "direction",
    "severity",
    "event",
    "province",
    "energy",
    "list",
]
RuleId = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9-]{0,63}(?!\n)$",
        description="a rule id: lower-case letters, digits and hyphens, at most 64",
    ),
]
LabelName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_]{0,39}(?!\n)$",
        description="a label: lower-case letters, digits and underscores",
    ),
]
Share = Annotated[
    str, Meta(pattern=r"^-?[0-9]{1,6}(\.[0-9]{1,6})?%(?!\n)$", description="a share of the threshold: 10%")
]
Levels = Annotated[
    dict[LevelWord, "Rung"],
    Meta(min_length=1, extra_json_schema={"propertyNames": {"enum": ["blue", "yellow", "orange", "red"]}}),
]
Threshold = Annotated[float, Meta(description="in the unit of the rule's value")]
Sigma = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,3}(\.[0-9]{1,3})? sigma(?!\n)$",
        description="a distance from the usual, in spreads: 4 sigma",
    ),
]
Part = Annotated[str, Meta(pattern=r"^[0-9]{1,3}(\.[0-9]{1,3})?%(?!\n)$", description="a share: 5%")]
Pair = tuple[float, ...]
"""A lower and an upper threshold. (Unions hold plain types: msgspec 0.22 breaks the heap on a text with a pattern
beside a list. Their limits are checked by the readers.)"""
Hold = Annotated[
    str,
    Meta(
        pattern=r"^(([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+|[0-9]{1,3} +of +[0-9]{1,3})(?!\n)$",
        description="a duration (30s), or how many of the last evaluations (3 of 5)",
    ),
]
Stretch = Annotated[
    str,
    Meta(
        pattern=r"^((session +)?([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+|[0-9]{1,5} +readings)(?!\n)$",
        description="a stretch of time (10m), a session (session 5m) or a number of readings (20 readings)",
    ),
]


class Rung(Entry, frozen=True, kw_only=True):
    """One level of a rule: exactly one comparison, the same on every level.

    ``for`` is how long the comparison must hold before the level applies, or at how many of the last evaluations
    (``3 of 5``). ``outside`` takes a lower and an upper threshold. With ``baseline`` the comparisons take
    spreads (``above: 4 sigma``, ``outside: 4 sigma`` for too high or too low), or ``ratio: 2`` stands for twice the
    usual and ``ratio: 0.5`` for half of it.
    """

    above: Threshold | Sigma | None = None
    at_least: Threshold | Sigma | None = None
    below: Threshold | Sigma | None = None
    at_most: Threshold | Sigma | None = None
    outside: str | Pair | None = None
    ratio: Annotated[float, Meta(gt=0, le=1000, description="a multiple of the usual")] | None = None
    hold: Hold = msgspec.field(default="0s", name="for")


class ClearText(Entry, frozen=True, kw_only=True):
    """How a level is left: how far beyond the threshold, for how long.

    ``margin`` is in the unit of the value, or a share of each level's threshold (``10%``).
    """

    margin: Threshold | Share = 0.0
    hold: Duration = msgspec.field(default="0s", name="for")


class AbsentText(Entry, frozen=True, kw_only=True):
    """After how many of its periods a device counts as silent."""

    periods: Annotated[float, Meta(ge=1, le=1000)]


class BaselineText(Entry, frozen=True, kw_only=True):
    """What is usual is learnt by itself; the levels say how far from it is too far.

    ``season: day`` knows the hours of working days and of days of rest; ``week`` knows the hours of the week, too.
    ``smallest`` is the least spread, and the least usual value that a ratio is taken of.
    ``learn_from_alarms`` is the greatest share that values in alarm may have in what is learnt.
    """

    season: Literal["day", "week"] = "week"
    smallest: Annotated[float, Meta(ge=0)] | None = None
    learn_from_alarms: Part = "5%"


class TrendText(Entry, frozen=True, kw_only=True):
    """Warn one level lower when a level's threshold will be crossed ``within`` so long.

    The forecast is a straight line: whether the value rises at all is asked of the last ``over``, how steeply of its
    newest third. Without it the rule looks as far back as ahead.
    """

    within: Duration
    over: Duration | None = None


class StuckText(Entry, frozen=True, kw_only=True):
    """How long a field may stay within ``tolerance`` of one value (``for``), and be exactly zero (``zero_for``)."""

    field: Text
    hold: Duration | None = msgspec.field(default=None, name="for")
    zero_for: Duration | None = None
    tolerance: Annotated[float, Meta(ge=0, description="in the unit of the field")] = 0.0


class ActiveText(Entry, frozen=True, kw_only=True):
    """When a rule is active: on ``days`` but not on the days of ``except``, during ``hours`` of the day.

    Days are ``mon`` to ``sun``, ``workday``, ``restday``, ``holiday`` (Chinese public holidays and make-up workdays are
    known), or a list of days of the calendar file. Hours may cross midnight: they belong to the day they begin on.
    """

    days: tuple[Text, ...] = ()
    apart: tuple[Text, ...] = msgspec.field(default=(), name="except")
    hours: str | tuple[str, ...] = ()


class FlappingText(Entry, frozen=True, kw_only=True):
    """Damping: a key raised so often ``within`` a time is flapping, and stays up until calm for ``hold``."""

    raises: Annotated[int, Meta(ge=2, le=20)]
    within: Duration
    hold: Duration


class PartText(Entry, frozen=True, kw_only=True):
    """A rule that a combination looks at, from a level on."""

    rule: RuleId
    at_least: LevelWord = "blue"


Parts = tuple[str | PartText, ...]
OwnLevels = Annotated[
    dict[LevelWord, float | Pair],
    Meta(min_length=1, extra_json_schema={"propertyNames": {"enum": ["blue", "yellow", "orange", "red"]}}),
]


class RuleText(Entry, frozen=True, kw_only=True):
    """One rule.

    ``where`` restricts by a label of the stream (``class``, ``direction``, ``severity``), a kind of place or
    ``device``; ``by`` says what each alert is about: a kind of place, ``device``, ``place`` (the one that a
    finding names), a label, or a list of a place and labels (``[gate, class]``). ``value`` is ``count()``,
    ``sum(f)``, ``mean(f)``, ``min(f)``, ``max(f)``, ``last(f)``, ``first(f)``, ``rate(f, 1m)``, ``delta(f)``,
    ``distinct(f)``, ``percentile(f, 95)``, ``stddev(f)``, ``slope(f, 1h)``, ``total(f)`` or ``occupancy(04:00)``;
    ``percent_of`` makes it a percentage of the place's ``capacity`` or ``parking``. ``each: vehicle``, or ``finding``,
    tells of every one, also while the alert is active already. ``window`` is what it looks at (absent: each reading by
    itself) and ``every`` how often; ``overrides`` are other thresholds by place or device, or the name of a CSV
    file of them; ``dispatch`` names a policy of ``dispatch.yaml``.
    ``message`` may use ``{place}``, ``{grid}``, ``{level}``, ``{value}``, ``{threshold}``, ``{rule}``, ``{time}``,
    ``{samples}``, ``{device}``, ``{vehicle}``, ``{spaces}`` (the nearest free
    parking spaces).
    """

    id: RuleId
    name: LocalText
    stream: StreamWord | None = None
    where: dict[str, str | tuple[str, ...]] = msgspec.field(default_factory=dict)
    by: KeyWord | tuple[KeyWord, ...]
    value: Text | None = None
    percent_of: Literal["capacity", "parking"] | None = None
    each: Literal["vehicle", "finding"] | None = None
    window: Stretch | None = None
    every: Duration | None = None
    min_samples: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    levels: Levels | None = None
    clear: ClearText | None = None
    overrides: dict[str, OwnLevels] | str | None = None
    flapping: FlappingText | None = None
    active: ActiveText | tuple[ActiveText, ...] = ()
    baseline: BaselineText | None = None
    trend: TrendText | None = None
    absent: AbsentText | None = None
    stuck: StuckText | None = None
    all_of: Parts | None = msgspec.field(default=None, name="all")
    any_of: Parts | None = msgspec.field(default=None, name="any")
    sequence: Parts | None = None
    after: str | PartText | None = None
    missing: str | PartText | None = msgspec.field(default=None, name="not")
    within: Duration | None = None
    level: LevelWord | None = None
    dispatch: Text
    message: LocalText | None = None
    labels: dict[LabelName, Text] = msgspec.field(default_factory=dict)
    runbook: Annotated[
        LocalText | Annotated[str, Meta(max_length=500)], Meta(description="what to do, or a link to it")
    ] = ""


class RulesFile(Entry, frozen=True, kw_only=True):
    """A rule file as a whole; the folder may hold any number of them."""

    rules: tuple[RuleText, ...]
