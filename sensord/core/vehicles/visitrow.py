"""Readings of the stream ``visit``: how the rows that the tracker makes get into a batch."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import DERIVED, Batch, Float64, Int8, Int64, Sightings
from sensord.core.stream import STREAMS, Stream
from sensord.core.vehicles.pseudonym import NOBODY

FIELDS = tuple(field.name for field in STREAMS[Stream.VISIT].fields)
LABELS = tuple(label.name for label in STREAMS[Stream.VISIT].labels)


_COLUMNS = [("position", "i8"), ("device", "i4"), ("event_at", "i8"), ("received_at", "i8"), ("token", "i8")]
_COLUMNS += [("seen_at", "i8"), *((name, "i1") for name in LABELS), *((name, "f8") for name in FIELDS[:-1])]
_LAYOUT = np.dtype([(name, f"<{code}") for name, code in _COLUMNS])
pack_row = struct.Struct("<qiqqqq" + "b" * len(LABELS) + "d" * (len(FIELDS) - 1)).pack
"""Pack a reading of the stream: the position in the batch before which it stands, its device, event time, arrival,
pseudonym, arrival of the message that shows the vehicle, the labels' codes and the fields' numbers as in the stream
without the last, ``filled``, which follows from the number inside.

Packed, hundreds of thousands of them become columns at once, without a look at each number.
"""


def merged(batch: Batch, rows: list[bytes], masks: list[str], parking: Float64) -> Batch:
    """Put packed rows, whose vehicles have these masks, among the readings; those of one position stay in order.

    ``parking`` (devices,) is how many spaces a device's compound has, NaN: nobody knows.
    """
    table = np.frombuffer(b"".join(rows), _LAYOUT)
    order = np.argsort(np.concatenate([2 * np.arange(len(batch)) + 1, 2 * table["position"]]), kind="stable")
    return _joined(batch, _columns(batch.now, table, masks, parking)).select(order)


def _columns(now: int, table: NDArray[np.void], masks: list[str], parking: Float64) -> Batch:
    count = len(table)
    who = np.zeros((count, len(NOBODY)), np.int64)
    who[:, 0] = table["token"]
    fields = {name: table[name] for name in FIELDS[:-1]}
    return Batch(
        now,
        np.full(count, Stream.VISIT, np.int8),
        table["device"],
        table["event_at"],
        table["received_at"],
        np.full(count, DERIVED, np.int8),
        {**fields, "filled": 100.0 * fields["inside"] / parking[table["device"]]},
        {name: table[name] for name in LABELS},
        Sightings(who, table["seen_at"], np.zeros(count, np.bool_), masks),
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
