"""Where the nearest free parking spaces are, for messages that say so (``{spaces}``). Pure; part of every snapshot.

A rule on ``visit`` counts them as a compound's parking spaces less the vehicles inside; a rule on ``level`` takes what
its own gauges show. What a compound has is as of just before what changed the alert, an instant or a reading (others of
the same instant may stand before it), so that it does not matter how the journal is cut. Nobody is sent on a guess: a
gauge that is silent is not named, nor is a compound that has a gate without a camera, or of which one

- camera is silent: what passes it is missing in the number;
- camera was silent within ``Tracking.believed``: who left then may still be counted, who came is not. Visits without an
  end are believed for so long, and most vehicles have shown by then where they are;
- gate has been seen for less than ``Tracking.remember``: whoever stood there before, and has not moved, is not counted.
  No vehicle is believed to be inside for longer, so after that the number lacks nobody that it would hold otherwise.

Of what was before somebody has counted by hand nothing is in doubt.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np

from sensord.core.alert import Free, Transition
from sensord.core.batch import DERIVED, Batch, Int64, by_number
from sensord.core.definition import Definition
from sensord.core.place import Device, PlaceKind, Places
from sensord.core.rules.keys import KeyTable
from sensord.core.stream import Stream
from sensord.decoders import msgpack_decoder

NEAREST = 3
"""So many compounds are named."""
ENOUGH = 0.05
"""Of its parking spaces, more than this share must be free in a compound that people are sent to."""


class _State(msgspec.Struct, array_like=True):
    """The vehicles inside by compound, what gauges showed last, and when cameras were heard.

    ``gauges`` holds (value, arrival in ns) by device; ``heard`` the last arrival and ``newest`` the newest event time
    of each camera, ``steady`` since when (event time) it has not been silent; ``begun`` since when each gate is seen.
    ``counted`` is when somebody counted a compound's vehicles last.
    """

    inside: dict[str, float] = {}
    gauges: dict[str, tuple[float, int]] = {}
    heard: dict[str, int] = {}
    newest: dict[str, int] = {}
    steady: dict[str, int] = {}
    begun: dict[str, int] = {}
    counted: dict[str, int] = {}

    @property
    def times(self) -> tuple[dict[str, int], ...]:
        """Everything that is known of cameras."""
        return self.heard, self.newest, self.steady, self.begun

    def hear(self, camera: Device, event_at: Int64, arrived: int, *, gaps: bool) -> None:
        """Take a camera's messages, of which the last ``arrived`` then; ``gaps``: it may have been silent before one.

        Each is held against the newest one before it. Where none follows the one just before it too late, none does.
        """
        if gaps:
            newest = np.maximum.accumulate(np.append(self.newest.get(camera.id, 0), event_at))
            silent = np.flatnonzero(event_at - newest[:-1] > camera.deadline)
            if len(silent):
                self.steady[camera.id] = int(event_at[silent[-1]])
        self.begun.setdefault(camera.place, int(event_at[0]))
        self.newest[camera.id] = max(self.newest.get(camera.id, 0), int(event_at.max()))
        self.heard[camera.id] = arrived


_STATE = msgpack_decoder(_State)


class Spaces:
    """``beside`` says where there is room; ``observe`` takes the batch into account afterwards."""

    def __init__(self, definition: Definition, places: Places) -> None:
        asking = [rule for rule in definition.rules if any("{spaces}" in text for text in rule.message.values())]
        self._streams = {rule.id: rule.stream for rule in asking}
        self._places, self._tracking, self._state = places, definition.tracking, _State()
        self._compound = [places.above(device.place, PlaceKind.COMPOUND) or "" for device in places.devices]
        self._gauge = np.zeros(len(places.devices), np.bool_)
        for rule in asking:
            if rule.stream is Stream.LEVEL:
                self._gauge |= KeyTable(rule, places).of_device >= 0
        self._camera = np.array([device.stream is Stream.PLATE for device in places.devices], np.bool_)
        self._deadline = np.array([device.deadline for device in places.devices], np.int64)
        self._parking = {
            place.id: place.parking for place in places.places if place.kind is PlaceKind.COMPOUND and place.parking
        }
        self._watched = self._seen_whole()
        self._reached: tuple[Batch | None, int, _State] = None, 0, self._state

    def _seen_whole(self) -> set[str]:
        """The compounds that have cameras, and one at every gate."""
        cameras = np.flatnonzero(self._camera).tolist()
        gates = {place.id for place in self._places.places if place.kind is PlaceKind.GATE}
        open_gates = gates - {self._places.devices[number].place for number in cameras}
        open_compounds = {self._places.above(gate, PlaceKind.COMPOUND) for gate in open_gates}
        return {self._compound[number] for number in cameras} - open_compounds

    def beside(self, batch: Batch, transition: Transition, position: int) -> Transition:
        """Return the transition with the nearest free spaces, if its rule asks for them.

        ``batch`` brought it, after its first ``position`` readings.
        """
        stream = self._streams.get(transition.rule)
        if stream is None or not transition.level:
            return transition
        before = self._until(batch, position)
        here = self._places.above(transition.place, PlaceKind.COMPOUND) or transition.place
        free = self._inside(before, transition.at) if stream is Stream.VISIT else self._shown(before, transition.at)
        found = [(place, count) for place, count in free if place != here]
        found.sort(key=lambda one: (self._places.nearness(here, one[0]), -one[1], one[0]))
        return msgspec.structs.replace(transition, spaces=tuple(Free(*one) for one in found[:NEAREST]))

    def _inside(self, state: _State, at: int) -> Iterator[tuple[str, int]]:
        known = self._watched - self._doubted(state, at)
        for place, inside in state.inside.items():
            parking = self._parking.get(place, 0)
            if place in known and parking - inside > ENOUGH * parking:
                yield place, int(parking - inside)

    def _doubted(self, state: _State, at: int) -> set[str]:
        """The compounds of which nobody knows for sure, just before ``at``, how many vehicles are inside."""
        numbers = np.flatnonzero(self._camera).tolist()
        return {self._compound[number] for number in numbers if self._doubts(state, self._places.devices[number], at)}

    def _doubts(self, state: _State, camera: Device, at: int) -> bool:
        """Whether it is a camera for which its compound's number is in doubt."""
        counted = state.counted.get(self._places.above(camera.place, PlaceKind.COMPOUND) or "", -1)
        steady, begun = state.steady.get(camera.id, at), state.begun.get(camera.place, at)
        silent = at - state.heard.get(camera.id, 0) >= camera.deadline
        lately = at - steady < self._tracking.believed and steady > counted
        new = at - begun < self._tracking.remember and begun > counted
        return silent or lately or new

    def _shown(self, state: _State, at: int) -> Iterator[tuple[str, int]]:
        shown: dict[str, float] = {}
        for name, (value, received_at) in state.gauges.items():
            number = self._places.device_index.get(name)
            if number is None or at - received_at > self._places.devices[number].deadline:
                continue
            place = self._compound[number]
            shown[place] = shown.get(place, 0.0) + value
        for place, value in shown.items():
            if place and value >= 1 and value > ENOUGH * self._parking.get(place, 0):
                yield place, int(value)

    def observe(self, batch: Batch) -> None:
        """Take a batch into account; when cameras were heard also while no rule asks, for one may from tomorrow on."""
        if self._streams or self._camera.any():
            self._state = self._until(batch, len(batch))
        self._reached = None, 0, self._state

    def count(self, compound: str, at: int) -> None:
        """Somebody has counted the vehicles in a compound."""
        self._state.counted = self._state.counted | {compound: at}

    def _until(self, batch: Batch, stop: int) -> _State:
        """What is known after the first ``stop`` readings of a batch.

        Whoever asks about a batch mostly asks of one position after another, so each time only the rest is looked at.
        """
        known, start, state = self._reached
        if known is not batch or start > stop:
            start, state = 0, self._state
        if start < stop:
            state = self._after(state, batch.cut(start, stop, batch.now))
        self._reached = batch, stop, state
        return state

    def _after(self, before: _State, batch: Batch) -> _State:
        """What is known after a batch."""
        after = _State(dict(before.inside), dict(before.gauges), *map(dict, before.times))
        after.counted = before.counted
        stream, device = batch.stream, batch.device
        if (counted := batch.fields.get("inside")) is not None:
            rows = np.flatnonzero(stream == Stream.VISIT)
            latest = np.full(len(self._compound), -1)
            latest[device[rows]] = rows  # of several, the last one stays
            rows = np.sort(latest[latest >= 0])
            compounds = map(self._compound.__getitem__, device[rows].tolist())
            after.inside.update(zip(compounds, counted[rows].tolist(), strict=True))
        if (shown := batch.fields.get("value")) is not None:
            rows = np.flatnonzero((stream == Stream.LEVEL) & self._gauge[device])
            values = zip(shown[rows].tolist(), batch.received_at[rows].tolist(), strict=True)
            for number, value in zip(device[rows].tolist(), values, strict=True):
                if not math.isnan(value[0]):
                    after.gauges[self._places.devices[number].id] = value
        rows = np.flatnonzero(self._camera[device] & (batch.flags & DERIVED == 0))
        if len(rows):
            self._hear(after, batch, rows[by_number(device[rows])])
        return after

    def _hear(self, state: _State, batch: Batch, rows: Int64) -> None:
        """Take cameras' messages, sorted by camera, within a camera by arrival."""
        device, event_at = batch.device[rows], batch.event_at[rows]
        begins = np.flatnonzero(np.diff(device, prepend=-1))
        cameras = [self._places.devices[number] for number in device[begins].tolist()]
        before = np.roll(event_at, 1)
        before[begins] = [state.newest.get(camera.id, 0) for camera in cameras]
        gaps = np.logical_or.reduceat(event_at - before > self._deadline[device], begins).tolist()
        stops, arrival = np.append(begins[1:], len(rows)), batch.received_at[rows]
        for one in np.argsort(rows[begins]).tolist():  # a gate is seen since its first message
            start, stop = begins[one], stops[one]
            state.hear(cameras[one], event_at[start:stop], int(arrival[stop - 1]), gaps=gaps[one])

    def save(self) -> bytes:
        """Return the state as bytes."""
        return msgspec.msgpack.encode(self._state, order="deterministic")

    def restore(self, state: bytes) -> None:
        """Take the state back; compounds and gauges that exist no more are never named."""
        self._state = _STATE.decode(state)

    def carry_over(self, old: Spaces, *, anew: bool) -> None:
        """Take over the state of the definition before. ``anew``: nobody is known to be inside; gauges show on."""
        self._state = _State(gauges=old._state.gauges) if anew else old._state
