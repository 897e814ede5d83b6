"""Experiments with ``sensord backup`` and ``sensord restore``: shot in the middle, and given again."""

from __future__ import annotations

import json
import random
import shutil
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

from sensord.errors import StoreError
from sensord.store.backup import restore
from sensord.store.opening import HALF_RESTORED
from sensord.store.reader import DirectoryReader
from sensord.store.state import StateStore
from tests.faults.harness import Stage
from tests.faults.points import SELDOM, When, named
from tests.faults.tally import Row
from tests.store.parts import read_all
from tests.support import wait_until


def copy_kills(directory: Path, rounds: int, seed: int) -> Row:
    """Shoot backups of a running daemon, and restores, from the last of which it goes on; each is given again."""
    dice, harm = random.Random(seed), 0
    making, putting = (named(SELDOM, when) * rounds for when in (When.BACKUP, When.RESTORE))
    dice.shuffle(making)
    dice.shuffle(putting)
    with Stage(directory, seed, influx=False) as stage:
        stage.begin()
        wait_until(partial(_is_journaled, stage), 30, "there is something to copy")
        for number, name in enumerate(making):
            harm += _backup(stage, directory / f"backup-{number}", name, dice)
        assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()
        backup = directory / "backup"
        assert stage.command("backup", str(backup)) == 0, stage.daemon.tail()
        for name in putting:
            harm += _restore(stage, backup, name, dice)
        stage.start()
        stage.await_ready()
        stage.settle()
        row = stage.verdict("", len(making + putting))
    row.fault = f"SIGKILL at {len({*making, *putting})} points of `sensord backup` and `sensord restore`"
    row.lost += harm
    row.remark += f"; {harm} copies that were not whole after the same command again"
    return row


def _is_journaled(stage: Stage) -> bool:
    return len(stage.sensors.heard) > 0 and stage.answers()


def _shot(stage: Stage, command: str, folder: Path, name: str, dice: random.Random) -> None:
    point = SELDOM[name]
    code = stage.command(command, str(folder), point=name, nth=dice.randint(point.least, point.often))
    assert code == -signal.SIGKILL, f"{name}: not reached ({code}); {stage.daemon.tail()}"


def _backup(stage: Stage, target: Path, name: str, dice: random.Random) -> bool:
    """Whether harm was done: what it left passes for a backup, or the same command again makes none that is whole."""
    _shot(stage, "backup", target, name, dice)
    passes = _put_back(target, target.with_suffix(".early"))
    again = stage.command("backup", str(target))
    place = target.with_suffix(".new")
    whole = again == 0 and _put_back(target, place) and _fits(place)
    left = [path for path in target.parent.iterdir() if path.name.startswith(f".{target.name}")]
    return passes or not whole or bool(left)


def _put_back(backup: Path, place: Path) -> bool:
    with suppress(StoreError):
        restore(backup, place)
        return True
    return False


def _fits(place: Path) -> bool:
    """Whether the journal is read from its first group to its last, and the state is not ahead of it."""
    state = StateStore(place)
    try:
        last = len(read_all(DirectoryReader(place / "journal"), limit=1000))
        return 0 < state.applied <= last
    finally:
        state.close()


def _restore(stage: Stage, backup: Path, name: str, dice: random.Random) -> bool:
    """Whether harm was done: a daemon started from a half of it, or the same command again does not give all of it."""
    state = stage.daemon.state
    shutil.rmtree(state)
    _shot(stage, "restore", backup, name, dice)
    if (state / HALF_RESTORED).exists():
        stage.start()
        harm = stage.await_end(60) != 1 or stage.command("restore", str(backup)) != 0
    else:
        harm = stage.command("restore", str(backup)) == 0  # what is there is not overwritten
    names = json.loads((backup / "backup.json").read_bytes())["files"]
    return harm or any((state / one).read_bytes() != (backup / one).read_bytes() for one in names)
