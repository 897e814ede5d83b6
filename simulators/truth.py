"""What truly happens in a simulated street, as the labelled incidents that backtests judge alerts by.

A crowd deserves the highest level of Fruin's bands (walkways: D ends at 1.08, E at 2.17 people/m2; involuntary contact
at 3.57) that it truly stays above for two minutes, from the moment it passes the lowest; one that stays above the
lowest for less is labelled, but no alert is asked for. A silent device is an incident from when it falls silent.
Of vehicles that live in the street, one from out of town that stays for a day is an overstay from then on (an alert is
asked for when a camera saw it come), and two that carry one plate are a clone from when the second came until the first
left (an alert is asked for when cameras saw all of it).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sensord.backtest.labels import Incident
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import PlaceKind
from sensord.core.stream import Stream
from simulators.scenario import gate_cameras
from simulators.sensors import densities, passages
from simulators.street import Street

BANDS = ((Level.YELLOW, 1.08), (Level.ORANGE, 2.17), (Level.RED, 3.57))
LASTING = 2 * MINUTE
_JOIN = 5 * MINUTE
"""Two crowds in one lane so near each other are one incident."""
_MANY = 10
"""Out-of-town vehicles within ten minutes that the residents' committee wants to know of (an example)."""


def incidents(street: Street) -> list[Incident]:
    """Return everything that truly happens, by start."""
    found = [*_crowds(street), *_silences(street), *_vehicles(street), *_waves(street)]
    found += [*_overstays(street), *_clones(street)]
    return sorted(found, key=lambda incident: (incident.start, incident.place, incident.kind))


def _crowds(street: Street) -> Iterator[Incident]:
    at = np.arange(street.start, street.end, SECOND, dtype=np.int64)
    for lane in street.world.crowds:
        dense = densities(lane, at, street.world)
        above = np.flatnonzero(dense > BANDS[0][1])
        if not len(above):
            continue
        for stretch in np.split(above, np.flatnonzero(np.diff(above) * SECOND > _JOIN) + 1):
            level = Level.NONE
            for band, threshold in BANDS:
                if np.count_nonzero(dense[stretch] > threshold) * SECOND >= LASTING:
                    level = band
            start, end = int(at[stretch[0]]), int(at[stretch[-1]]) + SECOND
            yield Incident(lane, start, end, "crowd", level, level is not Level.NONE)


def _silences(street: Street) -> Iterator[Incident]:
    """Devices without power, and devices of which little or nothing useful arrives (no alert is asked for then)."""
    devices = {device.id: device for device in street.places.devices}
    cameras = gate_cameras(street.places)
    for name, start, end, silent in _quiet(street):
        device = devices[name]
        # A gate is blind when all of its cameras are.
        alone = device.stream is not Stream.PLATE or len(cameras[device.place]) == 1
        stop = min(street.start + end, street.end)
        lasting = stop - street.start - start >= 2 * device.deadline
        kind = f"{device.stream.word}_silence"
        yield Incident(device.place, street.start + start, stop, kind, must=silent and lasting and alone)


def _quiet(street: Street) -> Iterator[tuple[str, int, int, bool]]:
    """Yield (device, start, end, wholly silent?), ns since the start."""
    for silence in street.scenario.silences:
        yield silence.device, silence.start, silence.end, True
    for fault in street.scenario.faults:
        if fault.kind in ("outage", "backlog", "garbage", "disorder"):
            names = fault.devices if fault.devices is not None else [device.id for device in street.places.devices]
            for name in sorted(names):
                yield name, fault.start, fault.end, fault.kind in ("outage", "backlog") and fault.share == 1.0


def _vehicles(street: Street) -> Iterator[Incident]:
    """Every vehicle from a key area that drives in; only those that the scenario planned must be told of."""
    background = street.scenario.background
    if not street.scenario.vehicles and not background.key_area:
        return
    for gate, cameras in gate_cameras(street.places).items():
        for camera in cameras:
            for passage in passages(camera, street.world):
                if passage.at >= street.end:
                    break
                if passage.sort == "key_area" and passage.inward:
                    yield Incident(gate, passage.at, passage.at, "key_area_vehicle", must=passage.planned)


def _waves(street: Street) -> Iterator[Incident]:
    for wave in street.scenario.waves:
        start, end = street.start + wave.start, min(street.start + wave.end, street.end)
        certain = wave.per_hour * 10 * MINUTE / HOUR >= 1.5 * _MANY and end - start >= 20 * MINUTE
        yield Incident(wave.gate, start, end, "out_of_town_arrivals", must=certain)


def _overstays(street: Street) -> Iterator[Incident]:
    local = street.world.definition.plates.local
    for stay in street.traffic.truth.stays if street.traffic is not None else ():
        due, left = stay.entry.at + DAY, street.end if stay.exit is None else stay.exit.at
        if stay.entry.at >= street.start and due < min(left, street.end) and not stay.entry.plate.startswith(local):
            yield Incident(stay.entry.compound, due, left, "overstay", must=stay.entry.seen)


def _clones(street: Street) -> Iterator[Incident]:
    traffic = street.traffic
    town = next(place.id for place in street.places.places if place.kind is PlaceKind.STREET)
    for plate in sorted(traffic.truth.clones) if traffic is not None else ():
        assert traffic is not None
        first, second = sorted(
            (stay for stay in traffic.truth.stays if stay.entry.plate == plate), key=lambda stay: stay.entry.at
        )
        if first.exit is None or second.exit is None or not street.start <= first.entry.at < street.end:
            continue
        seen = all(drive.seen for drive in (first.entry, first.exit, second.entry, second.exit))
        yield Incident(town, second.entry.at, first.exit.at, "cloned_plate", must=seen and first.exit.at < street.end)
