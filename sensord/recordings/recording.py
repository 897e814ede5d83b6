"""Opens what is recorded: a recording's folder, or one file of JSON lines; hands out records or readings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, chain, islice
from operator import le
from pathlib import Path

import msgspec

from sensord.core.record import Group, Record, RecordKind
from sensord.errors import ConfigError
from sensord.recordings.lines import read_lines, read_messages
from sensord.recordings.manifest import NAME, Manifest, damage, read_manifest
from sensord.recordings.parquet import Columns, read_readings

GROUP_RECORDS = 10_000
"""A replay decides the same however a recording is cut; bigger groups cost less per record."""


@dataclass(frozen=True, slots=True)
class Recording:
    """An opened recording; ``manifest`` is None for a bare file of lines."""

    path: Path
    manifest: Manifest | None = None

    @property
    def has_messages(self) -> bool:
        """Whether raw records are there."""
        return self.manifest is None or bool(self.manifest.of_kind("messages"))

    @property
    def has_readings(self) -> bool:
        """Whether decoded readings are there."""
        return self.manifest is not None and bool(self.manifest.of_kind("readings"))

    def records(self) -> Iterator[Record]:
        """Yield the raw records in order of arrival."""
        if self.manifest is None:
            return read_messages(self.path)
        return chain.from_iterable(read_messages(self.path / entry.path) for entry in self.manifest.of_kind("messages"))

    def items(self, wanted: frozenset[str] | None = None) -> Iterator[Record | Columns]:
        """Yield decoded readings, and between them the definitions and actions, in order of arrival.

        ``wanted`` names the fields and labels that are needed (None: all).
        """
        assert self.manifest is not None
        dates = sorted({entry.date for entry in self.manifest.files})
        for date in dates:
            here = {entry.kind: self.path / entry.path for entry in self.manifest.files if entry.date == date}
            aside = list(read_lines(here["records"])) if "records" in here else []
            columns = read_readings(here["readings"], wanted=wanted) if "readings" in here else iter(())
            yield from _woven([(line.after, record) for line, record in aside], columns)


def open_recording(path: Path) -> Recording:
    """Open a folder (its checksums are verified) or a file; raises ``ConfigError`` with everything that is wrong."""
    if not path.is_dir():
        return Recording(path)
    manifest = read_manifest(path)
    problems = list(damage(path, manifest))
    if problems:
        raise ConfigError(problems)
    return Recording(path, manifest)


def is_recording(path: Path) -> bool:
    """Whether a folder says that it is a recording."""
    return (path / NAME).is_file()


def _woven(aside: list[tuple[int, Record]], chunks: Iterable[Columns]) -> Iterator[Record | Columns]:
    """Put records between the readings: each after as many of them as it says."""
    done, waiting = 0, aside
    for chunk in chunks:
        begin, count = 0, len(chunk.batch)
        while waiting and waiting[0][0] < done + count:
            after, record = waiting.pop(0)
            if after - done > begin:
                yield _part(chunk, begin, after - done)
                begin = after - done
            yield record
        if begin < count:
            yield _part(chunk, begin, count)
        done += count
    for _, record in waiting:
        yield record


def _part(chunk: Columns, start: int, stop: int) -> Columns:
    if stop - start == len(chunk.batch):
        return chunk
    return replace(chunk, batch=chunk.batch.cut(start, stop, int(chunk.batch.received_at[stop - 1])))


def groups(records: Iterable[Record], first: Record | None = None, *, until: int = 0, tail: int = 0) -> Iterator[Group]:
    """Bundle records into groups as a journal would: non-decreasing times, sequence numbers from 1.

    ``first`` (a definition) comes before everything else, at the instant of the first record. A tick ends it: at
    ``until``, and not before the last record plus ``tail`` (ns), so that the last windows are evaluated.
    """
    rest, seq, now = iter(records), 0, 0
    while read := list(islice(rest, GROUP_RECORDS)):
        if not seq and first is not None:
            read.insert(0, msgspec.structs.replace(first, received_at=read[0].received_at))
        group = Group(seq := seq + 1, _rising(read, now))
        now = group.received_at
        yield group
    if now and max(until, now + tail) > now:
        yield Group(seq + 1, (Record(RecordKind.TICK, max(until, now + tail)),))


def _rising(records: list[Record], now: int) -> tuple[Record, ...]:
    """Let no arrival be before the one before it, nor before ``now`` (ns)."""
    times = [now, *(record.received_at for record in records)]
    if all(map(le, times, islice(times, 1, None))):
        return tuple(records)
    rising = accumulate(times, max)
    next(rising)
    return tuple(
        record if record.received_at == at else msgspec.structs.replace(record, received_at=at)
        for record, at in zip(records, rising, strict=True)
    )
