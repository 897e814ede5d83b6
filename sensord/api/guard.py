"""What stands before every route: callers are identified, bodies are bounded, requests are counted."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sensord.api.access import identify, is_open
from sensord.api.answers import error
from sensord.api.tokens import TokenStore
from sensord.errors import StoreError
from sensord.ports import Meter

BODY_LIMIT = 16 * 1024
"""The largest request body, in bytes."""


class Guard:
    """ASGI middleware. Its own refusal comes before anybody reads the body."""

    def __init__(self, app: ASGIApp, meter: Meter, tokens: TokenStore) -> None:
        """Wrap ``app``."""
        self._app = app
        self._meter = meter
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await (self._refusal(scope) or self._app)(scope, _bounded(receive), counted)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self._meter.count("http_requests_total", path=path, status=str(status))
            self._meter.observe("http_request_seconds", time.monotonic() - began, path=path)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that gets no further; else note who asks."""
        if _says_too_large(scope):
            return error(413, _TEXT, connection="close")
        if is_open(scope["path"]):
            return None
        try:
            identity = identify(scope, self._tokens)
        except StoreError as fault:
            return error(503, str(fault))
        if identity is None:
            return error(401, "send a token: Authorization: Bearer <token>", www_authenticate="Bearer")
        scope.setdefault("state", {})["identity"] = identity
        return None


_TEXT = f"the body is too large: at most {BODY_LIMIT} bytes"


def _says_too_large(scope: Scope) -> bool:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return not length.isdigit() or int(length[:20]) > BODY_LIMIT


def _bounded(receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Stop a body that does not say its length at the same limit."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > BODY_LIMIT:
            raise HTTPException(413, _TEXT)
        return message

    return limited
