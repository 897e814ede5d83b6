"""What people and channels said, as it stands in the journal: commands, actions, receipts."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from sensord.core.record import Action, Receipt, Scope
from sensord.errors import DecodeError

_Told = TypeVar("_Told")


class Command(msgspec.Struct, frozen=True):
    """What an operator publishes to a command topic."""

    verb: str
    by: str
    note: str = ""
    until: int = 0
    scope: Scope | None = None


_COMMAND = msgspec.json.Decoder(Command)
_ACTION = msgspec.json.Decoder(Action)
_RECEIPT = msgspec.json.Decoder(Receipt)


def command(payload: bytes, case: str) -> Action:
    """Read a command as the action on that case; raises ``DecodeError`` ``bad_command``."""
    told = _read(_COMMAND, payload, "bad_command")
    return Action(told.verb, case, told.by[:64], "mqtt", told.note[:500], told.until, told.scope)


def action(payload: bytes) -> Action:
    """Read an action; raises ``DecodeError`` ``bad_action``."""
    return _read(_ACTION, payload, "bad_action")


def receipt(payload: bytes) -> Receipt:
    """Read a receipt; raises ``DecodeError`` ``bad_receipt``."""
    return _read(_RECEIPT, payload, "bad_receipt")


def _read(decoder: msgspec.json.Decoder[_Told], payload: bytes, reason: str) -> _Told:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(reason, str(error)) from None
