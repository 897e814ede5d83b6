"""Reads files of rule tests and checks every word against the configuration that they are about."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sensord.config.findings import Findings
from sensord.config.load import load
from sensord.config.pattern import Item, read_pattern
from sensord.config.schema import convert
from sensord.config.secret import resolve_path
from sensord.config.testtext import ActionText, CheckText, RuleTestFile, RuleTestText, SeriesText
from sensord.config.yamlfile import Document, KeyPath, read_yaml
from sensord.core.definition import Definition
from sensord.core.instant import DAY, MILLISECOND, SECOND, parse_duration, parse_instant
from sensord.core.intake.codec.native import MESSAGES, Message
from sensord.core.place import Places
from sensord.core.rules.keys import KeyTable
from sensord.core.stream import BY_WORD, PLATE_CLASS, Stream
from sensord.errors import ConfigError, Problem

LONGEST = 62 * DAY
"""No test needs more than two months of sensor data."""
_DURATION = re.compile(r"([0-9]{1,9}(\.[0-9]{1,6})?(ms|s|m|h|d))+", re.ASCII)
_BARE = re.compile(r"(?<![*\d.a-z])[0-9.]+(?![\d.a-z])", re.ASCII)
"""A number without a unit that is no count."""
_OURS = frozenset(Message.__struct_fields__)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of a test: it arrives at ``at``; ``stamp`` is the device's own time or None (ns since the start)."""

    at: int
    device: str
    stream: Stream
    stamp: int | None
    body: dict[str, Item]


