"""When cameras saw nothing: stretches of which reports must say "unknown", and never "nobody passed". Pure.

A camera sees while its messages (readings, or signs of life) follow each other no further apart than its deadline, by
event time; after its last one it is believed for a deadline more. That it fell silent is known by arrival, a deadline
after its last message arrived; a backlog that comes later by event time shows how long it was really blind. A camera
that was never heard has been blind since 0, for nobody knows what passed before; one that a new definition brings, or
moves to another place, begins there anew: from 0 until then it saw nothing of that place, and it is blind until it is
heard. While vehicles are not followed, for
want of site keys, nothing is counted, and so every camera is blind from its last message on, whatever it sends.

Each stretch is said twice: when it begins (``until`` 0), and when it has ended. What is said does not depend on how
the journal is cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from sensord.core.batch import DERIVED, Batch, Bools, Int64, by_number
from sensord.core.place import Places
from sensord.core.stream import Stream
from sensord.decoders import msgpack_decoder

NEVER = 1 << 62


class Blind(msgspec.Struct, frozen=True):
    """A camera was blind from ``since`` until ``until`` (ns, event time; 0: it still is)."""

    device: str
    since: int
    until: int


class _Camera(msgspec.Struct, array_like=True):
    """Event time and arrival of a camera's newest message; ``since`` when it is blind from, -1: it is not.

    ``place`` is where it stands; "": that was not written down yet.
    """

    last_at: int
    heard_at: int
    since: int
    place: str = ""


_CAMERAS = msgpack_decoder(dict[str, _Camera])


_Said = tuple[int, int, int, Blind]
"""What is to be said: when it became known, whether it is an end, the camera's number, and the stretch."""


