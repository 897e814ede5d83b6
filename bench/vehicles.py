"""How right, how fast and how large the following of vehicles is.

*Right*: a simulated week of the sample street (38 compounds, 50 gates) with known truth. Cameras misread 3 % of their
readings by one character (a tenth of these by any character, the rest within its confusion group), miss 1 % of the
passages altogether, show 1 % illegible and 0.5 % bare readings, repeat 2 % of their messages within half a minute,
their clocks are wrong by up to five minutes, they say once a minute that they are alive, their way here is held up
three times a day (half of the time for no more than 75 s, else for up to ten minutes), and of vehicles within a minute
of another three in ten drive one to three seconds behind it. Judged as ``simulators/trafficscore.py`` says. A visit is
right when every end that a camera saw is paired with the right other end, and every end that none saw is known to have
been missed; *both ends* leaves the latter out. A clone is a plate that two vehicles carry: one is parked for twenty
hours, and the other visits another compound once meanwhile; *clones* are those that can be told from what the cameras
showed (``Truth.findable`` has the rule: the parked one was shown coming and going, and the other one's visit has a
witness), *clones, all* are all, and the target for them is what is left when some six in a hundred cannot be told by
anybody, and in a week of some forty clones a few more by chance. Eight weeks of eight seeds on which nothing was
chosen: each line is the sum of all, with the worst week beside it, and every target is for each single week.

*Long*: three weeks of 3,000 vehicles with the same errors, under the shipped rules, of four seeds on which nothing was
chosen; the targets of stays are for their sum, those of what is inside for the worst. *Stays* are what the rules on
vehicles from out of town hear: after 24 and 72 hours, and on every night from the third on; true when that vehicle is
inside at that moment. A vehicle that left unseen looks like one that stays until something contradicts it, so it is
the rare stay that is doubtful: what is said should be likelier than not, and of what is true no more than one in ten
may be lost. *Inside* are all hours from the eighth
day on (before that, vehicles leave that came before we looked): the share in which the truth is within what the core
says it may be wrong by, and by how much too many are said to be inside.

*Fast*: readings per second on one core, by the processor time that the process used, best of three runs. Two loads:

- the load that the target names, 10,000 distinct vehicles a day, each in and out, every passage read twice, without
  errors, for three days (120,000 readings), as decoded batches of a day;
- the simulated week, with all its errors and its nights, of 3,000 vehicles (seven readings a minute: what is paid by
  the minute and not by the reading, such as panes, counts for more), as decoded batches of 20,000 readings.

Each is followed (passages and visits), then also run through the sample rules on visits, and then stepped by the whole
core as a replay does it, with cases, tallies, parking spaces, and a look at which cameras are silent. (These cameras
send no signs of life, so here hours without a vehicle are no silence.) The week is also taken
from raw messages (JSON, clock, repeats, class, pseudonym). Reference, in the same run: numpy counting the same readings
per gate (``np.add.at``).

*Large*: 10,000 distinct vehicles a day for 30 days, all of them new each day (the worst case), two readings a passage,
as decoded batches: the growth of the process, what Python counts for the tracker, and the size of its saved state.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.machine import describe
from sensord.cli import collect_less
from sensord.config.load import load
from sensord.core.batch import Batch, Sightings
from sensord.core.definition import Definition
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND
from sensord.core.intake.intake import Decoded, Intake
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.record import Record
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Aggregate, Clear, LevelSpec, Rule, Value
from sensord.core.site import Site
from sensord.core.stream import Stream
from sensord.core.vehicles.pseudonym import MADE_UP_KEYS, Pseudonymiser
from sensord.core.vehicles.tally import Occupancy
from sensord.core.vehicles.tracker import Tracker
from sensord.core.vehicles.trackerstate import load as restore
from sensord.core.vehicles.trackerstate import save
from simulators.traffic import Faults, Stay, Traffic
from simulators.trafficscore import Inside, Judge, Said, Score, listen

MONDAY = 1_763_913_600 * SECOND
VEHICLES, DAYS = 3000, 7
WEEK, SEEDS = 10_000, range(100, 108)
BATCH = 20_000
TARGETS = {
    "passages": 0.99,
    "visits": 0.98,
    "visits, both ends": 0.95,
    "overstays": 0.95,
    "clones": 0.95,
    "clones, all": 0.85,
}
"""Least precision and recall."""
LONG_DAYS, LONG_SEEDS, SETTLED = 21, range(200, 204), 7
LIKELY, FOUND = 0.5, 0.9
"""Least precision and recall of stays over three weeks."""
COVERED, BIAS = 0.9, 0.02
"""Least share of hours in which the number inside is as right as it says, and how far it may be off on average."""
SPEED = 200_000
Taking = Callable[[Batch], object]
"""A way to take a batch."""
CONFIG = Path(__file__).resolve().parent.parent / "config" / "sensord.yaml"


def street() -> Definition:
    """The sample street with its rules on visits, and one on stays of a day."""
    whole = load(CONFIG).definition
    stay = Rule(
        "a-day",
        {"zh": "一日"},
        Stream.VISIT,
        "compound",
        "vehicle",
        (LevelSpec(Level.BLUE, 24.0),),
        Clear((0.0,), 0),
        value=Value(Aggregate.LAST, "stay"),
        where={"event": ("staying",)},
    )
    rules = tuple(rule for rule in whole.rules if rule.stream is Stream.VISIT)
    devices = tuple(msgspec.structs.replace(device, period=HOUR) for device in whole.devices)
    return msgspec.structs.replace(whole, plate_keys=MADE_UP_KEYS, rules=(*rules, stay), devices=devices)


def _followers(definition: Definition) -> tuple[Places, Intake, Tracker]:
    places = Places(definition.places, definition.devices)
    who = Pseudonymiser(definition.plate_keys, definition.tracking.overlap, {})
    return places, Intake(definition, places, who), Tracker(definition, places)


# -- right -----------------------------------------------------------------------------------------------------------


def right(definition: Definition) -> None:
    """Print precision and recall."""
    weeks = [_week(definition, seed) for seed in SEEDS]
    print(f"\n{len(weeks)} weeks of {WEEK:,} vehicles")
    print(f"{'':18} {'true':>8} {'said':>8} {'precision':>10} {'recall':>8}   worst week      target")
    for name, target in TARGETS.items():
        scores = [week[name] for week in weeks]
        whole = _sum(scores)
        worst = min(one.precision for one in scores), min(one.recall for one in scores)
        print(
            f"{name:18} {whole.true:>8,} {whole.said:>8,} {whole.precision:>10.4f} {whole.recall:>8.4f}"
            f"   {worst[0]:.4f} {worst[1]:.4f}   {target:.2f} {'met' if min(worst) >= target else 'missed'}"
        )


def _week(definition: Definition, seed: int) -> dict[str, Score]:
    """The scores of one simulated week."""
    devices = tuple(msgspec.structs.replace(device, period=MINUTE) for device in definition.devices)
    definition = msgspec.structs.replace(definition, devices=devices)
    traffic = Traffic(definition, MONDAY, DAYS, WEEK, faults=Faults(pulse=MINUTE, stalls=3), seed=seed)
    day = next(rule for rule in definition.rules if rule.id == "a-day")
    said = listen(msgspec.structs.replace(definition, rules=(day,)), {}, traffic.records())
    who = Pseudonymiser(definition.plate_keys, 0, {})
    judge = Judge(traffic.truth, said, who, MONDAY, MONDAY + DAYS * DAY)
    both, visits = judge.visits(strict=True), judge.visits()
    # What is said of a visit is its pair of ends; that an end was missed is said by saying none.
    visits.said, visits.true_said = both.said, both.hits
    return {
        "passages": judge.passages(),
        "visits": visits,
        "visits, both ends": both,
        "overstays": judge.overstays(24 * HOUR),
        "clones": judge.clones(traffic.truth.findable(definition.plates)),
        "clones, all": judge.clones(),
    }


def _sum(scores: list[Score]) -> Score:
    whole = Score(true_said=0)
    for one in scores:
        whole.hits, whole.true, whole.said = whole.hits + one.hits, whole.true + one.true, whole.said + one.said
        whole.true_said = (whole.true_said or 0) + (one.hits if one.true_said is None else one.true_said)
    return whole


# -- long ------------------------------------------------------------------------------------------------------------


def long(definition: Definition) -> None:
    """Print how right long stays and the numbers inside are over weeks."""
    weeks = [_three_weeks(definition, seed) for seed in LONG_SEEDS]
    print(f"\n{len(weeks)} times three weeks of {VEHICLES:,} vehicles")
    print(
        f"{'out of town':18} {'true':>8} {'said':>8} {'precision':>10} {'recall':>8}   target {LIKELY:.2f} {FOUND:.2f}"
    )
    for name in weeks[0][0]:
        whole = _sum([stays[name] for stays, _ in weeks])
        met = whole.precision >= LIKELY and whole.recall >= FOUND
        print(
            f"{name:18} {whole.true:>8,} {whole.said:>8,} {whole.precision:>10.4f} {whole.recall:>8.4f}"
            f"   {'met' if met else 'missed'}"
        )
    hours = sum(inside.hours for _, inside in weeks)
    mean = sum(inside.unsure for _, inside in weeks) / hours, sum(inside.true for _, inside in weeks) / hours
    bias, covered = max((inside.bias for _, inside in weeks), key=abs), min(inside.covered for _, inside in weeks)
    met = covered >= COVERED and abs(bias) <= BIAS
    print(
        f"inside, {hours:,} hours of compounds: {mean[1]:.1f} ±{mean[0]:.1f} on average; the worst three weeks: truth "
        f"within ± in {covered:.3f}, bias {bias:+.4f}   target {COVERED:.2f} {BIAS:.2f} {'met' if met else 'missed'}"
    )


def _three_weeks(definition: Definition, seed: int) -> tuple[dict[str, Score], Inside]:
    traffic, end = Traffic(definition, MONDAY, LONG_DAYS, VEHICLES, seed=seed), MONDAY + LONG_DAYS * DAY
    occupancy: list[Occupancy] = []
    said = listen(definition, {}, traffic.records(), occupancy)
    judge = Judge(traffic.truth, said, Pseudonymiser(definition.plate_keys, 0, {}), MONDAY, end)
    ours = [one for one in said if one.sort == "out_of_town" and one.at < end]
    stays = {f"stay of {hours} h": _stays(judge, ours, hours, definition) for hours in (24, 72)}
    stays["3 nights and more"] = judge.warnings(
        [one for one in ours if one.event == "overnight" and one.number >= 3],
        lambda stay: _nights(stay, definition, end)[2:] if _stranger(stay, definition) else [],
    )
    return stays, judge.inside(occupancy, MONDAY + SETTLED * DAY)


def _stays(judge: Judge, said: list[Said], hours: int, definition: Definition) -> Score:
    """Judge what was said of stays of so many hours."""

    def reached(stay: Stay) -> list[int]:
        return [stay.entry.at + hours * HOUR] if _stranger(stay, definition) else []

    return judge.warnings([one for one in said if one.event == "staying" and round(one.number) == hours], reached)


def _stranger(stay: Stay, definition: Definition) -> bool:
    return not stay.entry.plate.startswith(definition.plates.local)


def _nights(stay: Stay, definition: Definition, end: int) -> list[int]:
    """The night hours (ns) within a stay."""
    first = MONDAY + definition.tracking.night
    first += -(-(stay.entry.at - first) // DAY) * DAY
    return list(range(first, min(end, end if stay.exit is None else stay.exit.at), DAY))


# -- fast ------------------------------------------------------------------------------------------------------------


def fast(definition: Definition) -> None:
    """Print readings per second, best of three runs; of what comes later nothing is in memory yet."""
    print(f"\n{'':44} {'readings':>9} {'readings/s':>11}  ratio to the reference")
    _print_speeds("10,000 vehicles a day", definition, list(islice(month(definition), 3)), SPEED)
    _, intake, _ = _followers(definition)
    records = [record for record in Traffic(definition, MONDAY, DAYS, VEHICLES).records() if record.payload]
    week = [intake.decode(tuple(part), part[-1].received_at).batch for part in _cut(records, BATCH)]
    reference = _print_speeds("the week with errors", definition, week, 0)
    groups = [tuple(records[start : start + 2000]) for start in range(0, len(records), 2000)]
    readings = sum(map(len, week))
    raw = max(_from_raw(definition, groups, readings) for _ in range(3))
    _print_speed("the week from raw messages, followed", readings, raw, reference, 0)
    print(f"{'reference':44} {readings:>9,} {reference:>11,.0f}")


def _print_speeds(name: str, definition: Definition, batches: list[Batch], target: int) -> float:
    """Print how fast these batches are taken, along each path; return the reference's speed."""
    readings = sum(map(len, batches))
    reference = max(_reference(batches, readings) for _ in range(3))
    paths = [("followed", _following), (f"and {len(definition.rules)} rules", _judging), ("the whole core", _stepping)]
    for what, make in paths:
        speed = max(_speed(make(definition), batches, readings) for _ in range(3))
        _print_speed(f"{name}, {what}", readings, speed, reference, target)
    return reference


