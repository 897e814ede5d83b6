"""Is the daemon well? Workers show progress, the application states facts; readiness and liveness follow.

Rules: *live* means that every worker makes progress (a daemon that is not live is to be restarted); *ready*
means live and every fact is good (a daemon that is not ready may recover by itself: a restart would not bring
the broker back). A worker that is alive and does not get through to its receiver or database is a fact, too, once that
has lasted. Time comes from an injected monotonic clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from sensord.core.vehicles.blot import without_plates

TROUBLED = 10.0
"""Seconds for which a worker's attempts may fail before that is a bad fact: one refusal is nobody's business."""


@dataclass(slots=True)
class _Worker:
    """A worker's longest allowed silence and its last sign of life, in seconds of the monotonic clock."""

    max_age: float
    beat_at: float


@dataclass(frozen=True, slots=True)
class _Fact:
    """Whether something is as it should be, and what to say about it."""

    ok: bool
    detail: str


@dataclass(slots=True)
class _Failing:
    """Since when (seconds of the monotonic clock) no attempt of a worker has got through, and why the last did not."""

    since: float
    why: str


class Health:
    """Implements ``ports.Standing``. Safe from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` returns seconds and never goes back."""
        self._clock = clock
        self._lock = Lock()
        self._workers: dict[str, _Worker] = {}
        self._facts: dict[str, _Fact] = {}
        self._standing: dict[str, _Failing | None] = {}

    def register(self, worker: str, max_age: float) -> None:
        """Expect a beat of ``worker`` at least every ``max_age`` seconds from now on."""
        with self._lock:
            self._workers[worker] = _Worker(max_age, self._clock())

    def beat(self, worker: str) -> None:
        """Note progress. Raises ``KeyError`` for a worker never registered: its silence would go unseen."""
        self._workers[worker].beat_at = self._clock()

    def went(self, worker: str, why: str = "") -> None:
        """Note how an attempt went; the worker's name is a fact from then on, and bad once failing has lasted."""
        with self._lock:
            before = self._standing.get(worker)
            since = before.since if before is not None else self._clock()
            self._standing[worker] = _Failing(since, why) if why else None

    def set_fact(self, name: str, ok: bool, detail: str = "") -> None:
        """State how something stands (``mqtt``, ``journal``, ``rules``); the latest word counts.

        Anybody may read it, so a plate that somebody wrote where none belongs is blotted out.
        """
        with self._lock:
            self._facts[name] = _Fact(ok, without_plates(detail))

    def revise_fact(self, name: str, said: str, ok: bool, detail: str = "") -> None:
        """State how something stands, if the latest word is still what was ``said``: who spoke since knows better."""
        with self._lock:
            if self._facts[name].detail == without_plates(said):
                self._facts[name] = _Fact(ok, without_plates(detail))

    def live(self) -> tuple[bool, dict[str, object]]:
        """Whether every worker has shown progress of late, and each one's silence in seconds."""
        with self._lock:
            now = self._clock()
            workers = {name: (now - worker.beat_at, worker.max_age) for name, worker in self._workers.items()}
        return all(age <= limit for age, limit in workers.values()), {
            "workers": {
                name: {"ok": age <= limit, "silent_seconds": round(age, 3), "allowed_seconds": limit}
                for name, (age, limit) in workers.items()
            }
        }

    def ready(self) -> tuple[bool, dict[str, object]]:
        """Whether the daemon is live and every fact is good, and all of them."""
        live, report = self.live()
        facts = self._all_facts()
        report["facts"] = {name: {"ok": fact.ok, "detail": fact.detail} for name, fact in facts.items()}
        return live and all(fact.ok for fact in facts.values()), report

    def facts(self) -> dict[str, bool]:
        """Every fact that was stated so far, and whether it is good."""
        return {name: fact.ok for name, fact in self._all_facts().items()}

    def _all_facts(self) -> dict[str, _Fact]:
        with self._lock:
            return self._facts | {name: self._stands(failing) for name, failing in self._standing.items()}

    def _stands(self, failing: _Failing | None) -> _Fact:
        lasts = 0.0 if failing is None else self._clock() - failing.since
        if failing is None or lasts < TROUBLED:
            return _Fact(ok=True, detail="")
        return _Fact(ok=False, detail=f"nothing has got through for {lasts:.0f} s: {failing.why}")
