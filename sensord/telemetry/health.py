"""Is the daemon well? Workers show progress, the application states facts; readiness and liveness follow.

Rules: *live* means that every worker makes progress (a daemon that is not live is to be restarted); *ready*
means live and every fact is good (a daemon that is not ready may recover by itself: a restart would not bring
the broker back). Time comes from an injected monotonic clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock


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


class Health:
    """Implements ``ports.Pulse``. Safe from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` returns seconds and never goes back."""
        self._clock = clock
        self._lock = Lock()
        self._workers: dict[str, _Worker] = {}
        self._retired: set[str] = set()
        self._facts: dict[str, _Fact] = {}

    def register(self, worker: str, max_age: float) -> None:
        """Expect a beat of ``worker`` at least every ``max_age`` seconds from now on."""
        with self._lock:
            self._workers[worker] = _Worker(max_age, self._clock())
            self._retired.discard(worker)

    def unregister(self, worker: str) -> None:
        """Expect nothing of ``worker`` any more: it was stopped on purpose."""
        with self._lock:
            self._retired.add(worker)
            self._workers.pop(worker, None)

    def beat(self, worker: str) -> None:
        """Note progress. Raises ``KeyError`` for a worker never registered: its silence would go unseen."""
        known = self._workers.get(worker)
        if known is not None:
            known.beat_at = self._clock()
        elif worker not in self._retired:
            raise KeyError(worker)

    def set_fact(self, name: str, ok: bool, detail: str = "") -> None:
        """State how something stands (``mqtt``, ``journal``, ``rules``); the latest word counts."""
        with self._lock:
            self._facts[name] = _Fact(ok, detail)

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
        with self._lock:
            facts = dict(self._facts)
        report["facts"] = {name: {"ok": fact.ok, "detail": fact.detail} for name, fact in facts.items()}
        return live and all(fact.ok for fact in facts.values()), report