def _print_speed(name: str, readings: int, speed: float, reference: float, target: int) -> None:
    verdict = f"  {target:,}/s {'met' if speed >= target else 'missed'}" if target else ""
    print(f"{name:44} {readings:>9,} {speed:>11,.0f}  {speed / reference:.5f}{verdict}")


def _cut(records: list[Record], size: int) -> Iterator[list[Record]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]


def _from_raw(definition: Definition, groups: list[tuple[Record, ...]], readings: int) -> float:
    _, intake, tracker = _followers(definition)
    began = time.process_time()
    for group in groups:
        tracker.take(intake.decode(group, group[-1].received_at).batch)
    return readings / (time.process_time() - began)


def _following(definition: Definition) -> Taking:
    """Passages and visits."""
    return _followers(definition)[2].take


def _judging(definition: Definition) -> Taking:
    """The rules on visits, too."""
    places, _, tracker = _followers(definition)
    engine = Engine(definition, places)
    return lambda batch: engine.feed(tracker.take(batch))


def _stepping(definition: Definition) -> Taking:
    """Everything that a replay does."""
    site = Site(definition)
    return lambda batch: site.take(0, Decoded(batch, [], [], Counter()))


def _speed(take: Taking, batches: list[Batch], readings: int) -> float:
    gc.collect()
    began = time.process_time()
    for batch in batches:
        take(batch)
    return readings / (time.process_time() - began)


