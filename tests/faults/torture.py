"""``make torture N=1000``: every experiment, many times over, and the table of ``docs/reliability.md`` from it."""

from __future__ import annotations

import argparse
import logging
import math
import os
import platform
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from tests.faults.alertstorm import alert_storms
from tests.faults.brokenlink import broker_kills, half_open, lost_sessions, repetitions, storms, takeovers
from tests.faults.clocks import device_clocks, host_jumps, stored_hours
from tests.faults.copies import copy_kills
from tests.faults.fleet import registered_storms
from tests.faults.kills import point_kills, random_kills
from tests.faults.mail import dribbling_mail
from tests.faults.mends import mend_kills, upgrade_kills
from tests.faults.midnight import midnight_kills
from tests.faults.names import WAYS as NAMELESS
from tests.faults.names import unresolved
from tests.faults.nonsense import nonsense
from tests.faults.outside import damaged_journal, damaged_state, full_disk
from tests.faults.overload import overload
from tests.faults.points import POINTS
from tests.faults.powercut import power_cuts
from tests.faults.receivers import WAYS, failing_receiver, second_ways
from tests.faults.silent import silent_sensors
from tests.faults.sinks import TROUBLES, failing_database
from tests.faults.smallcut import small_cuts
from tests.faults.supervised import (
    DISKS,
    crash_loops,
    dying_workers,
    failing_disk,
    hung_workers,
    second_daemons,
    stuck_channel,
    stuck_sink,
)
from tests.faults.tally import Row, merged, table
from tests.faults.waiting import well_again, worst_first
from tests.support import program

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
_BLOCK = re.compile(r"(<!-- torture -->\n)(.*)(<!-- /torture -->)", re.DOTALL)


