"""What ``sensord roster now`` does: who is on duty, as a table or as JSON.

The running daemon knows which contacts do not deliver; without one the files say who should be there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from sensord.commands.remote import on_duty
from sensord.config.load import load
from sensord.core.instant import parse_instant
from sensord.core.place import Places
from sensord.drivers.onduty import describe
from sensord.errors import SensordError, UnavailableError
from sensord.words import language, say

Plain = dict[str, Any]
_WIDTH = 160
"""Columns of a table that goes into a file or another program."""


def look(config: Path, place: str, at: str | None) -> tuple[Plain, str]:
    """Return who is on duty, and what is to be said about it; raises ``SensordError`` for what is no place or time."""
    try:
        return on_duty(config, place, at), ""
    except UnavailableError as away:
        zh = f"{away}；以下按文件推算，不知道哪些渠道联系不上"
        en = f"{away}; what follows is from the files, which know of no failing channels"
        return from_files(config, place, at), say(zh, en)


def as_json(found: Plain) -> str:
    """Write it as JSON, as the API answers."""
    return msgspec.json.format(msgspec.json.encode(found), indent=1).decode()


def print_table(found: Plain) -> None:
    """Print it as a table."""
    console = Console()
    (console if console.is_terminal else Console(width=_WIDTH)).print(table(found))


def from_files(config: Path, place: str, at: str | None) -> Plain:
    """Who should be on duty by the configuration; raises ``SensordError``."""
    definition = load(config).definition
    places = Places(definition.places, definition.devices)
    if place and place not in places.by_id:
        raise SensordError(say(f"没有场所 {place}", f"there is no place {place}"))
    try:
        instant = time.time_ns() if at is None else parse_instant(at, definition.zone)
    except ValueError as error:
        raise SensordError(say(f"{at} 不是时间", f"{at} is not a time")) from error
    return describe(definition, places, (), instant, place)


def table(found: Plain) -> Table:
    """Lay it out: a line for each person on duty, and one for each post where nobody is."""
    title = say(f"在岗人员 · {_local(found['at'])}", f"On duty · {_local(found['at'])}")
    made = Table(title=title, title_justify="left")
    for zh, en in _COLUMNS:
        made.add_column(say(zh, en), overflow="fold")
    for post in found["posts"]:
        for cells in _lines(post):
            made.add_row(*cells)
    return made


_COLUMNS = (
    ("场所", "place"),
    ("岗位", "post"),
    ("在岗", "on duty"),
    ("到", "until"),
    ("渠道", "channels"),
    ("说明", "remarks"),
)
_REASONS = {"leave": ("请假", "leave"), "swap": ("调班", "swap"), "extra": ("加班", "extra")}


def _lines(post: Plain) -> Iterator[tuple[str, ...]]:
    ending = "" if language() == "zh" else "_en"
    where = f"{post[f'place_name{ending}']} {post['place']}", str(post[f"role_name{ending}"])
    away = [_away(one) for one in post["away"]]
    for one in post["people"]:
        remarks = [*_remarks(one), *away]
        away = []
        until = _local(one["until"]) if one["until"] else say("一直", "always")
        yield *where, one["person"], until, " ".join(one["channels"]), say("；", "; ").join(remarks)
    if not post["people"]:
        comes = say(f"{_local(post['next'])} 有人", f"next from {_local(post['next'])}") if post["next"] else ""
        nobody = say("无人", "nobody")
        yield *where, nobody, "", "", say("；", "; ").join([*([comes] if comes else []), *away])


def _remarks(one: Plain) -> Iterator[str]:
    if one["stands_in_for"]:
        yield say(f"顶 {one['stands_in_for']} 的班", f"stands in for {one['stands_in_for']}")
    if one["failing"]:
        names = " ".join(one["failing"])
        yield say(f"联系不上：{names}", f"not delivering: {names}")


def _away(one: Plain) -> str:
    until, reason = _local(one["until"]), say(*_REASONS[one["reason"]])
    stands_in = say(f"，{one['stands_in']} 顶班", f", {one['stands_in']} stands in") if one["stands_in"] else ""
    return say(f"{one['person']} {reason}至 {until}", f"{one['person']}: {reason} until {until}") + stands_in


def _local(at: str) -> str:
    return at[:16].replace("T", " ")
