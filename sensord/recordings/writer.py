"""Writes a recording: raw records and, if wanted, decoded readings, a folder per local day, in order of arrival.

Everything goes through here: the export of a journal, imports, cuts, merges, simulations. The recording appears at its
place only when it is whole (the folder is renamed at the end). Memory is bounded whatever the length.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np

from sensord.core.batch import Batch
from sensord.core.definition import Definition, decode_definition
from sensord.core.instant import MINUTE, from_datetime, to_datetime
from sensord.core.intake.intake import Intake
from sensord.core.intake.topic import TopicTemplate
from sensord.core.place import Places
from sensord.core.record import Record, RecordKind
from sensord.core.vehicles.pseudonym import Pseudonymiser, Secrets
from sensord.errors import StoreError
from sensord.recordings.lines import LineWriter
from sensord.recordings.manifest import (
    FORMAT,
    VERSION,
    FileEntry,
    Gap,
    Manifest,
    describe_file,
    write_manifest,
)
from sensord.recordings.parquet import ReadingsWriter

GAP = MINUTE
"""Ticks come every second, so a minute without any record means that nobody listened."""
_GROUP = 5_000
PLAIN, PSEUDONYMS = "plain", "pseudonyms"


class RecordingWriter:
    """Takes records in order of arrival. ``messages`` and ``readings`` say which of the two forms are written.

    ``plates`` is what the records' plates are (``plain`` or ``pseudonyms``) and ``history`` what was done to them.
    ``secrets`` are the site keys that the definitions name (none for made-up plates). ``private``: nobody but this user
    may read what is written. ``gap`` (ns) is the silence from which on something is missing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        messages: bool = True,
        readings: bool = False,
        plates: str = PLAIN,
        history: Iterable[str] = (),
        secrets: Secrets | None = None,
        private: bool = False,
        gap: int = GAP,
    ) -> None:
        if folder.exists():
            raise StoreError(f"{folder} exists already and is not overwritten; choose another name")
        self._folder, self._part = folder, folder.with_name(folder.name + ".part")
        self._messages, self._readings, self._secrets = messages, readings, secrets or {}
        self._plates, self._history = plates, list(history)
        shutil.rmtree(self._part, ignore_errors=True)
        self._part.mkdir(parents=True)
        self._private, self._gap = private, gap
        if private:  # before anything is in it
            self._part.chmod(0o700)
        self._files: list[FileEntry] = []
        self._day = ""
        self._day_end = 0
        self._lines: LineWriter | None = None
        self._columns: ReadingsWriter | None = None
        self._beside: LineWriter | None = None
        self._counts, self._gaps = Counter[str](), list[Gap]()
        self._devices, self._definitions = set[str](), list[str]()
        self._start = self._end = self._lost = 0
        self._waiting: list[Record] = []
        self._define(Definition("", (), (), ()))

    def _define(self, definition: Definition) -> None:
        self._definition = definition
        self._places = Places(definition.places, definition.devices)
        # Vehicles are identified only in readings, and only for those are the keys needed.
        follows = definition.plate_keys and self._readings
        pseudonymiser = (
            Pseudonymiser(definition.plate_keys, definition.tracking.overlap, self._secrets) if follows else None
        )
        self._intake = Intake(definition, self._places, pseudonymiser)
        self._template, self._commands = TopicTemplate(definition.topics), TopicTemplate(definition.commands)

    def add(self, record: Record) -> None:
        """Take the next record; ``received_at`` must not fall (raises ``StoreError`` when it does)."""
        at = record.received_at
        if at < self._end:
            raise StoreError("the records are not in order of arrival; sort or merge them first")
        if self._start and at - self._end > self._gap:
            self._gaps.append(Gap(self._end, at))
        self._start, self._end = self._start or at, at
        if record.kind == RecordKind.DEFINITION:
            self._redefine(record)
        if at >= self._day_end:
            self._turn(at)
        self._count(record)
        if self._lines is not None:
            self._lines.add(record)
        if self._readings:
            self._decode(record)

    def _redefine(self, record: Record) -> None:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            definition = decode_definition(record.payload)
            self._flush()
            before = self._intake.save()
            self._define(definition)
            self._intake.restore(before)
            if definition.version not in self._definitions:
                self._definitions.append(definition.version)

    def _count(self, record: Record) -> None:
        if record.kind != RecordKind.MESSAGE:
            self._counts[RecordKind(record.kind).name.lower()] += 1
            return
        parts = self._template.parts(record.topic)
        self._counts["message"] += 1
        if parts is not None and "device" in parts:
            self._counts["message/" + parts.get("kind", "")] += 1
            self._devices.add(parts["device"])

    # -- readings ----------------------------------------------------------------------------------------------------

    def _decode(self, record: Record) -> None:
        """Readings become rows; whatever else changes an outcome is kept as it is, with its place among them."""
        if record.kind == RecordKind.MESSAGE and self._commands.parts(record.topic) is None:
            self._waiting.append(record)
            if len(self._waiting) >= _GROUP:
                self._flush()
        elif record.kind != RecordKind.TICK:
            self._flush()
            self._aside(record)

    def _flush(self) -> None:
        """Decode what waits."""
        if self._waiting:
            records, self._waiting = tuple(self._waiting), []
            decoded = self._intake.decode(records, records[-1].received_at)
            self._lost += decoded.gaps.total() - decoded.filled.total()
            self._write(decoded.batch)

    def _write(self, batch: Batch) -> None:
        if self._columns is None:
            self._columns = ReadingsWriter(self._path("readings.parquet"))
        self._columns.add(batch, self._places)

    def add_batch(self, batch: Batch) -> None:
        """Take decoded readings of the definition in force (simulators know them without messages)."""
        start = int(batch.received_at[0])
        while start >= self._day_end:
            self._turn(start)
        cut = 0
        while cut < len(batch):
            if int(batch.received_at[cut]) >= self._day_end:
                self._turn(int(batch.received_at[cut]))
            stop = int(batch.received_at.searchsorted(self._day_end, side="left"))
            part = batch.cut(cut, stop, int(batch.received_at[stop - 1]))
            self._write(part)
            cut = stop
        self._start, self._end = self._start or start, batch.now
        self._counts["reading"] += len(batch)
        self._devices |= {self._places.devices[index].id for index in np.unique(batch.device)}

    def _aside(self, record: Record) -> None:
        """Keep a record beside the readings, with the number of readings before it."""
        if self._beside is None:
            self._beside = LineWriter(self._path("records.jsonl.gz"))
        self._beside.add(record, self._columns.count if self._columns is not None else 0)

    # -- files -------------------------------------------------------------------------------------------------------

    def _path(self, name: str) -> Path:
        folder = self._part / f"site={self._definition.site}" / f"date={self._day}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def _turn(self, at: int) -> None:
        """Begin the files of another local day."""
        self._finish_day()
        moment = to_datetime(at, self._definition.zone)
        self._day = moment.strftime("%Y-%m-%d")
        self._day_end = _next_day(at, self._definition.zone)
        if self._messages:
            self._lines = LineWriter(self._path("messages.jsonl.gz"))

    def _finish_day(self) -> None:
        self._flush()
        writers = (("messages", self._lines), ("readings", self._columns), ("records", self._beside))
        for kind, writer in writers:
            if writer is not None:
                writer.close()
                span = writer.first, writer.last
                self._files.append(describe_file(self._part, writer.path, kind, writer.count, span))
        self._lines = self._columns = self._beside = None

    def finish(self, until: int = 0) -> Manifest:
        """Complete the recording and put it at its place; ``until`` is journal time at its end (ns)."""
        self._finish_day()
        if not self._start:
            shutil.rmtree(self._part)
            raise StoreError(f"there is nothing to record in that stretch; {self._folder} was not made")
        manifest = Manifest(
            FORMAT,
            VERSION,
            self._definition.site,
            self._definition.zone,
            self._start,
            max(until, self._end),
            dict(sorted(self._counts.items())),
            len(self._devices),
            self._definitions,
            self._gaps,
            self._lost,
            self._plates,
            self._history,
            sorted(self._files, key=lambda file: file.path),
        )
        write_manifest(self._part, manifest)
        if self._private:
            for path in self._part.rglob("*"):
                path.chmod(0o700 if path.is_dir() else 0o600)
        self._part.rename(self._folder)
        return manifest

    def abandon(self) -> None:
        """Remove what was written so far (after an error)."""
        for writer in (self._lines, self._columns, self._beside):
            if writer is not None:
                writer.close()
        shutil.rmtree(self._part, ignore_errors=True)


def write(folder: Path, records: Iterable[Record], until: int = 0, **options: object) -> Manifest:
    """Write records as a recording; see :class:`RecordingWriter` for the options."""
    writer = RecordingWriter(folder, **options)  # type: ignore[arg-type]
    try:
        for record in records:
            writer.add(record)
        return writer.finish(until)
    except BaseException:
        writer.abandon()
        raise


def _next_day(at: int, zone: str) -> int:
    """The first instant (ns) of the next local day."""
    moment = to_datetime(at, zone)
    day = (moment + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return from_datetime(day)
