"""Readings of the stream ``visit``: how the rows that the tracker makes get into a batch."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sensord.core.batch import DERIVED, STANDS, Batch, Float64, Int64, Sightings, Texts
from sensord.core.stream import EVENT, STREAMS, Stream
from sensord.core.vehicles.pseudonym import NOBODY

Value = TypeVar("Value", bound=np.generic)
_NAN, _NO_WORD, _DERIVED = np.float64(math.nan), np.int8(-1), np.int8(DERIVED)
_RECOGNISED = EVENT.words.index("recognised")

FIELDS = tuple(field.name for field in STREAMS[Stream.VISIT].fields)
LABELS = tuple(label.name for label in STREAMS[Stream.VISIT].labels)


_NUMBERS = FIELDS[: FIELDS.index("inside")]
_COUNTS = ("known", "anonymous", "counted", "doubtful", "spread")
_COLUMNS = [(name, "i8") for name in ("position", "event_at", "received_at", "token", "seen_at")]
_COLUMNS += [*((name, "f8") for name in _NUMBERS), *((name, "i4") for name in ("device", *_COUNTS))]
_COLUMNS += [(name, "i1") for name in LABELS]
_LAYOUT = np.dtype([(name, f"<{code}") for name, code in _COLUMNS])
pack_row = struct.Struct(f"<5q{len(_NUMBERS)}d{1 + len(_COUNTS)}i{len(LABELS)}b").pack
"""Pack a reading of the stream: the position in the batch before which it stands, event time (which counts as no later
than its arrival), arrival, pseudonym, arrival of the message that shows the vehicle; the fields' numbers as in the
stream, up to ``inside``; its device; how many vehicles are known to be inside, and the compound's ``anonymous``,
``counted``, ``doubtful`` and ``spread`` (as ``Compound.amounts``); the labels' codes as in the stream. What follows
from these numbers is found later.

Packed, hundreds of thousands of them become columns at once, without a look at each number.
"""


def merged(batch: Batch, rows: bytearray, masks: list[str], parking: Float64) -> Batch:
    """Put packed rows, whose vehicles have these masks, among the readings; their positions never fall.

    ``parking`` (devices,) is how many spaces a device's compound has, NaN: nobody knows.
    """
    table = np.frombuffer(rows, _LAYOUT)
    theirs = table["position"] + np.arange(len(table))
    others = np.ones(len(batch) + len(table), np.bool_)
    others[theirs] = False
    places = _Places(np.flatnonzero(others), theirs)
    return _joined(places, batch, _columns(batch.now, table, np.array(masks, np.object_), parking))


def _columns(now: int, table: NDArray[np.void], masks: Texts, parking: Float64) -> Batch:
    count = len(table)
    who = np.zeros((count, len(NOBODY)), np.int64)
    who[:, 0] = table["token"]
    fields = {name: table[name] for name in _NUMBERS}
    # As many as were counted may be below zero: then somebody came unseen.
    fields["inside"] = np.maximum(table["known"] + table["anonymous"] + table["counted"], 0.0)
    fields["unsure"] = np.abs(table["anonymous"]) + table["doubtful"] + table["spread"] + 0.0
    fields["filled"] = 100.0 * fields["inside"] / parking[table["device"]]
    return Batch(
        now,
        np.full(count, Stream.VISIT, np.int8),
        table["device"],
        np.minimum(table["event_at"], table["received_at"]),
        table["received_at"],
        # Whoever is recognised as having come in is inside.
        np.where((table["event"] == _RECOGNISED) & (table["direction"] == 0), np.int8(DERIVED | STANDS), _DERIVED),
        fields,
        {name: table[name] for name in LABELS},
        Sightings(who, table["seen_at"], np.zeros(count, np.bool_), masks),
    )


class _Places(NamedTuple):
    """Where the readings of two batches stand in the one made of both."""

    ours: Int64
    theirs: Int64

    def column(self, one: NDArray[Value], other: NDArray[Value]) -> NDArray[Value]:
        """Both columns as one, of the first one's type."""
        both = np.empty((len(self.ours) + len(self.theirs), *one.shape[1:]), one.dtype)
        both[self.ours], both[self.theirs] = one, other
        return both

    def filled_up(self, one: NDArray[Value] | None, other: NDArray[Value] | None, none: Value) -> NDArray[Value]:
        """As ``column``; of the batch that has no such column it is all ``none``."""
        both = np.full(len(self.ours) + len(self.theirs), none, none.dtype)
        for where, column in ((self.ours, one), (self.theirs, other)):
            if column is not None:
                both[where] = column
        return both


def _joined(places: _Places, one: Batch, other: Batch) -> Batch:
    """Two batches as one."""
    fields, labels = dict.fromkeys((*one.fields, *other.fields)), dict.fromkeys((*one.labels, *other.labels))
    return Batch(
        one.now,
        places.column(one.stream, other.stream),
        places.column(one.device, other.device),
        places.column(one.event_at, other.event_at),
        places.column(one.received_at, other.received_at),
        places.column(one.flags, other.flags),
        {name: places.filled_up(one.fields.get(name), other.fields.get(name), _NAN) for name in fields},
        {name: places.filled_up(one.labels.get(name), other.labels.get(name), _NO_WORD) for name in labels},
        _sightings(places, one, other),
        None if one.spot is None else places.column(one.spot, np.full(len(other), -1, np.int32)),
    )


def _sightings(places: _Places, one: Batch, other: Batch) -> Sightings:
    ours, theirs = (part.sightings or nobody(len(part)) for part in (one, other))
    return Sightings(
        places.column(ours.who, theirs.who),
        places.column(ours.seen_at, theirs.seen_at),
        places.column(ours.sure, theirs.sure),
        places.column(ours.masks, theirs.masks),
    )


def nobody(count: int) -> Sightings:
    """Sightings of ``count`` readings in which nobody was identified."""
    nobody: Int64 = np.zeros((count, len(NOBODY)), np.int64)
    return Sightings(nobody, nobody[:, 0], np.zeros(count, np.bool_), np.full(count, "", np.object_))
