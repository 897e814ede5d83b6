"""Waiting until a change is durable, and telling the caller what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from sensord.api.tokens import Identity
from sensord.errors import StoreError, UnavailableError

RECORDING = 10.0
"""Seconds that a change may take to become durable before the caller hears that it is not certain."""

log = structlog.get_logger()


async def recorded(start: Callable[[], Future[int]]) -> int:
    """Return the journal group of a change; raises ``HTTPException`` with what to tell the caller."""
    try:
        future = await run_in_threadpool(start)
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), RECORDING)
    except LookupError as missing:
        raise HTTPException(404, str(missing.args[0]) if missing.args else "there is no such case") from missing
    except TimeoutError as late:
        text = "it is not recorded yet, but still may be: look before you send it again"
        raise HTTPException(503, text) from late
    except (UnavailableError, StoreError) as refused:
        raise HTTPException(503, str(refused)) from refused


def audit(identity: Identity, what: str, seq: int, **details: str) -> None:
    """Log who changed what; the journal holds the same, for good."""
    log.info("a change over the API", token=identity.name, role=identity.role.word, what=what, seq=seq, **details)
