"""How fast the engine takes readings on one core, fed as batches.

Method: a synthetic street of lanes, each heard every ten seconds, in time order; batches of 20,000 readings; processor
time of ``Engine.feed`` alone (it runs on one core), best of three runs. The mix of 20 rules holds fourteen sliding
windows of ten aggregates, two sessions, the last six readings, a cumulative counter, an occupancy, and an absence rule;
``percentile`` and ``distinct`` have lines of their own. ``bytes`` is the size of the engine's stored snapshot, per key
and rule. Reference, measured in the same run: numpy adding the same readings into one float per lane
(``np.add.at``), the least that any engine on numpy must do per reading and rule.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.machine import describe
from sensord.core.batch import Batch, tick
from sensord.core.definition import Definition
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Device, Place, PlaceKind, Places
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Aggregate, Clear, Comparison, LevelSpec, Rule, Value
from sensord.core.stream import Stream

START = 1_700_000_000 * SECOND
BATCH = 20_000
PERIOD = 10 * SECOND
SLIDING = (
    *(Aggregate.MEAN, Aggregate.MAX, Aggregate.COUNT, Aggregate.SUM, Aggregate.LAST, Aggregate.MIN, Aggregate.RATE),
    *(
        Aggregate.FIRST,
        Aggregate.STDDEV,
        Aggregate.SLOPE,
        Aggregate.MEAN,
        Aggregate.MAX,
        Aggregate.COUNT,
        Aggregate.SUM,
    ),
)


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


def rule(number: int, aggregate: Aggregate, **changes: object) -> Rule:
    """Build a rule over a window of one to five minutes that slides by ten seconds, or what ``changes`` make of it."""
    per = MINUTE if aggregate in (Aggregate.RATE, Aggregate.SLOPE) else 0
    field = None if aggregate in (Aggregate.COUNT, Aggregate.OCCUPANCY) else "count"
    plain = Rule(
        id=f"rule-{number:02}",
        name={"zh": "聚集"},
        stream=Stream.CROWD,
        by="lane",
        dispatch="crowd",
        levels=(LevelSpec(Level.YELLOW, 150.0 * 30, 30 * SECOND), LevelSpec(Level.RED, 300.0 * 30)),
        clear=Clear((0.0, 0.0), MINUTE),
        comparison=Comparison.ABOVE,
        value=Value(aggregate, field, per, 95.0 if aggregate is Aggregate.PERCENTILE else 0.0),
        window=(1 + number % 5) * MINUTE,
        every=10 * SECOND,
    )
    return msgspec.structs.replace(plain, **changes)


def mix() -> tuple[Rule, ...]:
    """Build the mix of 20 rules."""
    sliding = [rule(number, aggregate) for number, aggregate in enumerate(SLIDING)]
    others = [
        rule(14, Aggregate.SUM, window=0, session=MINUTE),
        rule(15, Aggregate.MAX, window=0, session=MINUTE),
        rule(16, Aggregate.MEAN, window=0, readings=6),
        rule(17, Aggregate.DELTA),
        rule(18, Aggregate.OCCUPANCY, window=10 * SECOND),
        rule(19, Aggregate.COUNT, window=0, every=0, value=None, absent=3.0, levels=(LevelSpec(Level.BLUE, 1.0),)),
    ]
    return (*sliding, *others[:5], msgspec.structs.replace(others[5], clear=Clear((0.0,), 0)))


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
        fields = {
            "count": count,
            "enter": random.poisson(1.0, len(number)).astype(np.float64),
            "exit": random.poisson(1.0, len(number)).astype(np.float64),
        }
        yield Batch(int(received[-1]), zeros, device, event, received, zeros, fields, {})
        done += BATCH


def measure(rules: tuple[Rule, ...], lanes: int, readings: int) -> tuple[float, float, float]:
    """Return (readings/s of the engine, readings/s of the reference, bytes per key and rule), best of three."""
    places, devices = street(lanes)
    definition = Definition("bench", places, devices, rules)
    tree = Places(places, devices)
    fed = list(batches(lanes, readings))
    best, least, size = 0.0, 0.0, 0.0
    for _ in range(3):
        engine = Engine(definition, tree)
        engine.feed(tick(START))  # the start is measured elsewhere
        began = time.process_time()
        for batch in fed:
            engine.feed(batch)
        best = max(best, readings / (time.process_time() - began))
        size = len(engine.snapshot()) / lanes / len(rules)
        sums = np.zeros(lanes)
        began = time.process_time()
        for batch in fed:
            np.add.at(sums, batch.device, batch.fields["count"])
        least = max(least, readings / (time.process_time() - began))
    return best, least, size


CASES: tuple[tuple[str, tuple[Rule, ...], int, int, float], ...] = (
    ("one mean", (rule(0, Aggregate.MEAN),), 500, 4_000_000, 10e6),
    ("mix of 20", mix(), 5_000, 1_000_000, 1e6),
    ("one percentile", (rule(0, Aggregate.PERCENTILE),), 5_000, 1_000_000, 1e6),
    ("one distinct", (rule(0, Aggregate.DISTINCT),), 5_000, 1_000_000, 1e6),
)
"""(name, rules, lanes, readings, target in readings/s)"""


def main() -> None:
    """Print the table."""
    print(describe(__doc__))
    print(
        f"{'rules':>14} {'lanes':>6} {'readings/s':>12} {'evaluations/s':>14} {'reference/s':>12} {'ratio':>6} "
        f"{'bytes':>6}  target"
    )
    for name, rules, lanes, readings, target in CASES:
        speed, reference, size = measure(rules, lanes, readings)
        met = "met" if speed >= target else "missed"
        print(
            f"{name:>14} {lanes:>6} {speed:>12,.0f} {speed * len(rules):>14,.0f} {reference:>12,.0f} "
            f"{speed / reference:>6.2f} {size:>6.0f}  {target:,.0f}/s {met}"
        )


if __name__ == "__main__":
    main()
