"""The 24-hour report as data: crowds per lane, vehicles per gate, cases and the people who handled them.

Crowds come from the roll-ups (event time, to the minute; by the hour where minutes are no longer kept), the minutes per
level from the alerts, cases from the ledger; vehicles are a report of their own (``vehiclereport``). Rule: blind is not
quiet. A lane's ``unknown`` is how long one of its sensors was silent beyond its deadline; a lane that nobody watches is
counted, too. Of cases and alarms not all is known for ever: ``cases_since`` and ``alarms_since`` say from when on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from sensord.core.alert import Transition
from sensord.core.cases.case import Case
from sensord.core.cases.figures import Figures, Silent, figures, silent
from sensord.core.cases.reports import Span
from sensord.core.definition import Definition
from sensord.core.level import LADDER, Level
from sensord.core.place import Device, PlaceKind, Places
from sensord.core.stream import Stream
from sensord.drivers.vehiclereport import VehicleReport
from sensord.ports import CrowdSlot


class LaneLine(msgspec.Struct, frozen=True):
    """One lane: its fullest moment (people, people/m2, ns), and durations in ns.

    ``levels`` is for how long its alarms stood at each level; None: no alarm of that time is kept. ``peak`` is None
    when no head count was heard.
    """

    lane: str
    peak: float | None
    peak_at: int
    density: float | None
    levels: dict[str, int] | None
    unknown: int


class CaseLine(msgspec.Struct, frozen=True):
    """One case; instants in ns, 0: not yet."""

    id: str
    code: str
    place: str
    grid: str
    policy: str
    peak: str
    state: str
    opened_at: int
    acknowledged_at: int
    arrived_at: int
    cleared_at: int
    closed_at: int
    owner: str
    overdue: int


class DayReport(msgspec.Struct, frozen=True):
    """The report of [start, end). ``made_at`` is when it was made, ``version`` the definition it was made with.

    ``lanes`` is None when no roll-ups are kept: nothing is known of crowds then. ``unwatched`` counts lanes without a
    sensor. Of what was before ``cases_since`` and ``alarms_since`` (ns; 0: all of its time is known) not all is known;
    ``cases`` is None when that is all of its time.
    """

    name: str
    start: int
    end: int
    zone: str
    made_at: int
    version: str
    cases: Figures | None
    case_list: tuple[CaseLine, ...]
    silent: tuple[Silent, ...]
    lanes: tuple[LaneLine, ...] | None
    unwatched: int
    vehicles: VehicleReport
    cases_since: int = 0
    alarms_since: int = 0


class Heard(msgspec.Struct, frozen=True):
    """What the stores hold of a stretch: ``crowds`` per device (None: no roll-ups), and the report on its vehicles.

    Before ``cases_since`` and ``alarms_since`` (ns) not all is known.
    """

    cases: Sequence[Case]
    alarms: Sequence[Transition]
    crowds: Iterable[tuple[str, Sequence[CrowdSlot]]] | None
    vehicles: VehicleReport
    cases_since: int = 0
    alarms_since: int = 0


def reach(definition: Definition, start: int) -> int:
    """From when on readings are needed, to know whether a sensor was heard at ``start``."""
    return start - max((device.deadline for device in _watching(definition)), default=0)


def build(definition: Definition, span: Span, heard: Heard, made_at: int) -> DayReport:
    """Put the report together."""
    places = Places(definition.places, definition.devices)
    watched = {device.place for device in _watching(definition)}
    until = min(span.end, made_at)
    return DayReport(
        name=span.name,
        start=span.start,
        end=span.end,
        zone=definition.zone,
        made_at=made_at,
        version=definition.version,
        cases=figures(heard.cases, span.start, span.end) if heard.cases_since < until else None,
        case_list=tuple(map(_case, heard.cases)),
        silent=tuple(silent(heard.cases)),
        lanes=None if heard.crowds is None else tuple(_lanes(definition, places, span, heard, until)),
        unwatched=sum(place.kind is PlaceKind.LANE and place.id not in watched for place in places.places),
        vehicles=heard.vehicles,
        cases_since=heard.cases_since if heard.cases_since > span.start else 0,
        alarms_since=heard.alarms_since if heard.alarms_since > span.start else 0,
    )


def _case(case: Case) -> CaseLine:
    same = {name: getattr(case, name) for name in CaseLine.__struct_fields__ if name not in ("peak", "state")}
    return CaseLine(**same, peak=case.peak.word, state=case.state.value)


def _watching(definition: Definition) -> list[Device]:
    """The sensors of crowds that stand in lanes."""
    lanes = {place.id for place in definition.places if place.kind is PlaceKind.LANE}
    return [device for device in definition.devices if device.stream is Stream.CROWD and device.place in lanes]


class _Seen(msgspec.Struct, frozen=True):
    """What is kept of one sensor: its fullest slot, and when it was blind."""

    most: float | None
    at: int
    blind: tuple[tuple[int, int], ...]


def _lanes(definition: Definition, places: Places, span: Span, heard: Heard, until: int) -> Iterable[LaneLine]:
    """Measure each watched lane up to ``until``: what lies ahead is not unknown, it has not been."""
    assert heard.crowds is not None
    watching = {device.id: device for device in _watching(definition)}
    # One sensor at a time: a day of minutes of them all would be a hundred megabytes.
    seen = {name: _seen(watching[name], slots, span.start, until) for name, slots in heard.crowds if name in watching}
    levels = _levels(definition, heard.alarms, span.start, until)
    of_lane: dict[str, list[_Seen]] = {}
    for name, device in watching.items():
        of_lane.setdefault(device.place, []).append(seen.get(name) or _seen(device, (), span.start, until))
    for lane, sensors in of_lane.items():
        counts = [(one.most, -one.at) for one in sensors if one.most is not None]
        most, at = max(counts, default=(None, 0))
        area = places.by_id[lane].area_m2
        density = round(most / area, 2) if most is not None and area else None
        unknown = _covered(stretch for one in sensors for stretch in one.blind)
        stood = levels.get(lane, {}) if heard.alarms_since < until else None
        yield LaneLine(lane, most, -at, density, stood, unknown)


def _seen(device: Device, slots: Sequence[CrowdSlot], start: int, end: int) -> _Seen:
    counts = [(one.most, -one.at) for one in slots if one.most is not None and start <= one.at < end]
    most, at = max(counts, default=(None, 0))
    return _Seen(most, -at, tuple(_blind(device, slots, start, end)))


def _blind(device: Device, slots: Sequence[CrowdSlot], start: int, end: int) -> Iterable[tuple[int, int]]:
    """Yield the stretches of [start, end) in which a device had been silent for longer than its deadline."""
    never = start - device.deadline
    edges = [(never, never), *((one.at, one.last_at) for one in slots), (end, end)]
    for (_, last), (begun, _) in pairwise(edges):
        since = max(last + device.deadline, start)
        if begun > since:
            yield since, min(begun, end)


def _covered(stretches: Iterable[tuple[int, int]]) -> int:
    """How long at least one of the stretches lasts (ns)."""
    total, reached = 0, 0
    for start, end in sorted(stretches):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _levels(definition: Definition, alarms: Sequence[Transition], start: int, end: int) -> dict[str, dict[str, int]]:
    """How long the alarms on crowds stood at each level, by lane: of several the highest counts."""
    rules = {rule.id for rule in definition.rules if rule.stream is Stream.CROWD}
    of_place: dict[str, list[Transition]] = {}
    for one in alarms:
        if one.rule in rules:
            of_place.setdefault(one.place, []).append(one)
    return {place: _lasted(changes, start, end) for place, changes in of_place.items()}


def _lasted(changes: Sequence[Transition], start: int, end: int) -> dict[str, int]:
    active: dict[tuple[str, str], Level] = {}
    lasted = dict.fromkeys((level.word for level in LADDER), 0)
    position = start
    for one in sorted(changes, key=lambda change: change.at):
        at = min(max(one.at, start), end)
        worst = max(active.values(), default=Level.NONE)
        if worst > Level.NONE:
            lasted[worst.word] += at - position
        position, active[one.rule, one.key] = at, one.level
    worst = max(active.values(), default=Level.NONE)
    if worst > Level.NONE:
        lasted[worst.word] += end - position
    return lasted
