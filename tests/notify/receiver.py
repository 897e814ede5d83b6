"""A real HTTP server on loopback that answers as a test scripts it, and remembers what it was sent."""

from __future__ import annotations

import json
import ssl
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.support import wait_until


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer: a status with headers and body; ``hang`` never answers, ``drop`` closes without a word.

    One that ``lies`` says 200, and in its body that it took nothing.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    drop: bool = False
    lies: bool = False

    @property
    def refuses(self) -> bool:
        """Whether the sender has to come again."""
        return self.hang or self.drop or self.lies or self.status >= 300


@dataclass(frozen=True, slots=True)
class Request:
    """What was received."""

    path: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the path."""
        return dict(parse_qsl(urlsplit(self.path).query))

    @property
    def whole(self) -> bool:
        """Whether it came to its end: its sender may have been shot in the middle of it."""
        return len(self.body) == int(self.headers.get("Content-Length", -1))

    @property
    def json(self) -> dict[str, Any]:
        """The body, read as JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found


class _Server(ThreadingHTTPServer):
    """Says nothing of senders that go in the middle of a conversation: that is what tests have them do."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what is our own fault."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Receiver:
    """Answers from ``answers``, in order, then as ``decide`` says or with ``otherwise``; use as a context manager.

    ``requests`` is everything that came, ``refused`` what its sender must send again.
    """

    def __init__(
        self,
        *answers: Answer,
        tls: ssl.SSLContext | None = None,
        decide: Callable[[Request], Answer] | None = None,
    ) -> None:
        self.answers = deque(answers)
        self.otherwise = Answer()
        self.decide = decide or (lambda _: self.otherwise)
        self.requests: list[Request] = []
        self.refused: list[Request] = []
        self._released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._scheme = "http"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        """Serve from now on."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving and let go of whoever hangs."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def host(self) -> str:
        """``address:port``."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """The server's root, without a slash at its end."""
        return f"{self._scheme}://{self.host}"

    def titles(self) -> list[str]:
        """What people were told, by title."""
        return [request.json["title"] for request in list(self.requests) if request.whole]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = Request(self.path, dict(self.headers), body, self.command)
                receiver.requests.append(request)
                answer = receiver.answers.popleft() if receiver.answers else receiver.decide(request)
                if answer.refuses:
                    receiver.refused.append(request)
                if answer.hang:
                    receiver._released.wait()
                if answer.hang or answer.drop:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_PUT = do_POST  # noqa: N815  # the base class's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
                """Say nothing on stderr."""

        return Handler


def until_heard(people: Receiver) -> None:
    """Wait for a message, but no longer than a quarter of a second: so often sensors speak."""
    try:
        wait_until(lambda: people.requests, 0.25)
    except AssertionError:
        return
