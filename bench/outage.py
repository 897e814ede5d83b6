"""InfluxDB away: what the backlog costs on the disk, and how fast it drains when the database is back.

Method: a journal of ``--minutes`` of 500 readings a second (one group a second, as the committer makes them under that
load), written by the journal's own code while the database is down. Then a real InfluxDB 1.x is started and the feeder
writes all of it, in this process; its resident memory is looked at after each batch. The size for a day is the measured
bytes a message times a day's messages.

Reference, in the same run: real time, 500 readings a second. Target: at least five times that, 2 GB for a day, 150 MiB.

Run: ``python bench/outage.py [--minutes 10]``. Needs influxd; uses loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.latency import street  # noqa: E402
from bench.machine import describe  # noqa: E402
from sensord.config.load import load  # noqa: E402
from sensord.config.settings import InfluxV1  # noqa: E402
from sensord.core.alert import Transition  # noqa: E402
from sensord.core.cases.case import CaseEvent  # noqa: E402
from sensord.core.instant import SECOND  # noqa: E402
from sensord.core.points import Points  # noqa: E402
from sensord.core.record import Record, RecordKind  # noqa: E402
from sensord.core.site import definition_record  # noqa: E402
from sensord.ports import Cursor  # noqa: E402
from sensord.series.feeder import Feeder  # noqa: E402
from sensord.series.influx_v1 import InfluxV1Sink  # noqa: E402
from sensord.store.journal import Journal  # noqa: E402
from sensord.store.state import StateStore  # noqa: E402
from sensord.telemetry.health import Health  # noqa: E402
from sensord.telemetry.metrics import PrometheusMeter  # noqa: E402
from tests.series.databases import Influx1  # noqa: E402

RATE, START = 500, 1_790_000_000 * SECOND


class Applied:
    """Says that the core has applied everything, and decided nothing."""

    def __init__(self, applied: int) -> None:
        self.applied = applied

    def between(self, after: int, upto: int) -> list[Transition | CaseEvent]:
        """Nothing."""
        del after, upto
        return []


def group(second: int, dice: random.Random) -> list[Record]:
    """One second's readings, as the latency benchmark's street sends them."""
    at = START + second * SECOND
    return [
        Record(
            RecordKind.MESSAGE,
            at + number * SECOND // RATE,
            f"t/C{1 + number % 2}/crowd/crowd-{number}",
            json.dumps({"count": dice.randrange(60), "at": (at // SECOND) * 1000, "boot": 1, "seq": second}).encode(),
        )
        for number in range(RATE)
    ]


def write(directory: Path, journal: Journal, minutes: float) -> int:
    """Journal the stream; returns the number of readings."""
    for name, content in street().items():
        (directory / f"{name}.yaml").write_text(json.dumps(content), encoding="utf-8")
    topics = {"readings": "t/{compound}/{kind}/{device}", "commands": "t/commands/by/{user}/{case}"}
    files = {"rules": "rules.yaml"}
    channels = [{"type": "webhook", "name": "people", "url": "http://127.0.0.1:1/", "allow": ["127.0.0.1:1"]}]
    settings = {"site": "bench", "files": files, "mqtt": topics, "channels": channels}
    (directory / "sensord.yaml").write_text(json.dumps(settings), encoding="utf-8")
    journal.append([definition_record(load(directory / "sensord.yaml").definition, START)])
    dice = random.Random(1)
    for second in range(round(minutes * 60)):
        journal.append(group(second, dice))
    return round(minutes * 60) * RATE


async def drain(feeder: Feeder, sink: InfluxV1Sink, last: int) -> None:
    """Feed until the cursor has reached the last group."""
    task = asyncio.create_task(feeder.run())
    position: Cursor | None = None
    while position is None or position.seq < last:
        await asyncio.sleep(0.2)
        position = await sink.position()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await feeder.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    minutes = parser.parse_args(arguments).minutes
    print(describe((__doc__ or "").partition("Run:")[0]), end="")
    with tempfile.TemporaryDirectory(prefix="sensord-bench-") as folder:
        directory = Path(folder)
        journal, state, influx = Journal(directory / "journal"), StateStore(directory), Influx1(directory)
        readings = write(directory, journal, minutes)
        each = journal.size / readings
        print(f"{readings:,} readings: {each:.1f} bytes each on the disk, {each * RATE * 86400 / 1e9:.2f} GB for a day")
        influx.start()
        influx.query("CREATE DATABASE sensord")
        meter, health = PrometheusMeter(), Health()
        sink = InfluxV1Sink(InfluxV1(url=influx.url, database="sensord"), "", state, meter)
        feeder = Feeder(sink, journal.reader(), Applied(journal.last_seq), Points(), meter, health)
        health.register(feeder.name, 600.0)
        began = time.perf_counter()
        asyncio.run(drain(feeder, sink, journal.last_seq))
        seconds = time.perf_counter() - began
        found = influx.query("SELECT count(count) FROM crowd")[0]["values"][0][1]
        influx.stop()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{found:,} points in the database ({'all' if found == readings else 'NOT all'} of them), drained in")
        print(
            f"{seconds:.1f} s: {readings / seconds:,.0f}/s, ratio {readings / seconds / RATE:.1f} (target: at least 5)"
        )
        print(f"{memory:.0f} MiB resident at most, this process with everything in it (target: 150)")


if __name__ == "__main__":
    main()
