"""Files that were set aside as damaged are kept for people to look at, but no longer than what they hold may be kept.

A damaged file of the journal still holds plates, so it goes when the day that it is of is past ``journal.keep``; a
damaged state database goes when it has been set aside for as long. When a file was set aside stands in its name
(``damage.py``). A crash while a day was deleted leaves that day's logs, which may hold plates; they go likewise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import structlog

from sensord.config.files import ASIDE, sync_directory
from sensord.core.instant import parse_instant
from sensord.store.dayfile import DAY_FILE
from sensord.store.sqlite import store_error

log = structlog.get_logger(__name__)

_NAME = re.compile(rf"(?P<name>.+){re.escape(ASIDE)}(?P<at>[0-9]{{1,19}})", re.ASCII)


def expire(directory: Path, before: int, zone: str) -> list[Path]:
    """Delete what was set aside in a directory and is from before ``before`` (ns), with its logs; returns what was.

    Raises ``StoreError`` when a file cannot be deleted.
    """
    gone = [path for path, newest in _aside(directory, zone) if newest < before]
    for path in gone:
        try:
            for suffix in ("-wal", "-shm", ""):  # the name that says when goes last: what a crash leaves is found again
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            sync_directory(directory)
        except OSError as error:
            raise store_error(f"{path}: is past its retention but cannot be deleted ({error})") from error
        log.info("a damaged file past its retention was deleted", file=path.name)
    return gone


def _aside(directory: Path, zone: str) -> Iterator[tuple[Path, int]]:
    """Each file that was set aside, or is only a log of a deleted day, and since when (ns) nothing came into it."""
    there = {path.name for path in directory.iterdir()}
    for name in sorted({name.removesuffix("-wal").removesuffix("-shm") for name in there}):
        found = _NAME.fullmatch(name)
        day = DAY_FILE.fullmatch(found["name"] if found else name)
        ends = [int(found["at"])] if found else []
        if day is not None and (found or name not in there):
            ends.append(_end_of(day[1], zone))
        if ends:
            yield directory / name, min(ends)


def _end_of(day: str, zone: str) -> int:
    """The instant at which a local day ends."""
    return parse_instant((date.fromisoformat(day) + timedelta(days=1)).isoformat(), zone)
