"""The demonstration's receiver of notifications: what people's phones would show, kept in memory.

It takes ``POST /notify`` and ``POST /notify/ADDRESS`` with a JSON object, as the daemon's webhook sends it. It
listens on the loopback interface, keeps the last :data:`KEPT` notifications, counts all, and prints nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from sensord.decoders import json_decoder

KEPT = 500
_PATH = "notify"
_BODY_LIMIT = 64 * 1024
_BODY = json_decoder(dict[str, Any])
_QUIET_LIMIT = 30.0
"""Seconds after which a connection that says nothing is closed."""


@dataclass(frozen=True, slots=True)
class Received:
    """A notification as it arrived: when (ns), at which contact's address, and what."""

    at: int
    address: str
    body: dict[str, Any]

    def text(self, name: str) -> str:
        """Return a text of the body, or an empty one."""
        return str(self.body.get(name) or "")


class Inbox:
    """What was received; safe from any thread. A repeated key is counted, and kept once."""

    def __init__(self, kept: int = KEPT) -> None:
        self._lock = threading.Lock()
        self._kept: deque[Received] = deque(maxlen=kept)
        self._keys: deque[str] = deque(maxlen=kept)
        self.total = 0
        self.repeated = 0
        self.refused = 0

    def add(self, received: Received) -> None:
        """Keep a notification, unless its idempotency key has been seen."""
        with self._lock:
            key = received.text("key")
            if key and key in self._keys:
                self.repeated += 1
                return
            self._keys.append(key)
            self._kept.append(received)
            self.total += 1

    def refuse(self) -> None:
        """Count a request that was none of ours."""
        with self._lock:
            self.refused += 1

    def look(self) -> tuple[int, list[Received]]:
        """Return how many have arrived, and the newest of them that are kept, oldest first."""
        with self._lock:
            return self.total, list(self._kept)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = _QUIET_LIMIT
    inbox: Inbox

    def do_POST(self) -> None:
        """Take a notification."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _BODY_LIMIT:
            self._refuse(413)
            return
        raw = self.rfile.read(int(length))
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts[0] != _PATH or len(parts) > 2:
            self._refuse(404)
            return
        try:
            body = _BODY.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._refuse(400)
            return
        self.inbox.add(Received(time.time_ns(), unquote(parts[1]) if len(parts) > 1 else "", body))
        self._answer(200, b'{"ok":true}')

    def do_GET(self) -> None:
        """Say that we are there."""
        self._answer(200, b'{"ok":true}')

    def _refuse(self, status: int) -> None:
        self.inbox.refuse()
        self.close_connection = True
        self._answer(status, b'{"ok":false}')

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running receiver."""

    inbox: Inbox
    host: str
    port: int

    @property
    def url(self) -> str:
        """Where notifications go; a contact's address may follow as another segment."""
        return f"http://{self.host}:{self.port}/{_PATH}"


@contextlib.contextmanager
def running_receiver(kept: int = KEPT) -> Iterator[Receiver]:
    """Receive on a free loopback port, in a thread, while the context lasts."""
    inbox = Inbox(kept)
    handler = type("Handler", (_Handler,), {"inbox": inbox})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="receiver", daemon=True)
        thread.start()
        try:
            yield Receiver(inbox, "127.0.0.1", server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
