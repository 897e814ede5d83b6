"""Where the clock of keeping stood: the instant by which things were last deleted for their age.

The journal's own last instant does not say: a run with a wrong clock has written that. Whoever restarts a host with
such a clock would have what is past its keeping go by the wrong time at once.
"""

from __future__ import annotations

import re
from pathlib import Path

import structlog

from sensord.config.files import PRIVATE, write_whole

FILE = "keeping"
_WHOLE = re.compile(rb"[0-9]{19}\n")
"""Nanoseconds since the epoch, from 2001 to 2262: a piece of it is not another instant."""

log = structlog.get_logger(__name__)


class KeepingTime:
    """The record of that instant. Belongs to one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    def begin(self, newest: int) -> int:
        """Return the instant from which to go on (ns); 0: there is nothing yet that is kept.

        ``newest`` is the journal's last instant, 0 when it is empty. It stands in for a record that is absent or
        damaged, and is written down at once: this run may journal by a wrong clock, and the next is not to go by that.
        """
        found = self._read()
        instant = min(found, newest) if found else newest
        if instant and instant != found:
            self.note(instant)
        return instant

    def note(self, instant: int) -> None:
        """Write down where it stands (ns); where that is not possible (full disk), the next start has the former."""
        try:
            write_whole(self._path, b"%019d\n" % instant, PRIVATE)
        except OSError as error:
            log.warning("the time of keeping could not be written down", file=str(self._path), why=str(error))

    def _read(self) -> int:
        try:
            content = self._path.read_bytes()
        except OSError:
            return 0
        return int(content) if _WHOLE.fullmatch(content) else 0
