"""What stands before every route: callers are identified, bodies and paces are bounded, requests are counted.

Wrong tokens are not slowed down: 256 random bits are not guessed, and who shares an address must not be shut out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sensord.api.access import BY_LINK, identify, is_open
from sensord.api.answers import refusal, unavailable
from sensord.api.pace import Pace, Rate
from sensord.api.refusal import Refused
from sensord.api.tokens import TokenStore
from sensord.errors import StoreError
from sensord.ports import Meter

BODY_LIMIT = 16 * 1024
"""The largest request body, in bytes."""
BODY_TIME = 20.0
"""Seconds in which a request's body must have come."""
READING, CHANGING = Rate(300, 50.0), Rate(200, 20.0)
"""How often one token may read, and change."""
ANSWERING = Rate(30, 0.2)
"""How often one message's link may be used."""
_LENGTHS = {b"content-length", b"transfer-encoding"}
"""A proxy before us may go by the one, and we by the other: what it takes for a body would be a request of its own."""
_TWO_LENGTHS = Refused(400, "a request says in one way how long it is", {"connection": "close"})
_SAFE = ("GET", "HEAD", "OPTIONS")
_FOR_BROWSERS = ((b"x-content-type-options", b"nosniff"), (b"x-frame-options", b"DENY"))
RULES_LIMIT = 1024 * 1024
"""The same where the text of a rule file is sent: 256 KiB, which JSON may write at four bytes a character."""
RULES_PATH = "/api/v1/rule-files/"
_ASK = "Authorization: Bearer <token>"
_STRANGER = Refused(401, f"send a token: {_ASK}", {"www-authenticate": "Bearer"})


class Guard:
    """ASGI middleware. Its own refusal comes before anybody reads the body."""

    def __init__(self, app: ASGIApp, meter: Meter, tokens: TokenStore) -> None:
        """Wrap ``app``."""
        self._app = app
        self._meter = meter
        self._tokens = tokens
        self._reading, self._changing, self._answering = Pace(READING), Pace(CHANGING), Pace(ANSWERING)

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
                message["headers"] = [*message.get("headers", ()), *_FOR_BROWSERS]
            await send(message)

        try:
            await (self._refusal(scope) or self._app)(scope, _bounded(receive, _limit(scope)), counted)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self._meter.count("http_requests_total", path=path, status=str(status))
            self._meter.observe("http_request_seconds", time.monotonic() - began, path=path)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that gets no further; else note who asks."""
        limit = _limit(scope)
        if {name for name, _ in scope["headers"]} >= _LENGTHS:
            return refusal(_TWO_LENGTHS)
        if _says_too_large(scope, limit):
            return refusal(_too_large(limit, {"connection": "close"}))
        if scope["path"].startswith(BY_LINK):
            return _too_often(self._answering.wait(scope["path"].removeprefix(BY_LINK).partition("/")[0][:1000]))
        if is_open(scope["path"]):
            return None
        try:
            identity = identify(scope, self._tokens)
        except StoreError as fault:
            return refusal(unavailable(fault))
        if identity is None:
            return refusal(_STRANGER)
        scope.setdefault("state", {})["identity"] = identity
        pace = self._reading if scope["method"] in _SAFE else self._changing
        return _too_often(pace.wait(identity.name))


def _too_often(wait: int) -> Response | None:
    if not wait:
        return None
    return refusal(Refused(429, f"too many requests; ask again in {wait} s", {"retry-after": str(wait)}))


def _limit(scope: Scope) -> int:
    return RULES_LIMIT if scope["path"].startswith(RULES_PATH) else BODY_LIMIT


def _too_large(limit: int, headers: Mapping[str, str] | None = None) -> Refused:
    return Refused(413, f"the body is too large: at most {limit} bytes", headers)


def _says_too_large(scope: Scope, limit: int) -> bool:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return not length.isdigit() or int(length[:20]) > limit


def _bounded(receive: Receive, limit: int) -> Callable[[], Awaitable[Message]]:
    """Stop a body that does not say its length at the same limit, and one that does not end in time."""
    seen, complete, ends = 0, False, time.monotonic() + BODY_TIME

    async def limited() -> Message:
        nonlocal seen, complete
        try:
            async with asyncio.timeout(None if complete else max(0.0, ends - time.monotonic())):
                message = await receive()
        except TimeoutError:
            raise Refused(408, f"the body did not end within {BODY_TIME:g} s", {"Connection": "close"}) from None
        seen, complete = seen + len(message.get("body", b"")), not message.get("more_body", False)
        if seen > limit:
            raise _too_large(limit)
        return message

    return limited
