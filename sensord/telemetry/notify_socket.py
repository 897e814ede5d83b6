"""Notifications to systemd (``sd_notify(3)``): ready, reloading, stopping, status, watchdog.

The protocol is one datagram of ``NAME=value`` lines to the socket that ``NOTIFY_SOCKET`` names: a path, or an
abstract name with a leading ``@``. Without the variable every call does nothing. A manager that does not read must
not hold the daemon up: news of a change waits a little for room, a ping does not, for another one follows.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

PATIENCE = 2.0
"""Seconds that news of a change waits when the manager's queue is full."""


class NotifySocket:
    """Talks to the service manager; each method returns whether somebody was told."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Read ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` from ``environment``."""
        name = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._environment = environment

    def ready(self, status: str = "") -> bool:
        """Say that start-up, or a reload, is finished."""
        return self._send("READY=1", status)

    def reloading(self) -> bool:
        """Say that a reload has begun; :meth:`ready` ends it."""
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str = "") -> bool:
        """Say that the daemon is going down in good order."""
        return self._send("STOPPING=1", status)

    def extend(self, seconds: float, status: str) -> bool:
        """Say that a start goes on, and ask for so much time from now on until the next word of it."""
        return self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}\nWATCHDOG=1", status, patience=0.0)

    def watchdog(self) -> bool:
        """Feed the watchdog."""
        return self._send("WATCHDOG=1", patience=0.0)

    def watchdog_interval(self) -> float | None:
        """Return how often to feed the watchdog, in seconds: half its limit; None without one."""
        limit = self._environment.get("WATCHDOG_USEC", "")
        pid = self._environment.get("WATCHDOG_PID", "")
        if not limit.isdecimal() or int(limit) == 0 or (pid and pid != str(os.getpid())):
            return None
        return int(limit) / 2e6

    def _send(self, message: str, status: str = "", patience: float = PATIENCE) -> bool:
        if not self._address:
            return False
        if status:
            message = f"{message}\nSTATUS={' '.join(status.split())}"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(patience)
                sender.sendto(message.encode(), self._address)
        except OSError:
            return False  # the manager is gone, restarting or stuck: nothing that we could do about it
        return True
