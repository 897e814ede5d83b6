"""Synthetic plates of mainland form; no real vehicle is meant.

Source: GA 36-2018: province character, letter, then five characters without I and O; small new-energy
vehicles have six, the first of them D, A, B, C, E (battery) or F, G, H, J, K (other), and green plates. Most of a
province are of its first letter, and most green ones begin with D or F and a digit (a guess; what matters is that many
at one gate have their first four characters in common, as they have).
Rule: they are sent as payloads and nowhere else: never logged, never part of a fixture.
"""

from __future__ import annotations

from random import Random

from sensord.core.vehicles.tracking import PlateAreas

_ELSEWHERE = "苏浙皖赣鲁豫鄂湘粤闽川冀京"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_SERIAL = _LETTERS + "0123456789"
_CITIES = "A" * 12 + "BBBBCCCD" + _LETTERS
_GREEN = "D" * 10 + "FFFFF" + "ABCEGHJK"
_SECOND = "0123456789" * 12 + _LETTERS
_NEW_ENERGY = 0.3
_TRIES = 100


def make_plate(dice: Random, areas: PlateAreas, sort: str) -> tuple[str, str]:
    """Return a plate of class ``sort`` (``local``, ``out_of_town`` or ``key_area``) and its colour."""
    prefix = _prefix(dice, areas, sort)
    if dice.random() < _NEW_ENERGY:
        serial = dice.choice(_GREEN) + dice.choice(_SECOND) + f"{dice.randrange(10_000):04d}"
        return _joined(prefix, serial), "green"
    return _joined(prefix, "".join(dice.choices(_SERIAL, k=5))), "blue"


def _joined(prefix: str, serial: str) -> str:
    """Complete a prefix; one longer than province and letter stands for the serial's first characters too."""
    return prefix + serial[len(prefix) - 2 :]


def _prefix(dice: Random, areas: PlateAreas, sort: str) -> str:
    """Choose province and letter (or a longer prefix) so that the class is what was asked for."""
    for _ in range(_TRIES):
        if sort == "key_area":
            wanted = dice.choice(_key(areas))
        elif sort == "local":
            wanted = dice.choice(areas.local)
        else:
            wanted = dice.choice(_ELSEWHERE)
        prefix = wanted if len(wanted) > 1 else wanted + dice.choice(_CITIES)
        if _sort(prefix, areas) == sort:
            return prefix
    raise ValueError(f"no prefix gives a plate of the class {sort}: check local and key_areas")


def _sort(prefix: str, areas: PlateAreas) -> str:
    if prefix.startswith(_key(areas)):
        return "key_area"
    return "local" if prefix.startswith(areas.local) else "out_of_town"


def _key(areas: PlateAreas) -> tuple[str, ...]:
    return tuple(area.prefix for area in areas.key)
