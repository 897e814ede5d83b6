"""What the body of a 2xx says: what the settings expect, or else what common receivers mean by it.

====================================  =============================  =========================  =====================
a member, or the body itself          no                             either                     yes
====================================  =============================  =========================  =====================
``errcode`` ``errno`` ``error_code``  all but yes                                               0, ok, empty
``code`` ``retcode`` ``rc``           400 to 599, below 0, a *no*    1, 19024, E1, all others   0, 200 to 299, ok
``status_code`` ``return_code``       the same                       the same                   the same
``result_code``
``status`` ``state`` ``result``       400 to 599, below 0, a *no*                               all but no
``success`` ``ok``                    false, 0, a *no*                                          all but no
``err`` ``error`` ``errors``          all but yes                                               0, ok, false, empty
``msg`` ``message``                   a *no*                                                    all but no
the body: a word or a number          below 0, a *no*                                           all but no
====================================  =============================  =========================  =====================

A *no* is one of ``_REFUSED``, and that alone; *ok* is one of ``_FINE``, *empty* one of ``_NOTHING``; 0 may have many
zeros. Names count without their case, ``_`` and ``-``. In a list, in ``data``, ``result`` and ``response`` only what
speaks of errors counts (``errcode`` and ``error`` with their kin, ``success``): other names are those of things there.

One no is enough, and is a refusal. *Either* leaves it unclear: the message may have arrived, and goes out a few times
at most. After a web page (a portal that wants a login) it is in doubt. All else is a delivery, and so is a body that
says nothing.

With ``success`` what is at its path decides alone, null and empty included. A body in which there is no such path
speaks of the setting rather than of the message: it is unclear. But many a gateway refuses with other members than it
takes: a body that says no by the table is in doubt, and tried on. So is another value at the path, and it is in doubt
where the table would have it for a yes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from typing import cast

import msgspec

from sensord.config.channels import Success
from sensord.errors import DeliveryError
from sensord.notify.http import Reply
from sensord.notify.outcome import InDoubtError, UnclearError
from sensord.notify.words import plain_code

_ERROR_CODES = {"errcode", "errno", "errorcode"}
_CODES = {"code", "retcode", "rc", "statuscode", "returncode", "resultcode"}
_STATES = {"status", "state", "result"}
_FLAGS = {"success", "ok"}
_ERRORS = {"err", "error", "errors"}
_TEXTS = {"msg", "message"}
_INSIDE = {"data", "result", "response"}

_FINE = {"ok", "success", "succeeded", "true"}
_NOTHING = {"", "none", "null"}
_EMPTY = {*_NOTHING, "false", "no", "ok", "success", "succeeded"}
"""No error at all."""
_REFUSED = {"error", "err", "fail", "failed", "failure", "false", "no"}
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.0+)?")
_DEPTH = 3
"""Lists and mappings inside each other; deeper ones say nothing of the message."""


class Says(IntEnum):
    """What a word means; the smallest of a body counts."""

    NO = 0
    EITHER = 1
    YES = 2


def judge_success(name: str, reply: Reply, success: Success | None) -> None:
    """Compare what a 2xx says with what it must say, if that is configured; the receiver's own words are not repeated.

    Raises ``DeliveryError``, as the module's text says.
    """
    if success is None:
        judge_body(name, reply)
        return
    found, part = cast("object", reply.json), ""
    for part in success.path.split("."):
        if not isinstance(found, dict) or part not in found:
            raise _pathless(name, reply, success.path)
        found = found[part]
    if _written(found) != success.equals:
        code = plain_code(_written(found))
        others_take_it = _means(_plain(part), found, inside=False) is Says.YES
        kind = InDoubtError if others_take_it else DeliveryError
        raise kind(f"channel {name}: {reply.host} answered {success.path} {code or 'nothing'}")


def _pathless(name: str, reply: Reply, path: str) -> InDoubtError:
    """What an answer means in which there is no such path; raises ``InDoubtError`` when it is a page for people."""
    _refuse_page(name, reply)
    answered = f"channel {name}: {reply.host} answered {reply.status}"
    says, words = min(_said(reply.body), default=(Says.YES, ""))
    if says is Says.NO:
        return InDoubtError(f"{answered} with {words}, and without {path}")
    return UnclearError(f"{answered} without {path}, which may mean either; correct success: of the channel")


def _refuse_page(name: str, reply: Reply) -> None:
    """Raise ``InDoubtError`` when a page for people came in the receiver's place."""
    if reply.web_page:
        raise InDoubtError(
            f"channel {name}: {reply.host} answered {reply.status} with a web page; who asks for a login?"
        )


def _written(value: object) -> str:
    """A JSON scalar as an operator writes it: ``0``, ``OK``, ``true``."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def judge_body(name: str, reply: Reply) -> None:
    """Return when the body of a 2xx says yes, or nothing; raises ``DeliveryError``, as the module's table says."""
    _refuse_page(name, reply)
    says, words = min(_said(reply.body), default=(Says.YES, ""))
    if says is Says.YES:
        return
    message = f"channel {name}: {reply.host} answered {reply.status} with {words}"
    if (reply.json or {}).get("retryable") is False:
        raise DeliveryError(message, retryable=False)
    if says is Says.NO:
        raise DeliveryError(message)
    raise UnclearError(f"{message}, which may mean either; add success: to the channel")


def _said(body: bytes) -> Iterator[tuple[Says, str]]:
    """What the body, or each of its members, means, and how it is written."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = body.decode(errors="replace")
    if isinstance(found, dict | list):
        yield from _members(found)
    elif _word(found) in _REFUSED or (_number(found) or 0) < 0:
        yield Says.NO, plain_code(_word(found))


def _members(found: object) -> Iterator[tuple[Says, str]]:
    """Look at members, and at those of what is inside."""
    left = [(found, False, 0)]
    while left:
        one, inside, depth = left.pop()
        if isinstance(one, list):
            left += [(part, True, depth + 1) for part in one if depth < _DEPTH]
        for name, value in one.items() if isinstance(one, dict) else ():
            plain = _plain(name)
            words = name if plain in _ERRORS else f"{name} {plain_code(_word(value))}"  # a sentence may hold a number
            yield _means(plain, value, inside=inside), words
            if plain in _INSIDE and depth < _DEPTH:
                left.append((value, True, depth + 1))


def _plain(name: str) -> str:
    """A member's name as the table has it."""
    return re.sub("[_-]", "", name.lower())


def _means(name: str, value: object, *, inside: bool) -> Says:
    if name in _ERROR_CODES | _ERRORS:
        empty = not value if isinstance(value, dict | list) else _word(value) in _EMPTY or _number(value) == 0
        return Says.YES if empty else Says.NO
    if name in _FLAGS:
        return Says.NO if _word(value) in _REFUSED or _number(value) == 0 else Says.YES
    if inside or name not in _CODES | _STATES | _TEXTS or isinstance(value, dict | list):
        return Says.YES
    number = _number(value)
    if number is None or name in _TEXTS:
        refused, fine = _word(value) in _REFUSED, _word(value) in _FINE | _NOTHING
    else:
        refused, fine = number < 0 or 400 <= number < 600, number == 0 or 200 <= number < 300
    if refused:
        return Says.NO
    return Says.YES if fine or name not in _CODES else Says.EITHER


def _number(value: object) -> float | None:
    """The number that is written, as ``"0000"`` is one; None when none is."""
    return float(_word(value)) if _NUMBER.fullmatch(_word(value)) else None


def _word(value: object) -> str:
    """A scalar in small letters; empty for what has members."""
    return "" if isinstance(value, dict | list) else str(value).strip().lower()
