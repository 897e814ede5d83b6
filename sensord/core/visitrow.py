"""Readings of the stream ``visit``: how the rows that the tracker makes get into a batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from sensord.core.batch import DERIVED, Batch, Float64, Int8, Int64, Sightings
from sensord.core.pseudonym import NOBODY
from sensord.core.stream import STREAMS, Stream

FIELDS = tuple(field.name for field in STREAMS[Stream.VISIT].fields)
LABELS = tuple(label.name for label in STREAMS[Stream.VISIT].labels)


class Numbers(NamedTuple):
    """The numbers of a derived reading that are about its vehicle, in the order of the stream's fields (NaN: none)."""

    stay: float = math.nan
    nights: float = math.nan
    days_away: float = math.nan
    visits: float = math.nan
    short_visits: float = math.nan
    compounds: float = math.nan


NOTHING = Numbers()


class VisitRow(NamedTuple):
    """A reading of the stream ``visit``, to be put before the ``position``-th reading of a batch.

    ``labels`` are codes in the order of the stream's labels, ``fields`` numbers in that of its fields.
    """

    position: int
    device: str
    event_at: int
    received_at: int
    labels: tuple[int, ...]
    fields: tuple[float, ...]
    token: int
    seen_at: int
    mask: str


def merged(batch: Batch, rows: list[VisitRow], numbers: Mapping[str, int]) -> Batch:
    """Put the rows among the readings; those of one position stay in order. ``numbers`` maps a device to its position.

    Rows of devices that are no longer registered are left out.
    """
    rows = [row for row in rows if row.device in numbers]
    own = _columns(batch.now, rows, numbers)
    places = np.array([row.position for row in rows], np.int64)
    order = np.argsort(np.concatenate([2 * np.arange(len(batch)) + 1, 2 * places]), kind="stable")
    return _joined(batch, own).select(order)


def _columns(now: int, rows: list[VisitRow], numbers: Mapping[str, int]) -> Batch:
    count = len(rows)
    times = np.array([(row.event_at, row.received_at, row.token, row.seen_at) for row in rows], np.int64).reshape(
        count, 4
    )
    labels = np.array([row.labels for row in rows], np.int8).reshape(count, len(LABELS))
    fields = np.array([row.fields for row in rows], np.float64).reshape(count, len(FIELDS))
    return Batch(
        now,
        np.full(count, Stream.VISIT, np.int8),
        np.array([numbers[row.device] for row in rows], np.int32),
        times[:, 0],
        times[:, 1],
        np.full(count, DERIVED, np.int8),
        {name: fields[:, column] for column, name in enumerate(FIELDS)},
        {name: labels[:, column] for column, name in enumerate(LABELS)},
        Sightings(
            np.stack([times[:, 2], *np.zeros((len(NOBODY) - 1, count), np.int64)], axis=1),
            times[:, 3],
            np.zeros(count, np.bool_),
            [row.mask for row in rows],
        ),
    )


def _joined(one: Batch, other: Batch) -> Batch:
    """One batch after the other, columns filled up with "none"."""
    return Batch(
        one.now,
        np.concatenate([one.stream, other.stream]),
        np.concatenate([one.device, other.device]),
        np.concatenate([one.event_at, other.event_at]),
        np.concatenate([one.received_at, other.received_at]),
        np.concatenate([one.flags, other.flags]),
        {name: _field(one, other, name) for name in dict.fromkeys((*one.fields, *other.fields))},
        {name: _label(one, other, name) for name in dict.fromkeys((*one.labels, *other.labels))},
        _sightings(one, other),
    )


def _field(one: Batch, other: Batch, name: str) -> Float64:
    return np.concatenate([part.fields.get(name, np.full(len(part), np.nan)) for part in (one, other)])


def _label(one: Batch, other: Batch, name: str) -> Int8:
    missing: list[Int8] = [np.full(len(part), -1, np.int8) for part in (one, other)]
    return np.concatenate([part.labels.get(name, none) for part, none in zip((one, other), missing, strict=True)])


def _sightings(one: Batch, other: Batch) -> Sightings:
    ours, theirs = (part.sightings or nobody(len(part)) for part in (one, other))
    return Sightings(
        np.concatenate([ours.who, theirs.who]),
        np.concatenate([ours.seen_at, theirs.seen_at]),
        np.concatenate([ours.sure, theirs.sure]),
        [*ours.masks, *theirs.masks],
    )


def nobody(count: int) -> Sightings:
    """Sightings of ``count`` readings in which nobody was identified."""
    nobody: Int64 = np.zeros((count, len(NOBODY)), np.int64)
    return Sightings(nobody, nobody[:, 0], np.zeros(count, np.bool_), [""] * count)
