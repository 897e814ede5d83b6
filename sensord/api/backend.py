"""What the API needs of the daemon behind it. Every method may be called from worker threads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Literal, Protocol

from sensord.core.definition import Definition
from sensord.core.record import Action, Receipt

Which = Literal["open", "closed", "all"]
Plain = dict[str, Any]


class Vitals(Protocol):
    """Health, as the probes ask for it."""

    def live(self) -> tuple[bool, dict[str, object]]:
        """Whether every worker makes progress, and the report."""
        ...

    def ready(self) -> tuple[bool, dict[str, object]]:
        """Whether everything is as it should be, and the report."""
        ...


class Backend(Protocol):
    """Reads from the stores and the core's last glance; writes through the journal only."""

    @property
    def definition(self) -> Definition:
        """The definition in force."""
        ...

    def overview(self) -> Plain:
        """The site at a glance."""
        ...

    def cases(self, which: Which, limit: int) -> list[Plain]:
        """Cases, newest first."""
        ...

    def case(self, case: str) -> Plain | None:
        """One case with its story: events, messages with their outcomes, holds; None when there is none."""
        ...

    def places(self) -> list[Plain]:
        """Every place with its live state."""
        ...

    def silences(self) -> list[Plain]:
        """Silences in force or to come."""
        ...

    def act(self, action: Action) -> Future[int]:
        """Journal an action; the future holds the group's ``seq``.

        Raises ``UnavailableError`` when it cannot be recorded now, ``LookupError`` (its text is shown) when there is
        no such case.
        """
        ...

    def report(self, topic: str, payload: bytes) -> Future[int]:
        """Journal a message, as if it had come from the broker. Raises ``UnavailableError``."""
        ...

    def receipts(self, receipts: Sequence[Receipt]) -> Future[int]:
        """Journal what became of messages. Raises ``UnavailableError``."""
        ...

    @property
    def applied(self) -> int:
        """The last journal group whose changes can be read."""
        ...

    def changes(self, after: int, upto: int) -> list[tuple[int, str, Plain]]:
        """Changes of groups ``after < seq <= upto``, as (seq, ``transition`` or ``case``, value), in order."""
        ...
