"""What one device sends: an endless sequence of observations in order of time. Pure: same seed, same sequence.

Every device has dice of its own, made from the scenario's seed and its id, so adding a device changes no other.
Instants are whole milliseconds (in ns), because that is what devices stamp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from itertools import accumulate
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.random import Generator, default_rng

from sensord.core.batch import Float64, Int64
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, MILLISECOND, MINUTE, SECOND, to_datetime, utc_offset
from sensord.core.place import Device, Place, PlaceKind, Places
from sensord.core.stream import Stream
from simulators.gathering import Crowd
from simulators.plates import make_plate
from simulators.rhythm import INWARD, PEOPLE, VEHICLES, at_hour, at_hours, is_weekend
from simulators.scenario import Scenario, VehicleWave, gate_cameras

_UNREADABLE = 0.02
"""Share of plates that a camera cannot read well; their confidence is below one half."""
_NO_PLATE = 0.01
_CONFUSED = ("0DQ", "1LT7", "2Z", "5S", "8B", "6G", "UVY", "MNW", "KX")
"""Characters that cameras take for one another (I and O are on no plate)."""
_RESTLESS = 0.02
"""Share of the people in a region who leave it, and are replaced, in a second."""


class Observation(NamedTuple):
    """Something that a device has to say: when, as which kind of message, and what."""

    at: int
    kind: str
    body: dict[str, object]


class Passage(NamedTuple):
    """A vehicle at a gate. ``sort`` is the class of its plate; a ``planned`` one stands in the scenario."""

    at: int
    inward: bool
    sort: str
    planned: bool = False


@dataclass(frozen=True)
class World:
    """What every sensor needs to know; ``start`` is the scenario's first instant."""

    definition: Definition
    places: Places
    scenario: Scenario
    start: int

    @property
    def offset(self) -> int:
        """Local time minus UTC (ns)."""
        return utc_offset(self.definition.zone)

    @cached_property
    def crowds(self) -> dict[str, list[Crowd]]:
        """The scenario's crowds by lane."""
        found: dict[str, list[Crowd]] = {}
        for crowd in self.scenario.crowds:
            found.setdefault(crowd.lane, []).append(crowd)
        return found

    @cached_property
    def cameras(self) -> dict[str, list[Device]]:
        """The plate cameras by gate."""
        return gate_cameras(self.places)

    def dice(self, *words: str) -> Random:
        """Return dice that depend on the seed and the words alone."""
        return Random(f"{self.scenario.seed} {' '.join(words)}")

    def numbers(self, *words: str) -> Generator:
        """Return numpy's generator, seeded in the same way."""
        return default_rng(self.dice(*words).getrandbits(64))


def observe(device: Device, world: World) -> Iterator[Observation]:
    """Yield everything that a device observes, its signs of life included; endless, in order of time."""
    place = world.places.by_id[device.place]
    if device.stream is Stream.CROWD:
        return _crowd(device, world)
    if device.stream is Stream.PLATE:
        return merge(_camera(device, world), _heartbeats(device, world), key=lambda seen: seen.at)
    if device.stream is Stream.LEVEL:
        return _gauge(device, place, world)
    return _heartbeats(device, world)


