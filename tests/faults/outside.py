"""Experiments with what is around the daemon: a disk that fills, files that are damaged."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from sensord.store.ballast import LAST, LOW
from sensord.store.lost import Lost
from tests.faults.harness import Stage
from tests.faults.sensors import Speech
from tests.faults.tally import Row
from tests.support import wait_until

MIB = 1 << 20
LOST, HOLE, FULL = "状态库损坏或丢失", "日志文件损坏或缺失", "磁盘已满"
"""What people are told of a lost state, a damaged journal and a full disk."""
Damage = Callable[[Path], None]


# -- the disk --------------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(directory: Path, files: int = 0) -> Iterator[Path | None]:
    """A file system of 48 MiB, of so many ``files`` (0: of many), of our own; None without the right to mount one."""
    place = directory / "disk"
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size=48m,mode=0700,nr_inodes={files}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        warnings.warn("a full disk was not tried for real: only root may mount one", stacklevel=1)
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path, leave: int = 0) -> Path:
    """Take all the space but so many bytes, as a neighbour does who writes too much."""
    usage = os.statvfs(place)
    hog = place / "hog"
    with hog.open("ab", buffering=0) as file:
        room = usage.f_bavail * usage.f_frsize - leave
        while room > 0:
            try:
                room -= file.write(bytes(min(room, MIB)))
            except OSError:
                break
    return hog


def use_up_files(place: Path) -> Path:
    """Take all the files that the disk has, as a neighbour does who writes many small ones; returns their folder."""
    hog = place / "many"
    with suppress(OSError):
        hog.mkdir(exist_ok=True)
        for number in count():
            (hog / str(number)).touch()
    return hog


def on_small_disk(directory: Path, place: Path, ballast_mib: int, seed: int = 1, speech: Speech | None = None) -> Stage:
    """A stage whose daemon keeps its state there."""
    settings: dict[str, Any] = {"state_dir": str(place / "state"), "journal": {"ballast_mib": ballast_mib}}
    stage = Stage(directory, seed, influx=False, speech=speech, **settings)
    stage.daemon.state = place / "state"
    return stage


def full_disk(directory: Path, rounds: Iterable[int], seed: int) -> list[Row]:
    """Fill the disk and free it again, from almost to wholly full; no row where no disk can be had."""
    dice, recovery = random.Random(seed), list[float]()
    with small_disk(directory) as place:
        if place is None:
            return []
        with on_small_disk(directory, place, 8, seed) as stage:
            stage.begin()
            for _ in rounds:
                deadline = time.monotonic() + dice.uniform(1.0, 4.0)
                leave = dice.choice((0, LOW // 2))
                hog = fill(place, leave)
                wait_until(lambda: stage.fact("journal") is False, 30, "the full disk shows")
                while time.monotonic() < deadline:
                    fill(place, leave)
                    time.sleep(0.2)
                hog.unlink()
                freed = time.monotonic()
                wait_until(lambda: stage.fact("journal") is True, 30, "it goes on")
                recovery.append(time.monotonic() - freed)
                wait_until(lambda: (place / "state" / "ballast").stat().st_size > LAST, 30, "space is kept back again")
            stage.settle()
            return [stage.verdict("disk full, and freed", len(recovery), recovery)]


# -- files -----------------------------------------------------------------------------------------------------------


def folded(path: Path) -> Path:
    """Fold the log into the file, so that the file's damage is all there is."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    return path


def flipped(path: Path) -> None:
    """Turn a hundred bytes over, beyond the header."""
    content, dice = bytearray(path.read_bytes()), random.Random(1)
    for place in dice.sample(range(100, len(content)), 100):
        content[place] ^= 0xFF
    path.write_bytes(content)


