"""SIGHUP while the daemon starts. Left alone it would end the process; here it is kept until it can be heeded."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
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
