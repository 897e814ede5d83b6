"""The schema of rule files, as people write them; ``rules.py`` gives it its meaning.

A rule is either a *threshold* rule (``value`` and ``levels``) or an *absence* rule (``absent`` and
``level``).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sensord.config.schema import Duration, Entry, LocalText, Text

LevelWord = Literal["blue", "yellow", "orange", "red"]
StreamWord = Literal["crowd", "plate", "level", "report", "status", "visit"]
KeyWord = Literal["device", "lane", "gate", "compound", "micro_grid", "grid", "block", "street"]
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


class Rung(Entry, frozen=True, kw_only=True):
    """One level of a rule: exactly one comparison, the same on every level.

    ``for`` is how long the comparison must hold before the level applies. With ``baseline`` the comparisons take
    spreads (``above: 4 sigma``, ``outside: 4 sigma`` for too high or too low), or ``ratio: 2`` stands for twice the
    usual and ``ratio: 0.5`` for half of it.
    """

    above: Threshold | Sigma | None = None
    at_least: Threshold | Sigma | None = None
    below: Threshold | Sigma | None = None
    at_most: Threshold | Sigma | None = None
    outside: Sigma | None = None
    ratio: Annotated[float, Meta(gt=0, le=1000, description="a multiple of the usual")] | None = None
    hold: Duration = msgspec.field(default="0s", name="for")


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
    ``smallest`` is the least spread that counts, in the unit of the value. ``learn_from_alarms`` is the greatest
    share that values in alarm may have in what is learnt.
    """

    season: Literal["day", "week"] = "week"
    smallest: Annotated[float, Meta(ge=0)] | None = None
    learn_from_alarms: Part = "5%"


class TrendText(Entry, frozen=True, kw_only=True):
    """Warn one level lower when a level's threshold will be crossed ``within`` so long.

    The forecast is the straight line through the values of the last ``over``; without it the rule looks as far back
    as ahead.
    """

    within: Duration
    over: Duration | None = None


class RuleText(Entry, frozen=True, kw_only=True):
    """One rule.

    ``where`` restricts by a label of the stream (``class``, ``direction``, ``severity``), a kind of place or
    ``device``; ``by`` says what each alert is about; ``value`` is ``count()``, ``sum(f)``, ``mean(f)``,
    ``min(f)``, ``max(f)``, ``last(f)`` or ``rate(f, 1m)``; ``window`` is the stretch of time that it looks at
    (absent: each reading by itself) and ``every`` how often it is looked at; ``dispatch`` names a policy of
    ``dispatch.yaml``. ``message`` may use ``{place}``, ``{grid}``, ``{level}``, ``{value}``, ``{threshold}``,
    ``{rule}``, ``{time}``, ``{samples}``, ``{device}``.
    """

    id: RuleId
    name: LocalText
    stream: StreamWord | None = None
    where: dict[str, str | tuple[str, ...]] = msgspec.field(default_factory=dict)
    by: KeyWord
    value: Text | None = None
    window: Duration | None = None
    every: Duration | None = None
    min_samples: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    levels: Levels | None = None
    clear: ClearText | None = None
    baseline: BaselineText | None = None
    trend: TrendText | None = None
    absent: AbsentText | None = None
    level: LevelWord | None = None
    dispatch: Text
    message: LocalText | None = None
    labels: dict[LabelName, Text] = msgspec.field(default_factory=dict)
    runbook: Annotated[str, Meta(max_length=2000, description="what to do, or a link to it")] = ""


class RulesFile(Entry, frozen=True, kw_only=True):
    """A rule file as a whole; the folder may hold any number of them."""

    rules: tuple[RuleText, ...]
