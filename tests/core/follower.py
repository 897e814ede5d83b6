"""Intake and tracker together, and cameras' readings at a second, for tests of passages and visits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sensord.core.definition import Definition
from sensord.core.instant import DAY, HOUR, SECOND
from sensord.core.intake.intake import Intake
from sensord.core.place import Places
from sensord.core.record import Record, RecordKind
from sensord.core.stream import DIRECTION, EVENT, Stream
from sensord.core.vehicles.pseudonym import Pseudonymiser
from sensord.core.vehicles.tracker import Tracker
from sensord.core.vehicles.trackerstate import load, save
from tests.core.traffic import MONDAY, SECRETS, START, definition, passage, token

A, B, C = "沪A12345", "苏E24680", "皖K13579"
A_CONFUSED, A_STRAY, A_HALF = "沪A1Z345", "沪A1X345", "沪A12999"
A_OTHER = "沪A12945"
"""One character from A, and two from A_STRAY."""
GREEN, GREEN_HALF, GREEN_SHORT = "沪AD12345", "沪AD16789", "沪AD1234"
PLATES = (A, B, C, A_CONFUSED, A_STRAY, A_HALF, A_OTHER, GREEN, GREEN_HALF, GREEN_SHORT)
NIGHT = (DAY + 3 * HOUR - (START - MONDAY)) / SECOND
"""The first night hour, in seconds since the start."""


@dataclass(frozen=True, slots=True)
class Row:
    """One derived reading: second since the start, event, gate and direction, vehicle, and its numbers."""

    at: float
    event: str
    where: str
    vehicle: str
    numbers: dict[str, float]


class Follower:
    """Intake and tracker together; ``see`` hands on records one by one and returns what was said."""

    def __init__(self, **changes: object) -> None:
        self.definition: Definition = definition(**changes)
        self.places = Places(self.definition.places, self.definition.devices)
        who = Pseudonymiser(self.definition.plate_keys, self.definition.tracking.overlap, SECRETS)
        self.intake = Intake(self.definition, self.places, who)
        self.tracker = Tracker(self.definition, self.places)
        self.names = {token(plate): plate for plate in PLATES} | {0: ""}

    def see(self, *records: Record) -> list[Row]:
        """Step through records and return the derived readings."""
        rows: list[Row] = []
        for record in sorted(records, key=lambda record: record.received_at):
            batch = self.tracker.take(self.intake.decode((record,), record.received_at).batch)
            for row in np.flatnonzero(batch.stream == Stream.VISIT).tolist():
                assert batch.sightings is not None
                device = self.places.devices[int(batch.device[row])]
                way = DIRECTION.words[int(batch.labels["direction"][row])]
                numbers = {name: float(column[row]) for name, column in batch.fields.items()}
                rows.append(
                    Row(
                        (int(batch.event_at[row]) - START) / SECOND,
                        EVENT.words[int(batch.labels["event"][row])],
                        f"{device.place} {way}",
                        self.names[int(batch.sightings.who[row, 0])],
                        {name: round(number, 3) for name, number in numbers.items() if not math.isnan(number)},
                    )
                )
        return rows

    def restart(self) -> None:
        """Go on with another tracker from what this one saves."""
        saved, self.tracker = save(self.tracker), Tracker(self.definition, self.places)
        load(self.tracker, saved)

    def inside(self, compound: str = "C1") -> tuple[int, int]:
        """Who is inside a compound, and by how much that may be wrong."""
        here = self.tracker.presence.compounds[compound]
        return here.inside, here.unsure


def at(second: float, plate: str | None, way: str = "in", sureness: float = 0.97, gate: str = "C1-N") -> Record:
    """A reading at a second since the start."""
    return passage(gate, START + round(second * SECOND), plate, way, sureness)


def tick(second: float) -> Record:
    """Time passes and nothing is heard."""
    return Record(RecordKind.TICK, START + round(second * SECOND))


def short(rows: list[Row]) -> list[tuple[float, str, str, str]]:
    """Leave the numbers out."""
    return [(row.at, row.event, row.where, row.vehicle) for row in rows]
