"""When stays matter next, and the quarters of an hour: their instants in order, quarter by quarter. Pure.

Most vehicles leave before their stay reaches any mark. So an instant is only noted, with its quarter, and put in order
when that quarter begins, if the visit is still there then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from heapq import heapify, heappush

from sensord.core.vehicles.compound import Compound
from sensord.core.vehicles.tally import SLOT

Stay = tuple[int, str, int]
"""An instant (ns) at which a stay reaches a mark; the compound and the pseudonym."""


class Stays:
    """The instants of stays. Those at or before ``edge``, the end of the quarter that runs, are ``near``, a heap.

    ``offset`` (ns) is local time's; quarters are local ones.
    """

    def __init__(self, compounds: Mapping[str, Compound], offset: int) -> None:
        self._compounds, self._offset, self.edge = compounds, offset, 0
        self.near: list[Stay] = []
        self._later: defaultdict[int, list[Stay]] = defaultdict(list)

    def begin(self, edge: int, stays: Iterable[Stay] = ()) -> None:
        """Begin anew in the quarter that ends at ``edge``, with these instants."""
        self.edge = edge
        self.near, self._later = [], defaultdict(list)
        for due, place, token in stays:
            self.note(due, place, token)

    def quarter(self, at: int) -> int:
        """The first end of a quarter after ``at``."""
        return ((at + self._offset) // SLOT + 1) * SLOT - self._offset

    def note(self, due: int, place: str, token: int) -> bool:
        """Note when a stay matters next; returns whether that is within this quarter."""
        if due <= self.edge:
            heappush(self.near, (due, place, token))
            return True
        self._later[(due - 1 + self._offset) // SLOT].append((due, place, token))
        return False

    def turn(self) -> None:
        """The next quarter begins."""
        self.edge = self.quarter(self.edge)
        self.near = []
        for stay in self._later.pop((self.edge - 1 + self._offset) // SLOT, ()):
            due, place, token = stay
            visit = self._compounds[place].visits.get(token)
            if visit is not None and visit.due == due:
                self.near.append(stay)
        heapify(self.near)
