"""The dispatch plan: who is told when, by level and time; what a case is called, how long each stage may take."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from sensord.core.cases.case import Answer, State
from sensord.core.instant import DAY, MINUTE
from sensord.core.level import Level


class Role(msgspec.Struct, frozen=True, omit_defaults=True):
    """An audience: its names, and what is asked of it (an order to police and cadres, a request to volunteers).

    ``approves``: people of this role may extend, return and void cases; others only ask for it. ``unlimited``: the
    alert budget does not hold for them (police). ``plates`` is how much of a plate they may see: ``none``, ``masked``
    or ``plain``.
    """

    id: str
    name: dict[str, str]
    ask: dict[str, str]
    approves: bool = False
    unlimited: bool = False
    plates: str = "none"


class Mode(StrEnum):
    """How a step finds its people (the three dispatch modes of the operations centre, and the ledger's)."""

    RESPONSIBLE = "responsible"
    """单问题责任调度: those on duty who answer for the place, in the nearest circle that has any."""
    NEAREST = "nearest"
    """就近应急调度: the ``count`` nearest on duty and free, whatever grid is theirs."""
    JOINT = "joint"
    """综合事件协调调度: all parties, with one ``lead``."""
    REPLACEMENT = "replacement"
    """For everybody who was told and is silent: the nearest one on duty who was not told yet."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tell ``tell`` (role ids) once the case has stood at ``at_least`` for ``after`` (ns).

    ``until`` drops the step, and ends its reminders, once people have come that far; ``Answer.NONE``: never.
    ``every`` (ns) repeats the step as a reminder; 0: once.
    """

    tell: tuple[str, ...]
    at_least: Level = Level.BLUE
    after: int = 0
    until: Answer = Answer.NONE
    every: int = 0
    mode: Mode = Mode.RESPONSIBLE
    lead: str = ""
    count: int = 2


class Category(msgspec.Struct, frozen=True, omit_defaults=True):
    """What kind of case it is: its place in the code (GB/T 30428: two digits major, three minor), its time limits.

    ``limits`` holds the longest stay (ns) per stage; a stage that is not in it has none.
    """

    id: str
    name: dict[str, str]
    major: str
    minor: str
    limits: dict[State, int] = {}


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A plan: its steps, in order.

    ``close`` is ``when_clear`` (the sensors suffice) or ``after_report`` (a person must say so, too). ``wait``: so long
    must an alert last before its case is filed and anybody is told; red is filed at once. ``agree_for``: so long must
    the alerts stay clear before the case closes. ``agree_within``: so soon after a person's report must they clear;
    else the case is supervised. ``unreported_after``: a cleared case that nobody reports on closes by itself after so
    long. ``everybody_at``: from this level on, all steps speak at once. ``link``: open cases of the same category
    below one place of this kind (``lane`` to ``grid``) are linked; empty: none. ``supervisors`` are the roles that
    hear of overdue, disputed and asked-for things.
    """

    id: str
    name: dict[str, str]
    steps: tuple[Step, ...]
    close: str = "when_clear"
    category: str = ""
    wait: int = 0
    agree_for: int = 0
    agree_within: int = 5 * MINUTE
    unreported_after: int = 3 * DAY
    everybody_at: Level = Level.RED
    link: str = ""
    supervisors: tuple[str, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that the plan can tell, in the order of its steps."""
        return tuple(dict.fromkeys(role for step in self.steps for role in step.tell))
