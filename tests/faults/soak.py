"""``make soak HOURS=1``: 500 messages a second for hours, with random faults; what the daemon uses goes into a file.

Every five seconds: resident memory, file descriptors, the state directory's size, how far the core is behind, what the
sensors' gateway could not yet hand to the broker, and which fault has been caused since. Faults come at random, about
one a minute. At the end everything is compared as after kills: nothing may be lost, doubled or invented. With
``--one-life`` no fault ends the daemon, so that a slow leak shows: each start would begin anew with little.
"""

from __future__ import annotations

import argparse
import csv
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from tests.faults.harness import Stage
from tests.faults.sensors import Speech
from tests.faults.tally import table
from tests.notify.receiver import Answer
from tests.support import wait_until

STREET = Speech(lanes=500, every=1.0, moods=(20.0, 90.0))
"""500 sensors that speak once a second."""
BROKER = ("autosave_on_changes false",)
"""The broker writes its store down each second: with one write for each packet it cannot take 500 readings a second
once a few thousand wait in it, and never catches up (docs/operations.md)."""
SAMPLE, PAUSE = 5.0, 60.0
"""Seconds between two samples, and between two faults (on average)."""
COLUMNS = ("seconds", "rss_mib", "descriptors", "disk_mib", "lag_seconds", "sent", "waiting", "fault")


def shoot(stage: Stage) -> None:
    """Kill the daemon and start it again, as systemd does."""
    stage.end(signal.SIGKILL)
    stage.start(fresh_interpreter=True)
    stage.await_ready()


def freeze(stage: Stage) -> None:
    """Stop the daemon for a while, as a machine does that is too busy."""
    stage.shoot(signal.SIGSTOP)
    time.sleep(5)
    stage.shoot(signal.SIGCONT)


def lose_database(stage: Stage) -> None:
    """Take the database away for a while."""
    assert stage.influx is not None
    stage.influx.stop(signal.SIGKILL)
    time.sleep(15)
    stage.influx.start()


def lose_receiver(stage: Stage) -> None:
    """Let the receiver of notifications fail for a while."""
    stage.people.otherwise = Answer(503)
    time.sleep(15)
    stage.people.otherwise = Answer()


def reload(stage: Stage) -> None:
    """Let it read its configuration again."""
    stage.shoot(signal.SIGHUP)


SURVIVED: tuple[Callable[[Stage], None], ...] = (freeze, lose_database, lose_receiver, reload)
"""What a daemon lives through."""
FAULTS = (shoot, *SURVIVED)


def sample(stage: Stage, began: float, fault: str) -> dict[str, object]:
    """Look at the daemon from outside."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{stage.pid}/status").read_text().splitlines() if ":" in line
    )
    lag = float("nan")
    with suppress(OSError, ValueError, httpx.HTTPError):
        lag = stage.daemon.overview()["lag_seconds"]
    used = sum(path.stat().st_size for path in stage.daemon.state.rglob("*") if path.is_file())
    values = (
        round(time.monotonic() - began, 1),
        round(int(status["VmRSS"].split()[0]) / 1024, 1),
        len(list(Path(f"/proc/{stage.pid}/fd").iterdir())),
        round(used / 2**20, 1),
        round(lag, 2),
        sum(stage.sensors.sent.values()),
        stage.sensors.waiting,
        fault,
    )
    return dict(zip(COLUMNS, values, strict=True))


def soak(
    directory: Path, hours: float, seed: int, file: Path, faults: Sequence[Callable[[Stage], None]] = FAULTS
) -> bool:
    """Run, with faults drawn from these; returns whether nothing was lost, doubled or invented."""
    dice, causes = random.Random(seed), 0
    with file.open("w", newline="") as out, Stage(directory, seed, speech=STREET, broker=BROKER) as stage:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        stage.begin()
        began = time.monotonic()
        next_fault = began + PAUSE
        while time.monotonic() - began < hours * 3600:
            time.sleep(SAMPLE)
            fault = ""
            if time.monotonic() > next_fault:
                cause = dice.choice(faults)
                cause(stage)
                causes, fault = causes + 1, cause.__name__
                next_fault = time.monotonic() + dice.expovariate(1 / PAUSE)
            writer.writerow(sample(stage, began, fault))
            out.flush()
        wait_until(stage.answers, 60, "the daemon answers")
        stage.settle(patience=600)
        kind = "with faults" if shoot in faults else "with faults that the daemon lives through"
        row = stage.verdict(f"{hours:g} h of {STREET.lanes / STREET.every:g} messages/s, {kind}", causes)
        print(table([row]), end="")  # noqa: T201
        return not (row.lost or row.doubled or row.invented)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("soak.csv"))
    parser.add_argument("--one-life", action="store_true", help="cause no fault that ends the daemon")
    arguments = parser.parse_args()
    faults = SURVIVED if arguments.one_life else FAULTS
    with tempfile.TemporaryDirectory(prefix="sensord-soak-") as directory:
        if not soak(Path(directory), arguments.hours, arguments.seed, arguments.out, faults):
            sys.exit("something was lost, doubled or invented")


if __name__ == "__main__":
    main()