def _phase(device: Device, world: World, period: int) -> int:
    """The instant at which a device first speaks."""
    return world.start + world.dice(device.id, "phase").randrange(0, max(period // MILLISECOND, 1)) * MILLISECOND


def _beats(device: Device, world: World, period: int) -> Iterator[int]:
    """Yield the instants of a device that speaks every ``period``, beginning at a phase of its own."""
    at = _phase(device, world, period)
    while True:
        yield at
        at += period


def _heartbeats(device: Device, world: World) -> Iterator[Observation]:
    """Yield signs of life once a minute, or once a period if that is shorter."""
    dice = world.dice(device.id, "status")
    running = dice.randrange(30 * 24 * 3600)
    for at in _beats(device, world, min(device.period, MINUTE)):
        body: dict[str, object] = {"at": at // MILLISECOND, "uptime": running + (at - world.start) // SECOND}
        yield Observation(at, "status", {**body, "signal": -55 - dice.randrange(20)})


# -- people ----------------------------------------------------------------------------------------------------------


def densities(lane: str, at: Int64, world: World) -> Float64:
    """Return the expected people/m2 in a lane at many instants: the hour's background plus the crowds, less rain."""
    scenario, offset = world.scenario, world.offset
    everyday = scenario.background.crowd_per_m2 * at_hours(PEOPLE, at, offset)
    everyday = np.where(is_weekend(at, offset), everyday * scenario.background.weekend, everyday)
    for crowd in world.crowds.get(lane, ()):
        everyday = everyday + crowd.densities(at - world.start)
    for rain in scenario.rains:
        wet = (at - world.start >= rain.start) & (at - world.start < rain.end)
        everyday = np.where(wet, everyday * rain.factor, everyday)
    return everyday


def density(lane: str, at: int, world: World) -> float:
    """As :func:`densities`, at one instant."""
    return float(densities(lane, np.array([at]), world)[0])


class Headcounts(NamedTuple):
    """What a head-counting sensor says, as columns of one length: instants (ns), and people."""

    at: Int64
    people: Int64
    entered: Int64
    left: Int64


class HeadCounter:
    """A head-counting sensor: Poisson around the expected density times the area, with a slowly wandering mood.

    ``enter`` and ``exit`` always add up: their difference is the change of ``count`` since the previous message.
    Stretches are always of the same number of beats, so it does not matter who asks.
    """

    BEATS = 64

    def __init__(self, device: Device, world: World) -> None:
        self._device, self._world = device, world
        self._numbers = world.numbers(device.id, "crowd")
        self._lane = device.place
        self._area = world.places.by_id[device.place].area_m2 or 50.0
        self._first = _phase(device, world, device.period)
        self._mood, self._before, self._turn = 0.0, -1, 0

    def next(self) -> Headcounts:
        """Return the next stretch of beats."""
        period = self._device.period
        at = self._first + (np.arange(self.BEATS, dtype=np.int64) + self._turn * self.BEATS) * period
        self._turn += 1
        noise = self._numbers.normal(0.0, 0.1, self.BEATS).tolist()
        moods = list(accumulate(noise, lambda mood, change: 0.9 * mood + change, initial=self._mood))[1:]
        self._mood = moods[-1]
        everyday = densities(self._lane, at, self._world)
        calm = self._world.scenario.background.crowd_per_m2 * at_hours(PEOPLE, at, self._world.offset)
        # The mood is about the everyday; a crowd that a scenario asks for comes as it says.
        expected = np.maximum(everyday + calm * (np.exp(moods) - 1.0), 0.0) * self._area
        count = self._numbers.poisson(expected)
        before = np.concatenate(([count[0] if self._before < 0 else self._before], count[:-1]))
        self._before = int(count[-1])
        passing = self._numbers.poisson(_RESTLESS * period / SECOND * np.minimum(count, 50))
        change = count - before
        return Headcounts(at, count, np.maximum(change, 0) + passing, np.maximum(-change, 0) + passing)


def _crowd(device: Device, world: World) -> Iterator[Observation]:
    """Yield head-counts one by one."""
    counter = HeadCounter(device, world)
    while True:
        stretch = counter.next()
        for at, count, entered, left in zip(*(column.tolist() for column in stretch), strict=True):
            yield Observation(at, "crowd", {"at": at // MILLISECOND, "count": count, "enter": entered, "exit": left})


# -- vehicles --------------------------------------------------------------------------------------------------------


def passages(camera: Device, world: World) -> Iterator[Passage]:
    """Yield the vehicles that a camera sees: a Poisson process that follows the day, and the scenario's own."""
    planned = (
        Passage(world.start + at // MILLISECOND * MILLISECOND, True, "key_area", True)
        for at in sorted(vehicle.at for vehicle in world.scenario.vehicles if vehicle.device == camera.id)
    )
    waves = [_wave(wave, world) for wave in world.scenario.waves if wave.device == camera.id]
    return merge(_traffic(camera, world), planned, *waves, key=lambda passage: passage.at)


def _wave(wave: VehicleWave, world: World) -> Iterator[Passage]:
    """Visitors who come beside the everyday: a Poisson process."""
    dice, at = world.dice(wave.device, f"wave {wave.start}"), world.start + wave.start
    while True:
        at += max(round(dice.expovariate(wave.per_hour) * HOUR / MILLISECOND), 1) * MILLISECOND
        if at >= world.start + wave.end:
            return
        yield Passage(at, True, "out_of_town")


def _traffic(camera: Device, world: World) -> Iterator[Passage]:
    """Thin a Poisson process of the day's highest rate (Lewis and Shedler's method)."""
    background, dice = world.scenario.background, world.dice(camera.id, "traffic")
    inward, outward = _view(camera, world)
    highest = background.passages_per_hour * max(VEHICLES)
    at = world.start
    while highest:
        at += max(round(dice.expovariate(highest) * HOUR / MILLISECOND), 1) * MILLISECOND
        busy = at_hour(VEHICLES, at, world.offset) / max(VEHICLES)
        drives_in = dice.random() < at_hour(INWARD, at, world.offset)
        draw = dice.random()
        if dice.random() < busy * (inward if drives_in else outward):
            key, town = background.key_area, background.key_area + background.out_of_town
            yield Passage(at, drives_in, "key_area" if draw < key else "out_of_town" if draw < town else "local")
            if background.tailgating and dice.random() < background.tailgating:
                at += dice.randrange(800, 2000) * MILLISECOND
                yield Passage(at, drives_in, "local")


def _view(camera: Device, world: World) -> tuple[float, float]:
    """Return the shares of its gate's vehicles that a camera sees: of those driving in, and of those driving out."""
    cameras = world.cameras[camera.place]
    if len(cameras) == 1:
        return 1.0, 1.0
    number = [device.id for device in cameras].index(camera.id)
    share = 1.0 / len(cameras[number % 2 :: 2])
    return (share, 0.0) if number % 2 == 0 else (0.0, share)


def _camera(device: Device, world: World) -> Iterator[Observation]:
    dice, areas = world.dice(device.id, "plates"), world.definition.plates
    misread = world.scenario.background.misread
    for passage in passages(device, world):
        plate, colour = make_plate(dice, areas, passage.sort)
        if misread and dice.random() < misread:
            plate = _misread(plate, dice)
        confidence = round(dice.uniform(0.86, 0.99), 2)
        fault = 1.0 if passage.planned else dice.random()
        if _NO_PLATE <= fault < _NO_PLATE + _UNREADABLE:
            confidence = round(confidence / 2, 2)
        seen: dict[str, object] = {"plate": None} if fault < _NO_PLATE else {"plate": plate, "color": colour}
        stamp, direction = _local_text(passage.at, world), "in" if passage.inward else "out"
        body: dict[str, object] = {"at": stamp, **seen, "direction": direction, "confidence": confidence}
        yield Observation(passage.at, "plate", body)


def _misread(plate: str, dice: Random) -> str:
    """Replace one character of the serial by one that cameras take it for."""
    place = dice.randrange(2, len(plate))
    group = next((group for group in _CONFUSED if plate[place] in group), plate[place])
    return plate[:place] + dice.choice(group) + plate[place + 1 :]


def _local_text(at: int, world: World) -> str:
    """Write a stamp as cameras do: RFC 3339, local time, milliseconds."""
    return to_datetime(at, world.definition.zone).isoformat(timespec="milliseconds")


# -- gauges ----------------------------------------------------------------------------------------------------------


def _gauge(device: Device, place: Place, world: World) -> Iterator[Observation]:
    read = _parking(place, world) if place.kind is PlaceKind.COMPOUND and place.parking else _wandering(device, world)
    for at in _beats(device, world, device.period):
        yield Observation(at, "level", {"at": at // MILLISECOND, "value": read(at)})


def _parking(compound: Place, world: World) -> Callable[[int], int]:
    """Return the function that reads the free spaces: the very vehicles that the cameras see drive in and out."""
    gates = {
        gate.id
        for gate in world.places.places
        if gate.kind is PlaceKind.GATE and gate.parent == compound.id and gate.id in world.cameras
    }
    seen = [passages(camera, world) for gate in sorted(gates) for camera in world.cameras[gate]]
    traffic = merge(*seen, key=lambda passage: passage.at)
    capacity = compound.parking or 0
    free = round(capacity * world.dice(compound.id, "free").uniform(0.15, 0.4))
    waiting = next(traffic, None)

    def read(at: int) -> int:
        nonlocal free, waiting
        while waiting is not None and waiting.at <= at:
            free = min(max(free + (-1 if waiting.inward else 1), 0), capacity)
            waiting = next(traffic, None)
        return free

    return read


def _wandering(device: Device, world: World) -> Callable[[int], float]:
    """Return the function that reads a gauge nobody knows more about: a number that wanders between 0 and 100."""
    dice, value = world.dice(device.id, "gauge"), 50.0

    def read(_at: int) -> float:
        nonlocal value
        value = min(max(value + dice.gauss(0.0, 1.0), 0.0), 100.0)
        return round(value, 1)

    return read
