"""A simulated street as columns: what the core's intake would make of its messages. Fast.

Head-counts, which are nearly all of a street's readings, are made as columns and never were messages; everything else
goes through the real intake. The readings are those of ``Street.messages`` as long as no fault is asked for (faults
work on messages).
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge

import numpy as np

from sensord.core.batch import Batch, Float64, Int8, Int64, Sightings
from sensord.core.instant import MINUTE
from sensord.core.intake.intake import Intake
from sensord.core.record import Record, RecordKind
from sensord.core.stream import FIELDS, Stream
from sensord.core.vehicles.pseudonym import Pseudonymiser
from simulators.sensors import HeadCounter
from simulators.street import Message, Street

CHUNK = 10 * MINUTE


def batches(street: Street) -> Iterator[Batch]:
    """Yield a street's readings in order of arrival, ten minutes a batch; a reading arrives when it is stamped."""
    devices = list(enumerate(street.places.devices))
    silent = {silence.device for silence in street.scenario.silences}
    counters = {
        index: _Stretches(HeadCounter(device, street.world), street.places.by_id[device.place].area_m2)
        for index, device in devices
        if device.stream is Stream.CROWD and device.id not in silent
    }
    speaking = [street.speak(device) for index, device in devices if index not in counters]
    others = _Waiting(merge(*speaking, street.driving(), key=lambda message: message.at))
    definition = street.world.definition
    keys = definition.plate_keys
    pseudonymiser = Pseudonymiser(keys, definition.tracking.overlap, {}) if keys else None
    intake = Intake(definition, street.places, pseudonymiser)
    for start in range(street.start, street.end, CHUNK):
        end = min(start + CHUNK, street.end)
        counted = [(index, *stretches.until(end)) for index, stretches in counters.items()]
        records = tuple(Record(RecordKind.MESSAGE, one.at, one.topic, one.payload) for one in others.until(end))
        batch = _joined(counted, intake.decode(records, end).batch)
        if len(batch):
            yield batch


class _Stretches:
    """Cuts a head-counter's stretches at any instant."""

    def __init__(self, counter: HeadCounter, area: float | None) -> None:
        self._counter, self._area = counter, area
        self._rest: list[Int64] = []

    def until(self, end: int) -> tuple[Int64, dict[str, Float64]]:
        """Return instants and fields of the readings before ``end`` that were not returned yet."""
        columns = self._rest or [np.empty(0, np.int64) for _ in range(4)]
        while not len(columns[0]) or int(columns[0][-1]) < end:
            columns = [np.concatenate(pair) for pair in zip(columns, self._counter.next(), strict=True)]
        stop = int(np.searchsorted(columns[0], end, side="left"))
        self._rest = [column[stop:] for column in columns]
        at, count, enter, left = (column[:stop] for column in columns)
        fields = {"count": count.astype(float), "enter": enter.astype(float), "exit": left.astype(float)}
        if self._area is not None:
            fields["density"] = fields["count"] / self._area
        return at, fields


class _Waiting:
    """Hands out messages stretch by stretch."""

    def __init__(self, messages: Iterator[Message]) -> None:
        self._messages = messages
        self._next = next(messages, None)

    def until(self, end: int) -> Iterator[Message]:
        """Yield the messages before ``end`` that were not handed out yet."""
        while self._next is not None and self._next.at < end:
            yield self._next
            self._next = next(self._messages, None)


def _joined(counted: list[tuple[int, Int64, dict[str, Float64]]], other: Batch) -> Batch:
    """Put head-counts and other readings together in order of arrival."""
    sizes = [len(at) for _, at, _ in counted]
    total = sum(sizes)
    at = np.concatenate([*(at for _, at, _ in counted), other.received_at])
    device = np.concatenate([np.repeat([index for index, _, _ in counted], sizes), other.device]).astype(np.int32)
    # In one millisecond the order of the register decides, as it does among messages.
    order = np.lexsort((device, at))
    names = {name for _, _, fields in counted for name in fields} | set(other.fields)
    nothing = np.full(len(other), np.nan)

    def column(name: str) -> Float64:
        mine = [fields.get(name, np.full(len(at), np.nan)) for _, at, fields in counted]
        return np.concatenate([*mine, other.fields.get(name, nothing)])[order]

    def marks(codes: Int8) -> Int8:
        return np.concatenate([np.full(total, -1, np.int8), codes])[order]

    stream = np.concatenate([np.full(total, Stream.CROWD, np.int8), other.stream])
    flags = np.concatenate([np.zeros(total, np.int8), other.flags])
    event_at = np.concatenate([at[:total], other.event_at])
    return Batch(
        int(at[order[-1]]) if len(at) else other.now,
        stream[order],
        device[order],
        event_at[order],
        at[order],
        flags[order],
        {name: column(name) for name in FIELDS if name in names},
        {name: marks(codes) for name, codes in other.labels.items()},
        _seen(other.sightings, at, order),
    )


def _seen(sightings: Sightings | None, at: Int64, order: Int64) -> Sightings | None:
    """The sightings of the other readings, with rows for the head-counts before them."""
    if sightings is None:
        return None
    missing = len(at) - len(sightings.seen_at)
    whole = Sightings(
        np.concatenate([np.zeros((missing, sightings.who.shape[1]), np.int64), sightings.who]),
        np.concatenate([at[:missing], sightings.seen_at]),
        np.concatenate([np.zeros(missing, np.bool_), sightings.sure]),
        np.concatenate([np.full(missing, "", np.object_), sightings.masks]),
    )
    return whole.select(order)
