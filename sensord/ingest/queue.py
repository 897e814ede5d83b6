"""Arrivals on their way from the receivers to the journal: a few lanes, each bounded, with one consumer.

Rules:
- What waits is bounded by bytes, not by count: the in-flight window of MQTT bounds neither (it does not hold
  for QoS 0).
- A full lane makes its producer wait; nothing is ever dropped here. The receiver stops reading its socket
  while there is no room, so that the pressure reaches the broker.
- The consumer takes everything that waits at once: under load groups grow by themselves and commits stay few.
- What a heap of readings must not hold up has a lane of its own and goes before them (``Lane``). Our own records and
  operators' commands get through even when readings cannot be journaled for want of space.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future
from enum import IntEnum
from threading import Condition, Lock

import msgspec

from sensord.core.record import Record
from sensord.errors import UnavailableError

OWN_LIMIT = 1000
"""Records of our own that can wait: each is small, and comes by hand or once for a notification."""
OVERHEAD = 400
"""What one waiting arrival costs beside its topic and payload, in bytes."""
GROUP_BYTES = 4 << 20
"""The most that one group takes from the queue, in bytes: 27,000 small readings, or a few very large ones."""


class Lane(IntEnum):
    """Where an arrival waits; the lower number goes first. Each connection to the broker has its own."""

    OWN = 0
    """Records of our own: actions over the API, definitions, notices, receipts."""
    COMMANDS = 1
    """What operators say over MQTT."""
    FRESH = 2
    """Counts and gauges of now, while older ones wait (``fresh``); they come in their turn, too."""
    SIGHTINGS = 3
    """Vehicles and findings: few, and each tells something that no later one replaces."""
    READINGS = 4
    """Counts, gauges and signs of life: nearly everything."""


_PORTION = {Lane.COMMANDS: 8, Lane.FRESH: 64, Lane.SIGHTINGS: 4, Lane.READINGS: 1}
"""Which part of the whole queue's bytes a lane may hold, as a divisor."""
_SHARE = {Lane.COMMANDS: 1, Lane.FRESH: 4, Lane.SIGHTINGS: 2, Lane.READINGS: 1}
"""Which part of a group a lane may fill, as a divisor, so that none starves those behind it."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A record, and whom to tell when it is durable.

    ``lane`` says by which session it came, ``epoch`` numbers the session's connection that delivered it (from 1; 0: not
    from a broker), ``mid`` and ``qos`` are its packet there. ``record`` is None for a message that is not journaled but
    still is acknowledged in its turn (too large). ``echo`` is the number of an echo (``backlog``).
    """

    record: Record | None
    epoch: int = 0
    mid: int = 0
    qos: int = 0
    future: Future[int] | None = None
    lane: Lane = Lane.READINGS
    echo: int = 0

    @property
    def size(self) -> int:
        """What it costs while it waits, in bytes."""
        if self.record is None:
            return OVERHEAD
        return OVERHEAD + len(self.record.topic) + len(self.record.payload)


