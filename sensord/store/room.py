"""Whether a disk takes more: it may be out of space, out of files (inodes), or its user over a quota.

The first two can be asked for; a quota shows only when something is refused. SQLite says of most of this only that it
cannot open a file, so a small file is tried in the directory: what that is refused for, SQLite was refused for.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

_NEARLY_FULL = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)
_TRIAL, _TRIED = ".room", 64 << 10


def is_full(error: OSError) -> bool:
    """Say whether something was refused for the want of room: it can be had again by itself."""
    return error.errno in _FULL


def nearly_full(directory: Path) -> bool:
    """Say whether less than 1 MiB is left on the directory's file system, or it takes no small file."""
    try:
        usage = os.statvfs(directory)
    except OSError:
        return False
    return usage.f_bavail * usage.f_frsize < _NEARLY_FULL or _refusal(directory) in _FULL


def over_quota(directory: Path) -> bool:
    """Say whether our user has no more to take there."""
    return _refusal(directory) == errno.EDQUOT


def files_left(usage: os.statvfs_result) -> int | None:
    """Return how many more files a file system takes; None: it does not count them."""
    return usage.f_favail if usage.f_files else None


def _refusal(directory: Path) -> int:
    """Why a small file is refused there (an ``errno``); 0: it is not."""
    path = directory / _TRIAL
    try:
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, _TRIED)
        finally:
            os.close(handle)
            path.unlink()
    except OSError as error:
        return error.errno or 0
    return 0
