"""Why an alert fired, and equally why it did not: a stretch of journal stepped once more, with a probe looking on.

The real core runs from a saved state over the recorded groups; nothing is evaluated a second time by other code.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np

from sensord.core.alert import Transition
from sensord.core.batch import Batch
from sensord.core.cases.case import CaseEvent
from sensord.core.cases.notification import DAMPED, Hold, Notification, Reason
from sensord.core.failure import Failure, Part
from sensord.core.instant import HOUR, MINUTE
from sensord.core.level import Level
from sensord.core.record import Group, Record, RecordKind
from sensord.core.rules.combination import CombinedRule
from sensord.core.rules.evaluator import Evaluator
from sensord.core.rules.liveness import Liveness
from sensord.core.rules.probe import Sight, Silence
from sensord.core.rules.rule import Rule
from sensord.core.rules.single import SingleRule
from sensord.core.rules.windowed import WindowedRule
from sensord.core.site import Site, Step
from sensord.core.stream import LABELS, Stream

KEPT = 64
LONGEST_LOOK = 6 * HOUR
"""How far back from the instant in question the readings and evaluations are looked at, at most."""


@dataclass(frozen=True, slots=True)
class SeenReading:
    """A reading of the key's devices. ``late``: it came after its pane; ``counts``: in time, and what is asked for."""

    device: str
    event_at: int
    received_at: int
    value: float | None
    labels: dict[str, str]
    late: bool
    counts: bool


