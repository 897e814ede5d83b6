"""What the case book watches by itself: holes in the coming duty plan, and people who cannot be reached.

Both are alerts like any other, with rules that are built in, so that they become cases, reach people, and are the same
in every replay. They are told by the policy that the duty plan's check names; without one nothing is watched.
"""

from __future__ import annotations

import msgspec

from sensord.core.alert import Change, Transition, change_of, transition_id
from sensord.core.instant import DAY, HOUR
from sensord.core.level import Level
from sensord.core.people.coverage import Hole
from sensord.core.rules.rule import Clear, LevelSpec, Rule

HOLE, UNREACHED = "roster-hole", "contact-undeliverable"
RESERVED = frozenset((HOLE, UNREACHED))
"""No rule of an operator's may be called so."""
SOON = DAY
"""A hole that begins so soon is orange, a later one yellow."""
RETRY = DAY
"""A contact that failed is tried again after so long."""


def built_in(dispatch: str) -> tuple[Rule, ...]:
    """The rules that are built in, told by the policy ``dispatch``; none when it is empty."""
    if not dispatch:
        return ()
    levels = (LevelSpec(Level.YELLOW, DAY / HOUR * 7), LevelSpec(Level.ORANGE, SOON / HOUR))
    hole = Rule(
        id=HOLE,
        name={"zh": "值班空档", "en": "Hole in the roster"},
        stream=None,
        by="micro_grid",
        dispatch=dispatch,
        levels=levels,
        clear=Clear((0.0, 0.0), 0),
        message={
            "zh": "{place}自{time}起查看：{value}小时后将无人值班且可联系，请安排人员。",
            "en": "{place}, seen at {time}: in {value} hours nobody will be on duty and reachable; find somebody. ",
        },
    )
    unreached = msgspec.structs.replace(
        hole,
        id=UNREACHED,
        name={"zh": "联系不上", "en": "Cannot be reached"},
        levels=(LevelSpec(Level.BLUE, 1.0),),
        clear=Clear((0.0,), 0),
        message={
            "zh": "{place}有人员的联系方式无法送达，{time}，请核对值班表。",
            "en": "{place}: a contact of somebody here does not deliver, {time}; check the roster. ",
        },
    )
    return hole, unreached


class Watched(msgspec.Struct):
    """The state: active built-in alerts (``rule:key`` -> level, place) and failed contacts (person, channel, since).

    ``check_at`` is when the roster is looked through next, ``report_at`` when the next daily report is due (0: never).
    """

    alerts: dict[str, tuple[Level, str]] = {}
    failed: list[tuple[str, str, int]] = []
    check_at: int = 0
    report_at: int = 0


def hole_transitions(watched: Watched, holes: list[Hole], at: int) -> list[Transition]:
    """Compare the holes found at ``at`` with the alerts that are active, and return what has changed."""
    wanted: dict[str, tuple[Level, str, float]] = {}
    for hole in holes:
        if hole.place not in wanted:
            level = Level.ORANGE if hole.start - at < SOON else Level.YELLOW
            wanted[hole.place] = (level, hole.place, (hole.start - at) / HOUR)
    prefix = HOLE + ":"
    gone = [key.removeprefix(prefix) for key in watched.alerts if key.startswith(prefix)]
    changes = []
    for place in sorted({*wanted, *gone}):
        level, where, hours = wanted.get(place, (Level.NONE, place, 0.0))
        change = change_alert(watched, HOLE, place, where, level, at, hours)
        changes += [change] if change is not None else []
    return changes


def change_alert(
    watched: Watched, rule: str, key: str, place: str, level: Level, at: int, value: float | None = None
) -> Transition | None:
    """Move a built-in alert to a level; None when it stands there already."""
    name = f"{rule}:{key}"
    previous, place = watched.alerts.get(name, (Level.NONE, place))
    if previous is level:
        return None
    if level is Level.NONE:
        del watched.alerts[name]
    else:
        watched.alerts[name] = (level, place)
    change: Change = change_of(previous, level)
    return Transition(
        id=transition_id(rule, "built-in", key, at, change, level),
        rule=rule,
        version="built-in",
        key=key,
        place=place,
        change=change,
        level=level,
        previous=previous,
        at=at,
        end=at,
        value=value,
        threshold=None,
        samples=0,
    )
