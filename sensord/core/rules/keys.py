"""The keys of a rule: what ``by`` and ``where`` make of the registry, computed once per rule.

A key is a device or a place, and with ``by: [gate, class]`` also a word of each label: ``C01-N/out_of_town``. A reading
belongs to the place of its device, and a finding that names where it was made to that place (its *spot*); ``by: place``
is that place itself, of whatever kind.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import Batch, Int8, Int32, Int64
from sensord.core.place import Device, PlaceKind, Places
from sensord.core.rules.rule import Rule
from sensord.core.stream import EVENT, LABELS, SOURCE, Stream

_PLACE_KINDS = {kind.value: kind for kind in PlaceKind}
_COUNTED = EVENT.words.index("counted")


ITSELF = "place"
"""The word of ``by`` for the place that a reading is about, of whatever kind."""


class KeyTable:
    """Which reading belongs to which key.

    ``version`` is the rule's and ``devices`` the registry's; ``keys`` are the key ids, sorted by their place or device,
    and ``places`` the place of each; ``of_device`` int32 (devices,) maps a device to the first of its ``width`` keys
    (one per combination of words), -1 for none; ``sources`` bool (devices,) marks those whose readings it looks at.
    Each device sees a part of its own, so a key is seen in full only by all that watch: whoever stands before one
    sensor of a lane does not stand before the others. ``watching`` bool (devices,) marks the sources that do; people
    who report findings do not: with nothing to report they are silent. ``shared``: some key has several devices.
    ``only`` restricts the table to the devices of some residential grids (a shard).

    What people counted by hand is about no vehicle: rules on who is inside look at it whatever their ``where`` says of
    vehicles and events, and others only where it names this event.
    """

    def __init__(self, rule: Rule, places: Places, only: frozenset[str] | None = None) -> None:
        self.version, self.devices = rule.version, places.devices
        sources = _sources(rule, places, only)
        base_at = _Bases(rule, places)
        homes = [base_at(places.devices[number], places.devices[number].place) for number in sources]
        spots = list(_spots(rule, sources, places, base_at))
        found = {base: place for base, place in (*homes, *(spot[2:] for spot in spots)) if base is not None}
        bases = sorted(found)
        words = [rule.where.get(label, LABELS[label].words) for label in rule.split]
        combined = ["".join(f"/{word}" for word in row) for row in itertools.product(*words)]
        self.width = len(combined)
        self.keys = [base + ending for base in bases for ending in combined]
        self.places = [found[base] for base in bases for _ in combined]
        self.devices_of = [base if rule.by == "device" else "" for base in bases for _ in combined]
        index = {base: number * self.width for number, base in enumerate(bases)}
        self.of_device: Int32 = np.full(len(places.devices), -1, np.int32)
        self.of_device[sources] = [index.get(base or "", -1) for base, _ in homes]
        self._of_spot: Int32 = np.full(len(places.places) if spots else 0, -1, np.int32)
        for _, place, base, _ in spots:
            self._of_spot[place] = index.get(base or "", -1)
        # Which devices feed which keys: their own place's, and those of the places that they can name.
        at_home = np.flatnonzero(self.of_device >= 0)
        self._feeds: Int32 = np.column_stack((at_home, self.of_device[at_home])).astype(np.int32)
        if spots:
            named = np.array([spot[:2] for spot in spots], np.int32)
            named[:, 1] = self._of_spot[named[:, 1]]
            self._feeds = np.unique(np.append(self._feeds, named[named[:, 1] >= 0], axis=0), axis=0)
        self.sources = np.zeros(len(places.devices), np.bool_)
        self.sources[self._feeds[:, 0]] = True
        self.watching = self.sources.copy()
        self.watching[places.of_stream.get(Stream.REPORT, [])] = False
        self.shared = bool((self.counted() > 1).any())
        self._on_counts: bool | None = None
        if rule.stream is Stream.VISIT and (rule.on_presence or EVENT.name not in rule.where):
            self._on_counts = rule.on_presence and self.width == 1
        self._split = [(label, _positions(label, row)) for label, row in zip(rule.split, words, strict=True)]
        self._accepted = [
            (label, np.append(_positions(label, row) >= 0, False))  # the last is found under the code -1
            for label, row in rule.where.items()
            if label in LABELS and label not in rule.split
        ]

    def __len__(self) -> int:
        """Count the keys."""
        return len(self.keys)

    def of(self, batch: Batch) -> Int32:
        """Return the key of each reading, int32 (n,), -1 where the rule does not look at it."""
        keys = self._of_words(batch)
        event = batch.labels.get(EVENT.name)
        if self._on_counts is None or event is None or not (counted := event == _COUNTED).any():
            return keys
        return np.where(counted, self.first(batch) if self._on_counts else np.int32(-1), keys)

    def _of_words(self, batch: Batch) -> Int32:
        """As ``of``, by what ``where`` and ``by`` say of labels."""
        keys = self.first(batch)
        for (label, positions), step in zip(self._split, self._steps(), strict=True):
            found = _looked_up(positions, batch, label)
            keys = np.where((keys >= 0) & (found >= 0), keys + found * step, np.int32(-1)).astype(np.int32)
        for label, accepted in self._accepted:
            codes = batch.labels.get(label)
            if codes is None:
                return np.full(len(batch), -1, np.int32)
            keys = np.where(accepted[codes], keys, np.int32(-1))
        return keys

    def first(self, batch: Batch) -> Int32:
        """Return the first key of the place or device of each reading, int32 (n,), whatever its labels; -1: none."""
        keys: Int32 = self.of_device[batch.device]
        if batch.spot is not None and len(self._of_spot):
            named = (batch.spot >= 0) & self.sources[batch.device]
            keys = np.where(named, self._of_spot[batch.spot], keys)
        return keys

    @property
    def firsts(self) -> Int32 | None:
        """The first key of every device, as ``of_device``; None where a device can speak of several places."""
        return None if len(self._of_spot) else self.of_device

    def feeding(self, first: int) -> frozenset[int]:
        """Return the devices (positions in the registry) whose readings can belong to a place's or device's keys."""
        return frozenset(self._feeds[self._feeds[:, 1] == first, 0].tolist())

    def marked(self, key: int, devices: NDArray[np.bool_]) -> tuple[str, ...]:
        """Return the ids of the key's devices that are marked in ``devices``, bool (devices,)."""
        feeding = self.feeding(key // self.width * self.width)
        return tuple(self.devices[one].id for one in np.flatnonzero(devices).tolist() if one in feeding)

    def counted(self) -> Int64:
        """Return how many devices each key has, int64 (keys,)."""
        bases = np.bincount(self._feeds[:, 1] // self.width, minlength=len(self.keys) // self.width)
        return np.repeat(bases, self.width)

    def _steps(self) -> Iterator[int]:
        step = self.width
        for _, positions in self._split:
            step //= int(positions.max()) + 1
            yield step

    def greatest(self, of_device: Int64) -> Int64:
        """Return per key the greatest number among those of its devices, int64 (keys,); not below 0."""
        bases = np.zeros(len(self.keys) // self.width, np.int64)
        np.maximum.at(bases, self._feeds[:, 1] // self.width, of_device[self._feeds[:, 0]])
        return np.repeat(bases, self.width)

    def among(self, devices: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return per key whether at least one of its devices is marked in ``devices``, bool (devices,)."""
        here = self._feeds[devices[self._feeds[:, 0]], 1]
        bases = np.bincount(here // self.width, minlength=len(self.keys) // self.width) > 0
        return np.repeat(bases, self.width)

    def total(self, devices: NDArray[np.bool_], weight: Int64) -> Int64:
        """Return per key the sum of the weights, int64 (devices,), of its devices that are marked in ``devices``."""
        device, first = self._feeds[devices[self._feeds[:, 0]]].T
        totals = np.zeros(len(self.keys) // self.width, np.int64)
        np.add.at(totals, first // self.width, weight[device])
        return np.repeat(totals, self.width)


def _sources(rule: Rule, places: Places, only: frozenset[str] | None) -> list[int]:
    """The devices (positions) whose readings the rule looks at, wherever they were made."""
    # Any device may send its status, beside its own stream.
    stream = None if rule.stream in (None, Stream.STATUS) else SOURCE.get(rule.stream, rule.stream)
    named, devices = rule.where.get("device"), places.devices
    numbers = list(range(len(devices))) if stream is None else places.of_stream.get(stream, [])
    if only is not None:
        numbers = [number for number in numbers if places.above(devices[number].place, PlaceKind.GRID) in only]
    return numbers if named is None else [number for number in numbers if devices[number].id in named]


class _Bases:
    """What the keys of a rule are made of, reading by reading."""

    def __init__(self, rule: Rule, places: Places) -> None:
        self._places, self._by = places, rule.by
        self._within = [(_PLACE_KINDS[name], words) for name, words in rule.where.items() if name in _PLACE_KINDS]

    def __call__(self, device: Device, place: str) -> tuple[str | None, str]:
        """The device or place of the key of a reading made at a place, and the key's place; None: no key."""
        for kind, words in self._within:
            if self._places.above(place, kind) not in words:
                return None, ""
        if self._by == "device":
            return device.id, device.place
        above = place if self._by == ITSELF else self._places.above(place, _PLACE_KINDS[self._by])
        return above, above or ""


def _spots(
    rule: Rule, sources: Iterable[int], places: Places, base_at: _Bases
) -> Iterator[tuple[int, int, str | None, str]]:
    """Yield (device, place, base, its place) of every place that a device's findings can name (positions, ids)."""
    if rule.stream is not Stream.REPORT or rule.value is None or rule.by == "device":
        return
    for number in sources:
        device = places.devices[number]
        for place in sorted(places.within(device.place)):
            yield number, places.index[place], *base_at(device, place)


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
        self.shared = False
        self.keys = sorted(place for place in found if place is not None)
        self.places, self.devices_of, self.width = self.keys, [""] * len(self.keys), 1
        self.of_device = np.full(len(places.devices), -1, np.int32)
        self.sources = self.watching = np.zeros(len(places.devices), np.bool_)
        self._of_spot, self._feeds = np.empty(0, np.int32), np.empty((0, 2), np.int32)
        self._split, self._accepted, self._on_counts = [], [], None
