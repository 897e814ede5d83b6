"""Opens what can be replayed: a journal's folder, a recording, a file of messages, a foreign table with its mapping."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import msgspec

from sensord.config.load import KEY_FILE, load
from sensord.config.mapping import load_mapping
from sensord.config.platekeys import load_keys
from sensord.config.rules import World, load_rules
from sensord.core.definition import Definition, decode_definition
from sensord.core.instant import SECOND
from sensord.core.place import Places
from sensord.core.record import Group, Record, RecordKind
from sensord.core.site import definition_record
from sensord.core.vehicles.pseudonym import Secrets, check_value
from sensord.core.vehicles.tracking import PlateKey
from sensord.drivers.replay import Override, Recorded, journal_groups, unchanged
from sensord.errors import ConfigError, Problem
from sensord.recordings.parquet import Columns
from sensord.recordings.recording import Recording, groups, is_recording, open_recording
from sensord.recordings.series import Series, read_series
from sensord.recordings.transform import cut
from sensord.recordings.writer import PSEUDONYMS
from sensord.store.reader import DirectoryReader
from sensord.words import say

TAIL = 10 * SECOND
FAR = 2**63 - 1
_KEY_RECORDS = 1000


@dataclass(frozen=True, slots=True)
class Replacement:
    """An override: another whole definition, other rules, or both. Rules are checked against the recorded places."""

    definition: Definition | None = None
    rules: Path | None = None

    def __call__(self, recorded: Definition) -> Definition:
        """Return the definition to replay with; raises ``ConfigError`` when the rules do not fit it."""
        chosen = self.definition or recorded
        if recorded.plate_keys:  # vehicles are told apart by the keys that the recording was made with
            chosen = msgspec.structs.replace(chosen, plate_keys=recorded.plate_keys)
        if self.rules is None:
            return chosen
        policies = frozenset(policy.id for policy in chosen.policies) or None
        world = World(Places(chosen.places, chosen.devices), policies)
        return msgspec.structs.replace(chosen, rules=tuple(load_rules(self.rules, world).rules))


@dataclass(frozen=True, slots=True)
class Source:
    """Where to read from, as plain values: a worker process can open it again.

    ``raw`` asks for messages where decoded readings are there, too. ``keys`` is a configuration whose site keys make
    the pseudonyms of vehicles (by default those of ``config``).
    """

    path: Path
    mapping: Path | None = None
    rules: Path | None = None
    config: Path | None = None
    raw: bool = False
    keys: Path | None = None

    def secrets(self) -> Secrets:
        """The site keys: those of the configuration that is named, else those that lie beside a journal's folder."""
        named = self.keys or self.config
        if named is not None:
            return load(named).secrets
        beside = self.path.absolute().parent / KEY_FILE
        return load_keys(beside).secrets if beside.is_file() else {}

    def open(self) -> Opened:
        """Open it; raises ``ConfigError`` when what is needed is missing or wrong."""
        opened, secrets = self._open(), self.secrets()
        if opened.first is None or opened.records is None:
            return replace(opened, secrets=secrets)
        first, secrets = _keyed(opened.first, opened.records, secrets)
        return replace(opened, first=first, secrets=secrets)

    def _open(self) -> Opened:
        if self.path.is_dir() and not is_recording(self.path):
            return self._journal()
        if self.mapping is not None:
            return self._table(self.mapping)
        recording = open_recording(self.path)
        first = self._first(recording)
        override = self._override(None if first is not None else self._configured())
        tail = 0 if first is None else longest_wait(override(decode_definition(first.payload)))
        if recording.has_readings and not self.raw:
            return Opened(_zone(recording, first), override, _count(recording, "readings"), recording=recording)
        count = _count(recording, "messages")
        return Opened(_zone(recording, first), override, count, first, tail, records=recording)

    def _override(self, definition: Definition | None) -> Override:
        return unchanged if definition is None and self.rules is None else Replacement(definition, self.rules)

    def _configured(self) -> Definition | None:
        return None if self.config is None else load(self.config).definition

    def _journal(self) -> Opened:
        configured = self._configured()
        zone = configured.zone if configured else "Asia/Shanghai"
        return Opened(zone, self._override(configured), None, journal=self.path)

    def _table(self, mapping: Path) -> Opened:
        if self.rules is None:
            raise _missing(self.path, say("表格需要 --rules", "a table needs --rules"))
        series = read_series(self.path, load_mapping(mapping))
        override = self._override(None)
        first, whole = definition_record(series.definition, 0), override(series.definition)
        tail = longest_wait(whole) + max((rule.every for rule in whole.rules), default=0)
        return Opened(series.definition.zone, override, len(series.records), first, tail, series=series)

    def _first(self, recording: Recording) -> Record | None:
        """The definition to begin with, for messages that were recorded without one."""
        if recording.manifest is not None and recording.manifest.definitions:
            return None
        if recording.manifest is None and _brings_definition(recording):
            return None
        definition = self._configured()
        if definition is None:
            raise _missing(
                self.path,
                say("这份录制不含配置：需要 --config；表格需要 --mapping",
                    "this recording holds no definition: give --config; a table needs --mapping"),
            )  # fmt: skip
        return definition_record(definition, 0)


