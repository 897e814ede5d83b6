"""Vehicles counted by hand: what is to be said of a count before it is taken, and who has to know of it. Pure.

It is refused where nobody counts who is inside, where the number is most likely a slip of the pen, and when it is not
of now: one that has waited, as a message does at the broker while the daemon is down, would be taken for what is.
"""

from __future__ import annotations

from sensord.core.batch import Batch
from sensord.core.cases.verdict import Answered, Verdict, accepted, refused
from sensord.core.instant import MINUTE, SECOND, format_duration
from sensord.core.place import PlaceKind
from sensord.core.record import Action
from sensord.core.rules.engine import Engine
from sensord.core.vehicles.byhand import ByHand, cameras, reading
from sensord.core.vehicles.presence import MOST_INSIDE
from sensord.core.vehicles.spaces import Spaces
from sensord.core.vehicles.tracker import Tracker

NOW = 2 * MINUTE
"""A count and its arrival are no farther apart than this (ns): what passed in between is not in it."""
TIMES = 10
"""Of its parking spaces, no compound is believed to hold more than so many times."""


def weighed(action: Action, at: int, tracker: Tracker) -> Answered:
    """Say whether a count that came ``at`` then (ns) can be taken, and what it corrects, or why not."""
    untimely = _untimely(action, at)
    if untimely is not None:
        return untimely
    place = tracker.places.by_id.get(action.case)
    if place is None or place.kind is not PlaceKind.COMPOUND:
        return refused(Verdict.UNKNOWN_COMPOUND, name=action.case)
    if not tracker.on:
        return refused(Verdict.NOT_FOLLOWED)
    if not cameras(tracker.places, place.id):
        return refused(Verdict.NO_CAMERA, name=place.id)
    most = TIMES * place.parking if place.parking else MOST_INSIDE
    if action.vehicles < 0:
        return refused(Verdict.COUNT_BELOW_ZERO)
    if action.vehicles > most:
        return refused(Verdict.COUNT_TOO_LARGE, name=place.id, most=most)
    here = tracker.presence.compounds[place.id]
    return accepted(Verdict.COUNTED, most=action.vehicles, name=f"{here.inside} ±{here.unsure}")


def _untimely(action: Action, at: int) -> Answered | None:
    """Why a count says nothing of now, if it does not."""
    apart = format_duration(abs(at - action.at) // SECOND * SECOND)
    if not action.at:
        return refused(Verdict.COUNT_WITHOUT_TIME)
    if at - action.at > NOW:
        return refused(Verdict.COUNT_TOO_OLD, name=apart)
    return refused(Verdict.COUNT_TO_COME, name=apart) if action.at - at > NOW else None


def taken(action: Action, at: int, tracker: Tracker, spaces: Spaces, engine: Engine) -> tuple[ByHand, Batch]:
    """Let everybody go by a count that is accepted; returns what is written down of it, and what rules hear."""
    compound, here = action.case, tracker.presence.compounds[action.case]
    by_hand = ByHand(at, compound, here.inside, action.vehicles)
    here.count(action.vehicles, at)
    spaces.count(compound, at)
    engine.count(compound, at)
    return by_hand, reading(tracker, compound, at)
