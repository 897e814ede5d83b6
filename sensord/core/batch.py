"""Readings as columns, in the order in which they arrived."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensord.core.stream import STREAMS, Stream, StreamSpec

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Int8 = NDArray[np.int8]
Float64 = NDArray[np.float64]

Bools = NDArray[np.bool_]
Texts = NDArray[np.object_]

CLOCK_SUSPECT = 1
"""Flag: the device's stamp was missing, implausible or jumped; event time is the time of arrival."""
DERIVED = 2
"""Flag: the core made this reading of others; it is no sign of life of its device."""
STANDS = 4
"""Flag: what it says of its event time still is so as it arrives: it is news to a rule without a window, if old."""


@dataclass(frozen=True, slots=True)
class Sightings:
    """Who was seen, a row for each reading of a batch; zeros and "" where nobody was identified.

    ``who`` int64 (n, 5): the columns of ``Identity``, the pseudonym first. ``seen_at`` int64 (n,): when the message
    that shows it arrived (ns). ``sure`` bool (n,), ``masks`` object (n,): texts.
    """

    who: Int64
    seen_at: Int64
    sure: Bools
    masks: Texts

    def cut(self, start: int, stop: int) -> Sightings:
        """The rows ``start <= i < stop``; no column is copied."""
        part = slice(start, stop)
        return Sightings(self.who[part], self.seen_at[part], self.sure[part], self.masks[part])

    def select(self, rows: Int64) -> Sightings:
        """The rows at these positions."""
        return Sightings(self.who[rows], self.seen_at[rows], self.sure[rows], self.masks[rows])


@dataclass(frozen=True, slots=True)
class Batch:
    """``n`` readings as columns, each of shape (n,), plus ``now``, the journal time that this batch brings.

    ``stream`` int8 (a ``Stream``), ``device`` int32 (position in the registry), ``event_at`` and ``received_at``
    int64 ns, ``flags`` int8 bits. ``fields`` maps a field to float64 values (NaN: the reading has none), ``labels`` a
    label to int8 codes (-1: none); a column that is missing altogether means "none of these readings has it".
    ``sightings`` says which vehicles were seen, None when nobody was identified. ``spot`` int32 is the place (position
    in the registry) that a finding names, -1 where it names none and for other readings; None: none of them does.
    ``received_at`` never falls along a batch nor from batch to batch, and ``now`` is not below the last of it. An
    empty batch is a tick: it only brings ``now``.
    """

    now: int
    stream: Int8
    device: Int32
    event_at: Int64
    received_at: Int64
    flags: Int8
    fields: dict[str, Float64]
    labels: dict[str, Int8]
    sightings: Sightings | None = None
    spot: Int32 | None = None

    def __len__(self) -> int:
        """Count the readings."""
        return len(self.device)

    def cut(self, start: int, stop: int, now: int) -> Batch:
        """The readings ``start <= i < stop`` as a batch of their own that brings ``now``; no data is copied."""
        part = slice(start, stop)
        return Batch(
            now,
            self.stream[part],
            self.device[part],
            self.event_at[part],
            self.received_at[part],
            self.flags[part],
            {name: column[part] for name, column in self.fields.items()},
            {name: column[part] for name, column in self.labels.items()},
            None if self.sightings is None else self.sightings.cut(start, stop),
            None if self.spot is None else self.spot[part],
        )

    def of(self, spec: StreamSpec, rows: Int64) -> Batch:
        """The readings at these positions, all of one stream, with no columns but those of that stream."""
        narrow = Batch(
            self.now,
            self.stream,
            self.device,
            self.event_at,
            self.received_at,
            self.flags,
            {one.name: self.fields[one.name] for one in spec.fields if one.name in self.fields},
            {one.name: self.labels[one.name] for one in spec.labels if one.name in self.labels},
            self.sightings if spec.stream in (Stream.PLATE, Stream.VISIT) else None,
            self.spot if spec.stream is Stream.REPORT else None,
        )
        return narrow.select(rows)

    def select(self, rows: Int64) -> Batch:
        """The readings at these positions, in this order."""
        return Batch(
            self.now,
            self.stream[rows],
            self.device[rows],
            self.event_at[rows],
            self.received_at[rows],
            self.flags[rows],
            {name: column[rows] for name, column in self.fields.items()},
            {name: column[rows] for name, column in self.labels.items()},
            None if self.sightings is None else self.sightings.select(rows),
            None if self.spot is None else self.spot[rows],
        )


def by_number(numbers: Int64 | Int32) -> Int64:
    """Return the order of rows by their numbers, none of them below zero; rows of one number stay as they are.

    It sorts the smallest type that holds them: of one or two bytes that takes a tenth of the time.
    """
    order: Int64 = np.argsort(numbers.astype(np.min_scalar_type(numbers.max(initial=0))), kind="stable")
    return order


def tick(now: int) -> Batch:
    """An empty batch: time has passed and nothing was heard."""
    none64, none8 = np.empty(0, np.int64), np.empty(0, np.int8)
    return Batch(now, none8, np.empty(0, np.int32), none64, none64, none8, {}, {})


def of_stream(batch: Batch, stream: Stream) -> tuple[Batch, Int64] | None:
    """The readings of one stream, in order, with their positions in the batch; None when there are none."""
    rows = np.flatnonzero(batch.stream == stream)
    if not len(rows):
        return None
    return (batch if len(rows) == len(batch) else batch.of(STREAMS[stream], rows)), rows