@dataclass(frozen=True, slots=True)
class Opened:
    """Something to replay. ``zone`` is for people; ``total`` counts what it holds, where that is known.

    ``first`` is the definition to begin with where the recording brings none; ``tail`` (ns) is how long after the last
    message the last windows are evaluated. Of ``recording`` (decoded readings), ``records``, ``series`` and ``journal``
    one is there.
    """

    zone: str
    override: Override
    total: int | None
    first: Record | None = None
    tail: int = 0
    recording: Recording | None = None
    records: Recording | None = None
    series: Series | None = None
    journal: Path | None = None
    secrets: Secrets = field(default_factory=dict, repr=False)

    def waiting_for(self, overrides: Iterable[Override]) -> Opened:
        """The same, going on after the last message until the slowest of these definitions has counted it."""
        if self.first is None:
            return self
        recorded = decode_definition(self.first.payload)
        return replace(self, tail=max([self.tail, *(longest_wait(override(recorded)) for override in overrides)]))

    @property
    def message_total(self) -> int | None:
        """How many messages it holds, definitions and actions not counted; None where that is not known."""
        if self.records is not None:
            manifest = self.records.manifest
            return None if manifest is None else manifest.counts.get(RecordKind.MESSAGE.name.lower(), 0)
        return len(self.series.records) if self.series is not None else None

    @property
    def made_up(self) -> bool:
        """Whether it says of itself that its plates mean no vehicle."""
        manifest = None if self.records is None else self.records.manifest
        return manifest is not None and manifest.plates == PSEUDONYMS

    def messages(
        self, start: int = 0, end: int = FAR, through: Callable[[Iterable[Record]], Iterable[Record]] = iter
    ) -> Iterator[Record]:
        """Yield the raw messages that arrived at ``start <= t < end`` (ns), in order.

        All records go ``through`` a function before: what it does to messages may hang on the definition in force.
        """
        groups_of = (item for item in self.recorded(start, end) if isinstance(item, Group))
        records = through(record for group in groups_of for record in group.records)
        return (record for record in records if record.kind == RecordKind.MESSAGE)

    def recorded(self, start: int = 0, end: int = FAR) -> Iterator[Recorded]:
        """Yield everything that arrived at ``start <= t < end`` (ns), and a last tick."""
        if self.journal is not None:
            whole: Iterable[Group] = journal_groups(DirectoryReader(self.journal))
            yield from _within(whole, start, end)
        elif self.recording is not None:
            yield from _readings(self.recording, start, end)
        else:
            records = self.series.records if self.series is not None else _records(self.records)
            until = self.records.manifest.end if self.records is not None and self.records.manifest else 0
            bounded = records if not start and end == FAR else cut(records, start, end)
            yield from groups(bounded, self.first, until=min(until, end), tail=self.tail)


