"""Readings of the stream ``visit``: how the rows that the tracker makes get into a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from sensord.core.batch import DERIVED, Batch, Float64, Int8, Int64, Sightings
from sensord.core.stream import STREAMS, Stream
from sensord.core.vehicles.pseudonym import NOBODY

FIELDS = tuple(field.name for field in STREAMS[Stream.VISIT].fields)
LABELS = tuple(label.name for label in STREAMS[Stream.VISIT].labels)


VisitRow = tuple[Any, ...]
"""A reading of the stream: (the position in the batch before which it stands, device, event time, arrival, pseudonym,
arrival of the message that shows the vehicle, mask, the labels' codes, the fields' numbers), in the streams' order."""


def merged(batch: Batch, rows: list[VisitRow]) -> Batch:
    """Put the rows among the readings; those of one position stay in order."""
    positions, *columns = zip(*rows, strict=True)
    order = np.argsort(
        np.concatenate([2 * np.arange(len(batch)) + 1, 2 * np.array(positions, np.int64)]), kind="stable"
    )
    return _joined(batch, _columns(batch.now, columns)).select(order)


def _columns(now: int, columns: list[tuple[Any, ...]]) -> Batch:
    device, event_at, received_at, token, seen_at, masks, *rest = columns
    count = len(device)
    who = np.zeros((count, len(NOBODY)), np.int64)
    who[:, 0] = token
    return Batch(
        now,
        np.full(count, Stream.VISIT, np.int8),
        np.array(device, np.int32),
        np.array(event_at, np.int64),
        np.array(received_at, np.int64),
        np.full(count, DERIVED, np.int8),
        {name: np.array(column, np.float64) for name, column in zip(FIELDS, rest[len(LABELS) :], strict=True)},
        {name: np.array(column, np.int8) for name, column in zip(LABELS, rest[: len(LABELS)], strict=True)},
        Sightings(who, np.array(seen_at, np.int64), np.zeros(count, np.bool_), list(masks)),
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
        None if one.spot is None else np.concatenate([one.spot, np.full(len(other), -1, np.int32)]),
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
