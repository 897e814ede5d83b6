"""One file of the journal: its name, its schema, and how a group of records becomes a row.

A row's blob is one format byte and the records as a msgpack array: ``0`` plain behind its CRC-32 (four bytes, big
endian), ``1`` compressed with zlib, which brings its own checksum: SQLite checks its trees, not what lies in them.
Small or incompressible groups stay plain, because they are the common case under light load and cost no time that way.
"""

from __future__ import annotations

import re
import sqlite3
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from sensord.core.instant import to_datetime
from sensord.core.record import Group, Record
from sensord.decoders import msgpack_decoder
from sensord.errors import DamageError
from sensord.store.sqlite import READING, Schema, open_reader, translated

SCHEMA = Schema(
    application_id=0x53454A4C,  # "SEJL"
    version=2,  # 1 (of 0.1.0) knew neither receipts nor notices, and a smaller definition; it is read as it is
    oldest=1,
    statements=(
        """CREATE TABLE groups (seq INTEGER PRIMARY KEY, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
        count INTEGER NOT NULL, records BLOB NOT NULL)""",
    ),
)
DAY_FILE = re.compile(r"journal-(\d{4}-\d{2}-\d{2})\.db", re.ASCII)
RECORDS = "coalesce(CAST(records AS BLOB), x'')"
"""What to select: bytes, even when damage has made SQLite take the column for something else."""
_PLAIN, _ZLIB = b"\x00", b"\x01"
_COMPRESS_ABOVE = 1024
_decoder = msgpack_decoder(tuple[Record, ...])


class Span(NamedTuple):
    """What a day file holds: its first and last ``seq`` and the last instant (ns); all 0 while it is empty."""

    first_seq: int
    last_seq: int
    last_at: int


def day_of(instant: int, zone: str) -> str:
    """The local day of an instant, as file names write it; sorts like time."""
    return to_datetime(instant, zone).strftime("%Y-%m-%d")


def day_path(directory: Path, day: str) -> Path:
    """The file of a day."""
    return directory / f"journal-{day}.db"


def day_in(path: Path) -> str:
    """The day in a day file's name."""
    return path.name[len("journal-") : -len(".db")]


def day_files(directory: Path) -> list[Path]:
    """The directory's day files, oldest first."""
    return sorted(path for path in directory.iterdir() if DAY_FILE.fullmatch(path.name))


def encode_records(records: Sequence[Record]) -> bytes:
    """Write the records of one group as a blob."""
    packed = msgspec.msgpack.encode(records)
    if len(packed) > _COMPRESS_ABOVE:
        compressed = zlib.compress(packed, 1)
        if len(compressed) < len(packed):
            return _ZLIB + compressed
    return _PLAIN + zlib.crc32(packed).to_bytes(4, "big") + packed


def decode_group(seq: int, blob: bytes, path: Path) -> tuple[Group, int]:
    """Read a blob back; returns the group and its size in memory (bytes, about).

    Raises ``DamageError`` when the blob is not what :func:`encode_records` wrote.
    """
    try:
        packed = _unpack(blob)
        return Group(seq, _decoder.decode(packed)), len(packed)
    except (ValueError, zlib.error, msgspec.DecodeError) as error:
        raise DamageError(
            f"{path}: group {seq} is damaged ({error}); keep the file, stop sensord and restore it from a backup", path
        ) from error


def _unpack(blob: bytes) -> bytes:
    kind, body = blob[:1], blob[1:]
    if kind == _ZLIB:
        return zlib.decompress(body)
    if kind == _PLAIN:
        checksum, packed = body[:4], body[4:]
        if checksum != zlib.crc32(packed).to_bytes(4, "big"):
            raise ValueError("its checksum does not hold")
        return packed
    raise ValueError(f"unknown format byte {kind.hex() or 'none'}")


def span_of(connection: sqlite3.Connection, path: Path) -> Span:
    """Ask an open day file for its span; raises ``StoreError``."""
    with translated(path, READING):
        row = connection.execute(f"SELECT seq, {RECORDS} FROM groups ORDER BY seq DESC LIMIT 1").fetchone()
        if row is None:
            return Span(0, 0, 0)
        # After the last one: where one is there is a first, whatever another process is writing meanwhile.
        first = connection.execute("SELECT min(seq) FROM groups").fetchone()[0]
    seq, blob = row
    group, _ = decode_group(seq, blob, path)  # the time that all goes on from is taken from what has a checksum
    return Span(first, group.seq, group.received_at)


def read_span(path: Path) -> Span:
    """Open a day file for reading only and ask for its span; raises ``StoreError``."""
    connection = open_reader(path, SCHEMA)
    try:
        return span_of(connection, path)
    finally:
        connection.close()


def hole(path: Path, expected: int, found: int) -> DamageError:
    """The error for a sequence that does not go on where it should."""
    return DamageError(
        f"{path}: group {found} follows where {expected} should; a journal file is missing or was changed: "
        "put the missing file back, or move this and all older files out of the directory",
        path,
        (expected, found - 1),
    )
