"""What is known of vehicles: when each was seen last, and of those seen lately where, and when it came. Pure.

Whether one that seems to be inside at night is believed to be follows from that.
"""

from __future__ import annotations

from sensord.core.instant import DAY, HOUR
from sensord.core.vehicles.passage import Before
from sensord.core.vehicles.tracking import Tracking
from sensord.core.vehicles.visit import Trace, Visit

MOST_KNOWN = 500_000
"""So many vehicles are remembered; beyond it those not seen for longest are forgotten, and counted."""
MOST_TRACED = 200_000
"""So many vehicles of today are known in detail; then the oldest tenth goes."""
AT_HOME = 3
"""A vehicle that was inside over night on so many visits lives here."""
COURIER = 3
"""One that made so many short visits on the day before its last entry comes and goes."""


class Acquaintance:
    """The vehicles that are known: ``known`` has the hour of each one's last passage, ``traces`` what is known lately.

    ``homes`` has on how many visits one was inside over night.
    ``forgotten`` counts those that went because there were too many.
    """

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking
        self.traces: dict[int, Trace] = {}
        self.known: dict[int, int] = {}
        self.homes: dict[int, int] = {}
        self.forgotten = 0
        self._hour = 0

    def _trace(self, token: int, at: int) -> Trace:
        """Return the vehicle's trace, a new one if need be."""
        return self.traces.get(token) or self._new_trace(token, at, self.known.get(token))[0]

    def _new_trace(self, token: int, at: int, hour: int | None) -> tuple[Trace, int]:
        """Begin the vehicle's trace; ``hour`` is when it was seen last. Returns how long it was away, too (ns)."""
        # Never seen means: not for as long as we remember, also when we have only begun to look.
        away = self._tracking.remember if hour is None else at - hour * HOUR
        if len(self.traces) >= MOST_TRACED:
            limit = sorted(one.last_at for one in self.traces.values())[MOST_TRACED // 10]
            self.traces = {name: one for name, one in self.traces.items() if one.last_at > limit}
        trace = self.traces[token] = Trace(0, "")
        return trace, max(away, 0)

    def _before(self, token: int, trace: Trace) -> Before | None:
        """What is known of a vehicle now, in case that this passage turns out to have been another's."""
        hour = self.known.get(token)
        return None if hour is None else Before(hour, trace.last_at, trace.gate, trace.inside, trace.witnessed)

    def _rename_trace(self, former: int, token: int) -> Trace | None:
        """A vehicle goes on under another pseudonym; None when nothing is known of it lately, or of both."""
        hour = self.known.pop(former, None)
        if hour is not None:
            self.known.setdefault(token, hour)
        trace = self.traces.pop(former, None)
        if trace is None or token in self.traces:
            return None
        self.traces[token] = trace
        return trace

    def _lives_here(self, token: int, *, first: bool) -> bool:
        """Whether a vehicle that is inside at night lives here; ``first``: it is this visit's first night."""
        nights = self.homes.get(token, 0) + first
        if first:
            self.homes[token] = nights
        return nights >= AT_HOME

    def _passed_since(self, token: int, visit: Visit) -> bool:
        """Whether a vehicle has passed anywhere after the entry that began a visit: whoever was inside is not now."""
        trace = self.traces.get(token)
        return trace is not None and trace.last_at > visit.entered_at + self._tracking.merge

    def _is_over(self, token: int, visit: Visit, now: int) -> bool:
        """Whether the visit of a vehicle that does not live here is believed no longer."""
        if now - visit.entered_at >= self._tracking.believed:
            return True
        # Not sooner: within a day it may be one of two vehicles with one plate.
        aliases = visit.kin if visit.stranger and now - visit.entered_at >= DAY else ()
        if any(self._passed_since(alias, visit) for alias in aliases):
            return True
        trace, lately = self.traces.get(token), visit.entered_at - self._tracking.recent
        return trace is not None and sum(lately < when <= visit.entered_at for when in trace.shorts) >= COURIER

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

    def _forget_past(self, now: int) -> None:
        """Forget what is past remembering."""
        recent = now - max(self._tracking.recent, self._tracking.roaming)
        self.traces = {token: trace for token, trace in self.traces.items() if trace.inside or trace.last_at > recent}
        oldest = (now - self._tracking.remember) // HOUR
        self.known = {token: hour for token, hour in self.known.items() if hour >= oldest}
        self.homes = {token: nights for token, nights in self.homes.items() if token in self.known}

    def _forget(self) -> None:
        """Forget the tenth that was not seen for longest."""
        limit = sorted(self.known.values())[MOST_KNOWN // 10]
        kept = {token: hour for token, hour in self.known.items() if hour > limit}
        self.forgotten += len(self.known) - len(kept)
        self.known = kept
