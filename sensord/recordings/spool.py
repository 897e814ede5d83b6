"""Records put in order of arrival, however many: sorted runs in a nameless temporary file, merged when read."""

from __future__ import annotations

import heapq
import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO

import msgspec

from sensord.core.record import Record
from sensord.decoders import msgpack_decoder
from sensord.errors import StoreError
from sensord.words import say

RUN = 100_000
"""So many records are held and sorted at once (about 30 MB)."""
BLOCK = 200
"""So many records of each run are held while the runs are merged."""

_Blocks = list[tuple[int, int]]
_RECORDS = msgpack_decoder(list[Record])


class Spool:
    """Takes records in any order and gives them back in order of arrival, as often as asked; equal ones as they came.

    What fits into one run stays in memory. Runs that follow one another in time become one, so that what came in order
    is read back without merging.
    """

    def __init__(self) -> None:
        self._held: list[Record] = []
        self._runs: list[_Blocks] = []
        self._count = self._last = 0
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Record]:
        held = sorted(self._held, key=_arrival)
        if not self._runs:
            return iter(held)
        return heapq.merge(*(self._read(run) for run in self._runs), held, key=_arrival)

    def add(self, record: Record) -> None:
        """Take one more; raises ``StoreError`` when there is no room for temporary files."""
        self._held.append(record)
        self._count += 1
        if len(self._held) < RUN:
            return
        try:
            self._put_away()
        except OSError as error:
            folder = tempfile.gettempdir()
            raise StoreError(
                say(
                    f"无法在 {folder} 写临时文件：{error.strerror}；用环境变量 TMPDIR 指定有空间的目录",
                    f"no temporary file can be written in {folder}: {error.strerror}; "
                    "name a folder that has room with the environment variable TMPDIR",
                )
            ) from error

    def _put_away(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="sensord-")  # noqa: SIM115 -- it lives as long as the spool
            weakref.finalize(self, self._file.close)
        held, self._held = sorted(self._held, key=_arrival), []
        blocks: _Blocks = []
        for start in range(0, len(held), BLOCK):
            packed = msgspec.msgpack.encode(held[start : start + BLOCK])
            blocks.append((self._file.tell(), len(packed)))
            self._file.write(packed)
        self._file.flush()
        if self._runs and held[0].received_at >= self._last:
            self._runs[-1] += blocks
        else:
            self._runs.append(blocks)
        self._last = held[-1].received_at

    def _read(self, blocks: _Blocks) -> Iterator[Record]:
        assert self._file is not None
        for offset, size in blocks:  # several readers share the file, so none may depend on its position
            yield from _RECORDS.decode(os.pread(self._file.fileno(), size, offset))


def _arrival(record: Record) -> int:
    return record.received_at
