"""What came of a recording under one set of rules: alerts from beginning to end, cases, pages, answers.

All times are ns. Nothing here depends on how the recording was cut.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sensord.core.alert import Change, Transition
from sensord.core.cases.case import Happening
from sensord.core.cases.notification import Reason
from sensord.core.level import Level
from sensord.core.people.duty import Duty, DutyTable
from sensord.core.place import PlaceKind
from sensord.core.rules.rule import Rule
from sensord.core.site import Site, Step
from sensord.core.stream import Stream
from sensord.drivers.failures import sentence

ENDED = (Reason.CASE_CLOSED, Reason.CASE_VOID)
"""Good news pages nobody."""
SILENCE, STUCK = "_silence", "_stuck"
"""Endings of what is found by rules that watch for silence, and for sensors that stand still."""
DETECTS = "detects"
"""A rule's label that names the kinds of incident it is meant to find, separated by spaces."""


class RuleInfo(msgspec.Struct, frozen=True):
    """A rule as reports speak of it. ``kinds`` are the kinds of incident that it is meant to find."""

    id: str
    version: str
    name: dict[str, str]
    policy: str
    kinds: tuple[str, ...]


class PlaceInfo(msgspec.Struct, frozen=True):
    """A place as reports speak of it; ``within`` are the ids of all places at or above it, ``own`` its names alone."""

    name: dict[str, str]
    grid: str
    within: tuple[str, ...]
    own: tuple[str, ...] = ()


class Episode(msgspec.Struct):
    """One alert from raised to cleared.

    ``end`` 0: still active at the recording's end. ``value`` is that at which the level last rose.
    """

    rule: str
    key: str
    place: str
    start: int
    end: int
    peak: Level
    value: float | None

    def until(self, end: int) -> int:
        """When it ended, at the latest with the recording."""
        return self.end or end


class Page(msgspec.Struct, frozen=True):
    """One person told of one event of a case, whatever the number of channels.

    ``shift`` is the roster's in which the person was on duty: "" for who has none (or stood in), None when off duty.
    """

    at: int
    receiver: str
    role: str
    level: Level
    reason: str
    place: str
    shift: str | None = ""


class CaseSummary(msgspec.Struct):
    """A case, from opened to closed (0: still open); ``answers`` are the verbs of those who answered."""

    id: str
    place: str
    policy: str
    rule: str
    opened: int
    closed: int
    peak: Level
    answers: list[str]


class Outcome(msgspec.Struct):
    """Everything that one set of rules made of a recording.

    ``shifts`` are the roster's, by id: start and end in minutes after local midnight.
    ``failures`` are mistakes of ours that kept something from being handled, by what is said of them, and how often.
    """

    name: str
    zone: str
    start: int
    end: int
    readings: int
    rules: dict[str, RuleInfo]
    places: dict[str, PlaceInfo]
    episodes: list[Episode]
    cases: list[CaseSummary]
    pages: list[Page]
    shifts: dict[str, tuple[int, int]] = {}
    failures: dict[str, int] = {}

    @property
    def weeks(self) -> float:
        """The length of the recording in weeks."""
        return max((self.end - self.start) / (7 * 86_400 * 1e9), 1e-9)


