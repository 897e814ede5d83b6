"""Scenarios: what happens in a simulated street, written down in ``config/scenarios/NAME.yaml``.

::

    seed: 7
    duration: 90s
    background: {crowd_per_m2: 0.05, passages_per_hour: 30, out_of_town: 0.15, key_area: 0.01}
    events:
      - {kind: crowd, lane: any, start: 5s, rise: 20s, peak_density: 4.0, hold: 40s, fall: 10s}
      - {kind: gathering, shape: school_gate, lane: any, start: 1h, length: 30m, peak_density: 1.6}
      - {kind: rain, start: 2h, length: 1h, factor: 0.3}
      - {kind: silence, device: crowd-003, start: 10s, length: 60s}
      - {kind: key_area_vehicle, gate: C01-N, at: 20s}
      - {kind: vehicle_wave, gate: C01-N, start: 1h, length: 30m, per_hour: 120}
    faults:
      - {kind: duplicates, devices: all, share: 0.02}
    traffic: {vehicles: 600, misread: 0.03, missed: 0.01}

``traffic`` lets vehicles live in the street, each with its plate and habit, so that visits have a truth
(``traffic.py``); with it one usually writes ``passages_per_hour: 0``.

A crowd or gathering names its ``lane``, or a ``grid`` in one of whose lanes it forms, or ``lane: any``: then the seed
chooses. Shapes are in ``gathering.py``, faults in ``sensord/config/faults.py``. Everything is checked against the
places when a scenario is loaded, so the generator relies on it. Durations in the values are ns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Any

from msgspec import Meta

from sensord.config.faults import Fault, FaultEntry, read_fault
from sensord.config.findings import Findings
from sensord.config.schema import Duration, Entry, LocalText, Text, convert
from sensord.config.yamlfile import KeyPath, read_yaml
from sensord.core.definition import Definition
from sensord.core.instant import DAY, MINUTE, SECOND
from sensord.core.place import Device, PlaceKind, Places
from sensord.core.stream import Stream
from sensord.errors import ConfigError, Problem
from simulators.gathering import Crowd, Shape, gather

ANY = "any"
_LONGEST = 60 * DAY
Share = Annotated[float, Meta(ge=0, le=1)]


class BackgroundEntry(Entry, frozen=True, kw_only=True):
    """The everyday: means over a day. ``passages_per_hour`` is per gate; shares are of all vehicles.

    ``weekend`` multiplies people on Saturdays and Sundays. ``misread`` plates have one wrong character; a
    ``tailgating`` vehicle follows within two seconds.
    """

    crowd_per_m2: Annotated[float, Meta(ge=0, le=2)] = 0.05
    passages_per_hour: Annotated[float, Meta(ge=0, le=3600)] = 30.0
    out_of_town: Share = 0.12
    key_area: Share = 0.0
    weekend: Annotated[float, Meta(ge=0, le=10)] = 1.0
    misread: Share = 0.0
    tailgating: Share = 0.0


QUIET = BackgroundEntry()


class TrafficEntry(Entry, frozen=True, kw_only=True):
    """Vehicles that live in the street: residents, visitors, deliveries, guests, and a few clones.

    ``misread`` is a share of readings, ``missed`` of passages, ``again`` of messages that come twice; of vehicles
    near another ``tailgating`` drive close behind it.
    """

    vehicles: Annotated[int, Meta(ge=1, le=20_000)]
    misread: Share = 0.03
    missed: Share = 0.01
    again: Share = 0.02
    tailgating: Share = 0.3


class CrowdEntry(Entry, frozen=True, kw_only=True, tag_field="kind", tag="crowd"):
    """A crowd that forms, stays at ``peak_density`` (people/m2) and disperses."""

    lane: Text | None = None
    grid: Text | None = None
    start: Duration
    rise: Duration
    peak_density: Annotated[float, Meta(gt=0, le=10)]
    hold: Duration
    fall: Duration


class GatheringEntry(Entry, frozen=True, kw_only=True, tag_field="kind", tag="gathering"):
    """People who come together as people do; the shapes are in ``gathering.py``.

    ``repeat`` makes it happen again and again (``times`` times), ``lanes`` in so many lanes at once.
    """

    shape: Shape
    lane: Text | None = None
    grid: Text | None = None
    lanes: Annotated[int, Meta(ge=1, le=50)] = 1
    start: Duration
    length: Duration
    peak_density: Annotated[float, Meta(gt=0, le=10)]
    repeat: Duration | None = None
    times: Annotated[int, Meta(ge=1, le=60)] = 1


class RainEntry(Entry, frozen=True, kw_only=True, tag_field="kind", tag="rain"):
    """Rain: everywhere only ``factor`` of the people are out, crowds included."""

    start: Duration
    length: Duration
    factor: Annotated[float, Meta(ge=0, le=1)] = 0.3


class VehicleWaveEntry(Entry, frozen=True, kw_only=True, tag_field="kind", tag="vehicle_wave"):
    """Visitors from elsewhere drive in at a gate, ``per_hour`` of them, beside the everyday."""

    gate: Text
    start: Duration
    length: Duration
    per_hour: Annotated[float, Meta(gt=0, le=3600)]


class SilenceEntry(Entry, frozen=True, kw_only=True, tag_field="kind", tag="silence"):
    """A device without power: it says nothing, and begins a new boot afterwards."""

    device: Text
    start: Duration
    length: Duration


class KeyAreaVehicleEntry(Entry, frozen=True, kw_only=True, tag_field="kind", tag="key_area_vehicle"):
    """A vehicle from a key area drives in."""

    gate: Text
    at: Duration


class ScenarioFile(Entry, frozen=True, kw_only=True):
    """A scenario file as a whole. ``name`` is what people see."""

    name: LocalText | None = None
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 1
    duration: Duration
    background: BackgroundEntry = QUIET
    events: tuple[
        CrowdEntry | GatheringEntry | RainEntry | SilenceEntry | KeyAreaVehicleEntry | VehicleWaveEntry, ...
    ] = ()
    faults: tuple[FaultEntry, ...] = ()
    traffic: TrafficEntry | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """A silent device; ns since the scenario's start."""

    device: str
    start: int
    length: int

    @property
    def end(self) -> int:
        """When the device speaks again."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class KeyAreaVehicle:
    """A vehicle from a key area at the camera ``device`` of ``gate``; ns since the scenario's start."""

    gate: str
    device: str
    at: int


