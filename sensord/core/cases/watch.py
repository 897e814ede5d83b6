"""What the case book watches by itself: holes in the coming duty plan, and people who cannot be reached.

Both raise and clear alerts of built-in rules (``builtin``).
"""

from __future__ import annotations

import msgspec

from sensord.core.alert import Change, Gap, Transition
from sensord.core.cases.builtin import HOLE, SOON, Active, change_alert, go_on
from sensord.core.cases.numbering import unused
from sensord.core.instant import DAY, HOUR
from sensord.core.level import Level
from sensord.core.people.coverage import Hole
from sensord.core.people.duty import DutyTable

RETRY = DAY
"""A contact that failed is tried again after so long."""


class Watched(msgspec.Struct):
    """The state: active built-in alerts, and failed contacts (person, channel, since).

    ``check_at`` is when the roster is looked through next (0: never), ``reports`` when each report is due next,
    ``holes`` are those known of each place (start and end, ns), the next one first. ``changed_at`` is the instant of
    the latest changes of these alerts, ``changes`` are their ids.
    """

    alerts: Active = {}
    failed: list[tuple[str, str, int]] = []
    check_at: int = 0
    reports: dict[str, int] = {}
    holes: dict[str, list[tuple[int, int]]] = {}
    changed_at: int = 0
    changes: list[str] = []


def named(watched: Watched, change: Transition) -> Transition:
    """The same with an id of its own: an alert may go and come back within one instant, for journal time may stand."""
    if watched.changed_at != change.at:
        watched.changed_at, watched.changes = change.at, []
    name = unused(change.id, watched.changes)
    watched.changes = [*watched.changes, name]
    return msgspec.structs.replace(change, id=name)


def tried_again(watched: Watched, duty: DutyTable) -> dict[tuple[str, str], int]:
    """When each contact that failed is tried again, at the latest (ns): at the first look at the roster a day later."""
    return {(person, channel): duty.next_check(since + RETRY - 1) for person, channel, since in watched.failed}


def hole_transitions(watched: Watched, holes: list[Hole], duty: DutyTable, at: int) -> list[Transition]:
    """Compare the holes found at ``at`` with the alerts that are active, and return what has changed.

    A place has one alert, whose level is that of its next hole.
    """
    found: dict[str, list[Gap]] = {}
    for hole in holes:
        gaps = found.setdefault(hole.place, [])
        if gaps and gaps[-1].start == hole.start:
            end, plans = min(gaps[-1].end, hole.end), (*gaps[-1].plans, hole.plan)
            gaps[-1] = msgspec.structs.replace(gaps[-1], end=end, plans=plans)
        else:
            gaps.append(Gap(hole.start, hole.end, (hole.plan,), duty.shifts_at(hole.start)))
    prefix = HOLE + ":"
    alarmed = [key.removeprefix(prefix) for key in watched.alerts if key.startswith(prefix)]
    changes: list[Transition] = []
    for place in sorted({*found, *alarmed, *watched.holes}):
        gaps = [msgspec.structs.replace(gap, more=len(found[place]) - 1) for gap in found.get(place, ())]
        changes += _compare(watched, place, gaps, at)
    return changes


def _compare(watched: Watched, place: str, gaps: list[Gap], at: int) -> list[Transition]:
    """Move the alert of a place; when another hole is the next, or one is new, the alert goes on with that."""
    known = watched.holes.pop(place, [])
    gaps = [_since(gap, known, at) for gap in gaps]
    first = gaps[0] if gaps else None
    level, hours = _weight(first, at)
    change = change_alert(watched.alerts, HOLE, place, place, level, at, hours)
    changes = [] if change is None else [msgspec.structs.replace(change, gap=first)]
    if first is not None:
        watched.holes[place] = [(gap.start, gap.end) for gap in gaps]
        told = change is not None and change.change is not Change.LOWERED
        news = _news(gaps, [start for start, _ in known])
        changes += [_another(place, gap, at) for gap in news[:1] if not (told and gap is first)]
    return changes


def _news(gaps: list[Gap], known: list[int]) -> list[Gap]:
    """The next hole, if it is another than it was, and those that are new; nothing where none was known."""
    if not known:
        return []
    return [gap for gap in gaps if gap.start not in known or (gap is gaps[0] and gap.start != known[0])]


def _another(place: str, gap: Gap, at: int) -> Transition:
    level, hours = _weight(gap, at)
    return msgspec.structs.replace(go_on(HOLE, place, place, level, at, hours, str(gap.start)), gap=gap)


def _since(gap: Gap, known: list[tuple[int, int]], at: int) -> Gap:
    """A hole that runs already, since it began: it is found from ``at`` on, and is no other for that."""
    begun = [start for start, end in known if start <= at < end]
    return msgspec.structs.replace(gap, start=min(begun)) if gap.start <= at and begun else gap


def _weight(gap: Gap | None, at: int) -> tuple[Level, float]:
    """How bad a hole is, and in how many hours it begins; none is no alert."""
    if gap is None:
        return Level.NONE, 0.0
    return Level.ORANGE if gap.start - at < SOON else Level.YELLOW, max(gap.start - at, 0) / HOUR
