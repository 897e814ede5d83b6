"""InfluxDB away: what the backlog costs on the disk, and how fast the daemon drains it when the database is back.

Method: a state directory as a daemon leaves it whose database has been away for ``--minutes`` at 500 readings a second
(one group a second, as the committer makes them under that load): a journal written by the journal's own code, a core
that has applied all of it, and no point of it in the database. Then the real daemon is started on it, with a real
InfluxDB 1.x and a real mosquitto; 500 sensors speak once a second meanwhile, and the embedded roll-ups follow. The
daemon's resident memory is looked at twice a second until the database has everything. ``--minutes 1440`` is the day;
else the size for a day is the measured bytes a message times a day's messages. What the daemon itself writes for the
fresh readings is measured, too: evenly spread readings make smaller groups, which compress less.

Reference, in the same run: real time, 500 readings a second. Targets: at least five times that, 2 GB for a day, 150
MiB; the exit code is 1 when one is missed.

Run: ``python bench/outage.py [--minutes 10]``. Needs influxd and mosquitto; uses loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.machine import describe  # noqa: E402
from bench.targets import Targets  # noqa: E402
from sensord.config.load import load, with_keys  # noqa: E402
from sensord.config.settings import Rollups  # noqa: E402
from sensord.core.instant import SECOND  # noqa: E402
from sensord.core.points import Points  # noqa: E402
from sensord.core.record import Group, Record, RecordKind  # noqa: E402
from sensord.core.site import Site, Step, definition_record  # noqa: E402
from sensord.ports import Cursor  # noqa: E402
from sensord.store.journal import Journal  # noqa: E402
from sensord.store.rollups import RollupSink  # noqa: E402
from sensord.store.sqlite import prepare_directory  # noqa: E402
from sensord.store.state import StateStore  # noqa: E402
from tests.faults.harness import Stage  # noqa: E402
from tests.faults.sensors import Speech  # noqa: E402
from tests.support import wait_until  # noqa: E402
from tests.support.daemon import crowd  # noqa: E402

RATE = 500
A_DAY = RATE * 86_400
FRESH = 30
"""Seconds of fresh readings at least: right after a start they come in smaller groups."""
STREET = Speech(lanes=RATE, every=1.0, moods=None)
BROKER = ("autosave_on_changes false",)


TOPICS = [crowd(lane, 0, 0)[0] for lane in range(1, RATE + 1)]


def group(at: int, seq: int, dice: random.Random) -> list[Record]:
    """One second's readings, one of each sensor; ``at`` is the second's beginning (ns).

    They are of the time before: the sensors have started anew since, and count from 0 again.
    """
    counts, step = dice.choices(range(60), k=RATE), SECOND // RATE
    return [
        Record(RecordKind.MESSAGE, at + number * step, topic, b'{"count": %d, "boot": 0, "seq": %d}' % (count, seq))
        for number, (topic, count) in enumerate(zip(TOPICS, counts, strict=True))
    ]


def write(stage: Stage, minutes: float) -> tuple[int, float]:
    """Lay out the state directory; returns the number of readings, and the bytes on the disk for each."""
    seconds, dice = round(minutes * 60), random.Random(1)
    start = time.time_ns() // SECOND * SECOND - (seconds + 60) * SECOND
    prepare_directory(stage.daemon.state)
    loaded, began = with_keys(load(stage.daemon.config), start), time.perf_counter()
    journal, site = Journal(stage.daemon.state / "journal", zone=loaded.settings.timezone), Site(None, loaded.secrets)
    definition = definition_record(loaded.definition, start)
    site.step(Group(journal.append([definition]), (definition,)))
    records = [definition]
    for second in range(seconds):
        records = group(start + second * SECOND, second, dice)
        journal.append(records)
    step, last = site.step(Group(journal.last_seq, tuple(records))), journal.last_seq
    journal.close()  # which folds its log, as large for a minute as for a day, into the file
    each = journal.size / seconds / RATE
    state = StateStore(stage.daemon.state)
    state.apply(Step(last, step.at))
    state.save_snapshot(last, site.snapshot())
    state.close()
    rollups = RollupSink(stage.daemon.state, Rollups(), lambda: None)
    asyncio.run(rollups.write([], Cursor(last, last, Points().state())))
    asyncio.run(rollups.close())
    print(f"laid out in {time.perf_counter() - began:.0f} s", flush=True)
    return seconds * RATE, each


def drain(stage: Stage, readings: int) -> tuple[float, float, int]:
    """Start the daemon and wait for its points; returns seconds, the most resident memory (MiB), and points."""
    stage.begin()
    began, most, found, said, written = time.perf_counter(), 0.0, 0, 0, 0.0
    while found < readings:
        status = Path(f"/proc/{stage.pid}/status").read_text()
        most = max(most, next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024)
        with suppress(httpx.HTTPError):  # it may be too busy to answer; we look again
            written = stage.metric('sink_points_total{outcome="written"')
        if written >= readings:
            found = points(stage)
        minutes = int((time.perf_counter() - began) // 60)
        if minutes > said:
            said = minutes
            print(f"minute {minutes}: {written:,.0f} points written, at most {most:.0f} MiB resident", flush=True)
        time.sleep(0.5)
    return time.perf_counter() - began, most, found


def fresh_bytes(stage: Stage, after: int) -> float:
    """What a reading takes in the journal's groups from then on, in bytes: its share of a row, and of a row's cost."""
    newest = max((stage.daemon.state / "journal").glob("*.db"))
    statement = "SELECT sum(length(records) + 24), sum(count) FROM groups WHERE seq > ?"
    with closing(sqlite3.connect(f"file:{newest}?mode=ro", uri=True)) as connection:
        taken, readings = connection.execute(statement, (after,)).fetchone()
    return float(taken / readings)


def points(stage: Stage) -> int:
    """How many readings the database has."""
    assert stage.influx is not None
    series = stage.influx.query("SELECT count(count) FROM crowd")
    return int(series[0]["values"][0][1]) if series else 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    minutes = parser.parse_args(arguments).minutes
    print(describe((__doc__ or "").partition("Run:")[0]), end="")
    with (
        tempfile.TemporaryDirectory(prefix="sensord-bench-") as folder,
        Stage(Path(folder), speech=STREET, broker=BROKER) as stage,
    ):
        readings, each = write(stage, minutes)
        print(
            f"{readings:,} readings: {each:.1f} bytes each on the disk, {each * A_DAY / 1e9:.2f} GB for a day",
            flush=True,
        )
        seconds, memory, found = drain(stage, readings)
        spoken = sum(stage.sensors.sent.values())
        rate = readings / seconds
        print(f"{found:,} points in the database {seconds:.1f} s after it was back, beside {spoken:,} fresh readings:")
        print(f"{rate:,.0f} old readings/s")
        wait_until(lambda: sum(stage.sensors.sent.values()) >= FRESH * RATE, 2 * FRESH, "there are fresh readings")
        stage.sensors.fall_silent()
        whole = readings + sum(stage.sensors.sent.values())
        # Counting tens of millions of points takes the database a minute or more.
        wait_until(lambda: points(stage) >= whole, 900, lambda: f"{whole:,} points are there: {points(stage):,}")
        found = points(stage)
        assert found == whole, f"{found - whole:,} points too many"
        print(f"{found:,} points: every reading is in the database, and none twice")
        fresh = fresh_bytes(stage, readings // RATE + 1)
        print(f"{fresh:.1f} bytes for each fresh reading: {fresh * A_DAY / 1e9:.2f} GB for a day")
    targets = Targets()
    targets.at_least("old readings drained, to real time", rate / RATE, 5)
    targets.at_most("resident memory of the real daemon", memory, 150, "MiB")
    targets.at_most("disk for a day, as the daemon writes it", max(each, fresh) * A_DAY / 1e9, 2, "GB")
    targets.end()


if __name__ == "__main__":
    main()
