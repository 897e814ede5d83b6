"""Experiments with repairs and upgrades: a start that is shot while it mends a journal, or brings files to its version.

The next start must leave what one that was not shot would have left.
"""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sensord.errors import DamageError
from sensord.store.dayfile import day_files, read_span
from sensord.store.lost import Lost
from sensord.store.opening import open_stores
from sensord.store.reader import DirectoryReader
from sensord.store.state import StateStore
from sensord.telemetry.metrics import PrometheusMeter
from tests.faults.harness import Stage
from tests.faults.outside import HOLE, folded, more_told, told_times
from tests.faults.points import SELDOM, When, named
from tests.faults.tally import Row
from tests.store.parts import overwrite, read_all
from tests.support import wait_until

ZONE, PAGE = "Asia/Shanghai", 4096
RELEASED = sorted((Path(__file__).parents[1] / "store" / "released").glob("*.tar.xz"))
STAGES = {b"open": b"dispatched", b"acknowledged": b"handling", b"clear": b"verifying"}
"""What the first release called the stages of a case, and what they are called."""
LAST = 121
"""The last group of its journal."""


# -- repairs ---------------------------------------------------------------------------------------------------------


def first_page_lost(path: Path) -> None:
    """Lose the page with the first groups; what was written last lies in the log, and is whole."""
    for number in range(2, path.stat().st_size // PAGE):
        page = path.read_bytes()[number * PAGE :][:PAGE]
        overwrite(path, number * PAGE, bytes(PAGE))
        try:
            read_span(path)
        except DamageError:
            return
        overwrite(path, number * PAGE, page)
    raise AssertionError("no page shows at the opening")


def both_ends_lost(path: Path) -> None:
    """Lose the first groups, and the last ones with them: the state is ahead of what is left."""
    last = folded(path).stat().st_size // PAGE - 1
    first_page_lost(path)
    overwrite(path, last * PAGE, bytes(PAGE))


class _Left(NamedTuple):
    """What is left of a journal up to a group: the groups, and what is named as lost."""

    groups: list[int]
    lost: list[tuple[int, int]]


def _left(journal: Path, upto: int) -> _Left:
    with closing(DirectoryReader(journal)) as reader:
        groups = [group.seq for group in read_all(reader, limit=1000)]
    lost = [(one.first, one.last) for one in Lost.load(journal).stretches]
    return _Left([seq for seq in groups if seq <= upto], lost)


def mend_kills(directory: Path, rounds: int, seed: int) -> Row:
    """Shoot starts that mend a journal: the next one keeps the same groups and the state, and people are told."""
    dice, harm = random.Random(seed), list[str]()
    names = named(SELDOM, When.MENDING) * rounds
    dice.shuffle(names)
    with Stage(directory, seed, influx=False) as stage:
        stage.begin()
        wait_until(lambda: bool(stage.sensors.heard), 30, "there is a crowd")
        stage.end(signal.SIGKILL)
        folded(day_files(stage.daemon.state / "journal")[-1])
        stage.start()
        stage.await_ready()
        wait_until(lambda: stage.answers() and stage.daemon.caught_up(), 30, "there are groups in the log")
        stage.end(signal.SIGKILL)
        stage.sensors.fall_silent()
        stage.daemon.state.rename(directory / "whole")
        for number, name in enumerate(names):
            damage = (first_page_lost, both_ends_lost)[number % 2]
            harm += [f"{name}: {what}" for what in _mended(stage, directory / "whole", name, damage)]
    fault = f"SIGKILL at {len(set(names))} points of mending a journal"
    return Row(fault, len(names), len(harm), remark="; ".join(harm) or "groups, state and page as after no SIGKILL")


def _mended(stage: Stage, whole: Path, name: str, damage: Callable[[Path], None]) -> list[str]:
    """What is other than after a start that was not shot."""
    state = stage.daemon.state
    journal, upto = state / "journal", _laid(whole, state, damage)
    wanted = _undisturbed(state, upto)
    told = told_times(stage, HOLE)
    stage.start(name)
    code = stage.await_end(60)
    assert code == -signal.SIGKILL, f"{name}: not reached ({code}); {stage.daemon.tail()}"
    stage.start()
    stage.await_ready()
    found = []
    if not more_told(stage, HOLE, told):
        found.append("people were not told")
    if stage.fact("state") is not True:
        found.append("the state is lost")
    assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()
    if (left := _left(journal, upto)) != wanted:
        found.append(f"{len(left.groups)} groups for {len(wanted.groups)}, {left.lost} lost for {wanted.lost}")
    if len(list(journal.glob("*.damaged-*[0-9]"))) != 1:
        found.append("the damaged file is not kept, or another with it")
    return found


def _laid(whole: Path, state: Path, damage: Callable[[Path], None]) -> int:
    """Lay the state directory anew and damage its journal; returns the last group that was applied."""
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(whole, state)
    damage(day_files(state / "journal")[-1])
    with closing(StateStore(state)) as store:
        return store.applied


def _undisturbed(state: Path, upto: int) -> _Left:
    """What a start leaves that is not shot."""
    copy = state.with_name("undisturbed")
    shutil.copytree(state, copy)
    stores = open_stores(copy, ZONE, PrometheusMeter())
    stores.journal.close()
    stores.state.close()
    assert stores.damage
    assert not stores.lost
    left = _left(copy / "journal", upto)
    shutil.rmtree(copy)
    return left


# -- upgrades --------------------------------------------------------------------------------------------------------


def upgrade_kills(directory: Path, rounds: int, seed: int) -> Row:
    """Shoot starts on the files of every released version: nothing that was decided, journaled or counted is lost."""
    dice, harm = random.Random(seed), list[str]()
    names = [(name, old) for name in named(SELDOM, When.UPGRADING) for old in RELEASED] * rounds
    dice.shuffle(names)
    with Stage(directory, seed, influx=False) as stage:
        for name, old in names:
            shutil.rmtree(stage.daemon.state, ignore_errors=True)
            with tarfile.open(old) as archive:
                archive.extractall(stage.daemon.state, filter="data")
            harm += [f"{name}: {what}" for what in _upgraded(stage, name, dice)]
    fault = f"SIGKILL at {len(named(SELDOM, When.UPGRADING))} points of an upgrade"
    remark = "; ".join(harm) or "groups, decisions, points and receipts of released versions"
    return Row(fault, len(names), len(harm), remark=remark)


def _upgraded(stage: Stage, name: str, dice: random.Random) -> list[str]:
    """What was lost, or is there twice."""
    state, point = stage.daemon.state, SELDOM[name]
    decided = (state / "decisions.jsonl").read_bytes()
    for was, now in STAGES.items():
        decided = decided.replace(b'"state":"%b"' % was, b'"state":"%b"' % now)
    before, sent = _counted(stage), _sent(state)
    stage.start(name, dice.randint(point.least, point.often))
    code = stage.await_end(60)
    assert code == -signal.SIGKILL, f"{name}: not reached ({code}); {stage.daemon.tail()}"
    stage.start()
    stage.await_ready()
    wait_until(stage.answers, 30, "it answers")
    assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()
    found = [] if _counted(stage) == before else [f"{before} groups and points were there, {_counted(stage)} are"]
    if list(state.rglob("*.damaged-*")):
        found.append("a file was taken for a damaged one")
    with closing(StateStore(state)) as store:
        written = store.decisions().splitlines()
    found += ["a decision is lost" for line in decided.splitlines() if written.count(line) != 1]
    found += ["a page that had been sent went out again" for page in stage.people.requests if page.json["key"] in sent]
    return found


def _counted(stage: Stage) -> tuple[int, int]:
    """How many of the release's groups can be read, and the readings that its roll-ups have."""
    return len(_left(stage.daemon.state / "journal", LAST).groups), stage.points()["roll-ups"]


def _sent(state: Path) -> set[str]:
    with closing(sqlite3.connect(state / "state.db")) as database:
        return {key for (key,) in database.execute("SELECT key FROM outbox WHERE state = 'sent'")}
