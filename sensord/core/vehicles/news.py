"""Stays that a new definition makes news: to whom that is to be said at once. Pure.

Whoever has been inside for longer than a new or changed rule allows is told of as the rule comes into force, and to
that rule alone: the others have told of it, or will at their own marks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from sensord.core.batch import Batch, tick
from sensord.core.instant import HOUR
from sensord.core.stream import EVENT
from sensord.core.vehicles.tracker import Tracker
from sensord.core.vehicles.visit import Visit
from sensord.core.vehicles.visitrow import merged, pack_row

_STAYING = EVENT.words.index("staying")
_REST = (math.nan,) * 5


def news(tracker: Tracker, before: Tracker, at: int) -> Iterator[tuple[str, Batch]]:
    """Yield each rule with what is news to it under the definition that came into force at ``at`` (ns)."""
    found: dict[str, list[tuple[str, int, Visit]]] = {}
    for place, here in tracker.presence.compounds.items():
        marks = tracker.presence.marks[place]
        for token, visit in here.visits.items():
            if (visit.untold or visit).due - visit.entered_at in marks:  # else a stored one is said to all
                for rule in tracker.lengths.news(before.lengths, place, visit, at - visit.entered_at):
                    found.setdefault(rule, []).append((place, token, visit))
    for rule in sorted(found):
        masks = [visit.read.mask for _, _, visit in found[rule]]
        yield (
            rule,
            merged(tick(at), bytearray().join(_row(tracker, *one, at) for one in found[rule]), masks, tracker.parking),
        )


def _row(tracker: Tracker, place: str, token: int, visit: Visit, at: int) -> bytes:
    """What is said of a visit."""
    here, read = tracker.presence.compounds[place], visit.read
    vehicle = read.direction, read.sort, read.province, read.energy, read.listed, visit.certainty
    stay = (at - visit.entered_at) / HOUR
    number = tracker.places.device_index[read.device]
    return pack_row(0, at, at, token, read.received_at, stay, *_REST, number, *here.amounts, _STAYING, *vehicle)
