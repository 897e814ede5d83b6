"""Serves the application on one address, and leaves signals and shutdown to the daemon."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from sensord.api.connection import patient
from sensord.errors import UnavailableError
from sensord.ports import Meter

SHUTDOWN = 3
"""Seconds that requests under way get when the server stops."""


class _Server(uvicorn.Server):
    """Leaves the process's signals alone: the daemon handles them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    bound: Callable[[int], None] | None = None,
    meter: Meter | None = None,
) -> None:
    """Serve until cancelled, then let requests under way finish.

    ``port`` 0 takes a free one; ``bound`` is told the port, the ``meter`` of connections that were let go.
    Raises ``UnavailableError`` when the address is taken.
    """
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UnavailableError(f"cannot listen on {host}:{port} ({error.strerror}); change http.port") from error
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        http=patient(meter),
        timeout_graceful_shutdown=SHUTDOWN,
    )
    server = _Server(config)
    with listener:
        if bound is not None:
            bound(listener.getsockname()[1])
        running = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            server.should_exit = True
            await running
            raise
