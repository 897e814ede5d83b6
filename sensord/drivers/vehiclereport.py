"""The report on vehicles, as data: from the street to the gate, by hour and by day, beside a week before.

The one way to count: the scheduled report, the command and the API all build it. It adds up what the core counted
(``core.vehicles.tally``), so a replay of the same journal gives the same numbers. Kinds (local, out-of-town ...) are
those of arrivals, so they add up to ``inward``. Passages are counted at gates; a place's numbers are the sum of its
gates'. Blind is not quiet: ``unknown`` says for how long nobody could see, or what was counted is not kept any more,
and where nothing is known of all the time, the numbers are None and never zero. Nothing is held against a time of which
the beginning is not known, for a part of a week says nothing beside a whole one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from sensord.core.cases.reports import Span
from sensord.core.definition import Definition
from sensord.core.place import PlaceKind, Places
from sensord.core.stream import Stream
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.byhand import ByHand
from sensord.core.vehicles.tally import ELSEWHERE, SLOT, Occupancy, PassageCount
from sensord.drivers.vehicledoubt import correct, doubt
from sensord.drivers.vehiclefull import Balance, balance
from sensord.drivers.vehiclespan import Window, Windows, windows

KINDS = (PlaceKind.STREET, PlaceKind.BLOCK, PlaceKind.GRID, PlaceKind.COMPOUND, PlaceKind.GATE)
SORTS = ("local", "out_of_town", "key_area", "special", "none", "unread")
_FOREVER = 1 << 62


class Counts(msgspec.Struct):
    """How many passed: in and out, and of those who came in how many of each kind."""

    inward: int = 0
    outward: int = 0
    local: int = 0
    out_of_town: int = 0
    key_area: int = 0
    special: int = 0
    none: int = 0
    unread: int = 0
    new_energy: int = 0

    def count(self, one: PassageCount) -> None:
        """Take passages of one kind."""
        if one.direction == "out":
            self.outward += one.count
            return
        self.inward += one.count
        setattr(self, one.sort, getattr(self, one.sort) + one.count)
        self.new_energy += one.count if one.energy == "new_energy" else 0

    def add(self, other: Counts) -> None:
        """Add what passed elsewhere."""
        for name in Counts.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Passed(msgspec.Struct):
    """What passed at one place in one stretch. ``counted`` is None when none of its gates was seen in all the time.

    ``gates`` are those at or below the place, ``unseen`` of these were blind for a while: for ``unknown`` in all (ns,
    the times of several gates added up).
    """

    kind: str
    place: str
    gates: int
    unseen: int
    unknown: int
    counted: Counts | None


class Line(Passed):
    """The numbers of one place. ``before`` is what passed in the same time weeks before, with its ``unknown``.

    It is held against ``settled``, what has passed in slots that have ended: in all, when the report's time has.
    ``provinces`` and ``cities`` count arrivals from elsewhere by the first one and two characters of their plates.
    ``inside`` and ``unsure`` are what the core believed at the report's ``inside_at``; None when nobody could see.
    ``doubted``: a gate could not be seen so lately that what happened then may not be in ``inside`` yet. ``begun``:
    before this instant nobody looked at a gate, so lately that vehicles may have stood there since; they are in no
    number (0: that is long ago). ``by_hand``: so many times somebody counted here who was inside, and ``corrected`` the
    number by so much in all.
    """

    settled: Counts | None = None
    before: Counts | None = None
    before_unknown: int = 0
    provinces: dict[str, int] = {}
    cities: dict[str, int] = {}
    inside: int | None = None
    unsure: int = 0
    parking: int = 0
    doubted: bool = False
    begun: int = 0
    by_hand: int = 0
    corrected: int = 0

    @property
    def reliable(self) -> bool:
        """Whether ``inside`` may be taken at its word, within ``unsure``."""
        return self.inside is not None and not (self.doubted or self.begun)


class Stretch(msgspec.Struct, frozen=True):
    """What passed in one hour or one day, [start, end) in ns; ``lines`` in the report's order."""

    start: int
    end: int
    lines: tuple[Passed, ...]


