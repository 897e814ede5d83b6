"""The native format: one JSON object a message. Published as JSON Schema in ``docs/schema/``.

Unknown keys are ignored, so that a device's newer firmware does not silence it; a key that is there twice is refused.
Numbers must be finite; booleans and strings are never taken for numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from sensord.core.batch import Bools, Float64, Int64
from sensord.core.instant import MILLISECOND, parse_instant
from sensord.core.intake.codec.context import NONE, Context, Together, whole_numbers
from sensord.core.intake.plainjson import is_plain, refuse_depth, refuse_repeated_keys, unreadable
from sensord.core.level import BY_WORD
from sensord.core.reading import Reading, Topic
from sensord.core.stream import Stream
from sensord.core.vehicles.plate import PlateRead
from sensord.decoders import json_decoder
from sensord.errors import DecodeError

Amount = Annotated[int, Meta(ge=0, le=1_000_000)]
Counter = Annotated[int, Meta(ge=0, le=2**53)]
_STAMP_LIMIT = 2**63 // MILLISECOND - 1


class Message(msgspec.Struct, kw_only=True, gc=False):
    """What every native message may carry.

    ``at`` is RFC 3339 text or epoch milliseconds; ``boot`` counts the device's restarts and ``seq`` its messages since.
    """

    device: str | None = None
    at: str | float | None = None
    boot: Counter | None = None
    seq: Counter | None = None


class Crowd(Message, gc=False):
    """People in the sensor's region (``count``) and/or crossings since the previous message."""

    count: Amount | None = None
    enter: Amount | None = None
    exit: Amount | None = None


class Plate(Message, kw_only=True, gc=False):
    """A vehicle at a gate. ``plate`` is null when there is none to see; it goes no further than the intake.

    ``characters`` are the confidences of the plate's characters, the province's first.
    """

    plate: Annotated[str, Meta(max_length=32)] | None
    direction: Literal["in", "out"]
    confidence: Annotated[float, Meta(ge=0, le=1)] = 1.0
    color: Annotated[str, Meta(max_length=16)] | None = None
    characters: Annotated[list[Annotated[float, Meta(ge=0, le=1)]], Meta(max_length=16)] | None = None


class Gauge(Message, kw_only=True, gc=False):
    """A gauge's value: free parking spaces, bookings, decibels."""

    value: float


class Report(Message, kw_only=True, gc=False):
    """What a person found on an inspection, and at which place; else at the device's. ``text`` stays in the journal."""

    severity: Literal["blue", "yellow", "orange", "red"]
    place: Annotated[str, Meta(max_length=64)] = ""
    code: Annotated[str, Meta(max_length=64)] = ""
    by: Annotated[str, Meta(max_length=64)] = ""
    text: Annotated[str, Meta(max_length=4000)] = ""


class Status(Message, kw_only=True, gc=False):
    """A sign of life, with what the device knows of itself."""

    battery: Annotated[float, Meta(ge=0, le=100)] | None = None
    signal: float | None = None
    uptime: Annotated[float, Meta(ge=0)] | None = None


