"""Replay: the same core over recorded data, as fast as it goes. No clock, no outputs but what the caller prints.

Several sites (the rules as they are, and as they might be) can be driven over one recording in one pass: what is
recorded is decoded once for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from sensord.core.batch import Batch
from sensord.core.definition import Definition, decode_definition
from sensord.core.intake.intake import Decoded
from sensord.core.intake.reader import Read
from sensord.core.record import Group, Record, RecordKind, kinds
from sensord.core.site import APART, Site, Step
from sensord.core.stream import Stream
from sensord.ports import JournalReader
from sensord.recordings.parquet import Columns


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was read of a group before, for one site (see :func:`prepare`); ``now`` is the journal time it brings (ns).

    Messages are read, and the site still holds them against what it remembers; readings were decoded before.
    """

    seq: int
    now: int
    content: Read | Decoded


Recorded = Group | Columns
"""What is recorded: journal groups, or readings that were decoded before."""
Piece = Recorded | Prepared
"""What replays are fed with."""
Override = Callable[[Definition], Definition]
"""Makes the definition to replay with of the one that was recorded."""


def journal_groups(journal: JournalReader, after: int = 0, upto: int | None = None) -> Iterator[Group]:
    """Yield the groups of a journal in order, from ``after`` to ``upto`` (both sequence numbers; None: its end)."""
    while groups := journal.read(after):
        for group in groups:
            if upto is not None and group.seq > upto:
                return
            yield group
            after = group.seq


def unchanged(definition: Definition) -> Definition:
    """The override that changes nothing."""
    return definition


def overridden(whole: Iterable[Group], override: Override) -> Iterator[Group]:
    """Yield the groups with every definition in them replaced by what the override makes of it."""
    for group in whole:
        if override is not unchanged and any(record.kind == RecordKind.DEFINITION for record in group.records):
            yield Group(group.seq, tuple(_overridden(record, override) for record in group.records))
        else:
            yield group


def _overridden(record: Record, override: Override) -> Record:
    if override is unchanged or record.kind != RecordKind.DEFINITION:
        return record
    return msgspec.structs.replace(record, payload=override(decode_definition(record.payload)).encode())


def replay(recorded: Iterable[Piece], site: Site, override: Override = unchanged) -> Iterator[Step]:
    """Step one site through what was recorded."""
    for steps in replay_together(recorded, [site], [override]):
        yield steps[0]


def replay_together(
    recorded: Iterable[Piece], sites: Sequence[Site], overrides: Sequence[Override]
) -> Iterator[list[Step]]:
    """Step several sites through what was recorded, in one pass; yields a step per site (what is prepared: one site).

    A definition in the recording is replaced, for each site, by what its override makes of it. Messages are decoded
    once as long as the sites understand them alike; a site with other devices, places or lateness decodes for itself.
    """
    driver = _Together(sites, overrides)
    for number, item in enumerate(recorded, 1):
        if isinstance(item, Columns):
            yield driver.columns(number, item)
        elif isinstance(item, Prepared):
            yield driver.prepared(item)
        else:
            yield from driver.group(item)


def prepare(recorded: Iterable[Recorded], site: Site, override: Override = unchanged) -> Iterator[Piece]:
    """Do the half of a replay that remembers nothing: what comes out, replayed by another site, decides the same.

    ``site`` only follows the definitions, for its reader. What is no reading stays in groups of records; definitions
    in them are overridden.
    """
    for number, item in enumerate(recorded, 1):
        if isinstance(item, Columns):
            batch = item.placed(site.places)
            yield Prepared(number, batch.now, _as_decoded(batch, site.definition))
        else:
            for part in _stretches(item):
                if part.records[0].kind not in APART:
                    yield Prepared(part.seq, part.received_at, site.intake.reader.read(part.records))
                    continue
                told = Group(part.seq, (_overridden(part.records[0], override),))
                site.step(told)
                yield told


