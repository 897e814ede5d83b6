"""Waiting until a change is durable, and until the core has decided about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

from sensord.api import answers
from sensord.api.backend import Backend
from sensord.api.refusal import Refused
from sensord.core.outcome import Outcome
from sensord.core.record import Action
from sensord.errors import StoreError, UnavailableError

RECORDING = 10.0
"""Seconds that a change may take to become durable before the caller hears that it is not certain."""
DECIDING, _POLL = 2.0, 0.02
"""Seconds that the caller waits for what became of it, and between two looks."""


async def recorded(start: Callable[[], Future[int]]) -> int:
    """Return the journal group of a change; raises ``Refused`` with what to tell the caller."""
    try:
        future = await asyncio.to_thread(start)
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), RECORDING)
    except TimeoutError as late:
        raise Refused(503, "it is not recorded yet, but still may be: look before you send it again") from late
    except (UnavailableError, StoreError) as refused:
        raise answers.unavailable(refused) from refused


async def decided(backend: Backend, seq: int, action: Action) -> Outcome | None:
    """Return what became of an action that is recorded; None when the core has not come that far in ``DECIDING``."""
    for _ in range(int(DECIDING / _POLL)):
        if (found := backend.became(seq, action)) is not None:
            return found
        await asyncio.sleep(_POLL)
    return None