class ArrivalQueue:
    """Arrivals in order, lane by lane. Any number of producers, one consumer."""

    def __init__(self, max_bytes: int) -> None:
        """Hold at most ``max_bytes`` of readings (plus the arrival that crosses the line); other lanes hold a part."""
        self._limits = {lane: max_bytes // portion for lane, portion in _PORTION.items()}
        self._own: deque[Arrival] = deque()
        self._waiting: dict[Lane, deque[Arrival]] = {lane: deque() for lane in _PORTION}
        self._bytes = dict.fromkeys(_PORTION, 0)
        self._closed = False
        lock = Lock()
        self._arrived = Condition(lock)
        self._room = Condition(lock)

    @property
    def size(self) -> int:
        """What waits, in bytes."""
        return sum(self._bytes.values())

    def has_room(self, lane: Lane = Lane.READINGS) -> bool:
        """Whether a :meth:`put` of such an arrival would not block."""
        return self._closed or self._bytes[lane] < self._limits[lane]

    def wait_for_room(self, timeout: float, lane: Lane = Lane.READINGS) -> bool:
        """Wait up to ``timeout`` seconds for room; True when a :meth:`put` would not block."""
        with self._room:
            return self._room.wait_for(lambda: self.has_room(lane), timeout)

    def put(self, arrival: Arrival) -> bool:
        """Append to its lane; blocks while that is full. False when the queue is closed: it was not taken."""
        lane = arrival.lane
        with self._arrived:
            if not self.has_room(lane):
                self._room.wait_for(lambda: self.has_room(lane))
            if self._closed:
                return False
            self._waiting[lane].append(arrival)
            self._bytes[lane] += arrival.size
            self._arrived.notify()
            return True

    def gather(self, enough: int, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for ``enough`` arrivals, or for one that people wait for."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._closed or self._pressing() or self._amount() >= enough, timeout)

    def _pressing(self) -> bool:
        return bool(self._own or self._waiting[Lane.COMMANDS])

    def _amount(self) -> int:
        return sum(map(len, self._waiting.values()))

    def submit(self, record: Record, timeout: float) -> Future[int]:
        """Append a record of our own (an operator's action) to the lane that goes first.

        The future resolves with its journal ``seq``.

        Raises ``UnavailableError`` when the lane has no place within ``timeout`` seconds, or the daemon is
        stopping. The future fails with the journal's error when the record cannot be committed.
        """
        future: Future[int] = Future()
        future.set_running_or_notify_cancel()  # not to be cancelled: it may be journaled by then
        if not self._put_own(Arrival(record, future=future, lane=Lane.OWN), timeout):
            what = "the daemon is stopping" if self._closed else "the journal does not keep up (is its disk full?)"
            raise UnavailableError(f"the action was not recorded: {what}; send it again later")
        return future

    def _put_own(self, arrival: Arrival, timeout: float) -> bool:
        with self._arrived:
            self._room.wait_for(lambda: self._closed or len(self._own) < OWN_LIMIT, timeout)
            if self._closed or len(self._own) >= OWN_LIMIT:
                return False
            self._own.append(arrival)
            self._arrived.notify()
            return True

    def take(
        self, max_records: int, timeout: float, max_bytes: int = GROUP_BYTES, *, readings: bool = True
    ) -> list[Arrival]:
        """Take what waits, lane by lane: up to ``max_records``, and no more once ``max_bytes`` are reached.

        Without ``readings`` those that come in their turn stay. Waits up to ``timeout`` seconds for a first arrival; an
        empty list when none came, or the queue was closed.
        """
        deadline = time.monotonic() + timeout
        with self._arrived:
            lanes = [lane for lane in _SHARE if readings or lane is not Lane.READINGS]
            while not (self._own or any(self._waiting[lane] for lane in lanes) or self._closed):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._arrived.wait(remaining):
                    break
            taken = self._take_own()
            size = 0
            for lane in lanes:
                most = min(max_records, len(taken) + max(1, max_records // _SHARE[lane]))
                size = self._take(lane, taken, most, size, max_bytes)
            self._room.notify_all()
            return taken

    def _take(self, lane: Lane, taken: list[Arrival], most: int, size: int, max_bytes: int) -> int:
        """Move arrivals of a lane over until that is ``most`` or so many bytes; returns how many it is now."""
        waiting, before = self._waiting[lane], size
        while waiting and len(taken) < most and size < max_bytes:
            arrival = waiting.popleft()
            size += arrival.size
            taken.append(arrival)
        self._bytes[lane] -= size - before
        return size

    def take_urgent(self, timeout: float, *, own: bool = True) -> list[Arrival]:
        """Take our own records, commands, and readings of now that came ahead, but no other readings.

        Waits up to ``timeout`` seconds for a first of the former two; without ``own`` they stay, for the whole time.
        """
        with self._arrived:
            self._arrived.wait_for(lambda: self._closed or (own and self._pressing()), timeout)
            taken = self._take_own() if own else []
            if own:
                self._take(Lane.COMMANDS, taken, len(taken) + OWN_LIMIT, 0, GROUP_BYTES)
            self._take(Lane.FRESH, taken, 1 << 30, 0, GROUP_BYTES)
            self._room.notify_all()
            return taken

    def _take_own(self) -> list[Arrival]:
        taken = list(self._own)
        self._own.clear()
        return taken

    def close(self) -> None:
        """Take no more arrivals and wake everybody who waits; what waits stays for the consumer."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()
            self._room.notify_all()
