"""Cases: what people handle. One state machine, in one table.

Alerts of one place and one policy belong to one case as long as it is open. A person's word alone never closes a case:
``close`` while an alert is active is refused, because the sensors still see the crowd.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from sensord.core.alert import Vehicle
from sensord.core.level import Level


class State(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLEAR = "clear"
    """Every alert has cleared; a person's report is awaited (policy ``after_report``)."""
    CLOSED = "closed"


class Happening(StrEnum):
    """What can happen to a case."""

    LEVEL_ROSE = "level_rose"
    LEVEL_FELL = "level_fell"
    ACKNOWLEDGE = "acknowledge"
    ALL_CLEAR = "all_clear"
    RELAPSE = "relapse"
    CLOSE = "close"
    STEP_DUE = "step_due"


TABLE: dict[tuple[State, Happening], State] = {
    (State.OPEN, Happening.LEVEL_ROSE): State.OPEN,
    (State.OPEN, Happening.LEVEL_FELL): State.OPEN,
    (State.OPEN, Happening.STEP_DUE): State.OPEN,
    (State.OPEN, Happening.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.OPEN, Happening.ALL_CLEAR): State.CLEAR,
    (State.ACKNOWLEDGED, Happening.LEVEL_ROSE): State.ACKNOWLEDGED,
    (State.ACKNOWLEDGED, Happening.LEVEL_FELL): State.ACKNOWLEDGED,
    (State.ACKNOWLEDGED, Happening.STEP_DUE): State.ACKNOWLEDGED,
    (State.ACKNOWLEDGED, Happening.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.ACKNOWLEDGED, Happening.ALL_CLEAR): State.CLEAR,
    (State.CLEAR, Happening.STEP_DUE): State.CLEAR,
    (State.CLEAR, Happening.ACKNOWLEDGE): State.CLEAR,
    (State.CLEAR, Happening.RELAPSE): State.OPEN,
    (State.CLEAR, Happening.CLOSE): State.CLOSED,
}
"""The whole state machine; what is not in it is refused. ``docs/architecture.md`` draws its diagram from here."""


class Case(msgspec.Struct):
    """A case. Times are ns (0: not yet). ``alerts`` maps the ids ``rule:key`` of active alerts to their levels.

    ``rule``, ``value``, ``threshold``, ``samples`` and ``vehicle`` are those of the transition that last raised the
    level, for texts. ``told`` are the receivers told so far, ``pending`` the steps still to come as (due, index of the
    step), and ``events`` counts the case's events.
    """

    id: str
    policy: str
    place: str
    grid: str
    rule: str
    state: State
    level: Level
    peak: Level
    opened_at: int
    key: str = ""
    value: float | None = None
    threshold: float | None = None
    samples: int = 0
    vehicle: Vehicle | None = None
    events: int = 0
    alerts: dict[str, Level] = {}
    acknowledged_at: int = 0
    acknowledged_by: str = ""
    cleared_at: int = 0
    closed_at: int = 0
    closed_by: str = ""
    told: list[str] = []
    pending: list[tuple[int, int]] = []


class CaseEvent(msgspec.Struct, frozen=True):
    """One step of a case's story. ``id`` is ``case:n``; ``cause`` names the transition or the person."""

    id: str
    case: str
    policy: str
    place: str
    at: int
    happening: Happening
    state: State
    level: Level
    previous: Level
    cause: str
    note: str = ""


def draw() -> str:
    """Draw the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> open: alert raised"]
    for (state, happening), target in TABLE.items():
        if state is not target:
            lines.append(f"    {state.value} --> {target.value}: {happening.value}")
    return "\n".join([*lines, "    closed --> [*]"]) + "\n"


_BEGIN, _END = "<!-- case-diagram -->", "<!-- /case-diagram -->"


def redraw(text: str) -> str:
    """Return a document with the diagram between its marks drawn anew; raises ``ValueError`` when there are none."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    if not rest or not after:
        raise ValueError(f"the document lacks {_BEGIN} ... {_END}")
    return f"{before}{_BEGIN}\n```mermaid\n{draw()}```\n{_END}{after}"
