"""A replay that can be interrupted at any time: where it stands, and that it goes on with what it was begun with."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from sensord.commands.progress import watched
from sensord.config.files import write_whole
from sensord.core.definition import decode_definition
from sensord.core.record import Group, RecordKind
from sensord.core.site import Site
from sensord.decoders import msgpack_decoder
from sensord.drivers.replay import Override, Recorded, replay
from sensord.errors import SnapshotError
from sensord.recordings.manifest import NAME, sha256
from sensord.source import FAR, Opened, Source
from sensord.words import say

_SAVE_EVERY = 20.0
"""Seconds of work that an interruption without warning may cost."""
_BLOCK = 1 << 20


class _Saved(msgspec.Struct, array_like=True):
    """Where a replay stands, and of what.

    ``source`` and ``options`` say what was asked; ``read`` and ``rules`` what was consumed and decided by, ``output``
    what was written until then: all five are digests. ``pieces`` of the source are consumed, ``written`` bytes are out.
    """

    source: bytes = b""
    options: bytes = b""
    read: bytes = b""
    rules: bytes = b""
    output: bytes = b""
    pieces: int = 0
    written: int = 0
    state: bytes = b""


_SAVED = msgpack_decoder(_Saved)


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


@dataclass(slots=True)
class _Trail:
    """Digests of the pieces that a replay has consumed, of the definitions that it decides by, and of its output.

    Of a piece its shape is enough: files are compared as a whole. Only of a journal, which goes on growing, the first
    group's records are taken, too.
    """

    override: Override
    read: _Hash = field(default_factory=hashlib.sha256)
    rules: _Hash = field(default_factory=hashlib.sha256)
    output: _Hash = field(default_factory=hashlib.sha256)
    pieces: int = 0

    def follow(self, piece: Recorded) -> None:
        """Count one more piece."""
        self.read.update(repr(_shape(piece)).encode())
        if isinstance(piece, Group):
            for record in piece.records:
                if record.kind == RecordKind.DEFINITION:
                    self.rules.update(self.override(decode_definition(record.payload)).encode())
                if not self.pieces:
                    self.read.update(record.payload)
        self.pieces += 1


def _shape(piece: Recorded) -> tuple[int, ...]:
    if isinstance(piece, Group):
        return piece.seq, len(piece.records), piece.received_at
    received_at = piece.batch.received_at
    return len(received_at), int(received_at[0]), int(received_at[-1])


@dataclass(slots=True)
class Resumable:
    """A replay to a file of JSON lines that can be interrupted at any time and goes on where it was.

    ``state`` is the file that says where it stands; it disappears when the replay is complete. ``start`` and ``end``
    (ns) bound the stretch.
    """

    source: Source
    opened: Opened
    output: Path
    state: Path
    start: int = 0
    end: int = FAR

    def run(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Replay until the end (True) or until ``stop`` says so (False).

        Raises ``SnapshotError`` when the state file is none, or when source, stretch, rules, configuration or output
        are not those that it was written with.
        """
        saved = self._load()
        asked = _Saved(_digest(self.source), repr((self.start, self.end, self.source.raw)).encode())
        secrets, trail = self.opened.secrets, _Trail(self.opened.override)
        pieces = self.opened.recorded(self.start, self.end)
        if saved is None:
            with self.output.open("wb") as file:
                return self._drive(Site(secrets=secrets), trail, asked, self._watched(pieces), file, stop)
        self._check(saved, asked)
        for piece in islice(pieces, saved.pieces):
            trail.follow(piece)
        self._check_trail(saved, trail)
        site = Site.restored(saved.state, secrets)
        with self.output.open("r+b") as file:
            self._continue(saved, trail, file)
            return self._drive(site, trail, asked, self._watched(pieces), file, stop)

    def _watched(self, pieces: Iterator[Recorded]) -> Iterator[Recorded]:
        # How much of it a stretch holds is not known before.
        return watched(pieces, self.opened.total if not self.start and self.end == FAR else None)

    def _drive(
        self,
        site: Site,
        trail: _Trail,
        asked: _Saved,
        pieces: Iterator[Recorded],
        file: BinaryIO,
        stop: Callable[[], bool],
    ) -> bool:
        saved_at = time.monotonic()
        for piece in pieces:
            trail.follow(piece)
            for step in replay([piece], site, self.opened.override):
                decided = step.decisions()
                trail.output.update(decided)
                file.write(decided)
            stopping = stop()
            if stopping or time.monotonic() - saved_at > _SAVE_EVERY:
                self._save(site, trail, asked, file)
                saved_at = time.monotonic()
            if stopping:
                return False
        _flush(file)
        self.state.unlink(missing_ok=True)
        return True

    def _load(self) -> _Saved | None:
        if not self.state.exists():
            return None
        try:
            return _SAVED.decode(self.state.read_bytes())
        except msgspec.DecodeError as error:
            raise self._refused("这不是重放的进度文件", "this does not say where a replay stands") from error

    def _check(self, saved: _Saved, asked: _Saved) -> None:
        if saved.source != asked.source:
            raise self._refused("录制、日志或表格不是当时那一份", "it belongs to another recording, journal or table")
        if not self.output.is_file():
            raise self._refused(f"没有找到已写出的 {self.output}", f"{self.output}, which was written, is gone")
        if saved.options != asked.options:
            raise self._refused(
                "--from、--to 或 --raw 与当时不同", "--from, --to or --raw are not what they were when it was begun"
            )

    def _check_trail(self, saved: _Saved, trail: _Trail) -> None:
        if trail.rules.digest() != saved.rules:
            raise self._refused(
                "规则或配置与当时不同", "rules or configuration are not what they were when it was begun"
            )
        if (trail.pieces, trail.read.digest()) != (saved.pieces, saved.read):
            raise self._refused(
                "源在已重放的部分有变化", "the source has changed in the part that was replayed already"
            )

    def _continue(self, saved: _Saved, trail: _Trail, file: BinaryIO) -> None:
        """Make sure that the output begins with what was written, and cut off what a crash left behind that."""
        left = saved.written
        while left and (block := file.read(min(left, _BLOCK))):
            trail.output.update(block)
            left -= len(block)
        if left or trail.output.digest() != saved.output:
            raise self._refused(
                f"{self.output} 不是当时写出的 {saved.written} 字节",
                f"{self.output} does not begin with the {saved.written} bytes that were written",
            )
        file.truncate(saved.written)
        file.seek(saved.written)

    def _save(self, site: Site, trail: _Trail, asked: _Saved, file: BinaryIO) -> None:
        """Say where it stands, once what was written is on the disk."""
        _flush(file)
        digests = trail.read.digest(), trail.rules.digest(), trail.output.digest()
        saved = _Saved(asked.source, asked.options, *digests, trail.pieces, file.tell(), site.snapshot())
        write_whole(self.state, msgspec.msgpack.encode(saved))

    def _refused(self, chinese: str, english: str) -> SnapshotError:
        return SnapshotError(
            say(
                f"{self.state}：{chinese}；删除它即从头重放",
                f"{self.state}: {english}; remove it to begin anew",
            )
        )


def _flush(file: BinaryIO) -> None:
    """Bring what was written onto the disk."""
    file.flush()
    os.fsync(file.fileno())


def _digest(source: Source) -> bytes:
    """What tells this source from others. A journal goes on growing: only its first group counts (see ``_Trail``)."""
    found = hashlib.sha256()
    paths = [source.path / NAME] if source.path.is_dir() else [source.path]
    for path in (*paths, source.mapping):
        if path is not None and path.is_file():
            found.update(sha256(path).encode())
    return found.digest()
