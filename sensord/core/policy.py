"""The dispatch plan: who is told when, by level and time; and when a case may close."""

from __future__ import annotations

import msgspec

from sensord.core.level import Level


class Role(msgspec.Struct, frozen=True, omit_defaults=True):
    """An audience: its names, and what is asked of it (an order to police and cadres, a request to volunteers).

    ``plates`` is how much of a plate it may see: ``none``, ``masked`` or ``plain``.
    """

    id: str
    name: dict[str, str]
    ask: dict[str, str]
    plates: str = "none"


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tell ``tell`` (role ids) once the case has stood at ``at_least`` for ``after`` (ns).

    With ``unless_acknowledged`` the step is an escalation: it is dropped when somebody acknowledged in time.
    """

    tell: tuple[str, ...]
    at_least: Level = Level.BLUE
    after: int = 0
    unless_acknowledged: bool = False


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A plan: its steps, in order.

    ``close`` is ``when_clear`` (the sensors suffice) or ``after_report`` (a person must say so, too).
    """

    id: str
    name: dict[str, str]
    steps: tuple[Step, ...]
    close: str = "when_clear"
