"""The keys of a rule: what ``by`` and ``where`` make of the registry, computed once per rule."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sensord.core.batch import Batch, Int8, Int32
from sensord.core.place import Device, PlaceKind, Places
from sensord.core.rule import Rule
from sensord.core.stream import LABELS, SOURCE

_PLACE_KINDS = frozenset(kind.value for kind in PlaceKind)


class KeyTable:
    """Which device belongs to which key.

    ``version`` is the rule's and ``devices`` the registry's; ``keys`` are the key ids, sorted, and ``places`` the place
    of each; ``of_device`` int32 (devices,) maps a device to its key, -1 for none. ``only`` restricts the table to the
    devices of some residential grids (a shard).
    """

    def __init__(self, rule: Rule, places: Places, only: frozenset[str] | None = None) -> None:
        self.version, self.devices = rule.version, places.devices
        wanted = [self._key(rule, device, places, only) for device in places.devices]
        found = {key: place for key, place in wanted if key is not None}
        self.keys = sorted(found)
        self.places = [found[key] for key in self.keys]
        index = {key: number for number, key in enumerate(self.keys)}
        self.of_device: Int32 = np.array([index.get(key or "", -1) for key, _ in wanted], np.int32)
        self._labels = {
            label: np.array([LABELS[label].words.index(word) for word in words], np.int8)
            for label, words in rule.where.items()
            if label in LABELS
        }

    @staticmethod
    def _key(rule: Rule, device: Device, places: Places, only: frozenset[str] | None) -> tuple[str | None, str]:
        """Return (key, place of the key) of a device, or (None, "") when the rule does not look at it."""
        nothing = (None, "")
        if rule.stream is not None and device.stream is not SOURCE.get(rule.stream, rule.stream):
            return nothing
        if only is not None and places.above(device.place, PlaceKind.GRID) not in only:
            return nothing
        for name, words in rule.where.items():
            value = device.id if name == "device" else _above(places, device, name)
            if (name == "device" or name in _PLACE_KINDS) and value not in words:
                return nothing
        if rule.by == "device":
            return device.id, device.place
        place = places.above(device.place, PlaceKind(rule.by))
        return (place, place) if place is not None else nothing

    def __len__(self) -> int:
        """Count the keys."""
        return len(self.keys)

    def matches(self, batch: Batch) -> Iterable[np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        """Yield a mask over the batch's readings for each label that the rule asks for."""
        missing: Int8 = np.full(len(batch), -1, np.int8)
        for label, codes in self._labels.items():
            yield np.isin(batch.labels.get(label, missing), codes)


def _above(places: Places, device: Device, kind: str) -> str | None:
    return places.above(device.place, PlaceKind(kind)) if kind in _PLACE_KINDS else None
