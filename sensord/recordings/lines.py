"""Records as JSON lines, through gzip when the name ends in ``.gz``.

A message is ``{"received_at_ns": 1763900000000000000, "topic": "...", "payload": "..."}``; a payload that is not UTF-8
is in ``payload_base64`` instead. What is no message says so in ``kind``. Whatever a record holds comes back
byte for byte.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import zlib
from collections.abc import Iterator
from itertools import chain, repeat
from operator import attrgetter
from pathlib import Path
from typing import IO, cast

import msgspec

from sensord.core.record import Record, RecordKind
from sensord.decoders import json_decoder
from sensord.errors import ConfigError, Problem

_KINDS = {kind.name.lower(): kind for kind in RecordKind}
_LEVEL = 4
"""gzip's effort: half the time of its default for a twentieth more bytes."""
_CHUNK = 1 << 20


class Line(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One line. ``after`` (beside a file of readings) counts the readings of that day before this record."""

    received_at_ns: int
    topic: str = ""
    payload: str | None = None
    payload_base64: str | None = None
    kind: str = "message"
    retained: bool = False
    duplicate: bool = False
    after: int = 0
    ahead: bool = False


_ENCODER = msgspec.json.Encoder()
_LINES = json_decoder(Line)
_RECEIVED, _TOPIC, _PAYLOAD, _CODED, _KIND, _RETAINED, _DUPLICATE = map(attrgetter, Line.__struct_fields__[:7])
_AHEAD = attrgetter("ahead")
_WRONG = (msgspec.DecodeError, binascii.Error, ValueError)


def encode_line(record: Record, after: int = 0) -> bytes:
    """Write one record as a line, newline included."""
    payload, coded = None, None
    if record.payload or record.kind == RecordKind.MESSAGE:
        try:
            payload = record.payload.decode()
        except UnicodeDecodeError:
            coded = base64.b64encode(record.payload).decode()
    kind = RecordKind(record.kind).name.lower()
    flags = record.retained, record.duplicate, after, record.ahead
    line = Line(record.received_at, record.topic, payload, coded, kind, *flags)
    return _ENCODER.encode(line) + b"\n"


def decode_line(line: Line) -> Record:
    """Make the record; raises ``ValueError`` for a line that contradicts itself."""
    if line.kind == "message" and line.payload is not None and line.payload_base64 is None:
        payload = line.payload.encode()
        return Record(0, line.received_at_ns, line.topic, payload, line.retained, line.duplicate, line.ahead)
    kind = _KINDS.get(line.kind)
    if kind is None:
        raise ValueError(f"{line.kind!r} is no kind of record: {', '.join(_KINDS)}")
    if line.payload is not None and line.payload_base64 is None:
        payload = line.payload.encode()
    elif line.payload_base64 is not None and line.payload is None:
        payload = base64.b64decode(line.payload_base64, validate=True)
    elif kind is not RecordKind.MESSAGE and line.payload is None and line.payload_base64 is None:
        payload = b""
    else:
        raise ValueError("give either 'payload' or 'payload_base64'")
    return Record(kind, line.received_at_ns, line.topic, payload, line.retained, line.duplicate, line.ahead)


def read_lines(path: Path) -> Iterator[tuple[Line, Record]]:
    """Yield line and record; raises ``ConfigError`` naming file and line for a line that is none."""
    return chain.from_iterable(zip(lines, records, strict=True) for lines, records in _decoded(path))


def read_messages(path: Path) -> Iterator[Record]:
    """Yield the records of a file in its order; raises as :func:`read_lines`."""
    return chain.from_iterable(records for _, records in _decoded(path))


def _decoded(path: Path) -> Iterator[tuple[list[Line], list[Record]]]:
    """Yield lines and their records, piece by piece."""
    number = 1
    try:
        for block in _blocks(path):
            try:
                lines = _LINES.decode_lines(block)
                records = _records(lines)
            except _WRONG:
                raise _culprit(path, block, number) from None
            yield lines, records
            number += block.count(b"\n")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConfigError([Problem(str(path), number, 1, f"the file is damaged or cut off: {error}")]) from error
    except OSError as error:
        raise ConfigError([Problem(str(path), 1, 1, f"cannot be read: {error.strerror}")]) from error


def _records(lines: list[Line]) -> list[Record]:
    """Make the records of lines; those of plain messages, nearly all, many at once."""
    payloads = list(map(_PAYLOAD, lines))
    if None in payloads or {*map(_KIND, lines)} != {"message"} or {*map(_CODED, lines)} != {None}:
        return list(map(decode_line, lines))
    columns = (map(take, lines) for take in (_RECEIVED, _TOPIC, _RETAINED, _DUPLICATE, _AHEAD))
    received, topics, *flags = columns
    kind = repeat(int(RecordKind.MESSAGE))
    return list(map(Record, kind, received, topics, map(str.encode, payloads), *flags))


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces of whole lines."""
    rest = b""
    with _opened(path) as file:
        while piece := file.read(_CHUNK):
            end = piece.rfind(b"\n") + 1
            if end:
                yield rest + piece[:end]
                rest = piece[end:]
            else:
                rest += piece
    if rest:
        yield rest


def _culprit(path: Path, block: bytes, number: int) -> ConfigError:
    """Find the line of a block that is no record."""
    for offset, text in enumerate(block.split(b"\n")):
        try:
            if not text.isspace() and text:
                decode_line(_LINES.decode(text))
        except _WRONG as error:
            hint = 'write {"received_at_ns": ..., "topic": "...", "payload": "..."}'
            return ConfigError([Problem(str(path), number + offset, 1, f"not a recorded message: {error}", hint)])
    return ConfigError([Problem(str(path), number, 1, "not recorded messages, one a line")])


class LineWriter:
    """Writes lines to one file. The same records give the same bytes: gzip's header holds no time and no name."""

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.first, self.last = path, 0, 0, 0
        self._raw = path.open("wb")
        packed = path.suffix == ".gz"
        self._file: IO[bytes] = (
            cast(IO[bytes], gzip.GzipFile("", "wb", _LEVEL, self._raw, mtime=0)) if packed else self._raw
        )
        self._waiting = bytearray()

    def add(self, record: Record, after: int = 0) -> None:
        """Write one record."""
        self.first = self.first or record.received_at
        self.last = record.received_at
        self.count += 1
        self._waiting += encode_line(record, after)
        if len(self._waiting) > _CHUNK:
            self._flush()

    def _flush(self) -> None:
        self._file.write(self._waiting)
        self._waiting = bytearray()

    def close(self) -> None:
        """Finish the file."""
        self._flush()
        self._file.close()
        self._raw.close()


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")
