"""Who is mentioned in a group: a contact's address, taken apart. Addresses are personal and never logged."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MOBILE = re.compile(r"(?:\+?86)?(1[3-9]\d{9})", re.ASCII)
_USER = re.compile(r"[\w.@-]{1,64}")


@dataclass(frozen=True, slots=True)
class Mentions:
    """Mobile numbers, user ids, and whether everybody in the group is meant."""

    mobiles: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    everybody: bool = False


def mentions(address: str) -> Mentions:
    """Read ``138...``, ``zhangsan``, ``all``, or several of them with commas; what is none of these is left out."""
    mobiles, users, everybody = dict[str, None](), dict[str, None](), False
    for part in address.split(","):
        word = part.strip()
        mobile = _MOBILE.fullmatch(word)
        if word in ("all", "@all"):
            everybody = True
        elif mobile is not None:
            mobiles[mobile[1]] = None
        elif _USER.fullmatch(word):
            users[word] = None
    return Mentions(tuple(mobiles), tuple(users), everybody)
