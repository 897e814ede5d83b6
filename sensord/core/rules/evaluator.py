"""What every kind of rule has in common: its keys, its ladder, and how a level change becomes a transition."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sensord.core.alert import Change, Transition, Vehicle, change_of, transition_id
from sensord.core.batch import Batch, Float64
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.liveness import Liveness
from sensord.core.rules.paneclock import PaneClock
from sensord.core.rules.probe import Sight
from sensord.core.rules.rule import Rule
from sensord.core.rules.window import Table
from sensord.core.schedule import Calendar, Schedule

if TYPE_CHECKING:
    from sensord.core.rules.coming import Coming

Array = NDArray[Any]

Emission = tuple[int, int, int, int, int, Transition]
"""(at, phase, reading, rule, key, transition): sorted by the first five, the order is the one true one.

Phase 0 is what time brings (windows, silence, expiry), phase 1 what a reading brings; at one instant time comes first.
"""

Complete = Callable[[Transition, int], Transition]
"""Adds to a transition what stood beside it, when so many of the batch's readings had come before."""

NEVER = int(np.iinfo(np.int64).max)


def position_of(emission: Emission, batch: Batch) -> int:
    """How many of a batch's readings came before what time, or one of them, brought."""
    at, phase, reading = emission[:3]
    return reading if phase else int(np.searchsorted(batch.received_at, at, side="left"))


@dataclass(frozen=True, slots=True)
class Setting:
    """What rules stand in: the places, the time zone with its standard offset from UTC (ns), and the calendar.

    ``device_numbers`` float64 (devices,) tells devices apart, the same in every registry that has the device. ``panes``
    says where readings fall, once for all rules. ``followed``: vehicles are; else the stream ``visit`` is no quiet one.
    """

    places: Places
    zone: str
    offset: int
    calendar: Calendar
    device_numbers: Float64
    panes: PaneClock
    followed: bool = True

    def schedule(self, rule: Rule) -> Schedule:
        """When the rule is active."""
        return Schedule(rule.active, self.calendar, self.offset)


class Evaluator(Protocol):
    """One rule at work: ``take`` is called with readings, ``evaluate`` at each instant of ``due``, in order."""

    rule: Rule
    table: KeyTable

    @property
    def due(self) -> int:
        """The next journal instant (ns) at which time alone may change an alert; NEVER when there is none."""
        ...

    def take(self, order: int, batch: Batch) -> list[Emission]:
        """Take a batch's readings of the rule's stream, in arrival order, before its time goes by.

        ``order`` is the rule's position in the rule set. What readings bring is returned; what time brings meanwhile,
        too, where it depends on nothing else.
        """
        ...

    def settle(self) -> None:
        """The batch is over: every reading goes where it belongs."""
        ...

    def evaluate(self, order: int, liveness: Liveness) -> list[Emission]:
        """Do what is due at ``due`` and move ``due`` on."""
        ...

    def timely(self, batch: Batch) -> Array:
        """Return, bool (readings,), which readings come in time to count; the others are late."""
        ...

    def look(self, key: int, liveness: Liveness) -> Sight:
        """Say what the latest evaluation saw of a key; called right after it, with the same ``liveness``."""
        ...

    def skip(self, coming: Coming, *, watched: bool) -> None:
        """Move ``due`` on, towards the instant that a batch brings, past what can change nothing.

        ``watched``: somebody looks on, and wants to see every evaluation that has something to look at.
        """
        ...

    def active(self) -> Array:
        """Return the level of each key, int8 (keys,)."""
        ...

    def arrays(self) -> Mapping[str, Array]:
        """Return the live state with keys along the last axis, by name, for snapshots."""
        ...

    def device_arrays(self) -> Mapping[str, Array]:
        """Return the live state with devices along the last axis."""
        ...

    def tables(self) -> Mapping[str, Table]:
        """Return the live state in tables, each with a column ``key``."""
        ...

    def numbers(self) -> dict[str, int]:
        """Return the scalar state by name."""
        ...

    def restored(self, numbers: dict[str, int], tables: dict[str, Table]) -> None:
        """Take scalars and tables back, after the arrays were filled."""
        ...


def make_transition(
    evaluator: Evaluator,
    key: int,
    levels: tuple[int, int],
    when: tuple[int, int],
    seen: tuple[float, float | None, int],
    vehicle: Vehicle | None = None,
    *,
    flapping: bool = False,
    finding: int = 0,
) -> Transition:
    """Compose a transition of ``key`` (its position in the table).

    ``levels`` are (previous, new), ``when`` is (at, end), ``seen`` is (value, threshold, samples).
    """
    rule, version = evaluator.rule, evaluator.table.version
    previous, level = Level(levels[0]), Level(levels[1])
    change, name = change_of(previous, level), evaluator.table.keys[key]
    which = vehicle.id if vehicle is not None else str(finding)
    value, threshold, samples = seen
    return Transition(
        id=transition_id(rule.id, version, name, when[1], change, level, which),
        rule=rule.id,
        version=version,
        key=name,
        place=evaluator.table.places[key],
        change=change,
        level=level,
        previous=previous,
        at=when[0],
        end=when[1],
        value=None if math.isnan(value) else float(value),
        threshold=threshold,
        samples=samples,
        vehicle=vehicle,
        flapping=flapping,
        finding=finding,
    )


def withdraw(evaluator: Evaluator, at: int) -> list[Transition]:
    """End every active alert of a rule that is being changed or removed at the journal instant ``at``."""
    rule, table, version = evaluator.rule, evaluator.table, evaluator.table.version
    levels = evaluator.active()
    return [
        Transition(
            id=transition_id(rule.id, version, table.keys[key], at, Change.WITHDRAWN, Level.NONE),
            rule=rule.id,
            version=version,
            key=table.keys[key],
            place=table.places[key],
            change=Change.WITHDRAWN,
            level=Level.NONE,
            previous=Level(int(levels[key])),
            at=at,
            end=at,
            value=None,
            threshold=None,
            samples=0,
        )
        for key in np.flatnonzero(levels)
    ]
