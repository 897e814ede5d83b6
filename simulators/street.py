"""A simulated street with known truth: the messages of all its sensors in order of time, the same for the same seed.

Each device counts its messages (``seq``) since its last start (``boot``). ``boot`` begins at the start's Unix
second, so that a simulation which is run again is not taken for a repetition of the first. A silent device has
lost its power: it sends nothing, and comes back with the next ``boot``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from itertools import takewhile
from typing import NamedTuple

import msgspec

from sensord.core.definition import Definition
from sensord.core.instant import DAY, MILLISECOND, SECOND
from sensord.core.intake.topic import TopicTemplate
from sensord.core.place import Device, PlaceKind, Places
from sensord.core.record import Record, RecordKind
from sensord.core.stream import Stream
from sensord.recordings.faults import Injector
from simulators.scenario import Scenario, Silence
from simulators.sensors import World, density, observe
from simulators.traffic import Faults, Traffic

_STEP = 100 * MILLISECOND
"""The resolution of ``Incident.crossing``."""


class Message(NamedTuple):
    """One message as its device sends it at ``at`` (ns)."""

    at: int
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that truly happens in ``place``, from ``start`` to ``end`` (ns).

    ``kind`` is ``crowd`` (with its ``peak`` in people/m2), ``silence`` (of ``device``) or ``key_area_vehicle``.
    ``grid`` is the responsible residential grid.
    """

    kind: str
    place: str
    grid: str
    start: int
    end: int
    device: str = ""
    peak: float = 0.0


class Street:
    """A scenario in a street, beginning at ``start_ns``; ``duration`` (ns) replaces the scenario's own."""

    def __init__(self, definition: Definition, scenario: Scenario, start_ns: int, duration: int | None = None) -> None:
        self.places = Places(definition.places, definition.devices)
        self.start = start_ns // MILLISECOND * MILLISECOND
        self.end = self.start + (scenario.duration if duration is None else duration)
        self.scenario = scenario
        self.world = World(definition, self.places, scenario, self.start)
        self._template = TopicTemplate(definition.topics)

    def messages(self, only: Collection[str] | None = None) -> Iterator[Message]:
        """Yield every message from start to end (exclusive) in order of arrival; the second call yields the same.

        With ``only`` (device ids) the others say nothing.
        """
        speaking = [
            self.speak(device)
            for device in self.places.devices
            if device.codec == "native" and (only is None or device.id in only)
        ]
        speaking.append(iter(self.driving(only)))
        whole = merge(*speaking, key=lambda message: message.at)
        if not self.scenario.faults:
            yield from whole
            return
        injector = Injector(self.scenario.faults, self.scenario.seed, self.start)
        records = (Record(RecordKind.MESSAGE, one.at, one.topic, one.payload) for one in whole)
        for record in injector.apply(records):
            if record.received_at < self.end:
                yield Message(record.received_at, record.topic, record.payload)

    @cached_property
    def traffic(self) -> Traffic | None:
        """The vehicles that live in the street, from the midnight before its start; None when the scenario has none."""
        asked = self.scenario.traffic
        if asked is None:
            return None
        midnight = (self.start + self.world.offset) // DAY * DAY - self.world.offset
        faults = Faults(asked.misread, missed=asked.missed, again=asked.again, tailgating=asked.tailgating)
        days = -(-(self.end - midnight) // DAY)
        return Traffic(self.world.definition, midnight, days, asked.vehicles, faults=faults, seed=self.scenario.seed)

    @cached_property
    def _driving(self) -> list[Message]:
        records = self.traffic.records() if self.traffic is not None else ()
        return [
            Message(record.received_at, record.topic, record.payload)
            for record in records
            if record.payload and self.start <= record.received_at < self.end
        ]

    def driving(self, only: Collection[str] | None = None) -> list[Message]:
        """What cameras send of the vehicles that live in the street, in order of arrival."""
        if only is None:
            return self._driving
        return [message for message in self._driving if message.topic.rpartition("/")[2] in only]

    def speak(self, device: Device) -> Iterator[Message]:
        """Yield what one device sends, in order of time."""
        silences = sorted(
            (silence for silence in self.scenario.silences if silence.device == device.id),
            key=lambda silence: silence.start,
        )
        compound = self.places.above(device.place, PlaceKind.COMPOUND) or device.place
        # One clock stamps what a camera sees of the street's vehicles, and its signs of life.
        skew = self.traffic.skew(device.id) if self.traffic is not None and device.stream is Stream.PLATE else 0
        boot, seq = self._boot(self.start, silences), 0
        for seen in takewhile(lambda observation: observation.at < self.end, observe(device, self.world)):
            since = seen.at - self.start
            if any(silence.start <= since < silence.end for silence in silences):
                continue
            if (now := self._boot(seen.at, silences)) != boot:
                boot, seq = now, 0
            if skew and seen.kind == Stream.STATUS.word:
                seen.body["at"] = (seen.at + skew) // MILLISECOND
            topic = self._template.fill(compound=compound, kind=seen.kind, device=device.id)
            payload = msgspec.json.encode({"device": device.id, "boot": boot, "seq": seq, **seen.body})
            seq += 1
            yield Message(seen.at, topic, payload)

    def _boot(self, at: int, silences: list[Silence]) -> int:
        return self.start // SECOND + sum(silence.end <= at - self.start for silence in silences)

    def density(self, lane: str, at: int) -> float:
        """Return the expected people/m2 in a lane at an instant: the truth that the counts scatter around."""
        return density(lane, at, self.world)

    def crossing(self, incident: Incident, threshold: float) -> int | None:
        """Return the first instant at which an incident's lane truly holds ``threshold`` people/m2, or None."""
        for at in range(incident.start, incident.end, _STEP):
            if self.density(incident.place, at) >= threshold:
                return at
        return None

    def truth(self) -> list[Incident]:
        """Return what truly happens between start and end, by start."""
        found = [*self._crowds(), *self._silences(), *self._vehicles()]
        return sorted(
            (incident for incident in found if incident.start < self.end),
            key=lambda incident: (incident.start, incident.place),
        )

    def _grid(self, place: str) -> str:
        return self.places.above(place, PlaceKind.GRID) or ""

    def _crowds(self) -> Iterator[Incident]:
        for crowd in self.scenario.crowds:
            begin, end = self.start + crowd.start, min(self.start + crowd.end, self.end)
            yield Incident("crowd", crowd.lane, self._grid(crowd.lane), begin, end, peak=crowd.peak)

    def _silences(self) -> Iterator[Incident]:
        devices = {device.id: device for device in self.places.devices}
        for silence in self.scenario.silences:
            place = devices[silence.device].place
            begin, end = self.start + silence.start, min(self.start + silence.end, self.end)
            yield Incident("silence", place, self._grid(place), begin, end, device=silence.device)

    def _vehicles(self) -> Iterator[Incident]:
        for vehicle in self.scenario.vehicles:
            at = self.start + vehicle.at // MILLISECOND * MILLISECOND
            yield Incident("key_area_vehicle", vehicle.gate, self._grid(vehicle.gate), at, at, device=vehicle.device)
