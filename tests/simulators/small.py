"""A small street for the simulators: two grids, three lanes, a gate with two cameras, a car park."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sensord.core.cases.policy import Role
from sensord.core.definition import Definition
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.place import Device, Place, PlaceKind
from sensord.core.rules.rule import Aggregate, Clear, Comparison, LevelSpec, Rule, Value
from sensord.core.stream import Stream
from sensord.core.vehicles.tracking import KeyArea, PlateAreas
from simulators.gathering import Crowd
from simulators.scenario import BackgroundEntry, Scenario
from simulators.street import Street

START = 1_763_868_600 * SECOND
"""A Sunday morning, half past eleven in Shanghai."""
CROWD = Crowd("L1", 10 * SECOND, 20 * SECOND, 3.0, 40 * SECOND, 10 * SECOND)


def definition() -> Definition:
    """Make the street, with a density rule and the people of both grids."""
    places = [Place("S", PlaceKind.STREET, "街道"), Place("B1", PlaceKind.BLOCK, "街区", parent="S")]
    for grid in ("G1", "G2"):
        places += [
            Place(grid, PlaceKind.GRID, f"居民区{grid}", f"Grid {grid}", "B1"),
            Place(f"{grid}-1", PlaceKind.MICRO_GRID, f"微网格{grid}", parent=grid),
        ]
    places += [
        Place("C1", PlaceKind.COMPOUND, "小区", parent="G1", micro_grids=("G1-1",), parking=40),
        Place("C1-N", PlaceKind.GATE, "北门", parent="C1", micro_grid="G1-1"),
        Place("C2", PlaceKind.COMPOUND, "小区", parent="G2", micro_grids=("G2-1",)),
        Place("L1", PlaceKind.LANE, "一弄", "Lane 1", "G1-1", "C1", area_m2=100.0),
        Place("L2", PlaceKind.LANE, "二弄", "Lane 2", "G1-1", "C1", area_m2=60.0),
        Place("L3", PlaceKind.LANE, "三弄", "Lane 3", "G2-1", "C2", area_m2=80.0),
    ]
    devices = [Device(f"crowd-{n}", Stream.CROWD, f"L{n}", 10 * SECOND) for n in (1, 2, 3)]
    devices += [Device(f"cam-{side}", Stream.PLATE, "C1-N", MINUTE) for side in ("entry", "exit")]
    devices.append(Device("parking-1", Stream.LEVEL, "C1", MINUTE))
    rule = Rule(
        "density",
        {"zh": "聚集", "en": "Crowding"},
        Stream.CROWD,
        "lane",
        "crowd",
        (LevelSpec(Level.YELLOW, 1.0), LevelSpec(Level.ORANGE, 2.0)),
        Clear((0.1, 0.2), 0),
        Comparison.ABOVE,
        Value(Aggregate.MEAN, "density"),
        window=10 * SECOND,
        every=2 * SECOND,
    )
    people = [Person(f"cadre-{n}", "cadre", f"G{n}", (Contact("people"),)) for n in (1, 2)]
    return Definition(
        "small",
        tuple(places),
        tuple(devices),
        (rule,),
        roles=(Role("cadre", {"zh": "居委干部"}, {"zh": "请到场。"}),),
        people=tuple(people),
        plates=PlateAreas(("沪",), (KeyArea("皖K"),)),
    )


def scenario(seed: int = 1, **parts: object) -> Scenario:
    """Make a scenario of ten minutes with busy gates."""
    values: dict[str, object] = {
        "name": {"zh": "试", "en": "Trial"},
        "seed": seed,
        "duration": 10 * MINUTE,
        "background": BackgroundEntry(passages_per_hour=240.0, out_of_town=0.3),
    }
    return Scenario(**{**values, **parts})  # type: ignore[arg-type]


def street(seed: int = 1, **parts: object) -> Street:
    """Make the street with that scenario."""
    return Street(definition(), scenario(seed, **parts), START)


def write(folder: Path, text: str) -> Path:
    """Write a scenario file."""
    path = folder / "trial.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Poll a condition until it holds or the deadline has passed."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
