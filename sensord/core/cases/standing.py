"""What can be said of a case's alerts that stand, so that a case whose level falls speaks of these, and of no other.

Of each alert ``Case.standing`` holds the latest subject at each level: of a watched vehicle and a stranger under one
alert the stranger is what is left to say when the watched one's level has run out. With ``Case.told_of``, which holds
how far each was told, that is also what people know of (``heard``).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sensord.core.cases.case import Case, Subject
from sensord.core.level import Level


def stand(case: Case, one: Subject) -> None:
    """An alert was raised, rose, or goes on with something else."""
    case.standing = [*(other for other in case.standing if (other.alert, other.level) != (one.alert, one.level)), one]


def speak_of(case: Case, one: Subject) -> None:
    """Make it what messages about the case say from now on."""
    for field, value in msgspec.structs.asdict(one).items():
        if field != "level":
            setattr(case, field, value)


def fall(case: Case, one: Subject) -> Subject:
    """An alert fell to the level of ``one``; returns what can be said of it now.

    A fall by time alone has no value of its own: what was said at that level holds, if anything was.
    """
    left = [other for other in case.standing if other.alert != one.alert or other.level <= one.level]
    said = next((other for other in left if (other.alert, other.level) == (one.alert, one.level)), None)
    case.standing = left
    now = one if said is None or one.value is not None else said
    stand(case, now)
    return now


def leave(case: Case, alert: str) -> None:
    """An alert is over."""
    case.standing = [other for other in case.standing if other.alert != alert]


def highest(case: Case, at: int) -> Subject:
    """The latest subject at the level of the case; of an alert of which no more is known, its rule and key."""
    found = [one for one in case.standing if one.level is case.level]
    if found:
        return max(found, key=lambda one: one.subject_at)
    return _bare(min(alert for alert, level in case.alerts.items() if level is case.level), case.level, at)


def heard(case: Case, at: int) -> Iterator[Subject]:
    """Of each alert that people were told of, and that goes on: what stands of it, no higher than they were told."""
    for alert, stands in case.alerts.items():
        told, ended_at = case.told_of.get(alert, (Level.NONE, 0))
        level = min(stands, told)
        if level and not ended_at:
            known = (one for one in case.standing if (one.alert, one.level) == (alert, level))
            yield next(known, _bare(alert, level, at))


def _bare(alert: str, level: Level, at: int) -> Subject:
    rule, _, key = alert.partition(":")
    return Subject(level, rule, key, at)