@dataclass(slots=True)
class Effort:
    """How much is to be done: so many ``runs``, from a ``seed`` on, for so many ``minutes`` at most."""

    runs: int
    seed: int
    minutes: float = math.inf
    tired: bool = False

    def share(self, part: int) -> Iterator[int]:
        """Count the rounds of an experiment that does a part of the runs; ends early when it is time, or on Ctrl-C."""
        ends = time.monotonic() + self.minutes * 60
        for number in range(max(1, self.runs // part)):
            if number and (self.tired or time.monotonic() > ends):
                return
            yield number

    def tire(self, *_: object) -> None:
        """Let the experiment that runs come to its end; a second Ctrl-C is the usual one."""
        self.tired = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


Experiment = Callable[[Path, Effort], list[Row]]
"""A function of a folder of its own, and the effort."""


def _each(experiment: Callable[[Path, Iterable[int], int], Row | list[Row]], part: int) -> Experiment:
    """An experiment of rounds, a part of the runs."""

    def run(directory: Path, effort: Effort) -> list[Row]:
        found = experiment(directory, effort.share(part), effort.seed)
        return found if isinstance(found, list) else [found]

    return run


def _ways(
    experiment: Callable[[Path, Iterable[int], int, str], Row | list[Row]], names: Iterable[str], part: int
) -> Experiment:
    """One experiment in several ways, a row for each."""

    def run(directory: Path, effort: Effort) -> list[Row]:
        rows = list[Row]()
        for number, name in enumerate(names):
            found = experiment(directory / str(number), effort.share(part), effort.seed, name)
            rows += found if isinstance(found, list) else [found]
        return rows

    return run


def _points(directory: Path, effort: Effort) -> list[Row]:
    rounds, seed = max(1, effort.runs // (5 * len(POINTS))), effort.seed
    rows = [
        one(directory / one.__name__, rounds, seed) for one in (midnight_kills, mend_kills, upgrade_kills, copy_kills)
    ]
    return [*point_kills(directory, rounds, seed), *rows]


def _power(directory: Path, effort: Effort) -> list[Row]:
    runs, first = effort.runs, effort.seed * 1_000_000
    return [power_cuts(directory / "databases", runs, first), small_cuts(directory / "small", runs, first)]


def _files(directory: Path, effort: Effort) -> list[Row]:
    return [
        damaged_journal(directory / "journal", effort.share(100), effort.seed),
        damaged_state(directory / "state", effort.share(100), effort.seed),
    ]


def _overload(directory: Path, effort: Effort) -> list[Row]:
    return [overload(directory, min(600, max(5, effort.runs)), effort.seed)]


EXPERIMENTS: dict[str, Experiment] = {
    "power": _power,
    "points": _points,
    "kills": _each(random_kills, 1),
    "files": _files,
    "disk": _each(full_disk, 50),
    "io": _ways(failing_disk, DISKS, 50),
    "hung": _each(hung_workers, 50),
    "stuck-channel": _each(stuck_channel, 100),
    "stuck-sink": _each(stuck_sink, 100),
    "dying": _each(dying_workers, 50),
    "loops": _each(crash_loops, 200),
    "second": _each(second_daemons, 50),
    "broker": _each(broker_kills, 10),
    "link": _each(half_open, 20),
    "session": _each(lost_sessions, 20),
    "takeover": _each(takeovers, 60),
    "storm": _each(storms, 50),
    "fleet": _each(registered_storms, 50),
    "repeats": _each(repetitions, 20),
    "nonsense": _each(nonsense, 20),
    "clocks": _each(device_clocks, 100),
    "stored": _each(stored_hours, 100),
    "host": _each(host_jumps, 50),
    "silent": _each(silent_sensors, 100),
    "receivers": _ways(failing_receiver, WAYS, 50),
    "well-again": _each(well_again, 50),
    "alert-storm": _each(alert_storms, 500),
    "order": _each(worst_first, 50),
    "names": _ways(unresolved, NAMELESS, 50),
    "mail": _each(dribbling_mail, 20),
    "second-channel": _each(second_ways, 100),
    "sinks": _ways(failing_database, TROUBLES, 50),
    "overload": _overload,
}


def run(names: list[str], effort: Effort) -> Iterator[Row]:
    """Run experiments one after the other, saying what they find."""
    for name in names:
        began, effort.tired = time.monotonic(), False
        signal.signal(signal.SIGINT, effort.tire)
        with tempfile.TemporaryDirectory(prefix="sensord-torture-") as directory:
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
            yield from EXPERIMENTS[name](Path(directory), effort)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)  # noqa: T201


def load_now() -> str:
    """Say so, when others kept the machine busy: numbers of seconds mean less then."""
    busy = os.getloadavg()[2] - 1.0  # the experiments themselves take about one core
    return f", load {os.getloadavg()[2]:.1f}" if busy > 1.0 else ""


def document(text: str, rows: list[Row]) -> str:
    """Put the rows, and on what they were made, into the document; rows of other experiments there stay as they are."""
    version = subprocess.run([program("mosquitto"), "-h"], capture_output=True, text=True, check=False).stdout
    made = (
        f"Made by `make torture` on {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{version.partition(chr(10))[0].strip()}.\n\n"
    )
    return _BLOCK.sub(lambda found: f"{found[1]}{made}{merged(found[2], rows)}{found[3]}", text)


def main() -> None:
    """Read the arguments, run, print the table; with ``--write`` put it into the document, too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="the longest for each experiment of rounds")
    parser.add_argument("--only", choices=sorted(EXPERIMENTS), action="append")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    effort = Effort(arguments.runs, arguments.seed, arguments.minutes)
    rows = list(run(arguments.only or list(EXPERIMENTS), effort))
    bound = f" `--minutes {effort.minutes:g}`" if effort.minutes < math.inf else ""
    for row in rows:
        row.made = f"`N={effort.runs} SEED={effort.seed}`{bound}{load_now()}"
    print(table(rows), end="")  # noqa: T201
    if arguments.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(document(text, rows), encoding="utf-8")
    if any(row.lost or row.doubled or row.invented for row in rows):
        sys.exit("something was lost, doubled or invented")


if __name__ == "__main__":
    main()
