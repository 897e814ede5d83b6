"""What the store tests share: groups that say what they are, children to kill, damage, full and broken disks."""

from __future__ import annotations

import random
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sensord.core.instant import DAY, HOUR, SECOND
from sensord.core.record import Group, Record, RecordKind
from sensord.store.journal import Journal
from sensord.store.reader import Reader
from tests.support import wait_until

START = 1_700_000_000 * SECOND
ROOT = Path(__file__).resolve().parents[2]


def records_of(seq: int) -> list[Record]:
    """The records of group ``seq`` of every test journal, an hour after those before: ticks, and small to large."""
    at = START + seq * HOUR
    if seq % 5 == 0:
        return [Record(RecordKind.TICK, at)]
    dice = random.Random(seq)
    size = dice.choice((10, 40, 400))
    return [
        Record(RecordKind.MESSAGE, at + number, f"t/{seq}", dice.randbytes(size), duplicate=seq % 3 == 0)
        for number in range(dice.randrange(1, 20))
    ]


def groups(first: int, last: int) -> list[Group]:
    """Groups ``first`` to ``last`` as every test journal holds them."""
    return [Group(seq, tuple(records_of(seq))) for seq in range(first, last + 1)]


def fill(journal: Journal, count: int) -> None:
    """Append the next ``count`` groups."""
    for _ in range(count):
        journal.append(records_of(journal.last_seq + 1))


def made(directory: Path, count: int) -> None:
    """Write a journal of ``count`` groups and close it."""
    with closing(Journal(directory)) as journal:
        fill(journal, count)


def read_all(reader: Reader, after: int = 0, limit: int = 7) -> list[Group]:
    """Read to the end, a few groups at a time."""
    found: list[Group] = []
    while part := reader.read(found[-1].seq if found else after, limit):
        found += part
    return found


def days_later(seq: int, days: float = 0.0) -> int:
    """An instant some days after group ``seq``."""
    return START + seq * HOUR + round(days * DAY)


class Child:
    """``python -m tests.store.MODULE ARGUMENTS``; what it prints is what it says it has done."""

    def __init__(self, log: Path, module: str, *arguments: str) -> None:
        """Run it."""
        self._log = log
        command = [sys.executable, "-m", f"tests.store.{module}", *arguments]
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, cwd=ROOT)

    @property
    def said(self) -> list[str]:
        """Its whole lines so far."""
        return [line.strip() for line in self._log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def wait_for(self, lines: int) -> None:
        """Wait until it has said so many lines."""
        wait_until(lambda: len(self.said) >= lines or self.process.poll() is not None, 30, f"{lines} lines are said")
        assert len(self.said) >= lines, f"the child ended with {self.process.poll()}"

    def kill(self) -> None:
        """End it without a word (SIGKILL)."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@contextmanager
def running(log: Path, module: str, *arguments: str) -> Iterator[Child]:
    """Run a child for at most as long as the block runs."""
    child = Child(log, module, *arguments)
    try:
        yield child
    finally:
        if child.process.poll() is None:
            child.kill()


def overwrite(path: Path, offset: int, what: bytes) -> None:
    """Damage a file."""
    with path.open("r+b") as handle:
        handle.seek(offset)
        handle.write(what)


def change(path: Path, statement: str, *parameters: object) -> None:
    """Change a database behind the program's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement, parameters)


@contextmanager
def full_disk(connection: sqlite3.Connection, pages: int = 0) -> Iterator[None]:
    """Let the database grow by ``pages`` and no further: SQLite says the same as on a disk without space."""
    used = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={used + pages}")
    try:
        yield
    finally:
        connection.execute("PRAGMA max_page_count=1000000000")


@contextmanager
def broken_disk(directory: Path) -> Iterator[None]:
    """Let writes fail with a real I/O error: files cannot become longer than the longest one in the directory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    longest = max(path.stat().st_size for path in directory.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (longest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def as_left_by_a_crash(directory: Path, copy: Path) -> Path:
    """Copy a directory whose databases are still open: what a process that dies now leaves behind."""
    copy.mkdir(mode=0o700)
    for path in directory.iterdir():
        if path.is_dir():
            as_left_by_a_crash(path, copy / path.name)
        else:
            (copy / path.name).write_bytes(path.read_bytes())
    return copy
