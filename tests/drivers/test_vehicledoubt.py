"""Who is inside is in doubt after a silence and after the installation, and the report says so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from sensord.config.load import Loaded
from sensord.core.instant import DAY, HOUR, MINUTE
from sensord.core.place import Device, PlaceKind
from sensord.core.site import Step
from sensord.core.stream import Stream
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.tally import Occupancy
from sensord.core.vehicles.tracking import Tracking
from sensord.drivers.vehiclepages import VehiclePages
from sensord.drivers.vehiclereport import Kept, build
from sensord.reporting import VehicleReporter
from sensord.store.state import StateStore
from tests.core.traffic import definition, devices
from tests.drivers.test_vehiclereport import LATER, NOWHERE, SPAN, report, seen


@pytest.mark.parametrize(
    ("blind", "sure", "nearest"),
    [
        (Blind("cam-C2-N", SPAN.start - 3 * DAY - HOUR, SPAN.start - 3 * DAY), True, ("C2", "C3")),
        (Blind("cam-C2-N", SPAN.start - 3 * DAY - HOUR, SPAN.start - 3 * DAY + MINUTE), False, ("C3",)),
        (Blind("cam-C2-N", 0, SPAN.end - 30 * DAY), True, ("C2", "C3")),
        (Blind("cam-C2-N", 0, SPAN.end - 30 * DAY + 1), False, ("C3",)),
        (Blind("cam-C1-S", SPAN.end - DAY - HOUR, SPAN.end - DAY), True, ("C2", "C3")),
    ],
)
def test_inside_is_in_doubt_until_a_silence_is_explained(blind: Blind, sure: bool, nearest: tuple[str, ...]) -> None:
    """Four days after a silence, a month after the installation; meanwhile nobody is sent there."""
    made = report(blind)
    tables = {table.title: table for table in VehiclePages(made, NOWHERE, "zh").tables()}
    told = {row[0]: row[tables["车辆 · 小区"].columns.index("在内")] for row in tables["车辆 · 小区"].rows}
    full = blind.device.startswith("cam-C1")
    assert told == {"C1": "4 ±1?" if full else "4 ±1", "C2": "1 ±0" if sure else "1 ±0?", "C3": "2 ±2"}
    street = tables["车辆 · 全街道"]
    assert street.rows[0][street.columns.index("在内")] == ("7 ±3" if sure and not full else "7 ±3?")
    ((compound, free, named),) = tables["车位紧张的小区与最近的空位"].rows
    assert (compound, free) == ("C1", "0?" if full else "0")
    assert tuple(one[:2] for one in named.split("、")) == nearest
    assert ("（剩余）：C1（0?）" in VehiclePages(made, NOWHERE, "zh").lines()[-1]) is full


@pytest.mark.parametrize(
    ("language", "line", "note"),
    [
        ("zh", "7 ±3?（2025-12-01 起，只算见到驶入的）", "2025-12-01 起才有摄像头"),
        ("en", "7 ±3? (since 2025-12-01 only vehicles that were seen coming)", "Since 2025-12-01 only vehicles"),
    ],
)
def test_who_stood_there_before_anybody_looked_is_said_to_be_missing(language: str, line: str, note: str) -> None:
    """In the line that is sent, and where: a compound a note for each day on which cameras began."""
    began = [Blind("cam-C2-N", 0, SPAN.start - 3 * DAY), Blind("cam-C1-S", 0, SPAN.start)]
    pages = VehiclePages(report(*began), NOWHERE, language)
    assert line in pages.lines()[0]
    notes = [one for one in pages.notes() if "2025-1" in one and ("C1" in one or "C2" in one)]
    assert [note in one for one in notes] == [False, True]
    assert ["C2" in one for one in notes] == [True, False]
    assert not any("C1" in one for one in VehiclePages(report(), NOWHERE, language).notes())


@pytest.mark.parametrize(("came", "doubted"), [(SPAN.end - 10 * DAY, False), (SPAN.end - 2 * DAY, True)])
def test_a_second_camera_leaves_a_gate_its_past(came: int, doubted: bool) -> None:
    """What it might have seen until it was heard is a silence; who stood there before is counted all the same."""
    whole = definition(devices=(*devices(), Device("second", Stream.PLATE, "C2-N", MINUTE)))
    blind = seen(Blind("second", 0, came), Blind("second", came, came + HOUR))
    inside = [Occupancy(SPAN.end, name, 1, 0) for name in ("C1", "C2", "C3")]
    made = build(whole, SPAN, Kept((), inside, blind, LATER), LATER)
    assert {one.place: (one.doubted, one.begun) for one in made.of(PlaceKind.COMPOUND)} == {
        "C1": (False, 0), "C2": (doubted, 0), "C3": (False, 0)
    }  # fmt: skip


def test_a_silence_is_looked_for_as_far_back_as_it_is_felt(tmp_path: Path) -> None:
    """A report of a day knows of a silence before the week that it shows, if visits are believed for longer."""
    long = definition(rules=(), tracking=Tracking(believed=12 * DAY))
    loaded = cast("Loaded", SimpleNamespace(definition=long))
    early = Blind("cam-C2-N", SPAN.end - 10 * DAY, SPAN.end - 9 * DAY)
    inside = [Occupancy(SPAN.end, name, 1, 0) for name in ("C1", "C2", "C3")]
    store = StateStore(tmp_path)
    store.apply(Step(1, LATER, occupancy=inside, blind=seen(early)))
    store.close()
    made = VehicleReporter(lambda: loaded, tmp_path).make(SPAN, LATER)
    assert {one.place: one.doubted for one in made.of(PlaceKind.COMPOUND)} == {"C1": False, "C2": True, "C3": False}
