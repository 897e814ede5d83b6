"""Turns plain data into typed values, or says in plain words, and where, everything that does not fit.

Rules: msgspec converts and is the only judge. Its error names one mistake and no position, so when it
refuses, the data is walked along the type a second time and every mistake is described. Correct files never
pay for that walk.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, inspect

from sensord import decoders
from sensord.config.settings import Duration
from sensord.config.yamlfile import MAX_PROBLEMS, Document, KeyPath, show
from sensord.errors import ConfigError, Problem

__all__ = [
    "Duration",
    "Entry",
    "Identifier",
    "LocalText",
    "Text",
    "convert",
    "convert_each",
    "did_you_mean",
    "named",
]

T = TypeVar("T")

_WITH_A_UNIT = re.compile(r"[<>=≤≥＜＞]*\s*(-?[0-9]{1,9}(?:\.[0-9]{1,6})?)[^0-9]{0,20}")
"""A number as people write it elsewhere: `>100`, `95%`, `100人`."""
_LONGEST_WORD = 200
_FEW = 12
_SHOWN = 60

Identifier = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_.-]{1,64}(?!\n)$",
        description="an id that is safe in topics: 1 to 64 of A-Z a-z 0-9 _ . -",
    ),
]
Text = Annotated[str, Meta(min_length=1, max_length=200)]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mapping in YAML; unknown keys are refused."""


class LocalText(Entry, frozen=True, kw_only=True):
    """A text in Chinese and, if wanted, in English; without ``en`` the Chinese text serves both."""

    zh: Annotated[str, Meta(min_length=1, max_length=500)]
    en: Annotated[str, Meta(min_length=1, max_length=500)] | None = None

    def both(self) -> dict[str, str]:
        """The text by language, both languages always present."""
        return {"zh": self.zh, "en": self.en or self.zh}


def convert(document: Document, wanted: type[T]) -> T:
    """Convert a document as a whole; raises ``ConfigError`` with every mistake found."""
    try:
        return decoders.convert(document.data, wanted)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(document, (), document.data, wanted, error)) from error


def convert_each(
    document: Document, path: KeyPath, items: Iterable[object], wanted: type[T]
) -> tuple[list[tuple[KeyPath, T]], list[Problem]]:
    """Convert the items of the list at ``path`` one by one: those that fit (with paths), and all mistakes."""
    good: list[tuple[KeyPath, T]] = []
    problems: list[Problem] = []
    for index, item in enumerate(items):
        place = (*path, index)
        try:
            good.append((place, decoders.convert(item, wanted)))
        except msgspec.ValidationError as error:
            problems.extend(_explain(document, place, item, wanted, error))
    return good, problems


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, or all of them when there are few, or nothing."""
    words = sorted(set(known))
    word = word[:_LONGEST_WORD]
    near = [other for other in words if other.lower() == word.lower()][:1]
    near = near or difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"one of: {', '.join(words)}" if 0 < len(words) <= _FEW else ""


def named(value: object) -> str:
    """Write a value into a message: short, and marked as text when it is."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _explain(
    document: Document, path: KeyPath, data: object, wanted: object, error: msgspec.ValidationError
) -> list[Problem]:
    walk = _Walk(document)
    walk.check(path, data, inspect.type_info(wanted))
    return walk.problems[:MAX_PROBLEMS] or [document.problem(path, str(error))]


_WORDS: dict[type, str] = {
    inspect.StructType: "a mapping (key: value)",
    inspect.DictType: "a mapping (key: value)",
    inspect.ListType: "a list",
    inspect.VarTupleType: "a list",
    inspect.StrType: "text",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
    inspect.NoneType: "nothing",
}
_SHAPES: tuple[tuple[type, tuple[type, ...]], ...] = (
    (dict, (inspect.StructType, inspect.DictType)),
    (list, (inspect.ListType, inspect.VarTupleType)),
)


def _bare(kind: inspect.Type) -> tuple[inspect.Type, str]:
    """Take the annotations off a type; returns it and its description in words, if it has one."""
    if isinstance(kind, inspect.Metadata):
        return kind.type, str((kind.extra_json_schema or {}).get("description", ""))
    return kind, ""