@dataclass(frozen=True, slots=True)
class Rain:
    """A stretch (ns since the scenario's start) in which only ``factor`` of the people are out."""

    start: int
    end: int
    factor: float


@dataclass(frozen=True, slots=True)
class VehicleWave:
    """Out-of-town vehicles driving in at the camera ``device`` of ``gate``; ns since the scenario's start."""

    gate: str
    device: str
    start: int
    end: int
    per_hour: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """A checked scenario. ``duration`` is ns."""

    name: dict[str, str]
    seed: int
    duration: int
    background: BackgroundEntry = QUIET
    crowds: tuple[Crowd, ...] = ()
    silences: tuple[Silence, ...] = ()
    vehicles: tuple[KeyAreaVehicle, ...] = ()
    rains: tuple[Rain, ...] = ()
    waves: tuple[VehicleWave, ...] = ()
    faults: tuple[Fault, ...] = ()
    traffic: TrafficEntry | None = None


def gate_cameras(places: Places) -> dict[str, list[Device]]:
    """Return the plate cameras of each gate. Of several, the 1st, 3rd, ... see vehicles drive in, the others out."""
    cameras: dict[str, list[Device]] = {}
    for device in places.devices:
        if device.stream is Stream.PLATE:
            cameras.setdefault(device.place, []).append(device)
    return cameras


def find_scenario(name: str, folder: Path) -> Path:
    """Return the file of the scenario ``name`` (or ``name`` itself, when it is a YAML file's path).

    Raises ``ConfigError`` that lists the scenarios that there are.
    """
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    path = folder / f"{name}.yaml"
    if "/" not in name and path.is_file():
        return path
    known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
    raise ConfigError([Problem(str(path), 1, 1, f"there is no scenario {name!r}", f"scenarios here: {known}")])


def scenario_files(folder: Path) -> list[Path]:
    """Return the scenario files of a folder in the order of their names."""
    return sorted(folder.glob("*.yaml"))


def load_scenario(path: Path, definition: Definition) -> Scenario:
    """Read a scenario and check it against a street; raises ``ConfigError`` with every mistake."""
    document = read_yaml(path)
    file = convert(document, ScenarioFile)
    reader = _Reader(Findings(document), definition, file)
    return reader.scenario(path.stem)


