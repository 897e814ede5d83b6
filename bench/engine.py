"""How fast the engine takes readings on one core, fed as batches.

Method: a synthetic street of lanes, each heard every ten seconds, in time order; batches of 20,000 readings; the time
of ``Engine.feed`` alone, best of three runs. Reference, measured in the same run: numpy adding the same readings into
one float per lane (``np.add.at``), the least that any engine on numpy must do per reading and rule.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.machine import describe
from sensord.core.batch import Batch
from sensord.core.definition import Definition
from sensord.core.engine import Engine
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Device, Place, PlaceKind, Places
from sensord.core.rule import Aggregate, Clear, Comparison, LevelSpec, Rule, Value
from sensord.core.stream import Stream

START = 1_700_000_000 * SECOND
BATCH = 20_000
PERIOD = 10 * SECOND
_AGGREGATES = (Aggregate.MEAN, Aggregate.MAX, Aggregate.COUNT, Aggregate.SUM, Aggregate.LAST)


def street(lanes: int) -> tuple[tuple[Place, ...], tuple[Device, ...]]:
    """Build one grid with ``lanes`` lanes, a crowd sensor in each."""
    places = [
        Place("street", PlaceKind.STREET, "街道"),
        Place("B1", PlaceKind.BLOCK, "街区", parent="street"),
        Place("G1", PlaceKind.GRID, "居民区", parent="B1"),
        Place("M1", PlaceKind.MICRO_GRID, "微网格", parent="G1"),
        Place("C1", PlaceKind.COMPOUND, "小区", parent="G1", micro_grids=("M1",)),
    ]
    places += [Place(f"L{n:05}", PlaceKind.LANE, "弄", parent="M1", compound="C1", area_m2=100.0) for n in range(lanes)]
    devices = tuple(Device(f"d{n:05}", Stream.CROWD, f"L{n:05}", PERIOD) for n in range(lanes))
    return tuple(places), devices


def rule(number: int) -> Rule:
    """Build one of a mix of rules: five aggregates, windows of one to five minutes sliding by ten seconds."""
    return Rule(
        id=f"rule-{number:02}",
        name={"zh": "聚集"},
        stream=Stream.CROWD,
        by="lane",
        dispatch="crowd",
        levels=(LevelSpec(Level.YELLOW, 150.0 * 30, 30 * SECOND), LevelSpec(Level.RED, 300.0 * 30)),
        clear=Clear((0.0, 0.0), MINUTE),
        comparison=Comparison.ABOVE,
        value=Value(_AGGREGATES[number % 5], "count"),
        window=(1 + number % 5) * MINUTE,
        every=10 * SECOND,
    )


def batches(lanes: int, readings: int) -> Iterator[Batch]:
    """Yield ``readings`` readings, one per lane and period, a little disordered in event time."""
    random = np.random.default_rng(7)
    done = 0
    while done < readings:
        number = np.arange(done, min(done + BATCH, readings))
        received = START + number * PERIOD // lanes
        event = received - random.integers(0, SECOND, len(number))
        count = random.poisson(20.0, len(number)).astype(np.float64)
        zeros = np.zeros(len(number), np.int8)
        device = (number % lanes).astype(np.int32)
        yield Batch(int(received[-1]), zeros, device, event, received, zeros, {"count": count}, {})
        done += BATCH


def measure(rules: int, lanes: int, readings: int) -> tuple[float, float]:
    """Return (readings/s of the engine, readings/s of the reference), best of three."""
    places, devices = street(lanes)
    definition = Definition("bench", places, devices, tuple(rule(number) for number in range(rules)))
    tree = Places(places, devices)
    fed = list(batches(lanes, readings))
    best, least = 0.0, 0.0
    for _ in range(3):
        engine = Engine(definition, tree)
        began = time.perf_counter()
        for batch in fed:
            engine.feed(batch)
        best = max(best, readings / (time.perf_counter() - began))
        sums = np.zeros(lanes)
        began = time.perf_counter()
        for batch in fed:
            np.add.at(sums, batch.device, batch.fields["count"])
        least = max(least, readings / (time.perf_counter() - began))
    return best, least


def main() -> None:
    """Print the table."""
    print(describe(__doc__))
    print(
        f"{'rules':>5} {'lanes':>6} {'readings/s':>12} {'evaluations/s':>14} {'reference/s':>12} {'ratio':>6}  target"
    )
    for rules, lanes, readings, target in ((1, 500, 4_000_000, 10e6), (20, 5_000, 1_000_000, 1e6)):
        speed, reference = measure(rules, lanes, readings)
        met = "met" if speed >= target else "missed"
        print(
            f"{rules:>5} {lanes:>6} {speed:>12,.0f} {speed * rules:>14,.0f} {reference:>12,.0f} "
            f"{speed / reference:>6.2f}  {target:,.0f}/s {met}"
        )


if __name__ == "__main__":
    main()
