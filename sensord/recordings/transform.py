"""What can be done to recorded records: cut, merge, shift in time, scale. Streams in, streams out."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from sensord.core.definition import Definition, decode_definition
from sensord.core.instant import MILLISECOND, from_datetime, to_datetime
from sensord.core.intake.topic import TopicTemplate
from sensord.core.record import Record, RecordKind

Change = Callable[[dict[str, Any]], None]


def cut(records: Iterable[Record], start: int, end: int) -> Iterator[Record]:
    """Yield what arrived at ``start <= t < end`` (ns); the definition then in force comes first, at its beginning."""
    force: Record | None = None
    for record in records:
        if record.received_at >= end:
            return
        if record.received_at < start:
            force = record if record.kind == RecordKind.DEFINITION else force
            continue
        if force is not None:
            yield msgspec.structs.replace(force, received_at=record.received_at)
            force = None
        yield record


def merge(*streams: Iterable[Record]) -> Iterator[Record]:
    """Yield the records of several streams in order of arrival; at one instant the first stream comes first.

    A definition equal to the one in force is left out, so two halves of one journal do not restart anything.
    """
    force = b""
    for record in heapq.merge(*streams, key=lambda record: record.received_at):
        if record.kind == RecordKind.DEFINITION:
            if record.payload == force:
                continue
            force = record.payload
        yield record


def shift(records: Iterable[Record], by: int) -> Iterator[Record]:
    """Move everything in time by ``by`` (ns): arrivals, stamps inside native messages, and when somebody counted."""

    def counted(action: dict[str, Any]) -> None:
        if action.get("at"):
            action["at"] += by

    moves = {RecordKind.MESSAGE: shifted_stamp(by), RecordKind.ACTION: counted}
    for record in records:
        move = moves.get(RecordKind(record.kind))
        payload = record.payload if move is None else edited(record.payload, move)
        yield msgspec.structs.replace(record, received_at=record.received_at + by, payload=payload)


def scale(records: Iterable[Record], stream: str, name: str, factor: float) -> Iterator[Record]:
    """Multiply a field of a stream's native messages; a whole number stays one."""

    def change(body: dict[str, Any]) -> None:
        value = body.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            body[name] = round(value * factor)
        elif isinstance(value, float):
            body[name] = value * factor

    template = TopicTemplate(Definition("", (), (), ()).topics)
    for record in records:
        if record.kind == RecordKind.DEFINITION:
            template = TopicTemplate(decode_definition(record.payload).topics)
        elif record.kind == RecordKind.MESSAGE and (template.parts(record.topic) or {}).get("kind") == stream:
            record = msgspec.structs.replace(record, payload=edited(record.payload, change))  # noqa: PLW2901
        yield record


def edited(payload: bytes, change: Change) -> bytes:
    """Change a JSON object in place; what is none stays as it is."""
    try:
        body = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return payload
    if not isinstance(body, dict):
        return payload
    change(body)
    return msgspec.json.encode(body)


def restamped(at: int) -> Change:
    """Return the change that puts the instant ``at`` (ns) into a native message's stamp, in the form that it has."""
    return _stamped(lambda _: at)


def shifted_stamp(by: int) -> Change:
    """Return the change that moves a native message's stamp by ``by`` (ns)."""
    return _stamped(lambda stamp: stamp + by)


def _stamped(new: Callable[[int], int]) -> Change:
    def change(body: dict[str, Any]) -> None:
        stamp = body.get("at")
        if isinstance(stamp, str):
            try:
                moment = datetime.fromisoformat(stamp)
            except ValueError:
                return
            at = new(from_datetime(moment)) if moment.tzinfo else new(from_datetime(moment.astimezone()))
            body["at"] = to_datetime(at).astimezone(moment.tzinfo).isoformat(timespec="milliseconds")
        elif isinstance(stamp, int | float) and not isinstance(stamp, bool):
            at = new(round(stamp * MILLISECOND))
            body["at"] = at // MILLISECOND if isinstance(stamp, int) else at / MILLISECOND

    return change
