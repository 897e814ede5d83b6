"""Changes one value of a rule file in its text, so that comments and layout stay; and so makes variants and patches."""

from __future__ import annotations

import difflib
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import msgspec

from sensord.config.rules import World, load_rules
from sensord.config.yamlfile import Document, KeyPath, read_yaml
from sensord.core.instant import format_duration, parse_duration
from sensord.errors import ConfigError, Problem

_SCALAR = re.compile(r"[^\s,}\]#]+")
_SPEC = re.compile(r"(?:(?P<rule>[a-z0-9][a-z0-9-]*)[:/])?(?P<path>[a-z_]+(?:\.[a-z_]+)*)=(?P<values>.+)", re.ASCII)
MOST = 200


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a value stands: the file, the rule's id, and the path within the rule as people write it."""

    file: Path
    rule: str
    path: str
    line: int
    column: int
    old: str

    @property
    def name(self) -> str:
        """``rule:path``."""
        return f"{self.rule}:{self.path}"

    def changed(self, value: str) -> str:
        """The file's text with another value."""
        lines = self.file.read_text(encoding="utf-8-sig").splitlines(keepends=True)
        line = lines[self.line - 1]
        at = self.column - 1
        lines[self.line - 1] = line[:at] + value + line[at + len(self.old) :]
        return "".join(lines)

    def patch(self, value: str) -> str:
        """The change as a unified diff."""
        before = self.file.read_text(encoding="utf-8-sig").splitlines(keepends=True)
        after = self.changed(value).splitlines(keepends=True)
        name = self.file.as_posix()
        return "".join(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}"))


@dataclass(frozen=True, slots=True)
class Sweep:
    """Values to try for a setting, in order."""

    setting: Setting
    values: tuple[str, ...]


def parse_sweep(text: str, rules: Path) -> Sweep:
    """Read ``[RULE:]levels.orange.above=2.5:5:0.25`` (from, to, step) or ``...=1,2,5``; durations likewise.

    Raises ``ConfigError`` when the text or the place in the rules is not clear.
    """
    found = _SPEC.fullmatch(text)
    if found is None:
        raise _refused(f"{text!r} is no sweep", "write levels.orange.above=2.5:5:0.25 or lane-crowding:window=1m,2m,5m")
    settings = list(find_settings(rules, found["path"], found["rule"]))
    if len(settings) != 1:
        _known_rule(rules, found["rule"])
        names = ", ".join(setting.name for setting in settings)
        message = f"several rules have {found['path']}" if names else f"no rule has {found['path']}"
        raise _refused(message, f"name one: {names}" if names else "write it into the rule first")
    return Sweep(settings[0], _values(found["values"]))


def _known_rule(rules: Path, rule: str | None) -> None:
    """Raise ``ConfigError`` when a rule is named that is not there."""
    known = [setting.rule for setting in find_settings(rules, "id")]
    if rule is not None and rule not in known:
        near = get_close_matches(rule, known, 1)
        raise _refused(
            f"there is no rule {rule}", f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
        )


def find_settings(rules: Path, path: str, rule: str | None = None) -> Iterable[Setting]:
    """Yield every place in a rule file or folder where a rule has a value at ``path``."""
    files = [rules] if rules.is_file() else sorted(file for file in rules.iterdir() if file.suffix in (".yaml", ".yml"))
    for file in files:
        document = read_yaml(file)
        texts = document.data.get("rules") if isinstance(document.data, dict) else None
        for index, text in enumerate(texts if isinstance(texts, list) else []):
            if isinstance(text, dict) and rule in (None, text.get("id")):
                setting = _setting(document, file, index, text, path)
                if setting is not None:
                    yield setting


def _setting(document: Document, file: Path, index: int, text: dict[str, object], path: str) -> Setting | None:
    node: object = text
    for part in path.split("."):
        if not isinstance(node, dict) or part not in node:
            return None
        node = node[part]
    if not isinstance(node, str | int | float) or isinstance(node, bool):
        return None
    where: KeyPath = ("rules", index, *path.split("."))
    line, column = document.position(where)
    source = file.read_text(encoding="utf-8-sig").splitlines()[line - 1]
    token = _SCALAR.match(source, column - 1)
    return None if token is None else Setting(file, str(text.get("id")), path, line, column, token[0])


def _values(text: str) -> tuple[str, ...]:
    parts = text.split(":")
    if len(parts) not in (1, 3):
        raise _refused(f"{text!r} is no range", "write from:to:step")
    try:
        if len(parts) == 1:
            numbers_of = {part.strip(): number_of(part.strip()) for part in text.split(",") if part.strip()}
            return tuple(numbers_of)
        if any(re.search(r"[a-z]", part) for part in parts):
            low, high, step = (parse_duration(part) for part in parts)
            numbers = [low + step * index for index in range(_steps(low, high, step))]
            return tuple(format_duration(number) for number in numbers)
        start, end, width = (float(part) for part in parts)
        return tuple(f"{round(start + width * index, 9):g}" for index in range(_steps(start, end, width)))
    except ValueError as error:
        raise _refused(str(error)) from error


def _steps(low: float, high: float, step: float) -> int:
    if step <= 0 or high < low:
        raise ValueError("the range must go up: from:to:step with from below to, and a step above 0")
    count = int((high - low) / step + 1e-9) + 1
    if count > MOST:
        raise ValueError(f"the range has {count} values; at most {MOST} are possible")
    return count


def write_variant(rules: Path, setting: Setting, value: str, folder: Path) -> Path:
    """Copy the rules into ``folder`` with one value changed; raises ``ConfigError`` when they are no rules then."""
    folder.mkdir(parents=True)
    files = [rules] if rules.is_file() else [file for file in rules.iterdir() if file.suffix in (".yaml", ".yml")]
    for file in files:
        shutil.copy(file, folder / file.name)
    (folder / setting.file.name).write_text(setting.changed(value), encoding="utf-8")
    load_rules(folder, World())
    return folder


def number_of(value: str) -> float:
    """A value as a number to draw: durations in seconds."""
    try:
        return float(value.rstrip("%"))
    except ValueError:
        return parse_duration(value) / 1e9


def _refused(message: str, hint: str = "") -> ConfigError:
    return ConfigError([Problem("--sweep", 1, 1, message, hint)])


class Point(msgspec.Struct, frozen=True):
    """What one value gives. ``precision`` and the like are None without labels; ``refused`` says why it is no rule."""

    value: str
    number: float
    alerts: int = 0
    pages: int = 0
    precision: float | None = None
    recall: float | None = None
    delay: float | None = None
    false_per_week: float | None = None
    refused: str = ""


class Curve(msgspec.Struct, frozen=True):
    """A sweep's result. ``current`` is the value in the file, ``knee`` the index of the marked point (or None)."""

    setting: str
    current: str
    points: list[Point]
    knee: int | None
    labelled: bool
