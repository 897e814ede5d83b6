"""A receiver whose journal never returns, to be killed from outside: ``-m tests.ingest.stuck_receiver PORT LANE``."""

from __future__ import annotations

import sys

from sensord.config.settings import Mqtt
from sensord.ingest.queue import Lane
from tests.ingest.support import MemoryJournal, Stage

if __name__ == "__main__":
    journal = MemoryJournal()
    journal.gate.clear()
    with Stage(Mqtt(port=int(sys.argv[1])), journal=journal, lane=Lane[sys.argv[2]]):
        journal.entered.wait()
        sys.stdout.write("a message is being committed\n")
        sys.stdout.flush()
        sys.stdin.read()
