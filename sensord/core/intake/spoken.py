"""What people and channels said, as it stands in the journal: commands, actions, receipts.

A plate that somebody wrote into a note goes no further than the journal, and is deleted with it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TypeVar

import msgspec

from sensord.core.intake.plainjson import refuse_depth, refuse_repeated_keys
from sensord.core.record import Action, Receipt, Scope
from sensord.core.vehicles.blot import without_plates
from sensord.decoders import json_decoder
from sensord.errors import DecodeError

_Told = TypeVar("_Told")
LONGEST_NOTE = 500
"""Characters of a note by MQTT; what is longer is cut off."""
LONGEST_NAME = 200
"""Characters of the case (or silence) that a command's topic may name."""


class Command(msgspec.Struct, frozen=True):
    """What a person publishes to a command topic of theirs; ``by`` is not needed, and never anybody else."""

    verb: str
    by: str = ""
    note: str = ""
    until: int = 0
    scope: Scope | None = None
    vehicles: int = 0


_COMMAND = json_decoder(Command)
_ACTION = json_decoder(Action)
_RECEIPT = json_decoder(Receipt)


def command(payload: bytes, case: str, user: str | None, people: Container[str]) -> Action:
    """Read a command as the action on that case by ``user``, one of the roster's ``people``.

    Who speaks is told by the topic, for the broker's access list holds each account to its own. A topic of 0.1.0 named
    nobody (None), which no configuration may do any more: what it brought is replayed as the payload's own ``by``.
    Raises ``DecodeError`` ``bad_command``, ``too_deep``, ``duplicate_key``, ``other_user`` or ``unknown_user``.
    """
    if len(case) > LONGEST_NAME:
        raise DecodeError("bad_command", "the topic names no case")
    refuse_depth(payload)
    told = _read(_COMMAND, payload, "bad_command")
    refuse_repeated_keys(payload)
    if user is not None and told.by not in ("", user):
        raise DecodeError("other_user", "the payload names somebody else than its topic")
    if user is not None and user not in people:
        raise DecodeError("unknown_user", "the topic names nobody of the roster")
    note = without_plates(told.note)[:LONGEST_NOTE]
    by = told.by if user is None else user
    return Action(told.verb, case, by, "mqtt", note, told.until, told.scope, told.vehicles)


def action(payload: bytes) -> Action:
    """Read an action; raises ``DecodeError`` ``bad_action``."""
    told = _read(_ACTION, payload, "bad_action")
    return msgspec.structs.replace(told, note=without_plates(told.note)) if told.note else told


def receipt(payload: bytes) -> Receipt:
    """Read a receipt; raises ``DecodeError`` ``bad_receipt``."""
    return _read(_RECEIPT, payload, "bad_receipt")


def _read(decoder: msgspec.json.Decoder[_Told], payload: bytes, reason: str) -> _Told:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(reason, str(error)) from None
