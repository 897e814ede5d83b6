"""``places.yaml``: the street's tree of places and its registered devices.

::

    street ── block ── grid ── micro_grid ── lane        every compound covers micro-grids of its own grid;
                         └──── compound ──── gate        every micro-grid belongs to exactly one compound

Rules: one id names one thing in the whole file; ids are safe in MQTT topics. What is checked here, the core
relies on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, field
from msgspec.structs import replace

from sensord.config.findings import Findings
from sensord.config.schema import Duration, Entry, Identifier, Text, convert
from sensord.config.yamlfile import MAX_BYTES_REGISTER, Document, KeyPath, read_yaml
from sensord.core.instant import DAY, SECOND
from sensord.core.intake.codec import CODECS
from sensord.core.place import Device, Place, PlaceKind
from sensord.core.stream import BY_WORD, Stream
from sensord.core.vehicles.blot import without_plates
from sensord.errors import Problem

Capacity = Annotated[int, Meta(ge=1, le=1_000_000, description="how many people the place holds")]
Position = Annotated[
    tuple[float, ...],
    Meta(
        min_length=2,
        max_length=2,
        description="latitude and longitude in degrees: [31.3205, 121.4512]; how far vehicles must drive",
    ),
]
English = Annotated[str, Meta(max_length=200, description="the English name; without it the Chinese one is shown")]


class StreetEntry(Entry, frozen=True, kw_only=True):
    """The subdistrict."""

    id: Identifier
    name: Text
    name_en: English = ""
    capacity: Capacity | None = None


class BlockEntry(Entry, frozen=True, kw_only=True):
    """A block grid (街区)."""

    id: Identifier
    name: Text
    name_en: English = ""
    capacity: Capacity | None = None


class GridEntry(Entry, frozen=True, kw_only=True):
    """A residential grid (居民区); ``block`` is the block that it belongs to.

    ``neighbours`` are the grids beside it, also those of another block: who is there is called first by a step with
    ``mode: nearest``. After them come the others, by the positions of their compounds; without any, by the tree.
    """

    id: Identifier
    name: Text
    name_en: English = ""
    capacity: Capacity | None = None
    block: Identifier
    neighbours: tuple[Identifier, ...] = ()


class MicroGridEntry(Entry, frozen=True, kw_only=True):
    """A micro-grid (微网格) of a residential grid."""

    id: Identifier
    name: Text
    name_en: English = ""
    capacity: Capacity | None = None
    grid: Identifier


class CompoundEntry(Entry, frozen=True, kw_only=True):
    """A compound (小区): the micro-grids of its grid that it covers, and its number of parking spaces."""

    id: Identifier
    name: Text
    name_en: English = ""
    capacity: Capacity | None = None
    grid: Identifier
    micro_grids: Annotated[tuple[Identifier, ...], Meta(min_length=1)]
    parking: Annotated[int, Meta(ge=0, le=100_000, description="number of parking spaces")] | None = None
    position: Position | None = None


class GateEntry(Entry, frozen=True, kw_only=True):
    """A vehicle gate of a compound; ``micro_grid`` is the one whose people answer for it.

    Without a ``position`` it is taken to lie where its compound does.
    """

    id: Identifier
    name: Text
    name_en: English = ""
    capacity: Capacity | None = None
    compound: Identifier
    micro_grid: Identifier
    position: Position | None = None


class LaneEntry(Entry, frozen=True, kw_only=True):
    """A lane (弄); ``area_m2`` is what its crowd sensor looks at, and is needed for densities."""

    id: Identifier
    name: Text
    name_en: English = ""
    capacity: Capacity | None = None
    compound: Identifier
    micro_grid: Identifier
    area_m2: Annotated[float, Meta(gt=0, le=1_000_000, description="square metres that the sensor looks at")] | None = (
        None
    )


class DeviceEntry(Entry, frozen=True, kw_only=True):
    """A registered sensor: what it measures, where it stands, and how often it must be heard (``period``).

    ``colours`` says what a camera's own numbers or words for colours mean, such as ``{"1": blue, "2": yellow}``.
    """

    id: Identifier
    stream: Literal["crowd", "plate", "level", "report", "status"]
    place: Identifier
    period: Duration
    codec: Annotated[str, Meta(description="the format of its messages")] = "native"
    colours: dict[str, Literal["blue", "yellow", "white", "black", "green", "yellow_green"]] = field(
        default_factory=dict
    )


class PlacesFile(Entry, frozen=True, kw_only=True):
    """``places.yaml`` as a whole."""

    street: StreetEntry
    blocks: Annotated[tuple[BlockEntry, ...], Meta(min_length=1)]
    grids: Annotated[tuple[GridEntry, ...], Meta(min_length=1)]
    micro_grids: Annotated[tuple[MicroGridEntry, ...], Meta(min_length=1)]
    compounds: tuple[CompoundEntry, ...] = ()
    gates: tuple[GateEntry, ...] = ()
    lanes: tuple[LaneEntry, ...] = ()
    devices: tuple[DeviceEntry, ...] = ()


_PARTS: tuple[tuple[str, PlaceKind], ...] = (
    ("blocks", PlaceKind.BLOCK),
    ("grids", PlaceKind.GRID),
    ("micro_grids", PlaceKind.MICRO_GRID),
    ("compounds", PlaceKind.COMPOUND),
    ("gates", PlaceKind.GATE),
    ("lanes", PlaceKind.LANE),
)
_REACH = 1.0
"""Degrees: no subdistrict is wider."""
_LATITUDE_FIRST = "write latitude, then longitude: [31.3205, 121.4512]"
_POSSIBLE: dict[str, tuple[PlaceKind, ...]] = {
    "crowd": (PlaceKind.LANE, PlaceKind.GATE, PlaceKind.COMPOUND),
    "plate": (PlaceKind.GATE,),
}
"""Where a device of a stream can stand; the other streams can stand anywhere."""


@dataclass(frozen=True, slots=True)
class Registry:
    """What ``places.yaml`` says, as the core takes it. ``warnings`` do not refuse the file."""

    places: tuple[Place, ...]
    devices: tuple[Device, ...]
    warnings: list[Problem]


def load_places(path: Path) -> Registry:
    """Read ``places.yaml``; raises ``ConfigError`` with every mistake and its position."""
    return check_places(read_yaml(path, MAX_BYTES_REGISTER))


def check_places(document: Document) -> Registry:
    """Check a parsed ``places.yaml`` and convert it; raises ``ConfigError``."""
    return _Survey(document, convert(document, PlacesFile)).registry()


class _Survey:
    """One pass over the register. ``kinds`` says what each id names: a place kind, or ``device``."""

    def __init__(self, document: Document, file: PlacesFile) -> None:
        self.file = file
        self.findings = Findings(document)
        self.kinds: dict[str, str] = {}
        self.micro_grids = {entry.id: entry for entry in file.micro_grids}
        self.compounds = {entry.id: entry for entry in file.compounds}
        self.lanes = {entry.id: entry for entry in file.lanes}

    def registry(self) -> Registry:
        """Check everything, then convert."""
        self._register()
        self._tree()
        self._neighbours()
        self._coverage()
        self._ties()
        self._positions()
        devices = tuple(self._device(index, entry) for index, entry in enumerate(self.file.devices))
        if not devices:
            self.findings.warn((), "the street has no devices: nothing will ever be seen", "add them under devices:")
        warnings = self.findings.finish()
        return Registry(tuple(self._places()), devices, warnings)

    def _register(self) -> None:
        """Give every id its kind; one id names one thing."""
        self.kinds[self.file.street.id] = PlaceKind.STREET.value
        for part, kind in (*_PARTS, ("devices", "device")):
            entries: Sequence[BlockEntry | DeviceEntry] = getattr(self.file, part)
            for index, entry in enumerate(entries):
                if entry.id in self.kinds:
                    message = f"the id {entry.id} is already taken by a {_words(self.kinds[entry.id])}"
                    self.findings.error((part, index, "id"), message, "one id names one thing in this file")
                else:
                    self.kinds[entry.id] = kind if isinstance(kind, str) else kind.value

    def _refers(self, path: KeyPath, word: str, kind: PlaceKind) -> bool:
        """Whether ``word`` names a place of that kind; notes an error otherwise."""
        found = self.kinds.get(word)
        if found == kind.value:
            return True
        if found is not None:
            self.findings.error(path, f"{word} is a {_words(found)}, not a {_words(kind.value)}")
        else:
            known = [name for name, other in self.kinds.items() if other == kind.value]
            self.findings.error(path, f"there is no {_words(kind.value)} {word}", self.findings.suggest(word, known))
        return False

    def _tree(self) -> None:
        for index, grid in enumerate(self.file.grids):
            self._refers(("grids", index, "block"), grid.block, PlaceKind.BLOCK)
        for index, micro_grid in enumerate(self.file.micro_grids):
            self._refers(("micro_grids", index, "grid"), micro_grid.grid, PlaceKind.GRID)

    def _neighbours(self) -> None:
        """Neighbours are other grids; where only one of two names the other, that is said, and taken for both."""
        named = {grid.id: grid.neighbours for grid in self.file.grids}
        for index, grid in enumerate(self.file.grids):
            for position, other in enumerate(grid.neighbours):
                path = ("grids", index, "neighbours", position)
                if other == grid.id:
                    self.findings.error(path, f"{other} cannot be its own neighbour", "remove it")
                elif self._refers(path, other, PlaceKind.GRID) and grid.id not in named[other]:
                    message = f"{other} does not name {grid.id} as its neighbour: it is taken as one all the same"
                    self.findings.warn(path, message, f"add {grid.id} to the neighbours of {other}")

    def _coverage(self) -> None:
        """Every micro-grid belongs to exactly one compound, of the same grid."""
        covered: dict[str, str] = {}
        for index, compound in enumerate(self.file.compounds):
            self._refers(("compounds", index, "grid"), compound.grid, PlaceKind.GRID)
            for position, word in enumerate(compound.micro_grids):
                path = ("compounds", index, "micro_grids", position)
                if not self._refers(path, word, PlaceKind.MICRO_GRID):
                    continue
                if word in covered:
                    self.findings.error(path, f"micro-grid {word} is already covered by compound {covered[word]}")
                covered.setdefault(word, compound.id)
                grid = self.micro_grids[word].grid
                grids = {self.kinds.get(grid), self.kinds.get(compound.grid)}
                if grid != compound.grid and grids == {PlaceKind.GRID.value}:
                    self.findings.error(path, f"micro-grid {word} is in grid {grid}, its compound in {compound.grid}")
        for index, micro_grid in enumerate(self.file.micro_grids):
            if micro_grid.id not in covered:
                message = f"no compound covers micro-grid {micro_grid.id}"
                self.findings.error(("micro_grids", index), message, "add it to the micro_grids of its compound")

    def _ties(self) -> None:
        """A gate or lane lies in a micro-grid that its compound covers."""
        entries: tuple[tuple[str, Sequence[GateEntry | LaneEntry]], ...] = (
            ("gates", self.file.gates),
            ("lanes", self.file.lanes),
        )
        for part, ties in entries:
            for index, entry in enumerate(ties):
                known = self._refers((part, index, "compound"), entry.compound, PlaceKind.COMPOUND)
                known &= self._refers((part, index, "micro_grid"), entry.micro_grid, PlaceKind.MICRO_GRID)
                if known and entry.micro_grid not in self.compounds[entry.compound].micro_grids:
                    message = f"compound {entry.compound} does not cover micro-grid {entry.micro_grid}"
                    self.findings.error((part, index, "micro_grid"), message, self._covers(entry.compound))

    def _positions(self) -> None:
        """A position is on the earth, and within a subdistrict's reach of the others."""
        entries: tuple[tuple[str, Sequence[CompoundEntry | GateEntry]], ...] = (
            ("compounds", self.file.compounds),
            ("gates", self.file.gates),
        )
        first: tuple[float, ...] | None = None
        for part, located in entries:
            for index, entry in enumerate(located):
                path: KeyPath = (part, index, "position")
                if (found := entry.position) is None:
                    continue
                first = first or found
                if not (-90 <= found[0] <= 90 and -180 <= found[1] <= 180):
                    self.findings.error(path, f"{list(found)} is nowhere on the earth", _LATITUDE_FIRST)
                elif max(abs(found[0] - first[0]), abs(found[1] - first[1])) > _REACH:
                    self.findings.error(path, f"{list(found)} is far away from {list(first)}", _LATITUDE_FIRST)

    def _covers(self, compound: str) -> str:
        return f"it covers {', '.join(self.compounds[compound].micro_grids[:12])}"

    def _device(self, index: int, entry: DeviceEntry) -> Device:
        path: KeyPath = ("devices", index)
        kind = self.kinds.get(entry.place)
        possible = _POSSIBLE.get(entry.stream)
        if kind is None or kind == "device":
            message = f"{entry.place} is a device, not a place" if kind else f"there is no place {entry.place}"
            places = [name for name, other in self.kinds.items() if other != "device"]
            self.findings.error((*path, "place"), message, self.findings.suggest(entry.place, places))
        elif possible is not None and kind not in possible:
            where = " or ".join(_words(option.value) for option in possible)
            message = f"a {entry.stream} device cannot stand at a {_words(kind)} ({entry.place})"
            self.findings.error((*path, "place"), message, f"its place must be a {where}")
        if entry.stream == "crowd" and entry.place in self.lanes and self.lanes[entry.place].area_m2 is None:
            message = f"lane {entry.place} has no area_m2: this sensor yields no density"
            self.findings.warn((*path, "place"), message, "add area_m2 to the lane, in square metres")
        if without_plates(entry.id) != entry.id:
            message = f"{entry.id} looks like a number plate: logs will show *** instead"
            self.findings.warn((*path, "id"), message, "give the device another id")
        if entry.codec not in CODECS:
            hint = self.findings.suggest(entry.codec, CODECS)
            self.findings.error((*path, "codec"), f"there is no codec {entry.codec}", hint)
        if entry.colours and entry.stream != "plate":
            self.findings.error((*path, "colours"), f"a {entry.stream} device sees no plates", "remove colours")
        period = self.findings.duration((*path, "period"), entry.period, SECOND, 7 * DAY)
        stream, colours = BY_WORD.get(entry.stream, Stream.STATUS), tuple(sorted(entry.colours.items()))
        return Device(entry.id, stream, entry.place, period, entry.codec, colours)

    def _places(self) -> Iterator[Place]:
        street = self.file.street
        yield Place(street.id, PlaceKind.STREET, street.name, street.name_en, capacity=street.capacity)
        for block in self.file.blocks:
            yield _place(block, PlaceKind.BLOCK, street.id)
        for grid in self.file.grids:
            yield replace(_place(grid, PlaceKind.GRID, grid.block), neighbours=grid.neighbours)
        for micro in self.file.micro_grids:
            yield _place(micro, PlaceKind.MICRO_GRID, micro.grid)
        for compound in self.file.compounds:
            made = _place(compound, PlaceKind.COMPOUND, compound.grid)
            covered, parking = compound.micro_grids, compound.parking
            yield replace(made, micro_grids=covered, parking=parking, position=_position(compound))
        for gate in self.file.gates:
            made = _place(gate, PlaceKind.GATE, gate.compound)
            yield replace(made, micro_grid=gate.micro_grid, position=_position(gate))
        for lane in self.file.lanes:
            made = _place(lane, PlaceKind.LANE, lane.micro_grid)
            yield replace(made, compound=lane.compound, area_m2=lane.area_m2)


PlaceEntry = BlockEntry | GridEntry | MicroGridEntry | CompoundEntry | GateEntry | LaneEntry


def _place(entry: PlaceEntry, kind: PlaceKind, parent: str) -> Place:
    return Place(entry.id, kind, entry.name, entry.name_en, parent, capacity=entry.capacity)


def _position(entry: CompoundEntry | GateEntry) -> tuple[float, float] | None:
    return (entry.position[0], entry.position[1]) if entry.position is not None else None


def _words(kind: str) -> str:
    return "micro-grid" if kind == PlaceKind.MICRO_GRID else kind
