"""The tracker's state as bytes: open passages, visits, and what is known of vehicles. No plate.

The vehicles that are only known (pseudonym and hour of the last passage) are most of it: twelve bytes each.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from sensord.core.vehicles.passage import Passage
from sensord.core.vehicles.visit import Ghost, Suspicion, Trace, Visit
from sensord.errors import SnapshotError

if TYPE_CHECKING:
    from sensord.core.vehicles.tracker import Tracker


Due = tuple[int, str, int]
"""What time brings, in order: (instant, gate, direction) of a doubtful passage that settles."""


class _Inside(msgspec.Struct, array_like=True):
    """One compound's state."""

    place: str
    visits: list[tuple[int, Visit]]
    anonymous: int
    missed: int
    carried: list[int] = []
    lacking: list[int] = []


class _State(msgspec.Struct, array_like=True):
    """Everything that later readings depend on. ``known`` and ``hours`` are raw int64 and int32 columns."""

    clock: int
    inward: dict[str, list[Passage]]
    outward: dict[str, list[Passage]]
    compounds: list[_Inside]
    traces: list[tuple[int, Trace]]
    ghosts: list[tuple[str, int, Ghost]]
    suspicions: list[tuple[int, Suspicion]]
    known: bytes
    hours: bytes
    homes: dict[int, int] = {}


def save(tracker: Tracker) -> bytes:
    """Return the state as bytes: the same state gives the same bytes."""
    presence = tracker.presence
    state = _State(
        tracker.stays.edge,
        *tracker.passages.open,
        [
            _Inside(place, list(here.visits.items()), here.anonymous, here.missed, here.carried, here.lacking)
            for place, here in presence.compounds.items()
        ],
        list(presence.traces.items()),
        [(place, token, ghost) for (place, token), ghost in presence.clones.ghosts.items()],
        list(presence.clones.suspicions.items()),
        np.fromiter(presence.known, np.int64, len(presence.known)).tobytes(),
        np.fromiter(presence.known.values(), np.int32, len(presence.known)).tobytes(),
        presence.homes,
    )
    return msgspec.msgpack.encode(state)


def load(tracker: Tracker, saved: bytes) -> None:
    """Take the state back; gates, compounds and cameras that exist no more are left out.

    Raises ``SnapshotError`` when the bytes are not a tracker's state.
    """
    try:
        state = msgspec.msgpack.decode(saved, type=_State)
    except msgspec.DecodeError as error:
        raise SnapshotError(f"the state of vehicles cannot be read: {error}") from error
    presence = tracker.presence
    tracker.stays.begin(state.clock)
    for direction, gates in enumerate((state.inward, state.outward)):
        tracker.passages.open[direction].update(
            {gate: passages for gate, passages in gates.items() if gate in tracker.gates}
        )
    for inside in state.compounds:
        if (here := presence.compounds.get(inside.place)) is None:
            continue
        here.anonymous, here.carried, here.lacking = inside.anonymous, inside.carried, inside.lacking
        here.lack(inside.missed)
        for token, visit in inside.visits:
            here.add(token, visit)
    for token, trace in state.traces:
        trace.inside = trace.inside if trace.inside in presence.compounds else ""
        presence.traces[token] = trace
    for place, token, ghost in state.ghosts:
        if place in presence.compounds:
            presence.clones.keep(place, token, ghost)
    presence.clones.suspicions = dict(state.suspicions)
    hours = np.frombuffer(state.hours, np.int32).tolist()
    shared = {hour: hour for hour in hours}
    tokens = np.frombuffer(state.known, np.int64).tolist()
    presence.known = {token: shared[hour] for token, hour in zip(tokens, hours, strict=True)}
    presence.homes = dict(state.homes)
    schedule(tracker)


def schedule(tracker: Tracker) -> None:
    """Find anew, from the state alone, what time will bring."""
    tracker.stays.begin(tracker.stays.edge, tracker.presence.dues())
    tracker.settling = [
        (passage.due, gate, direction)
        for direction, gates in enumerate(tracker.passages.open)
        for gate, passages in gates.items()
        for passage in passages
        if passage.due
    ]
    heapq.heapify(tracker.settling)
    tracker.look_ahead()