@dataclass(frozen=True, slots=True)
class Check:
    """What must be so at ``at`` (ns since the start); ``path`` is where it is written."""

    at: int
    text: CheckText
    path: KeyPath


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One test, ready to run: messages in order of arrival, actions and checks in order of time."""

    name: str
    path: KeyPath
    sent: tuple[Sent, ...]
    actions: tuple[tuple[int, ActionText], ...]
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class RuleTests:
    """A checked file. ``start`` is an instant (ns); ``document`` knows where everything is written."""

    document: Document
    definition: Definition
    start: int
    tests: tuple[RuleTest, ...]


def find_files(paths: Collection[Path]) -> list[Path]:
    """Return the test files of files and folders, sorted by name within a folder; raises ``ConfigError`` for none."""
    found: list[Path] = []
    for path in paths:
        here = sorted(one for one in path.iterdir() if one.suffix in (".yaml", ".yml")) if path.is_dir() else [path]
        if not here:
            raise ConfigError([Problem(str(path), 1, 1, "the folder holds no test files", "they end in .yaml")])
        found += here
    return found


def load_tests(path: Path, config: Path | None = None) -> RuleTests:
    """Read a test file; ``config`` takes the place of the one that it names.

    Raises ``ConfigError`` with every mistake, those of the configuration included.
    """
    document = read_yaml(path)
    text, findings = convert(document, RuleTestFile), Findings(document)
    definition = load(config or resolve_path(text.config, path.parent)).definition
    definition = _chosen(findings, text, definition)
    start = _start(findings, text, definition.zone)
    reader = _TestReader(findings, definition)
    tests = tuple(reader.read(("tests", index), one) for index, one in enumerate(text.tests))
    findings.finish()
    return RuleTests(document, definition, start, tests)


def _chosen(findings: Findings, text: RuleTestFile, definition: Definition) -> Definition:
    """Leave only the rules that take part."""
    if text.rules is None:
        return definition
    known = {rule.id for rule in definition.rules}
    for index, rule in enumerate(text.rules):
        if rule not in known:
            findings.error(("rules", index), f"there is no rule {rule}", findings.suggest(rule, known))
    return msgspec.structs.replace(definition, rules=tuple(one for one in definition.rules if one.id in text.rules))


def _start(findings: Findings, text: RuleTestFile, zone: str) -> int:
    try:
        return parse_instant(text.start, zone)
    except ValueError:
        findings.error(("start",), f"{text.start!r} is no time", "write for example 2026-03-02T08:00:00")
        return 0


@dataclass(slots=True)
class _TestReader:
    """Reads one test after the other; every method notes its own mistakes."""

    findings: Findings
    definition: Definition
    places: Places = field(init=False)
    keys: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.places = Places(self.definition.places, self.definition.devices)
        self.keys = {rule.id: KeyTable(rule, self.places).keys for rule in self.definition.rules}

    def read(self, path: KeyPath, text: RuleTestText) -> RuleTest:
        """Read one test."""
        sent: list[Sent] = []
        for index, series in enumerate(text.readings):
            sent += self._series((*path, "readings", index), series)
        actions = [self._action((*path, "actions", index), one) for index, one in enumerate(text.actions)]
        checks = [self._check((*path, "expect", index), one) for index, one in enumerate(text.expect)]
        for before, after in itertools.pairwise(checks):
            if after.at <= before.at:
                self.findings.error((*after.path, "at"), f"{after.text.at} does not come after {before.text.at}")
        return RuleTest(
            text.name,
            path,
            tuple(sorted(sent, key=lambda one: one.at)),
            tuple(sorted(actions, key=lambda one: one[0])),
            tuple(checks),
        )

    def _known(self, path: KeyPath, kind: str, word: str, known: Collection[str], *, key: bool = False) -> bool:
        if word in known:
            return True
        self.findings.error(path, f"there is no {kind} {word}", self.findings.suggest(word, known), key=key)
        return False

    # -- what is sent ------------------------------------------------------------------------------------------------

    def _series(self, path: KeyPath, text: SeriesText) -> list[Sent]:
        if not self._known((*path, "device"), "device", text.device, self.places.device_index):
            return []
        device = self.places.devices[self.places.device_index[text.device]]
        stream = device.stream if text.kind is None else BY_WORD[text.kind]
        known = [name for name in MESSAGES[stream].__struct_fields__ if name not in _OURS]
        start = self.findings.duration((*path, "from"), text.start, 0, LONGEST)
        every = self.findings.duration((*path, "every"), text.every, MILLISECOND, LONGEST)
        columns = {
            name: self._pattern((*path, "send", name), given)
            for name, given in text.send.items()
            if self._known((*path, "send", name), f"{stream.word} value", name, known, key=True)
        }
        if stream is Stream.PLATE:
            self._vehicles((*path, "send", "plate"), columns.get("plate", []))
        delays = self._delays((*path, "delay"), text.delay)
        turns = self._turns(path, {**columns, **({"delay": list(delays)} if delays else {})})
        sent = []
        for turn in range(turns):
            body = {name: column[turn if len(column) > 1 else 0] for name, column in columns.items()}
            if not body or any(value is None for value in body.values()):
                continue
            at = start + turn * every
            late = delays[turn if len(delays) > 1 else 0] if delays else 0
            sent.append(Sent(at + late, device.id, stream, at if delays else None, body))
        return sent

    def _pattern(self, path: KeyPath, text: str | float) -> list[Item]:
        try:
            return read_pattern(text)
        except ValueError as error:
            self.findings.error(path, str(error))
            return [None]

    def _vehicles(self, path: KeyPath, words: list[Item]) -> None:
        """Check that vehicles are named by their class: no plate is written into a test."""
        for word in {str(word).partition("#")[0] for word in words if word is not None}:
            if self._known(path, "class of plates", word, PLATE_CLASS.words):
                plates = self.definition.plates
                if word == "key_area" and not plates.key:
                    self.findings.error(path, "no area is a key area", "fill key_areas of vehicles.yaml")

    def _delays(self, path: KeyPath, text: str | None) -> list[int]:
        if text is None:
            return []
        plain = _DURATION.sub(lambda found: f"{parse_duration(found[0]) / SECOND:.9f}", text)
        delays = self._pattern(path, plain)
        if _BARE.search(text) or not all(isinstance(delay, float | int) for delay in delays):
            self.findings.error(path, f"{text!r} is no series of durations", "write for example 0s*5 30s 3m..0s*4")
            return []
        return [round(float(delay or 0) * SECOND) for delay in delays]

    def _turns(self, path: KeyPath, columns: dict[str, list[Item]]) -> int:
        """How many turns a series has: all its columns are as long, or hold one value for every turn. 0 when not."""
        lengths = {name: len(column) for name, column in columns.items()}
        longest = max(lengths.values(), default=0)
        for name, length in lengths.items():
            if length not in (1, longest):
                place = path if name == "delay" else (*path, "send")
                message = f"{name} has {length} values, but the longest series has {longest}"
                self.findings.error((*place, name), message, "give them the same length, or a single value")
        return longest if set(lengths.values()) <= {1, longest} else 0

    # -- what is done and expected -----------------------------------------------------------------------------------

    def _action(self, path: KeyPath, text: ActionText) -> tuple[int, ActionText]:
        self._known((*path, "place"), "place", text.place, self.places.by_id)
        return self.findings.duration((*path, "at"), text.at, 0, LONGEST), text

    def _check(self, path: KeyPath, text: CheckText) -> Check:
        for part in ("alerts", "values"):
            for rule, keys in (getattr(text, part) or {}).items():
                self._rule_keys((*path, part, rule), rule, keys)
        for index, place in enumerate(text.unknown or ()):
            self._known((*path, "unknown", index), "place", place, self.places.by_id)
        for index, case in enumerate(text.cases or ()):
            self._known((*path, "cases", index, "place"), "place", case.place, self.places.by_id)
        for index, change in enumerate(text.changes or ()):
            where = (*path, "changes", index)
            self.findings.duration((*where, "at"), change.at, 0, LONGEST)
            if self._known((*where, "rule"), "rule", change.rule, self.keys):
                self._known((*where, "key"), "key", change.key, self.keys[change.rule])
        people = {person.id for person in self.definition.people}
        for index, post in enumerate(text.told or ()):
            self._known((*path, "told", index), "post on the roster", post.partition(" ")[0], people)
        roles = {role.id for role in self.definition.roles}
        for index, role in enumerate(text.held or ()):
            self._known((*path, "held", index), "role", role.partition(" ")[0], roles)
        return Check(self.findings.duration((*path, "at"), text.at, 0, LONGEST), text, path)

    def _rule_keys(self, path: KeyPath, rule: str, keys: Collection[str]) -> None:
        if self._known(path, "rule", rule, self.keys, key=True):
            for key in keys:
                if key not in self.keys[rule]:
                    hint = self.findings.suggest(key, self.keys[rule])
                    self.findings.error((*path, key), f"the rule {rule} does not look at {key}", hint, key=True)
