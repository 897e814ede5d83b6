"""Experiments with clocks: the host's, set by an hour while the daemon runs, and those of the devices."""

from __future__ import annotations

import random
import signal
import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from tests.faults.harness import Stage
from tests.faults.sensors import FEW, MANY, Speech
from tests.faults.tally import Row
from tests.support import wait_until
from tests.support.clock import LIBRARIES

LANES = 2
BURST = 5
"""So many readings come at once, of sensors that gather them."""
AT_ONCE = "five at once"
DAY, HOUR = 86_400.0, 3600.0


class Shown:
    """What the daemon is shown as the time: ``set`` moves it by so many seconds from the true one."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }
        self.set(0)

    def set(self, seconds: int) -> None:
        """Show another time from now on."""
        self._file.write_text(f"{seconds:+d}")


def told_of(stage: Stage, lane: int) -> int:
    """How often people were told of a lane."""
    return sum(f"{lane}弄" in title for title in stage.titles())


def host_jumps(directory: Path, rounds: Iterable[int], seed: int) -> list[Row]:
    """Set the host's clock by an hour, forth or back; each crowd is told of, and no open case ends by it.

    The sensors have clocks of their own, which are right; those of every second lane send five readings at once.
    """
    if not LIBRARIES:
        warnings.warn("the host's clock was not set for real: libfaketime is not installed", stacklevel=1)
        return []
    dice, done, ended = random.Random(seed), 0, 0
    shown = Shown(LIBRARIES[0], directory / "shown")
    with Stage(directory, seed, influx=False, speech=Speech(lanes=LANES, every=1.0, moods=None)) as stage:
        _promise(stage, "1s")
        stage.start(fresh_interpreter=True, environment=shown.environment)
        stage.await_ready()
        wait_until(partial(stage.answers, "/readyz"), 30, stage.daemon.standing)
        stage.sensors.clocks = dict.fromkeys(stage.sensors.counts, _right)
        stage.sensors.together = {lane: BURST for lane in stage.sensors.counts if lane % 2 == 0}
        stage.sensors.speak()
        for _ in rounds:
            _crowd(stage, 1)
            before = set(stage.crowds())
            shown.set(dice.choice((-3600, 0, 3600)))
            _crowd(stage, 2)
            ended += not before <= set(stage.crowds())
            stage.sensors.counts.update(dict.fromkeys(stage.sensors.counts, FEW))
            wait_until(partial(_no_crowds, stage), 90, "the crowds' cases are closed once they are gone")
            done += 1
        shown.set(0)
        stage.settle(patience=120)
        row = stage.verdict("host clock set by an hour", done)
        row.lost += ended
        row.remark += f"; {ended} times an open case ended by the clock"
        return [row]


def _right(now: float) -> float:
    return now


def _crowd(stage: Stage, lane: int) -> None:
    told = told_of(stage, lane)
    stage.sensors.counts[lane] = MANY
    wait_until(lambda: told_of(stage, lane) > told, 60, f"the crowd in lane {lane} is told of")
    wait_until(lambda: f"L{lane}" in stage.crowds(), 60, f"lane {lane} has an open case")


def _no_crowds(stage: Stage) -> bool:
    return not stage.crowds()


def _promise(stage: Stage, period: str) -> None:
    """Let all sensors of crowds promise to speak so often."""
    places = stage.daemon.directory / "places.yaml"
    places.write_text(places.read_text().replace("period: 1h", f"period: {period}"))


class Stepped:
    """A device's clock that is right until ``step`` sets it by so many seconds, for good or for one reading."""

    def __init__(self, seconds: float, *, once: bool = False) -> None:
        self._seconds, self._once, self._off = seconds, once, 0.0

    def step(self) -> None:
        """Set it; from the next reading on."""
        self._off += self._seconds

    def __call__(self, now: float) -> float:
        """What it takes the true time for."""
        off = self._off
        if self._once:
            self._off = 0.0
        return now + off


def _clocks(dice: random.Random, born: float) -> dict[str, Callable[[float], float]]:
    return {
        "right": lambda now: now,
        "30 s ahead": lambda now: now + 30,
        "30 s behind": lambda now: now - 30,
        "5 min behind": lambda now: now - 300,
        "at its epoch": lambda now: now - born,
        "a day ahead": lambda now: now + DAY,
        "another one each time": lambda now: now + dice.uniform(-HOUR, HOUR),
        "set back by 5 min": Stepped(-300),
        f"right, {AT_ONCE}": lambda now: now,
        f"5 min behind, {AT_ONCE}": lambda now: now - 300,
        f"13 h behind, {AT_ONCE}": lambda now: now - 13 * HOUR,
        f"set back by 3 s, {AT_ONCE}": Stepped(-3),
        f"set back by 5 min, {AT_ONCE}": Stepped(-300),
        f"one stamp 5 min ahead, {AT_ONCE}": Stepped(300, once=True),
    }


