"""What people and channels said, as it stands in the journal: commands, actions, receipts.

A plate that somebody wrote, into a note or where the name of something belongs, goes no further than the journal, and
is deleted with it. Names of people and places are what they are, even if they look like plates.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple, TypeVar

import msgspec

from sensord.core.intake.codec.native import read_stamp
from sensord.core.intake.plainjson import refuse_depth, refuse_repeated_keys
from sensord.core.record import Action, Receipt, Record, Scope, Verb
from sensord.core.vehicles.blot import without_plates
from sensord.decoders import convert, json_decoder
from sensord.errors import DecodeError

_Told = TypeVar("_Told")
LONGEST_NOTE = 500
"""Characters of a note by MQTT; what is longer is cut off."""
LONGEST_NAME = 200
"""Characters of the case (or silence) that a command's topic may name."""


class Names(NamedTuple):
    """The names of the definition in force, and its time zone: that of times which have none."""

    people: Container[str]
    places: Container[str]
    zone: str


class Command(msgspec.Struct, frozen=True):
    """What a person publishes to a command topic of theirs; ``by`` is not needed, and never anybody else.

    ``at`` says when somebody has counted so many ``vehicles``: RFC 3339 text or epoch ms, as a device's stamp. In other
    commands an app may say there what it likes.
    """

    verb: str
    by: str = ""
    note: str = ""
    until: int = 0
    scope: Scope | None = None
    vehicles: int | None = None
    at: Any = None


class _Counted(msgspec.Struct):
    at: str | float | None


_COMMAND = json_decoder(Command)
_ACTION = json_decoder(Action)
_RECEIPT = json_decoder(Receipt)


def command(payload: bytes, case: str, user: str | None, names: Names) -> Action:
    """Read a command as the action on that case by ``user``, one of the people of ``names``.

    Who speaks is told by the topic, for the broker's access list holds each account to its own. A topic of 0.1.0 named
    nobody (None), which no configuration may do any more: what it brought is replayed as the payload's own ``by``.
    Raises ``DecodeError`` ``bad_command``, ``bad_time``, ``too_deep``, ``duplicate_key``, ``other_user`` or
    ``unknown_user``.
    """
    if len(case) > LONGEST_NAME:
        raise DecodeError("bad_command", "the topic names no case")
    refuse_depth(payload)
    told = _read(_COMMAND, payload, "bad_command")
    refuse_repeated_keys(payload)
    if told.verb == Verb.COUNT and told.vehicles is None:
        raise DecodeError("bad_command", "a count says how many vehicles there are")
    if user is not None and told.by not in ("", user):
        raise DecodeError("other_user", "the payload names somebody else than its topic")
    if user is not None and user not in names.people:
        raise DecodeError("unknown_user", "the topic names nobody of the roster")
    by, at = told.by if user is None else user, counted_at(told, names.zone)
    said = Action(told.verb, case, by, "mqtt", told.note, told.until, told.scope, told.vehicles or 0, at)
    bare = _bare(said, names)
    return msgspec.structs.replace(bare, note=bare.note[:LONGEST_NOTE])


def counted_at(told: Command, zone: str) -> int:
    """When somebody has counted (ns); 0 where that is not said. Raises ``DecodeError`` ``bad_time``."""
    if told.verb != Verb.COUNT:
        return 0
    try:
        return read_stamp(convert({"at": told.at}, _Counted).at, zone) or 0
    except msgspec.ValidationError as error:
        raise DecodeError("bad_time", str(error)) from None


def action(record: Record, names: Names) -> Action:
    """Read an action; raises ``DecodeError`` ``bad_action``.

    Earlier versions journaled counts that did not say when they were taken, and took them for those of their arrival.
    """
    told = _read(_ACTION, record.payload, "bad_action")
    if told.verb == Verb.COUNT and not told.at:
        told = msgspec.structs.replace(told, at=record.received_at)
    return _bare(told, names)


def _bare(told: Action, names: Names) -> Action:
    """The action without plates; a silence that is called by one gets another name."""
    verb, via, note = map(without_plates, (told.verb, told.via, told.note))
    case = _named(told.case, names.places)
    return msgspec.structs.replace(
        told,
        verb=verb,
        case="" if verb == Verb.SILENCE and case != told.case else case,
        by=told.by if told.by in names.people else without_plates(told.by),
        via=via,
        note=note,
        scope=None if told.scope is None else _scope(told.scope, names),
    )


def _named(case: str, places: Container[str]) -> str:
    """The name of a case, which begins with that of its place, or of a place, without plates in the rest."""
    if without_plates(case) == case:
        return case
    ends = [*(place for place, one in enumerate(case) if one == "-"), len(case)]
    end = next((end for end in reversed(ends) if case[:end] in places), 0)
    return case[:end] + without_plates(case[end:])


def _scope(scope: Scope, names: Names) -> Scope:
    """What a silence covers, without plates in what is not there by that name."""
    return msgspec.structs.replace(
        scope,
        places=tuple(one if one in names.places else without_plates(one) for one in scope.places),
        rules=tuple(map(without_plates, scope.rules)),
        policies=tuple(map(without_plates, scope.policies)),
        labels={without_plates(name): without_plates(word) for name, word in scope.labels.items()},
        people=tuple(one if one in names.people else without_plates(one) for one in scope.people),
    )


def receipt(payload: bytes) -> Receipt:
    """Read a receipt; raises ``DecodeError`` ``bad_receipt``."""
    return _read(_RECEIPT, payload, "bad_receipt")


def _read(decoder: msgspec.json.Decoder[_Told], payload: bytes, reason: str) -> _Told:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(reason, str(error)) from None
