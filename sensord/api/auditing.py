"""The audit: who changed what over the API. Written down before the caller hears of the change; read by admins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Annotated

import msgspec
import structlog
from fastapi import APIRouter, Depends, Query, Response

from sensord.api import answers
from sensord.api.access import needs
from sensord.api.tokens import Identity, Role
from sensord.core.instant import format_instant
from sensord.errors import StoreError
from sensord.ports import AuditRegister, Change

log = structlog.get_logger()


class Auditor:
    """Notes changes in the register and in the log."""

    def __init__(self, register: AuditRegister, zone: Callable[[], str]) -> None:
        self._register, self._zone = register, zone

    async def note(self, identity: Identity, what: str, seq: int = 0, **about: str) -> None:
        """Write a change down. A disk that refuses is said in the log: what changed has been journaled already."""
        at = format_instant(time.time_ns(), self._zone())
        change = Change(at, identity.name, identity.role.word, what, seq, {k: v for k, v in about.items() if v})
        log.info("a change over the API", by=change.token, role=change.role, what=what, seq=seq, about=change.about)
        try:
            await asyncio.to_thread(self._register.append, change)
        except StoreError as error:
            log.error("a change is missing in the audit register", what=what, seq=seq, why=str(error))

    def routes(self) -> APIRouter:
        """The route."""
        router = APIRouter(prefix="/api/v1", tags=["reading"], dependencies=[Depends(needs(Role.ADMIN))])

        @router.get("/audit", summary="Who changed what over the API, the newest first")
        async def audit(
            limit: Annotated[int, Query(ge=1, le=1000)] = 100,
            token: Annotated[str, Query(max_length=64, description="only changes with this token")] = "",
        ) -> Response:
            found = await asyncio.to_thread(self._register.last, limit, token)
            return answers.json(200, {"changes": [msgspec.to_builtins(one) for one in found]})

        return router