def journal_records(journal: Path) -> Iterator[Record]:
    """Yield every record of a journal's folder, in order."""
    for group in journal_groups(DirectoryReader(journal)):
        yield from group.records


def _keyed(first: Record, recording: Recording, secrets: Secrets) -> tuple[Record, Secrets]:
    """Where there is no site key, make one of the recording itself, so that its vehicles are told apart.

    The same recording gives the same pseudonyms, and nobody without the recording can try all plates.
    """
    definition = decode_definition(first.payload)
    if definition.plate_keys:
        return first, secrets
    digest = hashlib.sha256()
    for record in islice(recording.records(), _KEY_RECORDS):
        digest.update(f"{record.received_at} {record.topic}\0".encode() + record.payload)
    key = PlateKey("recording", 0, check_value(digest.digest()))
    keyed = msgspec.structs.replace(definition, plate_keys=(key,))
    return definition_record(keyed, first.received_at), {**secrets, key.id: digest.digest()}


def _records(recording: Recording | None) -> Iterator[Record]:
    assert recording is not None
    return recording.records()


def longest_wait(definition: Definition) -> int:
    """How long (ns) after the last message to go on, so that the last readings are counted."""
    return max((definition.lateness_of(rule.stream) for rule in definition.rules), default=0) + TAIL


def _within(whole: Iterable[Group], start: int, end: int) -> Iterator[Group]:
    if not start and end == FAR:
        yield from whole
        return
    yield from groups(cut((record for group in whole for record in group.records), start, end))


def _readings(recording: Recording, start: int, end: int) -> Iterator[Recorded]:
    """Yield a stretch of decoded readings and what lies between them, as ``cut`` does of messages."""
    assert recording.manifest is not None
    force: Record | None = None
    seq = 0
    for seq, item in enumerate(recording.items(), 1):
        if isinstance(item, Record) and item.received_at < start:
            force = item if item.kind == RecordKind.DEFINITION else force
            continue
        part = _within_bounds(seq, item, start, end)
        if part is None:
            continue
        if force is not None:  # whatever comes first in the stretch is decided by what was in force there
            yield Group(seq, (msgspec.structs.replace(force, received_at=_begins(part)),))
            force = None
        yield part
    last = min(recording.manifest.end, end)
    yield Group(seq + 1, (Record(RecordKind.TICK, last),))


def _within_bounds(seq: int, item: Record | Columns, start: int, end: int) -> Group | Columns | None:
    if isinstance(item, Columns):
        return _cut_columns(item, start, end)
    return Group(seq, (item,)) if item.received_at < end else None


def _begins(part: Group | Columns) -> int:
    return part.records[0].received_at if isinstance(part, Group) else int(part.batch.received_at[0])


def _cut_columns(item: Columns, start: int, end: int) -> Columns | None:
    received_at = item.batch.received_at
    low, high = (int(received_at.searchsorted(bound, side="left")) for bound in (start, end))
    if low >= high:
        return None
    if low == 0 and high == len(received_at):
        return item
    return replace(item, batch=item.batch.cut(low, high, int(received_at[high - 1])))


def _brings_definition(recording: Recording) -> bool:
    return next(iter(recording.records()), Record(0, 0)).kind == RecordKind.DEFINITION


def _zone(recording: Recording, first: Record | None) -> str:
    if first is not None:
        return decode_definition(first.payload).zone
    return recording.manifest.zone if recording.manifest is not None else "Asia/Shanghai"


def _count(recording: Recording, kind: str) -> int | None:
    if recording.manifest is None:
        return None
    return sum(entry.count for entry in recording.manifest.of_kind(kind))


def _missing(source: Path, message: str) -> ConfigError:
    return ConfigError([Problem(str(source), 1, 1, message)])
