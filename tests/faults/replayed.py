"""Replay = live, scenario by scenario: through a real mosquitto and the real daemon, which is shot in the middle.

Each shipped scenario (its faults included: garbage, duplicates, outages, clocks) is sent to a daemon of its own,
squeezed to a constant rate; a third on, the daemon is ended in good order, so that its state is saved, and started from
that; two thirds on it is killed with SIGKILL, and goes on from that state and the journal. Then what it wrote down is
held against its journal replayed, and against its recording, replayed from messages and from decoded readings; what it
added up of vehicles (who passed, who was inside, when nobody could see) against its journal replayed.
``make replay-is-live`` runs it and prints a table; it ends with exit code 1 where a byte differs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sensord.core.instant import MINUTE, SECOND
from sensord.core.record import Record, RecordKind
from sensord.source import journal_records
from simulators.children import Child
from simulators.publish import Statistics, publish
from simulators.scenario import scenario_files
from simulators.stage import SHIPPED, Stage, await_ready, set_stage
from tests.support import wait_until
from tests.support.lived import again, lived, played, record, recorded_again, tallied, tallied_again

_PATIENCE = 120.0
"""Seconds that the daemon has to take what the broker kept for it."""
_SHORTEST = 90.0
"""Seconds that a scenario is not squeezed below: nothing comes of a crowd that is gone within a window."""
_ENDS = (signal.SIGTERM, signal.SIGKILL)
TITLES = (
    "scenario",
    "messages",
    "in the journal",
    "bytes decided",
    "journal",
    "messages again",
    "readings again",
    "vehicles",
)


@dataclass(slots=True)
class Row:
    """What one scenario gave: messages sent and journaled, bytes decided live, and what gave the same bytes.

    The last of these is what was added up of vehicles: no alert need come of it within a scenario's length.
    """

    scenario: str
    sent: int
    journaled: int
    size: int
    same: tuple[bool, bool, bool, bool]

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        answers = ("identical" if one else "**different**" for one in self.same)
        return (f"`{self.scenario}`", f"{self.sent:,}", f"{self.journaled:,}", f"{self.size:,}", *answers)


@dataclass(slots=True)
class _Shot:
    """Ends the daemon each time so many more messages were sent, in each of the ways, and starts it again."""

    stage: Stage
    folder: Path
    after: int
    stack: ExitStack
    done: list[Child] = field(default_factory=list)

    def __call__(self, statistics: Statistics) -> None:
        """Look whether it is time."""
        nth = len(self.done)
        if nth == len(_ENDS) or statistics.messages < self.after * (nth + 1):
            return
        running = self.done[-1] if self.done else self.stage.daemon
        os.kill(running.pid, _ENDS[nth])
        wait_until(lambda: running.exit_code is not None, 60, "the daemon's end")
        command = [sys.executable, "-m", "sensord", "run", "--config", str(self.folder / "sensord.yaml")]
        self.done.append(self.stack.enter_context(Child.running("sensord", command, self.folder / f"{nth + 2}.log")))


def run(name: str, most: int, rate: float, folder: Path) -> Row:
    """Live through one scenario and replay it in every way."""
    with set_stage(folder, "zh", "mosquitto") as stage, ExitStack() as stack:
        messages = played(stage, name, most)
        shot = _Shot(stage, folder, len(messages) // 3, stack)
        length = (messages[-1].at - messages[0].at) / SECOND
        speed = max(min(length * rate / len(messages), length / _SHORTEST), 1.0)
        done = asyncio.run(publish(stage.loaded.settings.mqtt, messages, speed, on_progress=shot, restamps=True))
        for _ in _ENDS:
            shot(done)
        await_ready(shot.done[-1], stage.url)
        journal = folder / "state" / "journal"
        wait_until(lambda: _messages(journal_records(journal)) >= done.acknowledged, _PATIENCE, "every message")
    return _compared(name, done.acknowledged, folder)


def _compared(name: str, sent: int, folder: Path) -> Row:
    state, day = folder / "state", folder / "day"
    live, records = lived(state), record(state, day)
    tries = [recorded_again(state, day, raw=raw) for raw in (True, False)]
    messages, readings = (_goes_on(one, live, records[-1].received_at) for one in tries)
    same = (again(state) == live, messages, readings, tallied_again(state) == tallied(state))
    return Row(name, sent, _messages(records), len(live), same)


def _goes_on(decided: bytes, live: bytes, end: int) -> bool:
    """Whether the same was decided; after its end a recording ticks on, which may decide a little more."""
    rest = (msgspec.json.decode(line) for line in decided[len(live) :].splitlines())
    return decided[: len(live)] == live and all(one["at"] > end - MINUTE for one in rest)


def _messages(records: Iterator[Record] | list[Record]) -> int:
    return sum(one.kind == RecordKind.MESSAGE for one in records)


def main() -> None:
    """Run the scenarios and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=20_000, help="messages of a scenario at most")
    parser.add_argument("--rate", type=float, default=500.0, help="messages a second")
    parser.add_argument("--only", action="append", help="a scenario's name")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.only or [path.stem for path in scenario_files(SHIPPED / "scenarios")]:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="sensord-live-") as folder:
            rows.append(run(name, arguments.most, arguments.rate, Path(folder)))
        print(f"{name}: {time.monotonic() - began:.0f} s, {rows[-1]}", file=sys.stderr)  # noqa: T201
    for cells in (TITLES, ["---"] * len(TITLES), *(row.cells() for row in rows)):
        print("| " + " | ".join(cells) + " |")  # noqa: T201
    if not all(all(row.same) for row in rows):
        sys.exit("a replay differs from what was decided live")


if __name__ == "__main__":
    main()