def _reference(batches: list[Batch], readings: int) -> float:
    sums = np.zeros(1 + max(int(batch.device.max()) for batch in batches))
    began = time.process_time()
    for batch in batches:
        np.add.at(sums, batch.device, 1.0)
    return readings / (time.process_time() - began)


# -- large -----------------------------------------------------------------------------------------------------------


def month(definition: Definition) -> Iterator[Batch]:
    """Yield 30 days of 10,000 distinct vehicles a day, in and out, each passage read twice."""
    dice = np.random.default_rng(5)
    cameras = np.array([n for n, device in enumerate(definition.devices) if device.stream is Stream.PLATE])
    for day in range(30):
        tokens = dice.integers(-(2**62), 2**62, 10_000)
        camera = dice.choice(cameras, len(tokens))
        start = np.sort(dice.integers(0, 20 * HOUR, len(tokens)))
        moments = np.concatenate([start, start + dice.integers(60 * SECOND, 4 * HOUR, len(tokens))])
        moments = np.concatenate([moments, moments + SECOND]) + MONDAY + day * DAY
        order = np.argsort(moments, kind="stable")
        who, where = np.tile(tokens, 4)[order], np.tile(camera, 4)[order].astype(np.int32)
        way = np.tile(np.repeat(np.array([0, 1], np.int8), len(tokens)), 2)[order]
        yield _batch(moments[order], where, way, who)


