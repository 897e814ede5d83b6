"""Changes of the duty plan that came in over the API: a file of the state directory, beside ``roster.yaml``.

It has the form of ``changes`` there, and each entry an id and who made it. The roster in force is both together, so
``sensord check`` and ``sensord roster check`` see it, and a reload keeps it; of two changes for one person and time the
later one counts, and these come after those of ``roster.yaml``. Only the daemon writes it. An entry about somebody who
is no longer on the roster is passed over with a warning: a person's leaving must not refuse the whole configuration.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from sensord.config.dutyplan import read_change
from sensord.config.files import PRIVATE, write_whole
from sensord.config.findings import Findings
from sensord.config.plantext import Moment
from sensord.config.rostertext import ChangeText
from sensord.config.schema import Entry, convert
from sensord.config.yamlfile import MAX_BYTES_REGISTER, read_yaml
from sensord.core.people.duty import Change
from sensord.core.vehicles.blot import without_plates
from sensord.errors import Problem

CHANGES_FILE = "roster.changes.yaml"
_HEAD = "# 由守护进程写入（接口 /api/v1/roster/changes），请勿手工修改。 / Written by the daemon; do not edit.\n"


class AddedChange(ChangeText, frozen=True, kw_only=True):
    """One change: what ``roster.yaml`` would say, its id, and who made it when and why."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{12}$")]
    by: Annotated[str, Meta(max_length=64)]
    at: Moment
    note: Annotated[str, Meta(max_length=500)] = ""


class ChangesFile(Entry, frozen=True, kw_only=True):
    """The file as a whole."""

    changes: tuple[AddedChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Added:
    """What the file says: the entries, and what the core takes of them."""

    entries: tuple[AddedChange, ...] = ()
    changes: tuple[Change, ...] = ()
    warnings: list[Problem] = field(default_factory=list)


def load_changes(path: Path, people: Collection[str], zone: str) -> Added:
    """Read the file; without one there are none. Raises ``ConfigError`` with every mistake and its position."""
    if not path.exists():
        return Added()
    document = read_yaml(path, MAX_BYTES_REGISTER)
    file, findings = convert(document, ChangesFile), Findings(document)
    made = []
    for nth, entry in enumerate(file.changes):
        gone = [person for person in (entry.away, entry.stands_in) if person is not None and person not in people]
        if gone:
            message = f"{gone[0]} is not on the roster any more: this change has no effect"
            findings.warn(("changes", nth), message, f"DELETE /api/v1/roster/changes/{entry.id}")
        else:
            made.append(read_change(findings, nth, entry, people, zone))
    return Added(file.changes, tuple(made), findings.finish())


def write_changes(path: Path, entries: Sequence[AddedChange]) -> None:
    """Put the file there as a whole, without plates in what people noted; raises ``OSError``."""
    bare = [msgspec.structs.replace(entry, note=without_plates(entry.note)) for entry in entries]
    lines = [f"  - {json.dumps(msgspec.to_builtins(entry), ensure_ascii=False)}\n" for entry in bare]
    body = "changes:\n" + "".join(lines) if lines else "changes: []\n"
    write_whole(path, (_HEAD + body).encode(), PRIVATE)