def device_clocks(directory: Path, rounds: Iterable[int], seed: int) -> list[Row]:
    """Let crowds come into lanes whose sensors' clocks are wrong in every way: each must be told of, and end.

    Some are set just before the crowd comes.
    """
    dice, done, untold = random.Random(seed), 0, 0
    clocks = _clocks(dice, time.time())
    slowest = dict.fromkeys(clocks, 0.0)
    with Stage(directory, seed, speech=Speech(lanes=len(clocks), every=1.0, moods=None)) as stage:
        _promise(stage, "1s")
        stage.sensors.clocks = dict(enumerate(clocks.values(), 1))
        stage.sensors.together = {lane: BURST for lane, name in enumerate(clocks, 1) if AT_ONCE in name}
        stage.begin()
        wait_until(lambda: min(stage.sensors.sent.values()) > 10, 30, "every sensor has spoken")
        for _ in rounds:
            for clock in clocks.values():
                if isinstance(clock, Stepped):
                    clock.step()
            told = {lane: told_of(stage, lane) for lane in stage.sensors.counts}
            began = time.monotonic()
            stage.sensors.counts.update(dict.fromkeys(told, MANY))
            late = _when_told(stage, told, began + 60)
            untold += len(told) - len(late)
            for name, lane in zip(clocks, told, strict=True):
                slowest[name] = max(slowest[name], late.get(lane, 60.0) - began)
            stage.sensors.counts.update(dict.fromkeys(told, FEW))
            wait_until(partial(_no_crowds, stage), 90, "the crowds' cases are closed once they are gone")
            done += 1
        stage.settle(patience=120)
        row = stage.verdict("device clocks wrong in every way", done)
        row.lost += untold
        times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in slowest.items())
        row.remark += f"; {untold} crowds not told of; from a crowd to the first page at most: {times}"
        return [row]


def _when_told(stage: Stage, before: dict[int, int], until: float) -> dict[int, float]:
    """Wait until people were told of each lane anew; returns when, by lane, as far as it came."""
    found = dict[int, float]()
    while len(found) < len(before) and time.monotonic() < until:
        found |= {
            lane: time.monotonic() for lane in before if lane not in found and told_of(stage, lane) > before[lane]
        }
        time.sleep(0.05)
    return found


STORED = 720
"""Readings of an hour, one in five seconds."""


def stored_hours(directory: Path, rounds: Iterable[int], seed: int) -> list[Row]:
    """Let a device send an hour of stored readings, with a crowd in it: points of that hour, and no alert now.

    Of every second one they are the first that is ever heard.
    """
    wanted = list(rounds)
    with Stage(directory, seed, speech=Speech(others=len(wanted))) as stage:
        stage.begin()
        for number in wanted:
            _tell_an_hour(stage, LANES + 1 + number, known=number % 2 == 0)
        stage.come_to_rest(patience=120)
        late = int(stage.metric('readings_total{outcome="late"'))
        found = sum(_old_points(stage, LANES + 1 + number) for number in wanted)
        falsely = sum(told_of(stage, LANES + 1 + number) for number in wanted)
        assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()
        row = stage.verdict("an hour of stored readings at once", len(wanted))
        row.lost += len(wanted) * STORED - found
        row.invented += falsely
        row.remark += f"; {late:,} counted late, {found:,} points in their own hour, {falsely} pages of a crowd of then"
        return [row]


def _tell_an_hour(stage: Stage, lane: int, *, known: bool) -> None:
    """Some readings of now if it is ``known``, then an hour's before, in the middle of which there was a crowd."""
    now = time.time()
    for ago in (0.3, 0.2, 0.1) if known else ():
        stage.sensors.say(lane, FEW, now - ago)
    for number in range(STORED):
        crowded = STORED // 3 < number < STORED * 2 // 3
        stage.sensors.say(lane, MANY if crowded else FEW, now - HOUR - 600 + number * 5)


def _old_points(stage: Stage, lane: int) -> int:
    assert stage.influx is not None
    series = stage.influx.query(f"SELECT count(count) FROM crowd WHERE device = 'crowd-{lane}' AND time < now() - 9m")
    return int(series[0]["values"][0][1]) if series else 0
