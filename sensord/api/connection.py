"""One HTTP connection, and how long it may take: who speaks or listens too slowly is let go, lest others find no place.

uvicorn bounds what happens between requests and how many run at once. These bound what it leaves open: a request whose
head never ends, and an answer that nobody reads. A body that never ends is the guard's (``guard.py``).
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from sensord.ports import Meter

HEAD, READING = 10.0, 30.0
"""Seconds in which a request's head must be complete, and in which a client must have taken something of an answer."""
CONNECTIONS = 200
"""So many at a time; for one more, the one that has been at its head for longest has to go, or else the new one."""


class PatientProtocol(H11Protocol):
    """A connection with limits; ``meter`` counts why one was let go: ``slow_head``, ``slow_reader``, ``too_many``."""

    meter: ClassVar[Meter | None] = None
    _head: asyncio.TimerHandle | None = None
    _blocked: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; the clock runs from here."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn's is narrower than asyncio's
        self._head = self.loop.call_later(HEAD, self.drop, "slow_head")
        if len(self.connections) > CONNECTIONS:
            waiting = [one for one in self.connections if isinstance(one, PatientProtocol)]
            min(waiting, key=PatientProtocol.patience).drop("too_many")  # this one is among them

    def data_received(self, data: bytes) -> None:
        """Take bytes; whoever begins another request has as long for its head as for the first."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(HEAD, self.drop, "slow_head")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clocks."""
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read what we say."""
        super().pause_writing()
        self._blocked = self.loop.call_later(READING, self.drop, "slow_reader")

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        if self._blocked is not None:
            self._blocked.cancel()
            self._blocked = None

    def patience(self) -> float:
        """When its head has to be complete, on the loop's clock; never, when it is."""
        return self._head.when() if self._head is not None else float("inf")

    def _stop_waiting(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def drop(self, why: str) -> None:
        """Let it go, without a word."""
        self._stop_waiting()
        if not self.transport.is_closing():
            if self.meter is not None:
                self.meter.count("http_connections_dropped_total", reason=why)
            self.transport.abort()


def patient(meter: Meter | None) -> type[PatientProtocol]:
    """The protocol, with somebody who counts the connections that were let go."""
    return type("Patient", (PatientProtocol,), {"meter": meter})
