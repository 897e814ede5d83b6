"""Arrivals on their way from the receivers to the journal: one queue, bounded by bytes, with one consumer.

Rules:
- What waits is bounded by bytes, not by count: the in-flight window of MQTT bounds neither (it does not hold
  for QoS 0).
- A full queue makes its producer wait; nothing is ever dropped here. The receiver stops reading its socket
  while there is no room, so that the pressure reaches the broker.
- The consumer takes everything that waits at once: under load groups grow by themselves and commits stay few.
- Our own records (operators' actions, definitions, notices) have a lane of their own and go first: they are few, and
  must get through when readings cannot be journaled for want of space.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future
from threading import Condition, Lock

import msgspec

from sensord.core.record import Record
from sensord.errors import UnavailableError

URGENT_LIMIT = 1000
"""Records of our own that can wait: each is small, and comes by hand or once for a notification."""
OVERHEAD = 400
"""What one waiting arrival costs beside its topic and payload, in bytes."""
GROUP_BYTES = 4 << 20
"""The most that one group takes from the queue, in bytes: 27,000 small readings, or a few very large ones."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A record, and whom to tell when it is durable.

    ``epoch`` numbers the connection that delivered it (from 1; 0: not from a broker), ``mid`` and ``qos`` are
    its packet there. ``record`` is None for a message that is not journaled but still is acknowledged in its
    turn (too large).
    """

    record: Record | None
    epoch: int = 0
    mid: int = 0
    qos: int = 0
    future: Future[int] | None = None

    @property
    def size(self) -> int:
        """What it costs while it waits, in bytes."""
        if self.record is None:
            return OVERHEAD
        return OVERHEAD + len(self.record.topic) + len(self.record.payload)


class ArrivalQueue:
    """Arrivals in order. Any number of producers, one consumer."""

    def __init__(self, max_bytes: int) -> None:
        """Hold at most ``max_bytes`` (plus the one arrival that crosses the line)."""
        self.max_bytes = max_bytes
        self._waiting: deque[Arrival] = deque()
        self._urgent: deque[Arrival] = deque()
        self._bytes = 0
        self._closed = False
        lock = Lock()
        self._arrived = Condition(lock)
        self._room = Condition(lock)

    @property
    def size(self) -> int:
        """What waits, in bytes."""
        return self._bytes

    @property
    def full(self) -> bool:
        """Whether a :meth:`put` would block."""
        return not self._has_room()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called; what waits can still be taken."""
        return self._closed

    def put(self, arrival: Arrival) -> bool:
        """Append; blocks while the queue is full. False when the queue is closed: it was not taken."""
        return self._put(arrival, None)

    def submit(self, record: Record, timeout: float) -> Future[int]:
        """Append a record of our own (an operator's action) to the lane that goes first.

        The future resolves with its journal ``seq``.

        Raises ``UnavailableError`` when the lane has no place within ``timeout`` seconds, or the daemon is
        stopping. The future fails with the journal's error when the record cannot be committed.
        """
        future: Future[int] = Future()
        future.set_running_or_notify_cancel()  # not to be cancelled: it may be journaled by then
        if not self._put_urgent(Arrival(record, future=future), timeout):
            what = "the daemon is stopping" if self._closed else "the journal does not keep up (is its disk full?)"
            raise UnavailableError(f"the action was not recorded: {what}; send it again later")
        return future

    def _put(self, arrival: Arrival, timeout: float | None) -> bool:
        with self._arrived:
            if self._bytes >= self.max_bytes and not self._closed:
                self._room.wait_for(self._has_room, timeout)
            if self._closed or self._bytes >= self.max_bytes:
                return False
            self._waiting.append(arrival)
            self._bytes += arrival.size
            self._arrived.notify()
            return True

    def _put_urgent(self, arrival: Arrival, timeout: float) -> bool:
        with self._arrived:
            self._room.wait_for(lambda: self._closed or len(self._urgent) < URGENT_LIMIT, timeout)
            if self._closed or len(self._urgent) >= URGENT_LIMIT:
                return False
            self._urgent.append(arrival)
            self._arrived.notify()
            return True

    def wait_for_room(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for room; True when a :meth:`put` would not block."""
        with self._room:
            return self._room.wait_for(self._has_room, timeout)

    def _has_room(self) -> bool:
        return self._closed or self._bytes < self.max_bytes

    def take(self, max_records: int, timeout: float, max_bytes: int = GROUP_BYTES) -> list[Arrival]:
        """Take what waits, in order: up to ``max_records``, and no more once ``max_bytes`` are reached.

        Waits up to ``timeout`` seconds for a first arrival; an empty list when none came, or the queue was
        closed.
        """
        deadline = time.monotonic() + timeout
        with self._arrived:
            while not (self._urgent or self._waiting or self._closed):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._arrived.wait(remaining):
                    break
            taken = self._take_urgent()
            size = 0
            while self._waiting and len(taken) < max_records and size < max_bytes:
                arrival = self._waiting.popleft()
                size += arrival.size
                taken.append(arrival)
            self._bytes -= size
            self._room.notify_all()
            return taken

    def take_urgent(self, timeout: float) -> list[Arrival]:
        """Take records of our own only; waits up to ``timeout`` seconds for a first one."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._urgent or self._closed, timeout)
            return self._take_urgent()

    def _take_urgent(self) -> list[Arrival]:
        taken = list(self._urgent)
        self._urgent.clear()
        self._room.notify_all()
        return taken

    def close(self) -> None:
        """Take no more arrivals and wake everybody who waits; what waits stays for the consumer."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()
            self._room.notify_all()
