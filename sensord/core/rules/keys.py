"""The keys of a rule: what ``by`` and ``where`` make of the registry, computed once per rule.

A key is a device or a place, and with ``by: [gate, class]`` also a word of each label: ``C01-N/out_of_town``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Batch, Int8, Int32
from sensord.core.place import PlaceKind, Places
from sensord.core.rules.rule import Rule
from sensord.core.stream import LABELS, SOURCE, Stream

_PLACE_KINDS = frozenset(kind.value for kind in PlaceKind)


class KeyTable:
    """Which reading belongs to which key.

    ``version`` is the rule's and ``devices`` the registry's; ``keys`` are the key ids, sorted by their place or device,
    and ``places`` the place of each; ``of_device`` int32 (devices,) maps a device to the first of its ``width`` keys
    (one per combination of words), -1 for none. ``only`` restricts the table to the devices of some residential grids
    (a shard).
    """

    def __init__(self, rule: Rule, places: Places, only: frozenset[str] | None = None) -> None:
        self.version, self.devices = rule.version, places.devices
        wanted = list(self._bases(rule, places, only))
        found = {base: place for base, place in wanted if base is not None}
        bases = sorted(found)
        words = [rule.where.get(label, LABELS[label].words) for label in rule.split]
        combined = ["".join(f"/{word}" for word in row) for row in itertools.product(*words)]
        self.width = len(combined)
        self.keys = [base + ending for base in bases for ending in combined]
        self.places = [found[base] for base in bases for _ in combined]
        self.devices_of = [base if rule.by == "device" else "" for base in bases for _ in combined]
        index = {base: number * self.width for number, base in enumerate(bases)}
        self.of_device: Int32 = np.array([index.get(base or "", -1) for base, _ in wanted], np.int32)
        self._split = [(label, _positions(label, row)) for label, row in zip(rule.split, words, strict=True)]
        self._accepted = [
            (label, _positions(label, row) >= 0)
            for label, row in rule.where.items()
            if label in LABELS and label not in rule.split
        ]

    @staticmethod
    def _bases(rule: Rule, places: Places, only: frozenset[str] | None) -> Iterator[tuple[str | None, str]]:
        """Yield, per device, (device or place id, place) of its keys; (None, "") when the rule does not look at it."""
        # Any device may send its status, beside its own stream.
        stream = None if rule.stream in (None, Stream.STATUS) else SOURCE.get(rule.stream, rule.stream)
        kind = None if rule.by == "device" else PlaceKind(rule.by)
        within = [(PlaceKind(name), words) for name, words in rule.where.items() if name in _PLACE_KINDS]
        named = rule.where.get("device")
        above = places.above
        for device in places.devices:
            if (
                (stream is not None and device.stream is not stream)
                or (only is not None and above(device.place, PlaceKind.GRID) not in only)
                or (named is not None and device.id not in named)
                or any(above(device.place, level) not in words for level, words in within)
            ):
                yield None, ""
            elif kind is None:
                yield device.id, device.place
            else:
                place = above(device.place, kind)
                yield place, place or ""

    def __len__(self) -> int:
        """Count the keys."""
        return len(self.keys)

    def of(self, batch: Batch) -> Int32:
        """Return the key of each reading, int32 (n,), -1 where the rule does not look at it."""
        keys: Int32 = self.of_device[batch.device]
        for (label, positions), step in zip(self._split, self._steps(), strict=True):
            found = _looked_up(positions, batch, label)
            keys = np.where((keys >= 0) & (found >= 0), keys + found * step, np.int32(-1)).astype(np.int32)
        for label, accepted in self._accepted:
            codes = batch.labels.get(label)
            if codes is None:
                return np.full(len(batch), -1, np.int32)
            keys = np.where((codes >= 0) & accepted[codes], keys, np.int32(-1))
        return keys

    def _steps(self) -> Iterator[int]:
        step = self.width
        for _, positions in self._split:
            step //= int(positions.max()) + 1
            yield step

    def among(self, devices: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return per key whether at least one of its devices is marked in ``devices``, bool (devices,)."""
        here = self.of_device[devices]
        bases = np.bincount(here[here >= 0] // self.width, minlength=len(self.keys) // self.width) > 0
        return np.repeat(bases, self.width)


def _positions(label: str, words: tuple[str, ...]) -> Int8:
    """Where each code of a label stands among ``words``, -1: nowhere."""
    return np.array([words.index(word) if word in words else -1 for word in LABELS[label].words], np.int8)


def _looked_up(positions: Int8, batch: Batch, label: str) -> Int8:
    codes = batch.labels.get(label)
    if codes is None:
        return np.full(len(batch), -1, np.int8)
    return np.where(codes >= 0, positions[codes], np.int8(-1))


class PlaceTable(KeyTable):
    """The keys of a rule about alerts: the places of kind ``by`` at or above the places of its parts."""

    def __init__(self, rule: Rule, parts: Iterable[KeyTable], places: Places) -> None:
        self.version, self.devices = rule.version, places.devices
        found = {places.above(place, PlaceKind(rule.by)) for part in parts for place in part.places}
        self.keys = sorted(place for place in found if place is not None)
        self.places, self.devices_of, self.width = self.keys, [""] * len(self.keys), 1
        self.of_device = np.full(len(places.devices), -1, np.int32)
        self._split, self._accepted = [], []
