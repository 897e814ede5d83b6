"""Opening a journal that may be damaged: a street without alerting is worse than a hole in the record.

A day file that cannot be read as it was written is moved aside, never deleted; what can be read of it goes into a new
file first. What cannot is written down as lost (``lost.py``), so that readers go on behind it and nobody takes it for
silence. A day file that is missing between two others is lost likewise.

It may be shot at any moment: what is found is written down before anything is moved (``findings.py``), and a copy gets
another name once it is whole and what it lacks is known, so that the next start puts it in place.

Damage that only shows while the daemon runs (a group that a reader meets) is noted (``suspicion.py``); the daemon then
ends, and its next start does the work: nothing is repaired under the feet of who reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import structlog

from sensord.config.files import ASIDE, sync_directory
from sensord.errors import DamageError, StoreError
from sensord.ports import Meter
from sensord.store.damage import finish_setting_aside, set_aside
from sensord.store.dayfile import DAY_FILE, RECORDS, SCHEMA, day_files, decode_group
from sensord.store.findings import Findings
from sensord.store.journal import Journal
from sensord.store.lost import Lost, Stretch
from sensord.store.sqlite import (
    FAULTS,
    create_file,
    create_schema,
    prepare_directory,
    put_in_place,
    refuse_empty,
    translated,
)
from sensord.store.suspicion import MARK, acquit, suspected

PART, KEPT = ".part", ".kept"
"""How the name of a copy ends that is being made, and of one that is whole."""
MISSES, PATIENCE = 1600, 64
"""Looks into the unreadable before a file is taken to have no more; the step doubles after every 64 of them."""
_Row = tuple[int, int, int, int, bytes]

log = structlog.get_logger(__name__)


def open_or_mend(
    directory: Path, now: int, *, zone: str = "Asia/Shanghai", meter: Meter | None = None
) -> tuple[Journal, str]:
    """Open the journal, whatever its files look like; returns it, and what was found (empty: nothing).

    That is said again by the next start, until ``findings.forget``. ``now`` (ns) goes into the names of what is moved
    aside. Raises ``StoreError`` when nothing can be written, or a newer sensord wrote the files.
    """
    prepare_directory(directory)
    mender = _Mender(directory, now)
    mender.finish()
    mender.look_at_suspects()
    while True:
        try:
            return Journal(directory, zone=zone, meter=meter), "; ".join(mender.found.texts)
        except DamageError as error:
            mender.mend(error)


class _Mender:
    """Makes a journal readable, one damage after the other; ``found`` says of each what it was and what is lost."""

    def __init__(self, directory: Path, now: int) -> None:
        self._directory, self._now = directory, now
        self._salvaged = set[Path]()
        self.found = Findings(directory)

    def finish(self) -> None:
        """Put in place what an earlier salvage had made ready, and drop what it had not."""
        for aside in self._directory.glob(f"journal-*.db{ASIDE}*[0-9]"):
            finish_setting_aside(aside.with_name(aside.name.partition(ASIDE)[0]))
        for part in self._directory.glob(f"journal-*.db{PART}"):
            part.unlink()
        for kept in self._directory.glob(f"journal-*.db{KEPT}"):
            self._exchange(
                kept.with_name(kept.name.removesuffix(KEPT)), "an earlier start has copied what is good of it"
            )
        self._set_orphans_aside()

    def _set_orphans_aside(self) -> None:
        """Move the log of a day file that is gone; of one before all others nothing is lost, it was deleted for age."""
        files, why = day_files(self._directory), "is gone, and has left its log"
        named = {log.with_name(log.name.removesuffix("-wal")) for log in self._directory.glob("journal-*.db-wal")}
        for path in sorted(path for path in named.difference(files) if DAY_FILE.fullmatch(path.name)):
            if not files or path > files[0]:
                self.found.add(f"{path.name} {why}")
                set_aside(path, self._now, f"it {why}")

    def look_at_suspects(self) -> None:
        """Mend the files in which readers of the last run have met damage."""
        for mark in sorted(self._directory.glob(f"journal-*.db{MARK}")):
            suspect = mark.with_name(mark.name.removesuffix(MARK))
            if suspect.exists() and suspected(suspect):
                self.mend(DamageError(f"{suspect}: a reader met damage in it", suspect))
            acquit(suspect)

    def mend(self, error: DamageError) -> None:
        """Do what lets the journal be opened in spite of this; raises the error when there is nothing to do."""
        if error.missing is not None:
            first, last = error.missing
            self._write_down([Stretch(first, last, self._now, error.path.name)], "no file holds them")
        elif error.path in day_files(self._directory):
            self._salvage(error)
        else:
            raise error

    def _salvage(self, error: DamageError) -> None:
        """Copy what is good into a new file, once; then move the damaged one aside and the new one into its place."""
        path = error.path
        part = path.with_name(path.name + PART)
        kept = 0
        if path not in self._salvaged:
            self._salvaged.add(path)
            try:
                refuse_empty(path)
                kept, missing = _copy(path, part)
                self._write_down([Stretch(first, last, self._now, path.name) for first, last in missing], "unreadable")
            except StoreError as problem:
                log.error("nothing could be copied out of a damaged file", file=path.name, why=str(problem))
                kept = 0
        self.found.add(f"{path.name} was damaged and moved aside; {kept} groups of it could be kept")
        if kept:
            put_in_place(part, path.with_name(path.name + KEPT))
        else:
            part.unlink(missing_ok=True)
        self._exchange(path, str(error))
        log.error("a journal file was damaged; what could be read is kept", file=path.name, kept=kept)

    def _exchange(self, path: Path, why: str) -> None:
        """Move the damaged file aside, and the copy into its place if there is one; may be begun again anywhere."""
        if path.exists():
            set_aside(path, self._now, why)
        acquit(path)
        kept = path.with_name(path.name + KEPT)
        if kept.exists():
            kept.replace(path)
        sync_directory(self._directory)

    def _write_down(self, stretches: Sequence[Stretch], why: str) -> None:
        if not stretches:
            return
        for one in stretches:
            self.found.add(f"groups {one.first} to {one.last} are lost ({one.file}: {why})")
            log.error("groups of the journal are lost", first=one.first, last=one.last, file=one.file, why=why)
        (Lost.load(self._directory) | stretches).save(self._directory)


def _copy(path: Path, part: Path) -> tuple[int, list[tuple[int, int]]]:
    """Write every group that can be read into a new file; returns how many, and which are missing between them.

    Raises ``StoreError`` when the new file cannot be written.
    """
    part.unlink(missing_ok=True)
    create_file(part)
    kept, last, missing = 0, 0, list[tuple[int, int]]()
    with (
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as damaged,
        translated(part, "salvaging"),
        closing(sqlite3.connect(part, isolation_level=None)) as sound,
    ):
        sound.execute("PRAGMA journal_mode=OFF")  # a crash leaves a part that the next start throws away
        create_schema(sound, SCHEMA)
        sound.execute("BEGIN")
        for row in _readable(damaged, path):
            if kept and row[0] != last + 1:
                missing.append((last + 1, row[0] - 1))
            sound.execute("INSERT INTO groups (seq, first_at, last_at, count, records) VALUES (?, ?, ?, ?, ?)", row)
            kept, last = kept + 1, row[0]
        sound.execute("COMMIT")
    return kept, missing


def _readable(damaged: sqlite3.Connection, path: Path) -> Iterator[_Row]:
    """Yield the groups that can be read and prove to be whole, in order; steps over what cannot be read."""
    statement = f"SELECT seq, first_at, last_at, count, {RECORDS} FROM groups WHERE seq > ? ORDER BY seq"
    after, beyond, misses = 0, 0, 0
    while misses < MISSES:
        try:
            for row in _in_order(damaged.execute(statement, (after + beyond,)), after):
                after, beyond, misses = row[0], 0, 0
                if _is_whole(row, path):
                    yield row
        except FAULTS:
            beyond += 1 << misses // PATIENCE
            misses += 1
        else:
            return


def _in_order(rows: Iterator[_Row], last: int) -> Iterator[_Row]:
    """Leave out rows whose number cannot be right: it follows neither the row before nor is followed by the next.

    ``last`` is the number before (0: none). A number has no checksum of its own.
    """
    held: _Row | None = None
    for row in rows:
        if held is not None and held[0] > last and row[0] == held[0] + 1:
            yield held
            last = held[0]
        held = None
        if last and row[0] == last + 1:
            yield row
            last = row[0]
        else:
            held = row
    if held is not None and not last:
        yield held


def _is_whole(row: _Row, path: Path) -> bool:
    """Whether the checksum holds, and the columns say what the records do."""
    seq, first_at, last_at, count, blob = row
    try:
        records = decode_group(seq, blob, path)[0].records
    except DamageError:
        return False
    return (first_at, last_at, count) == (records[0].received_at, records[-1].received_at, len(records))
