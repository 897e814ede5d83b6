"""Runs rule tests on the real core: messages in, and what must be so compared with what is so.

A test becomes journal records (a definition, messages, actions, and a tick at each check) and is stepped like any
journal. What a check finds wrong is a ``Failure`` with the lines that are missing and those that are too many.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from sensord.config.ruletest import Check, RuleTest, RuleTests, Sent
from sensord.config.testtext import ActionText
from sensord.core.batch import Batch
from sensord.core.cases.case import Case
from sensord.core.instant import format_duration, parse_duration
from sensord.core.record import Action, Group, Record, RecordKind, Verb
from sensord.core.rules.evaluator import Evaluator
from sensord.core.rules.liveness import Liveness
from sensord.core.rules.probe import Doubt, Sight
from sensord.core.rules.rule import Rule
from sensord.core.site import Site, Step, action_record, definition_record
from sensord.core.vehicles.pseudonym import MADE_UP_KEYS
from sensord.drivers.made import Messages

T = TypeVar("T")
_CLOSE = 1e-6
"""Relative difference up to which two values count as the same: people write 1.0833."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One aspect of one check that is not as expected.

    ``where`` is (line, column) of the check; ``missing`` was expected and is not so, ``extra`` is so and was not
    expected. ``sights`` are what the rules saw of the keys that differ.
    """

    where: tuple[int, int]
    at: int
    aspect: str
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    sights: tuple[tuple[Rule, str, Sight], ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one test; no failures means that it passed. ``checks`` is how many instants were looked at."""

    test: RuleTest
    checks: int
    failures: tuple[Failure, ...]


class _Watch:
    """Keeps the latest sight of the rules and keys that a test speaks of."""

    def __init__(self, wanted: Iterable[tuple[str, str]]) -> None:
        self.latest: dict[tuple[str, str], Sight] = {}
        self._wanted: dict[str, list[str]] = {}
        for rule, key in sorted(set(wanted)):
            self._wanted.setdefault(rule, []).append(key)

    def taking(self, evaluator: Evaluator, batch: Batch) -> None:
        """Readings are not looked at."""

    def evaluated(self, evaluator: Evaluator, liveness: Liveness) -> None:
        """Keep what was seen."""
        for key in self._wanted.get(evaluator.rule.id, ()):
            if key in evaluator.table.keys:
                self.latest[evaluator.rule.id, key] = evaluator.look(evaluator.table.keys.index(key), liveness)