class _Walk:
    """Walks data along a type and notes whatever does not fit."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []

    def check(self, path: KeyPath, value: object, kind: inspect.Type) -> None:
        """Compare one value with its type."""
        kind, words = _bare(kind)
        if isinstance(kind, inspect.UnionType):
            self._union(path, value, kind)
        elif isinstance(kind, inspect.StructType) and isinstance(value, dict):
            self._struct(path, value, kind)
        elif isinstance(kind, inspect.DictType) and isinstance(value, dict):
            self._dict(path, value, kind)
        elif isinstance(kind, inspect.ListType | inspect.VarTupleType) and isinstance(value, list):
            self._list(path, value, kind)
        elif isinstance(kind, inspect.LiteralType):
            self._literal(path, value, kind)
        else:
            self._scalar(path, value, kind, words)

    def _note(self, path: KeyPath, message: str, hint: str = "", *, key: bool = False) -> None:
        self.problems.append(self.document.problem(path, message, hint, key=key))

    def _struct(self, path: KeyPath, value: dict[str, object], kind: inspect.StructType) -> None:
        fields = {field.encode_name: field for field in kind.fields}
        known = {*fields, kind.tag_field} if kind.tag_field else set(fields)
        for key in value:
            if key not in known:
                moved: dict[str, str] = getattr(kind.cls, "MOVED", {})
                hint = moved.get(key) or did_you_mean(key, known)
                self._note((*path, key), f"unknown key {named(key)}", hint, key=True)
        for name, field in fields.items():
            if name in value:
                self.check((*path, name), value[name], field.type)
            elif field.required:
                self._note(path, f"{_owner(path)} has no key {named(name)}", f"add {name}: ...")

    def _dict(self, path: KeyPath, value: dict[str, object], kind: inspect.DictType) -> None:
        keys, words = _bare(kind.key_type)
        for key, item in value.items():
            if isinstance(keys, inspect.LiteralType) and key not in keys.values:
                hint = did_you_mean(key, map(str, keys.values))
                self._note((*path, key), f"unknown key {named(key)}", hint, key=True)
            elif isinstance(keys, inspect.StrType) and (fault := _text_fault(key, keys, words)):
                self._note((*path, key), f"the key {fault}", key=True)
            self.check((*path, key), item, kind.value_type)
        self._length(path, len(value), kind.min_length, kind.max_length)

    def _list(self, path: KeyPath, value: list[object], kind: inspect.ListType | inspect.VarTupleType) -> None:
        for index, item in enumerate(value):
            self.check((*path, index), item, kind.item_type)
            if len(self.problems) >= MAX_PROBLEMS:
                return
        self._length(path, len(value), kind.min_length, kind.max_length)

    def _length(self, path: KeyPath, length: int, least: int | None, most: int | None) -> None:
        if least is not None and length < least:
            self._note(
                path,
                f"{_owner(path)} needs at least {least} entry" if least == 1 else f"needs {least} entries",
            )
        elif most is not None and length > most:
            self._note(path, f"{_owner(path)} may have at most {most} entries")

    def _literal(self, path: KeyPath, value: object, kind: inspect.LiteralType) -> None:
        if value not in kind.values:
            words = [str(word) for word in kind.values]
            self._note(path, f"{_owner(path)} cannot be {named(value)}", did_you_mean(str(value), words))

    def _union(self, path: KeyPath, value: object, kind: inspect.UnionType) -> None:
        options = [_bare(option)[0] for option in kind.types]
        if value is None and any(isinstance(option, inspect.NoneType) for option in options):
            return
        for shape, kinds in _SHAPES:
            fitting = [option for option in options if isinstance(option, kinds)]
            if isinstance(value, shape) and fitting:
                self._one_of(path, value, fitting)
                return
        possible = [(option, self._trial(path, value, option)) for option in kind.types if not _is_none(option)]
        if not all(trial for _, trial in possible):
            return
        alike = [trial for option, trial in possible if _same_shape(_bare(option)[0], value)]
        shapes = tuple(kind for _, kinds in _SHAPES for kind in kinds)
        plain = [trial for option, trial in possible if not isinstance(_bare(option)[0], shapes)]
        if alike and (bare := _bare_number(value, options)):
            hint = f"write a number without a unit: {bare}"
            self._note(path, f"{_owner(path)} must be a number, not {named(value)}", hint)
        elif len(possible) == 1 or alike or (len(plain) == 1 and isinstance(value, str)):
            self.problems.extend((alike or plain or [possible[0][1]])[0])
        else:
            words = dict.fromkeys(_WORDS.get(type(_bare(option)[0]), "a word") for option, _ in possible)
            self._note(path, f"{_owner(path)} must be {' or '.join(words)}, not {named(value)}")

    def _trial(self, path: KeyPath, value: object, kind: inspect.Type) -> list[Problem]:
        walk = _Walk(self.document)
        walk.check(path, value, kind)
        return walk.problems

    def _one_of(self, path: KeyPath, value: object, options: list[inspect.Type]) -> None:
        tagged = {
            str(option.tag): option for option in options if isinstance(option, inspect.StructType) and option.tag
        }
        if not tagged or not isinstance(value, dict):
            self.check(path, value, options[0])
            return
        field = next(option.tag_field for option in options if isinstance(option, inspect.StructType)) or "type"
        word = value.get(field)
        if word is None:
            self._note(
                path,
                f"{_owner(path)} has no key {named(field)}",
                f"add {field}: {' | '.join(sorted(tagged))}",
            )
        elif str(word) not in tagged:
            self._note((*path, field), f"unknown {field} {named(word)}", did_you_mean(str(word), tagged))
        else:
            self.check(path, value, tagged[str(word)])

    def _scalar(self, path: KeyPath, value: object, kind: inspect.Type, words: str) -> None:
        fault, hint = _scalar_fault(value, kind, words)
        if fault:
            self._note(path, f"{_owner(path)} {fault}", hint)


def _is_none(kind: inspect.Type) -> bool:
    return isinstance(_bare(kind)[0], inspect.NoneType)


def _same_shape(kind: inspect.Type, value: object) -> bool:
    return isinstance(kind, inspect.StrType) and isinstance(value, str)


def _bare_number(value: object, options: list[inspect.Type]) -> str:
    """The number in a text that stands where a number may, or a text of a form that it does not come near."""
    if not isinstance(value, str) or not any(isinstance(one, inspect.IntType | inspect.FloatType) for one in options):
        return ""
    ends = [one.pattern or "" for one in options if isinstance(one, inspect.StrType)]
    if "sigma" in value.lower() or (value.endswith(("%", "％")) and any("%" in pattern for pattern in ends)):
        return ""
    found = _WITH_A_UNIT.fullmatch(value)
    return found[1] if found is not None else ""


def _owner(path: KeyPath) -> str:
    return show(path) or "the file"


def _scalar_fault(value: object, kind: inspect.Type, words: str) -> tuple[str, str]:
    """What is wrong with a scalar (empty: nothing), and a hint."""
    if isinstance(kind, inspect.StrType):
        if isinstance(value, str):
            return _text_fault(value, kind, words), ""
        return f"must be {words or 'text'}, not {_shape(value)}", _text_hint(value, words)
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        good = isinstance(value, int) or (isinstance(kind, inspect.FloatType) and isinstance(value, float))
        if good and not isinstance(value, bool):
            return _number_fault(float(str(value)), kind), ""
        hint = "write it without quotes and without a unit" if isinstance(value, str) else ""
        return f"must be {_WORDS[type(kind)]}, not {_shape(value)}", hint
    if isinstance(kind, inspect.BoolType) and isinstance(value, bool):
        return "", ""
    return f"must be {_WORDS.get(type(kind), 'something else')}, not {_shape(value)}", ""


def _text_hint(value: object, words: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return f"name the unit: {value}s" if "duration" in words else f'put it in quotes: "{value}"'


def _shape(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return "true or false" if isinstance(value, bool) else named(value)


def _text_fault(value: str, kind: inspect.StrType, words: str) -> str:
    if kind.pattern is not None and re.search(kind.pattern, value) is None:
        return f"is not {words or f'of the form {kind.pattern}'}: {named(value)}"
    if kind.min_length is not None and len(value) < kind.min_length:
        return "is empty; give it a text" if kind.min_length == 1 else f"is shorter than {kind.min_length} characters"
    if kind.max_length is not None and len(value) > kind.max_length:
        return f"is longer than {kind.max_length} characters"
    return ""


def _number_fault(value: float, kind: inspect.IntType | inspect.FloatType) -> str:
    wrong = [
        f"{words} {limit:g}"
        for limit, words, broken in (
            (kind.ge, "at least", kind.ge is not None and value < kind.ge),
            (kind.gt, "more than", kind.gt is not None and value <= kind.gt),
            (kind.le, "at most", kind.le is not None and value > kind.le),
            (kind.lt, "less than", kind.lt is not None and value >= kind.lt),
        )
        if broken
    ]
    return f"must be {' and '.join(wrong)}, not {value:g}" if wrong else ""
