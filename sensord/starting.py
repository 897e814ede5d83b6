"""What a daemon starts with: its configuration, and how the files looked from which it was read.

A start whose files are refused goes on with the definition in force, as a refused reload does: a crash must not make a
street blind because somebody mistyped a rule. What the definition does not hold (broker, channels, sinks, secrets)
comes from ``sensord.yaml``, which must be sound. The first start has nothing to go on with, and is refused.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from sensord.config.connection import load_settings
from sensord.config.load import Loaded, Spare, load, load_bare, resolve_path
from sensord.config.settings import Settings
from sensord.core.definition import Definition, decode_definition
from sensord.core.people.roster import Person
from sensord.core.record import RecordKind
from sensord.core.site import Site
from sensord.errors import ConfigError, SnapshotError
from sensord.ports import JournalReader
from sensord.reload import Signature, signature

log = structlog.get_logger()


class Reader(JournalReader, Protocol):
    """A reader of the journal that is closed by who opened it."""

    def close(self) -> None:
        """Close its files."""
        ...


class Snapshots(Protocol):
    """Where the core's states are saved."""

    def load_snapshot(self) -> tuple[int, bytes] | None:
        """Return (seq, state) of the newest good one."""
        ...


@dataclass(frozen=True, slots=True)
class Start:
    """What was loaded. ``seen`` are its files as they were before: a start may take minutes, and people edit.

    When they were ``refused``, ``loaded`` has an empty definition.
    """

    config: Path
    loaded: Loaded
    seen: Signature
    refused: ConfigError | None = None

    @property
    def complaint(self) -> str:
        """What a person is told who asks; empty when nothing was refused."""
        return (
            "" if self.refused is None else f"the configuration of this start was refused: {self.refused.problems[0]}"
        )

    def begun(self, journal: Reader, states: Snapshots) -> Loaded:
        """What the daemon begins with; raises the refusal when no definition has been in force yet."""
        with closing(journal):
            if self.refused is None:
                return self.loaded
            held = newest_definition(journal, states)
        if held is None:
            raise self.refused
        problems = [str(problem) for problem in self.refused.problems]
        log.error("the configuration is refused; the rules in force go on", problems=problems, version=held.version)
        return replace(self.loaded, definition=_fitted(held, self.loaded))


def prepare(config: Path) -> Start:
    """Load what a daemon starts with; raises ``ConfigError`` with every mistake, when there cannot be anything else."""
    settings = load_settings(config)
    seen = signature(config, settings)
    try:
        return Start(config, load(config, lenient=True), seen)
    except ConfigError as refused:
        if not (resolve_path(settings.state_dir, config.parent) / "journal").is_dir():
            raise  # no daemon has been here: nothing is to be made for one that will not run
        return Start(config, load_bare(config), seen, refused)


def newest_definition(journal: JournalReader, states: Snapshots) -> Definition | None:
    """The definition that is in force, or will be once the core has caught up with the journal; None if there is none.

    Without a saved state the whole journal is read, which the core then does as well.
    """
    position, found = _saved(states)
    while groups := journal.read(position):
        for record in (record for group in groups for record in group.records):
            if record.kind == RecordKind.DEFINITION:
                found = _decoded(record.payload) or found
        position = groups[-1].seq
    return found


def _saved(states: Snapshots) -> tuple[int, Definition | None]:
    saved = states.load_snapshot()
    if saved is None:
        return 0, None
    try:
        definition = Site.restored(saved[1], lenient=True).definition
    except SnapshotError:  # the core steps the journal from its start, and says why
        return 0, None
    return saved[0], definition if definition.site else None


def _decoded(text: bytes) -> Definition | None:
    try:
        return decode_definition(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the core leaves it out, and counts it
        return None


def _fitted(held: Definition, loaded: Loaded) -> Definition:
    """The same with what ``sensord.yaml`` says now: topics, channels that run; without keys that cannot be used."""
    mqtt = loaded.settings.mqtt
    people = tuple(_reachable(person, loaded.settings) for person in held.people)
    keys = () if Spare.PLATES in loaded.without else held.plate_keys
    return msgspec.structs.replace(held, people=people, plate_keys=keys, topics=mqtt.readings, commands=mqtt.commands)


def _reachable(person: Person, settings: Settings) -> Person:
    """The same by the channels that run; the first way that is left waits for no other."""
    running = {channel.name for channel in settings.channels}
    left = tuple(contact for contact in person.contacts if contact.channel in running)
    if left and all(contact.after for contact in left):
        left = (msgspec.structs.replace(left[0], after=0), *left[1:])
    return msgspec.structs.replace(person, contacts=left)
