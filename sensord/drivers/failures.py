"""What the core could not handle: into the log, into the metrics, and into what the daemon says of itself.

A rule or a device may fail again with every second. Each failure is counted; what is the same as one that was logged
lately is logged again once in a while only, with how often it came meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import structlog

from sensord.core.failure import Failure, Part
from sensord.ports import Meter

SHOWN = 3600.0
"""Seconds for which it is said that something could not be handled: it is an event, and has no end of its own."""
AGAIN = 600.0
"""Seconds between two lines in the log about the same."""
MOST = 100
"""So many things are told apart; what comes beyond that within ``AGAIN`` is counted and not logged."""

log = structlog.get_logger()


class Heard:
    """Hears of failures in the core's thread; ``said`` may be asked from any other."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._last: tuple[float, Failure] | None = None
        self._logged: dict[tuple[str, str, str], tuple[float, int]] = {}
        """When each was logged last, and how often it has come since."""

    @property
    def said(self) -> str:
        """What could not be handled, for a while after it; empty when nothing has failed."""
        at, failure = self._last or (0.0, None)
        return "" if failure is None or time.monotonic() - at > SHOWN else sentence(failure)

    def hear(self, failures: Iterable[Failure]) -> None:
        """Take what failed in a step."""
        for failure in failures:
            now = time.monotonic()
            self._last = now, failure
            self._meter.count("failures_total", part=failure.part.value)
            same = failure.part.value, failure.what, failure.why
            logged_at, since = self._logged.get(same, (-AGAIN, 0))
            if now - logged_at < AGAIN:
                self._logged[same] = logged_at, since + 1
            elif same in self._logged or self._has_room(now):
                self._logged[same] = now, 0
                self._log(failure, since)

    def _has_room(self, now: float) -> bool:
        """Forget what has not been logged for long once there is much of it; whether something else may be."""
        if len(self._logged) >= MOST:
            self._logged = {same: told for same, told in self._logged.items() if now - told[0] < AGAIN}
        return len(self._logged) < MOST

    def _log(self, failure: Failure, since: int) -> None:
        log.error(
            "something could not be handled; all else goes on",
            part=failure.part.value, what=failure.what, at=failure.at, why=failure.why, trace=failure.trace,
            unlogged=since,
        )  # fmt: skip


def sentence(failure: Failure) -> str:
    """Say what could not be handled, and what is to be done."""
    what, why = failure.what, failure.why
    return {
        Part.CASE: f"{what} could not be handled ({why}); look at it by hand, and report it with the log",
        Part.RULE: f"the rule {what} failed ({why}) and began anew; watch its places, and report it with the log",
        Part.LIVENESS: f"who is heard could not be told ({why}): unknown meanwhile; report it with the log",
        Part.MESSAGE: f"a message of {what} could not be read ({why}); report it with the log",
        Part.DEFINITION: f"a new definition was refused ({why}): the one before holds; report it with the log",
        Part.STATE: f"the core's state cannot be saved ({why}): a start will take longer; report it with the log",
        Part.VEHICLES: f"{what} failed ({why}): numbers of vehicles are unknown for a while; report it with the log",
    }[failure.part]
