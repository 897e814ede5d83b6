"""How often the daemon has died of late: one that dies at once, again and again, must do less rather than nothing.

A start is written down, and struck out when the daemon ends in good order or has lived for a while. What is left are
deaths soon after a start. Deaths after a longer life are counted, too: the process that died can tell nobody how often.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

from sensord.config.files import PRIVATE, write_whole
from sensord.decoders import json_decoder

FILE = "starts"
FAST_DEATHS = 5
"""So many in a row, and the next start is in safe mode."""
SETTLED = 60.0
"""Seconds after which a death is no fast one any more."""

log = structlog.get_logger(__name__)


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    """``early``: starts (ns) that came to no good end so far; ``runs``: no good end of the newest one is known."""

    early: list[int] = []
    runs: bool = False
    deaths: int = 0


_FOUND = json_decoder(_Record | list[int])  # a list: as it was up to version 0.1


class Starts:
    """The record of starts that have not come to a good end."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def begin(self, now: int) -> int:
        """Write down that the daemon starts at ``now`` (ns); returns how many fast deaths precede it in a row."""
        before = self._read()
        early = [*before.early, now][-2 * FAST_DEATHS :]
        self._write(_Record(early, runs=True, deaths=before.deaths + before.runs))
        return len(before.early)

    def deaths(self) -> int:
        """How many starts in a row have not come to a good end; one that lives at this moment is among them."""
        return len(self._read().early)

    def deaths_ever(self) -> int:
        """How many runs before this one ended in no good order: by a fault, a signal, or a power cut."""
        return self._read().deaths

    def settle(self) -> None:
        """Strike the starts out: the daemon has lived long enough."""
        record = self._read()
        if record.early:
            self._write(_Record(runs=record.runs, deaths=record.deaths))

    def end(self) -> None:
        """Write down that the daemon ends in good order."""
        self._write(_Record(deaths=self._read().deaths))

    def _read(self) -> _Record:
        try:
            text = self._path.read_bytes()
            found = _FOUND.decode(text)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _Record()  # none yet; or torn by a power cut, which says nothing about the program
        return _Record(found, runs=bool(found)) if isinstance(found, list) else found

    def _write(self, record: _Record) -> None:
        """Write the record; where that is not possible (full disk), counting deaths is not what matters."""
        try:
            write_whole(self._path, msgspec.json.encode(record), PRIVATE)
        except OSError as error:
            log.warning("the start could not be written down", file=str(self._path), why=str(error))
