"""The schema of ``dispatch.yaml``, as people write it; ``plan.py`` gives it its meaning."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from sensord.config.ruletext import LevelWord
from sensord.config.schema import Duration, Entry, Identifier, LocalText, Text

Word = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_-]{0,39}(?!\n)$",
        description="lower-case letters, digits, hyphens and underscores, at most 40",
    ),
]
Clock = Annotated[
    str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9](?!\n)$", description='a time of day in quotes: "08:30"')
]
Moment = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}( ([01][0-9]|2[0-3]):[0-5][0-9])?(?!\n)$",
        description='a local date, or date and time, in quotes: "2026-01-31 18:00"',
    ),
]
DayWord = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "workday", "restday", "holiday"]
AnswerWord = Literal["acknowledged", "on_the_way", "on_the_scene", "dispersed"]
StageWord = Literal["filed", "dispatched", "handling", "supervised", "verifying"]
Share = Annotated[float, Meta(ge=0, le=100)]


class RoleText(Entry, frozen=True, kw_only=True):
    """An audience: what it is called, and what is asked of it (an order, or a request).

    ``approves``: may extend, return and void cases. ``unlimited``: the hourly budget does not hold for it (police).
    ``plates`` is how much of a plate ``{vehicle}`` shows it: ``none``, ``masked`` (沪A·**345), or ``plain``.
    """

    name: LocalText
    ask: LocalText | None = None
    approves: bool = False
    unlimited: bool = False
    plates: Literal["none", "masked", "plain"] = "none"


class StepText(Entry, frozen=True, kw_only=True):
    """Tell these roles once the case has stood at ``at_least`` for ``after``.

    ``until`` drops the step once people have come that far, ``every`` repeats it till then. ``mode``: ``responsible``
    (those who answer for the place), ``nearest`` (the ``count`` nearest who are free, whatever their grid), ``joint``
    (all parties, with one ``lead``), ``replacement`` (stand-ins for those who were told and are silent).
    """

    tell: Annotated[tuple[Word, ...], Meta(min_length=1)]
    at_least: LevelWord = "blue"
    after: Duration = "0s"
    until: AnswerWord | None = None
    every: Duration = "0s"
    mode: Literal["responsible", "nearest", "joint", "replacement"] = "responsible"
    lead: Word | None = None
    count: Annotated[int, Meta(ge=1, le=100)] = 2


class CategoryText(Entry, frozen=True, kw_only=True):
    """What kind of case: two digits of the major and three of the minor class in its code; limits per stage."""

    name: LocalText
    major: Annotated[str, Meta(pattern=r"^[0-9]{2}(?!\n)$", description='two digits, in quotes: "04"')]
    minor: Annotated[str, Meta(pattern=r"^[0-9]{3}(?!\n)$", description='three digits, in quotes: "080"')]
    limits: dict[StageWord, Duration] = msgspec.field(default_factory=dict)


class PolicyText(Entry, frozen=True, kw_only=True):
    """A plan. ``close``: ``when_clear`` (the sensors suffice) or ``after_report`` (a person reports, too).

    ``wait``: a case is filed, and people are told, only when the alert lasts so long (red: at once). ``agree_for``: so
    long must the sensors stay calm before the case closes. ``agree_within``: so soon after somebody's report must they
    be calm; else the case is supervised. ``unreported_after``: a calm case that nobody reports on closes by itself.
    ``everybody_at``: from this level on all steps speak at once. ``link``: open cases below one place of this kind
    are linked. ``supervisors`` hear of what is overdue, disputed, or asked for.
    """

    name: LocalText
    category: Word | None = None
    close: Literal["when_clear", "after_report"] = "when_clear"
    wait: Duration = "0s"
    agree_for: Duration = "0s"
    agree_within: Duration = "5m"
    unreported_after: Duration = "3d"
    everybody_at: LevelWord = "red"
    link: Literal["micro_grid", "compound", "grid", "block"] | None = None
    supervisors: tuple[Word, ...] = ()
    steps: Annotated[tuple[StepText, ...], Meta(min_length=1)]


class ScopeText(Entry, frozen=True, kw_only=True):
    """What a maintenance window covers: all that fits each part that is given. ``up_to``: red only when it is said."""

    places: tuple[Identifier, ...] = ()
    rules: tuple[Text, ...] = ()
    policies: tuple[Word, ...] = ()
    labels: dict[str, Text] = msgspec.field(default_factory=dict)
    people: tuple[Text, ...] = ()
    up_to: LevelWord = "orange"


class MaintenanceText(Entry, frozen=True, kw_only=True):
    """A recurring window in which nobody is told: when, what, until which day, by whom and why."""

    id: Word
    scope: ScopeText
    days: tuple[DayWord, ...] = ()
    start: Clock = msgspec.field(name="from")
    end: Clock = msgspec.field(name="to")
    until: Moment
    by: Text
    reason: Text


class InhibitionText(Entry, frozen=True, kw_only=True):
    """While an alert of ``rules`` stands at ``at_least``, cases of the rules ``mutes`` below its place are not told."""

    rules: Annotated[tuple[Text, ...], Meta(min_length=1)]
    mutes: Annotated[tuple[Text, ...], Meta(min_length=1)]
    at_least: LevelWord = "orange"
    up_to: LevelWord = "orange"


class DampingText(Entry, frozen=True, kw_only=True):
    """How much is said; what one robot may say in a minute is ``per_minute`` of its channel in ``sensord.yaml``.

    ``per_hour``: events told to one person, over however many contacts (0: no limit), ``digest_every``: how long what
    is over it waits; ``storm_at``: from so many messages a minute on, everything but red goes into digests (0: never).
    Calls for help, questions for approval and disagreements never do.
    """

    per_hour: Annotated[int, Meta(ge=0, le=10_000)] = 0
    digest_every: Duration = "30m"
    storm_at: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class ScoreText(Entry, frozen=True, kw_only=True):
    """The quarterly score of a grid or role: the weights of shares of pages and cases, which sum to 100.

    ``acknowledged``, ``arrived``, ``ended``: within ``acknowledge_within``, ``arrive_within``, ``end_within``;
    ``reported``: with somebody's report. ``overdue``, ``disagreed`` and ``returned`` are points taken off per case.
    """

    acknowledged: Share = 40.0
    arrived: Share = 30.0
    ended: Share = 20.0
    reported: Share = 10.0
    acknowledge_within: Duration = "5m"
    arrive_within: Duration = "15m"
    end_within: Duration = "1h"
    overdue: Share = 2.0
    disagreed: Share = 2.0
    returned: Share = 1.0


class ReportText(Entry, frozen=True, kw_only=True):
    """A scheduled report on crowds, vehicles, cases: its files are kept, and the roles ``tell`` hear the main numbers.

    ``every: day`` covers what has passed since the time before: 24 hours with one time ``at``, a shift with several.
    ``week`` (on Mondays) and ``quarter`` cover the calendar week or quarter that has ended, and have one time.
    """

    id: Word
    at: Annotated[tuple[Clock, ...], Meta(min_length=1, max_length=24)] = ("08:00",)
    every: Literal["day", "week", "quarter"] = "day"
    tell: Annotated[tuple[Word, ...], Meta(min_length=1)]


class DispatchFile(Entry, frozen=True, kw_only=True):
    """``dispatch.yaml`` as a whole. ``district``: the six digits with which case codes begin.

    ``built_in``: by which policy each built-in rule is told (``docs/cases.md`` lists them), and all ``others``.
    """

    MOVED: ClassVar[dict[str, str]] = {"daily": 'write reports: [{id: morning, at: ["08:00"], tell: [...]}]'}

    roles: Annotated[dict[Word, RoleText], Meta(min_length=1)]
    policies: Annotated[dict[Word, PolicyText], Meta(min_length=1)]
    district: Annotated[str, Meta(pattern=r"^[0-9]{6}(?!\n)$", description='six digits, in quotes: "310106"')] = (
        "000000"
    )
    categories: dict[Word, CategoryText] = msgspec.field(default_factory=dict)
    inhibitions: tuple[InhibitionText, ...] = ()
    maintenance: tuple[MaintenanceText, ...] = ()
    built_in: dict[Word, Word] = msgspec.field(default_factory=dict)
    damping: DampingText = msgspec.field(default_factory=DampingText)
    reports: tuple[ReportText, ...] = ()
    score: ScoreText = msgspec.field(default_factory=ScoreText)
