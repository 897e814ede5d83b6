"""Cameras and gates that a new definition has moved, renamed or removed: with what their compounds go on. Pure.

A visit is one to a compound, and a vehicle was last seen in one, whatever becomes of the gate and its cameras. What is
said of them later needs a camera there, for that is how rules find the place.
"""

from __future__ import annotations

from functools import cache

from sensord.core.place import PlaceKind, Places
from sensord.core.stream import Stream


def compound_of(places: Places, place: str) -> str:
    """The compound at or above a place; "" for a place without one, or that is not there."""
    return places.above(place, PlaceKind.COMPOUND) or "" if place in places.by_id else ""


class Moves:
    """From the places and devices ``before`` to those ``after`` (the same ones, when nothing has changed)."""

    def __init__(self, before: Places, after: Places) -> None:
        self._before, self._after = before, after
        self._cameras: dict[str, dict[str, str]] = {}
        for device in after.devices:
            if device.stream is Stream.PLATE:
                self._cameras.setdefault(compound_of(after, device.place), {})[device.id] = device.place
        self.gate, self.camera = cache(self._gate), cache(self._camera)

    def _gate(self, gate: str) -> str:
        """Where a gate is now: the same one, or where its cameras stand now, else its compound; "": that is gone."""
        home = compound_of(self._before, gate)
        if compound_of(self._after, gate) == home:
            return gate if home else ""
        cameras = self._cameras.get(home, {})
        moved = (cameras[one.id] for one in self._before.devices if one.place == gate and one.id in cameras)
        return next(moved, compound_of(self._after, home))

    def _camera(self, compound: str, camera: str) -> str:
        """The camera with which a visit to a compound goes on that began at ``camera``; "": there is none.

        It is the same one while it stands there; else another of its gate, or of the compound.
        """
        cameras, number = self._cameras.get(compound, {}), self._before.device_index.get(camera)
        if camera in cameras:
            return camera
        gate = "" if number is None else self.gate(self._before.devices[number].place)
        return next((one for one, place in cameras.items() if place == gate), next(iter(cameras), ""))
