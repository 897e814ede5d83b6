"""What a case has told of its alerts, and what it still owes: nothing is told twice, and nothing is told to nobody.

An alert that comes back soon after its end is no news, or a queue that comes and goes would be told of all day long.
What cannot be told when it comes (the case is not filed yet, it is muted, nobody is on duty) waits in ``Case.untold``.
"""

from __future__ import annotations

from collections.abc import Callable

from sensord.core.alert import Transition
from sensord.core.cases.case import Case, Due, Subject
from sensord.core.instant import DAY, HOUR
from sensord.core.level import Level
from sensord.core.rules.rule import Rule

COMES_BACK = HOUR
"""An alert that was told of is news again, at the same level, when it has been over for so long."""
LONGEST_UNTOLD = DAY
"""For so long a case that is over stays open, when nobody was on duty: who comes next hears of it."""
MOST_UNTOLD = 50
"""Of so many a case still tells later; of more, the latest of the gravest. Its events have them all."""


def is_news(case: Case, transition: Transition) -> bool:
    """Whether the alert rose above the level at which it was told, or has been over for long."""
    level, ended_at = case.told_of.get(f"{transition.rule}:{transition.key}", (Level.NONE, 0))
    return transition.level > level or bool(ended_at and transition.at - ended_at >= COMES_BACK)


def outrun(case: Case, one: Subject, rule: Rule | None) -> bool:
    """Whether an alert warns of a level, one above its own, at which the case stands by now: that is no news."""
    return rule is not None and rule.trend is not None and case.level > one.level


def owe(case: Case, one: Subject) -> None:
    """Nobody has heard of it yet: it is told later."""
    case.untold = [*_others(case, one), one]
    if len(case.untold) > MOST_UNTOLD:
        case.untold.remove(min(case.untold, key=lambda untold: untold.level))


def owes(case: Case, one: Subject) -> bool:
    """Whether nobody has heard of it yet."""
    return any(untold.same(one) for untold in case.untold)


def note(case: Case, one: Subject) -> None:
    """It has been told."""
    case.untold = _others(case, one)
    case.told_of[one.alert] = one.level, 0


def drop(case: Case, one: Subject) -> None:
    """It need not be told any more."""
    case.untold = _others(case, one)


def fell(case: Case, now: Subject) -> None:
    """An alert fell: what it is by now is told in its stead. A vehicle's own level stays what it was."""
    case.untold = [
        now if one.alert == now.alert and one.level > now.level and not one.vehicle else one for one in case.untold
    ]


def over(case: Case, alert: str, at: int, kept: Callable[[Subject], bool]) -> None:
    """An alert has ended: what nobody has heard of it is of the past, unless it is kept."""
    case.untold = [one for one in case.untold if one.alert != alert or kept(one)]
    if alert in case.told_of:
        case.told_of[alert] = case.told_of[alert][0], at


def late_ways(case: Case) -> int:
    """When the last second way of what was told when it was over, or as it ended, is due (ns); 0: none is awaited."""
    ways = ((at, case.fallbacks.get(str(number))) for at, due, number in case.pending if due is Due.FALLBACK)
    return max((at for at, way in ways if way is not None and way.at >= case.cleared_at), default=0)


def _others(case: Case, one: Subject) -> list[Subject]:
    return [untold for untold in case.untold if not untold.same(one)]
