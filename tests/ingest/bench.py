"""A committer's surroundings for a test: queue, journal in memory, a disk that is full or not."""

from __future__ import annotations

from collections.abc import Sequence

from sensord.ingest.queue import Arrival, ArrivalQueue
from sensord.telemetry.metrics import PrometheusMeter
from tests.ingest.support import Beats, MemoryJournal


class Watched(ArrivalQueue):
    """A queue that tells whether its consumer has ever gathered."""

    gathering = False

    def gather(self, enough: int, timeout: float) -> None:
        """Note it, and do so."""
        self.gathering = True
        super().gather(enough, timeout)


class Bench:
    """A committer and everything around it."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self.queue = Watched(1 << 20)
        self.journal = MemoryJournal()
        self.meter = PrometheusMeter()
        self.beats = Beats()
        self.acknowledged: list[tuple[int, int]] = []
        self.committed_at_ack: list[int] = []

    def acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        """Note what was acknowledged, and how many groups were durable by then."""
        self.acknowledged += [(arrival.epoch, arrival.mid) for arrival in arrivals]
        self.committed_at_ack.append(len(self.journal.groups))


class FullRoom:
    """A disk without room for readings, until it has space."""

    has_space, left = False, 0

    def available(self) -> bool:
        """As the test says."""
        return self.has_space

    def release(self) -> None:
        """Nothing is kept back."""

    def spare(self) -> int:
        """As the test says."""
        return self.left