@dataclass(slots=True)
class _Since:
    """What was decided since the check before."""

    changes: list[str] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    held: list[tuple[str, str]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def add(self, step: Step, start: int) -> None:
        """Take a step's decisions; a person who is told over several channels is told once."""
        self.changes += [_change(one.at - start, one.rule, one.key, one.level.word) for one in step.transitions]
        told = {(one.event, one.receiver): (one.receiver, one.reason.value) for one in step.notifications}
        self.told += told.values()
        self.held += [(one.role, one.reason.value) for one in step.holds]
        self.dead += [f"{one.topic} {one.reason}: {one.detail}" for one in step.dead]
        self.mistakes += [f"{one.part} {one.what}: {one.why}" for one in step.failures]


def run(tests: RuleTests, only: str = "") -> Iterator[Result]:
    """Run the tests of a file whose name holds ``only``, each from the beginning."""
    for test in tests.tests:
        if only in test.name:
            yield _Run(tests, test).run()


class _Run:
    """One test on one fresh core."""

    def __init__(self, tests: RuleTests, test: RuleTest) -> None:
        self._tests, self._test = tests, test
        self._start = tests.start
        self._definition = msgspec.structs.replace(tests.definition, plate_keys=MADE_UP_KEYS)
        self._rules = {rule.id: rule for rule in tests.definition.rules}
        self._site, self._since, self._seq = Site(), _Since(), 0
        named = [
            (rule, key)
            for check in test.checks
            for part in (check.text.alerts or {}, check.text.values)
            for rule, keys in part.items()
            for key in keys
        ]
        self._watch = _Watch([*named, *((one.rule, one.key) for c in test.checks for one in c.text.changes or ())])
        self._site.watch(self._watch)
        self._messages = Messages(tests.definition, tests.start)

    def run(self) -> Result:
        """Feed and check, in order of time; at one instant messages come before actions, and actions before checks."""
        test = self._test
        self._step(definition_record(self._definition, self._start))
        sent, actions, failures = list(test.sent), list(test.actions), list[Failure]()
        for check in test.checks:
            for at, action in _upto(actions, lambda one: one[0], check.at):
                self._messages_upto(sent, at)
                self._act(self._start + at, action)
            self._messages_upto(sent, check.at)
            self._step(Record(RecordKind.TICK, self._start + check.at))
            failures += self._compare(check)
            self._since = _Since()
        return Result(test, len(test.checks), tuple(failures))

    def _step(self, *records: Record) -> None:
        if records:
            self._seq += 1
            self._since.add(self._site.step(Group(self._seq, records)), self._start)

    def _messages_upto(self, sent: list[Sent], at: int) -> None:
        self._step(*(self._messages.record(one) for one in _upto(sent, lambda one: one.at, at)))

    def _act(self, at: int, text: ActionText) -> None:
        self._step(Record(RecordKind.TICK, at))
        if text.verb == Verb.COUNT:
            counted = Action(text.verb, text.place, text.by, vehicles=text.vehicles, at=at)
            self._step(action_record(counted, at))
            return
        found = (
            case.id
            for case in self._site.book.open.values()
            if case.place == text.place and text.policy in (None, case.policy)
        )
        case = next(found, f"no open case at {text.place}")
        self._step(action_record(Action(text.verb, case, text.by, "cli", "" if text.note == "-" else text.note), at))

    # -- comparing ---------------------------------------------------------------------------------------------------

    def _compare(self, check: Check) -> Iterator[Failure]:
        text = check.text
        yield from self._fail(check, "messages", (), sorted(set(self._since.dead)))
        yield from self._fail(check, "mistakes", (), sorted(set(self._since.mistakes)))
        if text.alerts is not None:
            wanted = _flat(text.alerts)
            found = {(one.rule, one.key): one.level.word for one in self._site.engine.active()}
            yield from self._mapping(check, "alerts", wanted, found)
        yield from self._values(check)
        if text.unknown is not None:
            yield from self._lines(check, "unknown", sorted(text.unknown), sorted(self._site.engine.unknown()))
        if text.cases is not None:
            yield from self._cases(check)
        if text.changes is not None:
            wanted_changes = [_change(parse_duration(one.at), one.rule, one.key, one.to) for one in text.changes]
            yield from self._lines(check, "changes", wanted_changes, self._since.changes)
        for aspect, given, had in (("told", text.told, self._since.told), ("held", text.held, self._since.held)):
            if given is not None:
                yield from self._lines(check, aspect, sorted(given), sorted(_as_written(had, given)))

    def _fail(
        self,
        check: Check,
        aspect: str,
        missing: Iterable[str],
        extra: Iterable[str],
        keys: Iterable[tuple[str, str]] = (),
    ) -> Iterator[Failure]:
        gone, more = tuple(missing), tuple(extra)
        if gone or more:
            place = (*check.path, aspect) if getattr(check.text, aspect, None) is not None else check.path
            sights = [
                (self._rules[rule], key, self._watch.latest[rule, key])
                for rule, key in keys
                if (rule, key) in self._watch.latest
            ]
            yield Failure(self._tests.document.position(place, key=True), check.at, aspect, gone, more, tuple(sights))

    def _mapping(
        self, check: Check, aspect: str, wanted: dict[tuple[str, str], str], found: dict[tuple[str, str], str]
    ) -> Iterator[Failure]:
        differ = sorted(key for key in {*wanted, *found} if wanted.get(key) != found.get(key))
        missing = [f"{' '.join(key)} {wanted[key]}" for key in differ if key in wanted]
        extra = [f"{' '.join(key)} {found.get(key, 'none')}" for key in differ]
        yield from self._fail(check, aspect, missing, extra, differ)

    def _values(self, check: Check) -> Iterator[Failure]:
        wanted: dict[tuple[str, str], str] = {}
        found: dict[tuple[str, str], str] = {}
        for rule, keys in check.text.values.items():
            for key, value in keys.items():
                sight = self._watch.latest.get((rule, key))
                seen = None if sight is None or sight.doubt is not Doubt.NONE else sight.value
                if not _same(value, seen):
                    wanted[rule, key] = value if isinstance(value, str) else f"{value:.10g}"
                    found[rule, key] = "unknown" if seen is None else f"{seen:.10g}"
        yield from self._mapping(check, "values", wanted, found)

    def _cases(self, check: Check) -> Iterator[Failure]:
        left = list(self._site.book.open.values())
        missing: list[str] = []
        for wanted in check.text.cases or ():
            asked = {
                name: value
                for name in ("place", "policy", "level", "state")
                if (value := getattr(wanted, name)) is not None
            }
            match = next((one for one in left if asked.items() <= _told_of(one).items()), None)
            if match is None:
                missing.append(" ".join(asked.values()))
            else:
                left.remove(match)
        yield from self._fail(check, "cases", missing, [" ".join(_told_of(one).values()) for one in left])

    def _lines(self, check: Check, aspect: str, wanted: list[str], found: list[str]) -> Iterator[Failure]:
        missing, extra = list(wanted), []
        for line in found:
            if line in missing:
                missing.remove(line)
            else:
                extra.append(line)
        keys = [(words[1], words[2]) for line in missing if len(words := line.split()) == 4]
        yield from self._fail(check, aspect, missing, extra, keys)


def _flat(alerts: Mapping[str, Mapping[str, str]]) -> dict[tuple[str, str], str]:
    return {(rule, key): level for rule, keys in alerts.items() for key, level in keys.items()}


def _told_of(case: Case) -> dict[str, str]:
    return {"place": case.place, "policy": case.policy, "level": case.level.word, "state": case.state.value}


def _change(at: int, rule: str, key: str, level: str) -> str:
    return f"{format_duration(at)} {rule} {key} {level}"


def _as_written(found: list[tuple[str, str]], given: Iterable[str]) -> list[str]:
    """Write what happened as the test does: with its reason, unless the test names that one without."""
    plain = [line for line in given if " " not in line]
    lines = []
    for who, reason in found:
        if who in plain:
            with contextlib.suppress(ValueError):
                plain.remove(who)
            lines.append(who)
        else:
            lines.append(f"{who} {reason}")
    return lines


def _same(wanted: float | str, seen: float | None) -> bool:
    if seen is None or isinstance(wanted, str):
        return seen is None and isinstance(wanted, str)
    return abs(wanted - seen) <= _CLOSE * max(1.0, abs(wanted))


def _upto(waiting: list[T], time: Callable[[T], int], at: int) -> list[T]:
    """Take what is due at or before ``at`` from the front of a list in order of time."""
    count = next((index for index, one in enumerate(waiting) if time(one) > at), len(waiting))
    due = waiting[:count]
    del waiting[:count]
    return due
