"""Signals while the daemon starts, when the loop does not turn. Left alone they would end the process on the spot.

SIGHUP is kept until it can be heeded; SIGTERM and SIGINT end a start in good order.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType


class HangUp:
    """Listens from its making on. A handler, and no mask: a library's thread, which has its own, would take it."""

    def __init__(self) -> None:
        self._came = False
        signal.signal(signal.SIGHUP, self._keep)

    def _keep(self, _number: int, _frame: FrameType | None) -> None:
        self._came = True

    def heed(self, reload: Callable[[], None]) -> None:
        """From here on each calls ``reload`` on the running loop, and at once if one has come."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
        if self._came:
            reload()


class Ends:
    """SIGTERM and SIGINT: each calls ``end`` on the running loop, as soon as that turns; ``came`` is true at once."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end, self.came = end, False

    def hear(self) -> None:
        """Listen from here on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, partial(self._hear, asyncio.get_running_loop()))

    def _hear(self, loop: asyncio.AbstractEventLoop, _number: int, _frame: FrameType | None) -> None:
        self.came = True
        with suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(self._end)