class _Reader:
    """One pass over a scenario file."""

    def __init__(self, findings: Findings, definition: Definition, file: ScenarioFile) -> None:
        self._findings, self._definition, self._file = findings, definition, file
        self._places = Places(definition.places, definition.devices)
        self._dice = Random(f"{file.seed} where")
        self._taken: set[str] = set()

    def scenario(self, stem: str) -> Scenario:
        """Check everything, then convert."""
        duration = self._findings.duration(("duration",), self._file.duration, SECOND, _LONGEST)
        background = self._file.background
        if background.out_of_town + background.key_area > 1:
            self._findings.error(
                ("background",), "out_of_town and key_area are together more than 1", "they are shares"
            )
        if background.key_area:
            self._needs_key_areas(("background", "key_area"))
        crowds: list[Crowd] = []
        found: dict[type, list[Any]] = {kind: [] for kind in (Silence, KeyAreaVehicle, Rain, VehicleWave)}
        for index, event in enumerate(self._file.events):
            path: KeyPath = ("events", index)
            if isinstance(event, CrowdEntry):
                crowds.append(self._crowd(path, event))
            elif isinstance(event, GatheringEntry):
                crowds += self._gathering(path, event)
            else:
                made = self._other(path, event)
                found[type(made)].append(made)
        faults = tuple(
            read_fault(self._findings, ("faults", index), entry, self._places.device_index)
            for index, entry in enumerate(self._file.faults)
        )
        self._findings.finish()
        return Scenario(
            self._file.name.both() if self._file.name else {"zh": stem, "en": stem},
            self._file.seed,
            duration,
            background,
            tuple(crowds),
            tuple(found[Silence]),
            tuple(found[KeyAreaVehicle]),
            tuple(found[Rain]),
            tuple(found[VehicleWave]),
            faults,
            self._file.traffic,
        )

    def _other(
        self, path: KeyPath, event: SilenceEntry | KeyAreaVehicleEntry | RainEntry | VehicleWaveEntry
    ) -> Silence | KeyAreaVehicle | Rain | VehicleWave:
        if isinstance(event, SilenceEntry):
            return self._silence(path, event)
        if isinstance(event, KeyAreaVehicleEntry):
            return self._vehicle(path, event)
        start = self._duration((*path, "start"), event.start)
        end = start + self._duration((*path, "length"), event.length, SECOND)
        if isinstance(event, RainEntry):
            return Rain(start, end, event.factor)
        return VehicleWave(event.gate, self._camera(path, event.gate), start, end, event.per_hour)

    def _gathering(self, path: KeyPath, event: GatheringEntry) -> list[Crowd]:
        start = self._duration((*path, "start"), event.start)
        length = self._duration((*path, "length"), event.length, MINUTE)
        repeat = 0 if event.repeat is None else self._duration((*path, "repeat"), event.repeat, length)
        if event.times > 1 and not repeat:
            self._findings.error(path, "times needs repeat", "write for example repeat: 1d")
        lanes = [self._lane(path, event) for _ in range(event.lanes)]
        return [
            crowd
            for turn in range(event.times)
            for lane in lanes
            for crowd in gather(event.shape, lane, start + turn * repeat, length, event.peak_density, self._dice)
        ]

    def _duration(self, path: KeyPath, text: str, least: int = 0) -> int:
        return self._findings.duration(path, text, least, _LONGEST)

    def _crowd(self, path: KeyPath, event: CrowdEntry) -> Crowd:
        return Crowd(
            self._lane(path, event),
            self._duration((*path, "start"), event.start),
            self._duration((*path, "rise"), event.rise, SECOND),
            event.peak_density,
            self._duration((*path, "hold"), event.hold),
            self._duration((*path, "fall"), event.fall, SECOND),
        )

    def _lane(self, path: KeyPath, event: CrowdEntry | GatheringEntry) -> str:
        """Find the lane of a crowd; one that the seed chooses is not one where another crowd is already."""
        lanes = self._watched_lanes()
        if (event.lane is None) == (event.grid is None):
            self._findings.error(path, "a crowd needs either 'lane' or 'grid'", f"for any lane write lane: {ANY}")
        elif event.lane is not None and event.lane != ANY:
            self._known((*path, "lane"), event.lane, lanes, "lane with a crowd sensor and an area_m2")
            self._taken.add(event.lane)
            return event.lane
        else:
            inside = [lane for lane in lanes if event.grid in (None, self._places.above(lane, PlaceKind.GRID))]
            free = [lane for lane in inside if lane not in self._taken] or inside
            if free:
                lane = self._dice.choice(free)
                self._taken.add(lane)
                return lane
            where = f"in the grid {event.grid}" if event.grid else "in this street"
            key = "grid" if event.grid else "lane"
            self._findings.error((*path, key), f"there is no lane with a crowd sensor and an area_m2 {where}")
        return ""

    def _watched_lanes(self) -> list[str]:
        """Return the lanes whose density the crowd sensors can tell, in the order of the register."""
        watched = {device.place for device in self._places.devices if device.stream is Stream.CROWD}
        return [place.id for place in self._places.places if place.id in watched and place.area_m2 is not None]

    def _silence(self, path: KeyPath, event: SilenceEntry) -> Silence:
        self._known((*path, "device"), event.device, self._places.device_index, "device")
        start = self._duration((*path, "start"), event.start)
        return Silence(event.device, start, self._duration((*path, "length"), event.length, SECOND))

    def _vehicle(self, path: KeyPath, event: KeyAreaVehicleEntry) -> KeyAreaVehicle:
        self._needs_key_areas(path)
        camera = self._camera(path, event.gate)
        return KeyAreaVehicle(event.gate, camera, self._duration((*path, "at"), event.at))

    def _camera(self, path: KeyPath, gate: str) -> str:
        """The camera of a gate that sees vehicles drive in."""
        cameras = gate_cameras(self._places)
        self._known((*path, "gate"), gate, cameras, "gate with a plate camera")
        return cameras[gate][0].id if gate in cameras else ""

    def _known(self, path: KeyPath, word: str, known: Iterable[str], what: str) -> None:
        words = list(known)
        if word not in words:
            self._findings.error(path, f"there is no {what} {word}", self._findings.suggest(word, words))

    def _needs_key_areas(self, path: KeyPath) -> None:
        if not self._definition.plates.key:
            hint = "add key_areas to vehicles.yaml"
            self._findings.error(path, "no key areas are configured, so no vehicle can come from one", hint)
