"""Visits, what is known of vehicles, and what passages mean, as values. Pure; no rule of pairing is here."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import msgspec

from sensord.core.vehicles.passage import Read


class Pairing(IntEnum):
    """Why a passage was paired as it was: the named reason of a pairing. ``word`` is what counts call it."""

    ENTERED = 0
    LEFT = 1
    LEFT_MISREAD = 2
    MISSED_ENTRY = 3
    ANONYMOUS = 4
    HISTORY = 5

    @property
    def word(self) -> str:
        """The reason as counts write it."""
        return self.name.lower()


Numbers = tuple[float, float, float, float, float, float]
"""What is said of a vehicle in numbers, NaN where nothing is, as the stream ``visit`` has them: how long it stayed (h),
nights, how long it was away (days), visits, short visits, compounds."""
NO_NUMBERS: Numbers = (math.nan,) * 6


class Untold(msgspec.Struct, array_like=True, gc=False):
    """What is to be told of an entry when its visit is due, if it lasts until then: the ``numbers`` of the vehicle.

    After that it is due at ``due`` (ns).
    """

    due: int
    numbers: Numbers


class Visit(msgspec.Struct, array_like=True, gc=False):
    """A vehicle inside. ``read`` is its entry, ``entered_at`` event time, ``due`` when time next matters (ns).

    ``certainty`` is the code of how far the entry could be trusted, ``stranger`` whether the vehicle was not known
    until then, ``misread`` whether it was found out later who it is. ``kin`` is everything under which it may be read
    when it leaves, besides its pseudonym. ``doubted``: so long that it may be over. ``twins`` are those that came at
    the same moment by the same gate under nearly the same plate: it may be one of them, read twice. ``untold`` is there
    while an entry that became known late, or one of a vehicle that is looked for by now, is yet to be told of.
    """

    read: Read
    entered_at: int
    due: int
    certainty: int
    kin: list[int]
    nights: int = 0
    stranger: bool = False
    misread: bool = False
    doubted: bool = False
    twins: tuple[int, ...] = ()
    untold: Untold | None = None

    def tell(self, at: int, numbers: Numbers) -> None:
        """Let the entry be told of at ``at`` (ns); one that waits for it already goes on waiting."""
        if self.untold is None:
            stay, nights, away, visits, shorts, compounds = map(float, numbers)  # as a saved state has them
            self.untold, self.due = Untold(self.due, (stay, nights, away, visits, shorts, compounds)), at


class Trace(msgspec.Struct, array_like=True, gc=False):
    """What is known of a vehicle seen lately.

    ``gate`` is where it was last seen (the compound, when that gate is no more), ``inside`` where it is believed to be
    ("": nowhere). ``entries`` are its recent entries as (event time, compound), ``shorts`` the ends of its recent short
    visits. ``witnessed`` is when it last passed for certain: in a passage that is, or at the end of a visit that began
    under the same plate.
    ``courier`` is there once it comes and goes: its province and neighbourhood, for who may be it, misread.
    """

    last_at: int
    gate: str
    inside: str = ""
    entries: list[tuple[int, str]] = []
    shorts: list[int] = []
    witnessed: int = 0
    courier: tuple[int, int, int] | None = None


class Ghost(msgspec.Struct, array_like=True, gc=False):
    """A visit that was taken to be over at ``since`` (ns), as the vehicle was seen in the compound ``elsewhere``."""

    visit: Visit
    since: int
    elsewhere: str


class Suspicion(msgspec.Struct, array_like=True, gc=False):
    """Two vehicles under one plate, as it seemed at ``at`` (ns); ``lacking`` are the compounds that want a witness."""

    at: int
    lacking: list[str]


class Ended(NamedTuple):
    """A visit that ended without an exit being seen. ``twice``: it was another vehicle's entry, read once more."""

    compound: str
    token: int
    visit: Visit
    twice: bool = False


class Seen(msgspec.Struct, gc=False):
    """What a passage means. The ``numbers`` are as of after the passage.

    ``certainty`` is the passage's; ``visit`` is the one that begins (None: none does). ``shown`` is the reading that
    shows the vehicle, where it is not the passage's own: that one was misread.
    """

    pairing: Pairing
    token: int
    certainty: int
    numbers: Numbers = NO_NUMBERS
    cloned: bool = False
    ended: tuple[Ended, ...] = ()
    visit: Visit | None = None
    shown: Read | None = None
