"""A process that holds a state directory until it is killed: ``python -m tests.store.holder DIRECTORY``."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from sensord.errors import LockedError
from sensord.store.lock import StateLock


def main(directory: Path) -> None:
    """Say ``held``, or why not."""
    try:
        lock = StateLock(directory)
    except LockedError as error:
        sys.stdout.write(f"{error}\n")
        return
    sys.stdout.write("held\n")
    sys.stdout.flush()
    signal.pause()
    lock.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
