"""A way to the broker that can go dead without a word: both ends keep their connection, and nothing comes through."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Link:
    """Passes connections on to a port of this machine; listens on ``port``."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets, self._dead = list[socket.socket](), threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def die(self) -> None:
        """Let nothing through on the connections that there are; later ones are not concerned."""
        self._dead.set()
        self._dead = threading.Event()

    def close(self) -> None:
        """Close everything."""
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                self._sockets.append(near)
                with suppress(ConnectionRefusedError):
                    self._pass_on(near)
                    continue
                near.close()  # the broker is away

    def _pass_on(self, near: socket.socket) -> None:
        far, dead = socket.create_connection(("127.0.0.1", self._target)), self._dead
        self._sockets.append(far)
        for source, drain in ((near, far), (far, near)):
            threading.Thread(target=_pump, args=(source, drain, dead), daemon=True).start()


def _pump(source: socket.socket, drain: socket.socket, dead: threading.Event) -> None:
    """Carry bytes; once the link is dead they go nowhere, and neither end hears of it."""
    with suppress(OSError):
        while data := source.recv(1 << 16):
            if not dead.is_set():
                drain.sendall(data)
        if not dead.is_set():
            drain.shutdown(socket.SHUT_WR)
