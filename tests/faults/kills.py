"""Experiments with SIGKILL: at random moments, and at every named crash point."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from sensord.drivers.replay import journal_groups
from sensord.store.reader import DirectoryReader
from tests.faults.harness import Stage
from tests.faults.points import POINTS, When, named
from tests.faults.sensors import Speech
from tests.faults.tally import Row

LEG = 100
"""After so many kills one daemon may live until it has caught up, so that what waits at the broker does not pile up."""
_BROKER = ("autosave_on_changes false",)
"""The broker lives on: it need not write all that waits anew with every message."""
_SPEECH = Speech(lanes=4, unnumbered=2, every=0.1)
"""What the broker sends again is told by its number in two lanes, by a stamp and by the broker's mark in the others."""


def random_kills(directory: Path, rounds: Iterable[int], seed: int, fresh: int = 10, leg: int = LEG) -> Row:
    """Kill at random moments, during the start, too; every ``fresh``-th daemon is a fresh interpreter and is timed."""
    dice, recovery, kills = random.Random(seed), list[float](), 0
    with Stage(directory, seed, speech=_SPEECH, broker=_BROKER) as stage:
        stage.begin()
        for number in rounds:
            if dice.random() < 0.8:
                time.sleep(dice.uniform(0.0, 0.6))
            stage.end(signal.SIGKILL)
            began, timed = time.monotonic(), number % fresh == 0
            stage.start(fresh_interpreter=timed)
            if timed or dice.random() < 0.75:
                stage.await_ready()
            else:
                time.sleep(dice.uniform(0.0, 0.15))
            if timed:
                recovery.append(time.monotonic() - began)
            kills = number + 1
            if kills % leg == 0:
                stage.catch_up()
        stage.settle(patience=600)
        return stage.verdict("SIGKILL at a random moment", kills, recovery)


def point_kills(directory: Path, rounds: int, seed: int) -> list[Row]:
    """Kill at every crash point, ``rounds`` times each, on one and the same state where the point allows."""
    dice = random.Random(seed)
    return [*_on_new_states(directory / "fresh", rounds, dice), _on_one_state(directory / "one", rounds, dice)]


def _on_one_state(directory: Path, rounds: int, dice: random.Random) -> Row:
    names = named(POINTS, When.RUNNING, When.STOPPING) * rounds
    dice.shuffle(names)
    with Stage(directory, dice.randrange(1000), speech=_SPEECH) as stage:
        stage.begin()
        stage.end(signal.SIGKILL)
        for name in names:
            _strike(stage, name, dice)
        stage.start()
        stage.await_ready()
        stage.settle()
        return stage.verdict(f"SIGKILL at {len(set(names))} named points of the running program", len(names))


def _strike(stage: Stage, name: str, dice: random.Random) -> None:
    point = POINTS[name]
    stage.start(name, dice.randint(point.least, point.often))
    if point.when is When.STOPPING:
        stage.await_ready()
        time.sleep(dice.uniform(0.0, 0.3))
        stage.shoot(signal.SIGTERM)
    code = stage.await_end(40.0)
    assert code == -signal.SIGKILL, f"{name}: not reached ({code}); {stage.daemon.tail()}"


def _on_new_states(directory: Path, rounds: int, dice: random.Random) -> list[Row]:
    """Points that only the first start passes: each needs a state directory of its own."""
    names = named(POINTS, When.FRESH) * rounds
    with Stage(directory, dice.randrange(1000), influx=False) as stage:
        for name in names:
            shutil.rmtree(stage.daemon.state, ignore_errors=True)
            _strike(stage, name, dice)
            stage.start()
            stage.await_ready()
            assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()
            _check_definition(stage)
        return [
            Row(f"SIGKILL at {len(set(names))} points of a first start", len(names), remark="starts that then hold")
        ]


def _check_definition(stage: Stage) -> None:
    """Whatever the first start left behind, the second one has rules: without a definition the daemon is blind."""
    site = stage.daemon.site()
    for group in journal_groups(DirectoryReader(stage.daemon.state / "journal")):
        site.step(group)
    assert [rule.id for rule in site.definition.rules] == ["crowding"]
