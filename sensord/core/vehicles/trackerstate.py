"""The tracker's state as bytes: open passages, visits, and what is known of vehicles. No plate.

The vehicles that are only known (pseudonym and hour of the last passage) are most of it: twelve bytes each.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec.structs import replace

from sensord.core.place import Places
from sensord.core.vehicles.moves import Moves, compound_of
from sensord.core.vehicles.passage import Before, Passage, Read
from sensord.core.vehicles.presence import Presence
from sensord.core.vehicles.visit import Ghost, Suspicion, Trace, Visit
from sensord.decoders import msgpack_decoder
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
    counted: int = 0
    counted_at: int = 0
    fresh: bool = False


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
    looked_at: int = 0


_STATE = msgpack_decoder(_State)


def save(tracker: Tracker) -> bytes:
    """Return the state as bytes: the same state gives the same bytes."""
    presence = tracker.presence
    state = _State(
        tracker.stays.edge,
        *tracker.passages.open,
        [
            _Inside(
                *(place, list(here.visits.items()), here.anonymous, here.missed, here.carried, here.lacking),
                *(here.counted, here.counted_at, here.fresh),
            )
            for place, here in presence.compounds.items()
        ],
        list(presence.traces.items()),
        [(place, token, ghost) for (place, token), ghost in presence.clones.ghosts.items()],
        list(presence.clones.suspicions.items()),
        np.fromiter(presence.known, np.int64, len(presence.known)).tobytes(),
        np.fromiter(presence.known.values(), np.int32, len(presence.known)).tobytes(),
        presence.homes,
        tracker.lookout.looked_at,
    )
    return msgspec.msgpack.encode(state)


def load(tracker: Tracker, saved: bytes, before: Places | None = None) -> None:
    """Take the state back; gates, compounds and cameras that exist no more are left out.

    ``before`` are the places and devices of the definition under which it was saved, where that was another one.
    Visits and traces keep their compound then. Raises ``SnapshotError`` when the bytes are not a tracker's state.
    """
    try:
        state = _STATE.decode(saved)
    except msgspec.DecodeError as error:
        raise SnapshotError(f"the state of vehicles cannot be read: {error}") from error
    presence, moves = tracker.presence, Moves(before or tracker.places, tracker.places)
    tracker.stays.begin(state.clock)
    tracker.lookout.begin(state.looked_at or state.clock)  # earlier versions did not look
    for lanes, gates in zip(tracker.passages.open, (state.inward, state.outward), strict=True):
        _open(tracker, lanes, gates, moves)
    for inside in state.compounds:
        if (here := presence.compounds.get(inside.place)) is None:
            continue
        here.anonymous, here.carried, here.lacking = inside.anonymous, inside.carried, inside.lacking
        here.counted, here.counted_at, here.fresh = inside.counted, inside.counted_at, inside.fresh
        here.lack(inside.missed)
        for token, visit in inside.visits:
            visit.read = _seen_by(visit.read, inside.place, moves)
            here.add(token, visit)
    for token, trace in state.traces:
        _locate(trace, presence, moves)
        presence.traces[token] = trace
    for place, token, ghost in state.ghosts:
        if place in presence.compounds:
            ghost.visit.read = _seen_by(ghost.visit.read, place, moves)
            presence.clones.keep(place, token, ghost)
    presence.clones.suspicions = dict(state.suspicions)
    hours = np.frombuffer(state.hours, np.int32).tolist()
    shared = {hour: hour for hour in hours}
    tokens = np.frombuffer(state.known, np.int64).tolist()
    presence.known = {token: shared[hour] for token, hour in zip(tokens, hours, strict=True)}
    presence.homes = dict(state.homes)
    schedule(tracker)


def _open(tracker: Tracker, lanes: dict[str, list[Passage]], saved: dict[str, list[Passage]], moves: Moves) -> None:
    """Open the passages of one direction again, each at the gate where it is now."""
    for old, passages in saved.items():
        gate = moves.gate(old)
        if gate not in tracker.gates:
            continue
        for passage in passages:
            passage.kept = [_seen_by(read, compound_of(tracker.places, gate), moves) for read in passage.kept]
            if passage.before is not None:
                _locate(passage.before, tracker.presence, moves)
        lanes.setdefault(gate, []).extend(passages)


def _seen_by(read: Read, compound: str, moves: Moves) -> Read:
    """The reading, as one of a camera that stands in its compound."""
    camera = moves.camera(compound, read.device)
    return read if camera == read.device else replace(read, device=camera)


def _locate(known: Trace | Before, presence: Presence, moves: Moves) -> None:
    """Let a vehicle have been seen where that place is now; it is in no compound that is gone."""
    if known.inside not in presence.compounds:
        known.inside = ""
    known.gate = moves.gate(known.gate) or known.inside


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
