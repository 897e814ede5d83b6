"""Which sessions the daemon has had at the broker.

One that was there, and that the broker does not know, has lost messages; one that is new has not.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import msgspec
import structlog

from sensord.config.files import PRIVATE, write_whole
from sensord.decoders import json_decoder

FILE = "sessions"
_NAMES = json_decoder(set[str])

log = structlog.get_logger(__name__)


class KnownSessions:
    """The names of sessions that were there. Safe from any thread."""

    def __init__(self, directory: Path) -> None:
        self._path, self._lock = directory / FILE, Lock()
        self._unsure = False
        self._names = self._read()

    def has(self, name: str) -> bool:
        """Whether a session of this name was there, in this run or an earlier one."""
        return name in self._names or self._unsure

    def add(self, name: str) -> None:
        """Write down that it is there; where that is not possible (full disk), one gap may go unsaid later."""
        with self._lock:
            if name in self._names:
                return
            self._names.add(name)
            try:
                write_whole(self._path, msgspec.json.encode(sorted(self._names)), PRIVATE)
            except OSError as error:
                log.warning("a session could not be written down", file=str(self._path), why=str(error))

    def _read(self) -> set[str]:
        try:
            return _NAMES.decode(self._path.read_bytes())
        except FileNotFoundError:
            return set()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            log.error("the list of our sessions cannot be read; each counts as one that was there", why=str(error))
            self._unsure = True  # a gap that is said and was none does less harm than one that is not said
            return set()