def _batch(at: np.ndarray, where: np.ndarray, way: np.ndarray, who: np.ndarray) -> Batch:
    count = len(at)
    zero = np.zeros(count, np.int8)
    columns = np.stack([who, np.zeros_like(who), who ^ 1, who ^ 2, who ^ 3], axis=1)
    labels = {"direction": way, "class": zero, "province": zero + 8, "energy": zero, "list": zero + 1}
    seen = Sightings(columns, at, np.ones(count, np.bool_), np.full(count, "沪A·**345", np.object_))
    fields = {"confidence": np.full(count, 0.95)}
    return Batch(int(at[-1]), zero + int(Stream.PLATE), where, at, at, zero, fields, labels, seen)


def large(definition: Definition) -> None:
    """Print memory after 30 days."""
    _, _, tracker = _followers(definition)
    gc.collect()
    before = _resident()
    readings = 0
    for batch in month(definition):
        tracker.take(batch)
        tracker.counts.clear()
        tracker.occupancy.clear()
        readings += len(batch)
    gc.collect()
    after, state = _resident(), save(tracker)
    tracemalloc.start()
    _, _, again = _followers(definition)
    restore(again, state)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    presence = tracker.presence
    print(
        f"\n30 days, {readings:,} readings: {len(presence.known):,} vehicles known, {len(presence.traces):,} of them "
        f"seen lately; the process grew by {(after - before) / 1e6:,.0f} MB, the tracker holds {held / 1e6:,.0f} MB, "
        f"its saved state is {len(state) / 1e6:,.1f} MB"
    )


def _resident() -> int:
    """The process's resident memory now, in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


PARTS = {"right": right, "long": long, "fast": fast, "large": large}


def main() -> None:
    """Print everything, or the parts that are named."""
    print(describe(__doc__))
    collect_less()
    definition = street()
    for name in sys.argv[1:] or PARTS:
        PARTS[name](definition)


if __name__ == "__main__":
    main()
