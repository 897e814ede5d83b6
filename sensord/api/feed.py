"""The change feed: server-sent events, one for each change of an alert or a case, as they are applied.

An event's id is the journal group; who reconnects with ``Last-Event-ID`` misses nothing that the state database still
holds. A stream that starts afresh begins with what comes next.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sensord.api.access import needs
from sensord.api.backend import Backend
from sensord.api.refusal import Refused
from sensord.api.tokens import Role

POLL = 0.5
"""Seconds between two looks at how far the core has come."""
QUIET = 15.0
"""Seconds after which a comment keeps the connection open."""
STREAMS = 32
"""The most streams at one time; each takes one of the server's connections."""
GROUPS = 500
"""The most journal groups that one look reads."""

Seq = Annotated[int, Query(ge=0, le=2**62)]


class _Stream(StreamingResponse):
    """One that says when it has ended, whether it ever began or not."""

    def __init__(self, body: AsyncIterator[bytes], ended: Callable[[], None]) -> None:
        super().__init__(body, media_type="text/event-stream", headers={"cache-control": "no-store"})
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


class Feed:
    """Counts its streams, so that they cannot take every connection."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._streams = 0

    def routes(self) -> APIRouter:
        """The route."""
        router = APIRouter(prefix="/api/v1", tags=["reading"], dependencies=[Depends(needs(Role.VIEWER))])

        @router.get(
            "/changes",
            summary="Changes of alerts and cases as they happen (server-sent events)",
            response_class=StreamingResponse,
            responses={200: {"content": {"text/event-stream": {}}}},
        )
        async def changes(
            after: Seq | None = None, last_event_id: Annotated[str | None, Header(max_length=20)] = None
        ) -> StreamingResponse:
            if self._streams >= STREAMS:
                raise Refused(503, f"{STREAMS} streams are open already", headers={"retry_after": "10"})
            start = after
            if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
                start = min(int(last_event_id), 2**62)
            since = self._backend.applied if start is None else start
            self._streams += 1
            return _Stream(self._follow(since), self._ended)

        return router

    def _ended(self) -> None:
        self._streams -= 1

    async def _follow(self, position: int) -> AsyncIterator[bytes]:
        yield b": sensord\nretry: 2000\n\n"
        quiet = 0.0
        while True:
            upto = min(self._backend.applied, position + GROUPS)
            events = await asyncio.to_thread(self._read, position, upto) if upto > position else []
            position = max(position, upto)
            for event in events:
                yield event
            quiet = 0.0 if events else quiet + POLL
            if quiet >= QUIET:
                quiet = 0.0
                yield b": still here\n\n"
            if position >= self._backend.applied:
                await asyncio.sleep(POLL)

    def _read(self, after: int, upto: int) -> list[bytes]:
        found = self._backend.changes(after, upto)
        return [
            f"id: {seq}\nevent: {kind}\ndata: ".encode() + msgspec.json.encode(value) + b"\n\n"
            for seq, kind, value in found
        ]
