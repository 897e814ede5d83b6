"""Whether the files that a daemon has open are still the ones at their names.

Who moves a state directory away, deletes a file of it, or puts a backup in its place, takes nothing from a process that
has the files open: it writes on, into what no start will ever find. So whoever acknowledges looks first.
"""

from __future__ import annotations

from pathlib import Path

_Identity = tuple[int, int]
"""Device and inode."""


class Whereabouts:
    """Files as they were when they were opened. One that is not there yet (a log of SQLite's) counts once it is."""

    def __init__(self, *paths: Path) -> None:
        self._known = {path: _identity(path, None) for path in paths}

    def lost(self) -> Path | None:
        """Return a file that is no longer the one at its name; None: each is where it was. Costs microseconds."""
        for path, known in self._known.items():
            found = _identity(path, known)
            if known is None:
                self._known[path] = found
            elif found != known:
                return path
        return None


def _identity(path: Path, known: _Identity | None) -> _Identity | None:
    """What is at a name; what was ``known``, when the disk does not say."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return known
    return found.st_dev, found.st_ino
