"""A process that appends groups and says each one that is committed: ``python -m tests.store.writer DIR [COUNT]``."""

from __future__ import annotations

import sys
from pathlib import Path

import structlog

from sensord.store.journal import Journal
from tests.store.parts import records_of


def main(directory: Path, count: int) -> None:
    """Append ``count`` groups, or until killed."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    journal = Journal(directory)
    for _ in range(count):
        sys.stdout.write(f"{journal.append(records_of(journal.last_seq + 1))}\n")
        sys.stdout.flush()
    journal.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
