"""Hands definitions to the journal, each once and in their order; what is journaled is in force from that record on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

import structlog

from sensord.core.definition import Definition
from sensord.core.record import Record
from sensord.core.site import definition_record

PATIENCE = 5.0
"""Seconds that a definition waits for a place in the queue."""

_WAITS = "the rules of this start wait for the journal; those before hold"

log = structlog.get_logger()


class Facts(Protocol):
    """Where it is stated how things stand."""

    def set_fact(self, name: str, ok: bool, detail: str = "") -> None:
        """The latest word counts."""
        ...

    def revise_fact(self, name: str, said: str, ok: bool, detail: str = "") -> None:
        """The latest word is another, unless it is no more what was ``said``."""
        ...


class Definitions:
    """The newest definition, in force or on its way.

    A start does not wait for its own: on a full disk that may take for ever, and meanwhile the one before is in force.
    """

    def __init__(
        self, submit: Callable[[Record, float], Future[int]], clock: Callable[[], int], in_force: str | None
    ) -> None:
        """``in_force`` is the version that needs not be journaled again; None when none has been."""
        self._submit, self._clock = submit, clock
        self._newest, self._durable = in_force, Future[int]()
        self._durable.set_result(0)

    def begin(self, definition: Definition, facts: Facts, complaint: str = "") -> None:
        """Hand over the definition of a start; the fact ``rules`` says whether it is durable yet.

        With a ``complaint`` that fact is bad all the same. A reload meanwhile has the last word. Raises as
        :meth:`hand_over`.
        """

        def end(done: Future[int]) -> None:
            facts.revise_fact("rules", _WAITS, done.exception() is None and not complaint, complaint)

        durable = self.hand_over(definition)
        facts.set_fact("rules", False, _WAITS)
        durable.add_done_callback(end)

    def hand_over(self, definition: Definition) -> Future[int]:
        """Journal a definition, unless it is the newest; the future resolves once that is durable.

        Blocks while the queue has no place. Raises ``UnavailableError`` when it gets none.
        """
        if definition.version != self._newest:
            log.info("a new definition comes into force", version=definition.version, rules=len(definition.rules))
            self._durable = self._submit(definition_record(definition, self._clock()), PATIENCE)
            self._newest = definition.version
        return self._durable

    async def put_into_force(self, definition: Definition) -> None:
        """As :meth:`hand_over`, and wait until it is durable; raises ``StoreError`` when it cannot be journaled."""
        await asyncio.wrap_future(await asyncio.to_thread(self.hand_over, definition))
