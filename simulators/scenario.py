"""Scenarios: what happens in a simulated street, written down in ``config/scenarios/NAME.yaml``.

::

    seed: 7
    duration: 90s
    background: {crowd_per_m2: 0.05, passages_per_hour: 30, out_of_town: 0.15, key_area: 0.01}
    events:
      - {kind: crowd, lane: any, start: 5s, rise: 20s, peak_density: 4.0, hold: 40s, fall: 10s}
      - {kind: silence, device: crowd-003, start: 10s, length: 60s}
      - {kind: key_area_vehicle, gate: C01-N, at: 20s}

A crowd names its ``lane``, or a ``grid`` in one of whose lanes it forms, or ``lane: any``: then the seed
chooses. Everything is checked against the places when a scenario is loaded, so the generator relies on it.
Durations in the values are ns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated

from msgspec import Meta

from sensord.config.findings import Findings
from sensord.config.schema import Duration, Entry, LocalText, Text, convert
from sensord.config.yamlfile import KeyPath, read_yaml
from sensord.core.definition import Definition
from sensord.core.instant import DAY, SECOND
from sensord.core.place import Device, PlaceKind, Places
from sensord.core.stream import Stream
from sensord.errors import ConfigError, Problem

ANY = "any"
_LONGEST = 7 * DAY
Share = Annotated[float, Meta(ge=0, le=1)]


class BackgroundEntry(Entry, frozen=True, kw_only=True):
    """The everyday: means over a day. ``passages_per_hour`` is per gate; shares are of all vehicles."""

    crowd_per_m2: Annotated[float, Meta(ge=0, le=2)] = 0.05
    passages_per_hour: Annotated[float, Meta(ge=0, le=3600)] = 30.0
    out_of_town: Share = 0.12
    key_area: Share = 0.0


QUIET = BackgroundEntry()


class CrowdEntry(Entry, frozen=True, kw_only=True, tag_field="kind", tag="crowd"):
    """A crowd that forms, stays at ``peak_density`` (people/m2) and disperses."""

    lane: Text | None = None
    grid: Text | None = None
    start: Duration
    rise: Duration
    peak_density: Annotated[float, Meta(gt=0, le=10)]
    hold: Duration
    fall: Duration


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
    events: tuple[CrowdEntry | SilenceEntry | KeyAreaVehicleEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Crowd:
    """A crowd in one lane; times are ns since the scenario's start, ``peak`` is people/m2."""

    lane: str
    start: int
    rise: int
    peak: float
    hold: int
    fall: int

    @property
    def end(self) -> int:
        """When the last of the crowd has gone."""
        return self.start + self.rise + self.hold + self.fall

    def density(self, at: int) -> float:
        """Return the people/m2 that the crowd adds at ``at``: an S-shaped rise, a plateau, such a fall."""
        if at < self.start + self.rise:
            share = (at - self.start) / self.rise
        else:
            share = 1.0 - (at - self.start - self.rise - self.hold) / self.fall
        share = min(max(share, 0.0), 1.0)
        return self.peak * share * share * (3.0 - 2.0 * share)


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
class Scenario:
    """A checked scenario. ``duration`` is ns."""

    name: dict[str, str]
    seed: int
    duration: int
    background: BackgroundEntry = QUIET
    crowds: tuple[Crowd, ...] = ()
    silences: tuple[Silence, ...] = ()
    vehicles: tuple[KeyAreaVehicle, ...] = ()


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
        silences: list[Silence] = []
        vehicles: list[KeyAreaVehicle] = []
        for index, event in enumerate(self._file.events):
            path: KeyPath = ("events", index)
            if isinstance(event, CrowdEntry):
                crowds.append(self._crowd(path, event))
            elif isinstance(event, SilenceEntry):
                silences.append(self._silence(path, event))
            else:
                vehicles.append(self._vehicle(path, event))
        self._findings.finish()
        name = self._file.name.both() if self._file.name else {"zh": stem, "en": stem}
        return Scenario(name, self._file.seed, duration, background, tuple(crowds), tuple(silences), tuple(vehicles))

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

    def _lane(self, path: KeyPath, event: CrowdEntry) -> str:
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
        cameras = gate_cameras(self._places)
        self._known((*path, "gate"), event.gate, cameras, "gate with a plate camera")
        self._needs_key_areas(path)
        camera = cameras[event.gate][0].id if event.gate in cameras else ""
        return KeyAreaVehicle(event.gate, camera, self._duration((*path, "at"), event.at))

    def _known(self, path: KeyPath, word: str, known: Iterable[str], what: str) -> None:
        words = list(known)
        if word not in words:
            self._findings.error(path, f"there is no {what} {word}", self._findings.suggest(word, words))

    def _needs_key_areas(self, path: KeyPath) -> None:
        if not self._definition.plates.key:
            hint = "add key_areas to vehicles.yaml"
            self._findings.error(path, "no key areas are configured, so no vehicle can come from one", hint)
