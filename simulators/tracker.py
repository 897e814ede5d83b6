"""Follows the daemon's overview and the received notifications, and says what is new.

The overview lists open cases only, so a case that is no longer listed has been closed. Pure but for its memory,
which is bounded; instants are ns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from sensord.core.instant import SECOND, parse_instant
from simulators.receiver import Received

KEPT = 40
"""Closed cases that are remembered."""
_SMOOTHING = 3.0
"""Seconds over which the rate is taken at least."""

Overview = Mapping[str, Any]


class Kind(StrEnum):
    """What an event tells."""

    OPENED = "opened"
    LEVEL = "level"
    NOTIFIED = "notified"
    CLOSED = "closed"


@dataclass(slots=True)
class SeenCase:
    """A case as the overview last showed it. ``closed_at`` is 0 while it is open."""

    id: str
    place: str
    name: str
    name_en: str
    grid: str
    level: str
    peak: str
    state: str
    opened_at: int
    closed_at: int = 0
    acknowledged_by: str = ""

    def label(self, language: str) -> str:
        """Return the place's name in ``zh`` or ``en``."""
        return self.name if language == "zh" else self.name_en or self.name


@dataclass(frozen=True, slots=True)
class Event:
    """Something new at ``at``: about a case, or a notification."""

    kind: Kind
    at: int
    case: SeenCase | None = None
    received: Received | None = None


class Tracker:
    """``update`` takes what was polled and returns the events since the last time; ``cases`` has the newest first."""

    def __init__(self) -> None:
        self._cases: dict[str, SeenCase] = {}
        self._notified = 0
        self._counts: list[tuple[int, int]] = []

    @property
    def cases(self) -> list[SeenCase]:
        """Open cases first, each part with the newest first."""
        newest = sorted(self._cases.values(), key=lambda case: case.opened_at, reverse=True)
        return sorted(newest, key=lambda case: case.closed_at > 0)

    @property
    def rate(self) -> float:
        """Messages a second that the daemon has received lately."""
        if len(self._counts) < 2:
            return 0.0
        (before, fewer), (after, more) = self._counts[0], self._counts[-1]
        return max(more - fewer, 0) / max((after - before) / SECOND, 0.001)

    def update(self, overview: Overview, received: Sequence[Received], total: int, now: int) -> list[Event]:
        """Compare with what was known. ``received`` are the newest of ``total`` notifications, oldest first."""
        self._count(int(overview.get("counts", {}).get("received", 0)), now)
        events: list[Event] = []
        listed = {str(case["id"]): case for case in overview.get("cases", ())}
        for case in listed.values():
            events += self._look(case, now)
        for known in self._cases.values():
            if known.id not in listed and not known.closed_at:
                known.state, known.closed_at = "closed", now
                events.append(Event(Kind.CLOSED, now, known))
        fresh = min(total - self._notified, len(received))
        self._notified = total
        events += [Event(Kind.NOTIFIED, one.at, received=one) for one in received[len(received) - fresh :]]
        self._forget()
        return sorted(events, key=lambda event: event.at)

    def _look(self, listed: Mapping[str, Any], now: int) -> list[Event]:
        seen = _seen(listed, now)
        known = self._cases.setdefault(seen.id, seen)
        if known is seen:
            opened = [Event(Kind.OPENED, seen.opened_at, seen)]
            return [*opened, Event(Kind.CLOSED, seen.closed_at, seen)] if seen.closed_at else opened
        level, closed_at = known.level, known.closed_at
        for one in fields(SeenCase):
            setattr(known, one.name, getattr(seen, one.name))
        known.closed_at = closed_at or seen.closed_at
        if known.closed_at and not closed_at:
            return [Event(Kind.CLOSED, known.closed_at, known)]
        return [Event(Kind.LEVEL, now, known)] if known.level not in (level, "none") else []

    def _count(self, received: int, now: int) -> None:
        self._counts.append((now, received))
        while len(self._counts) > 2 and now - self._counts[1][0] >= _SMOOTHING * SECOND:
            self._counts.pop(0)

    def _forget(self) -> None:
        closed = sorted((case for case in self._cases.values() if case.closed_at), key=lambda case: case.closed_at)
        for case in closed[: max(len(closed) - KEPT, 0)]:
            del self._cases[case.id]


def _seen(case: Mapping[str, Any], now: int) -> SeenCase:
    opened, closed = case.get("opened_at"), case.get("closed_at")
    return SeenCase(
        id=str(case["id"]),
        place=str(case.get("place", "")),
        name=str(case.get("place_name") or case.get("place", "")),
        name_en=str(case.get("place_name_en") or ""),
        grid=str(case.get("grid") or ""),
        level=str(case.get("level", "none")),
        peak=str(case.get("peak", "none")),
        state=str(case.get("state", "dispatched")),
        opened_at=parse_instant(str(opened)) if opened else now,
        closed_at=parse_instant(str(closed)) if closed else 0,
        acknowledged_by=str(case.get("acknowledged_by") or ""),
    )
