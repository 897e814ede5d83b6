"""Gives rule files their meaning: checks every word, then makes the core's ``Rule``.

Rules: mistakes are refused with position and hint, all of them at once; what is merely unlikely to be meant
(a rule that looks at no registered device) is a warning.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sensord.config.derived import one_level_lower, plain_levels, read_baseline, read_trend
from sensord.config.findings import Findings
from sensord.config.ladder import read_ladder
from sensord.config.lint import Written, lint_rule
from sensord.config.ruletext import RulesFile, RuleText
from sensord.config.schema import convert, convert_each
from sensord.config.value import read_value
from sensord.config.yamlfile import Document, KeyPath, read_yaml
from sensord.core.instant import DAY, SECOND, format_duration
from sensord.core.keys import KeyTable
from sensord.core.level import BY_WORD as LEVELS
from sensord.core.message import check_template
from sensord.core.place import PlaceKind, Places
from sensord.core.rule import Aggregate, Clear, LevelSpec, Rule, Value
from sensord.core.stream import BY_WORD, STREAMS, Stream
from sensord.errors import ConfigError, Problem

MOST_PANES = 1440
_LONGEST_WINDOW = 366 * DAY
_PLACE_KINDS = tuple(kind.value for kind in PlaceKind)
_EMPTY_IS_ZERO = (Aggregate.COUNT, Aggregate.SUM, Aggregate.RATE)
_THRESHOLD_ONLY = ("value", "window", "every", "min_samples", "levels", "clear", "baseline", "trend")
_ABSENT_THRESHOLD = 1.0
"""Silence is measured in units of what is allowed, so one is the threshold of an absence rule."""


@dataclass(frozen=True, slots=True)
class World:
    """What rules may speak of. None: that file has mistakes of its own; then it is not checked."""

    places: Places | None = None
    policies: Collection[str] | None = None


@dataclass(slots=True)
class RuleSet:
    """What came of a folder of rule files.

    ``written`` says where each rule stands, and ``reach``, per policy, the places where its rules can fire.
    """

    rules: list[Rule] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    reach: dict[str, set[str]] = field(default_factory=dict)


def load_rules(folder: Path, world: World) -> RuleSet:
    """Read a rule file, or all of a folder in the order of names; raises ``ConfigError`` with every mistake."""
    files = _files(folder)
    result, errors = RuleSet(), []
    seen: dict[str, str] = {}
    for path in files:
        try:
            document = read_yaml(path)
        except ConfigError as error:
            errors += error.problems
            continue
        errors += check_rules(document, world, result, seen)
    if errors:
        raise ConfigError(errors)
    if not result.rules:
        hint = "write one: the manual has examples"
        result.warnings.append(Problem(str(folder), 1, 1, "there are no rules: nothing will alarm", hint, "warning"))
    return result


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    try:
        names = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    except OSError as error:
        hint = "files.rules names the folder of rule files"
        problem = Problem(str(folder), 1, 1, f"the folder of rules cannot be read: {error.strerror}", hint)
        raise ConfigError([problem]) from error
    return [path for path in names if not path.name.startswith(".")]


def check_rules(document: Document, world: World, result: RuleSet, seen: dict[str, str]) -> list[Problem]:
    """Check one parsed rule file, add what is good to ``result``, and return the mistakes.

    ``seen`` maps rule ids to where they were first given; it goes from file to file.
    """
    findings = Findings(document)
    texts: list[tuple[KeyPath, RuleText]]
    try:
        texts = [(("rules", index), text) for index, text in enumerate(convert(document, RulesFile).rules)]
    except ConfigError as error:
        findings.errors += error.problems
        items = document.data.get("rules") if isinstance(document.data, dict) else None
        texts = convert_each(document, ("rules",), items if isinstance(items, list) else [], RuleText)[0]
    for path, text in texts:
        before = len(findings.errors)
        line = document.position((*path, "id"))[0]
        first = seen.setdefault(text.id, f"{document.file}:{line}")
        if first != f"{document.file}:{line}":
            findings.error((*path, "id"), f"the rule id {text.id} is already taken at {first}", "rule ids are unique")
        rule = _RuleReader(findings, path, text, world).read()
        if rule is not None and len(findings.errors) == before:
            _keep(findings, path, rule, world, result)
    result.warnings += findings.warnings
    return findings.errors


def _keep(findings: Findings, path: KeyPath, rule: Rule, world: World, result: RuleSet) -> None:
    result.rules.append(rule)
    result.written.append(Written(rule, findings.document, path))
    if world.places is None:
        return
    table = KeyTable(rule, world.places)
    if not len(table):
        message = f"the rule {rule.id} looks at no registered device: it can never fire"
        findings.warn(path, message, "compare its stream, where and by with the devices of places.yaml")
    else:
        lint_rule(findings, path, rule, table, world.places)
    result.reach.setdefault(rule.dispatch, set()).update(table.places)


class _RuleReader:
    """Reads one rule; every method notes its own mistakes."""

    def __init__(self, findings: Findings, path: KeyPath, text: RuleText, world: World) -> None:
        self.findings, self.path, self.text, self.world = findings, path, text, world
        self.stream: Stream | None = None if text.stream is None else BY_WORD[text.stream]

    def read(self) -> Rule | None:
        """Return the rule, or None when it has a mistake that leaves nothing to build."""
        self._dispatch()
        self._message()
        where = self._where()
        return self._absence(where) if self.text.absent is not None else self._threshold(where)

    def _error(self, key: str, message: str, hint: str = "") -> None:
        self.findings.error((*self.path, key), message, hint)

    def _dispatch(self) -> None:
        policies = self.world.policies
        if policies is not None and self.text.dispatch not in policies:
            hint = self.findings.suggest(self.text.dispatch, policies)
            self._error("dispatch", f"there is no policy {self.text.dispatch} in dispatch.yaml", hint)

    def _message(self) -> None:
        texts = self.text.message
        for language, template in (texts.both() if texts is not None else {}).items():
            fault = check_template(template)
            if fault is not None and (language == "zh" or (texts is not None and texts.en is not None)):
                self.findings.error((*self.path, "message", language), f"the message is wrong: {fault}")

    def _where(self) -> dict[str, tuple[str, ...]]:
        given = self.text.where
        where = {key: (words,) if isinstance(words, str) else words for key, words in given.items()}
        for key, words in where.items():
            if not words:
                self.findings.error(
                    (*self.path, "where", key), "the list is empty", "name at least one, or remove the key"
                )
            for index, word in enumerate(words):
                path: KeyPath = (*self.path, "where", key)
                self._word(path if isinstance(given[key], str) else (*path, index), key, word)
        return where

    def _labels(self) -> dict[str, tuple[str, ...]]:
        if self.stream is None or self.text.absent is not None:
            return {}
        return {label.name: label.words for label in STREAMS[self.stream].labels}

    def _word(self, path: KeyPath, key: str, word: str) -> None:
        labels, places = self._labels(), self.world.places
        if key in labels:
            if word not in labels[key]:
                self.findings.error(path, f"{key} cannot be {word}", self.findings.suggest(word, labels[key]))
        elif key == "device":
            if places is not None and word not in places.device_index:
                hint = self.findings.suggest(word, places.device_index)
                self.findings.error(path, f"there is no device {word} in places.yaml", hint)
        elif key in _PLACE_KINDS:
            if places is not None:
                self._place(path, key, word, places)
        else:
            known = (*labels, "device", *_PLACE_KINDS)
            about = "readings of an absence rule" if self.text.absent is not None else f"stream {self.text.stream}"
            key_path = (*self.path, "where", key)
            hint = self.findings.suggest(key, known)
            self.findings.error(key_path, f"where cannot look at {key}: unknown for {about}", hint, key=True)

    def _place(self, path: KeyPath, kind: str, word: str, places: Places) -> None:
        found = places.by_id.get(word)
        if found is None:
            known = [place.id for place in places.places if place.kind == kind]
            self.findings.error(path, f"there is no {kind} {word} in places.yaml", self.findings.suggest(word, known))
        elif found.kind != kind:
            self.findings.error(
                path, f"{word} is a {found.kind}, not a {kind}", f"write where: {{{found.kind}: {word}}}"
            )

    def _absence(self, where: dict[str, tuple[str, ...]]) -> Rule | None:
        text = self.text
        for key in _THRESHOLD_ONLY:
            if getattr(text, key) is not None:
                self._error(key, f"a rule with absent has no {key}", "make two rules of it, or remove the key")
        if text.level is None:
            self.findings.error(self.path, "a rule with absent needs a level", "add level: blue")
            return None
        level = LevelSpec(LEVELS[text.level], _ABSENT_THRESHOLD)
        absent = 0.0 if text.absent is None else text.absent.periods
        return self._rule(where, (level,), Clear((0.0,), 0), absent=absent)

    def _threshold(self, where: dict[str, tuple[str, ...]]) -> Rule | None:
        text = self.text
        if text.level is not None:
            self._error("level", "only a rule with absent has a single level", "write levels: {...}, or add absent:")
        if self.stream is None:
            self.findings.error(self.path, "the rule has no stream", f"add stream: one of {', '.join(BY_WORD)}")
        value = self._value()
        window, every = self._window(value)
        trend = read_trend(self.findings, self.path, text, every)
        plainly = plain_levels(self.findings, self.path, text)
        if plainly is None:
            return None
        ladder = read_ladder(self.findings, self.path, plainly, None if text.baseline is not None else value)
        if ladder is None or value is None:
            return None
        plain = self._rule(where, one_level_lower(ladder.levels) if trend else ladder.levels, ladder.clear)
        return msgspec.structs.replace(
            plain,
            comparison=ladder.comparison,
            baseline=read_baseline(self.findings, self.path, text, value, every),
            trend=trend,
            value=value,
            window=window,
            every=every,
            min_samples=self._samples(value),
        )

    def _value(self) -> Value | None:
        if self.text.value is None:
            self.findings.error(self.path, "the rule has no value", "add value: for example mean(density) or count()")
            return None
        return read_value(self.findings, (*self.path, "value"), self.text.value, self.stream)

    def _window(self, value: Value | None) -> tuple[int, int]:
        """Return (window, every) in ns; (0, 0) for a rule that looks at each reading by itself."""
        text = self.text
        if text.window is None:
            if value is not None and value.aggregate not in (Aggregate.LAST, Aggregate.COUNT):
                message = f"{value} needs a window"
                self._error("value", message, "add window: 1m; without one only last(field) and count() make sense")
            for key in ("every", "min_samples"):
                if getattr(text, key) is not None:
                    self._error(key, f"{key} has no meaning without a window", "add a window, or remove it")
            return 0, 0
        window = self.findings.duration((*self.path, "window"), text.window, SECOND, _LONGEST_WINDOW)
        if text.every is None:
            return window, window
        every = self.findings.duration((*self.path, "every"), text.every, SECOND, _LONGEST_WINDOW)
        if window % every:
            self._error(
                "every",
                f"the window ({text.window}) is not a multiple of every ({text.every})",
                "change one of them",
            )
        elif window // every > MOST_PANES:
            least = format_duration(-(-window // MOST_PANES // SECOND) * SECOND)
            message = f"the window has {window // every} steps; at most {MOST_PANES} are possible"
            self._error("every", message, f"write every: {least} or more")
        return window, every

    def _samples(self, value: Value) -> int:
        text = self.text
        zero = self.stream is not None and STREAMS[self.stream].eventful and value.aggregate in _EMPTY_IS_ZERO
        if text.min_samples == 0 and not zero:
            message = "min_samples: 0 would take an empty window for a value; here it means that nothing is known"
            self._error("min_samples", message, "write 1 or more")
        if text.min_samples is None:
            return 0 if zero and text.window is not None else 1
        return text.min_samples

    def _rule(
        self,
        where: dict[str, tuple[str, ...]],
        levels: tuple[LevelSpec, ...],
        clear: Clear,
        absent: float = 0.0,
    ) -> Rule:
        text = self.text
        return Rule(
            id=text.id,
            name=text.name.both(),
            stream=self.stream,
            by=text.by,
            dispatch=text.dispatch,
            levels=levels,
            clear=clear,
            where=where,
            absent=absent,
            message={} if text.message is None else text.message.both(),
            labels=text.labels,
            runbook=text.runbook,
        )