MESSAGES: dict[Stream, type[Message]] = {
    Stream.CROWD: Crowd,
    Stream.PLATE: Plate,
    Stream.LEVEL: Gauge,
    Stream.REPORT: Report,
    Stream.STATUS: Status,
}
DECODERS = {stream: json_decoder(message) for stream, message in MESSAGES.items()}
_NO_LABELS: dict[str, str] = {}
NUMBERS = {
    Stream.CROWD: ("count", "enter", "exit"),
    Stream.LEVEL: ("value",),
    Stream.STATUS: ("battery", "signal", "uptime"),
}
"""What is read of many messages together: the streams of nothing but numbers, nearly all traffic."""
_TAKE = {
    stream: {name: attrgetter(name) for name in ("device", "at", "boot", "seq", *names)}
    for stream, names in NUMBERS.items()
}
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(topic: Topic, payload: bytes, context: Context) -> list[Reading]:
    """Decode one native message into its one reading.

    Raises ``DecodeError``: ``too_deep``, ``not_utf8``, ``not_json``, ``wrong_shape``, ``duplicate_key``,
    ``not_finite``, ``bad_time``, ``no_value``.
    """
    refuse_depth(payload)
    try:
        message = DECODERS[topic.stream].decode(payload)
    except msgspec.ValidationError as error:
        raise DecodeError("wrong_shape", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise unreadable(payload, error) from None
    refuse_repeated_keys(payload)
    fields, labels = _CONTENT[topic.stream](message)
    plate = _plate_read(message, context.colours.get(topic.device)) if isinstance(message, Plate) else None
    spot = (message.place or None) if isinstance(message, Report) else None
    stamp = read_stamp(message.at, context.zone)
    return [Reading(stamp, message.boot, message.seq, message.device, fields, labels, plate, spot)]


def decode_together(stream: Stream, payloads: Sequence[bytes], senders: Sequence[str], context: Context) -> Together:
    """Decode messages of one of the ``NUMBERS`` as :func:`decode` would, for a fraction of the cost.

    ``senders`` are the devices that may have sent them. Whatever is not plainly right is left out, for :func:`decode`
    to say what is wrong with it.
    """
    messages, positions = _read_together(DECODERS[stream], payloads)
    if len(positions) < len(payloads):
        payloads, senders = [payloads[place] for place in positions], [senders[place] for place in positions]
    columns = {name: list(map(take, messages)) for name, take in _TAKE[stream].items()}
    stamps = _stamps(columns["at"], context.zone)
    boot, seq = whole_numbers(columns["boot"]), whole_numbers(columns["seq"])
    fields = {name: np.array(columns[name], np.float64) for name in NUMBERS[stream]}
    together = Together(np.array(positions, np.int64), stamps.times, boot, seq, fields)
    usable = _usable(stream, list(fields.values()), len(messages))
    if columns["device"] != senders:
        usable &= [claim is None or claim == owner for claim, owner in zip(columns["device"], senders, strict=True)]
    usable[stamps.wrong] = False
    if _values(columns, together) != b"".join(payloads).count(b":"):
        usable &= list(map(is_plain, payloads))
    return together if usable.all() else together.only(usable)


def _read_together(decoder: msgspec.json.Decoder[Any], payloads: Sequence[bytes]) -> tuple[list[Any], Sequence[int]]:
    """Decode what can be decoded; return it with its positions."""
    try:
        return list(map(decoder.decode, payloads)), range(len(payloads))
    except _UNREADABLE:
        messages, positions = list[Any](), list[int]()
        for position, payload in enumerate(payloads):
            with suppress(*_UNREADABLE):
                messages.append(decoder.decode(payload))
                positions.append(position)
        return messages, positions


def _values(columns: dict[str, list[Any]], together: Together) -> int:
    """How many values were read. Texts with as many colons repeat no key: there is one for each pair.

    Texts with more may or may not: nulls, unknown keys and colons in strings are not accounted for here.
    """
    written = sum(len(columns[name]) - columns[name].count(None) for name in ("device", "at"))
    written += sum(int(np.count_nonzero(column != NONE)) for column in (together.boot, together.seq))
    return written + sum(int(np.count_nonzero(~np.isnan(column))) for column in together.fields.values())


class _Stamps(NamedTuple):
    """Stamps (ns; ``NONE``: the message has none), and the positions of those that are no times."""

    times: Int64
    wrong: list[int]


def _stamps(written: list[str | float | None], zone: str) -> _Stamps:
    """Read the stamps of many messages."""
    if set(map(type, written)) == {float}:  # nearly always
        milliseconds = np.array(written, np.float64)
        if np.abs(milliseconds).max() <= _STAMP_LIMIT:
            return _Stamps((milliseconds * 1000).astype(np.int64) * 1000, [])
    times, wrong = list[int | None](), list[int]()
    for position, at in enumerate(written):
        try:
            times.append(read_stamp(at, zone))
        except DecodeError:
            times.append(None)
            wrong.append(position)
    return _Stamps(whole_numbers(times), wrong)


def _usable(stream: Stream, columns: list[Float64], count: int) -> Bools:
    """Which messages have a value where one is needed, and none that is not finite."""
    infinite, missing = np.zeros(count, np.bool_), np.full(count, stream is Stream.CROWD)
    for column in columns:
        infinite |= np.isinf(column)
        missing &= np.isnan(column)
    usable: Bools = ~(infinite | missing)
    return usable


def read_stamp(at: str | float | None, zone: str) -> int | None:
    """Read RFC 3339 text (without an offset: of that zone) or epoch milliseconds as an instant; None stays None.

    Raises ``DecodeError`` ``bad_time``.
    """
    if at is None:
        return None
    if isinstance(at, str):
        try:
            return parse_instant(at, zone)
        except (ValueError, OverflowError):
            raise DecodeError("bad_time", "'at' is not an RFC 3339 time") from None
    if not math.isfinite(at) or abs(at) > _STAMP_LIMIT:
        raise DecodeError("bad_time", "'at' is not a plausible number of milliseconds")
    return int(at * 1000) * 1000


def _numbers(**values: float | None) -> dict[str, float]:
    """Keep what is there; refuse what is not finite."""
    present = {name: float(value) for name, value in values.items() if value is not None}
    if not all(map(math.isfinite, present.values())):
        raise DecodeError("not_finite", "a number is not finite")
    return present


def _crowd(message: Crowd) -> tuple[dict[str, float], dict[str, str]]:
    # The schema has bounded these whole numbers, so they are finite; nearly all traffic comes through here.
    fields = {}
    if message.count is not None:
        fields["count"] = float(message.count)
    if message.enter is not None:
        fields["enter"] = float(message.enter)
    if message.exit is not None:
        fields["exit"] = float(message.exit)
    if not fields:
        raise DecodeError("no_value", "a crowd message needs 'count', 'enter' or 'exit'")
    return fields, _NO_LABELS


def _plate(message: Plate) -> tuple[dict[str, float], dict[str, str]]:
    return {"confidence": message.confidence}, {"direction": message.direction}


def _plate_read(message: Plate, colours: Mapping[str, str] | None) -> PlateRead:
    province, colour = message.characters[0] if message.characters else 1.0, message.color or ""
    return PlateRead(message.plate, message.confidence, province, colours.get(colour, colour) if colours else colour)


def _gauge(message: Gauge) -> tuple[dict[str, float], dict[str, str]]:
    return _numbers(value=message.value), _NO_LABELS


def _report(message: Report) -> tuple[dict[str, float], dict[str, str]]:
    return {"grade": float(BY_WORD[message.severity])}, {"severity": message.severity}


def _status(message: Status) -> tuple[dict[str, float], dict[str, str]]:
    return _numbers(battery=message.battery, signal=message.signal, uptime=message.uptime), _NO_LABELS


_CONTENT: dict[Stream, Callable[[Any], tuple[dict[str, float], dict[str, str]]]] = {
    Stream.CROWD: _crowd,
    Stream.PLATE: _plate,
    Stream.LEVEL: _gauge,
    Stream.REPORT: _report,
    Stream.STATUS: _status,
}
