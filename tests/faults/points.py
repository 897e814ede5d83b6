"""Named crash points: where a daemon under test kills itself with SIGKILL, to the statement, or hangs, or fails.

They are put into the program from outside, by wrapping a function in the process under test (``launcher.py`` of
``tests/support``): the program that runs in the field has no hook, no branch and no cost for them. A name that no
longer exists in the program fails when it is put in, so the table cannot rot.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tests.faults.refusing import refuse, refuse_once


class When(Enum):
    """In which part of its life a process passes a point."""

    RUNNING = "a daemon that runs"
    FRESH = "a daemon whose state directory is new"
    STOPPING = "a daemon after SIGTERM"
    MIDNIGHT = "a daemon over midnight"
    PRUNING = "a daemon that has a day to delete"
    MENDING = "a daemon whose journal is damaged"
    UPGRADING = "a daemon on the files of an earlier version"
    BACKUP = "sensord backup"
    RESTORE = "sensord restore"


@dataclass(frozen=True, slots=True)
class Point:
    """A moment: before or after a function ``module:path``.

    ``often`` is how many times it may be passed before it strikes at the latest, ``least`` at the earliest. With
    ``linger`` (seconds) it strikes a moment later, so that what other threads should not have sent by now has left, and
    is found out.
    """

    where: str
    after: bool
    often: int = 6
    when: When = When.RUNNING
    least: int = 1
    linger: float = 0.0


_STORE, _JOURNAL = "sensord.store", "sensord.store.journal:Journal"
_STATE, _OUTBOX = "sensord.store.state:StateStore", "sensord.store.outbox:OutboxTable"
POINTS: dict[str, Point] = {
    "received, not journaled": Point(f"{_JOURNAL}.append", after=False, linger=0.1),
    "journaled, not acknowledged": Point(f"{_JOURNAL}.append", after=True),
    "acknowledged": Point("sensord.ingest.receiver:MqttReceiver.acknowledge", after=True),
    "a file without tables": Point(f"{_STORE}.sqlite:create_file", after=True, often=3, when=When.FRESH),
    "a file with empty tables": Point(f"{_STORE}.sqlite:create_schema", after=True, often=3, when=When.FRESH),
    "definition journaled for the first time": Point(
        "sensord.ingest.committer:Committer._commit_group", after=True, often=1, when=When.FRESH
    ),
    "stepped, nothing written": Point("sensord.core.site:Site.step", after=True),
    "outputs written, not committed": Point(f"{_STORE}.state:_write", after=True, often=2),
    "outputs committed": Point(f"{_STATE}.apply", after=True, often=3),
    "before a snapshot": Point(f"{_STATE}.save_snapshot", after=False, often=1),
    "after a snapshot": Point(f"{_STATE}.save_snapshot", after=True, often=1),
    "claimed, not sent": Point(f"{_OUTBOX}.claim", after=True, often=2),
    "posted, not recorded": Point("sensord.notify.http:HttpSender._exchange", after=True, often=2),
    "published, not recorded": Point("sensord.notify.mqtt:MqttChannel.send", after=True, often=1),
    "sent and recorded": Point(f"{_OUTBOX}.done", after=True, often=2),
    "points written, cursor not": Point("sensord.series.influx_v1:InfluxV1Sink._send", after=True, often=2),
    "cursor moved": Point(f"{_STATE}.save", after=True, often=2),
    "roll-ups written": Point(f"{_STORE}.rollups:RollupSink._write", after=True, often=2),
    "stopping, journal closed to arrivals": Point(
        "sensord.ingest.committer:Committer.stop", after=True, often=1, when=When.STOPPING
    ),
    "stopping, before the last snapshot": Point(
        "sensord.drivers.live:LiveCore._save", after=False, often=1, when=When.STOPPING
    ),
    "a new day's file without its name": Point(
        f"{_STORE}.sqlite:put_in_place", after=False, often=1, when=When.MIDNIGHT
    ),
    "a new day's file, not open": Point(f"{_STORE}.sqlite:put_in_place", after=True, often=1, when=When.MIDNIGHT),
    "a new day's file, empty": Point(f"{_JOURNAL}._open", after=True, often=2, when=When.MIDNIGHT, least=2),
    "a new day's file, the one before open": Point(f"{_JOURNAL}._close_file", after=False, often=1, when=When.MIDNIGHT),
    "a new day's file, the one before closed": Point(
        f"{_JOURNAL}._close_file", after=True, often=1, when=When.MIDNIGHT
    ),
    "a day forgotten, not deleted": Point(f"{_JOURNAL}._delete", after=False, often=1, when=When.PRUNING),
    "a day deleted, its logs not": Point(f"{_STORE}.journal:sync_directory", after=False, often=1, when=When.PRUNING),
    "a day deleted": Point(f"{_JOURNAL}._delete", after=True, often=1, when=When.PRUNING),
}
"""Where a daemon may be shot; by name."""

_BACKUP, _SALVAGE = f"{_STORE}.backup", f"{_STORE}.salvage"
SELDOM: dict[str, Point] = {
    "a damaged day copied": Point(f"{_SALVAGE}:_copy", after=True, often=1, when=When.MENDING),
    "lost groups written down": Point(f"{_SALVAGE}:_Mender._write_down", after=True, often=1, when=When.MENDING),
    "a damaged file moved aside, its logs not": Point(
        f"{_STORE}.damage:sync_directory", after=False, often=1, when=When.MENDING
    ),
    "a damaged day moved aside, its copy not in place": Point(
        f"{_SALVAGE}:set_aside", after=True, often=1, when=When.MENDING
    ),
    "a journal mended, its state not looked at": Point(
        f"{_STORE}.opening:open_or_mend", after=True, often=1, when=When.MENDING
    ),
    "a journal mended, nobody told": Point("sensord.supervisor:Troubles.lose", after=False, often=1, when=When.MENDING),
    "a file of an earlier version, open": Point(f"{_STORE}.sqlite:migrate", after=False, often=2, when=When.UPGRADING),
    "a table built anew, not committed": Point(
        f"{_STORE}.migration:_rebuild", after=True, often=4, when=When.UPGRADING
    ),
    "a file brought to this version": Point(f"{_STORE}.sqlite:migrate", after=True, often=2, when=When.UPGRADING),
    "a backup's file begun": Point(f"{_BACKUP}:create_file", after=True, often=6, when=When.BACKUP),
    "a backup's database copied": Point(f"{_BACKUP}:_copy_database", after=True, often=3, when=When.BACKUP),
    "a backup without its manifest": Point(f"{_BACKUP}:_checksum", after=True, often=4, when=When.BACKUP),
    "a backup that is not durable": Point(f"{_BACKUP}:_sync", after=False, often=1, when=When.BACKUP),
    "a backup without its name": Point(f"{_BACKUP}:_sync", after=True, often=1, when=When.BACKUP),
    "a restore announced": Point(f"{_BACKUP}:_begin", after=True, often=1, when=When.RESTORE),
    "a restore's file begun": Point(f"{_BACKUP}:create_file", after=True, often=6, when=When.RESTORE, least=2),
    "a restore that is not durable": Point(f"{_BACKUP}:_sync", after=False, often=2, when=When.RESTORE, least=2),
    "a restore that is durable": Point(f"{_BACKUP}:_sync", after=True, often=2, when=When.RESTORE, least=2),
    "a restore done": Point(f"{_BACKUP}:restore", after=True, often=1, when=When.RESTORE),
}
"""Where what runs seldom may be shot: repairs, upgrades, backups; by name."""


def named(table: dict[str, Point], *when: When) -> list[str]:
    """The names of the points that are passed in these parts of a process's life."""
    return [name for name, point in table.items() if point.when in when]