class Blindness:
    """Follows the cameras of a registry. A new one is blind since 0, and that is said at the next :meth:`take`.

    ``on`` says whether what cameras tell is counted at all.
    """

    def __init__(self, places: Places, *, on: bool = True) -> None:
        self.on, self._devices = on, places.devices
        cameras = [number for number, device in enumerate(places.devices) if device.stream is Stream.PLATE]
        self._cameras: Int64 = np.array(cameras, np.int64)
        self._of_device: Int64 = np.full(len(places.devices), -1, np.int64)
        self._of_device[self._cameras] = np.arange(len(cameras))
        self._deadline: Int64 = np.array([places.devices[number].deadline for number in cameras], np.int64)
        self._last: Int64 = np.zeros(len(cameras), np.int64)
        self._heard: Int64 = np.zeros(len(cameras), np.int64)
        self._since: Int64 = np.zeros(len(cameras), np.int64)
        self._untold: list[_Said] = [(0, 0, camera, self._stretch(camera, 0, 0)) for camera in range(len(cameras))]
        self._due = 0

    def take(self, batch: Batch) -> list[Blind]:
        """Return what begins and what ends with a batch, in the order in which it became known."""
        said, self._untold = self._untold, []
        if not self.on:
            said += self._close()
        rows = self._rows(batch)
        if len(rows):
            self._hear(batch, rows, said)
        if batch.now >= self._due:
            self._pass(batch.now, said)
        return [one[3] for one in sorted(said, key=lambda one: one[:3])]

    def _close(self) -> Iterator[_Said]:
        """From its last message on nothing is known of a camera that was seeing until vehicles were not followed."""
        for camera in np.flatnonzero(self._since < 0).tolist():
            self._since[camera] = since = int(self._last[camera])
            yield 0, 0, camera, self._stretch(camera, since, 0)

    def _rows(self, batch: Batch) -> Int64:
        """The readings of cameras: what the core derived is none."""
        if not self.on or not len(batch) or not len(self._cameras):
            return np.zeros(0, np.int64)
        return np.flatnonzero((self._of_device[batch.device] >= 0) & (batch.flags & DERIVED == 0))

    def _hear(self, batch: Batch, rows: Int64, said: list[_Said]) -> None:
        camera = self._of_device[batch.device[rows]]
        order = by_number(camera)
        camera, rows = camera[order], rows[order]
        event_at, arrival = batch.event_at[rows], batch.received_at[rows]
        first: Bools = np.concatenate([[True], camera[1:] != camera[:-1]])
        begins = np.flatnonzero(first)
        heard = np.where(first, self._heard[camera], np.concatenate([[0], arrival[:-1]]))
        last = np.where(first, self._last[camera], np.concatenate([[0], event_at[:-1]]))
        allowed = self._deadline[camera]
        odd = (arrival - heard >= allowed) | (event_at - last > allowed) | (first & (self._since[camera] >= 0))
        for number in np.unique(camera[odd]).tolist():
            mine = slice(*np.searchsorted(camera, [number, number + 1]).tolist())
            said += self._walk(number, event_at[mine], arrival[mine], odd[mine])
        here = camera[begins]
        self._heard[here] = arrival[np.append(begins[1:], len(rows)) - 1]
        self._last[here] = np.maximum(self._last[here], np.maximum.reduceat(event_at, begins))
        self._due = 0

    def _walk(self, camera: int, event_at: Int64, arrival: Int64, odd: Bools) -> Iterator[_Said]:
        """Go through the odd ones of a camera's messages: before them it fell silent, or was heard again by them."""
        allowed, since = int(self._deadline[camera]), int(self._since[camera])
        before = np.maximum.accumulate(np.append(self._last[camera], event_at)), np.append(self._heard[camera], arrival)
        columns = (column[np.flatnonzero(odd)].tolist() for column in (event_at, arrival, *before))
        for happened, arrived, last, heard in zip(*columns, strict=True):
            if since < 0 and arrived - heard >= allowed:
                since = last + allowed
                yield heard + allowed, 0, camera, self._stretch(camera, since, 0)
            if since < 0 and happened - last > allowed:
                since = last + allowed
            if since >= 0:
                yield arrived, 1, camera, self._stretch(camera, since, max(since, happened))
            since = -1
        self._since[camera] = -1

    def _pass(self, now: int, said: list[_Said]) -> None:
        """Let time pass: who has not been heard for a deadline is blind."""
        seeing = self._since < 0
        for camera in np.flatnonzero(seeing & (self._heard + self._deadline <= now)).tolist():
            since = int(self._last[camera] + self._deadline[camera])
            self._since[camera], seeing[camera] = since, False
            due = int(self._heard[camera] + self._deadline[camera])
            said.append((due, 0, camera, self._stretch(camera, since, 0)))
        self._due = int((self._heard + self._deadline)[seeing].min(initial=NEVER))

    def _stretch(self, camera: int, since: int, until: int) -> Blind:
        return Blind(self._devices[self._cameras[camera]].id, since, until)

    def save(self) -> bytes:
        """Return the state as bytes; what is new and not yet said is none."""
        devices = [self._devices[number] for number in self._cameras.tolist()]
        names, places = [device.id for device in devices], [device.place for device in devices]
        cameras = map(_Camera, self._last.tolist(), self._heard.tolist(), self._since.tolist(), places)
        new = {camera for _, _, camera, _ in self._untold}
        known = {name: one for number, (name, one) in enumerate(zip(names, cameras, strict=True)) if number not in new}
        return msgspec.msgpack.encode(known)

    def restore(self, state: bytes) -> None:
        """Take the state back; cameras that are gone, or stand elsewhere, are left out.

        Raises ``msgspec.DecodeError``.
        """
        known, new = _CAMERAS.decode(state) if state else {}, set(range(len(self._cameras)))
        for number, device in enumerate(self._devices[camera] for camera in self._cameras.tolist()):
            found = known.get(device.id)
            if found is not None and found.place in ("", device.place):
                self._last[number], self._heard[number], self._since[number] = (
                    found.last_at,
                    found.heard_at,
                    found.since,
                )
                new.discard(number)
        self._untold = [said for said in self._untold if said[2] in new]
        self._due = 0

    def carry_over(self, old: Blindness, at: int) -> None:
        """Take over, at the journal instant ``at``, the state of the definition before.

        When vehicles are followed again, what came before stays unknown, though a backlog may bring some of it.
        """
        self.restore(old.save())
        begins = {said[2] for said in self._untold}
        if self.on and not old.on:
            begins |= set(np.flatnonzero(self._since >= 0).tolist())
        self._untold = list(self._begin(sorted(begins), at))

    def begin_anew(self, at: int) -> list[Blind]:
        """Vehicles are followed anew from ``at`` on: say that nothing is known since each last message."""
        said = [*self._close(), *self._begin(range(len(self._cameras)), at)] if self.on else []
        self._due = 0
        return [one[3] for one in said]

    def _begin(self, cameras: Iterable[int], at: int) -> Iterator[_Said]:
        """Until ``at`` cameras saw nothing, and they are blind from then on until they are heard."""
        for camera in cameras:
            since = int(self._since[camera])
            now = self._since[camera] = max(since, at)
            yield 0, 0, camera, self._stretch(camera, since, now)
            yield 0, 0, camera, self._stretch(camera, now, 0)
