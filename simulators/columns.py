"""A simulated street as columns: what the core's intake would make of its messages, without the messages. Fast.

For a day of five hundred readings a second. The readings are those of ``Street.messages`` as long as no fault is asked
for (faults work on messages).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sensord.core.batch import Batch, Float64, Int8, Int64
from sensord.core.instant import MINUTE
from sensord.core.plate import PlateTable
from sensord.core.stream import BY_WORD, LABELS, Stream
from simulators.sensors import HeadCounter, Observation, observe
from simulators.street import Street

CHUNK = 10 * MINUTE
_FIELDS = ("count", "enter", "exit", "density", "confidence", "value", "signal", "uptime")


@dataclass(slots=True)
class _Part:
    """Readings being collected: instants, stream, device, and fields and labels by name."""

    at: Int64
    stream: int
    device: int
    fields: dict[str, Float64] = field(default_factory=dict)
    labels: dict[str, Int64] = field(default_factory=dict)


def batches(street: Street) -> Iterator[Batch]:
    """Yield a street's readings in order of arrival, ten minutes a batch; a reading arrives when it is stamped."""
    devices = list(enumerate(street.places.devices))
    silent = {silence.device for silence in street.scenario.silences}
    counters = {
        index: _Stretches(HeadCounter(device, street.world), street.places.by_id[device.place].area_m2)
        for index, device in devices
        if device.stream is Stream.CROWD and device.id not in silent
    }
    others = [
        (index, _Waiting(_heard(street, device.id, observe(device, street.world))))
        for index, device in devices
        if index not in counters
    ]
    table = PlateTable.of(street.world.definition.plates)
    for start in range(street.start, street.end, CHUNK):
        end = min(start + CHUNK, street.end)
        parts = [stretches.until(index, end) for index, stretches in counters.items()]
        for index, waiting in others:
            parts += _of_observations(index, waiting.until(end), street, table)
        whole = [part for part in parts if len(part.at)]
        if whole:
            yield _batch(whole)


class _Stretches:
    """Cuts a head-counter's stretches at any instant."""

    def __init__(self, counter: HeadCounter, area: float | None) -> None:
        self._counter, self._area = counter, area
        self._rest: list[Int64] = []

    def until(self, device: int, end: int) -> _Part:
        """Return the readings before ``end`` that were not returned yet."""
        columns = self._rest or [np.empty(0, np.int64) for _ in range(4)]
        while not len(columns[0]) or int(columns[0][-1]) < end:
            columns = [np.concatenate(pair) for pair in zip(columns, self._counter.next(), strict=True)]
        stop = int(np.searchsorted(columns[0], end, side="left"))
        self._rest = [column[stop:] for column in columns]
        at, count, enter, left = (column[:stop] for column in columns)
        fields = {"count": count.astype(float), "enter": enter.astype(float), "exit": left.astype(float)}
        if self._area is not None:
            fields["density"] = fields["count"] / self._area
        return _Part(at, Stream.CROWD, device, fields)


class _Waiting:
    """Hands out an endless sequence of observations, stretch by stretch."""

    def __init__(self, observations: Iterator[Observation]) -> None:
        self._observations = observations
        self._next = next(observations)

    def until(self, end: int) -> list[Observation]:
        """Return the observations before ``end`` that were not returned yet."""
        found = []
        while self._next.at < end:
            found.append(self._next)
            self._next = next(self._observations)
        return found


def _heard(street: Street, device: str, observations: Iterator[Observation]) -> Iterator[Observation]:
    """Leave out what a device without power would have said."""
    silences = [silence for silence in street.scenario.silences if silence.device == device]
    for seen in observations:
        since = seen.at - street.start
        if not any(silence.start <= since < silence.end for silence in silences):
            yield seen


def _of_observations(device: int, seen: list[Observation], street: Street, table: PlateTable) -> Iterator[_Part]:
    for kind in dict.fromkeys(one.kind for one in seen):
        mine = [one for one in seen if one.kind == kind]
        part = _Part(np.array([one.at for one in mine], np.int64), BY_WORD[kind], device)
        for name in _FIELDS:
            values = [one.body.get(name) for one in mine]
            if any(value is not None for value in values):
                part.fields[name] = np.array([np.nan if value is None else value for value in values], float)
        area = street.places.by_id[street.places.devices[device].place].area_m2
        if "count" in part.fields and area is not None:
            part.fields["density"] = part.fields["count"] / area
        if kind == Stream.PLATE.word:
            part.labels = _plate_labels(mine, table)
        yield part


def _plate_labels(seen: list[Observation], table: PlateTable) -> dict[str, Int64]:
    directions, classes = LABELS["direction"].words, LABELS["class"].words
    found = []
    for one in seen:
        plate, confidence = one.body["plate"], one.body["confidence"]
        assert isinstance(confidence, float)
        sort = table.classify(plate if isinstance(plate, str) else None, confidence)
        found.append((directions.index(str(one.body["direction"])), classes.index(sort)))
    columns = np.array(found, np.int64)
    return {"direction": columns[:, 0], "class": columns[:, 1]}


def _batch(parts: list[_Part]) -> Batch:
    at = np.concatenate([part.at for part in parts])
    # In one millisecond the order of the register decides, as it does among messages.
    order = np.argsort(at, kind="stable")
    at = at[order]

    sizes = [len(part.at) for part in parts]
    stream = np.repeat(np.array([part.stream for part in parts], np.int8), sizes)[order]
    device = np.repeat(np.array([part.device for part in parts], np.int32), sizes)[order]
    names = dict.fromkeys(name for part in parts for name in part.fields)
    marks = dict.fromkeys(name for part in parts for name in part.labels)
    return Batch(
        int(at[-1]),
        stream,
        device,
        at,
        at,
        np.zeros(len(at), np.int8),
        {
            name: np.concatenate([part.fields.get(name, np.full(len(part.at), np.nan)) for part in parts])[order]
            for name in _FIELDS
            if name in names
        },
        {name: _marks(parts, name)[order] for name in marks},
    )


def _marks(parts: list[_Part], name: str) -> Int8:
    whole = np.concatenate([part.labels.get(name, np.full(len(part.at), -1)) for part in parts])
    codes: Int8 = whole.astype(np.int8)
    return codes
