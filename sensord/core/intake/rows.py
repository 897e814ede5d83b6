"""Readings between codec and batch: rows in the order in which their messages arrived.

Native messages of nothing but numbers (nearly all traffic) are decoded together, a stream at a time; every other
message by itself. Both come to the same rows, so it decides nothing which way a message took.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import TypeVar

import numpy as np

from sensord.core.batch import Float64, Int64
from sensord.core.intake.codec import Context
from sensord.core.intake.codec.native import NUMBERS, decode_together
from sensord.core.intake.topic import Route
from sensord.core.reading import Reading
from sensord.core.record import Record
from sensord.core.stream import FIELDS, Stream
from sensord.errors import DecodeError

ALONE = -1
FEW = 8
"""Fewer messages than this of one stream are cheaper by themselves."""
_NAN = float("nan")
_T = TypeVar("_T")
Refuse = Callable[[int, DecodeError], None]


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages of registered devices in a group: each one's position among its records, itself, where it leads.

    Lists, and readings name their message by its place in them: an object for each would cost more than its decoding.
    ``number`` int64 (n,) is the routes' numbers.
    """

    positions: Sequence[int]
    records: Sequence[Record]
    routes: Sequence[Route]
    number: Int64


@dataclass(frozen=True, slots=True)
class Rows:
    """``n`` readings: lists of n, and ``fields`` as float64 (n,) (NaN: none; a missing field: none has it).

    ``at`` is the place of the reading's message in ``Messages``, ``nth`` counts the readings of one message.
    ``single`` are the readings that were decoded by themselves, each with its row: labels and plates are there.
    """

    at: list[int]
    nth: list[int]
    stamps: list[int | None]
    boots: list[int | None]
    seqs: list[int | None]
    fields: dict[str, Float64]
    single: list[tuple[int, Reading]]

    def __len__(self) -> int:
        """Count the readings."""
        return len(self.at)


def read_rows(messages: Messages, together: Int64, context: Context, refuse: Refuse) -> Rows:
    """Decode messages; ``refuse`` is told the place of each that cannot be used, and why.

    ``together`` says by a route's number of which stream its messages are decoded together (``ALONE``: by themselves).
    """
    parts, left = list[Rows](), list[int]()
    for stream in (None, *NUMBERS):
        some = np.flatnonzero(together[messages.number] == (ALONE if stream is None else stream)).tolist()
        if stream is None or len(some) < FEW:
            left += some
        else:
            parts.append(_together(stream, some, messages, context, left))
    if left or not parts:
        parts.append(_singly(sorted(left), messages, context, refuse))
    return parts[0] if len(parts) == 1 else _merged(parts)


def _together(stream: Stream, at: list[int], messages: Messages, context: Context, left: list[int]) -> Rows:
    """Decode messages of one stream at once; what is not plainly right goes to ``left``."""
    records, routes = messages.records, messages.routes
    payloads, senders = [records[place].payload for place in at], [routes[place].device for place in at]
    read = decode_together(stream, payloads, senders, context)
    if len(read.positions) < len(at):
        left += set(at).difference([at[position] for position in read.positions])
        at = [at[position] for position in read.positions]
    return Rows(at, [0] * len(at), read.stamps, read.boots, read.seqs, read.fields, [])


def _singly(at: list[int], messages: Messages, context: Context, refuse: Refuse) -> Rows:
    found: list[tuple[int, int, Reading]] = []
    for place in at:
        route = messages.routes[place]
        try:
            readings = _of_one(route, messages.records[place].payload, context)
        except DecodeError as error:
            refuse(place, error)
        else:
            found += [(place, nth, reading) for nth, reading in enumerate(readings)]
    readings = [reading for _, _, reading in found]
    present = dict.fromkeys(name for reading in readings for name in reading.fields)
    return Rows(
        [place for place, _, _ in found],
        [nth for _, nth, _ in found],
        [reading.stamp for reading in readings],
        [reading.boot for reading in readings],
        [reading.seq for reading in readings],
        {name: np.array([one.fields.get(name, _NAN) for one in readings], np.float64) for name in present},
        list(enumerate(readings)),
    )


def _of_one(route: Route, payload: bytes, context: Context) -> list[Reading]:
    readings = route.codec(route.topic, payload, context)
    if any(one.claims is not None and one.claims != route.device for one in readings):
        raise DecodeError("other_device", "the payload names another device than its topic")
    if any(one.spot is not None and one.spot not in route.spots for one in readings):
        raise DecodeError("other_place", "the finding names a place that does not lie in the place of its device")
    return readings


def _merged(parts: list[Rows]) -> Rows:
    """Put rows into the order of their messages; the readings of one message are of one part, in their order."""
    at = np.array([place for part in parts for place in part.at], np.int64)
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
    return Rows(
        at[order].tolist(),
        _ordered([part.nth for part in parts], order.tolist()),
        _ordered([part.stamps for part in parts], order.tolist()),
        _ordered([part.boots for part in parts], order.tolist()),
        _ordered([part.seqs for part in parts], order.tolist()),
        fields,
        sorted(single, key=itemgetter(0)),
    )


def _ordered(lists: list[list[_T]], order: list[int]) -> list[_T]:
    whole = list(chain.from_iterable(lists))
    return [whole[row] for row in order]