def truncated(path: Path) -> None:
    """Cut the file in half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def zeroed(path: Path) -> None:
    """Lose the second page, as a disk does that had it in its cache."""
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(4096) + content[8192:])


def headless(path: Path) -> None:
    """Lose the first page: nothing of the file can be read."""
    path.write_bytes(bytes(4096) + path.read_bytes()[4096:])


def emptied(path: Path) -> None:
    """Lose every byte, as a file system does that had only the name on its disk."""
    path.write_bytes(b"")


def gone(path: Path) -> None:
    """Take the file away, as somebody does who means well."""
    path.unlink()


def orphaned(path: Path) -> None:
    """Take the file away, and leave the log that a crash has left."""
    assert path.with_name(path.name + "-wal").exists()
    path.unlink()


def reworded(path: Path) -> None:
    """Turn one letter over in what is written of each case: SQLite sees nothing wrong with that."""
    words = "UPDATE cases SET json = CAST(replace(CAST(json AS TEXT), '\"rule\"', '\"Rule\"') AS BLOB)"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute(words).rowcount > 0


def start_mended(stage: Stage) -> None:
    """Start the daemon on damaged files; damage that shows only when the core reads ends it, but only once."""
    stage.start()
    if not stage.hears(b"READY=1", 10):
        assert stage.await_end(30) == 1, stage.daemon.tail()
        stage.start()
        stage.await_ready()


def end_mended(stage: Stage) -> None:
    """End it in good order; damage that only a sink comes upon ends it by itself, to be mended by the next start."""
    code = stage.end(signal.SIGTERM)
    if code == 1:
        stage.start()
        stage.await_ready()
        code = stage.end(signal.SIGTERM)
    assert code == 0, stage.daemon.tail()


def _shuffled(damages: Sequence[Damage], rounds: Iterable[int], seed: int) -> Iterator[Damage]:
    """Every damage once in each round, in an order of its own."""
    dice = random.Random(seed)
    for _ in rounds:
        yield from dice.sample(damages, len(damages))


def damaged_journal(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Damage the journal's newest file while the daemon is down; each time it must go on, and tell people."""
    recovery, harm = list[float](), Counter[str]()
    with Stage(directory, seed, influx=False) as stage:
        stage.begin()
        journal = stage.daemon.state / "journal"
        for damage in _shuffled((flipped, truncated, zeroed, headless, emptied, orphaned), rounds, seed):
            wait_until(stage.crowds, 60, "there is a crowd")
            stage.end(signal.SIGKILL)
            newest = max(journal.glob("*.db"))
            damage(newest if damage is orphaned else folded(newest))
            kept, told, seen = _kept(journal), told_times(stage, HOLE), told_times(stage, "") + 2
            began = time.monotonic()
            start_mended(stage)
            recovery.append(time.monotonic() - began)
            wrong = {
                "people not told": not more_told(stage, HOLE, told),
                "no alerts after it": not more_told(stage, "", seen),
            }
            wrong["file not kept"] = _kept(journal) == kept
            harm.update({f"{damage.__name__}: {what}": int(is_so) for what, is_so in wrong.items()})
            end_mended(stage)  # a start without damage tells that it is over
            stage.start()
            stage.await_ready()
            wait_until(stage.answers, 30, "it answers")
        named = sum(one.last - one.first + 1 for one in Lost.load(journal).stretches)
        remark = f"damaged files not kept, people not told, or no alerts after it; {named:,} groups named as lost"
        remark += "".join(f"; {what} {times} times" for what, times in harm.items() if times)
        fault = "journal damaged while the daemon was down"
        return Row(fault, len(recovery), harm.total(), recovery=recovery, remark=remark)


def _kept(journal: Path) -> int:
    """How many damaged files there are, or logs of files that are gone."""
    return len({path.name.removesuffix("-shm").removesuffix("-wal") for path in journal.glob("*.damaged-*")})


def damaged_state(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Damage or take away the state database and the roll-ups: all of both is made again from the journal."""
    dice, recovery, untold = random.Random(seed), list[float](), 0
    with Stage(directory, seed, influx=False) as stage:
        stage.begin()
        for damage in _shuffled((flipped, truncated, zeroed, emptied, gone), rounds, seed):
            time.sleep(dice.uniform(0.0, 3.0))
            stage.end(signal.SIGKILL)
            for name in ("state.db", "rollups.db"):
                damage(folded(stage.daemon.state / name))
            told, began = told_times(stage, LOST), time.monotonic()
            stage.start()
            stage.await_ready()
            recovery.append(time.monotonic() - began)
            untold += not more_told(stage, LOST, told)
            wait_until(stage.answers, 30, "it answers")
            _catch_up(stage)
            assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()
            stage.start()
            stage.await_ready()
            wait_until(stage.answers, 30, "it answers")
        stage.settle()
        row = stage.verdict("state database and roll-ups damaged or gone", len(recovery), recovery)
        row.lost += untold
        return row


def _catch_up(stage: Stage) -> None:
    """Wait until all that is in the journal now has been applied, while more comes; it may be long, if it goes on."""
    received, applied = stage.daemon.overview()["counts"]["received"], 0
    while applied < received:
        wait_until(partial(_further, stage, applied), 60, f"it goes on after group {applied} of {received}")
        applied = stage.daemon.overview()["counts"]["applied"]


def _further(stage: Stage, applied: int) -> bool:
    return bool(stage.daemon.overview()["counts"]["applied"] > applied)


def told_times(stage: Stage, words: str) -> int:
    """How often people were told of something."""
    return sum(words in text for text in stage.texts())


def more_told(stage: Stage, words: str, told: int) -> bool:
    """Whether people are told, within a minute, more often than before."""
    deadline = time.monotonic() + 60
    while told_times(stage, words) <= told and time.monotonic() < deadline:
        code = stage.await_end(0.05)
        if code is not None:  # it ends by itself when a sink comes upon damage: the service manager starts it again
            assert code == 1, stage.daemon.tail()
            stage.start()
            stage.await_ready()
    return told_times(stage, words) > told
