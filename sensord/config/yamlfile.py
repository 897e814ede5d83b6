"""Reads YAML that a person wrote, or that somebody hostile did: plain data, and where each node stands.

Rules: only what YAML 1.2's core schema and JSON have in common. Aliases, anchors, tags, directives, several
documents, duplicate keys and keys that are not text are refused. Plain ``yes``/``no``/``on``/``off`` and
``010`` are refused because YAML 1.1 and 1.2 read them differently; ``12:30`` is text. Size and depth are
bounded before anything is built.

The parser is read event by event (libyaml's where it is there), never recursively, so depth cannot exhaust
the stack. Positions cost time and memory, so they are collected by a second pass, and only once somebody asks
for one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import yaml
from yaml import events

from sensord.config.files import read_regular
from sensord.config.scalar import NEEDS_A_LOOK, Refusal, plain, short
from sensord.errors import ConfigError, Problem

KIB = 1024
MAX_BYTES = 256 * KIB
MAX_BYTES_REGISTER = 8 * KIB * KIB
"""Places and rosters are registers, often written by a program: they may be larger."""
MAX_DEPTH = 20
_TOO_DEEP = (f"the nesting is deeper than {MAX_DEPTH} levels", "no configuration needs this")
MAX_PROBLEMS = 100
"""Problems reported per file; a file with more of them has one cause, not a hundred."""

KeyPath = tuple[str | int, ...]
Position = tuple[int, int]

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_HALF_WIDTH = {"：": ":", "，": ",", "“": '"', "”": '"', "｛": "{", "｝": "}", "［": "[", "］": "]"}
_FULL_WIDTH = re.compile(
    r"(?:^\s*(?:- +)?|[{,]\s*)[\w.-]+\s*(：)"  # after a key
    r"|(，)\s*[\w.-]+\s*[:：]"  # between two keys
    r"|:\s*(“)[^”]*[,:][^”]*”"  # around a text that needs quotes
    r"|:\s*([｛［])|([｝］])\s*$"  # around a list or mapping
)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser; without it PyYAML's own, about ten times slower, with the same meaning."""


class _Mark(Protocol):
    """A position as PyYAML counts: from zero."""

    line: int
    column: int


class _Event(Protocol):
    """What is used of PyYAML's events; which attributes are there depends on the kind."""

    anchor: str | None
    tag: str | None
    implicit: tuple[bool, bool]
    value: str
    version: object
    tags: object
    start_mark: _Mark


class _Events(Protocol):
    """The one method of PyYAML's parsers that is used here."""

    def get_event(self) -> _Event | None:
        """Return the next event, or None at the end."""
        ...


class Document:
    """One parsed file. ``data`` is made of dict, list, str, int, float, bool and None only."""

    def __init__(self, file: str, text: str, data: object) -> None:
        self.file = file
        self.data = data
        self._text = text
        self._values: dict[KeyPath, Position] = {}
        self._keys: dict[KeyPath, Position] = {}

    def position(self, path: KeyPath, *, key: bool = False) -> Position:
        """Return the 1-based (line, column) of the node at ``path`` or its key, else the nearest above."""
        if not self._values:
            builder = _Builder(self.file, self._text, self._values, self._keys)
            builder.build()
        index = self._keys if key and path in self._keys else self._values
        while path and path not in index:
            path = path[:-1]
            index = self._values
        return index.get(path, (1, 1))

    def problem(
        self, path: KeyPath, message: str, hint: str = "", *, severity: str = "error", key: bool = False
    ) -> Problem:
        """Make a problem that points to the node at ``path`` (or to its key)."""
        line, column = self.position(path, key=key)
        return Problem(self.file, line, column, message, hint, severity)


def read_yaml(path: Path, max_bytes: int = MAX_BYTES) -> Document:
    """Read and parse a file; raises ``ConfigError`` when it cannot be read or is refused."""
    try:
        raw, _ = read_regular(path, max_bytes + 1)
    except OSError as error:
        hint = "check the path, and that the daemon's user may read it"
        message = f"the file cannot be read: {error.strerror}"
        raise ConfigError([Problem(str(path), 1, 1, message, hint)]) from error
    return parse_yaml(raw, str(path), max_bytes)


