"""The broker's address, asked for without being held up by a resolver that does not answer.

The system's resolver has its own patience: with three name servers and a search list it is silent for half a minute,
and a module of it that hangs is silent for ever. Nothing can take that call back, so it is made on a thread of its own,
and who asks goes on showing that it lives.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from threading import BoundedSemaphore, Thread
from typing import Any

PATIENCE = 60.0
"""Seconds for which an answer is waited for: a resolver whose first servers are dead takes long, and then answers."""
TURN = 0.5
"""Seconds between two signs of life while an answer is waited for."""
THREADS = 3
"""Questions of one asker that may be without an answer. A new one asks the servers that are configured by then."""

_Addresses = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]


class Names:
    """Resolves names for one worker, and connects to what they stand for.

    ``go_on`` is called while that takes: it shows that the worker lives, and says whether to wait on.
    """

    def __init__(self, go_on: Callable[[], bool]) -> None:
        """Prepare; asks nothing."""
        self._go_on, self._places = go_on, BoundedSemaphore(THREADS)

    def connect(self, host: str, port: int, timeout: float) -> socket.socket:
        """Connect to the first address that takes us, each within ``timeout`` seconds; raises ``OSError``."""
        error = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in self._addresses(host, port):
            self._show()
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(timeout)
                connection.connect(address)
            except OSError as problem:
                connection.close()
                error = problem
            else:
                return connection
        raise error

    def _addresses(self, host: str, port: int) -> _Addresses:
        if not self._places.acquire(blocking=False):
            raise OSError(f"the resolver has left {THREADS} questions without an answer")
        answer, deadline = Future[_Addresses](), time.monotonic() + PATIENCE
        try:
            Thread(target=self._ask, args=(answer, host, port), name="names", daemon=True).start()
        except RuntimeError as error:
            self._places.release()
            raise OSError("no thread can be started to ask the resolver") from error
        while not wait([answer], TURN).done:
            self._show()
            if time.monotonic() > deadline:
                raise OSError(f"the resolver has not answered within {PATIENCE:g} s")
        return answer.result()

    def _show(self) -> None:
        if not self._go_on():
            raise OSError("sensord is stopping")

    def _ask(self, answer: Future[_Addresses], host: str, port: int) -> None:
        """Runs on a thread of its own, for as long as the resolver likes."""
        try:
            answer.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as error:
            answer.set_exception(error)
        finally:
            self._places.release()
