"""Labelled incidents: what truly happened, as a CSV, and how well alerts tell it.

Columns: ``place,start,end,kind`` and, if wanted, ``level`` (the level that it deserves) and ``must`` (``no``: an alert
is right, but none is asked for). ``place`` is an id or a name, with its compound's or
alone if no other place has it; times are local when they name no zone. ``kind`` is one
that a rule is meant to find, or one that the simulated streets' truth knows: a kind that nobody knows is a misspelling,
and its incident would silently be asked of no rule.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

import msgspec

from sensord.backtest.outcome import SILENCE, STUCK, Episode, Outcome
from sensord.core.instant import MINUTE, SECOND, format_instant, parse_instant
from sensord.core.level import BY_WORD, Level
from sensord.core.stream import Stream
from sensord.errors import ConfigError, Problem
from sensord.words import language, say

COLUMNS = ("place", "start", "end", "kind", "level", "must")
SLACK = 5 * MINUTE
_MANY = frozenset({"plate", "visit", "report", "key_area_vehicle", "overstay", "cloned_plate"})
"""Kinds of which several may happen at one place at a time: each is about a vehicle, or a finding."""
KINDS = frozenset(
    {f"{stream.word}{ending}" for stream in Stream for ending in ("", SILENCE, STUCK)}
    | _MANY
    | {"out_of_town_arrivals"}
)
"""Kinds of incident that are known whatever the rules are."""


class Incident(msgspec.Struct, frozen=True):
    """Something that truly happened at ``place`` (its id), from ``start`` to ``end`` (ns)."""

    place: str
    start: int
    end: int
    kind: str
    level: Level = Level.NONE
    must: bool = True


class Score(msgspec.Struct, frozen=True):
    """How well alerts tell incidents. ``delays`` (s) are from an incident's start to its first alert.

    ``alerts`` counts alerts, ``right`` those that tell of an incident; ``truths`` counts incidents, ``caught`` those
    that were told of.
    """

    name: str
    alerts: int
    right: int
    truths: int
    caught: int
    delays: tuple[float, ...]
    weeks: float

    @property
    def precision(self) -> float | None:
        """The share of alerts that are right."""
        return self.right / self.alerts if self.alerts else None

    @property
    def recall(self) -> float | None:
        """The share of incidents that were told of."""
        return self.caught / self.truths if self.truths else None

    @property
    def delay(self) -> float | None:
        """The median delay (s)."""
        return statistics.median(self.delays) if self.delays else None

    @property
    def false_per_week(self) -> float:
        """Alerts that are wrong, per week."""
        return (self.alerts - self.right) / self.weeks


def read_incidents(path: Path, outcome: Outcome, *others: Outcome) -> list[Incident]:
    """Read a CSV of incidents against the places of an outcome; raises ``ConfigError`` with every mistake.

    ``others`` are outcomes of other rules, which may be meant for other kinds.
    """
    kinds = KINDS.union(*(rule.kinds for one in (outcome, *others) for rule in one.rules.values()))
    called = _called(outcome)
    incidents, problems = list[tuple[Incident, int]](), list[Problem]()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in COLUMNS[:4] if column not in (reader.fieldnames or ())]
            if missing:
                lacks = (say(f"没有 {name} 这一列", f"there is no column {name}") for name in missing)
                raise ConfigError([Problem(str(path), 1, 1, fault) for fault in lacks])
            for row in reader:
                try:
                    incidents.append((_incident(row, outcome, called, kinds), reader.line_num))
                except (ValueError, OverflowError) as error:
                    problems.append(Problem(str(path), reader.line_num, 1, str(error)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError([Problem(str(path), 1, 1, say(f"读不出来：{error}", f"cannot be read: {error}"))]) from error
    problems += _overlapping(path, incidents)
    if problems:
        raise ConfigError(problems)
    return sorted((incident for incident, _ in incidents), key=lambda incident: (incident.start, incident.place))


def _overlapping(path: Path, incidents: Sequence[tuple[Incident, int]]) -> Iterator[Problem]:
    """Name the rows that tell of one thing twice: it would count as two, both caught by one alert or both missed."""
    last: dict[tuple[str, str], tuple[Incident, int]] = {}
    for incident, line in sorted(incidents, key=lambda one: (one[0].start, one[1])):
        what = incident.place, incident.kind
        before = last.get(what)
        if before is not None and incident.kind not in _MANY and incident.start < before[0].end:
            text = say(f"与第 {before[1]} 行的事件同处、同类且时间重叠", f"overlaps the incident of line {before[1]}")
            hint = say("合为一行，从最早的开始到最晚的结束", "write them as one, from the first start to the last end")
            yield Problem(str(path), line, 1, text, hint)
        if before is None or incident.end > before[0].end:
            last[what] = incident, line


def _called(outcome: Outcome) -> dict[str, list[str]]:
    """The places (ids) that each text may mean: a place's id, its name with its compound's, or its own name."""
    called: dict[str, dict[str, None]] = {}
    for place, info in outcome.places.items():
        for text in (place, *info.name.values(), *info.own):
            called.setdefault(text, {})[place] = None
    return {text: list(found) for text, found in called.items()}


def _place(said: str, outcome: Outcome, called: dict[str, list[str]]) -> str:
    """The place that is meant by an id or a name; raises ``ValueError`` when that is none, or more than one."""
    if said in outcome.places:
        return said
    found = called.get(said, [])
    if len(found) == 1:
        return found[0]
    if found:
        which = ", ".join(f"{outcome.places[one].name[language()]} ({one})" for one in found)
        raise ValueError(say(f"{said} 不止一处，请写全称或编号：{which}", f"{said} may be each of: {which}"))
    near = get_close_matches(said, called, 1)
    meant = say(f"，是不是想写 {near[0]}？", f"; did you mean {near[0]}?") if near else ""
    raise ValueError(say(f"没有场所 {said}{meant}", f"there is no place {said}{meant}"))


def _incident(
    row: dict[str, str | None], outcome: Outcome, called: dict[str, list[str]], kinds: Collection[str]
) -> Incident:
    short = [column for column in COLUMNS[:4] if not row[column]]
    if short:
        raise ValueError(say(f"这一行没有 {'、'.join(short)}", f"this row has no {', '.join(short)}"))
    place, kind = _place(row["place"] or "", outcome, called), row["kind"] or ""
    if kind not in kinds:
        near = get_close_matches(kind.lower(), kinds, 1)
        known = ", ".join(sorted(kinds))
        meant = say(f"，可能是 {near[0]}", f"; {near[0]} was probably meant") if near else ""
        raise ValueError(
            say(f"没有 {kind} 这种事件{meant}；有：{known}", f"{kind} is no kind of incident{meant}; known: {known}")
        )
    start, end = (parse_instant(row[name] or "", outcome.zone) for name in ("start", "end"))
    if end < start:
        raise ValueError(say("事件的结束早于开始", "the incident ends before it starts"))
    level = row.get("level") or ""
    if level and level not in BY_WORD:
        known = ", ".join(BY_WORD)
        raise ValueError(say(f"没有 {level} 这个级别：{known}", f"{level} is no level: {known}"))
    if (must := row.get("must") or "yes") not in ("yes", "no"):
        raise ValueError(say(f"must 写 yes 或 no，不是 {must}", f"must is yes or no, not {must}"))
    return Incident(place, start, end, kind, BY_WORD[level] if level else Level.NONE, must == "yes")


def write_incidents(path: Path, incidents: Iterable[Incident], zone: str) -> None:
    """Write incidents as a CSV that :func:`read_incidents` reads (times to the second)."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for one in incidents:
            times = (format_instant(at, zone) for at in (one.start, one.end))
            level = one.level.word if one.level else ""
            writer.writerow([one.place, *times, one.kind, level, "yes" if one.must else "no"])


