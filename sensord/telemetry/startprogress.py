"""How far a start is that takes long, told to whoever waits for it: systemd, the log, and ``sensord doctor``.

systemd ends a start after ``TimeoutStartSec``, unless it is told that there is progress. The HTTP server is not up yet,
so the way to ``doctor`` is a small file, which lies there for as long as the start lasts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from sensord.decoders import json_decoder
from sensord.telemetry.notify_socket import NotifySocket

FILE = "starting"
EVERY, LOGGED = 2.0, 20.0
"""Seconds between two times that it is told, and logged."""
PATIENCE = 300.0
"""Seconds that systemd is asked to wait for, from each time on."""

log = structlog.get_logger(__name__)


class Stepped(msgspec.Struct, frozen=True):
    """So many groups were stepped ``of`` those that must be."""

    groups: int
    of: int


_STEPPED = json_decoder(Stepped)


class StartProgress:
    """Tells of a start until :meth:`end`. ``ended`` says whether it was told to end."""

    def __init__(self, socket: NotifySocket, directory: Path, ended: Callable[[], bool]) -> None:
        self._socket, self._path, self._ended = socket, directory / FILE, ended
        self._told = self._logged = time.monotonic()

    def go_on(self, groups: int, of: int) -> bool:
        """Say that so many groups were stepped again (nothing before two seconds have passed), and whether to go on."""
        if time.monotonic() - self._told >= EVERY:
            self._tell(groups, of)
        return not self._ended()

    def _tell(self, groups: int, of: int) -> None:
        now = self._told = time.monotonic()
        self._socket.extend(
            PATIENCE, f"starting: {groups} of {of} groups stepped again; nobody is told of anything yet"
        )
        with suppress(OSError):  # on a full disk doctor does not know how far it is
            self._path.write_bytes(msgspec.json.encode(Stepped(groups, of)))
        if now - self._logged >= LOGGED:
            self._logged = now
            log.info("the start goes on", groups=groups, of=of)

    def end(self) -> None:
        """The start is over."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def how_far(directory: Path) -> Stepped | None:
    """How far a start is that has taken a while already; None when nothing is known of one."""
    try:
        return _STEPPED.decode((directory / FILE).read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
