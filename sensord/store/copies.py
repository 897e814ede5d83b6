"""Copies of the core's saved state in files of their own: the state database can be lost, and its saved states with it.

There are two, and a new one takes the place of the older. A third was made by a program of another version, from the
journal, before that version was started for the first time. Each says up to which group it has come and when that was,
so that it is taken for no other journal than its own.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from sensord.config.files import PRIVATE, write_whole
from sensord.core.restorable import is_restorable
from sensord.decoders import msgpack_decoder
from sensord.errors import StoreError
from sensord.ports import Saved
from sensord.store.sqlite import unusable

FILE, BEFORE, PREPARED = "core.saved", "core.saved.before", "core.prepared"
_MAGIC = b"SNSC"
_FORM = msgpack_decoder(Saved)

log = structlog.get_logger(__name__)


class Copies:
    """``time_of`` gives journal time at a group (ns; 0: it is not there)."""

    def __init__(self, directory: Path, time_of: Callable[[int], int] = lambda _seq: 0) -> None:
        self._newest, self._before, self._prepared = (directory / name for name in (FILE, BEFORE, PREPARED))
        self.time_of = time_of
        self._kept_at: int | None = None

    def found(self) -> list[Saved]:
        """Those that are whole and of this journal, the newest first."""
        return self._found(self._newest, self._before, self._prepared)

    def _found(self, *paths: Path) -> list[Saved]:
        there = (_read(path) for path in paths)
        return sorted((one for one in there if one is not None and self._is_of_ours(one)), key=lambda one: -one.seq)

    def _is_of_ours(self, one: Saved) -> bool:
        return bool(one.at) and self.time_of(one.seq) == one.at

    def keep(self, saved: Saved, apart: int) -> None:
        """Keep a copy, unless the newest is not older than ``apart`` (ns); a disk that takes none is no harm yet."""
        if self._kept_at is None:
            kept = self._found(self._newest, self._before)
            self._kept_at = max((one.at for one in kept if one.seq <= saved.seq), default=0)
        if saved.at - self._kept_at < apart:
            return
        try:
            with suppress(FileNotFoundError):  # none was made yet
                write_whole(self._before, self._newest.read_bytes(), PRIVATE)
            write_whole(self._newest, _packed(saved), PRIVATE)
        except OSError as error:
            log.error("no copy of the core's state could be made; it is tried again with the next one", why=str(error))
        else:
            self._kept_at = saved.at

    def prepare(self, saved: Saved) -> None:
        """Lay one there for the first start of our version; raises ``StoreError``."""
        try:
            write_whole(self._prepared, _packed(saved), PRIVATE)
        except OSError as error:
            raise unusable(self._prepared, error) from error

    def outgrow(self, seq: int) -> None:
        """Delete what was prepared, now that a state is saved that has come to a group; but not for another version."""
        if not self._prepared.exists():
            return
        one = _read(self._prepared)
        with suppress(OSError, StoreError):  # tried again with the next one
            if one is None or not self._is_of_ours(one) or (one.seq <= seq and is_restorable(one.state)):
                self._prepared.unlink()


def _packed(saved: Saved) -> bytes:
    packed = msgspec.msgpack.encode(saved)
    return _MAGIC + zlib.crc32(packed).to_bytes(4, "big") + packed


def _read(path: Path) -> Saved | None:
    """Read a copy; None when there is none, or it is not what was written."""
    try:
        content = path.read_bytes()
        if content[:4] == _MAGIC and zlib.crc32(content[8:]).to_bytes(4, "big") == content[4:8]:
            return _FORM.decode(content[8:])
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        log.error("a copy of the core's state cannot be read", file=path.name, why=str(error))
        return None
    log.error("a copy of the core's state is damaged", file=path.name)
    return None