class Judge:
    """Holds an outcome against incidents.

    An alert is right when it is of a rule meant for the incident's kind, at its place or one above or below, and
    overlaps with it, give or take ``slack`` (ns).
    """

    def __init__(self, outcome: Outcome, incidents: Sequence[Incident], slack: int = SLACK) -> None:
        self._outcome, self._incidents, self._slack = outcome, incidents, slack
        kinds = {incident.kind for incident in incidents}
        self.rules = [rule.id for rule in outcome.rules.values() if kinds & set(rule.kinds)]

    def total(self) -> Score:
        """Score all rules that are meant for what is labelled; an incident is caught when one of them tells of it."""
        return self._score("", self.rules)

    def by_rule(self) -> list[Score]:
        """Score each such rule against the incidents of its kinds."""
        return [self._score(rule, [rule]) for rule in self.rules]

    def missed(self) -> list[Incident]:
        """The incidents that nobody was told of."""
        return [one for one in self._incidents if one.must and not self._alerts(one, self.rules)]

    def _score(self, name: str, rules: Sequence[str]) -> Score:
        kinds = {kind for rule in rules for kind in self._outcome.rules[rule].kinds}
        mine = [incident for incident in self._incidents if incident.kind in kinds]
        episodes = [episode for episode in self._outcome.episodes if episode.rule in rules]
        right = sum(any(self._tells(episode)) for episode in episodes)
        truths = [incident for incident in mine if incident.must]
        caught, delays = 0, list[float]()
        for incident in truths:
            alerts = self._alerts(incident, rules)
            if alerts:
                caught += 1
                delays.append((min(one.start for one in alerts) - incident.start) / SECOND)
        weeks = self._outcome.weeks
        return Score(name, len(episodes), right, len(truths), caught, tuple(sorted(delays)), weeks)

    def _tells(self, episode: Episode) -> Iterator[bool]:
        for incident in self._incidents:
            yield self._fits(episode, incident)

    def _alerts(self, incident: Incident, rules: Sequence[str]) -> list[Episode]:
        return [
            episode
            for episode in self._outcome.episodes
            if episode.rule in rules and episode.peak >= incident.level and self._fits(episode, incident)
        ]

    def _fits(self, episode: Episode, incident: Incident) -> bool:
        if episode.start > incident.end + self._slack:
            return False
        if episode.until(self._outcome.end) < incident.start - self._slack:
            return False
        rule, places = self._outcome.rules[episode.rule], self._outcome.places
        if incident.kind not in rule.kinds:
            return False
        there, here = places.get(episode.place), places.get(incident.place)
        above = there.within if there is not None else ()
        return incident.place in above or (here is not None and episode.place in here.within)
