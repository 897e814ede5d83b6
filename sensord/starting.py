"""What a daemon starts with: its configuration, and how the files looked from which it was read.

A start whose files are refused goes on with the definition in force, as a refused reload does: a crash must not make a
street blind because somebody mistyped a rule. What the definition does not hold (broker, channels, sinks, secrets)
comes from ``sensord.yaml``, which must be sound. The first start has nothing to go on with, and is refused; so is one
by whose channels somebody on the roster in force could not be told of anything: that must be seen at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from sensord.config.channels import kinds
from sensord.config.connection import load_settings
from sensord.config.load import Loaded, Spare, load, load_bare, resolve_path, with_channels
from sensord.core.definition import Definition, decode_definition
from sensord.core.record import RecordKind
from sensord.core.site import Site
from sensord.errors import ConfigError, Problem, SnapshotError
from sensord.ports import JournalReader, Saved
from sensord.reload import Signature, signature

_STRETCH = 1024
"""So many groups before the journal's end are looked at first for a definition, then twice as many, and so on."""

log = structlog.get_logger()


class Reader(JournalReader, Protocol):
    """A reader of the journal that is closed by who opened it."""

    def close(self) -> None:
        """Close its files."""
        ...


class Snapshots(Protocol):
    """Where the core's states are saved."""

    def saved(self) -> Iterator[Saved]:
        """Yield them, the newest first."""
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
        """What the daemon begins with; raises ``ConfigError`` with every mistake when it cannot begin.

        That is so when no definition has been in force yet, or somebody could not be told under the one that is.
        """
        with closing(journal):
            if self.refused is None:
                return self.loaded
            held = newest_definition(journal, states)
        if held is None:
            raise self.refused
        fitted = _fitted(held, self.loaded)
        unreached = _unreached(fitted, self.config)
        if unreached:
            raise self.with_refusal(ConfigError(unreached))
        problems = [str(problem) for problem in self.refused.problems]
        shut = list(fitted.shut)
        log.error(
            "the configuration is refused; the rules in force go on", problems=problems, version=held.version, shut=shut
        )
        return replace(self.loaded, definition=fitted)

    def with_refusal(self, error: ConfigError) -> ConfigError:
        """The same with the mistakes for which the start was refused, if it was."""
        return error if self.refused in (None, error) else ConfigError([*error.problems, *self.refused.problems])


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

    Without a saved state it may be anywhere in the journal, which is looked through from its end: most often it came
    with the daemon's last start or reload, and nobody is told of anything until it is found.
    """
    position, held = _saved(states)
    end, stretch = journal.last_seq, _STRETCH
    position = max(position, journal.first_seq - 1)
    while end > position:
        begin = max(position, end - stretch)
        if (found := _last_in(journal, begin, end)) is not None:
            return found
        end, stretch = begin, stretch * 2
    return held


def _last_in(journal: JournalReader, begin: int, end: int) -> Definition | None:
    """The last definition in the groups ``begin < seq <= end``."""
    found = None
    while begin < end and (groups := journal.read(begin)):
        for record in (record for group in groups if group.seq <= end for record in group.records):
            if record.kind == RecordKind.DEFINITION:
                found = _decoded(record.payload) or found
        begin = groups[-1].seq
    return found


def _saved(states: Snapshots) -> tuple[int, Definition | None]:
    for saved in states.saved():
        try:
            definition = Site.restored(saved.state, lenient=True).definition
        except SnapshotError:  # the core passes it over as well, and says why
            continue
        return saved.seq, definition if definition.site else None
    return 0, None


def _decoded(text: bytes) -> Definition | None:
    try:
        return decode_definition(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the core leaves it out, and counts it
        return None


def _fitted(held: Definition, loaded: Loaded) -> Definition:
    """The same with what ``sensord.yaml`` says now: topics, channels that run; without keys that cannot be used.

    The roster stays as people wrote it, and what is ``shut`` is found anew at each start: a channel that was taken out
    by mistake, and put back, reaches everybody again.
    """
    settings = loaded.settings
    return msgspec.structs.replace(
        held,
        plate_keys=() if Spare.PLATES in loaded.without else held.plate_keys,
        damping=with_channels(held.damping, settings),
        topics=settings.mqtt.readings,
        commands=settings.mqtt.commands,
        shut=_shut(held, kinds(settings.channels)),
    )


def _shut(held: Definition, running: Mapping[str, str]) -> tuple[str, ...]:
    """The channels of the roster that are not there, or of another type (for which its addresses are none), by name."""
    used = {contact.channel for person in held.people for contact in person.contacts}
    wanted = {name: held.channels.get(name, running.get(name)) for name in used}
    return tuple(sorted(name for name, kind in wanted.items() if kind is None or running.get(name) != kind))


def _unreached(definition: Definition, config: Path) -> list[Problem]:
    """The mistake that some people could be told over nothing at all, if some could."""
    lost = [person.id for person in definition.staff if not person.contacts]
    if not lost:
        return []
    message = (
        f"{len(lost)} of {len(definition.people)} people on the roster in force could not be told, "
        f"for example {lost[0]}: their channels ({', '.join(definition.shut)}) are gone, or of another type"
    )
    return [Problem(str(config), 1, 1, message, "mend the other mistakes, or put these channels back as they were")]
