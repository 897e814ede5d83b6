"""What is known of vehicles: when each was seen last, and of those seen lately where, and when it came. Pure."""

from __future__ import annotations

from sensord.core.instant import HOUR
from sensord.core.vehicles.passage import Before
from sensord.core.vehicles.tracking import Tracking
from sensord.core.vehicles.visit import Trace

MOST_KNOWN = 500_000
"""So many vehicles are remembered; beyond it those not seen for longest are forgotten, and counted."""
MOST_TRACED = 200_000
"""So many vehicles of today are known in detail; then the oldest tenth goes."""


class Acquaintance:
    """The vehicles that are known: ``known`` has the hour of each one's last passage, ``traces`` what is known lately.

    ``forgotten`` counts those that went because there were too many.
    """

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking
        self.traces: dict[int, Trace] = {}
        self.known: dict[int, int] = {}
        self.forgotten = 0
        self._hour = 0

    def _trace(self, token: int) -> Trace:
        """Return the vehicle's trace, a new one if need be."""
        return self.traces.get(token) or self._new_trace(token)

    def _new_trace(self, token: int) -> Trace:
        if len(self.traces) >= MOST_TRACED:
            limit = sorted(one.last_at for one in self.traces.values())[MOST_TRACED // 10]
            self.traces = {name: one for name, one in self.traces.items() if one.last_at > limit}
        trace = self.traces[token] = Trace(0, "")
        return trace

    def _away(self, hour: int | None, at: int) -> int:
        """How long (ns) a vehicle without a trace was away at ``at``; below zero: it was seen since.

        Of its last passage the ``hour`` is known: it counts in full. A trace lasts for more than an hour, so nothing
        but a stored passage can be as old as that.
        """
        if hour is None:  # never seen means: not for as long as we remember, also when we have only begun to look
            return self._tracking.remember
        return at - hour * HOUR if at >= (hour + 1) * HOUR else -1

    def _seen_after(self, token: int, at: int) -> bool:
        """Whether a vehicle was seen after ``at`` (ns)."""
        trace = self.traces.get(token)
        return at < trace.last_at if trace is not None else self._away(self.known.get(token), at) < 0

    def _before(self, token: int, trace: Trace) -> Before | None:
        """What is known of a vehicle now, in case that this passage turns out to have been another's."""
        hour = self.known.get(token)
        return None if hour is None else Before(hour, trace.last_at, trace.gate, trace.inside, trace.witnessed)

    def _note(self, token: int, trace: Trace, gate: str, at: int, witnessed: bool) -> None:
        trace.last_at, trace.gate = at, gate
        if witnessed:
            trace.witnessed = at
        hour = at // HOUR
        if hour != self._hour:
            self._hour = hour  # one object for all who pass in this hour
        known = self.known
        known[token] = self._hour
        if len(known) > MOST_KNOWN:
            self._forget()

    def _forget(self) -> None:
        """Forget the tenth that was not seen for longest."""
        limit = sorted(self.known.values())[MOST_KNOWN // 10]
        kept = {token: hour for token, hour in self.known.items() if hour > limit}
        self.forgotten += len(self.known) - len(kept)
        self.known = kept
