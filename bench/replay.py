"""How fast recorded data is replayed: a day of the whole street, five hundred messages a second, default rules.

Method: a simulated street (the shipped one with so many sensors in each micro-grid that 500 messages arrive a second)
is written as a recording once; then it is replayed from Parquet readings and from raw messages with the shipped rules,
each in a fresh process, so that its peak memory is its own. ``--hours`` sets how much of the day is replayed from
Parquet (24: 43 million readings), ``--raw-hours`` how much from raw messages; a day is extrapolated from that.
``ahead`` is another process that decodes (``sensord replay --processes 2``), ``two`` is two processes with a set of
rules each. ``cpu`` is processor time: on a machine with other work it says what one core needs, which the clock does
not. ``peak MB`` adds up the peaks of the processes. References, measured in the same run: reading the Parquet file into
columns and doing nothing; decoding the JSON lines and doing nothing.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.machine import describe
from sensord.ahead import read_ahead
from sensord.backtest.run import Setup, run
from sensord.config.load import load
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, parse_instant
from sensord.core.place import Device, PlaceKind
from sensord.core.site import Site
from sensord.core.stream import Stream
from sensord.drivers.replay import replay
from sensord.recordings.parquet import read_readings
from sensord.recordings.recording import open_recording
from sensord.source import Source
from simulators.gathering import Crowd
from simulators.recorded import write_street
from simulators.scenario import BackgroundEntry, Scenario
from simulators.street import Street

ROOT = Path(__file__).resolve().parent.parent
RATE = 500.0
DAY_MESSAGES = 43_200_000
TARGETS = {"parquet": 60.0, "parquet-ahead": 60.0, "raw": 300.0, "raw-ahead": 300.0}


def dense(definition: Definition) -> Definition:
    """Add lanes with head-counting sensors to the street until five hundred messages arrive a second."""
    lanes = [place for place in definition.places if place.kind is PlaceKind.LANE]
    missing = RATE - sum(1e9 / device.period for device in definition.devices)
    per_lane = round(missing * 10 / len(lanes))
    more = [
        msgspec.structs.replace(lane, id=f"{lane.id}-{number}") for lane in lanes for number in range(1, per_lane + 1)
    ]
    devices = [Device(f"crowd-{lane.id}", Stream.CROWD, lane.id, 10_000_000_000) for lane in more]
    return msgspec.structs.replace(
        definition, places=(*definition.places, *more), devices=(*definition.devices, *devices)
    )


def street(hours: float) -> Street:
    """The dense street on a working day, with a crowd every hour."""
    definition = dense(load(ROOT / "config" / "sensord.yaml").definition)
    lanes = [place.id for place in definition.places if place.kind is PlaceKind.LANE]
    minute = HOUR // 60
    crowds = tuple(
        Crowd(lanes[n * 97 % len(lanes)], n * HOUR + 10 * minute, 5 * minute, 3.0, 10 * minute, 5 * minute)
        for n in range(int(hours))
    )
    background = BackgroundEntry(passages_per_hour=60.0)
    scenario = Scenario({"zh": "整日", "en": "A whole day"}, 1, round(hours * HOUR), background, crowds)
    return Street(definition, scenario, parse_instant("2026-11-25T00:00:00", definition.zone))


def replayed(path: Path, raw: bool, *, ahead: bool = False) -> tuple[int, int]:
    """Replay and return (readings, transitions)."""
    readings = transitions = 0
    opened = Source(path, raw=raw).open()
    recorded = read_ahead(Source(path, raw=raw)) if ahead else opened.recorded()
    for step in replay(recorded, Site(secrets=opened.secrets)):
        readings += sum(amount for (_, outcome), amount in step.counts.items() if outcome in ("accepted", "late"))
        transitions += len(step.transitions)
    return readings, transitions


def both(path: Path) -> int:
    """Two sets of rules at once, in two processes."""
    setup = Setup.of(Source(path), processes=2)
    return sum(outcome.readings for outcome in run(setup, [setup.candidate(name, None) for name in "ab"]))


def nothing(path: Path, raw: bool) -> int:
    """Read everything and do nothing."""
    recording = open_recording(path)
    if raw:
        return sum(1 for _ in recording.records())
    assert recording.manifest is not None
    files = recording.manifest.of_kind("readings")
    return sum(len(chunk.batch) for file in files for chunk in read_readings(path / file.path))


def child(kind: str, path: Path) -> None:
    """Measure one kind in this process, and print readings, seconds, cpu, transitions and peak memory (MB)."""
    began, transitions = time.perf_counter(), 0
    spent = time.process_time()
    if kind in TARGETS:
        readings, transitions = replayed(path, kind.startswith("raw"), ahead=kind.endswith("ahead"))
    elif kind == "two":
        readings = both(path)
    else:
        readings = nothing(path, kind == "read-raw")
    seconds = time.perf_counter() - began
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = time.process_time() - spent + children.ru_utime + children.ru_stime
    print(readings, seconds, cpu, transitions, _peak())


def _peak() -> float:
    """The greatest resident memory (MB) of this process plus that of the other one, which has ended."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    # The system tells of the largest child only; no kind has more than one that is large.
    return (own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def measure(kind: str, path: Path) -> tuple[int, float, float, float]:
    """Run one measurement in a process of its own; return (readings, seconds, cpu seconds, peak MB)."""
    command = [sys.executable, __file__, "--child", kind, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    readings, seconds, cpu, _, memory = done.stdout.split()[-5:]
    return int(readings), float(seconds), float(cpu), float(memory)


def recordings(folder: Path, hours: float, raw_hours: float) -> Iterator[tuple[str, Path]]:
    """Write the recordings and yield what is to be measured on which."""
    for name, length, messages in (("readings", hours, False), ("messages", raw_hours, True)):
        began = time.perf_counter()
        manifest = write_street(folder / name, street(length), messages=messages)
        count = manifest.counts.get("message", 0) or manifest.counts["reading"]
        size, seconds = sum(file.size for file in manifest.files) / 1e6, time.perf_counter() - began
        print(f"simulated {length:g} h: {count:,} {name}, {size:,.0f} MB, {seconds:,.1f} s ({count / seconds:,.0f}/s)")
    yield from ((kind, folder / "readings") for kind in ("read-parquet", "parquet", "parquet-ahead", "two"))
    yield from ((kind, folder / "messages") for kind in ("read-raw", "raw", "raw-ahead"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--raw-hours", type=float, default=0.5)
    parser.add_argument("--child", nargs=2)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], Path(arguments.child[1]))
        return
    print(describe(__doc__))
    with tempfile.TemporaryDirectory(prefix="sensord-bench-") as folder:
        whole = list(recordings(Path(folder), arguments.hours, arguments.raw_hours))
        titles = ("what", "readings", "seconds", "cpu", "a second", "a day", "a day, cpu", "peak MB")
        print("".join(f"{title:>14}" for title in titles) + "  target")
        for kind, path in whole:
            readings, seconds, cpu, memory = measure(kind, path)
            share = DAY_MESSAGES / readings
            cells = [f"{readings:,}", f"{seconds:.2f}", f"{cpu:.2f}", f"{readings / seconds:,.0f}"]
            cells += [f"{seconds * share:.1f} s", f"{cpu * share:.1f} s", f"{memory:.0f}"]
            target = TARGETS.get(kind)
            met = "" if target is None else f"  {target:g} s {'met' if seconds * share <= target else 'missed'}"
            print("".join(f"{cell:>14}" for cell in (kind, *cells)) + met)


if __name__ == "__main__":
    main()
