"""Requests to our own HTTP server: any method, path, header and body, with and without a token."""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from starlette.types import Message

from sensord.api import guard
from sensord.api.pace import Rate
from sensord.api.tokens import Role
from sensord.core.instant import HOUR
from tests.api.parts import CASE, KEY, Daemon
from tests.fuzz.target import Target, each

_ROLES = {role.word.encode(): role for role in Role}


class _Server:
    """The application, called as the server calls it; a request that it does not answer properly is a finding."""

    def __init__(self) -> None:
        self._daemon = Daemon(Path(tempfile.mkdtemp(prefix="sensord-fuzz-api-")))
        self._app = self._daemon.app()
        self._loop = asyncio.new_event_loop()
        self._link = b""
        most = Rate(1_000_000_000, 1.0)  # the guard is made with the first request
        with patch.multiple(guard, READING=most, CHANGING=most, ANSWERING=most):
            self(b"GET /healthz")
        self._link = self._daemon.links.token(KEY, time.time_ns() + 10 * HOUR).encode()

    def __call__(self, data: bytes) -> None:
        """Lines: method and target; then headers; then, after an empty line, the body.

        The line ``admin`` brings a token of that role, ``LINK`` stands for the token of a link in a message.
        """
        status = self._loop.run_until_complete(self._answer(data.replace(b"LINK", self._link)))
        assert 200 <= status < 500, status
        self._daemon.journal.clear()

    async def _answer(self, data: bytes) -> int:
        head, _, body = data.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        method, _, target = first.partition(b" ")
        path, _, query = target.partition(b"?")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method.decode("latin-1"),
            "path": unquote(path.decode("latin-1")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "scheme": "http",
            "headers": [self._header(line) for line in lines[:20]],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
        }
        incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        status = 0

        async def receive() -> Message:
            return incoming.pop() if incoming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]

        await self._app(scope, receive, send)
        return status

    def _header(self, line: bytes) -> tuple[bytes, bytes]:
        role = _ROLES.get(line)
        if role is not None:
            return b"authorization", b"Bearer " + self._daemon.given[role].encode()
        name, _, value = line.partition(b":")
        return name.strip().lower(), value.strip()


@cache
def _server() -> _Server:
    return _Server()


def _ask(data: bytes) -> None:
    _server()(data)


_JSON = "content-type: application/json"
_SEEDS = each(
    "GET /healthz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /api/v1/overview\nviewer",
    "GET /api/v1/cases?state=all&limit=10\nviewer",
    f"GET /api/v1/cases/{CASE}\nviewer",
    "GET /api/v1/places?kind=grid\nviewer",
    "GET /api/v1/changes?after=1\nviewer\nlast-event-id: 3",
    f'POST /api/v1/cases/{CASE}/actions\nadmin\n{_JSON}\n\n{{"verb":"void","by":"x","note":"y"}}',
    f'POST /api/v1/silences\noperator\n{_JSON}\n\n{{"places":["L1"],"until":"2026-11-25T00:00:00Z","note":"x"}}',
    f'POST /api/v1/findings\noperator\n{_JSON}\n\n{{"device":"d","severity":"red","at":"2026-11-25T00:00:00Z"}}',
    f'POST /api/v1/receipts\noperator\n{_JSON}\n\n{{"key":"{KEY}","delivery":"seen"}}',
    "DELETE /api/v1/silences/s\noperator",
    "POST /api/v1/reload\nadmin",
    "GET /a/LINK?lang=en\naccept-language: en;q=0.5",
    "POST /a/LINK\ncontent-type: application/x-www-form-urlencoded\n\nverb=acknowledge&note=x",
    "POST /api/v1/receipts\nadmin\ncontent-length: 99999999",
)


TARGETS = (Target("http", _ask, _SEEDS),)
