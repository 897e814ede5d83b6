"""The shapes of everything that is stored, as text: ``python -m tests.store.shapes`` writes ``shapes.txt`` again.

A shape is what a later program must know to read what this one wrote: the fields of a structure in their order, with
their types and defaults; the words of an enumeration; the statements that made a database's tables. Each belongs to a
version that the stored thing carries, so that a reader can tell.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from sensord.core import points, snapshot
from sensord.core.alert import Transition
from sensord.core.cases.case import Case, CaseEvent
from sensord.core.cases.notice import Notice
from sensord.core.cases.notification import Hold, Notification
from sensord.core.definition import Definition
from sensord.core.intake import intake
from sensord.core.record import Action, Receipt, Record, RecordKind
from sensord.core.rules.carry import PackedEngine
from sensord.core.site import _Body
from sensord.core.vehicles import spaces, trackerstate
from sensord.ports import Cursor
from sensord.store import access, audit, backup, dayfile, rollups, tables
from sensord.store.lost import Stretch
from sensord.store.sqlite import Schema
from tests.store.ruleshapes import rules_kept

FILE = Path(__file__).with_name("shapes.txt")


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored thing: its version, where that is raised, and what it is made of."""

    name: str
    version: int
    where: str
    kinds: tuple[Any, ...]
    tables: Schema | None = None
    more: Callable[[], Iterable[str]] = tuple
    """Lines about what is stored by names that no structure has."""

    @property
    def heading(self) -> str:
        """The line that begins its shape."""
        return f"== {self.name}, version {self.version} ({self.where}) =="

    def text(self) -> str:
        """Its shape."""
        lines = [" ".join(one.split()) for one in self.tables.statements] if self.tables else []
        return "\n".join([self.heading, *lines, *_described(self.kinds), *self.more()]) + "\n"


STORED = (
    Stored(
        "journal",
        dayfile.SCHEMA.version,
        "SCHEMA in sensord/store/dayfile.py",
        (RecordKind, Record, Action, Receipt, Notice, Definition),
        dayfile.SCHEMA,
    ),
    Stored("list of lost groups", 1, "it has none: what cannot be read is found again", (Stretch,)),
    Stored(
        "state database",
        tables.STATE.version,
        "STATE in sensord/store/tables.py",
        (Transition, Case, CaseEvent, Notification, Hold, Cursor),
        tables.STATE,
    ),
    Stored(
        "saved state of the core",
        snapshot.VERSION,
        "VERSION in sensord/core/snapshot.py",
        (_Body, PackedEngine, intake._Saved, trackerstate._State, spaces._State),
        more=rules_kept,
    ),
    Stored(
        "saved state of a sink's decoder",
        snapshot.VERSION,
        "VERSION in sensord/core/snapshot.py",
        (points._State, intake._Saved),
    ),
    Stored("roll-ups", rollups.SCHEMA.version, "SCHEMA in sensord/store/rollups.py", (), rollups.SCHEMA),
    Stored("access log", access.VERSION, "VERSION in sensord/store/access.py", (access.Access,)),
    Stored("audit log", audit.VERSION, "VERSION in sensord/store/audit.py", (audit.Audited,)),
    Stored("backup's manifest", backup.VERSION, "VERSION in sensord/store/backup.py", (backup.Manifest,)),
)


def _described(kinds: Iterable[Any]) -> Iterator[str]:
    """Describe structures and enumerations, and all that they are made of, each once, in the order of their names."""
    found, waiting = dict[tuple[str, str], list[str]](), list(kinds)
    while waiting:
        kind = waiting.pop()
        name = kind.__qualname__, kind.__module__
        if name not in found:
            found[name] = _enumeration(kind) if issubclass(kind, enum.Enum) else _structure(kind)
            waiting += [] if issubclass(kind, enum.Enum) else _parts(kind)
    for name in sorted(found):
        yield from found[name]


def _enumeration(kind: type[enum.Enum]) -> list[str]:
    return [f"{kind.__qualname__}: " + ", ".join(repr(one.value) for one in kind)]


def _structure(kind: Any) -> list[str]:
    """A structure's lines: how it is written, and its fields."""
    if not issubclass(kind, msgspec.Struct):  # a named tuple, or a data class
        return [f"{kind.__qualname__}, a tuple", *(f"  {name}: {_word(one)}" for name, one in _hints(kind).items())]
    ways = [way for way in ("array_like", "omit_defaults") if getattr(kind.__struct_config__, way)]
    tag = kind.__struct_config__.tag
    head = ", ".join([kind.__qualname__, *ways, *([f"tag {tag!r}"] if tag else [])])
    return [head, *(f"  {one.encode_name}: {_word(one.type)}{_default(one)}" for one in msgspec.structs.fields(kind))]


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return ""
    if field.default is msgspec.NODEFAULT:
        return " = new"
    return f" = {field.default.value!r}" if isinstance(field.default, enum.Enum) else f" = {field.default!r}"


def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=False)


def _word(kind: Any) -> str:
    """A type as text, without the modules it comes from."""
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Annotated:
        return _word(arguments[0])
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " | ".join(sorted(map(_word, arguments)))
    if typing.get_origin(kind) is typing.Literal:
        return f"Literal{list(arguments)}"
    name = "..." if kind is ... else getattr(typing.get_origin(kind) or kind, "__qualname__", str(kind))
    return f"{name}[{', '.join(map(_word, arguments))}]" if arguments else name


def _parts(kind: Any) -> list[Any]:
    """The structures and enumerations among a structure's fields, however deep in their types."""
    found, waiting = list[Any](), list(_hints(kind).values())
    while waiting:
        one = waiting.pop()
        waiting += [part for part in typing.get_args(one) if part is not ...]
        if isinstance(one, type) and (issubclass(one, enum.Enum | msgspec.Struct) or hasattr(one, "_fields")):
            found.append(one)
    return found


def main() -> None:
    """Write all shapes down."""
    FILE.write_text("\n".join(one.text() for one in STORED), encoding="utf-8")


if __name__ == "__main__":
    main()
