"""The report on a simulated Monday of a small street: the sample in ``docs/reports.md``. Every name is made up."""

from __future__ import annotations

from functools import cache

import msgspec

from sensord.core.cases.reports import Span
from sensord.core.definition import Definition
from sensord.core.instant import DAY, HOUR, MINUTE, parse_instant
from sensord.core.place import Device, Place, PlaceKind, Places
from sensord.core.site import Site, Step
from sensord.core.stream import Stream
from sensord.core.vehicles.pseudonym import MADE_UP_KEYS
from sensord.core.vehicles.tracking import KeyArea, PlateAreas
from sensord.drivers.tabular import render
from sensord.drivers.vehiclepages import VehiclePages
from sensord.drivers.vehiclereport import Kept, VehicleReport, build
from simulators.vehicleday import journal, watched

_BEGIN, _END = "<!-- sample -->", "<!-- /sample -->"
MONDAY = parse_instant("2026-11-23T00:00")


def sample_street() -> Definition:
    """One street, two residential grids, three compounds, four gates; every name is made up."""
    places = [
        Place("street", PlaceKind.STREET, "示例街道", "Sample street"),
        Place("B1", PlaceKind.BLOCK, "第一街区", "Block 1", "street"),
        Place("G1", PlaceKind.GRID, "第一居民区", "Grid 1", "B1"),
        Place("G2", PlaceKind.GRID, "第二居民区", "Grid 2", "B1"),
    ]
    for name, grid, title, english, parking in (
        ("C1", "G1", "东里", "East", 24),
        ("C2", "G1", "西里", "West", 60),
        ("C3", "G2", "南里", "South", 40),
    ):
        places.append(Place(name, PlaceKind.COMPOUND, title, english, grid, parking=parking))
        places.append(Place(f"{name}-N", PlaceKind.GATE, "北门", "north gate", name))
    places.append(Place("C1-S", PlaceKind.GATE, "南门", "south gate", "C1"))
    gates = [place.id for place in places if place.kind is PlaceKind.GATE]
    return Definition(
        "sample",
        tuple(places),
        tuple(Device(f"cam-{gate}", Stream.PLATE, gate, MINUTE) for gate in gates),
        (),
        plates=PlateAreas(("沪",), (KeyArea("皖B"),)),
        plate_keys=MADE_UP_KEYS,
    )


@cache
def sample_report() -> VehicleReport:
    """The report of a Monday, in which one camera was silent for a while and another was taken down the day before."""
    definition, day = sample_street(), MONDAY + 7 * DAY
    silences = {"cam-C2-N": (day + 13 * HOUR, day + 14 * HOUR + 20 * MINUTE), "cam-C1-S": (day - 5 * HOUR, day + DAY)}
    site, steps = Site(), list[Step]()
    traffic = msgspec.structs.replace(definition, plates=PlateAreas())  # some come from the key area by chance
    for group in journal(definition, MONDAY, watched(traffic, MONDAY, 8, 150, silences=silences)):
        steps.append(site.step(group))
    blind = {(one.device, one.since): one for step in steps for one in step.blind}
    kept = Kept(
        [one for step in steps for one in step.passages],
        [one for step in steps for one in step.occupancy if one.at == day + DAY],
        list(blind.values()),
        steps[-1].at,
    )
    return build(definition, Span("sample", day, day + DAY), kept, day + DAY + HOUR)


def redraw(text: str, language: str) -> str:
    """Put the sample between the marks of a document in ``zh`` or ``en``."""
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    printed = render(VehiclePages(sample_report(), Places(sample_street().places, ()), language).document(), "txt")
    return f"{before}{_BEGIN}\n```\n{printed}```\n{_END}{after}"