class KeyProbe:
    """Records what one rule saw of one key: its readings and its evaluations, the newest ``KEPT`` of each."""

    def __init__(self, rule: str, key: str) -> None:
        self.rule, self.key = rule, key
        self.sights: deque[Sight] = deque(maxlen=KEPT)
        self.readings: deque[SeenReading] = deque(maxlen=KEPT)

    def taking(self, evaluator: Evaluator, batch: Batch) -> None:
        """Keep the readings of the key's devices."""
        key = self._index(evaluator)
        if key is None:
            return
        table = evaluator.table
        rows = np.flatnonzero(table.first(batch) == key // table.width * table.width)
        if not len(rows):
            return
        timely = evaluator.timely(batch)
        matching = table.of(batch) == key
        column = None if evaluator.rule.value is None else batch.fields.get(evaluator.rule.value.field or "")
        for row in rows[-KEPT:]:
            value = None if column is None or np.isnan(column[row]) else float(column[row])
            self.readings.append(
                SeenReading(
                    evaluator.table.devices[int(batch.device[row])].id,
                    int(batch.event_at[row]),
                    int(batch.received_at[row]),
                    value,
                    {name: LABELS[name].words[codes[row]] for name, codes in batch.labels.items() if codes[row] >= 0},
                    not timely[row],
                    bool(timely[row] and matching[row]),
                )
            )

    def evaluated(self, evaluator: Evaluator, liveness: Liveness) -> None:
        """Keep what was seen."""
        key = self._index(evaluator)
        if key is not None:
            self.sights.append(evaluator.look(key, liveness))

    def _index(self, evaluator: Evaluator) -> int | None:
        keys = evaluator.table.keys
        return keys.index(self.key) if evaluator.rule.id == self.rule and self.key in keys else None


@dataclass(slots=True)
class Explanation:
    """What is known about a key at the instant ``at``: see :func:`explain`.

    ``rule`` reads as it does for the key: with its overrides; ``version`` is that of the rule in force.
    ``silent`` are the key's silent devices. The rest is in order of time; cases are those
    that the key's alerts belong to. ``withheld`` says why people are not told of the alert, as it stands at ``at``.
    ``failures`` are mistakes of ours in what is about the key: its rule or a part of it, its alert, cases and devices.
    """

    site: Site
    rule: Rule
    version: str
    key: str
    at: int
    level: Level
    sights: list[Sight]
    readings: list[SeenReading]
    silent: dict[str, Silence]
    transitions: list[Transition] = field(default_factory=list)
    events: list[CaseEvent] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    withheld: tuple[Reason, ...] = ()
    failures: list[Failure] = field(default_factory=list)


def reach(rule: Rule) -> int:
    """How long before an instant a rule's past still matters for what it says then (ns), within bounds."""
    hold = max((max(rung.hold, rung.among * rule.every) for rung in rule.levels), default=0)
    return min(2 * max(rule.window, rule.session) + hold + rule.clear.hold + 10 * rule.every + 5 * MINUTE, LONGEST_LOOK)


def explain(
    groups: Iterable[Group], site: Site, rule: str, key: str, at: int, until: int | None = None
) -> Explanation | None:
    """Step ``site`` through the groups up to the instant ``at`` (ns) and say what the rule saw of the key.

    With ``until`` the story goes on to that instant. Returns None when no rule of that id with such a key was in force
    at ``at``.
    """
    probe, story, found = KeyProbe(rule, key), _Story(rule, key), None
    site.watch(probe)
    for group in _cut(groups, at, at if until is None else until):
        if found is None and group.received_at > at:
            found = _found(site, probe, at)
        story.add(site.step(group))
    if found is None:
        found = _found(site, probe, at)
    if found is not None:
        found.transitions, found.events = story.transitions, story.events
        found.notifications, found.holds = story.notifications, story.holds
        found.withheld = found.withheld or _damped(found)
        found.failures = [failure for failure in story.failures if _concerns(found, failure)]
    return found


def _concerns(found: Explanation, failure: Failure) -> bool:
    """Whether a failure may be why the key is as it is."""
    rule, evaluator = found.rule, found.site.engine.evaluator_of(found.rule.id)
    if failure.part is Part.VEHICLES:
        return rule.stream is Stream.VISIT
    if failure.part is Part.LIVENESS:
        return rule.combination is None
    if failure.part is Part.MESSAGE:  # of a device, or on a topic
        table = None if evaluator is None or found.key not in evaluator.table.keys else evaluator.table
        devices = () if table is None else table.marked(table.keys.index(found.key), table.sources)
        return not set(failure.what.split("/")).isdisjoint(devices)
    parts = () if rule.combination is None else (part.rule for part in rule.combination.parts)
    return failure.what in {rule.id, *parts, f"{rule.id}:{found.key}", *(event.case for event in found.events)}


def _damped(found: Explanation) -> tuple[Reason, ...]:
    """Why messages about the newest step of an alert that stands wait for a digest."""
    if not found.level:
        return ()
    every: list[Notification | Hold] = [*found.notifications, *found.holds]
    told = [one for one in every if one.at <= found.at]
    newest = max((one.at for one in told), default=0)
    return tuple(dict.fromkeys(one.reason for one in told if one.at == newest and one.reason in DAMPED))


def _cut(groups: Iterable[Group], at: int, until: int) -> Iterator[Group]:
    """Cut what comes up to ``until``, so that one group ends exactly at ``at`` and the last one at ``until``."""
    reached = False
    for group in groups:
        if not reached and group.received_at > at:
            reached = True
            yield Group(group.seq, (*_between(group, 0, at), Record(RecordKind.TICK, at)))
        if rest := _between(group, at if reached else 0, until):
            yield Group(group.seq, rest)
        if group.received_at > until:
            break
    yield Group(0, (Record(RecordKind.TICK, until),))


def _between(group: Group, after: int, upto: int) -> tuple[Record, ...]:
    return tuple(one for one in group.records if after < one.received_at <= upto)


def _found(site: Site, probe: KeyProbe, at: int) -> Explanation | None:
    """Say what is known now; None when there is no such rule or key."""
    evaluator = site.engine.evaluator_of(probe.rule)
    if evaluator is None or probe.key not in evaluator.table.keys:
        return None
    rule, sights = evaluator.rule, list(probe.sights)
    version = evaluator.table.version
    if isinstance(evaluator, WindowedRule | SingleRule) and rule.overrides:
        rule = evaluator.thresholds.of_key(rule, evaluator.table.keys.index(probe.key))
    if isinstance(evaluator, SingleRule | CombinedRule):
        now = site.engine.look(rule.id, probe.key)
        sights = [msgspec.structs.replace(now, at=at, end=at)]
    silent = site.engine.silent_of(rule.id, probe.key)
    level = max((one.level for one in site.engine.active() if (one.rule, one.key) == (rule.id, probe.key)), default=0)
    muted = site.book.muted(f"{rule.id}:{probe.key}", at)
    withheld = () if muted is None else (muted,)
    seen = sights, list(probe.readings), silent
    return Explanation(site, rule, version, probe.key, at, Level(level), *seen, withheld=withheld)


class _Story:
    """Collects what was decided about one key, and about the cases that its alerts belong to."""

    def __init__(self, rule: str, key: str) -> None:
        self._rule, self._key, self._cases = rule, key, set[str]()
        self.transitions: list[Transition] = []
        self.events: list[CaseEvent] = []
        self.notifications: list[Notification] = []
        self.holds: list[Hold] = []
        self.failures: list[Failure] = []

    def add(self, step: Step) -> None:
        """Take what a step decided, and what failed in it."""
        self.failures += step.failures
        mine = {one.id for one in step.transitions if (one.rule, one.key) == (self._rule, self._key)}
        self.transitions += [one for one in step.transitions if one.id in mine]
        alert = f"{self._rule}:{self._key}"
        self._cases |= {case.id for case in step.cases if alert in case.alerts}
        self._cases |= {event.case for event in step.events if event.cause in mine}
        self.events += [event for event in step.events if event.case in self._cases]
        self.notifications += [one for one in step.notifications if one.case in self._cases]
        self.holds += [one for one in step.holds if one.case in self._cases]
