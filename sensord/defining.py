"""Hands definitions to the journal, each once and in their order; what is journaled is in force from that record on.

Unless the core refuses it, by a mistake of ours: then the one before holds, and it is handed over again when asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import NamedTuple, Protocol

import structlog

from sensord.core.definition import Definition
from sensord.core.record import Record
from sensord.core.site import definition_record

PATIENCE = 5.0
"""Seconds that a definition waits for a place in the queue, and whoever brings it for the core to come to it."""

_WAITS = "the rules of this start wait for the journal; those before hold"
_REFUSED = "the rules of this start were refused by a mistake of sensord: those before hold; report it with the log"

log = structlog.get_logger()


class Facts(Protocol):
    """Where it is stated how things stand."""

    def set_fact(self, name: str, ok: bool, detail: str = "") -> None:
        """The latest word counts."""
        ...

    def revise_fact(self, name: str, said: str, ok: bool, detail: str = "") -> None:
        """The latest word is another, unless it is no more what was ``said``."""
        ...


class Handed(NamedTuple):
    """A definition on its way: ``durable`` gives its group, ``holds`` whether it is in force, once the core knows."""

    durable: Future[int]
    holds: Future[bool]


class Definitions:
    """The newest definition, in force or on its way.

    A start does not wait for its own: on a full disk that may take for ever, and meanwhile the one before is in force.
    The core's thread says what it makes of them (``hear``).
    """

    def __init__(
        self, submit: Callable[[Record, float], Future[int]], clock: Callable[[], int], in_force: str | None
    ) -> None:
        """``in_force`` is the version that needs not be journaled again; None when none has been."""
        self._submit, self._clock = submit, clock
        self._lock, self._heard = Lock(), (0, in_force)
        self._newest, self._handed = in_force, Handed(Future(), Future())
        self._handed.durable.set_result(0)
        self._handed.holds.set_result(True)

    def begin(self, definition: Definition, facts: Facts, complaint: str = "") -> None:
        """Hand over the definition of a start; the fact ``rules`` says whether it is durable yet.

        With a ``complaint`` that fact is bad all the same. A reload meanwhile has the last word. Raises as
        :meth:`hand_over`.
        """

        def end(done: Future[int]) -> None:
            facts.revise_fact("rules", _WAITS, done.exception() is None and not complaint, complaint)

        def decide(done: Future[bool]) -> None:
            for said in () if done.result() else (_WAITS, complaint):
                facts.revise_fact("rules", said, False, _REFUSED)

        handed = self.hand_over(definition)
        facts.set_fact("rules", False, _WAITS)
        handed.durable.add_done_callback(end)
        handed.holds.add_done_callback(decide)

    def hand_over(self, definition: Definition) -> Handed:
        """Journal a definition, unless it is the newest.

        Blocks while the queue has no place. Raises ``UnavailableError`` when it gets none.
        """
        if definition.version != self._newest:
            log.info("a new definition comes into force", version=definition.version, rules=len(definition.rules))
            durable = self._submit(definition_record(definition, self._clock()), PATIENCE)
            with self._lock:
                self._newest, self._handed = definition.version, Handed(durable, Future())
            durable.add_done_callback(lambda _done: self._decide())
        return self._handed

    def hear(self, seq: int, version: str) -> None:
        """The core has come to a group with a definition, and this version is in force after it."""
        self._heard = seq, version
        self._decide()

    def _decide(self) -> None:
        """Say whether the newest is in force, once that is known; what is not, or is not journaled, is none.

        Called on the threads of whoever journals and of the core; the first to know says it, once it has let go.
        """
        with self._lock:
            (durable, holds), (seq, version) = self._handed, self._heard
            if holds.running() or holds.done() or not durable.done():
                return
            if durable.exception() is not None:
                self._newest = None
                return
            if seq < durable.result():
                return
            in_force = version == self._newest
            self._newest = self._newest if in_force else None
            holds.set_running_or_notify_cancel()
        holds.set_result(in_force)

    async def put_into_force(self, definition: Definition) -> bool:
        """As :meth:`hand_over`, and wait until it is durable; returns False when the core has refused it.

        A core that is far behind is not waited for. Raises ``StoreError`` when it cannot be journaled.
        """
        durable, holds = await asyncio.to_thread(self.hand_over, definition)
        await asyncio.shield(asyncio.wrap_future(durable))
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(holds)), PATIENCE)
        except TimeoutError:
            return True
