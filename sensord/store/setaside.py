"""What was set aside expires, too: a damaged file that lies beside its successor holds what the file held.

A damaged journal file holds plates like any other, and so does the log (``-wal``) of a day file that a crash left
behind when the file itself was deleted. They go when the day in their name is past its keeping, as the day's own file
does; a damaged ``state.db`` or ``rollups.db`` holds pseudonyms, and goes when it was set aside so long ago.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import structlog

from sensord.store.dayfile import day_of
from sensord.store.sqlite import store_error, sync_directory

_ASIDE = re.compile(r".*\.damaged-(\d+)(-wal|-shm)?", re.ASCII)
_OF_A_DAY = re.compile(r"(journal-(\d{4}-\d{2}-\d{2})\.db)(-wal|-shm|\.damaged-.*)?", re.ASCII)

log = structlog.get_logger(__name__)


def delete_set_aside(state: Path, before: int, zone: str) -> list[Path]:
    """Delete what was set aside and is all from before an instant (ns), below the state directory; returns it.

    ``zone`` is what the journal names its days by. Raises ``StoreError`` when a file cannot be deleted.
    """
    deleted = []
    for path in sorted({*_set_aside(state, before), *_of_past_days(state / "journal", before, zone)}):
        try:
            path.unlink(missing_ok=True)
            sync_directory(path.parent)
        except OSError as error:
            raise store_error(f"{path}: is past its keeping but cannot be deleted ({error})") from error
        log.warning("a file that was set aside is past its keeping and was deleted", file=path.name)
        deleted.append(path)
    return deleted


def _set_aside(state: Path, before: int) -> Iterator[Path]:
    """What was moved away before that instant: everything in it is older still."""
    for path in (*state.iterdir(), *(state / "journal").iterdir()):
        found = _ASIDE.fullmatch(path.name)
        if found and int(found[1]) < before:
            yield path


def _of_past_days(journal: Path, before: int, zone: str) -> Iterator[Path]:
    """What is left of days that ended before that instant, but for day files and what belongs to one."""
    for path in journal.iterdir():
        found = _OF_A_DAY.fullmatch(path.name)
        if found and found[2] < day_of(before, zone) and ("damaged" in path.name or not (journal / found[1]).exists()):
            yield path