def _stretches(group: Group) -> Iterator[Group]:
    """Take a group apart so that every record that is for the core itself stands alone."""
    if APART.isdisjoint(kinds(group.records)):
        yield group
        return
    start = 0
    for index, record in enumerate(group.records):
        if record.kind in APART:
            if index > start:
                yield Group(group.seq, group.records[start:index])
            yield Group(group.seq, (record,))
            start = index + 1
    if start < len(group.records):
        yield Group(group.seq, group.records[start:])


class _Together:
    """Drives sites in step."""

    def __init__(self, sites: Sequence[Site], overrides: Sequence[Override]) -> None:
        self._sites, self._overrides = sites, overrides
        self._alike = _understand_alike(sites)

    def columns(self, seq: int, item: Columns) -> list[Step]:
        """Feed decoded readings."""
        return [site.take(seq, _as_decoded(item.placed(site.places), site.definition)) for site in self._sites]

    def prepared(self, item: Prepared) -> list[Step]:
        """Feed what was read before."""
        content, (site,) = item.content, self._sites
        decoded = site.intake.judge(content, item.now) if isinstance(content, Read) else content
        return [site.take(item.seq, decoded)]

    def group(self, group: Group) -> Iterator[list[Step]]:
        """Feed a group; what is for the core itself makes several steps of it."""
        for part in _stretches(group):
            if part.records[0].kind == RecordKind.DEFINITION:
                yield self._redefine(part.seq, part.records[0])
            elif part.records[0].kind == RecordKind.NOTICE:
                yield [site.step(part) for site in self._sites]
            else:
                yield self._records(part)

    def _records(self, group: Group) -> list[Step]:
        if len(self._sites) == 1 or not self._alike:
            return [site.step(group) for site in self._sites]
        decoded = self._sites[0].intake.decode(group.records, group.received_at)
        return [site.take(group.seq, decoded) for site in self._sites]

    def _redefine(self, seq: int, record: Record) -> list[Step]:
        steps = []
        for site, override in zip(self._sites, self._overrides, strict=True):
            steps.append(site.step(Group(seq, (_overridden(record, override),))))
        self._alike = _understand_alike(self._sites)
        return steps


def _understand_alike(sites: Sequence[Site]) -> bool:
    """Whether all sites make the same readings of the same messages."""

    def understanding(site: Site) -> tuple[object, ...]:
        one = site.definition
        plates = one.plates, one.plate_keys, one.tracking.overlap
        return one.places, one.devices, plates, one.lateness, one.zone, one.topics, one.commands

    return all(understanding(site) == understanding(sites[0]) for site in sites[1:])


def _as_decoded(batch: Batch, definition: Definition) -> Decoded:
    """Readings that were decoded before, counted as the intake counts them."""
    counts = Counter[tuple[str, str]]()
    for stream in np.flatnonzero(np.bincount(batch.stream, minlength=len(Stream))):
        mine = batch.stream == stream
        tolerance = definition.lateness_of(Stream(int(stream)))
        late = int(np.count_nonzero(mine & (batch.event_at + tolerance < batch.received_at)))
        for outcome, amount in (("late", late), ("accepted", int(np.count_nonzero(mine)) - late)):
            if amount:
                counts[Stream(int(stream)).word, outcome] = amount
    return Decoded(batch, [], [], counts)


@dataclass(slots=True)
class Tally:
    """What a replay amounted to."""

    groups: int = 0
    transitions: int = 0
    cases: int = 0
    notifications: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    readings: Counter[str] = field(default_factory=Counter)

    def add(self, step: Step) -> None:
        """Count one step."""
        self.groups += 1
        self.transitions += len(step.transitions)
        self.notifications += len(step.notifications)
        self.cases += sum(event.happening == "close" for event in step.events)
        self.dead.update(letter.reason for letter in step.dead)
        for (stream, outcome), amount in step.counts.items():
            if stream != Stream.VISIT.word:  # what the core made of the readings is none
                self.readings[outcome] += amount
