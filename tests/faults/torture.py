"""``make torture N=1000``: every experiment, many times over, and the table of ``docs/reliability.md`` from it."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from tests.faults.kills import point_kills, random_kills
from tests.faults.outside import broker_kills, damaged_journal, damaged_state, full_disk
from tests.faults.overload import overload
from tests.faults.points import POINTS
from tests.faults.powercut import power_cuts
from tests.faults.tally import Row, merged, table
from tests.support import program

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
_BLOCK = re.compile(r"(<!-- torture -->\n)(.*)(<!-- /torture -->)", re.DOTALL)

Experiment = Callable[[Path, int, int], list[Row]]
"""A function of a folder of its own, how often, and a seed."""


def _random(directory: Path, runs: int, seed: int) -> list[Row]:
    return [random_kills(directory, runs, seed)]


def _points(directory: Path, runs: int, seed: int) -> list[Row]:
    return point_kills(directory, max(1, runs // (5 * len(POINTS))), seed)


def _power(directory: Path, runs: int, seed: int) -> list[Row]:
    return [power_cuts(directory, runs, seed * 1_000_000)]


def _broker(directory: Path, runs: int, seed: int) -> list[Row]:
    return [broker_kills(directory, max(1, runs // 10), seed)]


def _disk(directory: Path, runs: int, seed: int) -> list[Row]:
    return full_disk(directory, max(1, runs // 50), seed)


def _files(directory: Path, runs: int, seed: int) -> list[Row]:
    rounds = max(1, runs // 100)
    return [damaged_journal(directory / "journal", rounds, seed), damaged_state(directory / "state", rounds, seed)]


def _overload(directory: Path, runs: int, seed: int) -> list[Row]:
    return [overload(directory, min(120, max(5, runs)), seed)]


EXPERIMENTS: dict[str, Experiment] = {
    "power": _power,
    "points": _points,
    "kills": _random,
    "broker": _broker,
    "disk": _disk,
    "files": _files,
    "overload": _overload,
}


def run(names: list[str], runs: int, seed: int) -> Iterator[Row]:
    """Run experiments one after the other, saying what they find."""
    for name in names:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="sensord-torture-") as directory:
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
            yield from EXPERIMENTS[name](Path(directory), runs, seed)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)  # noqa: T201


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
    parser.add_argument("--only", choices=sorted(EXPERIMENTS), action="append")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    rows = list(run(arguments.only or list(EXPERIMENTS), arguments.runs, arguments.seed))
    for row in rows:
        row.made = f"`N={arguments.runs} SEED={arguments.seed}`"
    print(table(rows), end="")  # noqa: T201
    if arguments.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(document(text, rows), encoding="utf-8")
    if any(row.lost or row.doubled or row.invented for row in rows):
        sys.exit("something was lost, doubled or invented")


if __name__ == "__main__":
    main()
