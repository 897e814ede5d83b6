"""Readings between codec and batch: rows in the order in which their messages arrived, as columns.

Native messages of nothing but numbers (nearly all traffic) are decoded together, a stream at a time; every other
message by itself. Both come to the same rows, so it decides nothing which way a message took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter

import numpy as np

from sensord.core.batch import Float64, Int64
from sensord.core.failure import Failures, Part
from sensord.core.intake.codec import Context
from sensord.core.intake.codec.context import NONE, whole_numbers
from sensord.core.intake.codec.native import NUMBERS, decode_together
from sensord.core.intake.repeats import fingerprint
from sensord.core.intake.topic import Route
from sensord.core.reading import Reading
from sensord.core.record import Record
from sensord.core.stream import FIELDS, Stream
from sensord.errors import DecodeError

ALONE = -1
FEW = 8
"""Fewer messages than this of one stream are cheaper by themselves."""
_NAN = float("nan")
_PAYLOAD = attrgetter("payload")
Refuse = Callable[[int, DecodeError], None]


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages of registered devices in a group, each with the number of its route: int64 (n,), as ``positions``.

    ``positions`` are those among the group's records; readings name their message by its place in here.
    """

    positions: Int64
    records: Sequence[Record]
    number: Int64


@dataclass(frozen=True, slots=True)
class Rows:
    """``n`` readings: int64 columns (n,) (``NONE``: it does not say), and ``fields`` as float64 (n,) (NaN: none).

    ``at`` is the place of the reading's message in ``Messages``, ``nth`` counts the readings of one message.
    ``identity`` is what a reading without a number of its own is known by. A missing field: none has
    it. ``single`` are the readings that were decoded by themselves, each with its row: labels and plates are there.
    """

    at: Int64
    nth: Int64
    stamp: Int64
    boot: Int64
    seq: Int64
    identity: Int64
    fields: dict[str, Float64]
    single: list[tuple[int, Reading]]

    def __len__(self) -> int:
        """Count the readings."""
        return len(self.at)


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads rows from messages. ``routes`` are all routes by number; ``senders`` (their devices), ``together`` beside.

    ``together`` (int64) says of which stream the messages of a route are decoded together (``ALONE``: by themselves).
    """

    routes: Sequence[Route]
    senders: Sequence[str]
    together: Int64
    context: Context

    def read(self, messages: Messages, refuse: Refuse, failures: Failures) -> Rows:
        """Decode messages; ``refuse`` is told the place of each that cannot be used, and why.

        Those that cannot be decoded together by a mistake of ours are decoded by themselves.
        """
        streams = self.together[messages.number]
        parts, left = list[Rows](), np.flatnonzero(streams == ALONE).tolist()
        for stream in NUMBERS:
            some = np.flatnonzero(streams == stream)
            if len(some) >= FEW:
                known = len(left)
                with failures.apart(Part.MESSAGE, stream.word, messages.records[some[0]].received_at):
                    parts.append(self._together(stream, some, messages, left))
                    continue
                del left[known:]
            left += some.tolist()
        if left or not parts:
            parts.append(self._singly(sorted(left), messages, refuse))
        return parts[0] if len(parts) == 1 else _merged(parts)

    def _together(self, stream: Stream, at: Int64, messages: Messages, left: list[int]) -> Rows:
        """Decode messages of one stream at once; what is not plainly right goes to ``left``."""
        places = at.tolist()
        payloads = list(map(_PAYLOAD, _picked(messages.records, places)))
        senders = list(map(self.senders.__getitem__, messages.number[at].tolist()))
        read = decode_together(stream, payloads, senders, self.context)
        if len(read.positions) < len(at):
            used = at[read.positions]
            left += np.setdiff1d(at, used).tolist()
            at = used
        identity = _identities(at, np.zeros_like(at), read.boot, read.seq, messages)
        return Rows(at, np.zeros_like(at), read.stamp, read.boot, read.seq, identity, read.fields, [])

    def _singly(self, places: list[int], messages: Messages, refuse: Refuse) -> Rows:
        found: list[tuple[int, int, Reading]] = []
        for place in places:
            route = self.routes[messages.number[place]]
            try:
                readings = _of_one(route, messages.records[place].payload, self.context)
            except DecodeError as error:
                refuse(place, error)
            else:
                found += [(place, nth, reading) for nth, reading in enumerate(readings)]
        at, nth = (np.array([one[part] for one in found], np.int64) for part in (0, 1))
        readings = [reading for _, _, reading in found]
        stamp, boot, seq = (
            whole_numbers([getattr(reading, part) for reading in readings]) for part in ("stamp", "boot", "seq")
        )
        identity = _identities(at, nth, boot, seq, messages)
        return Rows(at, nth, stamp, boot, seq, identity, _columns(readings), list(enumerate(readings)))


def _picked(records: Sequence[Record], places: list[int]) -> Iterable[Record]:
    return records if len(places) == len(records) else map(records.__getitem__, places)


def _columns(readings: list[Reading]) -> dict[str, Float64]:
    present = dict.fromkeys(name for reading in readings for name in reading.fields)
    return {name: np.array([one.fields.get(name, _NAN) for one in readings], np.float64) for name in present}


def _identities(at: Int64, nth: Int64, boot: Int64, seq: Int64, messages: Messages) -> Int64:
    """What readings without a number of their own are known by."""
    identity = np.full(len(at), NONE)
    for row in np.flatnonzero((boot == NONE) | (seq == NONE)).tolist():
        record = messages.records[at[row]]
        identity[row] = fingerprint(int(nth[row]), record.topic, record.payload)
    return identity


def _of_one(route: Route, payload: bytes, context: Context) -> list[Reading]:
    readings = route.codec(route.topic, payload, context)
    if any(one.claims is not None and one.claims != route.device for one in readings):
        raise DecodeError("other_device", "the payload names another device than its topic")
    if any(one.spot is not None and one.spot not in route.spots for one in readings):
        raise DecodeError("other_place", "the finding names a place that does not lie in the place of its device")
    return readings


def _merged(parts: list[Rows]) -> Rows:
    """Put rows into the order of their messages; the readings of one message are of one part, in their order."""
    at = np.concatenate([part.at for part in parts])
    order = np.argsort(at, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    fields = {name: np.full(len(order), np.nan) for name in FIELDS if any(name in part.fields for part in parts)}
    single, begin = list[tuple[int, Reading]](), 0
    for part in parts:
        rows = rank[begin : begin + len(part)]
        for name, column in part.fields.items():
            fields[name][rows] = column
        single += [(int(rows[row]), reading) for row, reading in part.single]
        begin += len(part)
    columns = ("nth", "stamp", "boot", "seq", "identity")
    nth, stamp, boot, seq, identity = (
        np.concatenate([getattr(part, name) for part in parts])[order] for name in columns
    )
    return Rows(at[order], nth, stamp, boot, seq, identity, fields, sorted(single, key=itemgetter(0)))
