"""What comes due, in order of time; ties in a fixed order, so that every run does them alike.

The agenda is made anew from the state that it was made from; an entry whose matter has been settled meanwhile is
recognised by its owner and passed over.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Mapping

from sensord.core.cases.apart import Apart
from sensord.core.cases.case import Case, Due

DIGEST, CHECK, REPORT = 100, 101, 102
"""Kinds beside those of a case (``Due``): an outlet's digest, the daily look at the roster, a scheduled report."""

Entry = tuple[int, int, int, str]
"""(instant, kind, number, owner)"""


class Agenda:
    """A heap of entries."""

    def __init__(self) -> None:
        self._heap: list[Entry] = []

    def add(self, at: int, kind: int, number: int, owner: str) -> None:
        """Note that something comes due."""
        heapq.heappush(self._heap, (at, kind, number, owner))

    def next(self, to: int) -> Entry | None:
        """Take the first entry that is due at or before ``to``, or return None."""
        return heapq.heappop(self._heap) if self._heap and self._heap[0][0] <= to else None


class Desk:
    """What a dispatcher needs of the case book: to note what comes due, its cases, who is busy elsewhere.

    ``apart`` keeps one person's failure from all others.
    """

    def __init__(
        self,
        schedule: Callable[[Case, int, Due, int], None],
        digest: Callable[[int, str], None],
        engaged: Mapping[str, Collection[str]],
        open_cases: Mapping[str, Case],
        ended: Mapping[str, Case],
        apart: Apart,
    ) -> None:
        self.schedule, self.digest, self.engaged = schedule, digest, engaged
        self.open, self._ended, self.apart = open_cases, ended, apart

    def find(self, name: str) -> Case | None:
        """The case of that id, open or ended lately."""
        return self.open.get(name) or self._ended.get(name)
