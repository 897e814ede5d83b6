"""What the API needs of the daemon behind it. Every method may be called from worker threads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import date
from typing import Any, Literal, Protocol

import msgspec

from sensord.core.cases.reports import ReportTable, VehicleTable
from sensord.core.definition import Definition
from sensord.core.outcome import Outcome
from sensord.core.record import Action, Receipt
from sensord.errors import Problem

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


class Records(Protocol):
    """What was. Every method may raise ``StoreError``; spans are [start, end) in ns."""

    def reports(self) -> list[str]:
        """The reports that are kept, the newest first."""
        ...

    def report(self, name: str, form: str, language: str, table: ReportTable | None = None) -> bytes | None:
        """One form of a kept report, as CSV one of its tables; None when it is not there. Raises ``Refused``."""
        ...

    def make_report(self, day: date) -> str:
        """Make the report of a local day; returns its name. Raises ``Refused``."""
        ...

    def vehicles(
        self,
        day: date | None,
        start: int | None,
        end: int | None,
        form: str,
        language: str,
        table: VehicleTable | None = None,
    ) -> str:
        """The report on vehicles of a local day, or of a span. Raises ``Refused``."""
        ...

    def span(self, start: int | None, end: int | None, days: int) -> tuple[int, int]:
        """Complete a span: until now, and so many days; raises ``Refused``."""
        ...

    def quarter(self, text: str) -> tuple[int, int]:
        """The span of a quarter; raises ``Refused``."""
        ...

    def listed(self, name: str, start: int, end: int) -> Plain:
        """One list as data; where it lacks what is deleted, ``known_since`` says from when on it is whole."""
        ...

    def document(self, name: str, start: int, end: int, form: str, language: str) -> str:
        """One list as a document."""
        ...

    def scores(self, start: int, end: int) -> Plain:
        """The score of each grid and role, likewise."""
        ...

    def ledger(self, person: str, shift: str | None, start: int, end: int) -> Plain:
        """What a person (or, with "", a shift) was told and did, likewise."""
        ...


class RosterChange(msgspec.Struct, frozen=True):
    """From ``start`` to ``end`` (ns) ``away`` is not on duty and ``stands_in`` is; one of them may be empty."""

    start: int
    end: int
    reason: Literal["leave", "swap", "extra"]
    away: str
    stands_in: str
    note: str


class Workshop(Protocol):
    """The files of the configuration. Every method may raise ``ConfigError`` and ``StoreError``.

    Those that change something put it into force by a reload, or change nothing; ``who`` goes with it.
    """

    def roster_changes(self) -> list[Plain]:
        """Every change of the duty plan."""
        ...

    async def add_change(self, change: RosterChange, who: str) -> tuple[str, Plain]:
        """Add one; returns its id and what came of it. Raises ``Refused``."""
        ...

    async def remove_change(self, name: str, who: str) -> Plain:
        """Take one back; raises ``Refused``."""
        ...

    def rule_files(self) -> list[Plain]:
        """The rule files."""
        ...

    def rule_file(self, name: str) -> Plain | None:
        """One rule file with its text."""
        ...

    def check_rules(self, name: str, text: str | None) -> list[Problem]:
        """Check a candidate; returns warnings. Raises ``Refused`` for a wrong name."""
        ...

    async def put_rules(self, name: str, text: str | None, known: str, who: str) -> Plain:
        """Put a rule file live; raises ``Refused`` for a wrong name or a stale hash."""
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

        Raises ``UnavailableError`` when it cannot be recorded now, ``Refused`` when there is no such case.
        """
        ...

    def became(self, seq: int, action: Action) -> Outcome | None:
        """What became of an action that a group holds; None until that is decided, or when it is long ago."""
        ...

    def report(self, topic: str, payload: bytes) -> Future[int]:
        """Journal a message, as if it had come from the broker. Raises ``UnavailableError``."""
        ...

    def receipts(self, receipts: Sequence[Receipt]) -> Future[int]:
        """Journal what became of messages. Raises ``UnavailableError``."""
        ...

    def on_duty(self, at: int | None, place: str) -> Plain:
        """Who is on duty at an instant (ns; None: now), for the whole street or for one place; raises ``Refused``."""
        ...

    @property
    def applied(self) -> int:
        """The last journal group whose changes can be read."""
        ...

    def changes(self, after: int, upto: int) -> list[tuple[int, str, Plain]]:
        """Changes of groups ``after < seq <= upto``, as (seq, ``transition`` or ``case``, value), in order."""
        ...