class Collector:
    """Listens to the steps of one site; ``outcome`` is complete after the last one."""

    def __init__(self, name: str, site: Site) -> None:
        self._site = site
        self.outcome = Outcome(name, "", 0, 0, 0, {}, {}, [], [], [])
        self._open: dict[tuple[str, str], Episode] = {}
        self._cases: dict[str, CaseSummary] = {}
        self._told: dict[str, set[tuple[str, str]]] = {}
        self._duty = DutyTable(Duty(), {}, "UTC")

    def take(self, step: Step) -> None:
        """Take one step."""
        if step.definition:
            self._define()
        outcome = self.outcome
        outcome.start, outcome.end = outcome.start or step.at, max(outcome.end, step.at)
        outcome.readings += sum(
            amount for (_, result), amount in step.counts.items() if result in ("accepted", "late", "duplicate")
        )
        for transition in step.transitions:
            self._transition(transition)
        for event in step.events:
            self._event(event.case, event.place, event.policy, event.at, event.happening, event.level)
        for answer in step.outcomes:
            if answer.case in self._cases:
                self._cases[answer.case].answers.append(answer.verb)
        for failure in step.failures:
            said = sentence(failure)
            outcome.failures[said] = outcome.failures.get(said, 0) + 1
        self._tell(step)

    def _define(self) -> None:
        definition, places = self._site.definition, self._site.places
        self.outcome.zone = definition.zone
        self._duty = DutyTable(definition.duty, {one.id: one.shifts for one in definition.people}, definition.zone)
        self.outcome.shifts |= {one.id: (one.start, one.end) for one in definition.duty.shifts}
        self.outcome.rules |= {rule.id: describe(rule) for rule in definition.rules}
        self.outcome.places |= {
            place.id: PlaceInfo(
                {language: places.name(place.id, language) for language in ("zh", "en")},
                places.above(place.id, PlaceKind.GRID) or "",
                tuple(places.path(place.id).values()),
                tuple(dict.fromkeys(place.label(language) for language in ("zh", "en"))),
            )
            for place in definition.places
        }

    def _transition(self, one: Transition) -> None:
        alert = one.rule, one.key
        if one.change is Change.RAISED:
            self._open[alert] = Episode(one.rule, one.key, one.place, one.at, 0, one.level, one.value)
            self.outcome.episodes.append(self._open[alert])
        elif alert in self._open:
            episode = self._open[alert]
            if one.level > episode.peak:
                episode.peak, episode.value = one.level, one.value
            if one.level is Level.NONE:
                episode.end = one.at
                del self._open[alert]

    def _event(self, case: str, place: str, policy: str, at: int, happening: Happening, level: Level) -> None:
        if case not in self._cases:
            found = self._site.book.open.get(case)
            rule = found.rule if found is not None else self._rule_at(place, policy)
            self._cases[case] = CaseSummary(case, place, policy, rule, at, 0, level, [])
            self.outcome.cases.append(self._cases[case])
        summary = self._cases[case]
        summary.peak = max(summary.peak, level)
        if happening is Happening.CLOSE:
            summary.closed = at

    def _rule_at(self, place: str, policy: str) -> str:
        """The rule of a case that was opened and closed within one step: the last alert there."""
        for episode in reversed(self.outcome.episodes):
            rule = self.outcome.rules.get(episode.rule)  # None: a built-in one
            if episode.place == place and (rule is None or rule.policy == policy):
                return episode.rule
        return ""

    def _tell(self, step: Step) -> None:
        for one in step.notifications:
            told = self._told.setdefault(one.case, set())
            if one.reason in ENDED or (one.event, one.receiver) in told:
                continue
            told.add((one.event, one.receiver))
            shift = self._duty.shift_at(one.receiver, one.at)
            page = Page(one.at, one.receiver, one.role, one.level, one.reason.value, one.place, shift)
            self.outcome.pages.append(page)
        for done in self._told.keys() - self._site.book.open.keys() if step.notifications or step.events else ():
            del self._told[done]  # nobody is told of what came before a case was over


def describe(rule: Rule) -> RuleInfo:
    """Sum up a rule.

    Without the label ``detects`` a rule finds what its stream is called; one that watches for silence finds
    ``crowd_silence``, one for sensors that stand still ``crowd_stuck``, and the like.
    """
    kinds = tuple(rule.labels.get(DETECTS, "").split())
    if not kinds:
        streams = [stream.word for stream in Stream if rule.stream in (None, stream)]
        ending = SILENCE if rule.absent else STUCK if rule.stuck is not None else ""
        kinds = tuple(f"{word}{ending}" for word in streams)
    return RuleInfo(rule.id, rule.version, dict(rule.name), rule.dispatch, kinds)


def name_of(names: dict[str, str], language: str, fallback: str) -> str:
    """The name in a language, or what comes nearest."""
    return names.get(language) or names.get("zh") or fallback


def of_rules(episodes: Iterable[Episode], rules: Iterable[str]) -> list[Episode]:
    """The episodes of some rules."""
    wanted = set(rules)
    return [episode for episode in episodes if episode.rule in wanted]