class VehicleReport(msgspec.Struct, frozen=True):
    """The report of [start, end); ``lines`` are ordered street, blocks, grids, compounds, gates.

    ``complete``: that time had ended when it was made; else it counts until then. ``before_start``, ``before_end``:
    what it is held against. ``strays`` passed at gates that are no more, ``before_strays`` in the time before: they
    are in no line. ``inside_at`` is when ``inside`` was counted: at the end, or as lately as the core has come; 0: that
    is not known. What passed before ``since`` is not kept (ns; 0: everything of its time is). ``by_hand``: where people
    counted who was inside.
    """

    start: int
    end: int
    zone: str
    made_at: int
    complete: bool
    before_start: int
    before_end: int
    inside_at: int
    strays: int
    lines: tuple[Line, ...]
    hourly: tuple[Stretch, ...]
    daily: tuple[Stretch, ...]
    balance: tuple[Balance, ...]
    since: int = 0
    before_strays: int = 0
    by_hand: tuple[ByHand, ...] = ()

    def of(self, kind: PlaceKind) -> list[Line]:
        """The lines of one kind of place."""
        return [line for line in self.lines if line.kind == kind]

    @property
    def street(self) -> Line:
        """The numbers of the street as a whole."""
        return self.lines[0]

    @property
    def settled(self) -> int:
        """Until when slots have ended (ns): so far the report is held against another time."""
        return max(self.start, min(self.end, self.made_at // SLOT * SLOT))


class Kept(NamedTuple):
    """What the state holds of a stretch: tallies of the ``reach``, who was inside at its end, when cameras were blind.

    ``by_hand``: when people counted who was inside, from ``Tracking.remember`` before the end on.

    ``applied_at`` is the journal time up to which all that is known (ns), ``since`` from when on it is kept.
    """

    counts: Iterable[PassageCount]
    occupancy: Sequence[Occupancy]
    blind: Sequence[Blind]
    applied_at: int
    since: int = 0
    by_hand: Sequence[ByHand] = ()


def build(definition: Definition, span: Span, kept: Kept, made_at: int) -> VehicleReport:
    """Put the report together. ``kept`` reaches as far as :func:`vehiclespan.windows` says."""
    places, laid = Places(definition.places, definition.devices), windows(span, definition.zone, made_at)
    tally = _Tally(places, laid, Eyes(places, kept, made_at))
    tally.count(kept.counts)
    noted_at = max((one.at for one in kept.occupancy), default=0)
    inside_at = min(noted_at, kept.applied_at, made_at)
    lines = _with_inside(places, tally, [one for one in kept.occupancy if one.at == noted_at])
    doubt(places, tally.eyes, lines, inside_at, definition.tracking, kept.by_hand)
    by_hand = tuple(one for one in kept.by_hand if laid.whole.start <= one.at < laid.whole.end)
    correct(places, lines, by_hand)
    return VehicleReport(
        *laid.whole,
        definition.zone,
        made_at,
        laid.whole.end <= made_at,
        *laid.before,
        inside_at,
        tally.strays,
        tuple(lines.values()),
        tuple(Stretch(*window, tuple(tally.passed(window))) for window in laid.hours),
        tuple(Stretch(*window, tuple(tally.passed(window))) for window in laid.days),
        tuple(balance(places, tally.seen(inside_at, lines))),
        kept.since if kept.since > laid.whole.start else 0,
        tally.before_strays,
        by_hand,
    )


class Eyes:
    """The gates (and other places with a camera), and when each was blind: when one of its cameras was.

    A camera that the core never spoke of is blind, and so is a gate without a camera; so is everybody since the core
    stopped, and before the time that is kept. Before a camera came to a gate, the others there saw it. ``begins`` is
    from when on something is known of a gate, ``begun`` since when somebody has looked.
    """

    def __init__(self, places: Places, kept: Kept, made_at: int) -> None:
        self._made_at = made_at
        of_camera: dict[str, list[Window]] = {}
        for one in kept.blind:
            of_camera.setdefault(one.device, []).append(Window(one.since, one.until or _FOREVER))
        always, gone = [Window(0, _FOREVER)], Window(0, kept.since)
        self.blind: dict[str, list[Window]] = {}
        self.begun: dict[str, int] = {}
        for place in places.places:
            cameras = [one for one in places.devices if one.place == place.id and one.stream is Stream.PLATE]
            if cameras:
                # No row at all: nobody looked. After the last thing that was written down, nobody knows.
                stopped = Window(kept.applied_at + min(one.deadline for one in cameras), _FOREVER)
                unseen = list(_unseen([of_camera.get(one.id, always) for one in cameras]))
                self.blind[place.id], self.begun[place.id] = [gone, stopped, *unseen], _beginning(unseen)
            elif place.kind is PlaceKind.GATE:
                self.blind[place.id] = always
        self.begins = {gate: _beginning(stretches) for gate, stretches in self.blind.items()}

    def unknown(self, gate: str, window: Window) -> int:
        """For how long (ns) of a stretch at least one camera of a gate was blind."""
        total, reached, last = 0, window.start, min(window.end, self._made_at)
        for start, end in sorted(self.blind[gate]):
            since, until = max(start, reached), min(end, last)
            total += max(0, until - since)
            reached = max(reached, until)
        return total

    def length(self, window: Window) -> int:
        """How much (ns) of a stretch has been."""
        return max(0, min(window.end, self._made_at) - window.start)

    def sees(self, gate: str, at: int) -> bool:
        """Whether no camera of a gate was blind at an instant."""
        return not any(start <= at < end for start, end in self.blind[gate])


def _unseen(cameras: Sequence[Sequence[Window]]) -> Iterable[Window]:
    """When a gate was not seen in full: before the first of its cameras came, and while one that had come was blind.

    What ends of a camera's blindness since 0 is the time before it came.
    """
    came = [max((end for start, end in one if not start and end < _FOREVER), default=0) for one in cameras]
    yield Window(0, min(came))
    for since, one in zip(came, cameras, strict=True):
        yield from (Window(max(start, since), end) for start, end in one if end > since)


def _beginning(stretches: Iterable[Window]) -> int:
    """Until when (ns) nothing is known without a break."""
    reached = 0
    for start, end in sorted(stretches):
        if start <= reached:
            reached = max(reached, end)
    return reached


class _Tally:
    """Adds up passages per gate and window, and from there per place: no number comes by another way."""

    def __init__(self, places: Places, laid: Windows, eyes: Eyes) -> None:
        self.eyes, self._laid = eyes, laid
        self._windows = dict.fromkeys((laid.whole, laid.settled, laid.before, *laid.hours, *laid.days))
        self._at: dict[int, list[Window]] = {}
        self._of_gate: dict[tuple[str, Window], Counts] = {}
        self._unknown: dict[tuple[str, Window], int] = {}
        self._from: dict[str, dict[str, int]] = {gate: {} for gate in eyes.blind}
        self.strays = self.before_strays = 0
        self.gates: dict[tuple[PlaceKind, str], list[str]] = {
            (kind, place.id): [] for kind in KINDS[:-1] for place in places.places if place.kind is kind
        }
        self.gates |= {(PlaceKind.GATE, gate): [gate] for gate in eyes.blind}
        for gate in eyes.blind:
            for kind in KINDS[:-1]:
                if (above := places.above(gate, kind)) is not None:
                    self.gates[kind, above].append(gate)

    def count(self, passages: Iterable[PassageCount]) -> None:
        """Take the tallies, each in every window that it lies in."""
        whole, before = self._laid.whole, self._laid.before
        for one in passages:
            now = whole.start <= one.start < whole.end
            if one.gate not in self._from:
                self.strays += one.count if now else 0
                self.before_strays += one.count if before.start <= one.start < before.end else 0
                continue
            for window in self._containing(one.start):
                self._of_gate.setdefault((one.gate, window), Counts()).count(one)
            if now and one.direction == "in" and one.sort in ELSEWHERE and one.province:
                found = self._from[one.gate]
                for prefix in {one.province[0], one.province}:
                    found[prefix] = found.get(prefix, 0) + one.count

    def _containing(self, at: int) -> list[Window]:
        """The windows that a slot lies in."""
        if at not in self._at:
            self._at[at] = [one for one in self._windows if one.start <= at < one.end]
        return self._at[at]

    def passed(self, window: Window) -> Iterable[Passed]:
        """What passed at every place in a window."""
        for (kind, place), gates in self.gates.items():
            yield Passed(kind.value, place, *self._sums(gates, window))

    def line(self, kind: PlaceKind, place: str) -> Line:
        """The numbers of one place, but for who is inside."""
        gates = self.gates[kind, place]
        made = Line(kind.value, place, *self._sums(gates, self._laid.whole))
        *_, made.settled = self._sums(gates, self._laid.settled)
        *_, made.before_unknown, before = self._sums(gates, self._laid.before)
        begun = min((self.eyes.begins[gate] for gate in gates), default=_FOREVER) // SLOT * SLOT
        made.before = before if begun <= self._laid.before.start else None
        for gate in gates:
            for prefix, count in self._from[gate].items():
                into = made.provinces if len(prefix) == 1 else made.cities
                into[prefix] = into.get(prefix, 0) + count
        return made

    def seen(self, at: int, lines: Mapping[tuple[PlaceKind, str], Line]) -> dict[str, Line]:
        """The compounds of which every gate could be seen just before the instant ``at``."""
        here = {place: gates for (kind, place), gates in self.gates.items() if kind is PlaceKind.COMPOUND}
        return {
            place: lines[PlaceKind.COMPOUND, place]
            for place, gates in here.items()
            if all(self.eyes.sees(gate, at - 1) for gate in gates)
        }

    def _sums(self, gates: Sequence[str], window: Window) -> tuple[int, int, int, Counts | None]:
        """The gates, how many of them were blind for a while, for how long in all, and what passed."""
        total, passed = Counts(), False
        unknown = [self._blind(gate, window) for gate in gates]
        for gate in gates:
            found = self._of_gate.get((gate, window))
            if found is not None:
                total.add(found)
                passed = True
        seen = passed or sum(unknown) < len(gates) * self.eyes.length(window)
        return len(gates), sum(map(bool, unknown)), sum(unknown), total if seen else None

    def _blind(self, gate: str, window: Window) -> int:
        key = gate, window
        if key not in self._unknown:
            self._unknown[key] = self.eyes.unknown(*key)
        return self._unknown[key]


def _with_inside(places: Places, tally: _Tally, occupancy: Iterable[Occupancy]) -> dict[tuple[PlaceKind, str], Line]:
    """Make every place's line; who is inside is known of a compound that was seen, if only for a while."""
    lines = {key: tally.line(*key) for key in tally.gates}
    inside = {one.compound: one for one in occupancy}
    for place in places.places:
        if place.kind is not PlaceKind.COMPOUND:
            continue
        one = inside.get(place.id) if lines[place.kind, place.id].counted is not None else None
        for kind in KINDS[:-1]:
            if (above := places.above(place.id, kind)) is None:
                continue
            line = lines[kind, above]
            line.parking += place.parking or 0
            if one is not None:
                line.inside, line.unsure = (line.inside or 0) + one.inside, line.unsure + one.unsure
    return lines
