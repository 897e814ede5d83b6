"""Which devices are heard. Silence is judged by time of arrival, of what a device says of now.

What is older, as it arrives, than the device may be silent and its stream be late says nothing of now. A device of
which nothing else comes is as good as silent, whatever the cause: no window counts what it says.

A mistake of ours in here ends at its boundary (``core/failure.py``), and all is tried again each time: a reading that
cannot be taken leaves its device with the last one that could, up to the deadline; where it cannot be told who is
heard, nobody is, just then. So there is nothing to be saved of it, and a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import DERIVED, Batch, Int64
from sensord.core.failure import Failures, Part
from sensord.core.place import PlaceKind, Places
from sensord.core.stream import Stream

Bools = NDArray[np.bool_]
_EVER = int(np.iinfo(np.int64).max)
_WHAT = "devices"
"""What a failure of ours is about: arrays over all of them."""


class Liveness:
    """``heard_at`` int64 ns (devices,): the last arrival, or since when we listen for a device never heard.

    ``lateness_of`` says by how much a stream may be late (ns); ``failures`` hears of what fails in here.

    ``unheard`` bool (devices,): sensors never heard so far; people who report findings need not have done so.
    ``recounted`` int ns: before that, vehicles may be inside that came when nobody was followed, and are in no number,
    but where somebody has ``counted`` them: compounds with the instant (ns). ``whole_from`` int64 ns (devices,) is when
    that ends, or ended, for a device's compound.
    ``stuck`` bool (devices,) per rule: the devices that are heard but say nothing (see ``stuck.py``).
    ``unsure_at`` is the last instant (ns) for which it could not be told who is heard; None: there was none.
    """

    def __init__(
        self,
        places: Places,
        since: int,
        lateness_of: Callable[[Stream], int],
        failures: Failures,
        only: frozenset[str] | None = None,
    ) -> None:
        devices, self._failures = places.devices, failures
        self.heard_at: Int64 = np.full(len(devices), since)
        streams = np.array([device.stream for device in devices], np.int64)
        self.unheard: Bools = streams != Stream.REPORT
        self._compounds = [places.above(device.place, PlaceKind.COMPOUND) or "" for device in devices]
        self.recount(0, {})
        self.deadline: Int64 = np.array([device.deadline for device in devices], np.int64)
        allowed = np.array([lateness_of(stream) for stream in Stream], np.int64)
        # People report what they found, whenever they come to it.
        self._recent: Int64 = np.where(self.unheard, np.maximum(self.deadline, allowed[streams]), _EVER)
        self.period: Int64 = np.array([device.period for device in devices], np.int64)
        self.mine: Bools = np.array(
            [only is None or places.above(device.place, PlaceKind.GRID) in only for device in devices], np.bool_
        )
        self._stuck: dict[str, Bools] = {}
        self._cached_at: int | None = None
        self._cached = self._nobody = np.zeros(len(devices), np.bool_)
        self.unsure_at: int | None = None

    def recount(self, recounted: int, counted: dict[str, int]) -> None:
        """Say until when numbers of vehicles lack some, and where and when somebody has counted these before."""
        self.recounted, self.counted = recounted, counted
        self.whole_from: Int64 = np.array([counted.get(one, recounted) for one in self._compounds], np.int64)

    def tells(self, batch: Batch, part: slice) -> Bools:
        """Return which readings of a part say something of now; what the core derived proves nothing."""
        age = batch.received_at[part] - batch.event_at[part]
        tells: Bools = (batch.flags[part] & DERIVED == 0) & (age < self._recent[batch.device[part]])
        return tells

    def note(self, batch: Batch, part: slice) -> None:
        """Take the readings of a part, in arrival order (later ones win). No more of them are lost than fail."""
        with self._failures.apart(Part.LIVENESS, _WHAT, batch.now):
            self._note(batch, part)
            return
        for row in range(part.start, part.stop) if part.stop > part.start + 1 else ():
            self.note(batch, slice(row, row + 1))

    def _note(self, batch: Batch, part: slice) -> None:
        devices, received_at, heard = batch.device[part], batch.received_at[part], self.tells(batch, part)
        if not heard.all():
            devices, received_at = devices[heard], received_at[heard]
        if len(devices):
            self.heard_at[devices] = received_at
            self.unheard[devices] = False
            self._cached_at = None

    def mark_stuck(self, rule: str, devices: Bools) -> None:
        """Say which devices a rule holds for stuck."""
        self._stuck[rule] = devices
        self._cached_at = None

    def heard(self, at: int) -> Bools:
        """Return per device whether it was heard within its deadline before ``at``; where that fails, nobody was."""
        with self._failures.apart(Part.LIVENESS, _WHAT, at):
            return self._heard(at)
        self.unsure_at = at
        return self._nobody

    def alive(self, at: int) -> Bools:
        """Return per device whether it was heard within its deadline before ``at``, and is not stuck; likewise."""
        if self._cached_at != at:
            self._cached = self._nobody
            with self._failures.apart(Part.LIVENESS, _WHAT, at):
                self._cached = self._alive(at)
            self._cached_at = at
        return self._cached

    def blind(self, at: int) -> NDArray[np.intp]:
        """Return the devices of this shard that are silent or stuck at ``at``, or were never heard.

        This is for those who look on: a mistake of ours is no part of the step, and all devices are blind then.
        """
        with Failures().apart(Part.LIVENESS, _WHAT, at):
            return np.flatnonzero(self.mine & (self.unheard | ~self._alive(at)))
        return np.flatnonzero(self.mine)

    def _heard(self, at: int) -> Bools:
        return at - self.heard_at < self.deadline

    def _alive(self, at: int) -> Bools:
        alive = self._heard(at)
        for stuck in self._stuck.values():
            alive = alive & ~stuck
        return alive
