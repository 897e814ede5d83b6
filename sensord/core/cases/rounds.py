"""What people have said of a case in the present round, and what becomes of it.

A round begins when the case is opened, when the alarm comes back, and when the case is given back: from then on
everything can be said anew. A report that the sensors deny is taken back, and with it the progress that it stood for;
what was said before it still holds. The ledger's first times are never taken back.
"""

from __future__ import annotations

from collections.abc import Iterable

from sensord.core.cases.case import Answer, Case
from sensord.core.cases.told import Told
from sensord.core.instant import MINUTE
from sensord.core.level import Level
from sensord.core.record import Verb

REPEATED = 5 * MINUTE
"""So soon after it a report or a call for help is the same one, tapped or delivered twice; later it is another."""
PROGRESS = {
    Verb.ACKNOWLEDGE: Answer.ACKNOWLEDGED,
    Verb.ON_THE_WAY: Answer.ON_THE_WAY,
    Verb.ON_THE_SCENE: Answer.ON_THE_SCENE,
    Verb.NEED_HELP: Answer.ON_THE_SCENE,
    Verb.DISPERSED: Answer.DISPERSED,
    Verb.FALSE_ALARM: Answer.DISPERSED,
}
"""How far people have come who say so."""
_REPORTS = (Verb.DISPERSED, Verb.FALSE_ALARM)
_THERE = (Verb.ON_THE_SCENE, Verb.NEED_HELP, Verb.DISPERSED)
"""Who says one of these is at the place; a false alarm may be called from anywhere."""
_NEWS_AGAIN = (*_REPORTS, Verb.NEED_HELP)
_FIELDS = {Verb.ON_THE_WAY: "on_the_way_at", Verb.NEED_HELP: "help_at", **dict.fromkeys(_REPORTS, "dispersed_at")}


def begin(case: Case) -> None:
    """Begin a new round: nothing has been said in it, and nobody's report stands."""
    case.round += 1
    case.answer, case.claimed, case.false_alarm = Answer.NONE, False, False
    case.passed_over, case.asked_back, case.begun = [], [], Level.NONE
    for told in case.told.values():
        told.said, told.level = {}, Level.NONE


def refute(case: Case) -> None:
    """Take back the reports that the sensors deny: people are as far as they were without them."""
    case.claimed, case.false_alarm, case.reported_at, case.reported_by = False, False, 0, ""
    for told in case.told.values():
        told.said = {verb: at for verb, at in told.said.items() if verb not in _REPORTS}
    _recount(case)


def lapse(case: Case, people: Iterable[str]) -> None:
    """Take back what these have said: people are as far as they were without it. They may say it anew."""
    for person in people:
        case.told[person].said = {}
    _recount(case)


def furthest(case: Case, people: Iterable[str]) -> tuple[str, str, int] | None:
    """Who of these has come furthest in the round, with the answer (a verb) and its instant; the first of several."""
    said = ((person, verb, at) for person in people for verb, at in case.told[person].said.items())
    return max(said, key=lambda one: (PROGRESS[Verb(one[1])], -one[2], one[0]), default=None)


def _recount(case: Case) -> None:
    said = {Verb(verb) for told in case.told.values() for verb in told.said}
    case.answer = max((PROGRESS[verb] for verb in said), default=Answer.NONE)


def hear(case: Case, told: Told, verb: Verb, at: int) -> bool:
    """Write an answer (at ``at``, ns) into its person's line; False when it says nothing new."""
    if _said_before(told, verb, at):
        return False
    told.said[verb.value], told.heard, told.unanswered = at, case.round, []
    told.acknowledged_at = told.acknowledged_at or at
    for field in (_FIELDS.get(verb, ""), "on_the_scene_at" if verb in _THERE else ""):
        if field and not getattr(told, field):
            setattr(told, field, at)
    return True


def is_there(verb: Verb) -> bool:
    """Whether who says so is, or was, at the place."""
    return verb in _THERE


def _said_before(told: Told, verb: Verb, at: int) -> bool:
    if verb in _NEWS_AGAIN:
        return verb in told.said and at - told.said[verb] < REPEATED
    if verb is Verb.ACKNOWLEDGE:
        return bool(told.said)
    return verb in told.said or (verb is Verb.ON_THE_SCENE and any(one in told.said for one in _THERE))
