"""What people configured about plates and vehicles, as frozen values: part of the definition. No state, no secret."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sensord.core.instant import DAY, HOUR, MINUTE, SECOND

FOREVER = 1 << 62
"""An instant (ns) that never comes."""


def stretch(edges: Iterable[int], at: int) -> tuple[int, int]:
    """Return the stretch ``from <= at < until`` (ns) between the nearest of these instants: in it nothing changes."""
    known = list(edges)
    since = max((edge for edge in known if edge <= at), default=0)
    return since, min((edge for edge in known if edge > at), default=FOREVER)


LONGEST_PREFIX = 5
"""Characters of a plate's beginning that still say where a vehicle is from, and not which one it is."""


class KeyArea(msgspec.Struct, frozen=True, omit_defaults=True):
    """An area to look into, by the prefix of its plates, from ``since`` until ``until`` (ns, exclusive)."""

    prefix: str
    since: int = 0
    until: int = FOREVER


class Watched(msgspec.Struct, frozen=True, omit_defaults=True):
    """A vehicle to look out for, by its pseudonym (16 hexadecimal digits), from ``since`` until ``until`` (ns)."""

    vehicle: str
    since: int = 0
    until: int = FOREVER


class PlateKey(msgspec.Struct, frozen=True):
    """A site key by name, in force from ``since`` (ns). ``check`` proves that a secret is the one that is meant."""

    id: str
    since: int
    check: str


class PlateAreas(msgspec.Struct, frozen=True, omit_defaults=True):
    """How plates are sorted: ``local`` are the prefixes of home (沪), ``key`` the areas to look into.

    Below the confidence ``floor`` a plate counts as unread; from ``sure`` on it is taken at its word at once.
    """

    local: tuple[str, ...] = ("沪",)
    key: tuple[KeyArea, ...] = ()
    watch: tuple[Watched, ...] = ()
    floor: float = 0.5
    sure: float = 0.9


class Tracking(msgspec.Struct, frozen=True, omit_defaults=True):
    """How readings become passages and passages visits. All ns.

    ``settle``: how long a doubtful reading waits for a better one. ``merge``: readings of one vehicle at one gate and
    direction, no further apart than this, are one passage. ``fastest``: nobody drives faster (km/h as the crow
    flies) from one compound to another; ``travel``: nor in less, where it is not known how far they lie apart.
    ``short``: a visit below this is a short one. ``recent`` and ``roaming``: how far back visits and compounds are
    counted. ``remember``: how long a vehicle is known after it was last seen, and the visit of one that lives here is
    believed without an end; ``believed``: that of any other (it ends at the next ``night``). ``overlap``: how long the
    former key's pseudonyms are still recognised. ``night``: the time of day at which a vehicle inside is parked
    overnight.
    """

    settle: int = 3 * SECOND
    merge: int = 20 * SECOND
    travel: int = 30 * SECOND
    fastest: int = 60
    short: int = 10 * MINUTE
    recent: int = DAY
    roaming: int = HOUR
    remember: int = 30 * DAY
    overlap: int = 30 * DAY
    night: int = 3 * HOUR
    believed: int = 4 * DAY
