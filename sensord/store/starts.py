"""How often the daemon has died of late: one that dies at once, again and again, must do less rather than nothing.

A start is written down, and struck out when the daemon ends in good order or has lived for a while. What is left are
deaths soon after a start.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

from sensord.config.files import PRIVATE, write_whole

FILE = "starts"
FAST_DEATHS = 5
"""So many in a row, and the next start is in safe mode."""
SETTLED = 60.0
"""Seconds after which a death is no fast one any more."""

log = structlog.get_logger(__name__)


class Starts:
    """The record of starts that have not come to a good end."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def begin(self, now: int) -> int:
        """Write down that the daemon starts at ``now`` (ns); returns how many fast deaths precede it in a row."""
        before = self._read()
        self._write([*before, now][-2 * FAST_DEATHS :])
        return len(before)

    def deaths(self) -> int:
        """How many starts in a row have not come to a good end; one that lives at this moment is among them."""
        return len(self._read())

    def settle(self) -> None:
        """Strike everything out: the daemon has lived long enough, or ends in good order."""
        self._write([])

    def _read(self) -> list[int]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[int])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return []  # none yet; or torn by a power cut, which says nothing about the program

    def _write(self, starts: list[int]) -> None:
        """Write the record; where that is not possible (full disk), counting deaths is not what matters."""
        try:
            write_whole(self._path, msgspec.json.encode(starts), PRIVATE)
        except OSError as error:
            log.warning("the start could not be written down", file=str(self._path), why=str(error))