def parse_yaml(raw: bytes, file: str, max_bytes: int = MAX_BYTES) -> Document:
    """Parse bytes; ``file`` is the name that problems carry. Raises ``ConfigError`` and nothing else."""
    text = _decode(raw, file, max_bytes)
    builder = _Builder(file, text)
    data = builder.build()
    if builder.problems:
        raise ConfigError(builder.problems)
    return Document(file, text, data)


def _decode(raw: bytes, file: str, max_bytes: int) -> str:
    if len(raw) > max_bytes:
        limit = f"{max_bytes // KIB} KiB" if max_bytes >= KIB else f"{max_bytes} bytes"
        hint = "split it, or remove what is not needed"
        raise ConfigError([Problem(file, 1, 1, f"the file is larger than {limit}", hint)])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        raise ConfigError([_problem_after(before, file, message, "save the file with the encoding UTF-8")]) from error
    found = _FORBIDDEN.search(text)
    if found is not None:
        message = f"the character U+{ord(found[0]):04X} is not allowed"
        raise ConfigError([_problem_after(text[: found.start()], file, message, "remove this invisible character")])
    return text


def _problem_after(before: str, file: str, message: str, hint: str) -> Problem:
    line = before.count("\n") + 1
    return Problem(file, line, len(before) - (before.rfind("\n") + 1) + 1, message, hint)


class _StoppedError(Exception):
    """Nothing after this point can be trusted; the problem has been noted."""