OUTSIDE: dict[str, Point] = {
    "a receiver's name is looked up": Point("sensord.notify.http:resolve", after=False),
    "roll-ups to be written": Point(f"{_STORE}.rollups:RollupSink._write", after=False),
}
"""Where others keep us waiting, or a disk refuses; being shot there is nothing new."""


def strike() -> None:
    """Die as a process dies that is shot."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    """Go no further, without a sign of life."""
    threading.Event().wait()


async def stick() -> None:
    """Call what never returns, on a thread."""
    await asyncio.to_thread(hang)


def fail() -> None:
    """Do what no code foresaw."""
    raise RuntimeError("a fault of the program, put in by a test")


DEEDS: dict[str, Callable[[], Awaitable[None] | None]] = {
    "die": strike,
    "hang": hang,
    "fail": fail,
    "stick": stick,
    "refuse to sync once": functools.partial(refuse_once, "fsync", "fdatasync"),
    "refuse to sync": functools.partial(refuse, "fsync", "fdatasync"),
    "refuse to write": functools.partial(refuse, "pwrite64"),
    "refuse to read": functools.partial(refuse, "pread64"),
}


_AGAIN = ("fail", "stick")


def put_in(name: str, nth: int, deed: str = "die") -> None:
    """Make this process do the deed when it passes the point for the ``nth`` time; raises when there is no such point.

    What fails or sticks goes on doing so from then on.
    """
    point, passed = (POINTS | SELDOM | OUTSIDE)[name], 0

    def reached() -> Awaitable[None] | None:
        nonlocal passed
        passed += 1
        if passed == nth or (deed in _AGAIN and passed > nth):
            time.sleep(point.linger)
            return DEEDS[deed]()
        return None

    holder, attribute = _find(point.where)
    function = inspect.getattr_static(holder, attribute)
    setattr(holder, attribute, _wrapped(function, reached, after=point.after))


def _find(where: str) -> tuple[Any, str]:
    module, _, path = where.partition(":")
    holder: Any = importlib.import_module(module)
    *owners, attribute = path.split(".")
    for owner in owners:
        holder = getattr(holder, owner)
    return holder, attribute


def _wrapped(
    function: Callable[..., Any], reached: Callable[[], Awaitable[None] | None], *, after: bool
) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def slow(*args: Any, **kwargs: Any) -> Any:
            if not after and (waiting := reached()) is not None:
                await waiting
            result = await function(*args, **kwargs)
            if after and (waiting := reached()) is not None:
                await waiting
            return result

        return slow

    @functools.wraps(function)
    def quick(*args: Any, **kwargs: Any) -> Any:
        if not after:
            reached()
        result = function(*args, **kwargs)
        if after:
            reached()
        return result

    return quick