class _Builder:
    """Turns events into data; notes every refusal. With ``values`` and ``keys`` it also notes positions."""

    def __init__(
        self,
        file: str,
        text: str,
        values: dict[KeyPath, Position] | None = None,
        keys: dict[KeyPath, Position] | None = None,
    ) -> None:
        self.file = file
        self.text = text
        self.problems: list[Problem] = []
        self.values = values
        self.keys = keys
        self.root: object = None
        self.documents = 0
        self.open: list[dict[str, object] | list[object]] = []
        self.paths: list[KeyPath] = []
        self.key: str | None = None

    def build(self) -> object:
        """Read the text to its end, or to the first thing that makes the rest meaningless."""
        try:
            parser: _Events = _LOADER(self.text)
            while (event := parser.get_event()) is not None:
                self._take(event)
        except _StoppedError:
            pass
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # PyYAML's own parser raises ValueError for escapes beyond Unicode; ReaderError has no mark.
            self.problems.append(Problem(self.file, 1, 1, f"this is not YAML: {error}", "check quotes and escapes"))
        return self.root

    def _take(self, event: _Event) -> None:
        kind: type[object] = type(event)
        if kind is events.ScalarEvent:
            self._scalar(event)
        elif kind is events.MappingStartEvent:
            self._start(event, {})
        elif kind is events.SequenceStartEvent:
            self._start(event, [])
        elif kind is events.MappingEndEvent or kind is events.SequenceEndEvent:
            self.open.pop()
            self.key = None
            self.paths.pop()
        elif kind is events.AliasEvent:
            self._refuse(event, f"the alias *{event.anchor} is not allowed", "write the value out where it is used")
            self._put("*", event)
        elif kind is events.DocumentStartEvent:
            self._document(event)

    def _document(self, event: _Event) -> None:
        self.documents += 1
        if self.documents > 1:
            self._stop(event, "a second document begins here", "remove the line ---: one file holds one document")
        if event.version or event.tags:
            self._refuse(event, "the directive (a line that begins with %) is not allowed", "remove it")

    def _start(self, event: _Event, container: dict[str, object] | list[object]) -> None:
        if event.anchor is not None or event.tag is not None:
            self._decorated(event)
        if len(self.open) >= MAX_DEPTH:
            self._stop(event, *_TOO_DEEP)
        if self.open and self.key is None and type(self.open[-1]) is dict:
            self._stop(event, "a list or mapping stands where a key belongs", "write the key as a single word")
        path = self._path() if self.values is not None else ()
        self._put(container, event)
        self.paths.append(path)
        self.open.append(container)
        self.key = None

    def _scalar(self, event: _Event) -> None:
        if event.anchor is not None or event.tag is not None:
            self._decorated(event)
        value: object = event.value
        if not event.implicit[0]:
            unfit = _FORBIDDEN.search(event.value)
            if unfit is not None:
                self._refuse(event, f"the escaped character U+{ord(unfit[0]):04X} is not allowed", "remove it")
        elif event.value[:1] in NEEDS_A_LOOK or not event.value:
            value = self._plain(event)
        self._put(value, event)

    def _plain(self, event: _Event) -> object:
        value = plain(event.value)
        if isinstance(value, Refusal):
            self._refuse(event, value.message, value.hint)
            return event.value
        return value

    def _put(self, value: object, event: _Event) -> None:
        if not self.open:
            self.root = value
            self._note((), event)
            return
        top = self.open[-1]
        if isinstance(top, list):
            self._note(None, event)
            top.append(value)
        elif self.key is None:
            self._new_key(top, value, event)
        else:
            self._note(None, event)
            top[self.key] = value
            self.key = None

    def _new_key(self, top: dict[str, object], value: object, event: _Event) -> None:
        if not isinstance(value, str):
            shown = short(event.value) or "(empty)"
            self._refuse(event, f"the key {shown} is not text", "put the key in quotes")
        self.key = str(value)
        if self.key in top:
            self._refuse(event, f"the key {short(self.key)} is given twice", "keep one of the two")
        if self.keys is not None:
            self.keys[self._path()] = _position(event.start_mark)

    def _path(self) -> KeyPath:
        if not self.open:
            return ()
        top = self.open[-1]
        return (*self.paths[-1], len(top) if isinstance(top, list) else self.key or "")

    def _note(self, path: KeyPath | None, event: _Event) -> None:
        if self.values is not None:
            self.values[self._path() if path is None else path] = _position(event.start_mark)

    def _decorated(self, event: _Event) -> None:
        if event.anchor is not None:
            self._refuse(event, f"the anchor &{short(event.anchor)} is not allowed", "write the values out")
        if event.tag is not None:
            self._refuse(event, f"the tag {short(event.tag)} is not allowed", "remove it, or quote the text")

    def _refuse(self, event: _Event, message: str, hint: str) -> None:
        self.problems.append(Problem(self.file, *_position(event.start_mark), message, hint))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _StoppedError

    def _stop(self, event: _Event, message: str, hint: str) -> None:
        self._refuse(event, message, hint)
        raise _StoppedError

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        began = error.context_mark if error.context else None
        mark = error.problem_mark or began
        if began is not None and "end of stream" in (error.problem or ""):
            mark = began  # an open quote is missed where it begins, not where the file ends
        line, column = _position(mark) if mark is not None else (1, 1)
        hint = f"{error.context} that began in line {began.line + 1}" if began is not None else ""
        if "nesting depth" in (error.problem or ""):  # libyaml's own limit, which it meets while it looks ahead
            self.problems.append(Problem(self.file, line, column, *_TOO_DEEP))
            return
        lines = self.text.splitlines()
        if line <= len(lines) and "\t" in lines[line - 1][: column + 1]:
            hint = "indent with spaces, not with tabs"
        if (wide := self._full_width(lines, began.line + 1 if began is not None else line, line)) is not None:
            self.problems.append(wide)
            return
        self.problems.append(Problem(self.file, line, column, f"this is not YAML: {error.problem}", hint))

    def _full_width(self, lines: Sequence[str], first: int, last: int) -> Problem | None:
        """A sign of the Chinese keyboard where YAML needs its half-width twin, in these lines: that is the cause."""
        for number, line in enumerate(lines[first - 1 : last], first):
            if (found := _FULL_WIDTH.search(line)) is not None:
                sign = found[found.lastindex or 0]
                message = f"the full-width {sign} is no sign of YAML"
                at = found.start(found.lastindex or 0) + 1
                return Problem(self.file, number, at, message, f"write the half-width {_HALF_WIDTH[sign]}")
        return None


def _position(mark: _Mark) -> Position:
    return mark.line + 1, mark.column + 1


def show(path: Sequence[str | int]) -> str:
    """Write a path the way people do: ``devices[3].place``."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).lstrip(".")
